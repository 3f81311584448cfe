"""Figures and small measurements of notebook 04: scenes from above, pictures side by side, crops,
sizes, costs.

The k-th object of a scene has the same colour in every panel, that of label k in
`palette.color_map`; background is grey.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from itertools import combinations
from typing import NamedTuple

import numpy as np
import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Circle, Rectangle
from torch import Tensor

from smm_tutorial.datasets import SceneImages
from smm_tutorial.figures.palette import SLOT_COLORS, color_map
from smm_tutorial.figures.pictures import displayable
from smm_tutorial.scenes import PAPER_CROP, Scene
from smm_tutorial.scenes.camera import (
    CAMERA_POSITION,
    MASKS_FRAME,
    Window,
    camera_position,
    project,
)
from smm_tutorial.scenes.lighting import LAMP_POSITIONS
from smm_tutorial.scenes.masks import scene_masks
from smm_tutorial.scenes.raytrace import render
from smm_tutorial.scenes.sampling import AREA, MIN_GAP

KINDS = ("ground", "rubber", "metal")  # of `fidelity`, in the colours and marks of the costs
KIND_MARKS = {
    "ground": ("o", SLOT_COLORS[0]),
    "rubber": ("s", SLOT_COLORS[1]),
    "metal": ("^", SLOT_COLORS[5]),
}
FAMILY_FRAME = (90, 120)  # pixels of the pictures of a lamp that walks
EDITOR_FRAME = (
    64,
    96,
)  # pixels of the picture in the scene editor: drawn anew in well under a second


# ------------------------------------------------------------------------------------------------------------- pictures


def pictures_figure(
    pictures: Iterable[tuple[str, np.ndarray]], columns: int, width: float = 2.1
) -> Figure:
    """Pairs of a name and a picture `(H, W)` or `(H, W, 3)`, of one shape, in rows of `columns`,
    each `width` inches wide.
    """
    pictures = list(pictures)
    height, across = pictures[0][1].shape[:2]
    rows = math.ceil(len(pictures) / columns)
    figure = Figure(
        figsize=(width * columns, rows * (width * height / across + 0.3)), layout="constrained"
    )
    axes = figure.subplots(rows, columns, squeeze=False).flat
    for axis in axes:
        axis.axis("off")
    for axis, (name, picture) in zip(figure.axes, pictures, strict=False):
        axis.imshow(picture, interpolation="nearest", cmap="gray")
        axis.set_title(name, fontsize=9)
    return figure


def scene_figure(scene: Scene, image: Tensor, mask: Tensor) -> Figure:
    """A scene's picture `(3, H, W)` of the whole frame with its objects' numbers, its mask `(H,
    W)`, and it from above.
    """
    figure = Figure(figsize=(10, 2.9), layout="constrained")
    picture, labels, above = figure.subplots(1, 3, width_ratios=(4, 4, 3))
    height, width = mask.shape
    picture.imshow(displayable(image), extent=(0, 1, 1, 0), aspect=height / width)
    points = np.array([item.position for item in scene.objects])
    for label, (column, row, _) in enumerate(
        project(points, camera_position(scene), width / height), start=1
    ):
        look = {
            "facecolor": SLOT_COLORS[label % len(SLOT_COLORS)],
            "alpha": 0.85,
            "boxstyle": "circle,pad=0.15",
            "lw": 0,
        }
        picture.text(column, row, str(label), fontsize=8, ha="center", va="center", bbox=look)
    labels.imshow(color_map(mask), interpolation="nearest")
    for axis, title in ((picture, "picture"), (labels, "mask"), (above, "from above")):
        axis.set_title(title, fontsize=9)
        axis.set(xticks=[], yticks=[])
    draw_from_above(above, scene)
    return figure


def draw_from_above(axis: Axes, scene: Scene) -> None:
    """A scene's objects as discs with the gap that CLEVR keeps around them, and the square in which
    centres may lie.

    The camera's side is below, as in the picture.
    """
    axis.add_patch(turned_square(AREA))
    for label, item in enumerate(scene.objects, start=1):
        x, y = from_camera(item.position)
        color = SLOT_COLORS[label % len(SLOT_COLORS)]
        axis.add_patch(
            Circle((x, y), item.radius + MIN_GAP, fill=False, linestyle=":", color="0.5")
        )
        axis.add_patch(Circle((x, y), item.radius, color=color))
        axis.text(x, y, str(label), fontsize=8, ha="center", va="center")
    axis.set(xlim=(-5, 5), ylim=(-5, 5), aspect="equal", xticks=[], yticks=[])


def from_camera(position: Sequence[float]) -> tuple[float, float]:
    """A place on the floor as (to the right, away) of CLEVR's camera before its jitter."""
    towards = np.array(CAMERA_POSITION[:2]) / np.linalg.norm(CAMERA_POSITION[:2])
    x, y = position[:2]
    return -towards[1] * x + towards[0] * y, -(towards[0] * x + towards[1] * y)


