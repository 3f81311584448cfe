"""Scenes beyond CLEVR's rules, to see what a model does with what it was not trained on.

Each function draws one scene from a generator; `raytrace.render` draws its picture and
`Scene.to_record` its record, as of any other scene.
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
    VISIBILITY_SCALE,
    all_visible,
    jittered_view,
    random_object,
    random_scene,
)

#: Colours of cubes in condition A of CLEVR-CoGenT (Johnson et al. 2017, section 4.7); its cylinders
#: have the others. Condition B swaps the two. Spheres have any colour in both.
COGENT_COLORS = ("gray", "blue", "brown", "yellow")
CROWD = (11, 16)  # objects, fewest and most
# world units between the outlines of two objects: less than CLEVR's, or so many find no place
CROWD_GAP = 0.1
CROWD_PIXELS = 60  # of each object in CLEVR's frame
STACKS = (1, 3)  # towers
STACK_HEIGHT = (2, 3)  # objects in a tower
STACK_SHIFT = (
    0.3  # of the smaller radius: how far an object may lie off the middle of the one below
)
STACK_GAP = 1.0  # world units between the outlines of two towers
STACK_AREA = 2.2  # centres of towers lie in -2.2..2.2: tall ones stay in the picture
STACK_PIXELS = 100
MOST_STACKED = STACKS[1] * STACK_HEIGHT[1]

MIRROR_BEHIND = math.atan2(
    DIRECTIONS["behind"][1], DIRECTIONS["behind"][0]
)  # an angle about the vertical axis
MIRROR_TURN = (
    0.7  # radians by which the mirror's place lies to the left or right of behind, at most
)
MIRROR_DISTANCE = (1.9, 2.6)  # world units from the middle of the scene, least and most
MIRROR_WIDTH = (4.5, 6.0)
MIRROR_HEIGHT = (2.2, 2.6)
REFLECTED_PIXELS = (
    60  # of an object's reflection in CLEVR's frame, within the paper's crop, to count as shown
)
LEAST_REFLECTED = 2  # objects whose reflections are shown

OBJECT_SCALES = (0.7, 1.0)  # half sizes: of both, no brick's joint lies in a face of a cube
GROUND_SCALES = (1.2, 2.2)  # world units, least and most
CAMOUFLAGE_SCALE = 1.0  # of the texture that ground and objects share, each in its own units
SATURATION = (0.1, 0.5)  # of an object's texture's colours, as displayed; least and most
GROUND_SATURATION = (0.05, 0.3)
HUE_SPREAD = 0.15  # of the colour circle: between the hues of a texture's two colours, at most
DARKER, BRIGHTER = (0.4, 0.6), (0.8, 1.0)  # values of its two colours, as displayed


def cogent_scene(
    generator: np.random.Generator,
    min_objects: int = 3,
    max_objects: int = 10,
    image_index: int = 0,
    split: str = "new",
    condition: str = "B",
) -> Scene:
    """A CLEVR scene whose cubes and cylinders have the colours of a condition of CLEVR-CoGenT.

    Train on "A" and test on "B": each shape and each colour is known, but not the two together.

    Args:
        condition: "A" or "B".
        min_objects, max_objects, image_index, split: as of `random_scene`.
    """
    if condition not in ("A", "B"):
        raise ValueError(f"CoGenT has the conditions 'A' and 'B', got {condition!r}")
    scene = random_scene(generator, min_objects, max_objects, image_index, split)
    others = tuple(color for color in COLORS if color not in COGENT_COLORS)
    first, second = (COGENT_COLORS, others) if condition == "A" else (others, COGENT_COLORS)
    allowed = {"cube": first, "cylinder": second, "sphere": tuple(COLORS)}
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
    """A scene of 11 to 16 objects, more than CLEVR ever has. They stand closer, and each still
    shows.
    """
    _check_counts(min_objects, max_objects, *CROWD)
    count = int(generator.integers(min_objects, max_objects + 1))

    def draw(camera: np.ndarray) -> list[SceneObject] | None:
        placed: list[SceneObject] = []
        for _ in range(100 * count):
            if len(placed) == count:
                return placed
            size = (
                "large" if generator.random() < 0.25 else "small"
            )  # with as many large ones there is no room
            x, y = generator.uniform(-AREA, AREA, size=2).tolist()
            if all(_gap(x, y, SIZES[size], other) >= CROWD_GAP for other in placed):
                placed.append(random_object(generator, camera, size, (x, y, SIZES[size])))
        return placed if len(placed) == count else None

    return _seen(generator, draw, CROWD_PIXELS, image_index, split)


def stacked_scene(
    generator: np.random.Generator,
    min_objects: int = STACK_HEIGHT[0],
    max_objects: int = MOST_STACKED,
    image_index: int = 0,
    split: str = "stacks",
) -> Scene:
    """One to three towers of two or three objects. Spheres lie on top alone; each object's middle
    lies above the one below.

    Objects do not overlap. Whether a tower would stand is not simulated. The number of objects
    follows from the towers; scenes with too few or too many are drawn anew.
    """
    _check_counts(min_objects, max_objects, STACK_HEIGHT[0], MOST_STACKED)
    while True:
        towers = int(generator.integers(STACKS[0], STACKS[1] + 1))
        scene = _stacked(generator, towers, image_index, split)
        if min_objects <= len(scene.objects) <= max_objects:
            return scene


def _stacked(generator: np.random.Generator, towers: int, image_index: int, split: str) -> Scene:
    def draw(camera: np.ndarray) -> list[SceneObject] | None:
        placed: list[SceneObject] = []
        for _ in range(towers):
            x, y = generator.uniform(-STACK_AREA, STACK_AREA, size=2).tolist()
            if any(_gap(x, y, SIZES["large"], other) < STACK_GAP for other in placed):
                return None
            placed.extend(_tower(generator, camera, x, y))
        return placed

    return _seen(generator, draw, STACK_PIXELS, image_index, split)


def _tower(
    generator: np.random.Generator, camera: np.ndarray, x: float, y: float
) -> list[SceneObject]:
    sizes = sorted(
        generator.choice(
            list(SIZES), size=generator.integers(STACK_HEIGHT[0], STACK_HEIGHT[1] + 1)
        ).tolist()
    )
    floor, tower = 0.0, []
    for level, size in enumerate(sizes):  # "large" sorts before "small"
        radius = SIZES[size]
        if level:
            far, turn = STACK_SHIFT * radius * generator.random(), 2 * math.pi * generator.random()
            x, y = x + far * math.cos(turn), y + far * math.sin(turn)
        shapes = (
            SHAPES
            if level == len(sizes) - 1
            else tuple(shape for shape in SHAPES if shape != "sphere")
        )
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
    """A CLEVR scene with a large mirror behind the objects, in the spirit of SLATE's CLEVR-Mirror
    (arXiv 2110.11405).

    The mirror faces the middle of the scene. Within the paper's crop it shows at least two of the
    objects once more.
    """
    while True:
        mirror = random_mirror(generator)
        scene = random_scene(generator, min_objects, max_objects, image_index, split, mirror)
        if _reflected(scene) >= min(LEAST_REFLECTED, len(scene.objects)):
            return scene


def random_mirror(generator: np.random.Generator) -> Mirror:
    """A mirror behind the middle of a scene, more or less, that faces it."""
    place = MIRROR_BEHIND + generator.uniform(-MIRROR_TURN, MIRROR_TURN)
    far = generator.uniform(*MIRROR_DISTANCE)
    return Mirror(
        position=(far * math.cos(place), far * math.sin(place)),
        facing=place + math.pi,
        width=generator.uniform(*MIRROR_WIDTH),
        height=generator.uniform(*MIRROR_HEIGHT),
    )


def _reflected(scene: Scene) -> int:
    """How many objects the mirror shows within the paper's crop."""
    side = round(CLEVR_FRAME[0] * (PAPER_CROP[2] - PAPER_CROP[0]) / VISIBILITY_SCALE)
    shown = (
        reflection_masks(scene, side, side, PAPER_CROP)
        .flatten()
        .bincount(minlength=len(scene.objects) + 1)[1:]
    )
    return int((shown >= REFLECTED_PIXELS / VISIBILITY_SCALE**2).sum())


