"""What a network that was trained on the real CLEVR predicts from our images.

The network is the released set predictor. It reacts to differences that PSNR hardly shows. Two ray
tracers had a PSNR of 36 and 37 dB against Blender: the network could read the images of one and not
of the other. The weights are the authors' file, see `set_prediction.released`, and are not part of
this course.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from smm_tutorial.datasets.cropping import BILINEAR, crop_and_resize
from smm_tutorial.fidelity.renders import Renders
from smm_tutorial.scenes import Scene, random_scenes
from smm_tutorial.scenes.camera import OFFICIAL_WINDOW
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
#: Height and width in pixels, one ray per pixel. The images are then made smaller, so that a pixel
#: of the network averages about five rays.
DRAWN_SIZE = (240, 360)
BATCH = 20
SIMPLER = {
    "ambient light set by hand": Effects(ambient="by hand"),
    "no ambient light": Effects(ambient="none"),
}


def measure_recognition(renders: Renders, weights: str | Path) -> dict[str, dict[str, float]]:
    """Average precision of the released network at each of `set_prediction.THRESHOLDS`, by set of
    images.

    The sets are: Blender's images of scenes; our images of the same scenes, complete and with
    simpler ambient light; and our images of new random scenes of 3 to 10 objects.

    weights: the authors' file.

    Raises:
        CheckpointError: the file is not the authors' file.
    """
    network = load_released(weights)
    new = random_scenes(RANDOM_SCENES, np.random.default_rng(SEED))
    images: dict[str, tuple[Sequence[Scene], Tensor]] = {
        "Blender's images": (renders.scenes, blender_images(renders)),
        "ours of the same scenes": (renders.scenes, our_images(renders.scenes)),
        f"ours of {RANDOM_SCENES} new scenes": (new, our_images(new)),
    }
    for name, effects in SIMPLER.items():
        simpler = our_images(renders.scenes, effects)
        images[f"ours of the same scenes, {name}"] = (renders.scenes, simpler)
    return {
        name: score_recognition(network, scenes, pictures)
        for name, (scenes, pictures) in images.items()
    }


def score_recognition(
    network: ReleasedSetPredictor, scenes: Sequence[Scene], images: Tensor
) -> dict[str, float]:
    """Average precision at each of `set_prediction.THRESHOLDS`, and the number of images.

    Args:
        images: (B, 3, 128, 128) in [0, 1], of the scenes.
    """
    generator, predictions = torch.Generator().manual_seed(SEED), []
    with torch.no_grad():
        for some in images.split(BATCH):
            predictions.append(network(some, noise=network.start_noise(len(some), generator)))
    precisions = average_precisions(torch.cat(predictions), set_targets(scenes, NUM_SLOTS))
    return precisions | {"images": len(images)}


def blender_images(renders: Renders) -> Tensor:
    """Blender's images in the form that the network needs: (B, 3, 128, 128) in [0, 1].

    They show the part of the renders' 4:3 frame that CLEVR's own images show.
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
    """Our ray tracer's images of the same part of the frame: (B, 3, 128, 128) in [0, 1]."""
    drawn = []
    for start in range(0, len(scenes), BATCH):
        some = scenes[start : start + BATCH]
        drawn.append(render(some, *DRAWN_SIZE, window=OFFICIAL_WINDOW, effects=effects).images)
    fitted = torch.nn.functional.interpolate(
        torch.cat(drawn), size=(IMAGE_SIZE, IMAGE_SIZE), mode="bilinear", antialias=True
    )
    return fitted.clamp(0, 1)