def turned_square(half: float) -> Rectangle:
    """The square of places -half..half, as `from_camera` turns it."""
    corner, next_corner = (
        np.array(from_camera(place)) for place in ((-half, -half), (half, -half))
    )
    along = next_corner - corner
    angle = math.degrees(math.atan2(along[1], along[0]))
    return Rectangle(corner, 2 * half, 2 * half, angle=angle, fill=False, color="0.7")


# ---------------------------------------------------------------------------------------------------------------- lamps


def with_key_lamp(scene: Scene, turn: float) -> Scene:
    """The scene with its brightest lamp turned about the vertical axis through the origin by `turn`
    degrees.
    """
    lamps = dict(scene.lamps or LAMP_POSITIONS)
    x, y, z = lamps["Lamp_Key"]
    cos, sin = math.cos(math.radians(turn)), math.sin(math.radians(turn))
    return replace(scene, lamps=lamps | {"Lamp_Key": (cos * x - sin * y, sin * x + cos * y, z)})


def lamp_figure(scene: Scene, turns: Sequence[float]) -> Figure:
    """The scene with its key lamp turned by each of `turns` degrees."""
    turned = [with_key_lamp(scene, turn) for turn in turns]
    images = render(turned, *FAMILY_FRAME, samples=4).images
    return pictures_figure(
        [(f"{turn:g}°", displayable(i)) for turn, i in zip(turns, images, strict=True)],
        len(turns),
        2.4,
    )


# --------------------------------------------------------------------------------------------------------------- editing


def edited(scene: Scene, number: int, **changes) -> Scene:
    """The scene with its object `number` (from 1) changed: x, y (world units), turn (degrees),
    shape, size, material, color.

    Objects stay on the floor, and the camera stays where it is. The new scene has no
    `pixel_coords`, which would be stale.

    Raises `ValueError` for an object that is not there, a scene without a camera of its own, or an
    unknown change.
    """
    if not 1 <= number <= len(scene.objects) or scene.camera is None:
        raise ValueError(
            f"object {number} of a scene with {len(scene.objects)} objects and camera {scene.camera} cannot be edited: "
            "objects are counted from 1, and the scene must carry its camera"
        )
    if unknown := sorted(set(changes) - {"x", "y", "turn", "shape", "size", "material", "color"}):
        raise ValueError(
            f"an object has no {', '.join(unknown)}: change x, y, turn, shape, size, material or color"
        )
    objects = [replace(item, pixel_coords=None) for item in scene.objects]
    item = objects[number - 1]
    x, y = changes.pop("x", item.position[0]), changes.pop("y", item.position[1])
    if "turn" in changes:
        changes["rotation"] = math.radians(
            changes.pop("turn")
        )  # what a record calls degrees is radians, see `yaw`
    item = replace(item, **changes)
    lift = (
        item.position[2] - scene.objects[number - 1].radius
    )  # of an object that stands on another
    objects[number - 1] = replace(item, position=(x, y, item.radius + lift))
    return replace(scene, objects=tuple(objects), extra={})


