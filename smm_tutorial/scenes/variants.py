"""Scenes beyond CLEVR's rules, to see what a model does with what it was not trained on.

Each function draws one scene from a generator; `raytrace.render` draws its picture and `Scene.to_record` its record,
as of any other scene.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace

import numpy as np

from smm_tutorial.scenes.records import COLORS, SHAPES, SIZES, Scene, SceneObject
from smm_tutorial.scenes.sampling import AREA, all_visible, jittered_view, random_object, random_scene

#: Colours of cubes in condition A of CLEVR-CoGenT (Johnson et al. 2017, section 4.7); its cylinders have the others.
#: Condition B swaps the two. Spheres have any colour in both.
COGENT_COLORS = ("gray", "blue", "brown", "yellow")
CROWD = (11, 16)  # objects, fewest and most
CROWD_GAP = 0.1  # world units between the outlines of two objects: less than CLEVR's, or so many find no place
CROWD_PIXELS = 60  # of each object in CLEVR's frame
STACKS = (1, 3)  # towers
STACK_HEIGHT = (2, 3)  # objects in a tower
STACK_SHIFT = 0.3  # of the smaller radius: how far an object may lie off the middle of the one below
STACK_GAP = 1.0  # world units between the outlines of two towers
STACK_AREA = 2.2  # centres of towers lie in -2.2..2.2: tall ones stay in the picture
STACK_PIXELS = 100


def cogent_scene(generator: np.random.Generator, condition: str = "B", **options) -> Scene:
    """A CLEVR scene whose cubes and cylinders have the colours of a condition of CLEVR-CoGenT.

    Train on "A" and test on "B": each shape and each colour is known, but not the two together.

    Args:
        condition: "A" or "B".
        options: of `random_scene`.
    """
    if condition not in ("A", "B"):
        raise ValueError(f"CoGenT has the conditions 'A' and 'B', got {condition!r}")
    scene = random_scene(generator, **options)
    others = tuple(color for color in COLORS if color not in COGENT_COLORS)
    first, second = (COGENT_COLORS, others) if condition == "A" else (others, COGENT_COLORS)
    allowed = {"cube": first, "cylinder": second, "sphere": tuple(COLORS)}
    objects = tuple(replace(item, color=str(generator.choice(allowed[item.shape]))) for item in scene.objects)
    return replace(scene, objects=objects)


def crowded_scene(generator: np.random.Generator, image_index: int = 0, split: str = "crowded") -> Scene:
    """A scene of 11 to 16 objects, more than CLEVR ever has. They stand closer, and each still shows."""
    count = int(generator.integers(CROWD[0], CROWD[1] + 1))

    def draw(camera: np.ndarray) -> list[SceneObject] | None:
        placed: list[SceneObject] = []
        for _ in range(100 * count):
            if len(placed) == count:
                return placed
            size = "large" if generator.random() < 0.25 else "small"  # with as many large ones there is no room
            x, y = generator.uniform(-AREA, AREA, size=2).tolist()
            if all(_gap(x, y, SIZES[size], other) >= CROWD_GAP for other in placed):
                placed.append(random_object(generator, camera, size, (x, y, SIZES[size])))
        return placed if len(placed) == count else None

    return _seen(generator, draw, CROWD_PIXELS, image_index, split)


def stacked_scene(generator: np.random.Generator, image_index: int = 0, split: str = "stacks") -> Scene:
    """One to three towers of two or three objects. Spheres lie on top alone; each object's middle lies above the one below.

    Objects do not overlap. Whether a tower would stand is not simulated.
    """
    towers = int(generator.integers(STACKS[0], STACKS[1] + 1))

    def draw(camera: np.ndarray) -> list[SceneObject] | None:
        placed: list[SceneObject] = []
        for _ in range(towers):
            x, y = generator.uniform(-STACK_AREA, STACK_AREA, size=2).tolist()
            if any(_gap(x, y, SIZES["large"], other) < STACK_GAP for other in placed):
                return None
            placed.extend(_tower(generator, camera, x, y))
        return placed

    return _seen(generator, draw, STACK_PIXELS, image_index, split)


def _tower(generator: np.random.Generator, camera: np.ndarray, x: float, y: float) -> list[SceneObject]:
    sizes = sorted(generator.choice(list(SIZES), size=generator.integers(STACK_HEIGHT[0], STACK_HEIGHT[1] + 1)).tolist())
    floor, tower = 0.0, []
    for level, size in enumerate(sizes):  # "large" sorts before "small"
        radius = SIZES[size]
        if level:
            far, turn = STACK_SHIFT * radius * generator.random(), 2 * math.pi * generator.random()
            x, y = x + far * math.cos(turn), y + far * math.sin(turn)
        shapes = SHAPES if level == len(sizes) - 1 else tuple(shape for shape in SHAPES if shape != "sphere")
        tower.append(random_object(generator, camera, size, (x, y, floor + radius), shapes))
        floor += 2 * radius
    return tower


def _gap(x: float, y: float, radius: float, other: SceneObject) -> float:
    """World units between the outlines of an object at (x, y) and another one, seen from above."""
    return math.hypot(x - other.position[0], y - other.position[1]) - radius - other.radius


def _seen(
    generator: np.random.Generator, draw: Callable[[np.ndarray], list[SceneObject] | None], least: float,
    image_index: int, split: str,
) -> Scene:  # fmt: skip
    """The first scene drawn whose objects all found a place and show `least` pixels each in CLEVR's frame."""
    camera, lamps = jittered_view(generator)
    while True:
        objects = draw(camera)
        if objects is None:
            continue
        scene = Scene(
            tuple(objects), image_index, f"CLEVR_{split}_{image_index:06d}.png", split,
            camera=tuple(camera.tolist()), lamps=lamps,
        )  # fmt: skip
        if all_visible(scene, least):
            return scene


#: By name: each draws one scene from a generator.
VARIANTS: dict[str, Callable[..., Scene]] = {
    "cogent": cogent_scene,
    "crowded": crowded_scene,
    "stacks": stacked_scene,
}
