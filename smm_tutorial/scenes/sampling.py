"""New scenes by CLEVR's rules (Johnson et al. 2017, arXiv 1612.06890, and its public generator's
constants).
"""

from __future__ import annotations

import math

import numpy as np

from smm_tutorial.scenes.additions import Mirror
from smm_tutorial.scenes.camera import CAMERA_JITTER, CAMERA_POSITION, CLEVR_FRAME, pixel_coords
from smm_tutorial.scenes.lighting import LAMP_JITTER, LAMP_POSITIONS
from smm_tutorial.scenes.masks import scene_masks
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
MIN_GAP = 0.25  # world units between the outlines of two objects, seen from above
MIN_MARGIN = 0.4  # world units by which two objects differ along each of left, right, front, behind
CORNER = 2**0.5  # how far a cube's edge lies from its axis, in half edges
MAX_TRIES = 50  # places tried for one object before the scene is begun anew
MIN_VISIBLE_PIXELS = 200  # of each object in CLEVR's 480 x 320 frame
VISIBILITY_SCALE = 4  # visibility is counted in a frame so many times smaller


def random_scene(
    generator: np.random.Generator,
    min_objects: int = 3,
    max_objects: int = 10,
    image_index: int = 0,
    split: str = "new",
    mirror: Mirror | None = None,
) -> Scene:
    """A scene as CLEVR's generator draws it: objects, camera and lamps.

    Shape, size, material and colour are uniform; places are uniform in a square, redrawn while an
    object comes too close to another; a scene in which an object is hardly visible is thrown away.

    Args:
        generator: the source of all randomness.
        min_objects, max_objects: the number of objects is uniform between them, both included.
        image_index, split: for the scene's record and file name.
        mirror: one that is to stand in the scene: objects are then placed before it alone.

    Raises:
        ValueError: not 1 <= min_objects <= max_objects <= 10 (more do not fit by CLEVR's rules).
    """
    if not 1 <= min_objects <= max_objects <= 10:
        raise ValueError(
            f"need 1 <= min_objects <= max_objects <= 10, got min_objects={min_objects}, max_objects={max_objects}"
        )
    count = int(generator.integers(min_objects, max_objects + 1))
    camera, lamps = jittered_view(generator)
    while True:
        scene = Scene(
            objects=_place_objects(generator, count, camera, mirror),
            image_index=image_index,
            filename=f"CLEVR_{split}_{image_index:06d}.png",
            split=split,
            camera=tuple(camera.tolist()),
            lamps=lamps,
            mirror=mirror,
        )
        if all_visible(scene):
            return scene


def random_scenes(
    count: int,
    generator: np.random.Generator,
    min_objects: int = 3,
    max_objects: int = 10,
    split: str = "new",
) -> list[Scene]:
    """`count` scenes from `random_scene`, numbered from 0."""
    return [
        random_scene(generator, min_objects, max_objects, index, split) for index in range(count)
    ]


def jittered_view(
    generator: np.random.Generator,
) -> tuple[np.ndarray, dict[str, tuple[float, ...]]]:
    """The position (3,) of a scene's camera and those of its lamps, drawn around the base
    scene's.
    """
    camera = np.array(CAMERA_POSITION) + generator.uniform(-CAMERA_JITTER, CAMERA_JITTER, size=3)
    lamps = {
        name: tuple(
            (np.array(position) + generator.uniform(-LAMP_JITTER, LAMP_JITTER, size=3)).tolist()
        )
        for name, position in LAMP_POSITIONS.items()
    }
    return camera, lamps


def random_object(
    generator: np.random.Generator,
    camera: np.ndarray,
    size: str,
    position: tuple[float, ...],
    shapes: tuple[str, ...] = SHAPES,
) -> SceneObject:
    """An object of a random kind at a place."""
    return SceneObject(
        shape=str(generator.choice(shapes)),
        size=size,
        material=str(generator.choice(MATERIALS)),
        color=str(generator.choice(list(COLORS))),
        rotation=360 * generator.random(),
        position=position,
        pixel_coords=pixel_coords(np.array([position]), camera)[0],
    )


def _place_objects(
    generator: np.random.Generator, count: int, camera: np.ndarray, mirror: Mirror | None
) -> tuple[SceneObject, ...]:
    """`count` objects that keep their distance; begins anew whenever one finds no place."""
    while True:
        placed: list[SceneObject] = []
        while (
            len(placed) < count
            and (item := _place_one(generator, placed, camera, mirror)) is not None
        ):
            placed.append(item)
        if len(placed) == count:
            return tuple(placed)


def _place_one(
    generator: np.random.Generator,
    placed: list[SceneObject],
    camera: np.ndarray,
    mirror: Mirror | None,
) -> SceneObject | None:
    """One more object, or None when none of `MAX_TRIES` places was free."""
    size = str(generator.choice(list(SIZES)))
    for _ in range(MAX_TRIES):
        x, y = generator.uniform(-AREA, AREA, size=2).tolist()
        if mirror is not None and before_mirror(mirror, x, y) < SIZES[size] * CORNER + MIN_GAP:
            continue
        if all(_keeps_distance(x, y, SIZES[size], other) for other in placed):
            return random_object(generator, camera, size, (x, y, SIZES[size]))
    return None


def _keeps_distance(x: float, y: float, radius: float, other: SceneObject) -> bool:
    dx, dy = x - other.position[0], y - other.position[1]
    if math.hypot(dx, dy) - radius - other.radius < MIN_GAP:
        return False
    return all(
        abs(dx * DIRECTIONS[name][0] + dy * DIRECTIONS[name][1]) >= MIN_MARGIN for name in RELATIONS
    )


def before_mirror(mirror: Mirror, x: float, y: float) -> float:
    """World units by which a place lies before the plane of a mirror; negative behind it."""
    return sum(
        (there - foot) * axis
        for there, foot, axis in zip((x, y), mirror.position, mirror.normal, strict=True)
    )


def all_visible(scene: Scene, least: float = MIN_VISIBLE_PIXELS) -> bool:
    """Whether each object shows at least so many pixels in CLEVR's frame."""
    height, width = (side // VISIBILITY_SCALE for side in CLEVR_FRAME)
    seen = (
        scene_masks(scene, height, width).flatten().bincount(minlength=len(scene.objects) + 1)[1:]
    )
    return bool(seen.min() >= least / VISIBILITY_SCALE**2)
