"""What a network that was trained on the real CLEVR reads from our pictures: the released set
predictor as a judge.

A network sees what PSNR hardly shows: of two ray tracers with 36 and 37 dB against Blender, one can
be good enough for it and the other useless. The weights are the authors' file, see
`set_prediction.released`, and are not part of this course.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from smm_tutorial.datasets.cropping import BILINEAR, crop_and_resize
from smm_tutorial.datasets.own.rendered import OFFICIAL_WINDOW
from smm_tutorial.fidelity.renders import Renders
from smm_tutorial.scenes import Scene, random_scenes
from smm_tutorial.scenes.effects import Effects
from smm_tutorial.scenes.raytrace import render
from smm_tutorial.set_prediction.released import (
    IMAGE_SIZE,
    NUM_SLOTS,
    ReleasedSetPredictor,
    load_released,
)
from smm_tutorial.set_prediction.scores import average_precisions
from smm_tutorial.set_prediction.targets import set_targets

RANDOM_SCENES, SEED = 300, 0
DRAWN_SIZE = (
    240,
    360,
)  # pixels, one ray each; then made smaller, so that a pixel of the network sees about five rays
BATCH = 20
SIMPLER = {
    "ambient light set by hand": Effects(ambient="by hand"),
    "no ambient light": Effects(ambient="none"),
}


def recognise_pictures(renders: Renders, weights: str | Path) -> dict[str, dict[str, float]]:
    """Average precision of the released weights at each of `set_prediction.THRESHOLDS`, by the kind
    of images.

    Blender's images of scenes; ours of the same scenes, complete and with simpler ambient light;
    ours of new random scenes of 3 to 10 objects.

    Raises `CheckpointError` for a file that is not the authors'.
    """
    network = load_released(weights)
    new = random_scenes(RANDOM_SCENES, np.random.default_rng(SEED))
    images: dict[str, tuple[Sequence[Scene], Tensor]] = {
        "Blender's images": (renders.scenes, blender_images(renders)),
        "ours of the same scenes": (renders.scenes, our_images(renders.scenes)),
        f"ours of {RANDOM_SCENES} new scenes": (new, our_images(new)),
    }
    for name, effects in SIMPLER.items():
        images[f"ours of the same scenes, {name}"] = (
            renders.scenes,
            our_images(renders.scenes, effects),
        )
    return {
        name: precisions(network, scenes, pictures) for name, (scenes, pictures) in images.items()
    }


def precisions(
    network: ReleasedSetPredictor, scenes: Sequence[Scene], images: Tensor
) -> dict[str, float]:
    """Average precision at each of `set_prediction.THRESHOLDS`, and how many images there were,
    `(B, 3, 128, 128)`.
    """
    generator, predictions = torch.Generator().manual_seed(SEED), []
    with torch.no_grad():
        for some in images.split(BATCH):
            predictions.append(network(some, noise=network.start_noise(len(some), generator)))
    return average_precisions(torch.cat(predictions), set_targets(scenes, NUM_SLOTS)) | {
        "images": len(images)
    }


def blender_images(renders: Renders) -> Tensor:
    """The part of the renders' 4:3 frame that CLEVR's own images show, as the network takes it:
    `(B, 3, 128, 128)`.
    """
    height, width = renders.images.shape[2:]
    top, left, bottom, right = OFFICIAL_WINDOW
    box = (left * width, top * height, right * width, bottom * height)
    pixels = [
        crop_and_resize(image, box, IMAGE_SIZE, BILINEAR)
        for image in renders.images.permute(0, 2, 3, 1).numpy()
    ]
    return torch.from_numpy(np.stack(pixels)).permute(0, 3, 1, 2).float() / 255


def our_images(scenes: Sequence[Scene], effects: Effects | None = None) -> Tensor:
    """The same by our ray tracer."""
    parts = [scenes[start : start + BATCH] for start in range(0, len(scenes), BATCH)]
    drawn = [
        render(part, *DRAWN_SIZE, window=OFFICIAL_WINDOW, effects=effects).images for part in parts
    ]
    size = (IMAGE_SIZE, IMAGE_SIZE)
    return torch.nn.functional.interpolate(
        torch.cat(drawn), size=size, mode="bilinear", antialias=True
    ).clamp(0, 1)
