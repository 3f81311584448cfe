"""Patterns that fill space: each is a pure function of a point, two colours, a scale and a seed.

An object's pattern lives in its unit frame, so it moves, turns and grows with it; the ground's
lives in the world, laid down from above. Points are measured in scales. Cells are centred on whole
numbers, so that a level floor and the faces of most objects cut cells through their middle. What
varies from cell to cell comes from a hash of the cell's whole coordinates and the seed: no
generator, and the same on every device.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from smm_tutorial.scenes.additions import TEXTURE_KINDS, Texture
from smm_tutorial.scenes.vectors import dot

WORD = 0xFFFFFFFF  # 32 bits, kept in int64: torch has no unsigned arithmetic
PRIMES = (0x8DA6B343, 0xD8163841, 0xCB1AB31F, 0x9E3779B1)  # of x, y, z and the seed in the hash
EDGE = 0.06  # scales over which one colour turns into the other
SHADE = 0.3  # by how much of the way to the other colour a tile or brick may differ
MORTAR = 0.07  # half of its thickness, in bricks' lengths
STRIPE_TILT = (
    0.6  # upward part of the direction across the stripes: level and upright faces are both striped
)
DOT_RADIUS = (0.33, 0.42)  # smallest and largest
OCTAVES = ((1.0, 0.55), (2.03, 0.3), (4.01, 0.15))  # of fractal noise: frequency, weight
NOISE_STEP = 0.12  # half the range of noise over which one colour turns into the other
MARBLE_WARP, WOOD_WARP = 1.1, 0.35  # scales by which noise moves the veins and the rings


class Textures(NamedTuple):
    """T textures, one for each object or each ground; those without have the kind -1."""

    kinds: Tensor  # (T,) index into TEXTURE_KINDS, -1 for none
    colors: Tensor  # (2, 3, T) linear, 0..1
    scales: Tensor  # (T,)
    seeds: Tensor  # (T,) int64


def pack_textures(
    textures: Sequence[Texture | None], device: torch.device | str = "cpu"
) -> Textures | None:
    """The textures as tensors; None where there is none at all."""
    if not any(textures):
        return None
    blank = (-1, ((0.0,) * 3,) * 2, 1.0, 0)
    rows = [
        (TEXTURE_KINDS.index(item.kind), item.colors, item.scale, item.seed)
        if item is not None
        else blank
        for item in textures
    ]
    kinds, colors, scales, seeds = zip(*rows, strict=True)
    colors = torch.tensor(colors, dtype=torch.float32).permute(1, 2, 0) / 255  # (2, 3, T)
    packed = Textures(
        torch.tensor(kinds), colors, torch.tensor(scales, dtype=torch.float32), torch.tensor(seeds)
    )
    return Textures(*(part.contiguous().to(device) for part in packed))


def textured(textures: Textures, owners: Tensor, points: Tensor, plain: Tensor) -> Tensor:
    """The colours (3, N) of surfaces at points (3, N) in their textures' frames, `plain` (3, N)
    where there is no texture.

    Args:
        owners: (N,) which of the textures each point wears.
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
    """Share (N,) of the second colour: cubes in turn, each of a shade of its own; two of them make
    a period.
    """
    places = 2 * points
    cells = (places + 0.5).floor()
    parity = cells.sum(0).remainder(2)
    return torch.lerp(parity, 1 - parity, SHADE * hashed(cells.long(), seeds))


def stripes(points: Tensor, seeds: Tensor) -> Tensor:
    """Share (N,) of the second colour: slabs across a direction that the seed chooses."""
    turn = 2 * math.pi * hashed(torch.zeros_like(points, dtype=torch.int64), seeds)
    level = (1 - STRIPE_TILT**2) ** 0.5
    across = level * (turn.cos() * points[0] + turn.sin() * points[1]) + STRIPE_TILT * points[2]
    return _step((across.remainder(1) - 0.5).abs() - 0.25)


def dots(points: Tensor, seeds: Tensor) -> Tensor:
    """Share (N,) of the second colour: balls of different sizes in the corners and the middles of
    cubes.

    Two such lattices, so that every plane along the axes cuts some of the balls.
    """
    gaps = []
    for shift in (0.0, 0.5):
        cells = (points + (0.5 + shift)).floor()
        offsets = points + shift - cells
        radii = torch.lerp(
            *points.new_tensor(DOT_RADIUS)[:, None], hashed(cells.long(), seeds + int(2 * shift))
        )
        gaps.append(dot(offsets, offsets).sqrt() - radii)
    return _step(-torch.minimum(*gaps))


