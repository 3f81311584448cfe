"""Patterns that fill space: each is a pure function of a point, two colours, a scale and a seed.

An object's pattern is defined in its unit frame: the pattern moves, turns and grows with the
object. The ground's pattern is defined in the world and projected from above. Points are measured
in scales. Cells are centred on whole numbers, so that a level floor and the faces of most objects
cut cells through their middle. A hash of a cell's whole coordinates and the seed makes cells
differ. There is no random generator, and all devices give the same pattern.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import product
from typing import NamedTuple

import torch
from torch import Tensor

from smm_tutorial.scenes.additions import TEXTURE_KINDS, Texture
from smm_tutorial.scenes.vectors import dot

WORD = 0xFFFFFFFF  # 32 bits, stored in int64: torch has no unsigned arithmetic
PRIMES = (0x8DA6B343, 0xD8163841, 0xCB1AB31F, 0x9E3779B1)  # of x, y, z and the seed in the hash
EDGE = 0.06  # width of the border between the two colours, in scales
SHADE = 0.3  # largest difference of a tile or brick, as a share of the way to the other colour
MORTAR = 0.07  # half of the mortar's thickness, in lengths of a brick
#: Upward component of the direction across the stripes, so that level and upright faces have them.
STRIPE_TILT = 0.6
DOT_RADIUS = (0.33, 0.42)  # smallest and largest
OCTAVES = ((1.0, 0.55), (2.03, 0.3), (4.01, 0.15))  # of fractal noise: frequency, weight
NOISE_STEP = 0.12  # half of the range of noise in which the colour changes
MARBLE_WARP, WOOD_WARP = 1.1, 0.35  # shift of the veins and of the rings by noise, in scales


class Textures(NamedTuple):
    """T textures, one per object or per ground. An entry without a texture has the kind -1."""

    kinds: Tensor  # (T,) index into TEXTURE_KINDS, -1 for none
    colors: Tensor  # (2, 3, T) linear, 0..1
    scales: Tensor  # (T,)
    seeds: Tensor  # (T,) int64


def pack_textures(
    textures: Sequence[Texture | None], device: torch.device | str = "cpu"
) -> Textures | None:
    """The textures as tensors; None if there is no texture at all."""
    if not any(textures):
        return None
    blank = Texture("none", ((0.0, 0.0, 0.0), (0.0, 0.0, 0.0)), scale=1.0, seed=0)
    items = [item or blank for item in textures]
    kinds = [-1 if item is blank else TEXTURE_KINDS.index(item.kind) for item in items]
    colors = torch.tensor([item.colors for item in items], dtype=torch.float32)  # (T, 2, 3)
    packed = Textures(
        kinds=torch.tensor(kinds),
        colors=colors.permute(1, 2, 0) / 255,
        scales=torch.tensor([item.scale for item in items], dtype=torch.float32),
        seeds=torch.tensor([item.seed for item in items]),
    )
    return Textures(*(part.contiguous().to(device) for part in packed))


def surface_colors(textures: Textures, owners: Tensor, points: Tensor, plain: Tensor) -> Tensor:
    """The colours (3, N) of surfaces at points (3, N) in their textures' frames.

    Args:
        owners: (N,) index of each point's texture.
        plain: (3, N) the colours of points without a texture.
    """
    kinds = textures.kinds.index_select(0, owners)
    colors = plain.clone()
    for kind, name in enumerate(TEXTURE_KINDS):
        members = (kinds == kind).nonzero().squeeze(1)
        if len(members):
            own = owners.index_select(0, members)
            places = points.index_select(1, members) / textures.scales.index_select(0, own)
            share = PATTERNS[name](places, textures.seeds.index_select(0, own))
            first, second = textures.colors.index_select(2, own)
            colors.index_copy_(1, members, torch.lerp(first, second, share))
    return colors


def checker(points: Tensor, seeds: Tensor) -> Tensor:
    """Share (N,) of the second colour: alternating cubes, each with a shade of its own. A period is
    two cubes.
    """
    places = 2 * points
    cells = (places + 0.5).floor()
    parity = cells.sum(0).remainder(2)
    return torch.lerp(parity, 1 - parity, SHADE * hash_cells(cells.long(), seeds))


def stripes(points: Tensor, seeds: Tensor) -> Tensor:
    """Share (N,) of the second colour: slabs across a direction that the seed chooses."""
    turn = 2 * math.pi * hash_cells(torch.zeros_like(points, dtype=torch.int64), seeds)
    level = (1 - STRIPE_TILT**2) ** 0.5
    across = level * (turn.cos() * points[0] + turn.sin() * points[1]) + STRIPE_TILT * points[2]
    return _edge_step((across.remainder(1) - 0.5).abs() - 0.25)


def dots(points: Tensor, seeds: Tensor) -> Tensor:
    """Share (N,) of the second colour: balls of different sizes at the corners and the middles of
    cubes.

    With both lattices, every plane along the axes cuts some of the balls.
    """
    gaps = []
    for shift in (0.0, 0.5):
        cells = (points + (0.5 + shift)).floor()
        offsets = points + shift - cells
        smallest, largest = points.new_tensor(DOT_RADIUS)[:, None]
        radii = torch.lerp(smallest, largest, hash_cells(cells.long(), seeds + int(2 * shift)))
        gaps.append(dot(offsets, offsets).sqrt() - radii)
    return _edge_step(-torch.minimum(*gaps))


def bricks(points: Tensor, seeds: Tensor) -> Tensor:
    """Share (N,) of the second colour, the mortar: bricks of length 1, half as wide and high, each
    layer shifted.

    The lengthwise joints are shifted by a quarter of a brick. So a face of an object whose half
    size is a whole number of half bricks does not lie in mortar.
    """
    wide, high = 2 * points[1], 2 * points[2]
    row, layer = (wide + 0.5).floor(), (high + 0.5).floor()
    along = points[0] + 0.25 + 0.5 * (row + layer).remainder(2)
    column = along.floor()
    to_end = 0.5 - (along - column - 0.5).abs()
    to_side = (0.5 - (wide - row).abs()) / 2
    to_top = (0.5 - (high - layer).abs()) / 2
    mortar = _edge_step(MORTAR - torch.stack([to_end, to_side, to_top]).amin(0))
    shade = SHADE * hash_cells(torch.stack([column, row, layer]).long(), seeds)
    return torch.maximum(mortar, shade)


def noise(points: Tensor, seeds: Tensor) -> Tensor:
    """Share (N,) of the second colour: blots with ragged edges."""
    return _smoothstep(
        ((fractal_noise(2 * points, seeds) - 0.5) / (2 * NOISE_STEP) + 0.5).clamp(0, 1)
    )


def marble(points: Tensor, seeds: Tensor) -> Tensor:
    """Share (N,) of the second colour: veins, which are slabs bent by noise."""
    across = 0.7 * points[0] + 0.4 * points[1] + 0.6 * points[2]
    across = across + MARBLE_WARP * fractal_noise(1.5 * points, seeds)
    wave = 0.5 - 0.5 * (2 * math.pi * across).cos()
    return wave * wave


def wood(points: Tensor, seeds: Tensor) -> Tensor:
    """Share (N,) of the second colour: rings, bent by noise, around a level axis. Each ring darkens
    slowly and ends sharply.
    """
    warp = WOOD_WARP * (fractal_noise(points, seeds) - 0.5)
    depth = points[1] - 0.4 * points[0] + 0.3
    height = points[2] + 0.15 * points[0] + 2.2
    ring = (depth.square() + height.square()).sqrt() + 2 * warp
    phase = (1.5 * ring).remainder(1)
    return phase * _smoothstep(((1 - phase) / 0.15).clamp(0, 1))


#: By kind, a function of points (3, N), in scales, and seeds (N,) int64. It returns the share (N,)
#: of the second colour, in 0..1.
PATTERNS = {
    "checker": checker,
    "stripes": stripes,
    "dots": dots,
    "bricks": bricks,
    "noise": noise,
    "marble": marble,
    "wood": wood,
}


def fractal_noise(points: Tensor, seeds: Tensor) -> Tensor:
    """Value noise (N,) in 0..1 of several frequencies, with a mean of a half."""
    return sum(
        weight * value_noise(frequency * points, seeds + 7919 * octave)
        for octave, (frequency, weight) in enumerate(OCTAVES)
    )


def value_noise(points: Tensor, seeds: Tensor) -> Tensor:
    """Noise (N,) in 0..1: hashed values on whole coordinates, blended smoothly in between."""
    corners = points.floor()
    blend = _smoothstep(points - corners)
    corners = corners.long()
    steps = product((0, 1), repeat=3)  # x, y, z; z changes fastest
    values = [hash_cells(corners + corners.new_tensor(step)[:, None], seeds) for step in steps]
    for axis in (2, 1, 0):
        pairs = zip(values[::2], values[1::2], strict=True)
        values = [torch.lerp(low, high, blend[axis]) for low, high in pairs]
    return values[0]


def hash_cells(cells: Tensor, seeds: Tensor) -> Tensor:
    """Numbers (N,) in 0..1 that look random, for cells (3, N) int64 and seeds (N,) int64.

    The coordinates are mixed one after the other by the finaliser "lowbias32" of Chris Wellons'
    hash-prospector.
    """
    word = _mix_bits((seeds * PRIMES[3]) & WORD)
    for coordinate, prime in zip(cells, PRIMES, strict=False):
        word = _mix_bits((word ^ (coordinate * prime)) & WORD)
    return (word >> 8).float() / 2**24


def _mix_bits(word: Tensor) -> Tensor:
    for shift, factor in ((16, 0x7FEB352D), (15, 0x846CA68B)):
        word = ((word ^ (word >> shift)) * factor) & WORD
    return word ^ (word >> 16)


def _smoothstep(share: Tensor) -> Tensor:
    """A smooth step of a share in 0..1, with slope 0 at both ends."""
    return share * share * (3 - 2 * share)


def _edge_step(inside: Tensor) -> Tensor:
    """0 outside and 1 inside by the signed distance `inside` (N,), soft over a width of `EDGE`."""
    return _smoothstep((inside / EDGE + 0.5).clamp(0, 1))
