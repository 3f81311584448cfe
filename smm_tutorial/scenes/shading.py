"""The light that comes back along rays: the surfaces they meet, their lighting, and mirroring
metal.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
from torch import Tensor

from smm_tutorial.scenes import ambient
from smm_tutorial.scenes.effects import Effects
from smm_tutorial.scenes.geometry import Objects, Rays, nearest_hits, surface_normals, unit_points
from smm_tutorial.scenes.ground import REFLECTANCE, ground_distances, ground_normals
from smm_tutorial.scenes.lighting import LAMP_RADII, Lamps, lamp_light, mean_disk_cosine
from smm_tutorial.scenes.materials import (
    MIRROR_SHARE,
    ROUGH_SHARE,
    SMOOTH_SHARE,
    SurfaceAxes,
    draw_rough_directions,
    glossy_highlight,
    mirror_highlight,
    rubber_body,
    rubber_highlight,
)
from smm_tutorial.scenes.mirrors import (
    FRAME_SHARE,
    Mirrors,
    meet_mirrors,
    mirror_rays,
    visible_past_mirrors,
)
from smm_tutorial.scenes.shadows import ShadowCaster
from smm_tutorial.scenes.textures import Textures, surface_colors
from smm_tutorial.scenes.vectors import dot, normalize, reflect
from smm_tutorial.tensors import as_double

LIFT = 1e-3  # world units: height above the surface at which a shadow ray starts
GOLDEN = 0.6180339887498949
#: How far pixel and lamp widen metal's smooth highlights. The values had the least error on metal
#: among a few, in even-numbered Blender scenes. Unit of the pixel's: the angle between samples, on
#: a ball of radius 1 at distance 1. Unit of the lamp's: its angular radius.
PIXEL_BLUR = 0.5
LAMP_BLUR = 0.5


class World(NamedTuple):
    """Everything in B scenes that reflects or sends light."""

    objects: Objects
    lamps: Lamps
    surroundings: ambient.Surroundings
    effects: Effects
    sample_angle: float  # radians between neighbouring samples of the camera
    mirrors: Mirrors | None = None  # of the scenes; None if no scene has one, as below
    textures: Textures | None = None  # of the objects, by flat index
    grounds: Textures | None = None  # of the scenes' floors and walls


class Surface(NamedTuple):
    """The first surfaces that N rays meet; M of them are objects."""

    points: Tensor  # (3, N)
    normals: Tensor  # (3, N)
    distances: Tensor  # (N,) the whole way, including a way by the mirror
    objects: Tensor  # (N,) flat index of the object, -1 for the ground
    exists: Tensor  # (N,) False where a ray leaves into the black world


class ObjectPoints(NamedTuple):
    """The M points of a surface that lie on objects."""

    rays: Tensor  # (M,) their places among the N rays
    scenes: Tensor  # (M,) index of the scene, in ascending order
    objects: Tensor  # (M,) flat index
    points: Tensor  # (3, M)
    distances: Tensor  # (M,) the rays' whole way
    colors: Tensor  # (3, M)
    is_metal: Tensor  # (M,)
    view: Tensor  # (3, M) unit, towards the ray's origin
    axes: SurfaceAxes

    def select(self, keep: Tensor) -> ObjectPoints:
        """The points where `keep` (M,) is true."""
        index = keep.nonzero().squeeze(1)
        *parts, axes = self
        parts = [part.index_select(part.dim() - 1, index) for part in parts]
        return ObjectPoints(*parts, axes.select(index))


def radiance(
    world: World, rays: Rays, bounces: int, skip: Tensor | None = None, samples: int | None = None
) -> tuple[Tensor, Tensor]:
    """Light (3, N) that comes back along rays, and the object (N,) that each ray sees.

    Objects are flat indices; -1 means no object. A ray that first meets the scene's mirror goes on
    from there. It brings back the share of light that the mirror reflects.

    Args:
        bounces: how many metal surfaces in a row to follow.
        skip: (N,) flat index of the object that a ray leaves, or -1.
        samples: number of rays per pixel, for rays from the camera: metal is then traced in full.
            None for rays that come from metal.
    """
    surface, shares = _find_surface(world, rays, skip), None
    if world.mirrors is not None:
        rays, surface, shares = _follow_mirrors(world, world.mirrors, rays, surface)
    shown = _find_object_points(world, rays, surface)
    irradiance, gloss = _lamp_light(world, rays, surface, shown)
    light = _ground_radiance(world, rays, surface, irradiance)
    if len(shown.rays):
        traces_metal = bounces > 0 and world.effects.reflections != "none"
        received = irradiance.index_select(1, shown.rays)
        seen = _matt_radiance(world, shown, received, includes_metal=not traces_metal) + gloss
        if traces_metal:
            metal = shown.select(shown.is_metal)
            seen[:, shown.is_metal] += _mirrored_radiance(world, metal, bounces, samples)
        light.index_copy_(1, shown.rays, seen)
    light = light * surface.exists
    return (light if shares is None else light * shares), surface.objects


def _find_surface(world: World, rays: Rays, skip: Tensor | None) -> Surface:
    hits = nearest_hits(world.objects, rays, skip)
    distances = ground_distances(rays.origins, rays.directions, world.effects.backdrop)
    distances = torch.minimum(distances, hits.distances)
    exists = distances.isfinite()
    distances = distances.masked_fill_(~exists, 0.0)
    points = torch.addcmul(rays.origins, distances, rays.directions)
    normals = ground_normals(points, world.effects.backdrop)
    return Surface(points, normals, distances, hits.objects, exists)


def _follow_mirrors(
    world: World, mirrors: Mirrors, rays: Rays, surface: Surface
) -> tuple[Rays, Surface, Tensor]:
    """The rays after the mirror, the surfaces that they meet, and the share (N,) of light that
    returns.

    A mirror's frame is treated like the ground, and returns a small share of the light.
    """
    distances, on_frame = meet_mirrors(mirrors, rays)
    is_first = distances < surface.distances.masked_fill(~surface.exists, torch.inf)
    places = is_first.nonzero().squeeze(1)
    onward = mirror_rays(mirrors, rays, distances, places)
    seen = _find_surface(world, onward, None)
    framed = on_frame.index_select(0, places)
    normals = normalize(onward.directions - rays.directions.index_select(1, places))
    ways = distances.index_select(0, places) + seen.distances.masked_fill(framed, 0.0)
    surface = Surface(
        surface.points.index_copy(1, places, torch.where(framed, onward.origins, seen.points)),
        surface.normals.index_copy(1, places, torch.where(framed, normals, seen.normals)),
        surface.distances.index_copy(0, places, ways),
        surface.objects.index_copy(0, places, seen.objects.masked_fill(framed, -1)),
        surface.exists.index_copy(0, places, seen.exists | framed),
    )
    rays = Rays(
        rays.origins.index_copy(1, places, onward.origins),
        rays.directions.index_copy(1, places, onward.directions),
        rays.scenes,
    )
    shares = mirrors.reflectances.index_select(0, onward.scenes).masked_fill(framed, FRAME_SHARE)
    return rays, surface, torch.ones_like(distances).index_copy_(0, places, shares)


def _find_object_points(world: World, rays: Rays, surface: Surface) -> ObjectPoints:
    """The points on objects. Writes the normals of the objects into `surface`."""
    places = (surface.objects >= 0).nonzero().squeeze(1)
    objects = surface.objects.index_select(0, places)
    points = surface.points.index_select(1, places)
    normals = surface_normals(world.objects, objects, points)
    surface.normals.index_copy_(1, places, normals)
    centers = world.objects.frames[:3].index_select(1, objects)
    colors = world.objects.colors.index_select(1, objects)
    if world.textures is not None:
        local = unit_points(world.objects, objects, points)
        colors = surface_colors(world.textures, objects, local, colors)
    return ObjectPoints(
        rays=places,
        scenes=rays.scenes.index_select(0, places),
        objects=objects,
        points=points,
        distances=surface.distances.index_select(0, places),
        colors=colors,
        is_metal=world.objects.is_metal.index_select(0, objects),
        view=-rays.directions.index_select(1, places),
        axes=SurfaceAxes.at(normals, points - centers),
    )


def _lamp_light(
    world: World, rays: Rays, surface: Surface, shown: ObjectPoints
) -> tuple[Tensor, Tensor]:
    """Irradiance (3, N) from all lamps, and the radiance (3, M) of their glossy reflections on
    objects.
    """
    effects = world.effects
    is_soft, is_glossy = effects.shadows == "soft", effects.reflections != "none"
    rubber, metal = shown.select(~shown.is_metal), shown.select(shown.is_metal)
    irradiance = torch.zeros_like(surface.points)
    rubber_gloss, metal_gloss = torch.zeros_like(rubber.view), torch.zeros_like(metal.view)
    starts = torch.add(surface.points, surface.normals, alpha=LIFT)
    shadows = None
    if effects.shadows != "none":
        shadows = ShadowCaster(world.objects, starts, rays.scenes, surface.objects)
    for lamp, radius in enumerate(LAMP_RADII):
        light = lamp_light(world.lamps, lamp, rays.scenes, surface.points)
        angles = radius / light.distances
        cos = dot(light.directions, surface.normals)
        received = mean_disk_cosine(cos, angles) if is_soft else cos.clamp(min=0)
        if shadows is not None:
            is_lit = (received > 0) & surface.exists
            received = received * shadows.visible_share(light, is_lit, radius, is_soft)
            if world.mirrors is not None:
                received = received * visible_past_mirrors(
                    world.mirrors, light, starts, rays.scenes, radius, is_soft
                )
        irradiance.addcmul_(light.irradiances, received)
        if is_glossy and len(shown.rays):
            arriving = light.irradiances * received
            towards = light.directions.index_select(1, rubber.rays)
            density = rubber_highlight(rubber.colors, rubber.axes.normals, rubber.view, towards)
            rubber_gloss.addcmul_(arriving.index_select(1, rubber.rays), density)
            towards = light.directions.index_select(1, metal.rays)
            density = _metal_highlight(world, metal, towards, angles.index_select(0, metal.rays))
            metal_gloss.addcmul_(arriving.index_select(1, metal.rays), density)
    gloss = torch.empty_like(shown.view)
    gloss[:, ~shown.is_metal] = rubber_gloss
    gloss[:, shown.is_metal] = metal_gloss
    return irradiance, gloss


def _metal_highlight(world: World, metal: ObjectPoints, towards: Tensor, angles: Tensor) -> Tensor:
    """Reflectance density (3, L) of metal for a lamp in the directions `towards` (3, L), of angular
    radius `angles` (L,).
    """
    if world.effects.reflections == "mirror":
        return metal.colors * mirror_highlight(metal.axes.normals, metal.view, towards)
    size = world.objects.frames[3].index_select(0, metal.objects)
    pixel = PIXEL_BLUR * world.sample_angle * metal.distances / size
    blur = (pixel.square() + (LAMP_BLUR * angles).square()).sqrt()
    return metal.colors * glossy_highlight(metal.axes, metal.view, towards, blur)


def _ground_radiance(world: World, rays: Rays, surface: Surface, irradiance: Tensor) -> Tensor:
    """Radiance (3, N) of the ground. irradiance: (3, N), from the lamps."""
    if world.effects.ambient == "fitted":
        irradiance = irradiance + ambient.ground_irradiance(
            world.surroundings, surface.points, rays.scenes
        )
    elif world.effects.ambient == "by hand":
        irradiance = irradiance + ambient.irradiance_by_hand(surface.points, surface.normals)
    reflectance = REFLECTANCE
    if world.grounds is not None:
        # the pattern is projected from above: the rising floor would cut its layers at a grazing
        # angle
        level = torch.cat([surface.points[:2], torch.zeros_like(surface.points[2:])])
        grey = torch.full_like(level, REFLECTANCE)
        reflectance = surface_colors(world.grounds, rays.scenes, level, grey)
    return reflectance / math.pi * irradiance


def _matt_radiance(
    world: World, shown: ObjectPoints, irradiance: Tensor, includes_metal: bool
) -> Tensor:
    """Radiance (3, M) of the objects' matt bodies and coats. irradiance: (3, M), from the lamps.

    Args:
        includes_metal: whether metal counts as matt, because its reflections are not traced.
    """
    normals = shown.axes.normals
    around, coat = world.surroundings, 0.0
    if world.effects.ambient == "fitted":
        irradiance = (1 + around.fit.objects.body) * irradiance
        irradiance = irradiance + ambient.object_irradiance(
            around, shown.points, normals, shown.scenes, shown.objects
        )
        if world.effects.reflections != "none":
            coat = ambient.coat_reflection(around, shown.colors, shown.view, normals, shown.scenes)
            coat = coat * ~shown.is_metal
    elif world.effects.ambient == "by hand":
        irradiance = irradiance + ambient.irradiance_by_hand(shown.points, normals)
    share = rubber_body(dot(shown.view, normals))
    matt = shown.colors / math.pi * share * irradiance
    return (matt if includes_metal else matt * ~shown.is_metal) + coat


def _mirrored_radiance(
    world: World, metal: ObjectPoints, bounces: int, samples: int | None
) -> Tensor:
    """Radiance (3, L) that L points of metal reflect from the scene."""
    mirrored = reflect(-metal.view, metal.axes.normals)
    if world.effects.reflections == "mirror" or samples is None:
        rays = Rays(metal.points, mirrored, metal.scenes)
        seen, _ = radiance(world, rays, bounces - 1, skip=metal.objects)
        share = MIRROR_SHARE if world.effects.reflections == "mirror" else 1.0
        return seen * metal.colors * share

    # for each point, one smooth and `count` rough directions
    count = world.effects.rough_rays
    strata = (metal.rays.remainder(samples) * count)[:, None]
    strata = strata + torch.arange(count, device=strata.device)  # (L, count)
    first = ((strata + 0.5) / (samples * count)).flatten().to(mirrored.dtype)
    second = (as_double(strata) * GOLDEN + 0.5).remainder(1).flatten().to(mirrored)
    rough, weights = draw_rough_directions(
        metal.axes.repeat_interleave(count), metal.view.repeat_interleave(count, 1), first, second
    )
    rough = rough.reshape(3, -1, count)  # (3, L, count)
    weights = ROUGH_SHARE / count * weights.reshape(-1, count)  # (L, count)
    smooth = torch.full_like(weights[:, :1], SMOOTH_SHARE)
    weights = torch.cat([smooth, weights], dim=1)  # (L, 1 + count)
    fan = Rays(
        metal.points.repeat_interleave(1 + count, 1),
        torch.cat([mirrored[:, :, None], rough], dim=2).flatten(1),
        metal.scenes.repeat_interleave(1 + count),
    )
    seen, _ = radiance(world, fan, bounces - 1, skip=metal.objects.repeat_interleave(1 + count))
    return metal.colors * (seen.reshape(3, -1, 1 + count) * weights).sum(-1)
