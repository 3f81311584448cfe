"""A small ray tracer for CLEVR scenes, batched in torch.

Rays through each pixel, light from every lamp with soft shadows, light from the surroundings fitted
to Blender's renders, and metal that mirrors the scene sharply and roughly; `effects.Effects`
switches each of these. Scenes may have a mirror and textures, which cost nothing where no scene has
them. `shading` says what comes back along a ray; this module sends the rays from the cameras and
makes images of the light.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import chain
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from smm_tutorial.scenes.ambient import surroundings_of
from smm_tutorial.scenes.camera import (
    Frame,
    Window,
    camera_axes,
    camera_position,
    camera_rays,
    subpixel_offsets,
)
from smm_tutorial.scenes.effects import Effects
from smm_tutorial.scenes.geometry import ROUNDING, SHARP, Rays, pack_objects
from smm_tutorial.scenes.lighting import pack_lamps
from smm_tutorial.scenes.mirrors import first_objects, pack_mirrors
from smm_tutorial.scenes.records import Scene
from smm_tutorial.scenes.shading import World, radiance
from smm_tutorial.scenes.textures import pack_textures

#: Goes up with every change of the pixels or of the scenes that a seed draws. Cached renders and the
#: committed packs go by it; `tests/unit/scenes/test_renderer_version.py` tells when it must.
RENDERER_VERSION = 1
RAYS_PER_CHUNK = {
    "cpu": 65_536,
    "cuda": 1_048_576,
}  # bounds the memory: the largest tensors are (rays, objects)


class Rendering(NamedTuple):
    """Images and masks of B scenes."""

    images: Tensor  # (B, 3, H, W) float32 in [0, 1], sRGB
    # (B, H, W) int64, 0 = background and mirrors, k = the scene's k-th object, seen at the pixel's
    # centre
    masks: Tensor


def render(
    scenes: Sequence[Scene],
    height: int,
    width: int,
    samples: int = 1,
    device: torch.device | str = "cpu",
    window: Window | None = None,
    effects: Effects | None = None,
) -> Rendering:
    """Images of CLEVR scenes, with the masks of their objects.

    The same scenes give the same images: nothing here is random.

    Args:
        scenes: B scenes. A camera that a scene does not carry is recovered from its
        ``pixel_coords``; lamps that it
            does not carry stand where CLEVR's base scene has them.
        height, width: of the images in pixels.
        samples: rays for each pixel, averaged.
        device: where to compute, and where the results lie.
        window: (top, left, bottom, right), the part of the full 4:3 frame to show, as fractions of
        it, e.g.
            `PAPER_CROP`; None shows the full frame, whose aspect is that of height and width.
        effects: what to simulate; None for the most faithful choice, `Effects()`.

    Returns:
        images (B, 3, H, W) float32 in [0, 1], sRGB, and masks (B, H, W) int64 at the pixels'
        centres, those of `masks.scene_masks`: a mirror is background, whatever it shows.

    Raises:
        ValueError: an impossible size, window or number of samples, no scenes, or a scene without a
        known camera.
    """
    if isinstance(scenes, Scene) or not scenes:
        raise ValueError(
            f"render needs a list of at least one scene, got {scenes!r:.60}; pass [scene] for a single"
        )
    if samples < 1:
        raise ValueError(f"samples must be at least 1, got {samples}")
    effects = Effects() if effects is None else effects
    frame = Frame.of_image(height, width, window)
    through = pixel_rays(height, width, frame, samples, effects.pixel_filter).to(
        device
    )  # (3, H * W, S)
    centre = pixel_rays(height, width, frame, 1).to(device)  # (3, H * W, 1)
    sample_angle = frame.pixel_angle(width) / samples**0.5

    limit = RAYS_PER_CHUNK.get(torch.device(device).type, RAYS_PER_CHUNK["cpu"])
    together = max(1, limit // (height * width * samples))  # scenes in a chunk
    images, masks = [], []
    for first in range(0, len(scenes), together):
        some = scenes[first : first + together]
        world = _world(some, effects, sample_angle, device)
        cameras = cameras_of(some, device)
        colors, labels = [], []
        for start in range(0, height * width, max(1, limit // samples)):
            part = slice(start, start + max(1, limit // samples))
            light, objects = radiance(
                world, cameras.rays(through[:, part]), effects.bounces, samples=samples
            )
            colors.append(_average(light.reshape(3, len(some), -1, samples), effects))
            if samples > 1 or world.mirrors is not None:
                objects = first_objects(world.objects, world.mirrors, cameras.rays(centre[:, part]))
            slots = world.objects.radii.shape[1]
            labels.append(((objects.remainder(slots) + 1) * (objects >= 0)).reshape(len(some), -1))
        images.append(
            torch.cat(colors, dim=-1).transpose(0, 1).reshape(len(some), 3, height, width)
        )
        masks.append(torch.cat(labels, dim=-1).reshape(len(some), height, width))
    return Rendering(torch.cat(images), torch.cat(masks))


class Cameras(NamedTuple):
    """The cameras of B scenes."""

    positions: Tensor  # (3, B)
    axes: Tensor  # (B, 3, 3), columns right, up, backward

    def rays(self, through: Tensor) -> Rays:
        """The rays (B * P * S) of every camera along directions (3, P, S) in its own axes."""
        directions = torch.einsum("bwc,cr->wbr", self.axes, through.flatten(1))  # (3, B, P * S)
        count = directions.shape[2]
        scenes = torch.arange(len(self.axes), device=through.device).repeat_interleave(count)
        return Rays(self.positions.repeat_interleave(count, 1), directions.reshape(3, -1), scenes)


def encode_srgb(linear: Tensor) -> Tensor:
    """Linear light, cut to [0, 1], in the sRGB encoding of image files (IEC 61966-2-1)."""
    linear = linear.clamp(0, 1)
    return torch.where(
        linear <= 0.0031308, 12.92 * linear, 1.055 * linear.clamp(min=1e-4) ** (1 / 2.4) - 0.055
    )


def _world(
    scenes: Sequence[Scene], effects: Effects, sample_angle: float, device: torch.device | str
) -> World:
    objects = pack_objects(scenes, device, ROUNDING if effects.edges == "round" else SHARP)
    lamps = pack_lamps(scenes, device, effects.lamps)
    slots = objects.radii.shape[1]
    worn = [
        [item.texture for item in scene.objects] + [None] * (slots - len(scene.objects))
        for scene in scenes
    ]
    grounds = pack_textures([scene.ground_texture for scene in scenes], device)
    return World(
        objects,
        lamps,
        surroundings_of(objects, lamps, grounds=grounds),
        effects,
        sample_angle,
        pack_mirrors(scenes, device),
        pack_textures(list(chain.from_iterable(worn)), device),
        grounds,
    )


def cameras_of(scenes: Sequence[Scene], device: torch.device | str) -> Cameras:
    """The cameras of all scenes (float32), recovered where a scene does not carry its own."""
    positions = np.stack([camera_position(scene) for scene in scenes])
    axes = np.stack([camera_axes(position) for position in positions])
    return Cameras(
        torch.from_numpy(positions.T.copy()).float().to(device),
        torch.from_numpy(axes).float().to(device),
    )


def pixel_rays(
    height: int, width: int, frame: Frame, samples: int, pixel_filter: str = "box"
) -> Tensor:
    """Unit directions (3, H * W, S) in the camera's axes through each pixel's samples."""
    through = camera_rays(
        height, width, frame, subpixel_offsets(samples, pixel_filter)
    )  # (H * W, S, 3)
    return through.float().permute(2, 0, 1).contiguous()


def _average(light: Tensor, effects: Effects) -> Tensor:
    """The display values (...) of pixels whose samples saw `light` (..., S)."""
    return (
        encode_srgb(light).mean(-1) if effects.average == "display" else encode_srgb(light.mean(-1))
    )
