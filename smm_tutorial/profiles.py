"""Profiles: each profile fits the amount of work to a kind of machine.

The environment variable `SMM_PROFILE` chooses `ci`, `laptop`, `gpu` or `paper`. Without this
variable, a machine with a CUDA device has the profile `gpu`, and any other machine `laptop`. The
`recipe` of a task holds the size of the network and the number of steps for each profile.
"""

import os
from dataclasses import dataclass

import torch


@dataclass(frozen=True)
class Profile:
    """A kind of machine, and the number of scenes that suits it."""

    name: str
    shown_scenes: int  # how many scenes a figure or a quick table uses


PROFILES = {
    "ci": Profile("ci", shown_scenes=16),
    "laptop": Profile("laptop", shown_scenes=64),
    "gpu": Profile("gpu", shown_scenes=320),
    "paper": Profile("paper", shown_scenes=320),
}


def current_profile() -> Profile:
    """Returns the profile that `SMM_PROFILE` names, or the profile for this hardware.

    Raises `ValueError` if `SMM_PROFILE` names no profile.
    """
    name = os.environ.get("SMM_PROFILE") or ("gpu" if torch.cuda.is_available() else "laptop")
    if name not in PROFILES:
        raise ValueError(
            f"SMM_PROFILE is {name!r}; known profiles are {', '.join(PROFILES)}: "
            "set one of them, or none"
        )
    return PROFILES[name]
