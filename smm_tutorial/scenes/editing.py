"""Changes to a scene: turn its key lamp, edit one object, and find objects that overlap."""

import math
from dataclasses import replace
from itertools import combinations
from typing import Any

from smm_tutorial.arguments import check_choice, check_whole
from smm_tutorial.scenes.fields import check_number
from smm_tutorial.scenes.lighting import LAMP_POSITIONS
from smm_tutorial.scenes.records import SIZES, Scene, check_scene

CHANGES = ("x", "y", "turn", "shape", "size", "material", "color")  # of an object


def turn_key_lamp(scene: Scene, degrees: float) -> Scene:
    """The scene with its brightest lamp turned by `degrees` about the vertical axis through the
    origin.
    """
    check_number(degrees, "degrees")
    lamps = dict(scene.lamps or LAMP_POSITIONS)
    x, y, z = lamps["Lamp_Key"]
    cos, sin = math.cos(math.radians(degrees)), math.sin(math.radians(degrees))
    return replace(scene, lamps=lamps | {"Lamp_Key": (cos * x - sin * y, sin * x + cos * y, z)})


def edit_object(scene: Scene, number: int, **changes: Any) -> Scene:
    """The scene with its object `number` (from 1) changed.

    An object keeps its height above the floor or the object below, and the camera stays where it
    is. The new scene has no `pixel_coords` and no extra fields, since they would be out of date.

    Args:
        changes: x, y (world units), turn (degrees), shape, size, material, color.

    Raises:
        ValueError: no such object, a scene without a camera of its own, or an unknown change.
    """
    number = check_whole("number", number, 0)
    if not 1 <= number <= len(scene.objects) or scene.camera is None:
        raise ValueError(
            f"object {number} of a scene with {len(scene.objects)} objects and camera "
            f"{scene.camera} cannot be edited: objects are counted from 1, and the scene must "
            "carry its camera"
        )
    if unknown := sorted(set(changes) - set(CHANGES)):
        raise ValueError(
            f"an object has no {', '.join(unknown)}: change {', '.join(CHANGES[:-1])} "
            f"or {CHANGES[-1]}"
        )
    objects = [replace(item, pixel_coords=None) for item in scene.objects]
    before = objects[number - 1]
    x, y = changes.pop("x", before.position[0]), changes.pop("y", before.position[1])
    if "turn" in changes:
        # CLEVR's field `rotation` is in radians, see `SceneObject.yaw`
        changes["rotation"] = math.radians(check_number(changes.pop("turn"), "turn"))
    check_choice("size", changes.get("size", before.size), SIZES)
    after = replace(before, **changes)
    lift = before.position[2] - before.radius  # height of what the object stands on
    objects[number - 1] = replace(after, position=(x, y, after.radius + lift))
    changed = replace(scene, objects=tuple(objects), extra={})
    check_scene(changed)
    return changed


def find_overlaps(scene: Scene) -> list[tuple[int, int]]:
    """Pairs of objects (numbered from 1) whose round outlines overlap."""
    return [
        (one, other)
        for (one, a), (other, b) in combinations(enumerate(scene.objects, start=1), 2)
        if math.dist(a.position[:2], b.position[:2]) < a.radius + b.radius
        and abs(a.position[2] - b.position[2]) < a.radius + b.radius
    ]
