"""The light that comes back along rays: what they meet, how it is lit, and what metal mirrors."""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
from torch import Tensor

from smm_tutorial.scenes import ambient, materials
from smm_tutorial.scenes.effects import Effects
from smm_tutorial.scenes.geometry import Objects, Rays, nearest_hits, surface_normals, unit_points
from smm_tutorial.scenes.ground import REFLECTANCE, ground_distances, ground_normals
from smm_tutorial.scenes.lighting import LAMP_RADII, NUM_LAMPS, Lamps, cosine_of_disk, light_from
from smm_tutorial.scenes.materials import Frame
from smm_tutorial.scenes.mirrors import FRAME_SHARE, Mirrors, meet_mirrors, mirrored_rays, unhidden
from smm_tutorial.scenes.shadows import ShadowCaster
from smm_tutorial.scenes.textures import Textures, textured
from smm_tutorial.scenes.vectors import dot, normalized, reflected

LIFT = 1e-3  # world units by which a shadow ray starts above its surface
GOLDEN = 0.6180339887498949
# Widening of metal's smooth highlights, chosen among a few values by the error on metal in
# even-numbered Blender scenes.
PIXEL_BLUR = (
    0.5  # by the pixel, on a ball of radius 1 at distance 1: in units of the angle between samples
)
LAMP_BLUR = 0.5  # by the lamp's size: in units of its angular radius


class World(NamedTuple):
    """Everything that light meets in B scenes."""

    objects: Objects
    lamps: Lamps
    surroundings: ambient.Surroundings
    effects: Effects
    sample_angle: float  # radians between neighbouring samples of the camera
    mirrors: Mirrors | None = None  # of the scenes; None where there is none, as below
    textures: Textures | None = None  # of the objects, by flat index
    grounds: Textures | None = None  # of the scenes' floors and walls


class Surface(NamedTuple):
    """What N rays see first; M of them see an object."""

    points: Tensor  # (3, N)
    normals: Tensor  # (3, N)
    distances: Tensor  # (N,) the whole way, by the mirror where there was one
    objects: Tensor  # (N,) flat index of the object, -1 for the ground
    exists: Tensor  # (N,) False where a ray leaves into the black world


class Shown(NamedTuple):
    """The M rays that see an object, and what their surfaces are like."""

    rays: Tensor  # (M,) their places among the N rays
    objects: Tensor  # (M,) flat index
    colors: Tensor  # (3, M)
    is_metal: Tensor  # (M,)
    view: Tensor  # (3, M) unit, towards the ray's origin
    frame: Frame


def radiance(
    world: World, rays: Rays, bounces: int, skip: Tensor | None = None, samples: int | None = None
) -> tuple[Tensor, Tensor]:
    """Light (3, N) that comes back along rays, and the flat index (N,) of the object that each
    sees, -1 for none.

    A ray that meets the scene's mirror first goes on from there, and brings back the share that the
    mirror reflects.

    Args:
        bounces: how many metal surfaces in a row to follow.
        skip: (N,) flat index of the object that a ray leaves, or -1.
        samples: the number of rays a pixel when these come from the camera: metal is traced in full
        then. None for
            rays that left metal already.
    """
    surface, shares = _first_surface(world, rays, skip), None
    if world.mirrors is not None:
        rays, surface, shares = _beyond_mirrors(world, world.mirrors, rays, surface)
    shown = _shown(world, rays, surface)
    irradiance, gloss = _lamp_light(world, rays, surface, shown)
    light = (
        _ground_reflectance(world, rays, surface)
        / math.pi
        * (irradiance + _ambient_on_ground(world, rays, surface))
    )
    if len(shown.rays):
        seen = (
            _rubber(world, rays, surface, shown, irradiance.index_select(1, shown.rays), bounces)
            + gloss
        )
        if bounces > 0 and world.effects.reflections != "none":
            metal = shown.is_metal.nonzero().squeeze(1)
            seen.index_add_(
                1, metal, _mirrored(world, rays, surface, shown, metal, bounces, samples)
            )
        light.index_copy_(1, shown.rays, seen)
    light = light * surface.exists
    return (light if shares is None else light * shares), surface.objects


def _first_surface(world: World, rays: Rays, skip: Tensor | None) -> Surface:
    hits = nearest_hits(world.objects, rays, skip)
    distances = ground_distances(rays.origins, rays.directions, world.effects.backdrop)
    distances = torch.minimum(distances, hits.distances)
    exists = distances.isfinite()
    distances = distances.masked_fill_(~exists, 0.0)
    points = torch.addcmul(rays.origins, distances, rays.directions)
    normals = ground_normals(points, world.effects.backdrop)
    return Surface(points, normals, distances, hits.objects, exists)


