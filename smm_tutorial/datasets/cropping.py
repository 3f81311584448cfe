"""Crop and resize images and masks. No other module of the library does this.

`crop_box` and `centre_box` find a crop as a box of pixels, and `crop_and_resize` cuts out the box.
Images are resampled with antialiasing. Masks take the nearest pixel, because a mean of two labels
would be the label of another object.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial

import numpy as np
from PIL import Image

from smm_tutorial.arguments import check_whole, show_value
from smm_tutorial.scenes.camera import LONGEST_SIDE, PAPER_CROP, WINDOWED_FRAME_ASPECT, Window
from smm_tutorial.scenes.fields import are_numbers

AREA = Image.Resampling.BOX  # mean over each new pixel's area
BILINEAR = Image.Resampling.BILINEAR  # antialiased triangle filter: common for CLEVR
NEAREST = Image.Resampling.NEAREST  # for masks

#: Windows of the literature: (top, left, bottom, right) in fractions of CLEVR's 4:3 frame.
CROPS = {
    # Slot Attention and its successors: rows 29:221, columns 64:256 of 240 x 320
    "paper": PAPER_CROP,
    # SMM's loader: the central 256 x 256 pixels of 320 x 480
    "smm": (52 / 360, 112 / 480, 308 / 360, 368 / 480),
}

Size = int | tuple[int, int]
Box = tuple[float, float, float, float]  # left, top, right, bottom in pixels
FindBox = Callable[[int, int], Box]  # from an image's height and width


def height_and_width(size: Size) -> tuple[int, int]:
    """`size` as (height, width); one number stands for a square.

    Raises:
        ValueError: anything but one or two whole numbers of at least 1.
    """
    sides = tuple(size) if isinstance(size, tuple | list) else (size, size)
    if len(sides) != 2:
        raise ValueError(
            f"size must be one number of pixels or (height, width), got {show_value(size)}"
        )
    return tuple(check_whole("size", side, most=LONGEST_SIDE) for side in sides)


def result_size(box: Box, size: Size | None) -> tuple[int, int]:
    """Height and width of the content of `box` at `size`. None keeps the scale."""
    left, top, right, bottom = box
    if size is not None:
        return height_and_width(size)
    return max(1, round(bottom - top)), max(1, round(right - left))


def crop_box(height: int, width: int, crop: str | Window | None) -> Box:
    """The box of `crop`, in pixels (not rounded), in an image of the CLEVR camera.

    The camera fits its view to the width, so a wider image (480 x 320) shows the middle rows of the
    4:3 frame (480 x 360). The same crop shows the same part of the world in both.

    Args:
        height, width: of the image.
        crop: a name of `CROPS`, a window (top, left, bottom, right) in fractions of the 4:3 frame,
            or None for the whole image.

    Raises:
        ValueError: the crop is unknown, or reaches beyond the image.
    """
    if crop is None:
        return 0.0, 0.0, float(width), float(height)
    top, left, bottom, right = _find_window(crop)
    frame_height, hidden_rows = _measure_frame(height, width)
    box = (
        left * width,
        top * frame_height - hidden_rows,
        right * width,
        bottom * frame_height - hidden_rows,
    )
    box = tuple(round(edge, 6) for edge in box)  # 221 / 240 * 240 must not lie beyond row 221
    if box[1] < 0 or box[3] > height:
        raise ValueError(
            f"crop {crop!r} covers rows {box[1]:g} to {box[3]:g} of an image that has {height} "
            f"(and {width} columns): choose a window that lies inside it, or None for the whole "
            "image"
        )
    return box


def centre_box(height: int, width: int, share: float | None) -> Box:
    """The box of the central square. share: its side as a share of the shorter side; None keeps the
    whole image.
    """
    if share is None:
        return 0.0, 0.0, float(width), float(height)
    side = max(1, int(share * min(height, width)))
    left, top = (width - side) // 2, (height - side) // 2
    return float(left), float(top), float(left + side), float(top + side)


def centre_crop(crop: str | None, known: str, meaning: str, share: float) -> FindBox:
    """A function that finds the box of `crop`, for a data set with one named central square.

    Args:
        crop: the name that the user gives; None for the whole image.
        known: the name of the square.
        meaning: of that name, in words.
        share: the square's side as a share of the image's shorter side.

    Raises:
        ValueError: `crop` is another name.
    """
    if crop not in (None, known):
        raise ValueError(f'crop must be "{known}" ({meaning}) or None, got {crop!r}')
    return partial(centre_box, share=None if crop is None else share)


def window_of_box(height: int, width: int, box: Box) -> Window:
    """The window (top, left, bottom, right) of the 4:3 frame inside a box: the inverse of
    `crop_box`.

    Raises:
        ValueError: the box reaches beyond the 4:3 frame, as in an image that is taller than 4:3.
    """
    left, top, right, bottom = box
    frame_height, hidden_rows = _measure_frame(height, width)
    window = (
        (top + hidden_rows) / frame_height,
        left / width,
        (bottom + hidden_rows) / frame_height,
        right / width,
    )
    if window[0] < 0 or window[2] > 1:
        raise ValueError(
            f"an image of {height} x {width} (height x width) is taller than CLEVR's 4:3 frame, "
            "so its masks cannot be computed whole: crop it first"
        )
    return window


def crop_and_resize(
    pixels: np.ndarray, box: Box, size: Size | None, resampling: Image.Resampling
) -> np.ndarray:
    """The part of an image or mask inside `box`, at `size`.

    Args:
        pixels: uint8, an image (H, W, 3) or a mask (H, W).
        box: (left, top, right, bottom) in pixels.
        size: height and width of the result; None keeps the scale.
        resampling: `AREA` or `BILINEAR` for images, `NEAREST` for masks.

    Returns:
        uint8 (height, width, 3) or (height, width).
    """
    left, top, right, bottom = box
    height, width = result_size(box, size)
    first_row, first_column = math.floor(top), math.floor(left)
    # Cut first: no filter then mixes in pixels outside the crop.
    inside = pixels[first_row : math.ceil(bottom), first_column : math.ceil(right)]
    if inside.shape[:2] == (height, width) == (bottom - top, right - left):
        return inside
    box = (left - first_column, top - first_row, right - first_column, bottom - first_row)
    return np.asarray(Image.fromarray(inside).resize((width, height), resampling, box=box))


def _find_window(crop: str | Window) -> Window:
    """The window for a name, or the given window. Raises `ValueError` for anything else."""
    if isinstance(crop, str):
        if crop not in CROPS:
            known = ", ".join(CROPS)
            raise ValueError(
                f"unknown crop {crop!r}: known are {known}, None, (top, left, bottom, right)"
            )
        return CROPS[crop]
    if not are_numbers(crop, 4) or not (
        0 <= crop[0] < crop[2] <= 1 and 0 <= crop[1] < crop[3] <= 1
    ):
        raise ValueError(
            "crop must be (top, left, bottom, right) in fractions of the 4:3 frame, 0..1, "
            f"got {show_value(crop)}: for rows 29:221 of 240 divide by 240"
        )
    return tuple(crop)


def _measure_frame(height: int, width: int) -> tuple[float, float]:
    """Number of rows of the 4:3 frame at this width, and how many of them lie above the image."""
    frame_height = width / WINDOWED_FRAME_ASPECT
    return frame_height, (frame_height - height) / 2