def textured_scene(
    generator: np.random.Generator,
    min_objects: int = 3,
    max_objects: int = 6,
    image_index: int = 0,
    split: str = "textured",
    camouflage: str = "none",
) -> Scene:
    """A CLEVR scene whose ground and objects wear textures, in the spirit of ClevrTex (arXiv
    2111.10265).

    An object's ``color`` is the CLEVR colour nearest to its texture's mean.

    Args:
        camouflage: "none": each object has a texture of its own; "ground": all wear the ground's,
        as in ClevrTex-CAMO.

    Raises:
        ValueError: another camouflage, or impossible numbers of objects.
    """
    if camouflage not in ("none", "ground"):
        raise ValueError(f"camouflage must be 'none' or 'ground', got {camouflage!r}")
    scene = random_scene(generator, min_objects, max_objects, image_index, split)
    if camouflage == "ground":
        ground = random_texture(generator, CAMOUFLAGE_SCALE, GROUND_SATURATION)
        worn = [ground] * len(scene.objects)
    else:
        ground = random_texture(generator, generator.uniform(*GROUND_SCALES), GROUND_SATURATION)
        worn = [
            random_texture(generator, float(generator.choice(OBJECT_SCALES))) for _ in scene.objects
        ]
    pairs = zip(scene.objects, worn, strict=True)
    objects = tuple(
        replace(item, texture=texture, color=nearest_color(texture.mean_color))
        for item, texture in pairs
    )
    return replace(scene, objects=objects, ground_texture=ground)


