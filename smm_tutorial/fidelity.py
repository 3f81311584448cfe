"""How near the ray tracer comes to Blender, and what each of its effects is worth: `python -m smm_tutorial.fidelity`.

Takes a folder of renders made with CLEVR's original assets (images/, masks/ and scenes.json with cameras and lamps),
renders the same scenes and compares. The ambient light is fitted on the scenes with even numbers (`--fit` does that
anew and prints the coefficients), so what counts is the column of the others.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from PIL import Image
from torch import Tensor
from tqdm import tqdm

from smm_tutorial import checkpoints, experiments
from smm_tutorial.scenes import Scene, read_records
from smm_tutorial.scenes.effects import Effects
from smm_tutorial.scenes.fitting import fit_ambient
from smm_tutorial.scenes.raytrace import render

RECORD = "raytracer-effects"
HEIGHT, WIDTH, SAMPLES = 120, 160, 4
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


class Renders(NamedTuple):
    """Scenes as Blender rendered them."""

    scenes: list[Scene]
    images: Tensor  # (B, 3, 2 * HEIGHT, 2 * WIDTH) uint8
    masks: Tensor  # (B, 2 * HEIGHT, 2 * WIDTH) uint8


def read_renders(root: str | Path) -> Renders:
    """The renders in a folder.

    Raises `ValueError` when a scene lacks its camera or lamps, or an image has another size than 320 x 240.
    """
    root = Path(root)
    scenes = read_records(root / "scenes.json")
    for scene in scenes:
        if scene.camera is None or scene.lamps is None:
            raise ValueError(f"{root}: the record of {scene.filename} has no camera or no lamps, so nothing can be compared")
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
    return Renders(scenes, torch.from_numpy(np.stack(images)).permute(0, 3, 1, 2), torch.from_numpy(np.stack(masks)))


def compare(renders: Renders, effects: Effects) -> dict[str, Tensor]:
    """Scores of our image of each scene against Blender's.

    Returns:
        PSNR in dB (B,) of the whole "image" and within the pixels of each of `KINDS` (NaN where it hardly shows), and
        the mean difference of each channel, "shift" (B, 3), in levels of 255.
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
    """Means over images, the worst image's PSNR, and the largest of the channels' mean differences."""
    means = {kind: round(scores[kind].nanmean().item(), 2) for kind in ("image", *KINDS)}
    worst, shift = scores["image"].min().item(), scores["shift"].mean(0).abs().max().item()
    return means | {"worst_image": round(worst, 2), "colour_shift": round(shift, 2), "images": len(scores["image"])}


def _decibels(squared_errors: Tensor) -> Tensor:
    return -10 * squared_errors.mean().clamp(min=1e-10).log10()


def _kinds(scene: Scene, mask: Tensor) -> Tensor:
    """The place in `KINDS` of what each pixel of a mask (H, W) shows."""
    kinds = [0, *(KINDS.index(item.material) for item in scene.objects)]
    return torch.tensor(kinds)[mask.long()]


def mask_overlap(renders: Renders, effects: Effects) -> float:
    """Mean over all objects of the intersection over union of our mask with Blender's, at Blender's size."""
    overlaps = []
    plain = replace(MASKS_ONLY, edges=effects.edges)
    for scene, truth in zip(renders.scenes, renders.masks, strict=True):
        ours = render([scene], *truth.shape, effects=plain).masks[0]
        for label in range(1, len(scene.objects) + 1):
            one, other = ours == label, truth == label
            overlaps.append(((one & other).sum() / (one | other).sum().clamp(min=1)).item())
    return round(float(np.mean(overlaps)), 4)


def measure(renders: Renders) -> Iterator[tuple[str, dict]]:
    """Name and scores of each of `SWITCHES` on the scenes that nothing was fitted on, the first one's on all as well.

    A change costs the mean over images of the difference in dB to the complete rendering.
    """
    overlaps = {edges: mask_overlap(renders, Effects(edges=edges)) for edges in ("round", "sharp")}
    everywhere = compare(renders, Effects())
    complete = {kind: values[REPORTED_ON] for kind, values in everywhere.items()}
    held_out = Renders(renders.scenes[REPORTED_ON], renders.images[REPORTED_ON], renders.masks[REPORTED_ON])
    for name, effects in tqdm(SWITCHES.items(), desc="effects"):
        scores = complete if effects == Effects() else compare(held_out, effects)
        entry = {"changed": {key: value for key, value in asdict(effects).items() if value != asdict(Effects())[key]}}
        entry["costs"] = {kind: round((complete[kind] - scores[kind]).nanmean().item(), 2) for kind in ("image", *KINDS)}
        entry |= {"mask_overlap": overlaps[effects.edges], "held out": summary(scores)}
        yield name, entry | ({"all": summary(everywhere)} if effects == Effects() else {})


def table(record: dict) -> str:
    """The record as Markdown: the dB that each change costs, on scenes that nothing was fitted on."""
    from smm_tutorial.report import markdown_table  # imports plotting: needed for this alone

    rows = [["", "PSNR dB", *KINDS, "mask IoU", "costs dB"]]
    for name, scores in record["scores"].items():
        held_out = scores["held out"]
        values = [f"{held_out[kind]:.1f}" for kind in ("image", *KINDS)]
        rows.append([name, *values, f"{scores['mask_overlap']:.3f}", f"{scores['costs']['image']:.1f}"])
    return markdown_table(rows)


def main(arguments: Sequence[str] | None = None) -> None:
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m smm_tutorial.fidelity", description=__doc__.splitlines()[0])
    parser.add_argument("--root", required=True, help="folder of Blender renders: images/, masks/, scenes.json")
    parser.add_argument("--keep", action="store_true", help=f"write data/results/{RECORD}.json")
    parser.add_argument("--weights", help="the authors' e725.pth: adds what their network reads from the pictures")
    parser.add_argument("--fit", action="store_true", help="fit the ambient light anew and print its coefficients")
    options = parser.parse_args(arguments)
    provenance = checkpoints.provenance()  # of the code that is loaded now
    renders = read_renders(options.root)
    if options.fit:
        print(fit_ambient(renders.scenes[FITTED_ON], renders.images[FITTED_ON], renders.masks[FITTED_ON]))
        return
    record = {
        "name": RECORD,
        "command": "python -m smm_tutorial.fidelity --root PATH --keep",
        "data": f"{len(renders.scenes)} scenes rendered with CLEVR's assets in Blender, 320 x 240 pixels, halved",
        "size": [HEIGHT, WIDTH],
        "samples": SAMPLES,
        "fitted_on": "scenes with even numbers, counted from 0",
        "scores": dict(measure(renders)),
        "provenance": provenance,
    }
    if options.weights:
        from smm_tutorial.recognition import recognition  # it compares what this module reads

        record["command"] = "python -m smm_tutorial.fidelity --root PATH --weights PATH --keep"
        record["recognition"] = recognition(renders, options.weights)
    print(table(record))
    for pictures, scores in record.get("recognition", {}).items():
        print(f"released weights on {pictures}: AP", ", ".join(f"{name} {score}" for name, score in scores.items()))
    if options.keep:
        print(f"written: {experiments.write_record(record).name}")


if __name__ == "__main__":
    main()
