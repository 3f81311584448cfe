"""Which object is seen where: masks from a scene record alone."""

from __future__ import annotations

import torch
from torch import Tensor

from smm_tutorial.scenes.camera import Frame, Window, camera_axes, camera_position, camera_rays, subpixel_offsets
from smm_tutorial.scenes.geometry import Rays, nearest_hits, pack_objects
from smm_tutorial.scenes.records import Scene


def scene_masks(scene: Scene, height: int, width: int, window: Window | None = None) -> Tensor:
    """The object seen at the centre of each pixel.

    Args:
        scene: the scene; a camera that it does not carry is recovered from its ``pixel_coords``.
        height, width: of the mask in pixels.
        window: (top, left, bottom, right), the part of the full 4:3 frame to show, as fractions of it, e.g.
            `PAPER_CROP`; None shows the full frame, whose aspect is that of height and width.

    Returns:
        (H, W) int64: 0 = background, k = the scene's k-th object, counted from 1.

    Raises:
        ValueError: an impossible size or window, or a scene whose camera is neither given nor recoverable.
    """
    frame = Frame.of_image(height, width, window)
    position = camera_position(scene)
    axes = torch.from_numpy(camera_axes(position)).float()
    directions = (camera_rays(height, width, frame, subpixel_offsets(1)).float().squeeze(1) @ axes.T).T.contiguous()
    rays = Rays(
        origins=torch.from_numpy(position).float()[:, None].expand_as(directions),
        directions=directions,
        scenes=torch.zeros(height * width, dtype=torch.int64),
    )
    hits = nearest_hits(pack_objects([scene]), rays)
    return (hits.objects + 1).reshape(height, width)
