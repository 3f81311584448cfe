"""Parses the headers of a server's answer, and ignores values that cannot be true."""

from __future__ import annotations

import re
import time
import zlib
from email.utils import parsedate_to_datetime
from typing import NamedTuple

LENGTH = r"\d{1,18}"  # of bytes: more digits cannot be a length
PART = re.compile(rf"bytes[\s=:]*({LENGTH})\s*-\s*({LENGTH})\s*/\s*({LENGTH}|\*)", re.I | re.A)
NO_PART = re.compile(rf"bytes[\s=:]*\*\s*/\s*({LENGTH})", re.I | re.A)
ARCHIVES = (b"\x1f\x8b", b"PK")  # first bytes of gzip and zip files
GZIP_HEAD = 64  # bytes to unpack to see these first bytes


class Version(NamedTuple):
    """What a server says about a file. It tells whether the file is still the same."""

    bytes: int | None
    etag: str | None
    modified: str | None


class Part(NamedTuple):
    """A part of a file, from the header Content-Range. The file's length may be unknown."""

    start: int
    stop: int
    length: int | None


def find_difference(known: Version, version: Version) -> str | None:
    """How two versions differ, in words; None if they can be versions of the same file.

    Different lengths mean a change; equal strong ETags mean no change. In all other cases, equal
    lengths and one equal mark (ETag or date) are enough. The reason: machines behind one address
    often give different ETags (or dates) to the same bytes. If ETags differ and there is no date,
    nothing shows that the bytes are the same, so the file counts as changed.
    """
    lengths = known.bytes, version.bytes
    if None not in lengths and known.bytes != version.bytes:
        return f"{known.bytes:,} bytes before, {version.bytes:,} now"
    pairs = [
        (compare(was) == compare(now), was, now)
        for was, now, compare in (
            (known.etag, version.etag, lambda etag: etag.removeprefix("W/")),
            (known.modified, version.modified, lambda date: parse_date(date) or date),
        )
        if was is not None and now is not None
    ]
    strong = known.etag is not None and not known.etag.startswith("W/")
    one_agrees = None not in lengths and any(same for same, _, _ in pairs)
    if (strong and known.etag == version.etag) or one_agrees:
        return None
    changes = [(was, now) for same, was, now in pairs if not same]
    return "{} before, {} now".format(*map(show_text, changes[0])) if changes else None


def parse_length(told: str) -> int | None:
    """The header Content-Length, which proxies may repeat ("12, 12"); None if the value cannot be
    true.
    """
    lengths = {length.strip() for length in told.split(",")}
    length = lengths.pop()
    return None if lengths or not re.fullmatch(LENGTH, length, re.A) else int(length)


def parse_part(told: str) -> Part | None:
    """The header Content-Range of a part of a file; None if the header cannot be parsed."""
    if (match := PART.fullmatch(told.strip())) is None:
        return None
    return Part(int(match[1]), int(match[2]) + 1, None if match[3] == "*" else int(match[3]))


def parse_length_without_part(told: str) -> int | None:
    """The file's length in Content-Range, in the answer to a request beyond the end; None if
    unknown.
    """
    match = NO_PART.fullmatch(told.strip())
    return int(match[1]) if match else None


def parse_date(text: str) -> float | None:
    """A date in a header as seconds since 1970; None if the date cannot be parsed."""
    try:
        return parsedate_to_datetime(text).timestamp()
    except (ValueError, TypeError, IndexError, OverflowError, OSError):
        return None


def parse_retry_after(header: str | None) -> float:
    """Seconds to wait by the header Retry-After; 0 if the header is missing or cannot be parsed."""
    if header is None:
        return 0.0
    if re.fullmatch(r"\d+", header, re.A):
        return float(header)
    date = parse_date(header)
    return 0.0 if date is None else max(0.0, date - time.time())


def is_packed_twice(beginning: bytes) -> bool:
    """Whether a file with this beginning is an archive that gzip has compressed a second time."""
    try:
        unpacked = zlib.decompressobj(zlib.MAX_WBITS | 16).decompress(beginning, GZIP_HEAD)
    except zlib.error:
        return False
    return unpacked.startswith(ARCHIVES)


def show_text(text: str | None) -> str:
    """The beginning of a server's text, in printable ASCII, which every console can show."""
    return re.sub(r"[^ -~]", "?", (text or "")[:200])
