"""Scenes as sets of vectors: what set prediction predicts, and in which order.

An object is 19 numbers: x, y, z in units of `COORDINATE_SCALE` | one-hot size, material, shape,
colour (`PROPERTIES`) | 1 for a real object. A set is padded with zero vectors. The order of the 19
numbers is that of SMM's released weights.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from smm_tutorial.arguments import check_whole
from smm_tutorial.scenes import Scene
from smm_tutorial.scenes.records import SceneObject

COORDINATE_SCALE = 3.0  # world units: CLEVR's objects lie in [-3, 3] x [-3, 3]
COORDINATES = slice(0, 3)
PROPERTIES = {
    "size": ("small", "large"),
    "material": ("rubber", "metal"),
    "shape": ("cube", "sphere", "cylinder"),
    "color": ("gray", "blue", "brown", "yellow", "red", "green", "purple", "cyan"),
}
#: The part of the vector that holds each property.
PROPERTY_SLICES = {
    "size": slice(3, 5),
    "material": slice(5, 7),
    "shape": slice(7, 10),
    "color": slice(10, 18),
}
REAL = 18
OBJECT_DIM = 19


def object_vector(item: SceneObject) -> list[float]:
    """The 19 numbers of one object."""
    vector = [coordinate / COORDINATE_SCALE for coordinate in item.position]
    for name, values in PROPERTIES.items():
        vector += [float(value == getattr(item, name)) for value in values]
    return [*vector, 1.0]


def set_targets(scenes: Sequence[Scene | Mapping[str, Any]], max_objects: int) -> Tensor:
    """Targets `(B, max_objects, 19)`, float32, of scenes or of records such as
    `SceneImages.records`.

    Raises:
        ValueError: `max_objects` is not a whole number, a scene has more objects than that, or a
            record lacks a field.
    """
    max_objects = check_whole("max_objects", max_objects, least=0)
    targets = torch.zeros(len(scenes), max_objects, OBJECT_DIM)
    for index, scene in enumerate(scenes):
        objects = scene.objects if isinstance(scene, Scene) else _objects(scene, index)
        if len(objects) > max_objects:
            raise ValueError(
                f"scene {index} has {len(objects)} objects, and a set holds at most {max_objects}: "
                f"load the data with max_objects={max_objects}, or use more slots"
            )
        if objects:
            targets[index, : len(objects)] = torch.tensor([object_vector(item) for item in objects])
    return targets


def _objects(record: Mapping[str, Any], index: int) -> list[SceneObject]:
    """The objects of a record. The rest, such as relations, is skipped: reading it takes most of
    the time.
    """
    if "objects" not in record:
        raise ValueError(f"scene record {index} has no list 'objects', it has {sorted(record)}")
    return [
        SceneObject.from_record(item, f"scene {index}: objects[{k}]")
        for k, item in enumerate(record["objects"])
    ]
