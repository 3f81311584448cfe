"""CLEVR's camera: projection, rays, and its position recovered from the record of an image.

The camera is Blender's pinhole camera: a 35 mm lens on a 32 mm sensor that spans the longer side of
the frame ("fit AUTO"). It looks at the world's origin, with z up. Its position is that of the base
scene plus a uniform jitter of up to 0.5 world units along each axis.

Places in an image are fractions of the full frame: column 0 is its left edge and 1 its right edge,
row 0 the top edge and 1 the bottom edge. A *window* (top, left, bottom, right) is a part of the
frame in these units.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch
from scipy.optimize import OptimizeResult, least_squares
from torch import Tensor

from smm_tutorial.arguments import check_whole, show_value
from smm_tutorial.scenes.fields import are_numbers
from smm_tutorial.scenes.records import DIRECTIONS, Scene

CAMERA_POSITION = (7.48113, -6.50764, 5.34367)  # of CLEVR's base scene, before the jitter
CAMERA_JITTER = 0.5
HALF_SENSOR = 0.5 * 32 / 35  # half of the frame's longer side at unit distance from the pinhole

CLEVR_FRAME = (320, 480)  # height, width of CLEVR's images
MASKS_FRAME = (240, 320)  # height, width of CLEVR-with-masks' images
#: The window of the papers in CLEVR-with-masks' images: rows 29:221, columns 64:256.
PAPER_CROP = (29 / 240, 64 / 320, 221 / 240, 256 / 320)
#: The window of CLEVR's own images of 480 x 320 in the 4:3 frame.
OFFICIAL_WINDOW = (1 / 18, 0.0, 17 / 18, 1.0)
WINDOWED_FRAME_ASPECT = 4 / 3  # width / height of the frame that a window is cut from
LONGEST_SIDE = 2**15  # of an image in pixels
STRAIGHT = 1e-9  # radians from the vertical below which a camera looks straight down or up
DEPTH_ERROR = 1e-4  # world units: the precision of Blender's floats
PIXEL_ERROR = 0.3  # pixels: records have rounded columns and rows
FILTER_WIDTH = 1.5  # pixels, Blender's default
#: Weights of cos(2 pi k x), x in 0..1 across the filter (Harris 1978).
BLACKMAN_HARRIS = (0.35875, -0.48829, 0.14128, -0.01168)

Window = tuple[float, float, float, float]
WHOLE_FRAME: Window = (0.0, 0.0, 1.0, 1.0)


class Frame(NamedTuple):
    """The part of the camera's frame that an image shows, and the frame's width / height."""

    window: Window
    aspect: float

    @classmethod
    def of_image(cls, height: int, width: int, window: Window | None = None) -> Frame:
        """The frame of an image of `height` x `width` pixels.

        Without a window the image is the full frame. With a window, the full frame has the aspect
        4:3 of CLEVR-with-masks.

        Raises:
            ValueError: height or width is no whole number from 1 to `LONGEST_SIDE`, or the window
                is not 0 <= top < bottom <= 1 and 0 <= left < right <= 1.
        """
        height = check_whole("height", height, most=LONGEST_SIDE)
        width = check_whole("width", width, most=LONGEST_SIDE)
        if window is None:
            return cls(WHOLE_FRAME, width / height)
        if not are_numbers(window, 4) or not (
            0 <= window[0] < window[2] <= 1 and 0 <= window[1] < window[3] <= 1
        ):
            raise ValueError(
                "window must be (top, left, bottom, right) as fractions of the full frame, between "
                f"0 and 1, with top < bottom and left < right, got {show_value(window)}; for rows "
                "29:221 of 240 divide by 240"
            )
        return cls(tuple(window), WINDOWED_FRAME_ASPECT)

    @property
    def half_extents(self) -> tuple[float, float]:
        """Half of the full frame's width and height at unit distance from the pinhole."""
        longer = max(self.aspect, 1.0)
        return HALF_SENSOR * self.aspect / longer, HALF_SENSOR / longer

    def pixel_angle(self, width: int) -> float:
        """Angle of a pixel in the middle of an image of `width` columns, in radians."""
        return 2 * self.half_extents[0] * (self.window[3] - self.window[1]) / width


