"""What each effect of the ray tracer contributes.

Our images of scenes are compared with Blender's images. One effect is changed at a time.
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
LEAST_PIXELS = 20  # a surface with fewer pixels in an image gets no score
SURFACES = ("ground", "rubber", "metal")
#: The scenes of the file that the fit used, and those that the scores use.
FITTED_ON, REPORTED_ON = slice(0, None, 2), slice(1, None, 2)
MASKS_ONLY = Effects(shadows="none", ambient="none", reflections="none", bounces=0)

#: The compared renderings, by name: all effects, and all effects with one change.
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


def measure_effects(renders: Renders) -> Iterator[tuple[str, dict]]:
    """Name and scores of each of `SWITCHES`, on the scenes with odd numbers, which no fit has used.

    The complete rendering is also scored on all scenes. The cost of a change is the difference in
    PSNR to the complete rendering, in dB, averaged over images.
    """
    everything = asdict(Effects())
    overlaps = {edges: mask_overlap(renders, Effects(edges=edges)) for edges in ("round", "sharp")}
    everywhere = compare_images(renders, Effects())
    complete = {name: values[REPORTED_ON] for name, values in everywhere.items()}
    held_out = renders.subset(REPORTED_ON)
    for name, effects in tqdm(SWITCHES.items(), desc="effects"):
        is_complete = effects == Effects()
        scores = complete if is_complete else compare_images(held_out, effects)
        losses = {kind: complete[kind] - scores[kind] for kind in ("image", *SURFACES)}
        changed = {key: value for key, value in asdict(effects).items() if value != everything[key]}
        entry = {
            "changed": changed,
            "costs": {kind: round(loss.nanmean().item(), 2) for kind, loss in losses.items()},
            "mask_overlap": overlaps[effects.edges],
            "held out": summarise_scores(scores),
        }
        yield name, entry | ({"all": summarise_scores(everywhere)} if is_complete else {})


def compare_images(renders: Renders, effects: Effects) -> dict[str, Tensor]:
    """Scores of our image of each of B scenes against Blender's.

    Returns:
        PSNR in dB (B,) of the whole "image" and within the pixels of each of `SURFACES` (NaN for a
        surface with too few pixels), and the mean difference of each channel, "shift" (B, 3), in
        levels of 255.
    """
    count = len(renders.scenes)
    scores = {name: torch.full((count,), torch.nan) for name in ("image", *SURFACES)}
    shifts = []
    for start in range(0, count, SCENES_PER_RENDER):
        some = slice(start, start + SCENES_PER_RENDER)
        ours = render(renders.scenes[some], HEIGHT, WIDTH, samples=SAMPLES, effects=effects).images
        theirs = torch.nn.functional.avg_pool2d(renders.images[some].float() / 255, 2)
        squared = (ours - theirs).square().mean(1)  # (B, H, W)
        shifts.append(255 * (ours - theirs).mean((2, 3)))  # (B, 3)
        for index, errors in enumerate(squared, start):
            scores["image"][index] = _decibels(errors)
            seen = _seen_surfaces(renders.scenes[index], renders.masks[index, ::2, ::2])
            for number, name in enumerate(SURFACES):
                if (seen == number).sum() >= LEAST_PIXELS:
                    scores[name][index] = _decibels(errors[seen == number])
    return scores | {"shift": torch.cat(shifts)}


def summarise_scores(scores: dict[str, Tensor]) -> dict[str, float]:
    """Means over images, PSNR of the worst image, largest mean difference of a channel."""
    means = {name: round(scores[name].nanmean().item(), 2) for name in ("image", *SURFACES)}
    return means | {
        "worst_image": round(scores["image"].min().item(), 2),
        "colour_shift": round(scores["shift"].mean(0).abs().max().item(), 2),
        "images": len(scores["image"]),
    }


def mask_overlap(renders: Renders, effects: Effects) -> float:
    """IoU of our mask with Blender's, averaged over all objects, at the size of Blender's masks."""
    plain = replace(MASKS_ONLY, edges=effects.edges)
    overlaps = []
    for scene, truth in zip(renders.scenes, renders.masks, strict=True):
        ours = render([scene], *truth.shape, effects=plain).masks[0]
        for label in range(1, len(scene.objects) + 1):
            one, other = ours == label, truth == label
            overlaps.append(((one & other).sum() / (one | other).sum().clamp(min=1)).item())
    return round(float(np.mean(overlaps)), 4)


def _decibels(squared_errors: Tensor) -> Tensor:
    return -10 * squared_errors.mean().clamp(min=1e-10).log10()


def _seen_surfaces(scene: Scene, mask: Tensor) -> Tensor:
    """The index into `SURFACES` of the surface that each pixel of a mask (H, W) shows."""
    surfaces = [0, *(SURFACES.index(item.material) for item in scene.objects)]
    return torch.tensor(surfaces)[mask.long()]
