"""The one place where images and masks are cropped and resized.

Images are resampled with antialiasing. Masks take the nearest pixel: a mean of labels would be
another object's label.
"""

from __future__ import annotations

import math

import numpy as np
from PIL import Image

from smm_tutorial.scenes.camera import PAPER_CROP, WINDOWED_FRAME_ASPECT, Window

AREA = Image.Resampling.BOX  # mean over each new pixel's area
BILINEAR = (
    Image.Resampling.BILINEAR
)  # triangle filter, widened when shrinking: what CLEVR's users commonly train on
NEAREST = Image.Resampling.NEAREST  # for masks

CROPS = {
    # Slot Attention and its successors: rows 29:221, columns 64:256 of 240 x 320
    "paper": PAPER_CROP,
    "smm": (
        52 / 360,
        112 / 480,
        308 / 360,
        368 / 480,
    ),  # SMM's loader: the central 256 x 256 pixels of 320 x 480
}
"""Windows (top, left, bottom, right), in fractions of CLEVR's 4:3 frame, that the literature cuts
out.
"""

Size = int | tuple[int, int]
Box = tuple[float, float, float, float]


def height_and_width(size: Size) -> tuple[int, int]:
    """`size` as (height, width); one number stands for a square.

    Raises:
        ValueError: anything but one or two whole numbers of at least 1.
    """
    sides = tuple(size) if isinstance(size, tuple | list) else (size, size)
    if len(sides) != 2 or not all(isinstance(side, int) and side >= 1 for side in sides):
        raise ValueError(
            f"size must be in pixels, one number or (height, width), each at least 1, got {size!r}"
        )
    return sides


def crop_window(crop: str | Window | None) -> Window | None:
    """The window that `crop` names, in fractions of the 4:3 frame; None keeps the whole image.

    Raises:
        ValueError: a name not in `CROPS`, or a window not within 0..1.
    """
    if crop is None:
        return None
    if isinstance(crop, str):
        if crop not in CROPS:
            raise ValueError(
                f"unknown crop {crop!r}: known are {', '.join(CROPS)}, None, (top, left, bottom, right)"
            )
        return CROPS[crop]
    if len(crop) != 4 or not (0 <= crop[0] < crop[2] <= 1 and 0 <= crop[1] < crop[3] <= 1):
        raise ValueError(
            f"crop must be (top, left, bottom, right) in fractions of the 4:3 frame, 0..1, got {crop!r}: "
            "for rows 29:221 of 240 divide by 240"
        )
    return tuple(crop)


def crop_box(height: int, width: int, crop: str | Window | None) -> Box:
    """Where `crop` lies in an image of the CLEVR camera: (left, top, right, bottom) in pixels,
    fractions included.

    The camera fits its view to the width, so a wider image (480 x 320) shows the middle rows of the
    4:3 frame (480 x 360), and the same crop shows the same piece of the world in both.

    Raises:
        ValueError: the crop is unknown, or reaches beyond the image.
    """
    window = crop_window(crop)
    if window is None:
        return 0.0, 0.0, float(width), float(height)
    top, left, bottom, right = window
    frame_height, hidden_rows = _frame_rows(height, width)
    box = (
        left * width,
        top * frame_height - hidden_rows,
        right * width,
        bottom * frame_height - hidden_rows,
    )
    box = tuple(round(edge, 6) for edge in box)  # 221 / 240 * 240 must not lie beyond row 221
    if box[1] < 0 or box[3] > height:
        raise ValueError(
            f"crop {crop!r} covers rows {box[1]:g} to {box[3]:g} of an image that has {height} (and {width} columns): "
            "choose a window that lies inside it, or None for the whole image"
        )
    return box


def centre_box(height: int, width: int, side: int | None) -> Box:
    """The square of `side` pixels in the middle of an image, (left, top, right, bottom); None keeps
    the whole image.

    Raises:
        ValueError: the square is larger than the image.
    """
    if side is None:
        return 0.0, 0.0, float(width), float(height)
    if side > min(height, width):
        raise ValueError(
            f"a square of {side} pixels does not fit into an image of {height} x {width} (height x width)"
        )
    left, top = (width - side) // 2, (height - side) // 2
    return float(left), float(top), float(left + side), float(top + side)


def window_of_box(height: int, width: int, box: Box) -> Window:
    """The window (top, left, bottom, right) of the 4:3 frame that a pixel box shows: `crop_box`
    undone.

    Raises:
        ValueError: the box reaches beyond the 4:3 frame, as in an image that is taller than 4:3.
    """
    left, top, right, bottom = box
    frame_height, hidden_rows = _frame_rows(height, width)
    window = (
        (top + hidden_rows) / frame_height,
        left / width,
        (bottom + hidden_rows) / frame_height,
        right / width,
    )
    if window[0] < 0 or window[2] > 1:
        raise ValueError(
            f"an image of {height} x {width} (height x width) is taller than CLEVR's 4:3 frame, so its masks cannot be "
            "computed whole: crop it first"
        )
    return window


def fit_pixels(
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
    height, width = (
        height_and_width(size) if size is not None else (round(bottom - top), round(right - left))
    )
    first_column, first_row = math.floor(left), math.floor(top)
    inside = pixels[
        first_row : math.ceil(bottom), first_column : math.ceil(right)
    ]  # no filter looks beyond the crop
    if inside.shape[:2] == (height, width) == (bottom - top, right - left):
        return inside
    box = (left - first_column, top - first_row, right - first_column, bottom - first_row)
    return np.asarray(Image.fromarray(inside).resize((width, height), resampling, box=box))


def _frame_rows(height: int, width: int) -> tuple[float, float]:
    """Rows of the 4:3 frame at this width, and how many of them lie hidden above the image."""
    frame_height = width / WINDOWED_FRAME_ASPECT
    return frame_height, (frame_height - height) / 2