def overlaps(scene: Scene) -> list[tuple[int, int]]:
    """Pairs of objects (from 1) whose round outlines overlap, seen from above, at the same
    height.
    """
    return [
        (one, other)
        for (one, a), (other, b) in combinations(enumerate(scene.objects, start=1), 2)
        if math.dist(a.position[:2], b.position[:2]) < a.radius + b.radius
        and abs(a.position[2] - b.position[2]) < a.radius + b.radius
    ]


def editor_figure(scene: Scene, chosen: int) -> Figure:
    """The scene's picture of 64 x 96 pixels with its chosen object (from 1) marked, and the scene
    from above.
    """
    figure = Figure(figsize=(6.6, 2.9), layout="constrained")
    picture, above = figure.subplots(1, 2, width_ratios=(3, 2))
    image = render([scene], *EDITOR_FRAME, samples=4).images[0]
    height, width = EDITOR_FRAME
    picture.imshow(displayable(image), extent=(0, 1, 1, 0), aspect=height / width)
    column, row, _ = project(
        np.array([scene.objects[chosen - 1].position]), camera_position(scene), width / height
    )[0]
    picture.plot(column, row, "o", ms=9, mfc="none", mec="white", mew=1.5)
    picture.set(xlim=(0, 1), ylim=(1, 0), title=f"object {chosen} is marked")
    above.set_title("from above")
    picture.set(xticks=[], yticks=[])
    draw_from_above(above, scene)
    x, y = from_camera(scene.objects[chosen - 1].position)
    above.plot(x, y, "o", ms=16, mfc="none", mec="black", mew=1.5)
    return figure


# ---------------------------------------------------------------------------------------------------------------- crops


class CutObject(NamedTuple):
    """An object in the whole frame and in a window of it."""

    whole: int  # pixels in the whole frame of 240 x 320
    inside: int  # of them, inside the window


def cut_objects(scenes: Sequence[Scene], window: Window = PAPER_CROP) -> list[CutObject]:
    """Of every object that shows in the whole 4:3 frame, how much of it a window keeps."""
    height, width = MASKS_FRAME
    top, left, bottom, right = (
        round(edge * side)
        for edge, side in zip(window, (height, width, height, width), strict=True)
    )
    found = []
    for scene in scenes:
        mask = scene_masks(scene, height, width)
        length = len(scene.objects) + 1
        whole = mask.flatten().bincount(minlength=length)[1:].tolist()
        inside = mask[top:bottom, left:right].flatten().bincount(minlength=length)[1:].tolist()
        found += [CutObject(*pair) for pair in zip(whole, inside, strict=True) if pair[0]]
    return found


def crop_figure(scene: Scene, windows: Mapping[str, tuple[Window, str]]) -> Figure:
    """The whole frame with each window drawn into it in its line style, then what the first window
    keeps, and its mask.
    """
    whole = render([scene], *MASKS_FRAME, samples=4).images[0]
    first = next(iter(windows.values()))[0]
    part = render([scene], 128, 128, samples=4, window=first)
    figure = Figure(figsize=(9.3, 2.9), layout="constrained")
    frame, cropped, labels = figure.subplots(1, 3, width_ratios=(4, 3, 3))
    frame.imshow(displayable(whole), extent=(0, 1, 1, 0), aspect=MASKS_FRAME[0] / MASKS_FRAME[1])
    for name, ((top, left, bottom, right), style) in windows.items():
        frame.add_patch(
            Rectangle(
                (left, top),
                right - left,
                bottom - top,
                fill=False,
                color="white",
                linestyle=style,
                lw=1.8,
                label=name,
            )
        )
    frame.legend(
        loc="upper center",
        bbox_to_anchor=(0.5, 0),
        fontsize=7,
        ncols=len(windows),
        facecolor="0.3",
        labelcolor="white",
    )
    cropped.imshow(displayable(part.images[0]))
    labels.imshow(color_map(part.masks[0]), interpolation="nearest")
    for axis, title in ((frame, "whole 4:3 frame"), (cropped, "the crop"), (labels, "its mask")):
        axis.set_title(title, fontsize=9)
        axis.axis("off")
    return figure


