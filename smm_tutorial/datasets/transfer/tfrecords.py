"""Reads TFRecord files and the examples in them, without TensorFlow.

A TFRecord file is a row of records: length (8 bytes, little endian), checksum of the length,
content, checksum of the content. The checksums are CRC-32C, rotated and offset ("masked"). The
content is a `tf.train.Example`: a protocol buffer that maps names to lists of byte strings, floats
or integers.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import BinaryIO

import google_crc32c
import numpy as np

LENGTH = struct.Struct("<Q")
CHECKSUM = struct.Struct("<I")
LONGEST_RECORD = 1 << 22  # bytes; an example of CLEVR (with masks) has 1.1 million
MASK_DELTA = 0xA282EAD8  # added to the rotated checksum (TFRecord format)
VARINT, FIXED64, BYTES, FIXED32 = 0, 1, 2, 5  # wire types of protocol buffers
Feature = list[bytes] | np.ndarray


class RecordError(ValueError):
    """A record is incomplete, fails its checksum or is not an example."""


class CutShortError(RecordError):
    """The file ends within a record: no fault if only its beginning was downloaded."""


def read_records(file: BinaryIO) -> Iterator[bytes]:
    """The records of an uncompressed TFRecord file, one after the other, each checked.

    Raises:
        RecordError: a record is incomplete or its checksum is wrong.
    """
    index = 0
    while head := _read_exactly(file, LENGTH.size, index, may_end=True):
        if _read_exactly(file, CHECKSUM.size, index) != _checksum(head):
            raise RecordError(f"the length of record {index} fails its checksum")
        (length,) = LENGTH.unpack(head)
        if length > LONGEST_RECORD:
            raise RecordError(
                f"record {index} claims {length:,} bytes, at most {LONGEST_RECORD:,} are read"
            )
        content = _read_exactly(file, length, index)
        if _read_exactly(file, CHECKSUM.size, index) != _checksum(content):
            raise RecordError(f"record {index} fails its checksum")
        yield content
        index += 1


def begins_with_record(content: bytes) -> bool:
    """Whether the content can begin an uncompressed TFRecord file: the first length fits its
    checksum.
    """
    head, checksum = content[: LENGTH.size], content[LENGTH.size :][: CHECKSUM.size]
    return len(head) == LENGTH.size and checksum == _checksum(head)


def frame_record(content: bytes) -> bytes:
    """One record in the form of a TFRecord file, with length and checksums."""
    head = LENGTH.pack(len(content))
    return head + _checksum(head) + content + _checksum(content)


def _read_exactly(file: BinaryIO, count: int, index: int, may_end: bool = False) -> bytes:
    parts, missing = [], count
    while missing and (part := file.read(missing)):
        parts.append(part)
        missing -= len(part)
    if missing and not (may_end and not parts):
        raise CutShortError(f"record {index} is cut short")
    return b"".join(parts)


def _checksum(content: bytes) -> bytes:
    """The checksum of the content as stored: CRC-32C with its low 15 bits in front, plus
    `MASK_DELTA`.
    """
    crc = google_crc32c.value(content)
    return CHECKSUM.pack(((crc >> 15 | crc << 17) + MASK_DELTA) & 0xFFFFFFFF)


def parse_example(content: bytes) -> dict[str, Feature]:
    """The features of a `tf.train.Example` by name: lists of byte strings, or arrays of numbers.

    Raises:
        RecordError: the content is not an example.
    """
    try:
        return _parse_features(memoryview(content))
    except (IndexError, KeyError, TypeError, ValueError) as error:
        raise RecordError(f"the content is no tf.train.Example ({error})") from error


def _parse_features(content: memoryview) -> dict[str, Feature]:
    """An Example holds features (field 1): a map (field 1) of name (1) to feature (2)."""
    features: dict[str, Feature] = {}
    for number, part in _read_fields(content):
        for _, entry in _read_fields(part) if number == 1 else ():
            fields = dict(_read_fields(entry))
            features[_read_text(fields[1]).decode()] = _parse_feature(
                fields.get(2, memoryview(b""))
            )
    return features


def _parse_feature(content: memoryview) -> Feature:
    """A feature is a bytes_list (field 1), float_list (2) or int64_list (3) of values (field 1)."""
    for kind, values in _read_fields(content):
        if kind == 1:
            return [_read_text(value) for _, value in _read_fields(values)]
        if kind == 2:  # packed, or one field per value
            packed = b"".join(_read_text(value) for _, value in _read_fields(values))
            return np.frombuffer(packed, "<f4")
        if kind == 3:
            return np.array(
                [number for _, value in _read_fields(values) for number in _read_integers(value)],
                np.int64,
            )
    return []


def _read_text(value: memoryview | int) -> bytes:
    if isinstance(value, int):  # `bytes(value)` would make that many zeros
        raise ValueError(f"the number {value} stands where bytes should")
    return bytes(value)


def _read_integers(value: memoryview | int) -> list[int]:
    """Packed varints, or a single varint; two's complement in 64 bits."""
    numbers, position = [], 0
    if isinstance(value, int):
        numbers.append(value)
    else:
        while position < len(value):
            number, position = _read_varint(value, position)
            numbers.append(number)
    return [(number + (1 << 63)) % (1 << 64) - (1 << 63) for number in numbers]


def _read_fields(content: memoryview) -> Iterator[tuple[int, memoryview | int]]:
    """The fields of a protocol buffer message: number and value."""
    position = 0
    while position < len(content):
        key, position = _read_varint(content, position)
        number, kind = key >> 3, key & 7
        if kind == VARINT:
            value, position = _read_varint(content, position)
            yield number, value
            continue
        if kind == BYTES:
            length, position = _read_varint(content, position)
        elif kind in (FIXED32, FIXED64):
            length = 4 if kind == FIXED32 else 8
        else:
            raise ValueError(f"wire type {kind} at byte {position}")
        if position + length > len(content):
            raise ValueError(f"field {number} is cut short")
        yield number, content[position : position + length]
        position += length


def _read_varint(content: memoryview, position: int) -> tuple[int, int]:
    """A number in groups of 7 bits, the lowest group first, and the position after the number."""
    number = 0
    for shift in range(0, 70, 7):
        byte = content[position]
        position += 1
        number |= (byte & 0x7F) << shift
        if byte < 0x80:
            return number, position
    raise ValueError("a number of more than 10 bytes")
