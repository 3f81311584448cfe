"""New scenes by CLEVR's rules (Johnson et al. 2017, arXiv 1612.06890).

The constants are those of CLEVR's public generator.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

from smm_tutorial.arguments import check_whole
from smm_tutorial.scenes.additions import Mirror
from smm_tutorial.scenes.camera import CAMERA_JITTER, CAMERA_POSITION, CLEVR_FRAME, pixel_coords
from smm_tutorial.scenes.fields import check_text
from smm_tutorial.scenes.lighting import LAMP_JITTER, LAMP_POSITIONS
from smm_tutorial.scenes.masks import count_labels, scene_masks
from smm_tutorial.scenes.records import (
    COLORS,
    DIRECTIONS,
    MATERIALS,
    RELATIONS,
    SHAPES,
    SIZES,
    Scene,
    SceneObject,
)

AREA = 3.0  # centres lie in -3..3 along x and y
MOST_OBJECTS = 10  # more objects do not fit by CLEVR's rules
MIN_GAP = 0.25  # world units between the outlines of two objects, seen from above
MIN_MARGIN = 0.4  # world units by which two objects differ along each of left, right, front, behind
CORNER = 2**0.5  # how far a cube's edge lies from its axis, in half edges
MAX_TRIES = 50  # places tried for one object before the scene is begun anew
MIN_VISIBLE_PIXELS = 200  # of each object in CLEVR's 480 x 320 frame
VISIBILITY_SCALE = 4  # visible pixels are counted in a frame that is smaller by this factor


def random_scene(
    generator: np.random.Generator,
    min_objects: int = 3,
    max_objects: int = MOST_OBJECTS,
    image_index: int = 0,
    split: str = "new",
    mirror: Mirror | None = None,
) -> Scene:
    """A scene as CLEVR's generator draws it: objects, camera and lamps.

    Shape, size, material and colour are uniform. Places are uniform in a square, and drawn again if
    an object comes too close to another. A scene in which an object is hardly visible is drawn
    anew.

    Args:
        generator: the source of all randomness.
        min_objects, max_objects: the number of objects is uniform between them, both included.
        image_index, split: for the scene's record and file name.
        mirror: a mirror in the scene, or None. All objects are placed in front of it.

    Raises:
        ValueError: not 1 <= min_objects <= max_objects <= 10 (more do not fit by CLEVR's rules), or
            image_index is no whole number.
    """
    min_objects, max_objects = check_object_counts(min_objects, max_objects, 1, MOST_OBJECTS)
    count = int(generator.integers(min_objects, max_objects + 1))

    def place_objects(camera: np.ndarray) -> list[SceneObject] | None:
        placed: list[SceneObject] = []
        for _ in range(count):
            item = _place_one(generator, placed, camera, mirror)
            if item is None:
                return None
            placed.append(item)
        return placed

    return draw_visible_scene(
        generator, place_objects, MIN_VISIBLE_PIXELS, image_index, split, mirror
    )


def random_scenes(
    count: int,
    generator: np.random.Generator,
    min_objects: int = 3,
    max_objects: int = MOST_OBJECTS,
    split: str = "new",
) -> list[Scene]:
    """`count` scenes from `random_scene`, numbered from 0."""
    return [
        random_scene(generator, min_objects, max_objects, index, split)
        for index in range(check_whole("count", count, 0))
    ]


def check_object_counts(
    min_objects: int, max_objects: int, fewest: int, most: int
) -> tuple[int, int]:
    """Both numbers, if `fewest` <= min_objects <= max_objects <= `most`. Raises `ValueError` if
    not.
    """
    min_objects = check_whole("min_objects", min_objects, 0)
    max_objects = check_whole("max_objects", max_objects, 0)
    if not fewest <= min_objects <= max_objects <= most:
        raise ValueError(
            f"need {fewest} <= min_objects <= max_objects <= {most}, "
            f"got min_objects={min_objects}, max_objects={max_objects}"
        )
    return min_objects, max_objects


def draw_visible_scene(
    generator: np.random.Generator,
    place_objects: Callable[[np.ndarray], list[SceneObject] | None],
    least_pixels: float,
    image_index: int,
    split: str,
    mirror: Mirror | None = None,
) -> Scene:
    """Draws scenes until every object has a place and is visible enough; returns that scene.

    Camera and lamps are drawn once, around those of CLEVR's base scene.

    Args:
        place_objects: a function of the camera's position (3,). It returns the objects, or None if
            it found no place for one of them.
        least_pixels: that each object shows in CLEVR's frame.
    """
    image_index = check_whole("image_index", image_index, 0)
    split = check_text(split, "split")
    jitter = generator.uniform(-CAMERA_JITTER, CAMERA_JITTER, size=3)
    camera = np.array(CAMERA_POSITION) + jitter
    lamps = {}
    for name, position in LAMP_POSITIONS.items():
        jitter = generator.uniform(-LAMP_JITTER, LAMP_JITTER, size=3)
        lamps[name] = tuple((np.array(position) + jitter).tolist())
    while True:
        objects = place_objects(camera)
        if objects is None:
            continue
        scene = Scene(
            objects=tuple(objects),
            image_index=image_index,
            filename=f"CLEVR_{split}_{image_index:06d}.png",
            split=split,
            camera=tuple(camera.tolist()),
            lamps=lamps,
            mirror=mirror,
        )
        if _visible_pixels(scene).min() >= least_pixels:
            return scene


def random_object(
    generator: np.random.Generator,
    camera: np.ndarray,
    size: str,
    position: tuple[float, ...],
    shapes: tuple[str, ...] = SHAPES,
) -> SceneObject:
    """An object at `position`, of random shape, material and colour."""
    return SceneObject(
        shape=str(generator.choice(shapes)),
        size=size,
        material=str(generator.choice(MATERIALS)),
        color=str(generator.choice(list(COLORS))),
        rotation=360 * generator.random(),
        position=position,
        pixel_coords=pixel_coords(np.array([position]), camera)[0],
    )


def _place_one(
    generator: np.random.Generator,
    placed: list[SceneObject],
    camera: np.ndarray,
    mirror: Mirror | None,
) -> SceneObject | None:
    """One more object, or None if none of `MAX_TRIES` places was free."""
    size = str(generator.choice(list(SIZES)))
    radius = SIZES[size]
    for _ in range(MAX_TRIES):
        x, y = generator.uniform(-AREA, AREA, size=2).tolist()
        if mirror and distance_before(mirror, x, y) < radius * CORNER + MIN_GAP:
            continue
        if all(_keeps_distance(x, y, radius, other) for other in placed):
            return random_object(generator, camera, size, (x, y, radius))
    return None


def _keeps_distance(x: float, y: float, radius: float, other: SceneObject) -> bool:
    if gap_between(x, y, radius, other) < MIN_GAP:
        return False
    dx, dy = x - other.position[0], y - other.position[1]
    return all(
        abs(dx * DIRECTIONS[name][0] + dy * DIRECTIONS[name][1]) >= MIN_MARGIN for name in RELATIONS
    )


def gap_between(x: float, y: float, radius: float, other: SceneObject) -> float:
    """World units between the outlines of an object at (x, y) and another one, seen from above."""
    return math.hypot(x - other.position[0], y - other.position[1]) - radius - other.radius


def distance_before(mirror: Mirror, x: float, y: float) -> float:
    """World units by which (x, y) lies in front of the plane of a mirror; negative behind it."""
    parts = zip((x, y), mirror.position, mirror.normal, strict=True)
    return sum((there - foot) * axis for there, foot, axis in parts)


def _visible_pixels(scene: Scene) -> np.ndarray:
    """How many pixels each object shows in CLEVR's frame (K,), counted in a smaller frame."""
    height, width = (side // VISIBILITY_SCALE for side in CLEVR_FRAME)
    counts = count_labels(scene_masks(scene, height, width), len(scene.objects))
    return counts.numpy() * VISIBILITY_SCALE**2
