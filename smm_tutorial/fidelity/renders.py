"""Scenes as Blender rendered them."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from smm_tutorial.scenes import Scene, read_records

HEIGHT, WIDTH, SAMPLES = 120, 160, 4


class Renders(NamedTuple):
    """Scenes as Blender rendered them."""

    scenes: list[Scene]
    images: Tensor  # (B, 3, 2 * HEIGHT, 2 * WIDTH) uint8
    masks: Tensor  # (B, 2 * HEIGHT, 2 * WIDTH) uint8


def read_renders(root: str | Path) -> Renders:
    """The renders in a folder.

    Raises `ValueError` when a scene lacks its camera or lamps, or an image has another size than
    320 x 240.
    """
    root = Path(root)
    scenes = read_records(root / "scenes.json")
    for scene in scenes:
        if scene.camera is None or scene.lamps is None:
            raise ValueError(
                f"{root}: the record of {scene.filename} has no camera or no lamps, so nothing can be compared"
            )
    images, masks = [], []
    for scene in scenes:
        image = np.asarray(Image.open(root / "images" / scene.filename).convert("RGB"))
        mask = np.asarray(Image.open(root / "masks" / scene.filename))
        if image.shape != (2 * HEIGHT, 2 * WIDTH, 3) or mask.shape != image.shape[:2]:
            raise ValueError(
                f"{root}: image and mask of {scene.filename} are {image.shape} and {mask.shape}, "
                f"expected {(2 * HEIGHT, 2 * WIDTH, 3)} and {(2 * HEIGHT, 2 * WIDTH)}"
            )
        images.append(image)
        masks.append(mask)
    return Renders(
        scenes,
        torch.from_numpy(np.stack(images)).permute(0, 3, 1, 2),
        torch.from_numpy(np.stack(masks)),
    )
