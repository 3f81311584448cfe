"""Figures of CLEVR scenes: pictures with masks, from above, lamps, the crop, sizes, effects.

The k-th object of a scene has the colour of label k in every panel; the background is grey.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Circle, Rectangle
from matplotlib.patheffects import withStroke
from torch import Tensor

from smm_tutorial.figures.palette import BLUE, GRAY, ORANGE, label_color, label_map
from smm_tutorial.figures.pictures import pictures_figure, to_picture
from smm_tutorial.scenes.camera import (
    CAMERA_POSITION,
    MASKS_FRAME,
    Window,
    camera_position,
    project,
)
from smm_tutorial.scenes.editing import turn_key_lamp
from smm_tutorial.scenes.raytrace import render
from smm_tutorial.scenes.records import Scene
from smm_tutorial.scenes.sampling import AREA, MIN_GAP

#: A rim around black digits: they can be read on every label's colour.
WHITE_RIM = [withStroke(linewidth=2, foreground="white")]


def scene_figure(scene: Scene, image: Tensor, mask: Tensor) -> Figure:
    """A scene's image `(3, H, W)` with its objects' numbers, its mask `(H, W)`, and it from above.

    Image and mask show the whole frame.
    """
    figure = Figure(figsize=(8.9, 2.8), layout="constrained")
    picture, labels, above = figure.subplots(1, 3, width_ratios=(4, 4, 3.2))
    height, width = mask.shape
    picture.imshow(to_picture(image), extent=(0, 1, 1, 0), aspect=height / width)
    points = np.array([item.position for item in scene.objects])
    places = project(points, camera_position(scene), width / height)
    badge = {"boxstyle": "circle,pad=0.15", "alpha": 0.85, "lw": 0}
    for label, (column, row, _) in enumerate(places, start=1):
        look = {"ha": "center", "va": "center", "bbox": badge | {"fc": label_color(label)}}
        picture.text(column, row, str(label), fontsize=10, path_effects=WHITE_RIM, **look)
    labels.imshow(label_map(mask), interpolation="nearest")
    for axis, title in ((picture, "picture"), (labels, "mask"), (above, "from above")):
        axis.set_title(title, fontsize=10)
        axis.set(xticks=[], yticks=[])
    draw_from_above(above, scene)
    return figure


def draw_from_above(axis: Axes, scene: Scene) -> None:
    """A scene's objects as discs on the floor, with the gap that CLEVR keeps around each.

    The camera's side is below, as in the picture.
    """
    draw_floor(axis)
    for label, item in enumerate(scene.objects, start=1):
        x, y = turn_to_camera(item.position)
        gap = {"fill": False, "linestyle": ":", "color": "0.5"}
        axis.add_patch(Circle((x, y), item.radius + MIN_GAP, **gap))
        axis.add_patch(Circle((x, y), item.radius, color=label_color(label)))
        look = {"fontsize": 10, "ha": "center", "va": "center", "path_effects": WHITE_RIM}
        axis.text(x, y, str(label), **look)
    axis.set(xlim=(-5, 5), ylim=(-5, 5), aspect="equal", xticks=[], yticks=[])
    axis.set_xlabel("↑ away from the camera", fontsize=9)


def turn_to_camera(position: Sequence[float]) -> tuple[float, float]:
    """A place on the floor as (to the right, away) of CLEVR's camera before its jitter."""
    towards = np.array(CAMERA_POSITION[:2]) / np.linalg.norm(CAMERA_POSITION[:2])
    x, y = position[:2]
    return -towards[1] * x + towards[0] * y, -(towards[0] * x + towards[1] * y)


