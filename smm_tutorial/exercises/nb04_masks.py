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


@mistake("You see through objects: the nearest one hides the others.")
def _hit_farthest(distances):
    hit = np.isfinite(distances)
    return np.where(hit.any(axis=0), np.where(hit, distances, -np.inf).argmax(axis=0) + 1, 0)


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
        text="""`distances` (K, H, W): how far away each of K objects is along each pixel's ray,
        `np.inf` where the ray misses it. Return the integer mask (H, W): 0 where no object is hit,
        else the number of the object that one sees, counted from 1.""",
        minutes=6,
        difficulty=1,
        hints=(
            "One sees what is nearest. What does `argmin` say where all distances are infinite?",
            "`distances.argmin(axis=0) + 1` where `np.isfinite(distances).any(axis=0)`, else 0.",
        ),
        solution=nearest_hit,
        cases=_hit_cases,
        mistakes=(
            _hit_without_background,
            _hit_counted_from_zero,
            _hit_farthest,
            _hit_last_painted,
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


@mistake("You take the corner of each block, which shifts the mask: take `factor // 2`.")
def _shrink_to_corners(mask, factor):
    return mask[::factor, ::factor]


def _shrink_cases() -> dict[str, tuple]:
    labels = default_rng(7).integers(0, 5, (12, 18))
    return {"12 x 18 by 2": (labels, 2), "12 x 18 by 3": (labels, 3)}


register(
    Task(
        name="scenes.shrink_mask",
        title="Make a mask smaller",
        text="""An integer `mask` (H, W) and a whole `factor` that divides both sides. Return the
        mask (H / factor, W / factor) by nearest neighbour: of each block, the label of the pixel at
        row and column `factor // 2`.""",
        minutes=4,
        difficulty=1,
        hints=(
            """Labels are names, not amounts: no arithmetic on them. A slice with a step is all you
            need.""",
            "Start the slice at `factor // 2` rather than at 0, along both axes.",
        ),
        solution=shrink_mask,
        cases=_shrink_cases,
        mistakes=(_shrink_by_mean, _shrink_by_largest, _shrink_to_corners),
    )
)
