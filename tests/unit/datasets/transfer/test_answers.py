"""Headers of answers, read as far as they can be true."""

import gzip
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from smm_tutorial.datasets.transfer.answers import (
    Version,
    find_difference,
    is_packed_twice,
    parse_date,
    parse_length,
    parse_length_without_part,
    parse_part,
    parse_retry_after,
    show_text,
)
from tests.servers import noise, tarred, zipped

DAY = "Wed, 21 Oct 2015 07:28:00 GMT"
SAME_DAY = "Wednesday, 21-Oct-15 07:28:00 GMT"  # as servers wrote it before 1997
NEXT_DAY = "Thu, 22 Oct 2015 07:28:00 GMT"


@pytest.mark.parametrize(
    ("known", "version"),
    [
        (Version(9, '"a"', DAY), Version(9, '"a"', DAY)),
        (Version(9, '"a"', DAY), Version(9, '"b"', DAY)),  # two machines behind one address
        (Version(9, '"a"', DAY), Version(9, 'W/"b"', SAME_DAY)),
        (Version(9, '"a"', None), Version(9, 'W/"a"', None)),
        (Version(9, 'W/"a"', DAY), Version(9, 'W/"a"', NEXT_DAY)),
        (Version(9, '"a"', DAY), Version(9, '"a"', NEXT_DAY)),
        (Version(None, '"a"', DAY), Version(9, '"a"', NEXT_DAY)),  # strong: the same bytes
        (Version(9, '"a"', None), Version(9, None, DAY)),
        (Version(9, None, None), Version(None, '"a"', None)),
        (Version(9, None, "nonsense"), Version(9, '"a"', "nonsense")),
    ],
)
def test_versions_that_can_be_of_one_file_are_no_change(known, version):
    assert find_difference(known, version) is None
    assert find_difference(version, known) is None


@pytest.mark.parametrize(
    ("known", "version", "difference"),
    [
        (Version(9, '"a"', DAY), Version(8, '"a"', DAY), "9 bytes before, 8 now"),
        (Version(9, '"a"', None), Version(9, '"b"', None), '"a" before, "b" now'),
        (Version(9, 'W/"a"', None), Version(9, '"b"', DAY), 'W/"a" before, "b" now'),
        (Version(9, '"a"', DAY), Version(9, '"b"', NEXT_DAY), '"a" before, "b" now'),
        (Version(9, None, DAY), Version(9, '"b"', NEXT_DAY), f"{DAY} before, {NEXT_DAY} now"),
        (Version(None, '"a"', DAY), Version(9, '"b"', DAY), '"a" before, "b" now'),
        (Version(None, 'W/"a"', DAY), Version(9, 'W/"a"', NEXT_DAY), f"{DAY} before"),
        (Version(9, '"a\x1b[2J"', None), Version(9, '"b"', None), '"a?[2J" before'),
    ],
)
def test_versions_that_nothing_says_to_be_equal_are_a_change(known, version, difference):
    assert find_difference(known, version).startswith(difference)
    assert find_difference(version, known)


@pytest.mark.parametrize(
    ("told", "length"),
    [("12", 12), (" 12 ", 12), ("12, 12", 12), ("12,12,12", 12), ("0", 0)]
    + [
        (told, None) for told in ("", "abc", "-5", "+5", "1e3", "0x10", "12, 13", "1_0", "9" * 5000)
    ],
)
def test_a_length_is_digits_perhaps_repeated(told, length):
    assert parse_length(told) == length


@pytest.mark.parametrize(
    ("told", "part"),
    [
        ("bytes 2-5/9", (2, 6, 9)),
        ("Bytes 2-5/*", (2, 6, None)),
        (" BYTES  2 - 5 / 9 ", (2, 6, 9)),
        ("bytes=2-5/9", (2, 6, 9)),
    ]
    + [
        (told, None) for told in ("", "bytes 2-5", "bytes -5/9", "2-5/9", f"bytes 2-5/{'9' * 5000}")
    ],
)
def test_a_part_is_read_in_the_ways_that_servers_write_it(told, part):
    assert parse_part(told) == part


@pytest.mark.parametrize(
    ("told", "length"), [("bytes */9", 9), ("Bytes * / 9", 9), ("bytes */*", None), ("", None)]
)
def test_the_length_is_told_to_whoever_asks_beyond_it(told, length):
    assert parse_length_without_part(told) == length


@pytest.mark.parametrize(
    "header",
    [None, "", "-5", "nan", "inf", "1.5", "\xb2", DAY, "Mon, 01 Jan 0001 00:00:00 GMT", ",", "0 0"]
    + ["Fri, 31 Dec 99999 23:59:59 GMT", "Thu, 01 Jan 1900 00:00:00 GMT"]
    + ["Thu, 01 Jan 2015 00:00:00 +9999999999", "Thu, 99 Foo 2015 99:99:99 GMT"],
)
def test_a_wait_that_makes_no_sense_is_none(header):
    assert parse_retry_after(header) == 0


def test_a_wait_is_seconds_or_a_date():
    assert parse_retry_after("7") == 7
    assert parse_retry_after("9" * 400) == float("inf")
    soon = time.strftime("%a, %d %b %Y %H:%M:%S GMT", time.gmtime(time.time() + 9000))
    assert 8000 < parse_retry_after(soon) <= 9000


@settings(max_examples=30)
@given(st.text())
def test_any_text_can_stand_in_a_header(text):
    assert parse_date(text) is None or isinstance(parse_date(text), float)
    assert parse_length(text) is None or parse_length(text) >= 0
    assert parse_part(text) is None
    assert parse_retry_after(text) >= 0
    assert show_text(text).isascii() and (show_text(text).isprintable())


def test_an_archive_that_was_packed_again_is_recognised():
    archive = tarred({"member": noise(5000)})
    assert is_packed_twice(gzip.compress(archive))
    assert is_packed_twice(gzip.compress(zipped({"member": noise(5000)}))[:100])
    for once in (archive, gzip.compress(b"text"), b"", archive[:1], noise(100)):
        assert not is_packed_twice(once)
