"""Packs: small data sets in one file per split, made to be committed, checked and read fast.

A pack is a plain zip file (open it with any unzip) with these members:

- header.json: format and version, name, split, licence, provenance, count, height, width, filenames
- images/00000.webp: 64 images stacked from top to bottom, lossless WebP; images/00001.webp: the
  next 64, and so on
- masks.npy: uint8 (M, H, W), where the data has masks
- records.json: list of M scene records in CLEVR's JSON, where the data has records

Nothing in it is code, so opening a stranger's pack runs nothing. Stacking helps: one lossless WebP
of 64 renders at 64 x 64 takes 10 % less than 64 files, and a quarter less than PNG. The same data
gives the same bytes.
"""

from __future__ import annotations

import hashlib
import io
import json
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image

from smm_tutorial.datasets.scene_images import DatasetError, SceneImages
from smm_tutorial.files import parse_json, write_atomically

FORMAT = "smm-tutorial-pack"
VERSION = 1
IMAGES_PER_STRIP = 64
#: Lossless WebP: "quality" means effort. At 90, files are 2 % larger than at 100, and are written 7
#: times faster.
WEBP = {"lossless": True, "exact": True, "quality": 90, "method": 6}
#: Limits, so that a small file does not unpack to gigabytes: most bytes per byte of the pack, and
#: bytes that every pack may have. Per byte, the committed packs have 6 bytes of images and masks,
#: and 1 byte of JSON.
MOST_PIXELS, ANY_PIXELS = 100, 1 << 26
MOST_JSON, ANY_JSON = 16, 1 << 20
LONGEST_NPY_HEAD = 1 << 12  # bytes before the labels in masks.npy; 128 are usual
MEMBER_DATE = (1980, 1, 1, 0, 0, 0)  # required; the true date would change the bytes


def sha256_hex(content: bytes) -> str:
    """The checksum that a pack's provenance keeps, in hexadecimal."""
    return hashlib.sha256(content).hexdigest()


def pack_bytes(data: SceneImages) -> bytes:
    """The pack of `data` as it goes into a file; the same data gives the same bytes."""
    height, width = data.size
    header = {
        "format": FORMAT,
        "version": VERSION,
        "name": data.name,
        "split": data.split,
        "licence": data.licence,
        "provenance": dict(data.provenance),
        "count": len(data),
        "height": height,
        "width": width,
        "filenames": data.filenames,
    }
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        _add_member(archive, "header.json", _json_bytes(header), zipfile.ZIP_DEFLATED)
        for number, strip in enumerate(data.images.cpu().split(IMAGES_PER_STRIP)):
            _add_member(archive, _strip_name(number), _encode_strip(strip), zipfile.ZIP_STORED)
        if data.masks is not None:
            masks = io.BytesIO()
            np.save(masks, data.masks.cpu().numpy(), allow_pickle=False)
            _add_member(archive, "masks.npy", masks.getvalue(), zipfile.ZIP_DEFLATED)
        if data.records is not None:
            _add_member(archive, "records.json", _json_bytes(data.records), zipfile.ZIP_DEFLATED)
    return buffer.getvalue()


def write_pack(path: str | Path, data: SceneImages) -> None:
    """Writes the pack of `data` to `path`, atomically."""
    write_atomically(Path(path), pack_bytes(data))


def read_pack(
    path: str | Path, sha256: str | None = None, remedy: str = "fetch or make the pack again"
) -> SceneImages:
    """The data in a pack.

    Args:
        path: the file.
        sha256: its checksum, if known; a file with another checksum is refused before it is parsed.
        remedy: what the reader of an error message should do.

    Raises:
        DatasetError: there is no such file, or it is damaged, incomplete, of another version or not
            a pack at all.
    """
    path = Path(path)
    try:
        content = path.read_bytes()
    except OSError as error:
        raise DatasetError(f"cannot read the pack {path} ({error.strerror}): {remedy}") from error
    if sha256 is not None and (found := sha256_hex(content)) != sha256:
        raise DatasetError(
            f"{path} is damaged or altered: its sha256 is {found}, its provenance says {sha256}; "
            f"{remedy}"
        )
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            return _read_members(archive, len(content))
    except Exception as error:  # damage makes zipfile, zlib, numpy and Pillow raise a dozen kinds
        raise DatasetError(
            f"{path} is damaged or no pack ({type(error).__name__}: {error}); {remedy}"
        ) from error


