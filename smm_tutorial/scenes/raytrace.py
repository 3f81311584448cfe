"""A small ray tracer for CLEVR scenes, batched in torch.

Primary rays through each pixel, direct light from every lamp with shadow rays, a hand-set ambient light, and one mirror
bounce for metal. Surfaces: Lambert's law for rubber and ground with a weak gloss on rubber, a tinted mirror with glossy
lamp highlights for metal.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from smm_tutorial.scenes.camera import Frame, Window, camera_axes, camera_position, camera_rays, subpixel_offsets
from smm_tutorial.scenes.geometry import Objects, Rays, is_blocked, nearest_hits, pack_objects, surface_normals
from smm_tutorial.scenes.ground import REFLECTANCE, ground_distances, ground_normals
from smm_tutorial.scenes.lighting import Lamps, ambient_irradiance, light_from, pack_lamps
from smm_tutorial.scenes.materials import metal_highlight, metal_mirror, rubber_body, rubber_gloss
from smm_tutorial.scenes.records import Scene

RAYS_PER_CHUNK = {"cpu": 65_536, "cuda": 2_097_152}  # bounds the memory: the largest tensors are (rays, objects)
LIFT = 1e-3  # world units by which a ray from the ground starts above it


class Rendering(NamedTuple):
    """Images and masks of B scenes."""

    images: Tensor  # (B, 3, H, W) float32 in [0, 1], sRGB
    masks: Tensor  # (B, H, W) int64, 0 = background, k = the scene's k-th object, seen at the pixel's centre


class World(NamedTuple):
    """Everything that light meets in B scenes."""

    objects: Objects
    lamps: Lamps


class Surface(NamedTuple):
    """What N rays see first."""

    points: Tensor  # (N, 3)
    normals: Tensor  # (N, 3)
    objects: Tensor  # (N,) index of the object in its scene, -1 for the ground
    exists: Tensor  # (N,) False where a ray leaves into the black world


def render(
    scenes: Sequence[Scene],
    height: int,
    width: int,
    samples: int = 1,
    device: torch.device | str = "cpu",
    window: Window | None = None,
) -> Rendering:
    """Images of CLEVR scenes, with the masks of their objects.

    The same scenes give the same images: nothing here is random. The ambient light is hand set (see
    `lighting.ambient_irradiance`).

    Args:
        scenes: B scenes. A camera that a scene does not carry is recovered from its ``pixel_coords``; lamps that it
            does not carry stand where CLEVR's base scene has them.
        height, width: of the images in pixels.
        samples: rays for each pixel, averaged.
        device: where to compute, and where the results lie.
        window: (top, left, bottom, right), the part of the full 4:3 frame to show, as fractions of it, e.g.
            `PAPER_CROP`; None shows the full frame, whose aspect is that of height and width.

    Returns:
        images (B, 3, H, W) float32 in [0, 1], sRGB, and masks (B, H, W) int64 at the pixels' centres.

    Raises:
        ValueError: an impossible size, window or number of samples, no scenes, or a scene without a known camera.
    """
    if isinstance(scenes, Scene) or not scenes:
        raise ValueError(f"render needs a list of at least one scene, got {scenes!r:.60}; pass [scene] for a single")
    if samples < 1:
        raise ValueError(f"samples must be at least 1, got {samples}")
    frame = Frame.of_image(height, width, window)
    world = World(pack_objects(scenes, device), pack_lamps(scenes, device))
    positions = np.stack([camera_position(scene) for scene in scenes])
    cameras = torch.from_numpy(positions).float().to(device)  # (B, 3)
    axes = torch.from_numpy(np.stack([camera_axes(p) for p in positions])).float().to(device)  # (B, 3, 3)
    through = camera_rays(height, width, frame, subpixel_offsets(samples)).float().to(device)  # (H * W, S, 3)
    centre = camera_rays(height, width, frame, subpixel_offsets(1)).float().to(device)  # (H * W, 1, 3)

    pixels = height * width
    chunk = max(1, RAYS_PER_CHUNK.get(torch.device(device).type, RAYS_PER_CHUNK["cpu"]) // samples)
    colors, masks = [], []
    for index in torch.arange(len(scenes) * pixels, device=device).split(chunk):
        scene, pixel = index // pixels, index % pixels  # (P,)
        rays = _rays_to_world(through[pixel], scene, cameras, axes)
        seen, objects = _radiance(world, rays, bounces=1)
        colors.append(seen.reshape(-1, samples, 3).mean(1))
        if samples > 1:
            objects = nearest_hits(world.objects, _rays_to_world(centre[pixel], scene, cameras, axes)).objects
        masks.append(objects + 1)
    images = encode_srgb(torch.cat(colors)).reshape(len(scenes), height, width, 3).permute(0, 3, 1, 2).contiguous()
    return Rendering(images, torch.cat(masks).reshape(len(scenes), height, width))


def encode_srgb(linear: Tensor) -> Tensor:
    """Linear light, cut to [0, 1], in the sRGB encoding of image files (IEC 61966-2-1)."""
    linear = linear.clamp(0, 1)
    return torch.where(linear <= 0.0031308, 12.92 * linear, 1.055 * linear.clamp(min=1e-4) ** (1 / 2.4) - 0.055)


def _rays_to_world(directions: Tensor, scene: Tensor, cameras: Tensor, axes: Tensor) -> Rays:
    """Rays (P * S) from the cameras of scenes (P,) along directions (P, S, 3) in the cameras' axes."""
    samples = directions.shape[1]
    turned = torch.einsum("psc,pwc->psw", directions, axes[scene]).reshape(-1, 3)
    scene = scene.repeat_interleave(samples)
    return Rays(cameras[scene], turned, scene)