# ---------------------------------------------------------------------------------------------------------------- sizes


def object_pixels(data: SceneImages) -> np.ndarray:
    """Pixels of every object of every scene of a data set with masks and records, 0 for one that
    does not show.
    """
    counts = [
        mask.flatten().long().bincount(minlength=len(record["objects"]) + 1)[1:]
        for mask, record in zip(data.masks, data.records, strict=True)
    ]
    return torch.cat(counts).numpy()


def sizes_figure(sizes: Mapping[str, np.ndarray]) -> Figure:
    """Histograms of the objects' pixels, by name, over classes that double; objects that do not
    show stand apart, at 0.
    """
    edges = 2.0 ** np.arange(0, 11)
    names = [
        "0",
        *(
            f"{int(low)}-{int(high) - 1}" if high > low + 1 else f"{int(low)}"
            for low, high in zip(edges[:-1], edges[1:], strict=True)
        ),
    ]
    figure = Figure(figsize=(7, 2.6), layout="constrained")
    axis = figure.subplots()
    bar = 0.8 / len(sizes)
    for number, (name, pixels) in enumerate(sizes.items()):
        counts = [
            np.sum(pixels == 0),
            *np.histogram(pixels[pixels > 0], np.append(edges[:-1], np.inf))[0],
        ]
        places = np.arange(len(counts)) + (number - (len(sizes) - 1) / 2) * bar
        hatch = {"hatch": "//", "edgecolor": "white"} if number else {}
        axis.bar(
            places,
            np.array(counts) / len(pixels),
            bar,
            label=name,
            color=SLOT_COLORS[(5, 1)[number % 2]],
            **hatch,
        )
    axis.set(xticks=range(len(names)), xlabel="pixels of an object", ylabel="share of objects")
    axis.set_xticklabels(names, fontsize=8)
    axis.legend(fontsize=8)
    axis.grid(axis="y", alpha=0.3)
    return figure


# ---------------------------------------------------------------------------------------------------------------- costs


def costs_figure(record: Mapping, least: float = 0.0) -> Figure:
    """What each change to the ray tracer costs against Blender, in dB, from the record that
    `fidelity` wrote.

    Bars: the whole image. Marks: within the pixels of ground, rubber and metal. Changes that cost
    less than `least` dB of the image are left out.
    """
    costs = {name: entry["costs"] for name, entry in record["scores"].items() if entry["changed"]}
    costs = dict(sorted(costs.items(), key=lambda item: item[1]["image"]))
    costs = {name: cost for name, cost in costs.items() if cost["image"] >= least}
    figure = Figure(figsize=(8, 0.26 * len(costs) + 0.9), layout="constrained")
    axis = figure.subplots()
    axis.barh(
        list(costs),
        [cost["image"] for cost in costs.values()],
        color="0.88",
        edgecolor="0.4",
        label="image",
    )
    for kind in KINDS:
        mark, color = KIND_MARKS[kind]
        axis.plot(
            [cost[kind] for cost in costs.values()],
            list(costs),
            mark,
            color=color,
            label=kind,
            ms=6,
            mec="black",
            mew=0.6,
        )
    axis.set(xlabel="PSNR lost against Blender, dB (mean over held-out scenes)")
    axis.tick_params(axis="y", labelsize=8)
    axis.legend(fontsize=8, loc="lower right")
    axis.grid(axis="x", alpha=0.3)
    return figure
