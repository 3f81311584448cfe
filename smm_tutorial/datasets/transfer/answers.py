"""What the headers of an answer say, read as far as it can be true."""

from __future__ import annotations

import re
import time
import zlib
from email.utils import parsedate_to_datetime
from typing import NamedTuple

LENGTH = r"\d{1,18}"  # of bytes: more digits are no length
PART = re.compile(rf"bytes[\s=:]*({LENGTH})\s*-\s*({LENGTH})\s*/\s*({LENGTH}|\*)", re.I | re.A)
NO_PART = re.compile(rf"bytes[\s=:]*\*\s*/\s*({LENGTH})", re.I | re.A)
ARCHIVES = (b"\x1f\x8b", b"PK")  # what gzip and zip files begin with
GZIP_HEAD = 64  # bytes, unpacked, in which that is seen


class Version(NamedTuple):
    """What a server says about a file, to see whether it is still the same one."""

    bytes: int | None
    etag: str | None
    modified: str | None


class Part(NamedTuple):
    """A part of a file, as the header Content-Range tells it; the file's length may be untold."""

    start: int
    stop: int
    length: int | None


def find_difference(known: Version, version: Version) -> str | None:
    """How two versions differ, in words; None where they can be of the same file.

    A length that differs is a change, and the same strong ETag is none. Otherwise one mark that
    agrees is enough where the lengths are equal: machines behind one address often give ETags (or
    dates) of their own to the same bytes. Where ETags differ and there is no date, nothing says
    that the bytes are the same, so they count as changed.
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
    """The header Content-Length, which proxies may repeat ("12, 12"); None if it cannot be true."""
    lengths = {length.strip() for length in told.split(",")}
    length = lengths.pop()
    return None if lengths or not re.fullmatch(LENGTH, length, re.A) else int(length)


def parse_part(told: str) -> Part | None:
    """The header Content-Range of a part of a file; None if it cannot be read."""
    if (match := PART.fullmatch(told.strip())) is None:
        return None
    return Part(int(match[1]), int(match[2]) + 1, None if match[3] == "*" else int(match[3]))


def parse_length_without_part(told: str) -> int | None:
    """The file's length that Content-Range tells to whoever asked beyond it; None if untold."""
    match = NO_PART.fullmatch(told.strip())
    return int(match[1]) if match else None


def parse_date(text: str) -> float | None:
    """Seconds since 1970 of a date in a header; None where it cannot be read."""
    try:
        return parsedate_to_datetime(text).timestamp()
    except (ValueError, TypeError, IndexError, OverflowError, OSError):
        return None


def parse_retry_after(header: str | None) -> float:
    """Seconds from now that the header Retry-After tells; 0 where it is absent or unreadable."""
    if header is None:
        return 0.0
    if re.fullmatch(r"\d+", header, re.A):
        return float(header)
    date = parse_date(header)
    return 0.0 if date is None else max(0.0, date - time.time())


def is_packed_twice(beginning: bytes) -> bool:
    """Whether a file that begins so is an archive that was packed once more by gzip."""
    try:
        unpacked = zlib.decompressobj(zlib.MAX_WBITS | 16).decompress(beginning, GZIP_HEAD)
    except zlib.error:
        return False
    return unpacked.startswith(ARCHIVES)


def show_text(text: str | None) -> str:
    """What a server wrote, as any console may show it: its beginning, in printable ASCII."""
    return re.sub(r"[^ -~]", "?", (text or "")[:200])