def _radiance(world: World, rays: Rays, bounces: int, skip: Tensor | None = None) -> tuple[Tensor, Tensor]:
    """Light (N, 3) that comes back along rays, and the object (N,) that each sees (-1 for none)."""
    surface = _first_surface(world, rays, skip)
    is_object = surface.objects >= 0
    index = surface.objects.clamp(min=0)
    albedo = torch.where(is_object[:, None], world.objects.colors[rays.scenes, index], REFLECTANCE)  # (N, 3)
    is_metal = is_object & world.objects.is_metal[rays.scenes, index]

    diffuse, gloss = _direct_light(world, rays, surface, albedo, is_metal)
    diffuse = diffuse + ambient_irradiance(surface.points, surface.normals)
    body = torch.where(is_object, rubber_body(surface.normals, -rays.directions), 1.0)
    matt = albedo / math.pi * body[:, None] * diffuse
    radiance = torch.where(is_metal[:, None], 0.0, matt) + gloss
    if bounces > 0:
        mirrors = is_metal.nonzero().squeeze(1)
        facing = rays.directions[mirrors]
        normals = surface.normals[mirrors]
        cos = -(facing * normals).sum(-1, keepdim=True)
        reflected = Rays(surface.points[mirrors], facing + 2 * cos * normals, rays.scenes[mirrors])
        seen, _ = _radiance(world, reflected, bounces - 1, skip=surface.objects[mirrors])
        radiance[mirrors] += metal_mirror(albedo[mirrors]) * seen
    else:
        radiance += torch.where(is_metal[:, None], matt, 0.0)  # seen in a mirror: as if matt
    return radiance * surface.exists[:, None], surface.objects


def _first_surface(world: World, rays: Rays, skip: Tensor | None) -> Surface:
    hits = nearest_hits(world.objects, rays, skip)
    is_object = hits.objects >= 0
    distances = torch.where(is_object, hits.distances, ground_distances(rays.origins, rays.directions))
    exists = distances.isfinite()
    points = rays.origins + torch.where(exists, distances, 0.0)[:, None] * rays.directions
    normals = ground_normals(points)
    on_object = is_object.nonzero().squeeze(1)
    normals[on_object] = surface_normals(
        world.objects, rays.scenes[on_object], hits.objects[on_object], points[on_object]
    )
    return Surface(points, normals, hits.objects, exists)


def _direct_light(world: World, rays: Rays, surface: Surface, albedo: Tensor, is_metal: Tensor):
    """Irradiance (N, 3) from all lamps, and the lamps' glossy reflections (N, 3) towards the ray's origin."""
    irradiance, gloss = torch.zeros_like(surface.points), torch.zeros_like(surface.points)
    starts = surface.points + LIFT * surface.normals
    is_object = surface.objects >= 0
    is_rubber = is_object & ~is_metal
    for lamp in range(world.lamps.positions.shape[1]):
        light = light_from(world.lamps, lamp, rays.scenes, surface.points)
        cos = (light.directions * surface.normals).sum(-1)
        lit = ((cos > 0) & surface.exists).nonzero().squeeze(1)
        to_lamp = Rays(starts[lit], light.directions[lit], rays.scenes[lit])
        lit = lit[~is_blocked(world.objects, to_lamp, light.distances[lit], skip=surface.objects[lit])]
        received = light.irradiances[lit] * cos[lit, None]
        irradiance[lit] += received
        shiny = is_object[lit].nonzero().squeeze(1)
        members = lit[shiny]
        view, normals = -rays.directions[members], surface.normals[members]
        towards = light.directions[members]
        metal = metal_highlight(albedo[members], normals, view, towards)
        rubber = rubber_gloss(albedo[members], normals, view, towards)
        gloss[members] += received[shiny] * torch.where(is_rubber[members, None], rubber, metal)
    return irradiance, gloss
