"""Profiles: one place for every size, step count and batch that differs between a smoke test, a
laptop and a GPU.

`SMM_PROFILE` chooses (`ci`, `laptop`, `gpu`, `paper`); without it, a CUDA device means `gpu`,
anything else `laptop`.
"""

import os
from dataclasses import dataclass
from typing import Literal

import torch


@dataclass(frozen=True)
class DiscoverySizes:
    """Object discovery: the network's size and how long it trains."""

    image_size: int  # pixels
    channels: int  # of the encoder
    decoder_channels: int
    num_slots: int
    train_slots: int  # in training; fewer than `num_slots`, so that none is spare to cut an object
    slot_dim: int
    batch_size: int
    learning_rate: float
    steps: int  # of a full run
    live_steps: int  # of the run that a learner watches in the notebook
    parts: Literal["light", "paper"] = (
        "light"  # encoder and decoder: for a CPU or a small GPU, or the papers'
    )
    schedule: Literal["cosine", "half_life"] = (
        "cosine"  # of the learning rate, see `training.learning_rate_factor`
    )
    warmup_steps: int = 300
    half_life: int | None = None  # steps
    clip_norm: float = 0.15


@dataclass(frozen=True)
class SetPredictionSizes:
    """Set prediction: the scenes, the network's size and how long it trains."""

    data: str  # of `datasets.named_sets.SET_DATA`
    scenes: int  # of the training split
    image_size: int  # pixels
    num_slots: int  # at least as many as a scene has objects
    channels: int  # of the encoder
    stride: int  # of the encoder, pixels
    slot_dim: int
    num_iterations: int
    batch_size: int
    learning_rate: float
    steps: int  # of a full run
    live_steps: int  # of the run that a learner watches in the notebook
    parts: Literal["light", "paper"] = "light"  # the encoder, see `DiscoverySizes`
    clip_norm: float = 1.0


@dataclass(frozen=True)
class Profile:
    """What a machine of one kind is asked to do."""

    name: str
    discovery: DiscoverySizes
    set_prediction: SetPredictionSizes
    shown_scenes: int  # how many scenes a figure or a quick table uses


_SLOTS = {"num_slots": 7, "train_slots": 6}
_SMALL = {
    "image_size": 32,
    "channels": 32,
    "decoder_channels": 48,
    "slot_dim": 48,
    "learning_rate": 1.6e-3,
}
_FULL = {
    "channels": 64,
    "decoder_channels": 64,
    "slot_dim": 64,
    "learning_rate": 4e-4,
    "live_steps": 3_000,
}
#: SMM's object discovery (arXiv 2311.04640): batch 128, the networks of Slot Attention at full
#: resolution.
_PAPER = {
    "parts": "paper",
    "schedule": "half_life",
    "warmup_steps": 5_000,
    "half_life": 50_000,
    "clip_norm": 1.0,
}

#: Encoder and slots as wide as in `_SMALL`, so that set prediction can begin with what object
#: discovery has learned.
_FEW = {
    "data": "clevr6-whole",
    "image_size": 64,
    "num_slots": 7,
    "channels": 32,
    "stride": 2,
    "slot_dim": 48,
    "num_iterations": 4,
    "learning_rate": 1e-3,
    "clip_norm": 0.3,
}
#: SMM's set prediction: 128 pixels, ten slots, seven iterations, batch 512, 150,000 steps.
_MANY = {
    "data": "clevr-whole",
    "image_size": 128,
    "num_slots": 10,
    "channels": 64,
    "stride": 4,
    "slot_dim": 64,
    "parts": "paper",
    "num_iterations": 7,
    "live_steps": 3_000,
}

PROFILES = {
    profile.name: profile
    for profile in (
        Profile(
            "ci",
            DiscoverySizes(**_SMALL, **_SLOTS, batch_size=8, steps=20, live_steps=20),
            SetPredictionSizes(**_FEW, scenes=64, batch_size=8, steps=20, live_steps=20),
            shown_scenes=16,
        ),
        Profile(
            "laptop",
            DiscoverySizes(**_SMALL, **_SLOTS, batch_size=16, steps=30_000, live_steps=1_500),
            SetPredictionSizes(**_FEW, scenes=4_608, batch_size=16, steps=20_000, live_steps=1_000),
            shown_scenes=64,
        ),
        Profile(
            "gpu",
            DiscoverySizes(**_FULL, **_SLOTS, image_size=64, batch_size=64, steps=60_000),
            SetPredictionSizes(
                **_MANY, scenes=20_000, batch_size=128, learning_rate=4e-4, steps=60_000
            ),
            shown_scenes=320,
        ),
        Profile(
            "paper",
            DiscoverySizes(
                **_FULL, **_SLOTS, **_PAPER, image_size=128, batch_size=128, steps=250_000
            ),
            SetPredictionSizes(
                **_MANY, scenes=70_000, batch_size=512, learning_rate=3.5e-4, steps=150_000
            ),
            shown_scenes=320,
        ),
    )
}


def current_profile() -> Profile:
    """The profile that `SMM_PROFILE` names, else the one for this hardware.

    Raises `ValueError` when `SMM_PROFILE` names no profile.
    """
    name = os.environ.get("SMM_PROFILE") or ("gpu" if torch.cuda.is_available() else "laptop")
    if name not in PROFILES:
        raise ValueError(
            f"SMM_PROFILE is {name!r}; known profiles are {', '.join(PROFILES)}: set one of them, or none"
        )
    return PROFILES[name]
