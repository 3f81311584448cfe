"""The task of notebook 00: a first exercise, which shows how exercises work."""

import torch
from torch import Tensor

from smm_tutorial.exercises.core import Task, mistake, register

# count_objects


def count_objects(mask: Tensor) -> int:
    return len(mask[mask > 0].unique())


@mistake("You also count the ground, which has the number 0.")
def _count_with_ground(mask):
    return len(mask.unique())


@mistake(
    "The largest number is not always the number of objects: an object that one does not see has a "
    "number, too."
)
def _take_largest_number(mask):
    return int(mask.max())


@mistake("You subtract 1 for the ground, but a mask may show no ground: pick the objects first.")
def _subtract_ground(mask):
    return len(mask.unique()) - 1


@mistake("You count the pixels of all objects: count each object once.")
def _count_pixels(mask):
    return int((mask > 0).sum())


def _cases() -> dict[str, tuple]:
    return {
        "three objects on the ground": (torch.tensor([[0, 1, 1, 0], [2, 2, 0, 3]]),),
        "object 2 of 3 is hidden": (torch.tensor([[0, 1, 1, 0], [0, 0, 3, 3]]),),
        "two objects hide the ground": (torch.tensor([[1, 1, 2, 2], [1, 1, 2, 2]]),),
        "only ground": (torch.zeros(2, 4, dtype=torch.int64),),
    }


register(
    Task(
        name="welcome.count_objects",
        title="Count the objects of a mask",
        text="""A true `mask` (H, W) is an integer tensor: 0 is the ground, and each object has its
        own number from 1 on. Return how many objects the mask shows, as an `int`.""",
        minutes=2,
        difficulty=1,
        hints=(
            "Which numbers occur in the mask? `mask.unique()` contains each of them once.",
            "The ground is no object: `mask > 0` tells you which pixels show objects.",
        ),
        solution=count_objects,
        cases=_cases,
        mistakes=(_count_with_ground, _take_largest_number, _subtract_ground, _count_pixels),
    )
)