def camera_axes(position: np.ndarray) -> np.ndarray:
    """Columns right, up, backward (3, 3) of a camera at `position` (3,), which faces the origin.

    For a camera straight above or below the origin, "right" is CLEVR's direction "right". CLEVR's
    own camera has the same "right" if it moves there.

    Raises:
        ValueError: the camera lies at the origin, or its position is not finite.
    """
    distance = np.linalg.norm(position)
    if not 0 < distance < np.inf:
        raise ValueError(
            f"the camera must lie away from the origin, which it faces, got {position.tolist()}"
        )
    backward = position / distance
    right = np.cross((0.0, 0.0, 1.0), backward)
    if np.linalg.norm(right) < STRAIGHT:
        right = np.array(DIRECTIONS["right"])
    right = right / np.linalg.norm(right)
    return np.stack([right, np.cross(backward, right), backward], axis=1)


def project(points: np.ndarray, position: np.ndarray, aspect: float) -> np.ndarray:
    """Places of world points in the full frame.

    Args:
        points: (N, 3) in world units.
        position: (3,) of the camera.
        aspect: width / height of the full frame.

    Returns:
        (N, 3): column and row as fractions of the frame, and the depth along the optical axis in
        world units. Not finite for points beside the camera, whose depth is 0.
    """
    seen = (np.asarray(points) - position) @ camera_axes(position)  # (N, 3) right, up, backward
    depth = -seen[:, 2]
    half_width, half_height = Frame(WHOLE_FRAME, aspect).half_extents
    with np.errstate(divide="ignore", invalid="ignore"):
        columns = 0.5 + 0.5 * seen[:, 0] / (depth * half_width)
        rows = 0.5 - 0.5 * seen[:, 1] / (depth * half_height)
    return np.stack([columns, rows, depth], axis=1)


def pixel_coords(
    points: np.ndarray, position: np.ndarray, frame: tuple[int, int] = CLEVR_FRAME
) -> list[tuple]:
    """CLEVR's ``pixel_coords`` of world points (N, 3): column and row as integers, and the depth.

    Args:
        points: (N, 3) in world units.
        position: (3,) of the camera.
        frame: height, width of the image in pixels.

    Raises:
        ValueError: a point lies beside the camera, so no image can show it.
    """
    height, width = frame
    projected = project(points, np.asarray(position), width / height)
    if not np.isfinite(projected).all():
        raise ValueError(
            f"points must be finite and lie before the camera at {position}, got {points}"
        )
    return [
        (round(width * column), round(height * row), depth)
        for column, row, depth in projected.tolist()
    ]


def camera_position(
    scene: Scene, frames: Sequence[tuple[int, int]] = (CLEVR_FRAME, MASKS_FRAME)
) -> np.ndarray:
    """The position of the scene's camera: from the record, or recovered from the objects' pixel
    coordinates.

    The depth of an object at p seen from C is |C| - p.C/|C|. A least-squares fit of C to all depths
    (known to float precision) and to the rounded columns and rows finds C. A record does not say
    how many pixels its image has. So every size in `frames` is tried, and the best fit wins.

    Args:
        scene: with ``camera``, or with at least one object that has ``pixel_coords``.
        frames: possible sizes (height, width) of the image.

    Returns:
        (3,) float64 in world units.

    Raises:
        ValueError: the scene has neither a camera nor pixel coordinates, or these do not fit any.
    """
    if scene.camera is not None:
        return np.asarray(scene.camera, dtype=np.float64)
    located = [item for item in scene.objects if item.pixel_coords is not None]
    if not located:
        raise ValueError(
            f"scene {scene.filename} has neither 'camera' nor 'pixel_coords' of any object, so its "
            "camera is unknown; give it one, e.g. dataclasses.replace(scene, "
            f"camera=CAMERA_POSITION) with {CAMERA_POSITION}"
        )
    points = np.array([item.position for item in located], dtype=np.float64)  # (N, 3)
    observed = np.array([item.pixel_coords for item in located], dtype=np.float64)  # (N, 3)
    try:
        fits = [_fit_camera(points, observed, frame) for frame in frames]
    except ValueError as error:
        raise ValueError(
            f"scene {scene.filename}: no camera fits the objects' pixel_coords ({error})"
        ) from error
    return min(fits, key=lambda fit: fit.cost).x


