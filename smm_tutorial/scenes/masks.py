"""Masks from a scene record alone: the object that each pixel shows."""

from __future__ import annotations

import torch
from torch import Tensor

from smm_tutorial.scenes.camera import (
    Frame,
    Window,
    camera_axes,
    camera_position,
    camera_rays,
    subpixel_offsets,
)
from smm_tutorial.scenes.geometry import Rays, check_outside, nearest_hits, pack_objects
from smm_tutorial.scenes.mirrors import meet_mirrors, mirror_rays, pack_mirrors, seen_objects
from smm_tutorial.scenes.records import Scene, check_scene


def scene_masks(scene: Scene, height: int, width: int, window: Window | None = None) -> Tensor:
    """The object seen at the centre of each pixel.

    Args:
        scene: the scene. If it has no camera, the camera is recovered from ``pixel_coords``.
        height, width: of the mask in pixels.
        window: (top, left, bottom, right), the part of the full 4:3 frame to show, as fractions of
            the frame, e.g. `PAPER_CROP`. None shows the full frame, with the aspect of height and
            width.

    Returns:
        (H, W) int64: 0 = background, k = the scene's k-th object, counted from 1. A mirror is
        background, also where it shows an object: a reflection is not the object.

    Raises:
        ValueError: an impossible size or window; a scene that no valid record could describe; a
            camera that is unknown or lies in an object.
    """
    rays = _pixel_rays(scene, height, width, window)
    seen = seen_objects(pack_objects([scene]), pack_mirrors([scene]), rays)
    return (seen + 1).reshape(height, width)


def reflection_masks(scene: Scene, height: int, width: int, window: Window | None = None) -> Tensor:
    """The object that the scene's mirror shows at the centre of each pixel.

    Arguments and errors as in `scene_masks`.

    Returns:
        (H, W) int64: k = the reflection of the scene's k-th object, 0 = anything else.
    """
    rays = _pixel_rays(scene, height, width, window)
    objects, mirrors = pack_objects([scene]), pack_mirrors([scene])
    shown = torch.zeros(height * width, dtype=torch.int64)
    if mirrors is not None:
        meetings = meet_mirrors(mirrors, rays)
        is_glass = ~meetings.on_frame & (meetings.distances < nearest_hits(objects, rays).distances)
        places = is_glass.nonzero().squeeze(1)
        onward = mirror_rays(mirrors, rays, meetings.distances, places)
        shown[places] = nearest_hits(objects, onward).objects + 1
    return shown.reshape(height, width)


def _pixel_rays(scene: Scene, height: int, width: int, window: Window | None) -> Rays:
    """The rays (H * W) through the centres of all pixels."""
    check_scene(scene)
    frame = Frame.of_image(height, width, window)
    position = camera_position(scene)
    check_outside(scene, position)
    axes = torch.from_numpy(camera_axes(position)).float()
    through = camera_rays(height, width, frame, subpixel_offsets(1)).float().squeeze(1)
    directions = (through @ axes.T).T.contiguous()
    return Rays(
        origins=torch.from_numpy(position).float()[:, None].expand_as(directions),
        directions=directions,
        scenes=torch.zeros(directions.shape[1], dtype=torch.int64),
    )


def count_labels(mask: Tensor, count: int) -> Tensor:
    """Number of pixels (count,) of each label from 1 to `count` in an integer map (H, W)."""
    return mask.flatten().long().bincount(minlength=count + 1)[1:]
