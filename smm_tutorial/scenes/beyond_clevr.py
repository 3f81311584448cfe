"""Scenes beyond CLEVR's rules. They test a model on scenes unlike its training scenes.

Each function draws one scene from a generator. `raytrace.render` makes its image and
`Scene.to_record` its record, as for any other scene.
"""

from __future__ import annotations

import colorsys
import math
from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np

from smm_tutorial.scenes.additions import RGB, SEED_LIMIT, TEXTURE_KINDS, Mirror, Texture
from smm_tutorial.scenes.camera import CLEVR_FRAME, PAPER_CROP
from smm_tutorial.scenes.masks import reflection_masks
from smm_tutorial.scenes.records import COLORS, DIRECTIONS, SHAPES, SIZES, Scene, SceneObject
from smm_tutorial.scenes.sampling import (
    AREA,
    MOST_OBJECTS,
    VISIBILITY_SCALE,
    check_object_counts,
    draw_visible_scene,
    gap_between,
    random_object,
    random_scene,
)

#: Colours of cubes in condition A of CLEVR-CoGenT (Johnson et al. 2017, section 4.7). Cylinders
#: have the other colours. Condition B exchanges the two groups. Spheres have any colour in both.
COGENT_COLORS = ("gray", "blue", "brown", "yellow")
CROWD = (11, 16)  # objects, fewest and most
#: World units between the outlines of two objects: less than in CLEVR, to fit so many objects.
CROWD_GAP = 0.1
CROWD_PIXELS = 60  # least visible pixels of each object in CLEVR's frame
CROWD_LARGE = 0.25  # share of large objects: with more of them there is no room
STACKS = (1, 3)  # towers
STACK_HEIGHT = (2, 3)  # objects in a tower
#: Largest offset of an object from the middle of the object below, in units of the smaller radius.
STACK_SHIFT = 0.3
STACK_GAP = 1.0  # world units between the outlines of two towers
STACK_AREA = 2.2  # centres of towers lie in -2.2..2.2, so that tall towers stay in the picture
STACK_PIXELS = 100
MOST_STACKED = STACKS[1] * STACK_HEIGHT[1]

#: Direction of "behind": an angle about the vertical axis, in radians.
MIRROR_BEHIND = math.atan2(DIRECTIONS["behind"][1], DIRECTIONS["behind"][0])
MIRROR_TURN = 0.7  # radians: largest turn of the mirror to the left or right of "behind"
MIRROR_DISTANCE = (1.9, 2.6)  # world units from the middle of the scene, least and most
MIRROR_WIDTH = (4.5, 6.0)
MIRROR_HEIGHT = (2.2, 2.6)
#: Least pixels of a visible reflection in CLEVR's frame, inside the paper's crop.
REFLECTED_PIXELS = 60
LEAST_REFLECTED = 2  # least number of visible reflections

OBJECT_SCALES = (0.7, 1.0)  # half sizes; with both, no joint of bricks lies in a face of a cube
GROUND_SCALES = (1.2, 2.2)  # world units, least and most
CAMOUFLAGE_SCALE = 1.0  # world units on the ground, half sizes on objects
SATURATION = (0.1, 0.5)  # of the displayed colours of an object's texture, least and most
GROUND_SATURATION = (0.05, 0.3)
HUE_SPREAD = 0.15  # largest distance of a texture's two hues, as a share of the colour circle
DARKER, BRIGHTER = (0.4, 0.6), (0.8, 1.0)  # values of the two displayed colours


def cogent_scene(
    generator: np.random.Generator,
    min_objects: int = 3,
    max_objects: int = MOST_OBJECTS,
    image_index: int = 0,
    split: str = "new",
    condition: str = "B",
) -> Scene:
    """A CLEVR scene whose cubes and cylinders have the colours of a condition of CLEVR-CoGenT.

    A model that was trained on "A" and is tested on "B" knows each shape and each colour, but not
    their combinations.

    Args:
        condition: "A" or "B".
        min_objects, max_objects, image_index, split: as in `random_scene`.
    """
    if condition not in ("A", "B"):
        raise ValueError(f"CoGenT has the conditions 'A' and 'B', got {condition!r}")
    scene = random_scene(generator, min_objects, max_objects, image_index, split)
    others = tuple(color for color in COLORS if color not in COGENT_COLORS)
    of_cubes, of_cylinders = (
        (COGENT_COLORS, others) if condition == "A" else (others, COGENT_COLORS)
    )
    allowed = {"cube": of_cubes, "cylinder": of_cylinders, "sphere": tuple(COLORS)}
    objects = tuple(
        replace(item, color=str(generator.choice(allowed[item.shape]))) for item in scene.objects
    )
    return replace(scene, objects=objects)


