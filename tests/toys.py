"""Small made-up data for tests."""

import numpy as np
import torch

from smm_tutorial.datasets import SceneImages
from smm_tutorial.scenes import random_scene


def toy_scenes(count: int = 12, size: int = 16, seed: int = 0) -> SceneImages:
    """Grey images with two coloured squares each, and their masks."""
    generator = torch.Generator().manual_seed(seed)
    images = torch.full((count, 3, size, size), 120, dtype=torch.uint8)
    masks = torch.zeros(count, size, size, dtype=torch.uint8)
    half, side = size // 2, size // 4
    for index in range(count):
        for label, left in ((1, 0), (2, half)):
            y, x = torch.randint(0, half - side, (2,), generator=generator).tolist()
            y, x = 2 * y, left + x
            color = torch.randint(0, 256, (3, 1, 1), generator=generator, dtype=torch.uint8)
            images[index, :, y : y + side, x : x + side] = color
            masks[index, y : y + side, x : x + side] = label
    return SceneImages(
        images, [f"{i}.png" for i in range(count)], "toy", "train", "CC0", masks=masks
    )


def toy_sets(count: int = 8, size: int = 64, most: int = 6) -> SceneImages:
    """Random images with the records of scenes that they do not show."""
    generator = torch.Generator().manual_seed(0)
    images = torch.randint(0, 256, (count, 3, size, size), generator=generator, dtype=torch.uint8)
    records = [random_scene(np.random.default_rng(i), 3, most).to_record() for i in range(count)]
    names = [f"{i}.png" for i in range(count)]
    return SceneImages(images, names, "toy", "test", "CC0", records=records)
