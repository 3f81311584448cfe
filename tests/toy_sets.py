"""Small made-up sets of objects, true and predicted, for tests."""

import numpy as np
import torch
from torch import Tensor

from smm_tutorial.datasets import SceneImages
from smm_tutorial.scenes import random_scene
from smm_tutorial.set_prediction.targets import COORDINATES, REAL, set_targets

SCENES = [random_scene(np.random.default_rng([6, index]), 3, 5) for index in range(4)]
DATA = SceneImages(
    torch.randint(
        0, 256, (4, 3, 16, 16), generator=torch.Generator().manual_seed(0), dtype=torch.uint8
    ),
    [f"{index}.png" for index in range(4)],
    "toy",
    "test",
    "CC0",
    records=[scene.to_record() for scene in SCENES],
)
TARGETS = set_targets(DATA.records, 5)  # (4, 5, 19)


def guess_sets(seed: int = 0, noise: float = 0.1) -> Tensor:
    """Predictions near the targets, in another order, some of another kind, some unsure."""
    generator = torch.Generator().manual_seed(seed)
    vectors = TARGETS[:, torch.randperm(5, generator=generator)].clone()
    vectors[..., COORDINATES] += noise * torch.randn(4, 5, 3, generator=generator)
    vectors[..., COORDINATES.stop : REAL] += 0.45 * torch.randn(4, 5, 15, generator=generator)
    vectors[..., REAL] = 0.6 * vectors[..., REAL] + 0.4 * torch.rand(4, 5, generator=generator)
    return vectors
