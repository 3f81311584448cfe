"""Reads one picture file in any of Pillow's modes: its RGB pixels, or its labels.

A picture whose mode does not define its meaning is refused; nothing is guessed. Every fault raises
`DatasetError`, whose message names the file and the remedy.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from PIL import ExifTags, Image

from smm_tutorial.datasets.scene_images import DatasetError

AGAIN = "unpack the data set's archive again, or copy your own file again"
ANEW = "save it anew as PNG of 8 bits a channel, an image as RGB, a mask as grey with its labels"
GREY_16 = ("I;16", "I;16L", "I;16B", "I;16N")  # Pillow's modes for grey of 16 bits
LOSSY = ("JPEG", "MPO", "JPEG2000", "WEBP", "AVIF")  # formats that can change a pixel's value
#: Pillow multiplies grey of 2 and 4 bits by these factors, so that the highest value is white.
STRETCH = {"L;2": 85, "L;4": 17}
#: Operations that turn a picture upright, by EXIF's number for the camera's orientation.
TURNS: dict[int, Callable[[np.ndarray], np.ndarray]] = {
    2: np.fliplr,
    3: lambda pixels: np.rot90(pixels, 2),
    4: np.flipud,
    5: lambda pixels: pixels.swapaxes(0, 1),
    6: lambda pixels: np.rot90(pixels, -1),
    7: lambda pixels: np.rot90(pixels, 2).swapaxes(0, 1),
    8: np.rot90,
}
LYING = (5, 6, 7, 8)  # the numbers whose operations exchange height and width


class _KindError(ValueError):
    """A complete picture of a kind whose meaning is uncertain."""


def read_size(path: Path) -> tuple[int, int]:
    """Height and width of the picture in a file, as in `read_pixels`, with the same errors."""
    with _open_picture(path) as image:
        width, height = image.size
        return (width, height) if _find_turn(image) in LYING else (height, width)


def read_pixels(path: Path) -> np.ndarray:
    """The pixels of the picture in a file: (H, W, 3) uint8, RGB."""
    with _open_picture(path) as image:
        turn = _find_turn(image)
        return _set_upright(_convert_to_rgb(image), turn)


def read_labels(path: Path) -> np.ndarray:
    """The labels in a mask's file: integers (H, W), with any number of bits."""
    with _open_picture(path) as image:
        turn = _find_turn(image)
        return _set_upright(_convert_to_labels(image), turn)


@contextmanager
def _open_picture(path: Path) -> Iterator[Image.Image]:
    """The picture in a file. All errors become `DatasetError`, whose message names the file.

    Pillow's own limits on pixels and on text in PNG files keep small files from filling the memory.
    """
    try:
        with Image.open(path) as image:
            # A camera's MPO holds other views of the same picture after the first.
            if getattr(image, "is_animated", False) and image.format != "MPO":
                raise _KindError("it has several frames, and a picture has one")
            if image.format == "EPS":
                raise _KindError("EPS is a program that draws a picture")
            yield image
    except FileNotFoundError as error:
        raise DatasetError(f"the image {path} is missing: {AGAIN}") from error
    except _KindError as error:
        raise DatasetError(
            f"the image {path} is damaged or of a kind that is not read ({error}): {ANEW}"
        ) from error
    except Exception as error:  # Pillow's decoders raise errors of many kinds
        fault = str(error) or type(error).__name__
        raise DatasetError(f"the image {path} is damaged ({fault}): {AGAIN}") from error


def _convert_to_rgb(image: Image.Image) -> np.ndarray:
    """The pixels (H, W, 3) uint8 as stored, not yet turned upright. Transparency is dropped."""
    image.load()
    # Netpbm's 16 bits, and those of PNG in Pillow before 10.3, come as mode I.
    if image.mode in GREY_16 or image.mode == "I" and image.format in ("PNG", "PPM"):
        _check_white_is_65535(image)
        grey = (np.asarray(image) >> 8).astype(np.uint8)
        return np.stack([grey] * 3, axis=2)
    if image.mode in ("I", "F"):
        raise _KindError(f"mode {image.mode} does not say which value is white")
    if image.mode == "La":
        image = image.convert("LA")
    elif image.mode in ("P", "PA", "RGBa"):
        image = image.convert("RGBA")
    try:
        return np.asarray(image.convert("RGB"))
    except ValueError as error:
        raise _KindError(f"mode {image.mode} is not known as RGB ({error})") from error


