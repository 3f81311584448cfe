"""How CLEVR's two materials reflect light, after the node graphs of CLEVR's material files.

Rubber is diffuse under velvet and a thin rough coat. Metal is the sum of a rough and a nearly
smooth glossy lobe, tinted with the object's colour (GGX, Walter et al. 2007, stretched around the
vertical axis as in Burley's model). Vectors are (3, N), unit, and point away from the surface.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
from torch import Tensor

from smm_tutorial.scenes.vectors import cross, dot, normalize

#: "Mirror" metal: (share, roughness) of its lamp highlights, chosen by eye.
MIRROR_LOBES = ((0.24, 0.2), (0.36, 0.1))
MIRROR_SHARE = 0.85  # of the light from the mirrored direction; the rest is lost in the rough lobe

#: "Glossy" metal: two lobes.
SMOOTH_SHARE, SMOOTH_ROUGHNESS = 0.6, 0.01
ROUGH_SHARE, ROUGHNESS, ANISOTROPY = 0.4, 0.2, 0.25
#: Roughness around the vertical axis, and along it.
STRETCH = (ROUGHNESS * (1 - ANISOTROPY), ROUGHNESS / (1 - ANISOTROPY))

RUBBER_ROUGHNESS = 0.35
#: Refractive index of the layer that reflects part of the light before the diffuse body.
RUBBER_BODY_INDEX = 1.4
RUBBER_VELVET_SPREAD = 0.6
RUBBER_COAT_INDEX = 1.2  # refractive index
RUBBER_COAT_WHITE = 0.8


class SurfaceAxes(NamedTuple):
    """Axes of N surface points: around the object's vertical axis, along that axis within the
    surface, and outward.
    """

    around: Tensor  # (3, N)
    along: Tensor  # (3, N)
    normals: Tensor  # (3, N)

    @classmethod
    def at(cls, normals: Tensor, offsets: Tensor) -> SurfaceAxes:
        """The axes at N points. normals: (3, N). offsets: (3, N), from the centre of each point's
        object.
        """
        around = torch.stack([-offsets[1], offsets[0], torch.zeros_like(offsets[0])])
        along = normalize(cross(normals, around))
        return cls(cross(along, normals), along, normals)

    def select(self, index: Tensor) -> SurfaceAxes:
        return SurfaceAxes(*(axis.index_select(1, index) for axis in self))

    def repeat_interleave(self, times: int) -> SurfaceAxes:
        return SurfaceAxes(*(axis.repeat_interleave(times, 1) for axis in self))

    def to_local(self, vectors: Tensor) -> Tensor:
        """World vectors (3, N) in the coordinates of these axes."""
        return torch.stack([dot(vectors, axis) for axis in self])


def mirror_highlight(normals: Tensor, view: Tensor, light: Tensor) -> Tensor:
    """Reflectance density (N,) of "mirror" metal for lamps, before the tint."""
    return sum(share * _ggx(normals, view, light, roughness) for share, roughness in MIRROR_LOBES)


def glossy_highlight(axes: SurfaceAxes, view: Tensor, light: Tensor, blur: Tensor) -> Tensor:
    """Reflectance density (N,) of "glossy" metal for lamps, before the tint.

    Args:
        blur: (N,) widening of the smooth lobe by the size of lamp and pixel, in radians of the
            surface's tilt. The widened lobe is a Gaussian, because a lamp's disk has an edge. GGX
            would have long tails.
    """
    half = normalize(view + light)
    cos_view = dot(view, axes.normals).clamp(min=1e-2)
    cos_light = dot(light, axes.normals).clamp(min=1e-2)
    squared_cos = dot(half, axes.normals).clamp(1e-3, 1).square()
    width = blur.square() + SMOOTH_ROUGHNESS**2
    smooth = (-(1 - squared_cos) / (squared_cos * width)).exp() / (width * squared_cos.square())
    lit_and_seen = _facets_seen(axes.to_local(view)) * _facets_seen(axes.to_local(light))
    rough = ROUGH_SHARE * _rough_density(axes.to_local(half)) * lit_and_seen
    density = SMOOTH_SHARE / math.pi * smooth + rough
    return density / (4 * cos_view * cos_light)


def draw_rough_directions(
    axes: SurfaceAxes, view: Tensor, first: Tensor, second: Tensor
) -> tuple[Tensor, Tensor]:
    """Directions (3, N) in which rough metal mirrors `view`, and their weights (N,).

    The density of the directions is proportional to the reflectance. Microfacets that are visible
    from `view` are drawn as in Heitz (2018, "Sampling the GGX distribution of visible normals").

    Args:
        first, second: (N,) numbers in 0..1 that choose the microfacet.
    """
    width, height = STRETCH
    x, y, z = axes.to_local(view)
    seen = normalize(torch.stack([width * x, height * y, z.clamp(min=1e-3)]))
    flat = dot(seen[:2], seen[:2]).clamp(min=1e-12).rsqrt()
    right = torch.stack([-seen[1] * flat, seen[0] * flat, torch.zeros_like(flat)])
    radius, angle = first.sqrt(), 2 * math.pi * second
    across = radius * angle.cos()
    tilt = 0.5 * (1 + seen[2])
    upward = torch.lerp((1 - across.square()).clamp(min=0).sqrt(), radius * angle.sin(), tilt)
    forward = (1 - across.square() - upward.square()).clamp(min=0).sqrt()
    facet = across * right + upward * cross(seen, right) + forward * seen
    facet = normalize(torch.stack([width * facet[0], height * facet[1], facet[2].clamp(min=1e-6)]))
    facet = facet[0] * axes.around + facet[1] * axes.along + facet[2] * axes.normals
    directions = 2 * dot(view, facet) * facet - view
    local = axes.to_local(directions)
    return directions, _facets_seen(local) * (local[2] > 0)


def _rough_density(half: Tensor) -> Tensor:
    """The stretched GGX density (N,) of microfacets with normals `half` (3, N) in local axes."""
    width, height = STRETCH
    tilt = (half[0] / width).square() + (half[1] / height).square() + half[2].square()
    return 1 / (math.pi * width * height * tilt.square().clamp(min=1e-12))


def _facets_seen(local: Tensor) -> Tensor:
    """The share (N,) of stretched microfacets that is visible from a direction (3, N) in local axes
    (Smith's G1).
    """
    across = (STRETCH[0] * local[0]).square() + (STRETCH[1] * local[1]).square()
    slope = across / local[2].clamp(min=1e-3).square()
    return 2 / (1 + (1 + slope).sqrt())


def rubber_body(cos: Tensor) -> Tensor:
    """Rubber's diffuse reflection (N,) as a share of Lambert's, at cosines `cos` (N,) to the
    normal.
    """
    return (1 - fresnel(cos, RUBBER_BODY_INDEX)) * (1 - fresnel(cos, RUBBER_COAT_INDEX))


def rubber_highlight(color: Tensor, normals: Tensor, view: Tensor, light: Tensor) -> Tensor:
    """Reflectance density (3, N) of rubber's coat and velvet rim for lamps."""
    cos = dot(view, normals)
    in_coat = fresnel(cos, RUBBER_COAT_INDEX)
    coat = RUBBER_COAT_WHITE * in_coat * _ggx(normals, view, light, RUBBER_ROUGHNESS)
    in_velvet = (1 - in_coat) * fresnel(cos, RUBBER_BODY_INDEX)
    return coat + color * (in_velvet * _velvet(normals, view, light, RUBBER_VELVET_SPREAD))


def fresnel(cos: Tensor, index: float) -> Tensor:
    """Share (N,) of unpolarised light that a smooth dielectric reflects at the cosines `cos` (N,)
    (Schlick 1994).
    """
    straight_on = ((index - 1) / (index + 1)) ** 2
    rest = 1 - cos.clamp(0, 1)
    squared = rest * rest
    return straight_on + (1 - straight_on) * squared * squared * rest


def _ggx(normals: Tensor, view: Tensor, light: Tensor, roughness: float) -> Tensor:
    """The GGX reflectance density D G / (4 cos cos) (N,) without Fresnel factor (Walter et al.
    2007, eqs. 20, 33, 34).
    """
    squared = roughness**2
    cos_half = dot(normalize(view + light), normals).clamp(0, 1)
    cos_view, cos_light = dot(view, normals).clamp(min=1e-3), dot(light, normals).clamp(min=1e-3)
    spread = squared / (math.pi * (cos_half.square() * (squared - 1) + 1).square())
    shadowing_view = cos_view + (squared + (1 - squared) * cos_view.square()).sqrt()
    shadowing_light = cos_light + (squared + (1 - squared) * cos_light.square()).sqrt()
    return spread / (shadowing_view * shadowing_light)


def _velvet(normals: Tensor, view: Tensor, light: Tensor, spread: float) -> Tensor:
    """The velvet reflectance density D G / (4 cos cos) (N,) of Ashikhmin, Premoze & Shirley (2000).

    It is bright at grazing angles.
    """
    half = normalize(view + light)
    cos_half = dot(half, normals).clamp(1e-3, 1)
    cos_view, cos_light = dot(view, normals).clamp(min=1e-2), dot(light, normals).clamp(min=1e-2)
    cos_between = dot(half, view).clamp(min=1e-3)
    squared_sin = (1 - cos_half.square()).clamp(min=1e-6)
    falloff = (-(cos_half.square() / squared_sin) / spread**2).exp()
    fibres = falloff / (math.pi * spread**2 * squared_sin.square())
    shadowing = (2 * cos_half / cos_between * torch.minimum(cos_view, cos_light)).clamp(max=1)
    return fibres * shadowing / (4 * cos_view * cos_light)