def _beyond_mirrors(
    world: World, mirrors: Mirrors, rays: Rays, surface: Surface
) -> tuple[Rays, Surface, Tensor]:
    """The rays as they arrive, what they see, and the share (N,) of its light that comes back.

    A mirror's frame is a surface like the ground, of which a small share comes back.
    """
    distances, on_frame = meet_mirrors(mirrors, rays)
    first = distances < surface.distances.masked_fill(~surface.exists, torch.inf)
    places = first.nonzero().squeeze(1)
    onward = mirrored_rays(mirrors, rays, distances, places)
    seen = _first_surface(world, onward, None)
    framed = on_frame.index_select(0, places)
    normals = normalized(onward.directions - rays.directions.index_select(1, places))
    seen = Surface(
        torch.where(framed, onward.origins, seen.points),
        torch.where(framed, normals, seen.normals),
        seen.distances.masked_fill(framed, 0.0),
        seen.objects.masked_fill(framed, -1),
        seen.exists | framed,
    )
    surface = Surface(
        surface.points.index_copy(1, places, seen.points),
        surface.normals.index_copy(1, places, seen.normals),
        surface.distances.index_copy(0, places, distances.index_select(0, places) + seen.distances),
        surface.objects.index_copy(0, places, seen.objects),
        surface.exists.index_copy(0, places, seen.exists),
    )
    rays = Rays(
        rays.origins.index_copy(1, places, onward.origins),
        rays.directions.index_copy(1, places, onward.directions),
        rays.scenes,
    )
    shares = mirrors.reflectances.index_select(0, onward.scenes).masked_fill(framed, FRAME_SHARE)
    return rays, surface, torch.ones_like(distances).index_copy_(0, places, shares)


def _ground_reflectance(world: World, rays: Rays, surface: Surface) -> float | Tensor:
    """CLEVR's grey, or the reflectances (3, N) of textured ground.

    The pattern is laid down from above: the rising floor would cut its layers at a grazing angle.
    """
    if world.grounds is None:
        return REFLECTANCE
    level = torch.cat([surface.points[:2], torch.zeros_like(surface.points[2:])])
    return textured(world.grounds, rays.scenes, level, torch.full_like(level, REFLECTANCE))


def _shown(world: World, rays: Rays, surface: Surface) -> Shown:
    """What the rays that see an object see; writes the object's normals into the surface's."""
    places = (surface.objects >= 0).nonzero().squeeze(1)
    objects = surface.objects.index_select(0, places)
    points = surface.points.index_select(1, places)
    normals = surface_normals(world.objects, objects, points)
    surface.normals.index_copy_(1, places, normals)
    frame = Frame.at(normals, points - world.objects.frames[:3].index_select(1, objects))
    colors, is_metal = (
        world.objects.colors.index_select(1, objects),
        world.objects.is_metal.index_select(0, objects),
    )
    if world.textures is not None:
        colors = textured(
            world.textures, objects, unit_points(world.objects, objects, points), colors
        )
    return Shown(places, objects, colors, is_metal, -rays.directions.index_select(1, places), frame)


def _lamp_light(world: World, rays: Rays, surface: Surface, shown: Shown) -> tuple[Tensor, Tensor]:
    """Irradiance (3, N) from all lamps, and the radiance (3, M) of their glossy reflections on
    objects.
    """
    effects = world.effects
    is_soft = effects.shadows == "soft"
    irradiance, gloss = torch.zeros_like(surface.points), torch.zeros_like(shown.view)
    starts = torch.add(surface.points, surface.normals, alpha=LIFT)
    shadows = (
        None
        if effects.shadows == "none"
        else ShadowCaster(world.objects, starts, rays.scenes, surface.objects)
    )
    for lamp in range(NUM_LAMPS):
        light = light_from(world.lamps, lamp, rays.scenes, surface.points)
        cos = dot(light.directions, surface.normals)
        received = (
            cosine_of_disk(cos, LAMP_RADII[lamp] / light.distances) if is_soft else cos.clamp(min=0)
        )
        if shadows is not None:
            lit = (received > 0) & surface.exists
            received = received * shadows.visible(light, lit, LAMP_RADII[lamp], is_soft)
            if world.mirrors is not None:
                received = received * unhidden(
                    world.mirrors, light, starts, rays.scenes, LAMP_RADII[lamp], is_soft
                )
        irradiance.addcmul_(light.irradiances, received)
        if effects.reflections != "none" and len(shown.rays):
            towards = light.directions.index_select(1, shown.rays)
            density = _gloss_density(
                world, surface, shown, towards, light.distances, LAMP_RADII[lamp]
            )
            arriving = (light.irradiances * received).index_select(1, shown.rays)
            gloss.addcmul_(arriving, density)
    return irradiance, gloss


