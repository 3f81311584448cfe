"""Fits the ambient light (`ambient.Fit`) to renders of the same scenes by least squares.

The light is linear in the coefficients. So the effect of a coefficient on a pixel is the difference
between a rendering with and without it, and the fit reuses the renderer's shading.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import fields, replace

import torch
from torch import Tensor

from smm_tutorial.scenes.ambient import Fit, GroundLight, ObjectLight, pack_surroundings
from smm_tutorial.scenes.camera import Frame
from smm_tutorial.scenes.effects import Effects
from smm_tutorial.scenes.raytrace import build_world, pack_cameras, pixel_rays
from smm_tutorial.scenes.records import Scene
from smm_tutorial.scenes.shading import radiance

DIRECT_ONLY = Effects(bounces=0)  # the fit leaves out metal, so metal needs no rays
#: Ridge, relative to each term's strength: keeps coefficients of similar terms small.
RIDGE = 1e-6
BRIGHTEST = 0.98  # display value from which a pixel may be overexposed


def decode_srgb(display: Tensor) -> Tensor:
    """The linear light of sRGB display values: the inverse of `raytrace.encode_srgb`."""
    return torch.where(
        display <= 0.04045, display / 12.92, ((display.clamp(min=0.04) + 0.055) / 1.055) ** 2.4
    )


def fit_ambient(scenes: Sequence[Scene], images: Tensor, masks: Tensor) -> Fit:
    """The coefficients that bring `radiance` nearest to renders of the scenes, in display values.

    Args:
        scenes: B scenes with the cameras and lamps of the renders.
        images: (B, 3, H, W) uint8, sRGB.
        masks: (B, H, W) integer labels. Pixels next to another label and pixels on metal are left
            out.
    """
    fits = []
    for part, lights in enumerate((GroundLight, ObjectLight)):
        count = len(fields(lights))
        normal = torch.zeros(count, count, dtype=torch.float64)  # float64: the terms are similar
        target = torch.zeros(count, dtype=torch.float64)
        for scene, image, mask in zip(scenes, images, masks, strict=True):
            terms, missing, weights = _scene_terms(scene, image, mask, part)
            weighted = terms * weights[:, None]
            normal += weighted.T @ weighted
            target += weighted.T @ (missing * weights)
        scale = normal.diagonal().sqrt().clamp(min=1e-12)
        system = normal / scale[:, None] / scale + RIDGE * torch.eye(count, dtype=torch.float64)
        solution = torch.linalg.solve(system, target / scale) / scale
        fits.append(lights(*(round(value, 4) for value in solution.tolist())))
    return Fit(*fits)


def _scene_terms(
    scene: Scene, image: Tensor, mask: Tensor, part: int
) -> tuple[Tensor, Tensor, Tensor]:
    """Terms of the least squares for P used pixels and channels and J coefficients.

    Returns the effect of each coefficient at value 1 (P, J), the missing light (P,), and the weight
    (P,).

    Args:
        part: whose coefficients: 0 for the ground, 1 for the objects.
    """
    height, width = mask.shape
    frame = Frame.of_image(height, width)
    world = build_world([scene], DIRECT_ONLY, frame.pixel_angle(width), "cpu")
    rows, columns = _find_usable_pixels(scene, image, mask, wants_objects=part == 1)
    through = pixel_rays(height, width, frame, 1)[:, rows * width + columns]
    rays = pack_cameras([scene], "cpu").rays(through)

    def render_with(fit: Fit) -> tuple[Tensor, Tensor]:
        around = pack_surroundings(world.objects, world.lamps, fit, world.grounds)
        return radiance(world._replace(surroundings=around), rays, bounces=0)

    nothing = Fit(*(lights(*[0.0] * len(fields(lights))) for lights in (GroundLight, ObjectLight)))
    plain, seen = render_with(nothing)
    agrees = seen + 1 == mask[rows, columns]
    terms = []
    for term in fields(nothing[part]):
        alone = replace(nothing[part], **{term.name: 1.0})
        light, _ = render_with(nothing._replace(**{Fit._fields[part]: alone}))
        terms.append((light - plain)[:, agrees].flatten())
    truth = decode_srgb(image[:, rows, columns].double() / 255)[:, agrees].flatten()
    # derivative of the display value, which is compared, by the light
    slope = 1.055 / 2.4 * truth.clamp(min=0.0031308) ** (1 / 2.4 - 1)
    return torch.stack(terms, dim=1).double(), truth - plain[:, agrees].flatten().double(), slope


def _find_usable_pixels(
    scene: Scene, image: Tensor, mask: Tensor, wants_objects: bool
) -> tuple[Tensor, Tensor]:
    """Rows and columns of pixels inside rubber objects, or inside the ground.

    Only every second row and column of objects is used, and every fourth of the ground.
    """
    labels = mask[None].float()
    largest = torch.nn.functional.max_pool2d(labels, 3, 1, 1)[0]
    smallest = -torch.nn.functional.max_pool2d(-labels, 3, 1, 1)[0]
    usable = (largest == smallest) & (image.amax(0) < 255 * BRIGHTEST)
    rubber = torch.tensor([False, *(item.material == "rubber" for item in scene.objects)])
    usable &= rubber[mask.long()] if wants_objects else mask == 0
    step = 2 if wants_objects else 4
    rows, columns = usable[1::step, 1::step].nonzero().unbind(1)
    return rows * step + 1, columns * step + 1
