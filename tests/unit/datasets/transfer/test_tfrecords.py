"""TFRecord files and the examples in them."""

import io
import struct

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from smm_tutorial.datasets.transfer.tfrecords import (
    CutShortError,
    RecordError,
    frame_record,
    parse_example,
    read_records,
)
from tests.official import field, tf_example
from tests.servers import noise


def masked(checksum):
    """A checksum as the format stores it: rotated by 15 bits, then offset."""
    return struct.pack("<I", ((checksum >> 15 | checksum << 17) + 0xA282EAD8) % 2**32)


@pytest.mark.parametrize(
    ("content", "checksum"),
    [
        (b"123456789", 0xE3069283),  # the check value of CRC-32C
        (bytes(32), 0x8A9136AA),  # this and the next: RFC 3720, B.4
        (b"\xff" * 32, 0x62A8AB43),
        (bytes(range(32)), 0x46DD794E),
    ],
)
def test_a_record_has_the_published_framing_and_the_standards_checksum(content, checksum):
    record = frame_record(content)
    assert record[:8] == struct.pack("<Q", len(content)) and len(record) == 16 + len(content)
    assert record[12:-4] == content and record[-4:] == masked(checksum)


@pytest.mark.parametrize("length", [0, 1, 16_383, 16_384, 16_385, 50_000])
def test_checksums_are_those_that_the_definition_gives_bit_by_bit(length):
    content = noise(length)
    state = 0xFFFFFFFF
    for byte in content:
        state ^= byte
        for _ in range(8):
            state = state >> 1 ^ (0x82F63B78 if state & 1 else 0)
    assert frame_record(content)[-4:] == masked(state ^ 0xFFFFFFFF)


@given(st.lists(st.binary(max_size=50), max_size=5), st.data())
def test_records_come_back_and_damage_is_noticed(contents, data):
    file = b"".join(map(frame_record, contents))
    assert list(read_records(io.BytesIO(file))) == contents
    if file:
        position = data.draw(st.integers(0, len(file) - 1))
        flipped = (
            file[:position]
            + bytes([file[position] ^ 1 << data.draw(st.integers(0, 7))])
            + file[position + 1 :]
        )
        with pytest.raises(RecordError):
            list(read_records(io.BytesIO(flipped)))
        ends = np.cumsum([0, *(len(frame_record(content)) for content in contents)])
        if position not in ends:
            with pytest.raises(CutShortError):
                list(read_records(io.BytesIO(file[:position])))


def test_examples_of_every_kind_are_parsed():
    parsed = parse_example(
        tf_example({"b": b"one", "bs": [b"x", b""], "f": np.array([1.5, -2]), "i": [3, -1, 2**40]})
    )
    assert parsed["b"] == [b"one"] and parsed["bs"] == [b"x", b""]
    assert parsed["f"].tolist() == [1.5, -2] and parsed["i"].tolist() == [3, -1, 2**40]
    unpacked = b"\x0d" + struct.pack("<f", 1.5) + b"\x0d" + struct.pack("<f", -2)  # a field each
    example = field(1, field(1, field(1, b"f") + field(2, field(2, unpacked))))
    assert parse_example(example)["f"].tolist() == [1.5, -2]
    assert parse_example(b"") == {}


@given(st.binary(max_size=60))
def test_what_is_no_example_is_refused_or_harmless(content):
    try:
        assert isinstance(parse_example(content), dict)
    except RecordError:
        pass