def random_texture(
    generator: np.random.Generator, scale: float, saturation: tuple[float, float] = SATURATION
) -> Texture:
    """A texture of a random kind, of a darker and a brighter colour with hues that are not far
    apart.
    """
    kind, hue = str(generator.choice(TEXTURE_KINDS)), generator.random()
    colors = [
        _linear(
            hue + generator.uniform(-HUE_SPREAD, HUE_SPREAD),
            generator.uniform(*saturation),
            generator.uniform(*values),
        )
        for values in (DARKER, BRIGHTER)
    ]
    first = int(generator.integers(2))
    return Texture(
        kind, (colors[first], colors[1 - first]), scale, int(generator.integers(SEED_LIMIT))
    )


def _linear(hue: float, saturation: float, value: float) -> RGB:
    """A displayed colour's red, green and blue, linear, 0..255."""
    return tuple(round(255 * part**2.2) for part in colorsys.hsv_to_rgb(hue % 1, saturation, value))


def nearest_color(rgb: Sequence[float]) -> str:
    """The key of `COLORS` that is nearest to a linear colour of 0..255."""
    return min(COLORS, key=lambda name: math.dist(COLORS[name], rgb))


def _check_counts(min_objects: int, max_objects: int, fewest: int, most: int) -> None:
    if not fewest <= min_objects <= max_objects <= most:
        raise ValueError(
            f"need {fewest} <= min_objects <= max_objects <= {most}, got min_objects={min_objects}, max_objects={max_objects}"
        )


def _gap(x: float, y: float, radius: float, other: SceneObject) -> float:
    """World units between the outlines of an object at (x, y) and another one, seen from above."""
    return math.hypot(x - other.position[0], y - other.position[1]) - radius - other.radius


def _seen(
    generator: np.random.Generator,
    draw: Callable[[np.ndarray], list[SceneObject] | None],
    least: float,
    image_index: int,
    split: str,
) -> Scene:
    """The first scene drawn whose objects all found a place and show `least` pixels each in CLEVR's
    frame.
    """
    camera, lamps = jittered_view(generator)
    while True:
        objects = draw(camera)
        if objects is None:
            continue
        scene = Scene(
            tuple(objects),
            image_index,
            f"CLEVR_{split}_{image_index:06d}.png",
            split,
            camera=tuple(camera.tolist()),
            lamps=lamps,
        )
        if all_visible(scene, least):
            return scene


#: By name: each draws one scene from a generator, given the fewest and most objects, an image_index
#: and a split.
VARIANTS: dict[str, Callable[..., Scene]] = {
    "cogent": cogent_scene,
    "crowded": crowded_scene,
    "stacks": stacked_scene,
    "mirror": mirror_scene,
    "textured": textured_scene,
}