def draw_floor(axis: Axes) -> None:
    """The square in which the centres of objects may lie, with its side, turned to the camera."""
    corner = np.array(turn_to_camera((-AREA, -AREA)))
    along = turn_to_camera((AREA, -AREA)) - corner
    angle = math.degrees(math.atan2(along[1], along[0]))
    look = {"fill": False, "color": "0.7"}
    axis.add_patch(Rectangle(corner, 2 * AREA, 2 * AREA, angle=angle, **look))
    look = {"rotation": angle + 90, "rotation_mode": "anchor", "ha": "center", "va": "bottom"}
    axis.text(*turn_to_camera((-AREA - 0.2, 0)), f"{2 * AREA:g} world units", fontsize=8.5, **look)


LAMP_FRAME = (90, 120)  # height and width in pixels
LAMP_WIDTH = 2.2  # inches


def lamp_figure(scene: Scene, turns: Sequence[float]) -> Figure:
    """The scene with its key lamp turned by each of `turns`, in degrees."""
    turned = [turn_key_lamp(scene, turn) for turn in turns]
    images = render(turned, *LAMP_FRAME, samples=4).images
    pictures = [(f"{turn:g}°", to_picture(i)) for turn, i in zip(turns, images, strict=True)]
    figure = pictures_figure(pictures, columns=len(turns), width=LAMP_WIDTH)
    figure.set_figheight(figure.get_figheight() + 0.3)
    figure.suptitle("the brightest lamp, turned by", fontsize=10)
    return figure


EDITOR_FRAME = (64, 96)  # height and width in pixels: rendered in well under a second


def editor_figure(scene: Scene, chosen: int) -> Figure:
    """A small picture of the scene, and it from above, with the chosen object (from 1) marked."""
    figure = Figure(figsize=(6.6, 2.9), layout="constrained")
    picture, above = figure.subplots(1, 2, width_ratios=(3, 2))
    image = render([scene], *EDITOR_FRAME, samples=4).images[0]
    height, width = EDITOR_FRAME
    picture.imshow(to_picture(image), extent=(0, 1, 1, 0), aspect=height / width)
    place = scene.objects[chosen - 1].position
    column, row, _ = project(np.array([place]), camera_position(scene), width / height)[0]
    picture.plot(column, row, "o", ms=9, mfc="none", mec="white", mew=1.5)
    picture.set(xlim=(0, 1), ylim=(1, 0), xticks=[], yticks=[])
    picture.set_title(f"object {chosen} is marked", fontsize=10)
    above.set_title("from above", fontsize=10)
    draw_from_above(above, scene)
    above.plot(*turn_to_camera(place), "o", ms=16, mfc="none", mec="black", mew=1.5)
    return figure


def crop_figure(scene: Scene, windows: Mapping[str, tuple[Window, str]]) -> Figure:
    """The whole frame with windows drawn into it, then what the first window keeps, and its mask.

    windows: a window and its line style, by name.
    """
    whole = render([scene], *MASKS_FRAME, samples=4).images[0]
    first = next(iter(windows.values()))[0]
    part = render([scene], 128, 128, samples=4, window=first)
    figure = Figure(figsize=(8.9, 3.4), layout="constrained")
    figure.get_layout_engine().set(h_pad=0.1)  # inches, between an axis' name and the legend
    frame, cropped, labels = figure.subplots(1, 3, width_ratios=(4, 3, 3))
    frame.imshow(to_picture(whole), extent=(0, 1, 1, 0), aspect=MASKS_FRAME[0] / MASKS_FRAME[1])
    colors = ("white", *[ORANGE] * (len(windows) - 1))
    for color, (name, ((top, left, bottom, right), style)) in zip(
        colors, windows.items(), strict=True
    ):
        look = {"fill": False, "color": color, "linestyle": style, "lw": 2, "label": name}
        window = Rectangle((left, top), right - left, bottom - top, clip_on=False, **look)
        frame.add_patch(window)
    look = {"fontsize": 9, "ncols": len(windows), "facecolor": "0.3", "labelcolor": "white"}
    figure.legend(loc="outside lower left", **look)
    mark_pixels(frame, first)
    cropped.imshow(to_picture(part.images[0]))
    labels.imshow(label_map(part.masks[0]), interpolation="nearest")
    titles = {frame: "the whole 4:3 frame", cropped: "the crop", labels: "the crop's mask"}
    for axis, title in titles.items():
        axis.set_title(title, fontsize=10)
    for axis in (cropped, labels):
        axis.axis("off")
    return figure


