"""Draws outlines of objects in COCO's forms, polygons or run lengths, into masks.

pycocotools draws them in C without checks: a NaN crashes Python, and a far coordinate fills the
memory. So all values from a file are checked here first.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from smm_tutorial.datasets.scene_images import MOST_OBJECTS, DatasetError

MOST_PIXELS = 2**28  # of a picture; Pillow reads no larger pictures
#: Greatest total length of a polygon's edges, in pixels. pycocotools needs 40 bytes per pixel. A
#: polygon that goes 100 times around a picture of 10,000 x 10,000 is no longer.
LONGEST_OUTLINE = 2**22
LEAST_POINTS = 3
#: COCO's strings of run lengths store 5 bits per character. This character stands for 0.
FIRST_CHARACTER = 48
BITS, GOES_ON, SIGN = 5, 0x20, 0x10
MOST_CHARACTERS = 12  # of one run length: 60 bits


def draw_masks(
    outlines: list[Any], height: int, width: int, names: Sequence[str] | None = None
) -> np.ndarray:
    """One map (height, width) uint8 of objects' outlines: k for the k-th object, 0 for none.

    If outlines overlap, the smaller object lies on top.

    Args:
        outlines: COCO's polygons or run lengths; None or [] is an object without an outline, which
            has no pixels.
        height, width: of the image.
        names: of the outlines, for messages; None numbers them from 1.

    Raises:
        DatasetError: pycocotools is not installed.
        ValueError: more than 255 objects, an impossible size, or an outline that is neither
            polygons nor run lengths of such an image.
    """
    try:
        from pycocotools import mask as run_lengths
    except ImportError as error:
        raise DatasetError(
            'masks of COCO need pycocotools: pip install "smm-tutorial[coco]" (or pycocotools), '
            "or pass masks=False"
        ) from error
    if len(outlines) > MOST_OBJECTS:
        raise ValueError(
            f"{len(outlines)} objects, a mask holds at most {MOST_OBJECTS}: "
            f"max_objects={MOST_OBJECTS} leaves such images out"
        )
    if not is_size(height, width):
        raise ValueError(f"an image cannot be {height!r} x {width!r} (height x width)")
    shapes = {}
    for label, outline in enumerate(outlines, start=1):
        if outline is None or outline == []:
            continue
        try:
            safe = _check_outline(outline, height, width)
        except ValueError as error:
            name = f"outline {label}" if names is None else names[label - 1]
            raise ValueError(f"{name}: {error}") from error
        coded = run_lengths.frPyObjects(safe, height, width)
        shapes[label] = run_lengths.merge(coded) if isinstance(coded, list) else coded
    labels = np.zeros((height, width), np.uint8)
    areas = {label: int(run_lengths.area(shape)) for label, shape in shapes.items()}
    for label in sorted(shapes, key=areas.get, reverse=True):  # the smallest lies on top
        labels[run_lengths.decode(shapes[label]).astype(bool)] = label
    return labels


def is_size(height: Any, width: Any) -> bool:
    """Whether the two values are whole numbers of pixels, of a picture that fits into memory."""
    sides = (height, width)
    if any(isinstance(side, bool) or not isinstance(side, int | np.integer) for side in sides):
        return False
    return min(sides) >= 1 and int(height) * int(width) <= MOST_PIXELS


def _check_outline(outline: Any, height: int, width: int) -> list[list[float]] | dict[str, Any]:
    """The outline in a form that pycocotools can draw safely. Raises ValueError for a wrong
    outline.
    """
    if isinstance(outline, dict):
        counts = _check_run_lengths(outline, height, width)
        return {"counts": counts, "size": [height, width]}
    if not isinstance(outline, list) or not all(isinstance(part, list) for part in outline):
        raise ValueError(
            f"{outline!r:.40} is no outline: an outline is a list of polygons [x, y, x, y, ...], "
            'or run lengths {"counts": ..., "size": [height, width]}'
        )
    for polygon in outline:
        _check_polygon(polygon, height, width)
    return outline


def _check_polygon(polygon: list[Any], height: int, width: int) -> None:
    """Raises ValueError unless the polygon is (x, y, x, y, ...) in or near the picture.

    COCO's own polygons leave the picture by less than a pixel. A polygon of an object that the
    picture cuts off may leave it by as much as the longer side.
    """
    if not set(map(type, polygon)) <= {int, float}:
        other = next(value for value in polygon if type(value) not in (int, float))
        raise ValueError(f"a coordinate is {other!r:.40}, which is no number")
    if len(polygon) % 2 or len(polygon) < 2 * LEAST_POINTS:
        raise ValueError(
            f"a polygon has {len(polygon)} coordinates: it needs x and y of at least "
            f"{LEAST_POINTS} points"
        )
    try:
        points = np.array(polygon, dtype=float).reshape(-1, 2)
    except OverflowError as error:
        raise ValueError("a coordinate is an integer beyond all floats") from error
    if not np.isfinite(points).all():
        raise ValueError("a coordinate is infinite or no number")
    beyond = max(-points.min(), (points - (width, height)).max())
    if beyond > max(height, width):
        raise ValueError(
            f"a point lies {beyond:g} pixels beyond the picture of {height} x {width} (height x "
            "width): are the coordinates of another picture?"
        )
    length = np.abs(points - np.roll(points, 1, axis=0)).max(axis=1).sum()
    if length > LONGEST_OUTLINE:
        raise ValueError(
            f"a polygon's edges are {length:,.0f} pixels long, more than {LONGEST_OUTLINE:,}"
        )


def _check_run_lengths(outline: dict[str, Any], height: int, width: int) -> list[int]:
    """The run lengths of a picture of this size, column by column. Raises ValueError if they are
    wrong.
    """
    counts, size = outline.get("counts"), outline.get("size")
    if isinstance(counts, bytes):
        counts = counts.decode("latin-1")
    if isinstance(counts, str):
        counts = _decode_run_lengths(counts)
    if not isinstance(counts, list) or not set(map(type, counts)) <= {int}:
        raise ValueError(f"run lengths must be whole numbers or COCO's text, got {counts!r:.40}")
    if size != [height, width] or sum(counts) != height * width or min(counts) < 0:
        raise ValueError(
            f"run lengths of {size!r:.40} do not fill an image of {height} x {width} (height x "
            "width)"
        )
    return counts


def _decode_run_lengths(text: str) -> list[int]:
    """The run lengths in COCO's text, which stores each as a change. Raises ValueError."""
    counts: list[int] = []
    value = shift = 0
    for character in text:
        bits = ord(character) - FIRST_CHARACTER
        if not 0 <= bits < 2 * GOES_ON or shift == BITS * MOST_CHARACTERS:
            raise ValueError(f"{text!r:.40} is no text of run lengths")
        value |= (bits & (GOES_ON - 1)) << shift
        shift += BITS
        if bits & GOES_ON:
            continue
        if bits & SIGN:
            value -= 1 << shift
        if len(counts) > 2:
            value += counts[-2]
        counts.append(value)
        value = shift = 0
    if shift:
        raise ValueError(f"{text!r:.40} is a text of run lengths that is cut short")
    return counts