def _gloss_density(
    world: World, surface: Surface, shown: Shown, towards: Tensor, away: Tensor, radius: float
) -> Tensor:
    """Reflectance density (3, M) of the objects' gloss for a lamp of `radius` in the directions
    `towards` (3, M).
    """
    density = torch.empty_like(shown.colors)
    rubber, metal = (~shown.is_metal).nonzero().squeeze(1), shown.is_metal.nonzero().squeeze(1)
    color, view, light = (
        part.index_select(1, rubber) for part in (shown.colors, shown.view, towards)
    )
    normals = shown.frame.normals.index_select(1, rubber)
    density.index_copy_(1, rubber, materials.rubber_gloss(color, normals, view, light))

    color, view, light = (
        part.index_select(1, metal) for part in (shown.colors, shown.view, towards)
    )
    frame = shown.frame.select(metal)
    if world.effects.reflections == "mirror":
        highlight = materials.mirror_highlight(frame.normals, view, light)
    else:
        places = shown.rays.index_select(0, metal)
        size = world.objects.frames[3].index_select(0, shown.objects.index_select(0, metal))
        pixel = PIXEL_BLUR * world.sample_angle * surface.distances.index_select(0, places) / size
        lamp = LAMP_BLUR * radius / away.index_select(0, places)
        highlight = materials.glossy_highlight(
            frame, view, light, (pixel.square() + lamp.square()).sqrt()
        )
    return density.index_copy_(1, metal, color * highlight)


def _ambient_on_ground(world: World, rays: Rays, surface: Surface) -> Tensor:
    if world.effects.ambient == "fitted":
        return ambient.on_ground(world.surroundings, surface.points, rays.scenes)
    if world.effects.ambient == "by hand":
        return ambient.by_hand(surface.points, surface.normals)
    return torch.zeros_like(surface.points)


def _rubber(
    world: World, rays: Rays, surface: Surface, shown: Shown, irradiance: Tensor, bounces: int
) -> Tensor:
    """Radiance (3, M) of the objects' matt bodies and coats under the lamps' `irradiance` (3, M).

    Of metal only where its reflections are not traced: it counts as matt then.
    """
    scenes, normals = rays.scenes.index_select(0, shown.rays), shown.frame.normals
    points = surface.points.index_select(1, shown.rays)
    cos = dot(shown.view, normals)
    coat = 0.0
    if world.effects.ambient == "fitted":
        irradiance = (1 + world.surroundings.fit.objects.body) * irradiance
        irradiance = irradiance + ambient.on_objects(
            world.surroundings, points, normals, scenes, shown.objects
        )
        if world.effects.reflections != "none":
            coat = ambient.coat_reflection(
                world.surroundings, shown.colors, shown.view, normals, scenes
            )
            coat = coat * ~shown.is_metal
    elif world.effects.ambient == "by hand":
        irradiance = irradiance + ambient.by_hand(points, normals)
    matt = shown.colors / math.pi * materials.rubber_body(cos) * irradiance
    if bounces > 0 and world.effects.reflections != "none":
        matt = matt * ~shown.is_metal
    return matt + coat


def _mirrored(
    world: World,
    rays: Rays,
    surface: Surface,
    shown: Shown,
    metal: Tensor,
    bounces: int,
    samples: int | None,
) -> Tensor:
    """Radiance (3, L) of the scene that the metal among the shown objects, at places `metal` (L,),
    mirrors.
    """
    places, tint = shown.rays.index_select(0, metal), shown.colors.index_select(1, metal)
    points, scenes = surface.points.index_select(1, places), rays.scenes.index_select(0, places)
    objects = shown.objects.index_select(0, metal)
    view, frame = shown.view.index_select(1, metal), shown.frame.select(metal)
    mirrored = reflected(-view, frame.normals)
    if world.effects.reflections == "mirror" or samples is None:
        seen, _ = radiance(world, Rays(points, mirrored, scenes), bounces - 1, skip=objects)
        return (
            seen * tint * (materials.MIRROR_SHARE if world.effects.reflections == "mirror" else 1.0)
        )

    count = (
        world.effects.rough_rays
    )  # a smooth and `count` rough directions for each point, side by side
    stratum = (places.remainder(samples) * count)[:, None] + torch.arange(
        count, device=places.device
    )  # (L, count)
    first = ((stratum + 0.5) / (samples * count)).flatten().to(points.dtype)
    second = (stratum.double() * GOLDEN + 0.5).remainder(1).flatten().to(points.dtype)
    directions, weights = materials.rough_directions(
        frame.repeat_interleave(count), view.repeat_interleave(count, 1), first, second
    )
    directions = torch.cat(
        [mirrored[:, :, None], directions.reshape(3, -1, count)], dim=2
    )  # (3, L, 1 + count)
    weights = materials.ROUGH_SHARE / count * weights.reshape(-1, count)
    weights = torch.cat(
        [torch.full_like(weights[:, :1], materials.SMOOTH_SHARE), weights], dim=1
    )  # (L, 1 + count)
    fan = Rays(
        points.repeat_interleave(1 + count, 1),
        directions.flatten(1),
        scenes.repeat_interleave(1 + count),
    )
    seen, _ = radiance(world, fan, bounces - 1, skip=objects.repeat_interleave(1 + count))
    return tint * (seen.reshape(3, -1, 1 + count) * weights).sum(-1)
