"""Scenes that Blender rendered, read from a folder."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from smm_tutorial.scenes import Scene, read_records

#: Size of our images of the same scenes, in pixels. Blender's images are twice as high and wide.
HEIGHT, WIDTH, SAMPLES = 120, 160, 4
BLENDER_SIZE = (2 * HEIGHT, 2 * WIDTH)


class Renders(NamedTuple):
    """B scenes that Blender rendered, with images and masks."""

    scenes: list[Scene]
    images: Tensor  # (B, 3, 2 * HEIGHT, 2 * WIDTH) uint8
    masks: Tensor  # (B, 2 * HEIGHT, 2 * WIDTH) uint8

    def subset(self, places: slice) -> Renders:
        """Some of the scenes."""
        return Renders(self.scenes[places], self.images[places], self.masks[places])


def read_renders(root: str | Path) -> Renders:
    """The renders in a folder: scenes.json, images/ and masks/.

    Raises:
        ValueError: a scene lacks its camera or lamps, or an image is not of 320 x 240 pixels.
    """
    root = Path(root)
    scenes = read_records(root / "scenes.json")
    for scene in scenes:
        if scene.camera is None or scene.lamps is None:
            raise ValueError(
                f"{root}: the record of {scene.filename} has no camera or no lamps, "
                "so nothing can be compared"
            )
    images, masks = [], []
    for scene in scenes:
        image = np.asarray(Image.open(root / "images" / scene.filename).convert("RGB"))
        mask = np.asarray(Image.open(root / "masks" / scene.filename))
        if image.shape != (*BLENDER_SIZE, 3) or mask.shape != BLENDER_SIZE:
            raise ValueError(
                f"{root}: image and mask of {scene.filename} are {image.shape} and {mask.shape}, "
                f"expected {(*BLENDER_SIZE, 3)} and {BLENDER_SIZE}"
            )
        images.append(image)
        masks.append(mask)
    pixels = torch.from_numpy(np.stack(images)).permute(0, 3, 1, 2)
    return Renders(scenes, pixels, torch.from_numpy(np.stack(masks)))