def _read_members(archive: zipfile.ZipFile, packed: int) -> SceneImages:
    """The data in an archive. packed: the archive's size in bytes."""
    most_json = ANY_JSON + MOST_JSON * packed
    header = parse_json(_read_member(archive, "header.json", most_json), "header.json")
    count, height, width = _check_header(header)
    pixels = count * height * width
    if 4 * pixels > ANY_PIXELS + MOST_PIXELS * packed:
        raise ValueError(f"{packed:,} bytes claim to hold {count:,} images of {height} x {width}")
    images = np.empty((count, height, width, 3), dtype=np.uint8)
    for number, start in enumerate(range(0, count, IMAGES_PER_STRIP)):
        target = images[start : start + IMAGES_PER_STRIP]  # (S, H, W, 3)
        strip = _read_member(archive, _strip_name(number), packed)  # stored without compression
        target[:] = _decode_strip(strip, target.shape)
    masks, records, members = None, None, archive.namelist()
    if "masks.npy" in members:
        content = _read_member(archive, "masks.npy", pixels + LONGEST_NPY_HEAD)
        masks = torch.from_numpy(_decode_masks(content, (count, height, width)))
    if "records.json" in members:
        content = _read_member(archive, "records.json", most_json)
        records = _check_records(parse_json(content, "records.json"))
    return SceneImages(
        images=torch.from_numpy(images).permute(0, 3, 1, 2).contiguous(),
        filenames=header["filenames"],
        name=header["name"],
        split=header["split"],
        licence=header["licence"],
        provenance=header["provenance"],
        masks=masks,
        records=records,
    )


def _read_member(archive: zipfile.ZipFile, name: str, most: int) -> bytes:
    """A member's content; its checksum is checked. Raises if it has more than `most` bytes."""
    info = archive.getinfo(name)
    if info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        raise ValueError(f"{name} is packed in an unusual way")
    if info.file_size > most:
        raise ValueError(f"{name} claims {info.file_size:,} bytes, at most {most:,} are expected")
    with archive.open(info) as member:
        return member.read(info.file_size + 1)  # unpacks no more than that


def _check_header(header: Any) -> tuple[int, int, int]:
    """Count, height and width of the images. Raises unless `pack_bytes` could write this header."""
    found = header.get("format"), header.get("version")
    if found != (FORMAT, VERSION):
        raise ValueError(
            f"format {found[0]!r} version {found[1]!r}, this library reads {FORMAT} {VERSION}"
        )
    for field in ("count", "height", "width"):
        if type(header[field]) is not int or header[field] < 1:
            raise ValueError(f"{field} must be a whole number from 1, got {header[field]!r:.40}")
    for field in ("name", "split", "licence"):
        if not isinstance(header[field], str):
            raise ValueError(f"{field} must be text, got {header[field]!r:.40}")
    names = header["filenames"]
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        raise ValueError("filenames must be a list of texts")
    if not isinstance(header["provenance"], dict):
        raise ValueError(f"provenance must be a table, got {header['provenance']!r:.40}")
    return header["count"], header["height"], header["width"]


def _check_records(records: Any) -> list[dict[str, Any]]:
    """The records. Raises unless each record has a list of objects."""
    for index, record in enumerate(records if isinstance(records, list) else [records]):
        if not isinstance(record, dict) or not isinstance(record.get("objects"), list):
            raise ValueError(f'record {index} has no list "objects"')
    return records


def _strip_name(number: int) -> str:
    return f"images/{number:05d}.webp"


def _encode_strip(images: torch.Tensor) -> bytes:
    """Images (S, 3, H, W), stacked from top to bottom, as one lossless WebP."""
    stacked = images.permute(0, 2, 3, 1).flatten(0, 1).contiguous()  # (S * H, W, 3)
    buffer = io.BytesIO()
    Image.fromarray(stacked.numpy()).save(buffer, "WEBP", **WEBP)
    return buffer.getvalue()


def _decode_strip(content: bytes, shape: tuple[int, ...]) -> np.ndarray:
    """The images (S, H, W, 3) of one strip. The size is checked before the pixels are unpacked."""
    count, height, width, _ = shape
    with Image.open(io.BytesIO(content), formats=["WEBP"]) as strip:
        if strip.size != (width, count * height):
            expected = (width, count * height)
            raise ValueError(f"a strip is {strip.size} pixels, the header says {expected}")
        return np.asarray(strip.convert("RGB")).reshape(shape)


def _decode_masks(content: bytes, shape: tuple[int, int, int]) -> np.ndarray:
    """The masks (M, H, W). Shape and type are checked before the array is made."""
    file = io.BytesIO(content)
    np.lib.format.read_magic(file)  # version 1.0, which `np.save` writes for short headers
    found, _, kind = np.lib.format.read_array_header_1_0(file)
    if (found, kind) != (shape, np.uint8) and not kind.hasobject:  # the type is refused below
        raise ValueError(f"masks are {kind} {found}, the header says uint8 {shape}")
    return np.load(io.BytesIO(content), allow_pickle=False)


def _json_bytes(value: Any) -> bytes:
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False).encode()


def _add_member(archive: zipfile.ZipFile, name: str, content: bytes, compression: int) -> None:
    member = zipfile.ZipInfo(name, date_time=MEMBER_DATE)
    member.compress_type = compression
    member.create_system = 3  # the same bytes on every operating system
    archive.writestr(member, content, compresslevel=9)