def _check_white_is_65535(image: Image.Image) -> None:
    """Raises _KindError for a TIFF file with fewer than 16 bits, or in which 0 is white."""
    tags = getattr(image, "tag_v2", None)
    if tags is None:
        return
    white = tags.get(ExifTags.Base.PhotometricInterpretation)
    bits = tags.get(ExifTags.Base.BitsPerSample)
    if (white, bits) != (1, (16,)):
        raise _KindError(f"mode {image.mode} of {bits} bits with interpretation {white}")


def _convert_to_labels(image: Image.Image) -> np.ndarray:
    """The labels (H, W) as stored, not yet turned upright."""
    codec, raw_mode = _name_encoding(image)
    if image.format in LOSSY or image.info.get("compression") == "jpeg":
        raise _KindError(f"{image.format} may change a pixel's value, so that it is no label")
    if codec == "ppm":
        raise _KindError("its highest value is none of 1, 255 and 65535")
    values = np.asarray(image)
    if image.mode in ("P", "PA"):
        indices = values if image.mode == "P" else values[..., 0]
        return _convert_indices_to_labels(indices, np.array(image.getpalette()).reshape(-1, 3))
    if image.mode == "1":
        return values.astype(np.uint8)
    if image.mode in ("L", "I", *GREY_16):
        if raw_mode.startswith("L;") and "I" in raw_mode:
            raise _KindError("0 is white in it, so that its values are no labels")
        return values // STRETCH.get(raw_mode[:3], 1)
    if image.mode not in ("LA", "RGB", "RGBA") or ";16" in raw_mode:
        raise _KindError(f"a mask has values of 8 or 16 bits in one channel, not mode {image.mode}")
    channels = values[..., :1] if image.mode == "LA" else values[..., :3]
    if (channels != channels[..., :1]).any():
        raise _KindError(
            f"a mask must have one channel, or the same value in all: of mode {image.mode}, it has "
            "colours, which are no numbers"
        )
    return channels[..., 0]


def _convert_indices_to_labels(indices: np.ndarray, palette: np.ndarray) -> np.ndarray:
    """The labels (H, W) of indices (H, W) into a palette (N, 3).

    In a palette of colours, the labels are the indices. In a palette of greys in even steps from
    black to white, the labels are the numbers of the steps. Any other palette of greys was made by
    a program to save space, and the labels are the greys.
    """
    greys = palette[:, 0]
    if (palette != greys[:, None]).any():
        return indices
    steps = np.unique(greys)
    if (abs(steps - np.linspace(0, 255, len(steps))) < 1).all():  # rounded up or down
        return np.searchsorted(steps, greys)[indices]
    return greys[indices]


def _name_encoding(image: Image.Image) -> tuple[str, str]:
    """Pillow's codec and raw mode for a picture that is not loaded yet."""
    if not image.tile:
        return "", ""
    codec, _, _, arguments = image.tile[0]
    raw_mode = arguments[0] if isinstance(arguments, tuple) and arguments else arguments
    return codec, str(raw_mode)


def _find_turn(image: Image.Image) -> int:
    """EXIF's number for the camera's orientation; 1 (upright) if the file has none.

    EXIF after the pixels of a PNG file is ignored: reading it would need the whole file.
    """
    notes = ("exif", "Raw profile type exif")
    if image.format == "PNG" and not any(note in image.info for note in notes):
        return 1
    if image.format == "TIFF":  # Pillow itself turns TIFF files upright
        return 1
    try:
        turn = image.getexif().get(ExifTags.Base.Orientation, 1)
    except Exception:  # a picture with damaged EXIF data is not itself damaged
        return 1
    return turn if turn in range(1, 9) else 1


def _set_upright(pixels: np.ndarray, turn: int) -> np.ndarray:
    """The pixels (H, W, ...), turned by EXIF's number."""
    return np.ascontiguousarray(TURNS[turn](pixels)) if turn in TURNS else pixels