def mark_pixels(frame: Axes, window: Window) -> None:
    """Ticks where a window of the whole frame begins and ends, in pixels of CLEVR-with-masks."""
    height, width = MASKS_FRAME
    top, left, bottom, right = window
    frame.set_xticks([left, right], [f"{round(width * place)}" for place in (left, right)])
    frame.set_yticks([top, bottom], [f"{round(height * place)}" for place in (top, bottom)])
    frame.tick_params(labelsize=9)
    frame.set_xlabel(f"column of {width}", fontsize=9)
    frame.set_ylabel(f"row of {height}", fontsize=9)


SIZE_EDGES = 2 ** np.arange(11)  # pixels, where the classes of sizes begin and end


def sizes_figure(sizes: Mapping[str, np.ndarray]) -> Figure:
    """Histograms of objects' pixels, by name, over classes that double in width.

    Objects that do not show stand apart, at 0. The last class has no upper limit.
    """
    classes = zip(SIZE_EDGES[:-1], SIZE_EDGES[1:], strict=True)
    names = ["0", *(f"{low}-{high - 1}" if high > low + 1 else f"{low}" for low, high in classes)]
    figure = Figure(figsize=(8.7, 2.8), layout="constrained")
    axis = figure.subplots()
    width = 0.8 / len(sizes)
    for number, (name, pixels) in enumerate(sizes.items()):
        shown = np.histogram(pixels[pixels > 0], [*SIZE_EDGES[:-1], np.inf])[0]
        shares = np.array([np.sum(pixels == 0), *shown]) / len(pixels)
        places = np.arange(len(shares)) + (number - (len(sizes) - 1) / 2) * width
        look = {"hatch": "//", "edgecolor": "white"} if number else {}
        axis.bar(places, shares, width, label=name, color=(BLUE, ORANGE)[number % 2], **look)
    axis.set(
        xlabel="pixels of an object, in classes that double in width", ylabel="share of objects"
    )
    axis.set_xticks(range(len(names)), names, fontsize=9)
    axis.legend(title="image in pixels", fontsize=9, title_fontsize=9)
    axis.grid(axis="y", alpha=0.3)
    return figure


#: Marks, colours and sizes of the kinds of pixels that `fidelity` scores. What is drawn later is
#: smaller: so equal values show side by side.
KIND_MARKS = {"ground": ("o", GRAY, 11), "rubber": ("s", ORANGE, 7), "metal": ("^", BLUE, 6)}


def effect_costs_figure(record: Mapping) -> Figure:
    """What each change to the ray tracer costs against Blender, in dB of PSNR.

    Bars: the whole image. Marks: within the pixels of ground, rubber and metal.

    record: the one that `fidelity` writes.
    """
    costs = {name: entry["costs"] for name, entry in record["scores"].items() if entry["changed"]}
    costs = dict(sorted(costs.items(), key=lambda item: item[1]["image"]))
    names = list(costs)
    figure = Figure(figsize=(8.7, 0.28 * len(costs) + 0.9), layout="constrained")
    axis = figure.subplots()
    whole = [cost["image"] for cost in costs.values()]
    axis.barh(names, whole, color="0.88", edgecolor="0.4", label="image")
    for kind, (mark, color, size) in KIND_MARKS.items():
        look = {"color": color, "label": kind, "ms": size, "mec": "black", "mew": 0.6}
        axis.plot([cost[kind] for cost in costs.values()], names, mark, **look)
    axis.set(xlabel="PSNR lost against Blender in dB (mean over held-out scenes)")
    axis.tick_params(axis="y", labelsize=9)
    axis.legend(fontsize=9, loc="lower right")
    axis.grid(axis="x", alpha=0.3)
    return figure
