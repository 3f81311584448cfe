"""TFRecord files and the examples in them, without TensorFlow.

A TFRecord file is a row of records: length (8 bytes, little endian), checksum of the length,
content, checksum of the content. The checksums are CRC-32C, rotated and offset ("masked"). The
content is a `tf.train.Example`: a protocol buffer that maps names to lists of byte strings, floats
or integers.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from functools import cache
from typing import BinaryIO

import numpy as np

LENGTH, CHECKSUM = struct.Struct("<Q"), struct.Struct("<I")
LONGEST_RECORD = 1 << 28  # bytes: a length beyond this is damage, not data
POLYNOMIAL = 0x82F63B78  # of CRC-32C (Castagnoli), bits reversed
MASK_DELTA = 0xA282EAD8  # added to the rotated checksum (TFRecord format)
LANES = 1024  # parts of a long record whose checksums are computed side by side
VARINT, FIXED64, BYTES, FIXED32 = 0, 1, 2, 5  # wire types of protocol buffers
Feature = list[bytes] | np.ndarray


class RecordError(ValueError):
    """A record that is cut short, fails its checksum or is no example."""


class CutShortError(RecordError):
    """The file ends within a record: where only its beginning was fetched, that is no fault."""


def read_records(file: BinaryIO) -> Iterator[bytes]:
    """The records of an (unpacked) TFRecord file, one after the other, each checked.

    Raises:
        RecordError: a record is cut short or its checksum is wrong.
    """
    index = 0
    while head := _read(file, LENGTH.size, index, may_end=True):
        if _unmasked(_read(file, CHECKSUM.size, index)) != crc32c(head):
            raise RecordError(f"the length of record {index} fails its checksum")
        (length,) = LENGTH.unpack(head)
        if length > LONGEST_RECORD:
            raise RecordError(f"record {index} claims {length:,} bytes")
        content = _read(file, length, index)
        if _unmasked(_read(file, CHECKSUM.size, index)) != crc32c(content):
            raise RecordError(f"record {index} fails its checksum")
        yield content
        index += 1


def framed(content: bytes) -> bytes:
    """One record as it stands in a TFRecord file."""
    head = LENGTH.pack(len(content))
    return head + _masked(crc32c(head)) + content + _masked(crc32c(content))


def _read(file: BinaryIO, count: int, index: int, may_end: bool = False) -> bytes:
    parts, missing = [], count
    while missing and (part := file.read(missing)):
        parts.append(part)
        missing -= len(part)
    if missing and not (may_end and not parts):
        raise CutShortError(f"record {index} is cut short")
    return b"".join(parts)


def _masked(checksum: int) -> bytes:
    return CHECKSUM.pack(((checksum >> 15 | checksum << 17) + MASK_DELTA) & 0xFFFFFFFF)


def _unmasked(stored: bytes) -> int:
    rotated = (CHECKSUM.unpack(stored)[0] - MASK_DELTA) & 0xFFFFFFFF
    return (rotated << 15 | rotated >> 17) & 0xFFFFFFFF


def crc32c(content: bytes) -> int:
    """The CRC-32C of some bytes.

    A long content is cut into `LANES` parts whose remainders are computed side by side in numpy and
    then joined: the remainder of a part followed by z zero bytes is a linear map of its remainder,
    here four table look-ups.
    """
    table = _byte_table()
    lane_length = len(content) // LANES
    if lane_length < 16:  # not worth the joining
        return _plain_crc(content)
    bulk = np.frombuffer(content, np.uint8, LANES * lane_length).reshape(LANES, lane_length)
    columns = np.ascontiguousarray(bulk.T)  # (lane_length, LANES): one byte of every lane
    state = np.zeros(LANES, np.uint32)
    state[0] = 0xFFFFFFFF
    for column in columns:
        state = table[(state ^ column) & 0xFF] ^ (state >> 8)
    shift = _zeros_table(lane_length)
    joined = 0
    for remainder in state.tolist():
        joined = (
            shift[0][joined & 0xFF]
            ^ shift[1][joined >> 8 & 0xFF]
            ^ shift[2][joined >> 16 & 0xFF]
            ^ shift[3][joined >> 24]
        )
        joined ^= remainder
    return _plain_crc(content[LANES * lane_length :], joined ^ 0xFFFFFFFF)


def _plain_crc(content: bytes, start: int = 0) -> int:
    table, state = _byte_list(), start ^ 0xFFFFFFFF
    for byte in content:
        state = table[(state ^ byte) & 0xFF] ^ (state >> 8)
    return state ^ 0xFFFFFFFF


@cache
def _byte_table() -> np.ndarray:
    """The remainder of each byte value."""
    table = np.arange(256, dtype=np.uint32)
    for _ in range(8):
        table = np.where(table & 1, (table >> 1) ^ np.uint32(POLYNOMIAL), table >> 1)
    return table


@cache
def _byte_list() -> list[int]:
    return _byte_table().tolist()


@cache
def _zeros_table(count: int) -> list[list[int]]:
    """What `count` zero bytes make of a remainder, by each of its four bytes."""
    table = _byte_table()
    states = (
        np.arange(256, dtype=np.uint32) << np.arange(0, 32, 8, dtype=np.uint32)[:, None]
    ).ravel()  # (1024,)
    for _ in range(count):
        states = table[states & 0xFF] ^ (states >> 8)
    return states.reshape(4, 256).tolist()


def parse_example(content: bytes) -> dict[str, Feature]:
    """The features of a serialised `tf.train.Example` by name: byte strings as a list, numbers as
    an array.

    Raises:
        RecordError: the content is no example.
    """
    try:
        return _parse_features(memoryview(content))
    except (IndexError, KeyError, TypeError, ValueError) as error:
        raise RecordError(f"the content is no tf.train.Example ({error})") from error


def _parse_features(content: memoryview) -> dict[str, Feature]:
    """An Example holds features (field 1), which hold a map (field 1) of name (1) to feature
    (2).
    """
    features: dict[str, Feature] = {}
    for number, part in _fields(content):
        for _, entry in _fields(part) if number == 1 else ():
            fields = dict(_fields(entry))
            features[bytes(fields[1]).decode()] = _parse_feature(fields.get(2, memoryview(b"")))
    return features


def _parse_feature(content: memoryview) -> Feature:
    """A feature is one of: bytes_list (field 1), float_list (2), int64_list (3), each with its
    values as field 1.
    """
    for kind, values in _fields(content):
        if kind == 1:
            return [bytes(value) for _, value in _fields(values)]
        if kind == 2:  # packed, or one field a value
            packed = b"".join(bytes(value) for _, value in _fields(values))
            return np.frombuffer(packed, "<f4")
        if kind == 3:
            return np.array(
                [number for _, value in _fields(values) for number in _integers(value)], np.int64
            )
    return []


def _integers(value: memoryview | int) -> list[int]:
    """Packed varints, or the one that stood alone; two's complement in 64 bits."""
    numbers, position = [], 0
    if isinstance(value, int):
        numbers.append(value)
    else:
        while position < len(value):
            number, position = _varint(value, position)
            numbers.append(number)
    return [number - (1 << 64) if number >> 63 else number for number in numbers]


def _fields(content: memoryview) -> Iterator[tuple[int, memoryview | int]]:
    """The fields of a protocol buffer message: number and value."""
    position = 0
    while position < len(content):
        key, position = _varint(content, position)
        number, kind = key >> 3, key & 7
        if kind == VARINT:
            value, position = _varint(content, position)
            yield number, value
            continue
        if kind == BYTES:
            length, position = _varint(content, position)
        elif kind in (FIXED32, FIXED64):
            length = 4 if kind == FIXED32 else 8
        else:
            raise ValueError(f"wire type {kind} at byte {position}")
        if position + length > len(content):
            raise ValueError(f"field {number} is cut short")
        yield number, content[position : position + length]
        position += length


def _varint(content: memoryview, position: int) -> tuple[int, int]:
    """A number in groups of 7 bits, the lowest first, and the position behind it."""
    number = 0
    for shift in range(0, 70, 7):
        byte = content[position]
        position += 1
        number |= (byte & 0x7F) << shift
        if byte < 0x80:
            return number, position
    raise ValueError("a number of more than 10 bytes")
