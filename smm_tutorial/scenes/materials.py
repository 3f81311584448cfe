"""How CLEVR's two materials throw light back: rubber's faint gloss, metal's tinted mirror and lamp highlights.

After the node graphs of CLEVR's material files: rubber is diffuse under a thin rough coat, metal a sum of a rough and
a nearly smooth glossy lobe (GGX, Walter et al. 2007), tinted with the object's colour.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

METAL_LOBES = ((0.24, 0.2), (0.36, 0.1))  # (share, roughness): highlights of the lamps, as wide and bright as Blender's
METAL_MIRROR_SHARE = 0.85  # of the light from the mirror direction; the rough lobe loses the rest
RUBBER_ROUGHNESS = 0.35
RUBBER_BODY_INDEX = 1.4  # refractive index of the layer that turns part of the light away from the diffuse body
RUBBER_VELVET_SPREAD = 0.6
RUBBER_COAT_INDEX = 1.2  # refractive index
RUBBER_COAT_WHITE = 0.8


def metal_mirror(tint: Tensor) -> Tensor:
    """Share (N, 3) of the light from the mirror direction that a metal of colour `tint` (N, 3) sends on."""
    return METAL_MIRROR_SHARE * tint


def metal_highlight(tint: Tensor, normals: Tensor, view: Tensor, light: Tensor) -> Tensor:
    """Reflectance density (N, 3) of metal between the directions `view` and `light` (N, 3, unit, outward)."""
    lobes = sum(share * _ggx(normals, view, light, roughness) for share, roughness in METAL_LOBES)
    return tint * lobes[:, None]


def rubber_body(normals: Tensor, view: Tensor) -> Tensor:
    """Share (N,) of Lambert's reflection that rubber shows in the directions `view` (N, 3, unit, outward)."""
    cos = (view * normals).sum(-1)
    return (1 - fresnel(cos, RUBBER_BODY_INDEX)) * (1 - fresnel(cos, RUBBER_COAT_INDEX))


def rubber_gloss(color: Tensor, normals: Tensor, view: Tensor, light: Tensor) -> Tensor:
    """Reflectance density (N, 3) of rubber's coat and velvet rim between `view` and `light` (N, 3, unit, outward)."""
    cos = (view * normals).sum(-1)
    in_coat = fresnel(cos, RUBBER_COAT_INDEX)
    coat = RUBBER_COAT_WHITE * in_coat * _ggx(normals, view, light, RUBBER_ROUGHNESS)
    velvet = (1 - in_coat) * fresnel(cos, RUBBER_BODY_INDEX) * _velvet(normals, view, light, RUBBER_VELVET_SPREAD)
    return coat[:, None] + color * velvet[:, None]


def fresnel(cos: Tensor, index: float) -> Tensor:
    """Share (N,) of unpolarised light that a smooth dielectric reflects at cosine `cos` (N,), after Schlick (1994)."""
    straight_on = ((index - 1) / (index + 1)) ** 2
    return straight_on + (1 - straight_on) * (1 - cos.clamp(0, 1)) ** 5


def _ggx(normals: Tensor, view: Tensor, light: Tensor, roughness: float) -> Tensor:
    """The GGX reflectance density D G / (4 cos cos) without Fresnel factor (Walter et al. 2007, eqs. 20, 33, 34)."""
    half = view + light
    half = half / half.norm(dim=-1, keepdim=True).clamp(min=1e-6)
    squared = roughness**2
    cos_half = (half * normals).sum(-1).clamp(0, 1)
    cos_view = (view * normals).sum(-1).clamp(min=1e-3)
    cos_light = (light * normals).sum(-1).clamp(min=1e-3)
    spread = squared / (math.pi * (cos_half.square() * (squared - 1) + 1).square())
    shadowing_view = cos_view + (squared + (1 - squared) * cos_view.square()).sqrt()
    shadowing_light = cos_light + (squared + (1 - squared) * cos_light.square()).sqrt()
    return spread / (shadowing_view * shadowing_light)


def _velvet(normals: Tensor, view: Tensor, light: Tensor, spread: float) -> Tensor:
    """The velvet reflectance density D G / (4 cos cos) of Ashikhmin, Premoze & Shirley (2000), bright at grazing."""
    half = view + light
    half = half / half.norm(dim=-1, keepdim=True).clamp(min=1e-6)
    cos_half = (half * normals).sum(-1).clamp(1e-3, 1)
    cos_view = (view * normals).sum(-1).clamp(min=1e-2)
    cos_light = (light * normals).sum(-1).clamp(min=1e-2)
    cos_between = (half * view).sum(-1).clamp(min=1e-3)
    squared_sin = (1 - cos_half.square()).clamp(min=1e-6)
    fibres = (-(cos_half.square() / squared_sin) / spread**2).exp() / (math.pi * spread**2 * squared_sin.square())
    shadowing = (2 * cos_half / cos_between * torch.minimum(cos_view, cos_light)).clamp(max=1)
    return fibres * shadowing / (4 * cos_view * cos_light)
