"""Profiles: what a machine of one kind is asked to do.

`SMM_PROFILE` chooses one (`ci`, `laptop`, `gpu`, `paper`). Without it a CUDA device means `gpu`,
anything else `laptop`. How large the network of a task is, and how long it trains on each profile,
stands in the task's `recipe`.
"""

import os
from dataclasses import dataclass

import torch


@dataclass(frozen=True)
class Profile:
    """A kind of machine."""

    name: str
    shown_scenes: int  # how many scenes a figure or a quick table uses


PROFILES = {
    "ci": Profile("ci", shown_scenes=16),
    "laptop": Profile("laptop", shown_scenes=64),
    "gpu": Profile("gpu", shown_scenes=320),
    "paper": Profile("paper", shown_scenes=320),
}


def current_profile() -> Profile:
    """The profile that `SMM_PROFILE` names, else the one for this hardware.

    Raises `ValueError` when `SMM_PROFILE` names no profile.
    """
    name = os.environ.get("SMM_PROFILE") or ("gpu" if torch.cuda.is_available() else "laptop")
    if name not in PROFILES:
        raise ValueError(
            f"SMM_PROFILE is {name!r}; known profiles are {', '.join(PROFILES)}: "
            "set one of them, or none"
        )
    return PROFILES[name]