def crowded_scene(
    generator: np.random.Generator,
    min_objects: int = CROWD[0],
    max_objects: int = CROWD[1],
    image_index: int = 0,
    split: str = "crowded",
) -> Scene:
    """A scene of 11 to 16 objects, more than CLEVR allows, with smaller gaps. Each object is
    visible.
    """
    min_objects, max_objects = check_object_counts(min_objects, max_objects, *CROWD)
    count = int(generator.integers(min_objects, max_objects + 1))

    def place_objects(camera: np.ndarray) -> list[SceneObject] | None:
        placed: list[SceneObject] = []
        for _ in range(100 * count):
            size = "large" if generator.random() < CROWD_LARGE else "small"
            radius = SIZES[size]
            x, y = generator.uniform(-AREA, AREA, size=2).tolist()
            if all(gap_between(x, y, radius, other) >= CROWD_GAP for other in placed):
                placed.append(random_object(generator, camera, size, (x, y, radius)))
            if len(placed) == count:
                return placed
        return None

    return draw_visible_scene(generator, place_objects, CROWD_PIXELS, image_index, split)


def stacked_scene(
    generator: np.random.Generator,
    min_objects: int = STACK_HEIGHT[0],
    max_objects: int = MOST_STACKED,
    image_index: int = 0,
    split: str = "stacks",
) -> Scene:
    """One to three towers of two or three objects. A sphere is only ever the top of a tower.

    Objects do not overlap, and each object's middle lies above the one below. Whether a tower would
    stand is not simulated. The number of objects follows from the towers; scenes with too few or
    too many are drawn anew.
    """
    min_objects, max_objects = check_object_counts(
        min_objects, max_objects, STACK_HEIGHT[0], MOST_STACKED
    )

    def place_objects(camera: np.ndarray) -> list[SceneObject] | None:
        placed: list[SceneObject] = []
        for _ in range(towers):
            x, y = generator.uniform(-STACK_AREA, STACK_AREA, size=2).tolist()
            if any(gap_between(x, y, SIZES["large"], other) < STACK_GAP for other in placed):
                return None
            placed.extend(_draw_tower(generator, camera, x, y))
        return placed

    while True:
        towers = int(generator.integers(STACKS[0], STACKS[1] + 1))
        scene = draw_visible_scene(generator, place_objects, STACK_PIXELS, image_index, split)
        if min_objects <= len(scene.objects) <= max_objects:
            return scene


def _draw_tower(
    generator: np.random.Generator, camera: np.ndarray, x: float, y: float
) -> list[SceneObject]:
    height = generator.integers(STACK_HEIGHT[0], STACK_HEIGHT[1] + 1)
    sizes = sorted(generator.choice(list(SIZES), size=height).tolist())  # "large" before "small"
    floor, tower = 0.0, []
    for level, size in enumerate(sizes):
        radius = SIZES[size]
        if level:
            shift = STACK_SHIFT * radius * generator.random()
            turn = 2 * math.pi * generator.random()
            x, y = x + shift * math.cos(turn), y + shift * math.sin(turn)
        is_top = level == len(sizes) - 1
        shapes = SHAPES if is_top else tuple(shape for shape in SHAPES if shape != "sphere")
        tower.append(random_object(generator, camera, size, (x, y, floor + radius), shapes))
        floor += 2 * radius
    return tower


def mirror_scene(
    generator: np.random.Generator,
    min_objects: int = 3,
    max_objects: int = 6,
    image_index: int = 0,
    split: str = "mirror",
) -> Scene:
    """A CLEVR scene with a large mirror behind the objects, similar to SLATE's CLEVR-Mirror (arXiv
    2110.11405).

    The mirror faces the middle of the scene. Inside the paper's crop it shows the reflections of at
    least two objects.
    """
    while True:
        mirror = random_mirror(generator)
        scene = random_scene(generator, min_objects, max_objects, image_index, split, mirror)
        if _count_reflected(scene) >= min(LEAST_REFLECTED, len(scene.objects)):
            return scene


