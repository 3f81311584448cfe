"""A small ray tracer for CLEVR scenes, batched in torch.

It sends rays through each pixel. It simulates light from every lamp with soft shadows, ambient
light that is fitted to Blender's renders, and metal that mirrors the scene sharply and roughly.
`effects.Effects` switches each of these. Scenes may have a mirror and textures; without them they
cost nothing. `shading` computes the light that comes back along a ray. This module sends the rays
from the cameras and makes images of the light.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import chain
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from smm_tutorial.arguments import check_whole, show_value
from smm_tutorial.scenes.ambient import pack_surroundings
from smm_tutorial.scenes.camera import (
    Frame,
    Window,
    camera_axes,
    camera_position,
    camera_rays,
    subpixel_offsets,
)
from smm_tutorial.scenes.effects import Effects
from smm_tutorial.scenes.geometry import ROUNDING, SHARP, Rays, check_outside, pack_objects
from smm_tutorial.scenes.lighting import pack_lamps
from smm_tutorial.scenes.mirrors import pack_mirrors, seen_objects
from smm_tutorial.scenes.records import Scene, check_scene
from smm_tutorial.scenes.shading import World, radiance
from smm_tutorial.scenes.textures import pack_textures

#: Raise this number with every change of the pixels, or of the scenes that a seed draws. Cached
#: renders and committed packs depend on it. `tests/unit/scenes/test_renderer_version.py` checks it.
RENDERER_VERSION = 1
#: By device. It bounds the memory: the largest tensors have the shape (rays, objects).
RAYS_PER_CHUNK = {"cpu": 65_536, "cuda": 1_048_576}


class Rendering(NamedTuple):
    """Images and masks of B scenes."""

    images: Tensor  # (B, 3, H, W) float32 in [0, 1], sRGB
    masks: Tensor  # (B, H, W) int64, 0 = background and mirrors, k = the scene's k-th object


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
        scenes: B scenes. A missing camera is recovered from ``pixel_coords``; missing lamps stand
            where CLEVR's base scene has them.
        height, width: of the images in pixels.
        samples: rays per pixel, averaged.
        device: where the images are computed and returned.
        window: (top, left, bottom, right), the part of the full 4:3 frame to show, as fractions of
            the frame, e.g. `PAPER_CROP`. None shows the full frame, with the aspect of height and
            width.
        effects: what to simulate; None for the most faithful choice, `Effects()`.

    Returns:
        images (B, 3, H, W) float32 in [0, 1], sRGB, and masks (B, H, W) int64 at the pixels'
        centres, as from `masks.scene_masks`: a mirror is background, even where it shows an object.

    Raises:
        ValueError: no scenes; an impossible size, window or number of samples; a scene that no
            valid record could describe; a camera that is unknown or lies in an object.
    """
    if isinstance(scenes, Scene) or not isinstance(scenes, Sequence) or not scenes:
        raise ValueError(
            f"render needs a list of at least one scene, got {show_value(scenes)}; "
            "pass [scene] for a single"
        )
    for scene in scenes:
        check_scene(scene)
    frame = Frame.of_image(height, width, window)
    height, width, samples = int(height), int(width), check_whole("samples", samples)
    effects = Effects() if effects is None else effects
    through = pixel_rays(height, width, frame, samples, effects.pixel_filter).to(device)
    centres = pixel_rays(height, width, frame, 1).to(device)  # (3, H * W, 1)
    sample_angle = frame.pixel_angle(width) / samples**0.5

    limit = RAYS_PER_CHUNK.get(torch.device(device).type, RAYS_PER_CHUNK["cpu"])
    scenes_at_once = max(1, limit // (height * width * samples))
    pixels_at_once = max(1, limit // samples)
    images, masks = [], []
    for first in range(0, len(scenes), scenes_at_once):
        some = scenes[first : first + scenes_at_once]
        world = build_world(some, effects, sample_angle, device)
        cameras = pack_cameras(some, device)
        parts = zip(through.split(pixels_at_once, 1), centres.split(pixels_at_once, 1), strict=True)
        colors, labels = zip(
            *(_render_pixels(world, cameras, *part) for part in parts), strict=True
        )
        images.append(torch.cat(colors, dim=-1).reshape(len(some), 3, height, width))
        _check_light(images[-1], some)
        masks.append(torch.cat(labels, dim=-1).reshape(len(some), height, width))
    return Rendering(torch.cat(images), torch.cat(masks))


class Cameras(NamedTuple):
    """The cameras of B scenes."""

    positions: Tensor  # (3, B)
    axes: Tensor  # (B, 3, 3), columns right, up, backward

    def rays(self, through: Tensor) -> Rays:
        """The rays (B * P * S) of every camera. through: (3, P, S), directions in the camera's own
        axes.
        """
        directions = torch.einsum("bwc,cr->wbr", self.axes, through.flatten(1))  # (3, B, P * S)
        count = directions.shape[2]
        scenes = torch.arange(len(self.axes), device=through.device).repeat_interleave(count)
        return Rays(self.positions.repeat_interleave(count, 1), directions.reshape(3, -1), scenes)


def pack_cameras(scenes: Sequence[Scene], device: torch.device | str) -> Cameras:
    """The cameras of all scenes (float32). A missing camera is recovered from the record."""
    positions = np.stack([camera_position(scene) for scene in scenes])
    for scene, position in zip(scenes, positions, strict=True):
        check_outside(scene, position)
    axes = np.stack([camera_axes(position) for position in positions])
    return Cameras(
        torch.from_numpy(positions.T.copy()).float().to(device),
        torch.from_numpy(axes).float().to(device),
    )


def pixel_rays(
    height: int, width: int, frame: Frame, samples: int, pixel_filter: str = "box"
) -> Tensor:
    """Unit directions (3, H * W, S) in the camera's axes through each pixel's samples."""
    offsets = subpixel_offsets(samples, pixel_filter)
    through = camera_rays(height, width, frame, offsets)  # (H * W, S, 3)
    return through.float().permute(2, 0, 1).contiguous()


def build_world(
    scenes: Sequence[Scene], effects: Effects, sample_angle: float, device: torch.device | str
) -> World:
    """Everything in the scenes that reflects or sends light, as tensors."""
    objects = pack_objects(scenes, device, ROUNDING if effects.edges == "round" else SHARP)
    lamps = pack_lamps(scenes, device, effects.lamps)
    grounds = pack_textures([scene.ground_texture for scene in scenes], device)
    most = objects.radii.shape[1]
    textures = [
        [item.texture for item in scene.objects] + [None] * (most - len(scene.objects))
        for scene in scenes
    ]
    return World(
        objects=objects,
        lamps=lamps,
        surroundings=pack_surroundings(objects, lamps, grounds=grounds),
        effects=effects,
        sample_angle=sample_angle,
        mirrors=pack_mirrors(scenes, device),
        textures=pack_textures(list(chain.from_iterable(textures)), device),
        grounds=grounds,
    )


def _render_pixels(
    world: World, cameras: Cameras, through: Tensor, centres: Tensor
) -> tuple[Tensor, Tensor]:
    """Display values (B, 3, P) and labels (B, P) of P pixels of B scenes.

    Args:
        through: (3, P, S) directions of the pixels' samples in the camera's axes.
        centres: (3, P, 1) directions of the pixels' centres.
    """
    _, pixels, samples = through.shape
    light, seen = radiance(world, cameras.rays(through), world.effects.bounces, samples=samples)
    light = light.reshape(3, -1, pixels, samples).transpose(0, 1)  # (B, 3, P, S)
    if world.effects.average == "display":
        colors = encode_srgb(light).mean(-1)
    else:
        colors = encode_srgb(light.mean(-1))
    if samples > 1 or world.mirrors is not None:
        seen = seen_objects(world.objects, world.mirrors, cameras.rays(centres))
    labels = (seen.remainder(world.objects.radii.shape[1]) + 1) * (seen >= 0)
    return colors, labels.reshape(-1, pixels)


def _check_light(images: Tensor, scenes: Sequence[Scene]) -> None:
    """Raises `ValueError` if images (B, 3, H, W) of B scenes contain a NaN."""
    wrong = ~images.isfinite().flatten(1).all(1)
    for index in wrong.nonzero().flatten().tolist():
        raise ValueError(
            f"scene {scenes[index].filename} has pixels whose light is no number: objects, lamps, "
            "mirror or camera lie in each other or too far away; move them apart"
        )


def encode_srgb(linear: Tensor) -> Tensor:
    """Linear light, cut to [0, 1], in the sRGB encoding of image files (IEC 61966-2-1)."""
    linear = linear.clamp(0, 1)
    return torch.where(
        linear <= 0.0031308, 12.92 * linear, 1.055 * linear.clamp(min=1e-4) ** (1 / 2.4) - 0.055
    )
