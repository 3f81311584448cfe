"""Tasks of notebook 04: masks, made from distances and made smaller."""

import numpy as np
from numpy.random import default_rng

from smm_tutorial.exercises.core import Task, mistake, register

# nearest_hit


def nearest_hit(distances: np.ndarray) -> np.ndarray:
    seen = np.isfinite(distances).any(axis=0)  # (H, W)
    return np.where(seen, distances.argmin(axis=0) + 1, 0)


@mistake("Where every ray misses, `argmin` names the first object: that is ground, 0.")
def _hit_without_background(distances):
    return distances.argmin(axis=0) + 1


@mistake("Objects count from 1: your first one looks like ground.")
def _hit_counted_from_zero(distances):
    return np.where(np.isfinite(distances).any(axis=0), distances.argmin(axis=0), 0)


@mistake("Your labels are one too low: ground is 0, and objects count from 1.")
def _hit_one_too_low(distances):
    return nearest_hit(distances) - 1


@mistake("Ground has the label 0, not -1.")
def _hit_minus_one_for_ground(distances):
    seen = np.isfinite(distances).any(axis=0)
    return np.where(seen, distances.argmin(axis=0) + 1, -1)


@mistake("You see through objects: the nearest one hides the others.")
def _hit_farthest(distances):
    hit = np.isfinite(distances)
    return np.where(hit.any(axis=0), np.where(hit, distances, -np.inf).argmax(axis=0) + 1, 0)


@mistake("`argmax` takes a miss for the farthest hit. The pixel sees the *nearest* object.")
def _hit_by_argmax(distances):
    return np.where(np.isfinite(distances).any(axis=0), distances.argmax(axis=0) + 1, 0)


@mistake("You paint later objects over earlier ones; compare distances at every pixel.")
def _hit_last_painted(distances):
    mask = np.zeros(distances.shape[1:], dtype=np.int64)
    for label, distance in enumerate(distances, start=1):
        mask[np.isfinite(distance)] = label
    return mask


def _hit_cases() -> dict[str, tuple]:
    generator = default_rng(5)
    missed = generator.random((3, 4, 6)) < 0.5
    scattered = np.where(missed, np.inf, generator.uniform(5, 12, (3, 4, 6)))
    return {
        "three objects that overlap": (scattered,),
        "nothing is hit": (np.full((2, 2, 2), np.inf),),
    }


register(
    Task(
        name="scenes.nearest_hit",
        title="A mask from distances",
        text="""`distances` (K, H, W) holds the distance of each of K objects along each pixel's
        ray. The distance is `np.inf` where the ray misses the object. Return a mask (H, W) of
        integers: 0 where the ray hits no object, else the number of the object that the pixel sees.
        Objects count from 1.""",
        minutes=6,
        difficulty=1,
        hints=(
            "We see the nearest object. What does `argmin` say where all distances are infinite?",
            """`argmin` along the first axis counts from 0, and also gives 0 where every ray misses.
            So shift its numbers by 1, find the pixels that see any object, and choose with
            `np.where`.""",
        ),
        solution=nearest_hit,
        cases=_hit_cases,
        mistakes=(
            _hit_without_background,
            _hit_counted_from_zero,
            _hit_farthest,
            _hit_by_argmax,
            _hit_last_painted,
            _hit_one_too_low,
            _hit_minus_one_for_ground,
        ),
    )
)


# shrink_mask


def shrink_mask(mask: np.ndarray, factor: int) -> np.ndarray:
    return mask[factor // 2 :: factor, factor // 2 :: factor]


def _blocks(mask: np.ndarray, factor: int) -> np.ndarray:
    """The (rows, columns, pixels) of the blocks."""
    rows, columns = mask.shape[0] // factor, mask.shape[1] // factor
    return mask.reshape(rows, factor, columns, factor).swapaxes(1, 2).reshape(rows, columns, -1)


@mistake("The mean of objects 1 and 3 is object 2, which may be elsewhere: pick a pixel.")
def _shrink_by_mean(mask, factor):
    return _blocks(mask, factor).mean(axis=2).round().astype(mask.dtype)


@mistake("The largest label wins in your blocks, so objects grow by their number: pick a pixel.")
def _shrink_by_largest(mask, factor):
    return _blocks(mask, factor).max(axis=2)


@mistake("The most frequent label wins in your blocks: nearest neighbour looks at one pixel only.")
def _shrink_by_majority(mask, factor):
    return np.apply_along_axis(
        lambda block: np.bincount(block).argmax(), 2, _blocks(mask, factor)
    ).astype(mask.dtype)


@mistake("You start at 1 for every factor. The middle of a block is at `factor // 2`.")
def _shrink_from_one(mask, factor):
    return mask[1::factor, 1::factor]


@mistake("You take the corner of each block, which shifts the mask: take `factor // 2`.")
def _shrink_to_corners(mask, factor):
    return mask[::factor, ::factor]


def _shrink_cases() -> dict[str, tuple]:
    labels = default_rng(7).integers(0, 5, (12, 18))
    return {"12 x 18 by 2": (labels, 2), "12 x 18 by 3": (labels, 3), "12 x 18 by 6": (labels, 6)}


register(
    Task(
        name="scenes.shrink_mask",
        title="Make a mask smaller",
        text="""You get a `mask` (H, W) of integers and a whole number `factor` that divides both
        sides. Return a mask (H / factor, W / factor) of integers by nearest neighbour: from each
        block, take the label of the pixel at row and column `factor // 2` of the block.""",
        minutes=4,
        difficulty=1,
        hints=(
            """Labels are names, not amounts: no arithmetic on them. A slice with a step is all you
            need.""",
            """`mask[::factor, ::factor]` takes the corner of each block, because a slice starts at
            0. Where must both slices start?""",
        ),
        solution=shrink_mask,
        cases=_shrink_cases,
        mistakes=(
            _shrink_by_mean,
            _shrink_by_largest,
            _shrink_by_majority,
            _shrink_from_one,
            _shrink_to_corners,
        ),
    )
)