def random_mirror(generator: np.random.Generator) -> Mirror:
    """A mirror that stands roughly behind the middle of a scene and faces it."""
    angle = MIRROR_BEHIND + generator.uniform(-MIRROR_TURN, MIRROR_TURN)
    distance = generator.uniform(*MIRROR_DISTANCE)
    return Mirror(
        position=(distance * math.cos(angle), distance * math.sin(angle)),
        facing=angle + math.pi,
        width=generator.uniform(*MIRROR_WIDTH),
        height=generator.uniform(*MIRROR_HEIGHT),
    )


def _count_reflected(scene: Scene) -> int:
    """The number of objects that the mirror shows inside the paper's crop."""
    side = round(CLEVR_FRAME[0] * (PAPER_CROP[2] - PAPER_CROP[0]) / VISIBILITY_SCALE)
    labels = reflection_masks(scene, side, side, PAPER_CROP).flatten()
    pixels = labels.bincount(minlength=len(scene.objects) + 1)[1:]
    return int((pixels >= REFLECTED_PIXELS / VISIBILITY_SCALE**2).sum())


def textured_scene(
    generator: np.random.Generator,
    min_objects: int = 3,
    max_objects: int = 6,
    image_index: int = 0,
    split: str = "textured",
    camouflage: str = "none",
) -> Scene:
    """A CLEVR scene whose ground and objects have textures, similar to ClevrTex (arXiv 2111.10265).

    An object's ``color`` is the CLEVR colour nearest to the mean of its texture.

    Args:
        camouflage: "none": each object has a texture of its own; "ground": all objects have the
            ground's texture, as in ClevrTex-CAMO.

    Raises:
        ValueError: another camouflage, or impossible numbers of objects.
    """
    if camouflage not in ("none", "ground"):
        raise ValueError(f"camouflage must be 'none' or 'ground', got {camouflage!r}")
    scene = random_scene(generator, min_objects, max_objects, image_index, split)
    if camouflage == "ground":
        ground = random_texture(generator, CAMOUFLAGE_SCALE, GROUND_SATURATION)
        textures = [ground] * len(scene.objects)
    else:
        ground = random_texture(generator, generator.uniform(*GROUND_SCALES), GROUND_SATURATION)
        textures = [
            random_texture(generator, float(generator.choice(OBJECT_SCALES))) for _ in scene.objects
        ]
    objects = tuple(
        replace(item, texture=texture, color=nearest_color(texture.mean_color))
        for item, texture in zip(scene.objects, textures, strict=True)
    )
    return replace(scene, objects=objects, ground_texture=ground)


def random_texture(
    generator: np.random.Generator, scale: float, saturation: tuple[float, float] = SATURATION
) -> Texture:
    """A texture of a random kind, of a darker and a brighter colour with similar hues."""
    kind = str(generator.choice(TEXTURE_KINDS))
    hue = generator.random()
    colors = []
    for values in (DARKER, BRIGHTER):
        near_hue = hue + generator.uniform(-HUE_SPREAD, HUE_SPREAD)
        hsv = near_hue, generator.uniform(*saturation), generator.uniform(*values)
        colors.append(_linear_rgb(*hsv))
    first = int(generator.integers(2))
    seed = int(generator.integers(SEED_LIMIT))
    return Texture(kind, (colors[first], colors[1 - first]), scale, seed)


def _linear_rgb(hue: float, saturation: float, value: float) -> RGB:
    """A displayed colour as linear red, green and blue, from 0 to 255."""
    return tuple(round(255 * part**2.2) for part in colorsys.hsv_to_rgb(hue % 1, saturation, value))


def nearest_color(rgb: Sequence[float]) -> str:
    """The key of `COLORS` whose colour is nearest to a linear colour, from 0 to 255."""
    return min(COLORS, key=lambda name: math.dist(COLORS[name], rgb))


#: Functions that draw one scene, by name. Arguments: a generator, the fewest and most objects, an
#: image_index and a split.
BEYOND_CLEVR: dict[str, Callable[..., Scene]] = {
    "cogent": cogent_scene,
    "crowded": crowded_scene,
    "stacks": stacked_scene,
    "mirror": mirror_scene,
    "textured": textured_scene,
}
