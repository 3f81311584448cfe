"""What each effect of the ray tracer is worth: our images of scenes against Blender's, with one
effect changed at a time.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, replace

import numpy as np
import torch
from torch import Tensor
from tqdm import tqdm

from smm_tutorial.fidelity.renders import HEIGHT, SAMPLES, WIDTH, Renders
from smm_tutorial.scenes import Scene
from smm_tutorial.scenes.effects import Effects
from smm_tutorial.scenes.raytrace import render

SCENES_PER_RENDER = 8
LEAST_PIXELS = 20  # of a kind in an image, for a score
KINDS = ("ground", "rubber", "metal")
FITTED_ON, REPORTED_ON = slice(0, None, 2), slice(1, None, 2)  # scenes, by their place in the file
MASKS_ONLY = Effects(shadows="none", ambient="none", reflections="none", bounces=0)

#: What is compared: everything, and everything but one effect.
SWITCHES: dict[str, Effects] = {
    "all effects": Effects(),
    "lamps where the base scene has them": Effects(lamps="nominal"),
    "no ambient light": Effects(ambient="none"),
    "ambient light set by hand": Effects(ambient="by hand"),
    "flat backdrop": Effects(backdrop="flat"),
    "no shadows": Effects(shadows="none"),
    "hard shadows": Effects(shadows="hard"),
    "sharp edges": Effects(edges="sharp"),
    "no reflections": Effects(reflections="none"),
    "mirrors without a rough part": Effects(reflections="mirror"),
    "one rough ray": Effects(rough_rays=1),
    "one bounce": Effects(bounces=1),
    "samples averaged as light": Effects(average="light"),
    "Blackman-Harris filter": Effects(pixel_filter="blackman-harris"),
}


def compare(renders: Renders, effects: Effects) -> dict[str, Tensor]:
    """Scores of our image of each scene against Blender's.

    Returns:
        PSNR in dB (B,) of the whole "image" and within the pixels of each of `KINDS` (NaN where it
        hardly shows), and the mean difference of each channel, "shift" (B, 3), in levels of 255.
    """
    scores = {kind: torch.full((len(renders.scenes),), torch.nan) for kind in ("image", *KINDS)}
    shifts = []
    for start in range(0, len(renders.scenes), SCENES_PER_RENDER):
        some = slice(start, start + SCENES_PER_RENDER)
        ours = render(renders.scenes[some], HEIGHT, WIDTH, samples=SAMPLES, effects=effects).images
        theirs = torch.nn.functional.avg_pool2d(renders.images[some].float() / 255, 2)
        squared = (ours - theirs).square().mean(1)  # (B, H, W)
        shifts.append(255 * (ours - theirs).mean((2, 3)))  # (B, 3)
        for place, index in enumerate(range(start, start + len(ours))):
            scores["image"][index] = _decibels(squared[place])
            kinds = _kinds(renders.scenes[index], renders.masks[index, ::2, ::2])
            for number, kind in enumerate(KINDS):
                if (kinds == number).sum() >= LEAST_PIXELS:
                    scores[kind][index] = _decibels(squared[place][kinds == number])
    return scores | {"shift": torch.cat(shifts)}


def summary(scores: dict[str, Tensor]) -> dict[str, float]:
    """Means over images, the worst image's PSNR, and the largest of the channels' mean
    differences.
    """
    means = {kind: round(scores[kind].nanmean().item(), 2) for kind in ("image", *KINDS)}
    worst, shift = scores["image"].min().item(), scores["shift"].mean(0).abs().max().item()
    return means | {
        "worst_image": round(worst, 2),
        "colour_shift": round(shift, 2),
        "images": len(scores["image"]),
    }


def _decibels(squared_errors: Tensor) -> Tensor:
    return -10 * squared_errors.mean().clamp(min=1e-10).log10()


def _kinds(scene: Scene, mask: Tensor) -> Tensor:
    """The place in `KINDS` of what each pixel of a mask (H, W) shows."""
    kinds = [0, *(KINDS.index(item.material) for item in scene.objects)]
    return torch.tensor(kinds)[mask.long()]


def mask_overlap(renders: Renders, effects: Effects) -> float:
    """Mean over all objects of the intersection over union of our mask with Blender's, at Blender's
    size.
    """
    overlaps = []
    plain = replace(MASKS_ONLY, edges=effects.edges)
    for scene, truth in zip(renders.scenes, renders.masks, strict=True):
        ours = render([scene], *truth.shape, effects=plain).masks[0]
        for label in range(1, len(scene.objects) + 1):
            one, other = ours == label, truth == label
            overlaps.append(((one & other).sum() / (one | other).sum().clamp(min=1)).item())
    return round(float(np.mean(overlaps)), 4)


def measure(renders: Renders) -> Iterator[tuple[str, dict]]:
    """Name and scores of each of `SWITCHES` on the scenes that nothing was fitted on, the first
    one's on all as well.

    A change costs the mean over images of the difference in dB to the complete rendering.
    """
    overlaps = {edges: mask_overlap(renders, Effects(edges=edges)) for edges in ("round", "sharp")}
    everywhere = compare(renders, Effects())
    complete = {kind: values[REPORTED_ON] for kind, values in everywhere.items()}
    held_out = Renders(
        renders.scenes[REPORTED_ON], renders.images[REPORTED_ON], renders.masks[REPORTED_ON]
    )
    for name, effects in tqdm(SWITCHES.items(), desc="effects"):
        scores = complete if effects == Effects() else compare(held_out, effects)
        entry = {
            "changed": {
                key: value
                for key, value in asdict(effects).items()
                if value != asdict(Effects())[key]
            }
        }
        entry["costs"] = {
            kind: round((complete[kind] - scores[kind]).nanmean().item(), 2)
            for kind in ("image", *KINDS)
        }
        entry |= {"mask_overlap": overlaps[effects.edges], "held out": summary(scores)}
        yield name, entry | ({"all": summary(everywhere)} if effects == Effects() else {})