def bricks(points: Tensor, seeds: Tensor) -> Tensor:
    """Share (N,) of the second colour, the mortar's: bricks 1 long, half as wide and high, each
    layer shifted.

    The lengthwise joints lie a quarter of a brick off, so that faces which cut the other cells in
    their middle, as those of an object whose half size is a whole number of half bricks, do not lie
    in mortar.
    """
    wide, high = 2 * points[1], 2 * points[2]
    row, layer = (wide + 0.5).floor(), (high + 0.5).floor()
    along = points[0] + 0.25 + 0.5 * (row + layer).remainder(2)
    column = along.floor()
    to_edges = torch.stack(
        [
            0.5 - (along - column - 0.5).abs(),
            (0.5 - (wide - row).abs()) / 2,
            (0.5 - (high - layer).abs()) / 2,
        ]
    )
    mortar = _step(MORTAR - to_edges.amin(0))
    shade = SHADE * hashed(torch.stack([column, row, layer]).long(), seeds)
    return torch.maximum(mortar, shade)


def noise(points: Tensor, seeds: Tensor) -> Tensor:
    """Share (N,) of the second colour: blots with ragged edges."""
    return _smooth(((fractal_noise(2 * points, seeds) - 0.5) / (2 * NOISE_STEP) + 0.5).clamp(0, 1))


def marble(points: Tensor, seeds: Tensor) -> Tensor:
    """Share (N,) of the second colour: veins, slabs that noise has bent."""
    across = (
        0.7 * points[0]
        + 0.4 * points[1]
        + 0.6 * points[2]
        + MARBLE_WARP * fractal_noise(1.5 * points, seeds)
    )
    wave = 0.5 - 0.5 * (2 * math.pi * across).cos()
    return wave * wave


def wood(points: Tensor, seeds: Tensor) -> Tensor:
    """Share (N,) of the second colour: rings around a level axis that noise has bent; each darkens
    slowly, then ends.
    """
    warp = WOOD_WARP * (fractal_noise(points, seeds) - 0.5)
    depth, height = points[1] - 0.4 * points[0] + 0.3, points[2] + 0.15 * points[0] + 2.2
    ring = (depth.square() + height.square()).sqrt() + 2 * warp
    phase = (1.5 * ring).remainder(1)
    return phase * _smooth(((1 - phase) / 0.15).clamp(0, 1))


PATTERNS = {
    "checker": checker,
    "stripes": stripes,
    "dots": dots,
    "bricks": bricks,
    "noise": noise,
    "marble": marble,
    "wood": wood,
}
"""By kind: points (3, N), in scales, and seeds (N,) int64 give the second colour's share (N,) in
0..1.
"""


def fractal_noise(points: Tensor, seeds: Tensor) -> Tensor:
    """Value noise (N,) in 0..1 of several frequencies, with a mean of a half."""
    return sum(
        weight * value_noise(frequency * points, seeds + 7919 * octave)
        for octave, (frequency, weight) in enumerate(OCTAVES)
    )


def value_noise(points: Tensor, seeds: Tensor) -> Tensor:
    """Noise (N,) in 0..1: hashed values on whole coordinates, blended smoothly in between."""
    corners = points.floor()
    blend = _smooth(points - corners)
    corners = corners.long()
    values = [
        hashed(corners + corners.new_tensor([[x], [y], [z]]), seeds)
        for x in (0, 1)
        for y in (0, 1)
        for z in (0, 1)
    ]  # z changes fastest
    for axis in (2, 1, 0):
        values = [
            torch.lerp(low, high, blend[axis])
            for low, high in zip(values[::2], values[1::2], strict=True)
        ]
    return values[0]


def hashed(cells: Tensor, seeds: Tensor) -> Tensor:
    """Numbers (N,) in 0..1 that look random, for cells (3, N) int64 and seeds (N,) int64.

    The coordinates are mixed one after the other by the finaliser "lowbias32" of Chris Wellons'
    hash-prospector.
    """
    word = _mixed((seeds * PRIMES[3]) & WORD)
    for coordinate, prime in zip(cells, PRIMES, strict=False):
        word = _mixed((word ^ (coordinate * prime)) & WORD)
    return (word >> 8).float() / 2**24


def _mixed(word: Tensor) -> Tensor:
    for shift, factor in ((16, 0x7FEB352D), (15, 0x846CA68B)):
        word = ((word ^ (word >> shift)) * factor) & WORD
    return word ^ (word >> 16)


def _smooth(share: Tensor) -> Tensor:
    """A share in 0..1, levelled off at both ends."""
    return share * share * (3 - 2 * share)


def _step(inside: Tensor) -> Tensor:
    """From 0 to 1 as the signed distance `inside` rises through 0, over a width of `EDGE`."""
    return _smooth((inside / EDGE + 0.5).clamp(0, 1))