def _fit_camera(points: np.ndarray, observed: np.ndarray, frame: tuple[int, int]) -> OptimizeResult:
    """Least-squares fit of the camera's position to the pixel coordinates `observed` (N, 3) of
    `points` (N, 3).
    """
    height, width = frame
    to_pixels = np.array([width, height, 1.0])
    errors = np.array([PIXEL_ERROR, PIXEL_ERROR, DEPTH_ERROR])

    def residuals(position: np.ndarray) -> np.ndarray:
        # one object does not determine the camera: a weak pull towards the base scene's camera does
        jitter = (position - CAMERA_POSITION) / CAMERA_JITTER
        misfit = (project(points, position, width / height) * to_pixels - observed) / errors
        return np.concatenate([misfit.ravel(), jitter])

    return least_squares(residuals, np.array(CAMERA_POSITION), method="lm", xtol=1e-12, ftol=1e-12)


def subpixel_offsets(samples: int, pixel_filter: str = "box") -> Tensor:
    """Places (S, 2) of a pixel's samples, (row, column); 0..1 is the pixel's square.

    A square number of samples gives a regular grid (one sample: the centre), any other number the
    golden-ratio lattice. The filter "blackman-harris" is `FILTER_WIDTH` pixels wide. The density of
    the samples follows the weights of Blender's filter, so the plain mean of the samples applies
    the filter.
    """
    side = round(samples**0.5)
    index = torch.arange(samples, dtype=torch.float64)
    if side * side == samples:
        rows, columns = (index // side + 0.5) / side, (index % side + 0.5) / side
    else:
        rows, columns = (index + 0.5) / samples, (0.5 + index * 0.6180339887498949) % 1.0
    offsets = torch.stack([rows, columns], dim=1)  # (S, 2)
    return offsets if pixel_filter == "box" else _spread_by_filter(offsets)


def _spread_by_filter(offsets: Tensor) -> Tensor:
    """Uniform places in 0..1, moved so that their density is the Blackman-Harris window."""
    across = np.linspace(0, 1, 1025)
    weights = sum(a * np.cos(2 * np.pi * k * across) for k, a in enumerate(BLACKMAN_HARRIS))
    below = np.cumsum(weights) - weights / 2
    places = np.interp(offsets.numpy(), below / weights.sum(), across)
    return torch.from_numpy(0.5 + FILTER_WIDTH * (places - 0.5))


def camera_rays(height: int, width: int, frame: Frame, offsets: Tensor) -> Tensor:
    """Unit directions (H * W, S, 3) in the camera's axes (right, up, backward) through each pixel's
    samples.

    Args:
        height, width: of the image in pixels.
        frame: what the image shows.
        offsets: (S, 2) from `subpixel_offsets`.
    """
    top, left, bottom, right = frame.window
    half_width, half_height = frame.half_extents
    rows = torch.arange(height)[:, None] + offsets[:, 0]  # (H, S)
    rows = top + (bottom - top) * rows / height
    columns = torch.arange(width)[:, None] + offsets[:, 1]  # (W, S)
    columns = left + (right - left) * columns / width
    up = ((1 - 2 * rows) * half_height)[:, None].expand(height, width, -1)  # (H, W, S)
    across = ((2 * columns - 1) * half_width)[None].expand(height, width, -1)  # (H, W, S)
    directions = torch.stack([across, up, -torch.ones_like(up)], dim=-1)  # (H, W, S, 3)
    return torch.nn.functional.normalize(directions, dim=-1).flatten(0, 1)
