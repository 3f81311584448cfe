"""Sets of points in the plane: parallel sticks (notebook 02) and pairs of clouds (notebook 03)."""

import numpy as np
import torch
from torch import Tensor

from smm_tutorial.arguments import check_whole

STICK_TILT = np.pi / 6  # from upright to the left, as the sticks of notebook 01
STICK_SPREADS = (0.25, 1.3)  # standard deviations across and along a stick


def stick_map(tilt: float = STICK_TILT) -> np.ndarray:
    """The matrix (2, 2) that turns a round cloud of variance 1 into a stick.

    Its inverse makes the sticks round again. tilt: from upright to the left, in radians.
    """
    cosine, sine = np.cos(tilt), np.sin(tilt)
    return np.array([[cosine, -sine], [sine, cosine]]) * STICK_SPREADS


def stick_sets(
    rng: np.random.Generator,
    count: int,
    groups: int = 4,
    per_group: int = 16,
    tilt: float = STICK_TILT,
) -> tuple[Tensor, np.ndarray]:
    """Sets of parallel sticks at random places, and the stick of each point.

    Returns:
        Points (count, N, 2), float64, and each point's group (N,), where N = groups * per_group.
        Points of one group follow each other; the order is the same in every set.

    Raises:
        ValueError: so many separate sticks do not fit, or a number is not whole.
    """
    count = check_whole("count", count)
    groups, per_group = check_whole("groups", groups), check_whole("per_group", per_group)
    shape = stick_map(tilt)
    to_round = np.linalg.inv(shape)
    centres = np.stack([_place_sticks(rng, groups, to_round) for _ in range(count)])
    offsets = rng.normal(size=(count, groups, per_group, 2)) @ shape.T
    points = centres[:, :, None] + offsets  # (count, groups, per_group, 2)
    return torch.from_numpy(points.reshape(count, -1, 2)), np.repeat(np.arange(groups), per_group)


SEPARATION = 5.5  # least distance of two sticks' centres, in standard deviations
BOX = 3.0  # centres lie in [-BOX, BOX]^2
PLACES_TRIED = 200  # places tried for the centres of a set before the set starts again
MOST_SETS = 500  # attempts for one set before the function gives up


def _place_sticks(rng: np.random.Generator, count: int, to_round: np.ndarray) -> np.ndarray:
    """Centres (count, 2), `SEPARATION` apart once `to_round` (2, 2) has made the sticks round."""
    for _ in range(MOST_SETS):
        places = np.empty((0, 2))
        for place in rng.uniform(-BOX, BOX, size=(PLACES_TRIED, 2)):
            if (np.linalg.norm((places - place) @ to_round.T, axis=1) > SEPARATION).all():
                places = np.vstack([places, place])
            if len(places) == count:
                return places
    raise ValueError(
        f"{count} sticks do not fit {SEPARATION} deviations apart into the box: "
        "ask for fewer groups"
    )


def draw_points(sets: Tensor, count: int, generator: torch.Generator) -> Tensor:
    """`count` different points of each set (B, N, 2), drawn at random -> (B, count, 2).

    Raises `ValueError` if a set has fewer points.
    """
    count = check_whole("count", count, most=sets.shape[1])
    order = torch.rand(sets.shape[:2], generator=generator).argsort(dim=1)[:, :count]  # (B, count)
    return sets.gather(1, order[:, :, None].expand(-1, -1, sets.shape[2]))


CLOUD_KINDS = ("apart", "concentric", "cross", "tilted cross")


def two_clouds(
    kind: str, rng: np.random.Generator, count: int = 200
) -> tuple[np.ndarray, np.ndarray]:
    """Two groups of `count` / 2 points each in the plane.

    Args:
        kind: "apart": two round groups of equal spread; "concentric": a core and a halo with the
            same mean; "cross": a horizontal and a vertical stick with the same mean; "tilted
            cross": the cross turned by 45 degrees.
        rng: draws the points.
        count: how many points.

    Returns:
        Points (count, 2), and each point's group (count,) in {0, 1}.

    Raises:
        ValueError: there is no such kind, or `count` is not whole.
    """
    count = check_whole("count", count)
    if kind not in CLOUD_KINDS:
        raise ValueError(f"kind must be one of {', '.join(map(repr, CLOUD_KINDS))}, got {kind!r}")
    groups = np.arange(count) % 2
    spreads = {"apart": [[0.5, 0.5], [0.5, 0.5]], "concentric": [[0.25, 0.25], [1.5, 1.5]]}
    spread = np.array(spreads.get(kind, [[1.5, 0.15], [0.15, 1.5]]))
    centres = np.array([[-1.5, -0.5], [1.5, 0.5]] if kind == "apart" else [[0.0, 0.0], [0.0, 0.0]])
    points = centres[groups] + spread[groups] * rng.normal(size=(count, 2))
    if kind == "tilted cross":
        points = points @ np.array([[1.0, 1.0], [-1.0, 1.0]]) / np.sqrt(2)
    return points, groups
