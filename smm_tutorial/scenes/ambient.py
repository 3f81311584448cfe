"""Ambient light: the light that reaches a surface from other surfaces, approximated without rays.

The world around a CLEVR scene is black. So a place in the shadow of the lamps gets its light from
the floor, the wall and neighbouring objects. Tracing that light takes hundreds of rays per pixel.
Here the light is a sum of terms with a plain meaning: how much floor a surface faces, how large its
neighbours look, which colours they have. Each term is proportional to the light of the scene's own
lamps on the middle of the floor. The coefficients of the terms are fitted to Blender's renders.
`smm_tutorial.fidelity` fits on the scenes with even numbers and reports on the others.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor

from smm_tutorial.scenes.geometry import Objects, RayGrid, squared_distances, way_to_centers
from smm_tutorial.scenes.ground import REFLECTANCE, profile_place
from smm_tutorial.scenes.lighting import NUM_LAMPS, Lamps, lamp_light, mean_disk_cosine
from smm_tutorial.scenes.materials import RUBBER_BODY_INDEX, RUBBER_COAT_INDEX, fresnel
from smm_tutorial.scenes.textures import Textures
from smm_tutorial.scenes.vectors import dot

#: Set by hand: irradiance that the wall and the far floor give a surface that faces up, at the
#: origin; its gain with each world unit towards the wall; and irradiance that the lit floor gives a
#: surface that faces down.
FROM_ABOVE = 0.056
RISE = 0.0035
FROM_BELOW = 0.62

#: Range of the fit along the backdrop's profile; beyond the range the light is constant.
SEEN_FLOOR = (-6.0, 16.0)
LOW = 0.5  # height over radius below which an object stands in its own shadow
DEEPEST = -1.0  # height over radius; below, the light is constant: no object stands there
SMALL = 0.5  # world units: radius between the small and the large objects


@dataclass(frozen=True)
class GroundLight:
    """Coefficients of the irradiance on the backdrop, relative to the lamps' irradiance at the
    origin.

    Each neighbour has the weight w = (radius / distance)^2.
    """

    level: float
    rise: float  # times the place along the profile, in tens of world units
    cubic: float  # times the third power of that place
    quartic: float  # times its fourth power
    neighbour: float  # times the sum of w^1.5, the form factor of a sphere around the neighbour
    rubber: float  # times the same sum, weighted by the colour, over rubber neighbours
    metal: float  # the same over metal neighbours
    contact: float  # times the sum of w^2 times the colour, over rubber neighbours


@dataclass(frozen=True)
class ObjectLight:
    """Coefficients of the irradiance on objects, relative to the lamps' irradiance at the origin.

    Each neighbour is treated as a sphere with the form factor f.
    """

    # times the share of floor that the surface faces, times the lamps' light on the floor below
    # the point (not at the origin)
    floor: float
    floor_small: float  # the same share of floor, only for small objects
    floor_low: float  # the same share of floor, only low on the object
    low: float  # low on the object, in all directions
    side_low: float  # low on the object, for surfaces that face sideways
    rise: float  # times the place along the profile, in tens of world units
    towards_wall: float  # times the normal's component towards the wall
    across_wall: float  # times the square of that component
    neighbour: float  # times the sum of f
    neighbour_below: float  # the same sum, weighted by how low the neighbour lies
    rubber: float  # times the sum of f times the colour, over rubber neighbours
    metal: float  # the same over metal neighbours
    body: float  # share of the lamps' light that the matt body adds to the light through the layers
    rim: float  # radiance per reflection of the coat
    rim_floor: float  # the same, weighted by the share of floor in the mirrored direction
    velvet: float  # radiance per share of the velvet, weighted by the share of floor faced


class Fit(NamedTuple):
    """The coefficients of all terms."""

    ground: GroundLight
    objects: ObjectLight


FITTED = Fit(  # by `python -m smm_tutorial.fidelity --fit`, on the Blender scenes with even numbers
    GroundLight(
        level=0.0538,
        rise=0.0415,
        cubic=0.0209,
        quartic=-0.0214,
        neighbour=-0.0852,
        rubber=1.2222,
        metal=0.4958,
        contact=-0.8917,
    ),
    ObjectLight(
        floor=0.7844,
        floor_small=0.0883,
        floor_low=-0.2528,
        low=0.1897,
        side_low=0.0645,
        rise=0.073,
        towards_wall=0.2316,
        across_wall=0.132,
        neighbour=-0.5993,
        neighbour_below=-0.903,
        rubber=0.939,
        metal=0.7006,
        body=0.0579,
        rim=-0.0644,
        rim_floor=0.1905,
        velvet=0.2753,
    ),
)


class Surroundings(NamedTuple):
    """The quantities of B scenes that the ambient light depends on."""

    objects: Objects
    lamps: Lamps
    level: Tensor  # (3, B) irradiance of the lamps on the floor at the origin, without shadows
    fit: Fit
    ground_tint: Tensor | None  # (3, B) the ground's mean colour over CLEVR's grey; None: all grey

    def tint(self, light: Tensor, scenes: Tensor) -> Tensor:
        """The light (3, N) from the scenes' own ground, computed from the light of a grey ground.

        light: (3, N), from a grey ground. scenes: (N,), the scene of each point.
        """
        if self.ground_tint is None:
            return light
        return light * self.ground_tint.index_select(1, scenes)


def pack_surroundings(
    objects: Objects, lamps: Lamps, fit: Fit = FITTED, grounds: Textures | None = None
) -> Surroundings:
    """The surroundings of all scenes; `grounds` are the textures of their grounds."""
    scenes = torch.arange(lamps.positions.shape[-1], device=lamps.positions.device)
    level = floor_irradiance(lamps, scenes, lamps.positions.new_zeros(3, len(scenes)))
    tint = None
    if grounds is not None:
        tint = torch.where(grounds.kinds < 0, 1.0, grounds.colors.mean(0) / REFLECTANCE)
    return Surroundings(objects, lamps, level, fit, tint)


def floor_irradiance(lamps: Lamps, scenes: Tensor, points: Tensor) -> Tensor:
    """Irradiance (3, N) of the lamps on a level floor under points (3, N), without shadows."""
    feet = torch.cat([points[:2], torch.zeros_like(points[2:])])
    total = torch.zeros_like(points)
    for lamp in range(NUM_LAMPS):
        light = lamp_light(lamps, lamp, scenes, feet)
        total.addcmul_(light.irradiances, light.directions[2].clamp(min=0))
    return total


def irradiance_by_hand(points: Tensor, normals: Tensor) -> Tensor:
    """Irradiance (N,) set by hand, for the choice "by hand" of `Effects`.

    The normal's height blends the irradiance from above (wall) and from below (lit floor).
    """
    from_above = FROM_ABOVE + RISE * profile_place(points)
    return torch.lerp(from_above, torch.full_like(from_above, FROM_BELOW), 0.5 - 0.5 * normals[2])


def ground_irradiance(around: Surroundings, points: Tensor, scenes: Tensor) -> Tensor:
    """Irradiance (3, N) on the backdrop at points (3, N).

    scenes: (N,), the scene of each point, in ascending order.
    """
    objects, fit = around.objects, around.fit.ground
    place = profile_place(points).clamp(*SEEN_FLOOR) / 10
    cubed = place * place * place
    share = fit.level + fit.rise * place + cubed * (fit.cubic + fit.quartic * place)
    light = around.tint(around.level.index_select(1, scenes) * share, scenes)

    grid = RayGrid.of(scenes, len(objects.centers))
    squared = squared_distances(objects, grid.lay_out(points)).clamp(min=1e-4)  # (B, K, M)
    weights = objects.radii.square()[:, :, None] / squared
    colors, is_metal = _neighbour_colors(objects)
    tint = colors * (fit.rubber * (1 - is_metal) + fit.metal * is_metal) + fit.neighbour
    near = colors * (fit.contact * (1 - is_metal))
    level = around.level[:, :, None]
    bounced = torch.bmm((level * tint).transpose(0, 1), weights * weights.sqrt())  # (B, 3, M)
    bounced.baddbmm_((level * near).transpose(0, 1), weights.square_())
    return light + grid.flatten(bounced)


def object_irradiance(
    around: Surroundings, points: Tensor, normals: Tensor, scenes: Tensor, own: Tensor
) -> Tensor:
    """Irradiance (3, N) on objects at points (3, N) with normals (3, N).

    Args:
        scenes: (N,), the scene of each point, in ascending order.
        own: (N,) flat index of the object that each point lies on.
    """
    fit = around.fit.objects
    radii = around.objects.frames[3].index_select(0, own)
    low = ((points[2] / radii).clamp_(min=DEEPEST) * (-1 / LOW)).exp()
    place, towards_wall = profile_place(points) / 10, profile_place(normals)
    up = normals[2]
    down = 0.5 - 0.5 * up
    share = down * (fit.floor_low * low + fit.floor_small * (radii < SMALL))
    share += low * (fit.low + fit.side_low * (1 - up.abs()))
    share += fit.rise * place + towards_wall * (fit.towards_wall + fit.across_wall * towards_wall)
    light = around.level.index_select(1, scenes) * share
    light.addcmul_(floor_irradiance(around.lamps, scenes, points), fit.floor * down)
    return around.tint(light, scenes) + _neighbour_irradiance(around, points, normals, scenes)


def _neighbour_irradiance(
    around: Surroundings, points: Tensor, normals: Tensor, scenes: Tensor
) -> Tensor:
    """The change of the light (3, N) on objects by their neighbours, which are treated as spheres.

    An object adds nothing to itself. A convex shape lies behind each of its surface points, and so
    does the ball inside the shape.
    """
    objects, fit = around.objects, around.fit.objects
    grid = RayGrid.of(scenes, len(objects.centers))
    laid_out, facing = grid.lay_out(points), grid.lay_out(normals)  # (B, 3, M)
    inverse = squared_distances(objects, laid_out).clamp(min=1e-4).rsqrt()  # (B, K, M)
    cos = way_to_centers(objects, laid_out, facing).mul_(inverse)
    sine = (objects.radii[:, :, None] * inverse).clamp(1e-4, 1)  # of the sphere's angular radius
    factors = mean_disk_cosine(cos, sine) * sine.square()  # (B, K, M)
    below = (-(objects.centers[:, :, 2:] - laid_out[:, 2:]) * inverse).clamp_(min=0)  # (B, K, M)

    colors, is_metal = _neighbour_colors(objects)
    tint = colors * (fit.rubber * (1 - is_metal) + fit.metal * is_metal) + fit.neighbour
    bounced = torch.bmm((around.level[:, :, None] * tint).transpose(0, 1), factors)  # (B, 3, M)
    dimmed = (factors * below).sum(1, keepdim=True)  # (B, 1, M)
    return grid.flatten(bounced + fit.neighbour_below * dimmed * around.level.T[:, :, None])


def _neighbour_colors(objects: Objects) -> tuple[Tensor, Tensor]:
    """Each object's colour (3, B, K), and 1 for metal, 0 for rubber (B, K)."""
    colors = objects.colors.reshape(3, *objects.radii.shape)
    return colors, objects.is_metal.reshape(objects.radii.shape).to(colors.dtype)


def coat_reflection(
    around: Surroundings, color: Tensor, view: Tensor, normals: Tensor, scenes: Tensor
) -> Tensor:
    """Radiance (3, N) of the surroundings that rubber's coat and velvet reflect.

    view: (3, N), unit directions to the viewer.
    """
    fit, cos = around.fit.objects, dot(view, normals)
    coat = fresnel(cos, RUBBER_COAT_INDEX)
    mirrored_up = 2 * cos * normals[2] - view[2]
    share = coat * (fit.rim + fit.rim_floor * (0.5 - 0.5 * mirrored_up))
    velvet = (1 - coat) * fresnel(cos, RUBBER_BODY_INDEX) * (0.5 - 0.5 * normals[2])
    light = around.level.index_select(1, scenes) * (share + fit.velvet * color * velvet)
    return around.tint(light, scenes)
