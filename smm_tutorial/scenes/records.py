"""CLEVR scene records: read, check, write.

A record is one element of the ``scenes`` list of a CLEVR ``CLEVR_{split}_scenes.json`` file
(Johnson et al. 2017, arXiv 1612.06890). `Scene.from_record` and `Scene.to_record` are inverse to
each other: fields that this module does not know are kept in ``extra``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any

from smm_tutorial.arguments import check_choice, check_whole, show_value
from smm_tutorial.files import JsonError, read_json
from smm_tutorial.scenes.additions import Mirror, Texture
from smm_tutorial.scenes.fields import (
    check_number,
    check_place,
    check_text,
    check_unit_vector,
    check_vector,
    get_field,
    read_optional,
)

SHAPES = ("cube", "sphere", "cylinder")
SIZES = {"large": 0.7, "small": 0.35}  # radius or half edge, in world units
MATERIALS = ("rubber", "metal")
COLORS = {  # red, green, blue of CLEVR's properties file, 0..255
    "gray": (87, 87, 87),
    "red": (173, 35, 35),
    "blue": (42, 75, 215),
    "green": (29, 105, 20),
    "brown": (129, 74, 25),
    "purple": (129, 38, 192),
    "cyan": (41, 208, 208),
    "yellow": (255, 238, 51),
}
LAMP_NAMES = ("Lamp_Key", "Lamp_Fill", "Lamp_Back")
DIRECTIONS = {  # the same in every CLEVR scene: taken from the camera before its jitter
    "right": (0.6563112735748291, 0.7544902563095093, -0.0),
    "behind": (-0.754490315914154, 0.6563112735748291, 0.0),
    "above": (0.0, 0.0, 1.0),
    "below": (-0.0, -0.0, -1.0),
    "left": (-0.6563112735748291, -0.7544902563095093, 0.0),
    "front": (0.754490315914154, -0.6563112735748291, -0.0),
}
SCENE_FIELDS = (  # of a scene's record that have a place in `Scene`
    *("objects", "image_index", "image_filename", "split", "directions", "relationships"),
    *("camera", "lamps", "mirror", "ground_texture"),
)
OBJECT_FIELDS = (  # of an object's record that have a place in `SceneObject`
    *("shape", "size", "material", "color", "rotation", "3d_coords", "pixel_coords", "texture"),
)
MOST_OBJECTS = 255  # of a record: a mask has one byte per pixel
LARGEST_INDEX = 2**63 - 1  # of a scene
RELATIONS = ("left", "right", "front", "behind")
RELATION_MARGIN = 0.2  # world units: least distance along the direction of a relation


@dataclass(frozen=True)
class SceneObject:
    """One object of a CLEVR scene.

    Args:
        shape: one of `SHAPES`.
        size: a key of `SIZES`.
        material: one of `MATERIALS`.
        color: a key of `COLORS`. Under a texture it is not seen; the scenes that this library draws
            name the colour nearest to the texture's mean.
        rotation: CLEVR's number for the yaw, 0..360. CLEVR's generator drew degrees and then used
            the same number as radians; see `yaw`.
        position: the centre (x, y, z) in world units (``3d_coords`` in a record).
        pixel_coords: (column, row, depth) of the centre in the image that the record describes, or
            None.
        texture: what the surface shows instead of its colour, in the object's unit frame, or None.
        extra: fields of the record that have no place above.
    """

    shape: str
    size: str
    material: str
    color: str
    rotation: float
    position: tuple[float, float, float]
    pixel_coords: tuple[float, float, float] | None = None
    texture: Texture | None = None
    extra: Mapping[str, Any] = field(default_factory=dict)

    @property
    def radius(self) -> float:
        """Radius of a sphere or cylinder, half edge of a cube, in world units."""
        return SIZES[self.size]

    @property
    def yaw(self) -> float:
        """The turn about the vertical axis in the images, in radians: equal to `rotation`."""
        return self.rotation

    @classmethod
    def from_record(cls, record: Mapping[str, Any], where: str = "object") -> SceneObject:
        """The object that an element of a record's ``objects`` describes.

        Raises:
            ValueError: a field is missing or has a value that CLEVR does not know; the message
                names it and `where`.
        """
        if not isinstance(record, Mapping):
            found = type(record).__name__
            raise ValueError(f"{where} must be a mapping of CLEVR's object fields, got {found}")

        def read_choice(key: str, choices: Iterable[str]) -> str:
            return check_choice(f"{where}.{key}", get_field(record, key, where), choices)

        return cls(
            shape=read_choice("shape", SHAPES),
            size=read_choice("size", SIZES),
            material=read_choice("material", MATERIALS),
            color=read_choice("color", COLORS),
            rotation=check_number(get_field(record, "rotation", where), f"{where}.rotation"),
            position=check_vector(get_field(record, "3d_coords", where), f"{where}.3d_coords"),
            pixel_coords=read_optional(
                record, "pixel_coords", f"{where}.pixel_coords", check_vector
            ),
            texture=read_optional(record, "texture", f"{where}.texture", Texture.from_record),
            extra={key: value for key, value in record.items() if key not in OBJECT_FIELDS},
        )

    def to_record(self) -> dict[str, Any]:
        """The object in the form of CLEVR's JSON."""
        record = {
            "shape": self.shape,
            "size": self.size,
            "material": self.material,
            "color": self.color,
            "rotation": self.rotation,
            "3d_coords": list(self.position),
        }
        if self.pixel_coords is not None:
            record["pixel_coords"] = list(self.pixel_coords)
        if self.texture is not None:
            record["texture"] = self.texture.to_record()
        return record | dict(self.extra)


@dataclass(frozen=True)
class Scene:
    """One CLEVR scene: its objects, its camera and its lamps.

    Args:
        objects: the objects; the k-th object (from 1) has the label k in masks.
        image_index, filename, split: as in the record (``image_filename`` there).
        directions: unit vectors of "left", "right", "front", "behind", "above", "below" in the
            world.
        camera: position in world units, or None if the record does not say it.
            `scenes.camera.camera_position` then recovers it from the objects' pixel coordinates.
        lamps: positions of the lamps of `LAMP_NAMES`; None for those of CLEVR's base scene.
        mirror: a large mirror among the objects, or None.
        ground_texture: the texture of floor and wall, in world coordinates; None for CLEVR's grey.
        extra: fields of the record that have no place above.
    """

    objects: tuple[SceneObject, ...]
    image_index: int = 0
    filename: str = "CLEVR_new_000000.png"
    split: str = "new"
    directions: Mapping[str, tuple[float, ...]] = field(default_factory=lambda: dict(DIRECTIONS))
    camera: tuple[float, float, float] | None = None
    lamps: Mapping[str, tuple[float, ...]] | None = None
    mirror: Mirror | None = None
    ground_texture: Texture | None = None
    extra: Mapping[str, Any] = field(default_factory=dict)

    @cached_property
    def relationships(self) -> dict[str, list[list[int]]]:
        """``relationships[relation][i]`` lists the objects in this relation to object i, e.g. left
        of object i.

        Object j is listed if it lies more than `RELATION_MARGIN` further than i along the
        direction.
        """
        return {relation: self._find_related(self.directions[relation]) for relation in RELATIONS}

    def _find_related(self, direction: Sequence[float]) -> list[list[int]]:
        """For each object, the objects that lie further along a direction."""

        def advance(start: SceneObject, end: SceneObject) -> float:
            steps = zip(start.position, end.position, direction, strict=True)
            return sum((there - here) * axis for here, there, axis in steps)

        return [
            [j for j, other in enumerate(self.objects) if advance(item, other) > RELATION_MARGIN]
            for item in self.objects
        ]

    @classmethod
    def from_record(cls, record: Mapping[str, Any]) -> Scene:
        """The scene that an element of the ``scenes`` list of a CLEVR file describes.

        Raises:
            ValueError: a field is missing or wrong; the message names it.
        """
        if not isinstance(record, Mapping):
            found = type(record).__name__
            raise ValueError(f"a scene record must be a mapping of CLEVR's fields, got {found}")
        where = f"scene record {_name_scene(record)}"

        def read(key: str, check: Callable[[Any, str], Any]) -> Any:
            return check(get_field(record, key, where), f"{where}: {key}")

        def read_if_there(key: str, check: Callable[[Any, str], Any]) -> Any:
            return read_optional(record, key, f"{where}: {key}", check)

        scene = cls(
            objects=read("objects", _check_objects),
            image_index=read("image_index", _check_index),
            filename=read("image_filename", check_text),
            split=read("split", check_text),
            directions=read("directions", _check_directions),
            camera=read_if_there("camera", check_place),
            lamps=read_if_there("lamps", _check_lamps),
            mirror=read_if_there("mirror", Mirror.from_record),
            ground_texture=read_if_there("ground_texture", Texture.from_record),
            extra={key: value for key, value in record.items() if key not in SCENE_FIELDS},
        )
        if "relationships" not in record:
            return scene
        relationships = record["relationships"]
        _check_relationships(relationships, len(scene.objects), f"{where}: relationships")
        if relationships != scene.relationships:  # they were edited: `to_record` writes them back
            return replace(scene, extra={**scene.extra, "relationships": relationships})
        return scene

    def to_record(self) -> dict[str, Any]:
        """The scene in the form of CLEVR's JSON, with its camera, lamps, mirror and ground_texture,
        if any.
        """
        record = {
            "image_index": self.image_index,
            "image_filename": self.filename,
            "split": self.split,
            "directions": {name: list(direction) for name, direction in self.directions.items()},
            "objects": [item.to_record() for item in self.objects],
            "relationships": self.relationships,
        }
        if self.camera is not None:
            record["camera"] = list(self.camera)
        if self.lamps is not None:
            record["lamps"] = {name: list(position) for name, position in self.lamps.items()}
        if self.mirror is not None:
            record["mirror"] = self.mirror.to_record()
        if self.ground_texture is not None:
            record["ground_texture"] = self.ground_texture.to_record()
        return record | dict(self.extra)


def check_scene(scene: Scene) -> None:
    """Checks a scene that was built or changed by hand.

    Raises:
        ValueError: a valid record could not describe the scene; the message names the record's
            field.
    """
    if not isinstance(scene, Scene):
        raise ValueError(f"a scene must be a Scene, got {show_value(scene)}")
    where = f"scene {show_value(scene.filename)}"
    _check_list(scene.objects, f"{where}: objects")
    for number, item in enumerate(scene.objects):
        _check_part(item, SceneObject, f"{where}: objects[{number}]")
    if scene.camera is not None:
        check_place(scene.camera, f"{where}: camera")
    if scene.lamps is not None:
        _check_lamps(scene.lamps, f"{where}: lamps")
    if scene.mirror is not None:
        _check_part(scene.mirror, Mirror, f"{where}: mirror")
    if scene.ground_texture is not None:
        _check_part(scene.ground_texture, Texture, f"{where}: ground_texture")


def _check_part(part: Any, kind: type[SceneObject | Mirror | Texture], name: str) -> None:
    """Raises unless a part of a scene equals the part that is read from its own record."""
    if not isinstance(part, kind):
        raise ValueError(f"{name} must be a {kind.__name__}, got {show_value(part)}")
    try:
        record = part.to_record()
    except (AttributeError, TypeError) as error:
        raise ValueError(f"{name} has a value of a wrong type ({error})") from error
    kind.from_record(record, name)


def _name_scene(record: Mapping[str, Any]) -> str:
    """The name of a record's scene for messages. Every part of the record may be wrong."""
    name = record.get("image_filename", record.get("image_index", "?"))
    return name[:100] if isinstance(name, str) else show_value(name)


def _check_index(value: Any, name: str) -> int:
    return check_whole(name, value, 0, LARGEST_INDEX)


def _check_objects(value: Any, name: str) -> tuple[SceneObject, ...]:
    _check_list(value, name)
    return tuple(SceneObject.from_record(item, f"{name}[{i}]") for i, item in enumerate(value))


def _check_list(value: Any, name: str) -> None:
    """Raises unless the value is a list with at most `MOST_OBJECTS` elements."""
    if not isinstance(value, (list, tuple)):
        raise ValueError(f"{name} must be a list, got {type(value).__name__}")
    if len(value) > MOST_OBJECTS:
        raise ValueError(f"{name} must be at most {MOST_OBJECTS}, got {len(value):,}")


def _check_directions(value: Any, name: str) -> dict[str, tuple[float, ...]]:
    return _check_vectors(value, name, RELATIONS, "names to unit vectors", check_unit_vector)


def _check_lamps(value: Any, name: str) -> dict[str, tuple[float, ...]]:
    expected = f"{', '.join(LAMP_NAMES)} to positions"
    return _check_vectors(value, name, LAMP_NAMES, expected, check_place)


def _check_vectors(
    value: Any,
    name: str,
    keys: Sequence[str],
    expected: str,
    check: Callable[[Any, str], tuple[float, ...]],
) -> dict[str, tuple[float, ...]]:
    """The value, if it is a mapping of names, at least `keys`, to three numbers each."""
    if not isinstance(value, Mapping):
        raise ValueError(f"{name} must map {expected}, got {type(value).__name__}")
    for key in keys:
        get_field(value, key, name)
    return {key: check(vector, f"{name}.{key!s:.100}") for key, vector in value.items()}


def _check_relationships(value: Any, count: int, name: str) -> None:
    """The value, if it maps each relation to `count` lists of numbers of objects."""
    if not isinstance(value, Mapping):
        raise ValueError(
            f"{name} must map {', '.join(RELATIONS)} to lists, got {show_value(value)}"
        )
    for relation, lists in value.items():
        place = f"{name}.{relation!s:.100}"
        if not isinstance(lists, (list, tuple)) or len(lists) != count:
            raise ValueError(
                f"{place} must be a list for each of the {count} objects, got {show_value(lists)}"
            )
        for number, others in enumerate(lists):
            if not isinstance(others, (list, tuple)):
                raise ValueError(f"{place}[{number}] must be a list, got {show_value(others)}")
            for other in others:
                check_whole(f"{place}[{number}]", other, 0, count - 1)


def read_records(path: str | Path) -> list[Scene]:
    """All scenes of a CLEVR scenes file, e.g. ``CLEVR_v1.0/scenes/CLEVR_val_scenes.json``.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: the file is not whole JSON, is not laid out like CLEVR's, or a record in it is
            wrong.
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(
            f"no scenes file at {path}: expected e.g. CLEVR_v1.0/scenes/CLEVR_val_scenes.json, "
            "unpacked from CLEVR_v1.0.zip"
        )
    try:
        content = read_json(path)
    except JsonError as error:
        raise ValueError(
            f"{error}: the download or the unpacking was probably cut short; delete the file and "
            "fetch it again"
        ) from error
    if not isinstance(content, Mapping) or not isinstance(content.get("scenes"), list):
        found = list(content) if isinstance(content, Mapping) else type(content).__name__
        raise ValueError(
            f"{path} is not a CLEVR scenes file: expected an object with a list 'scenes', "
            f"found {show_value(found)}; pass a file of CLEVR's scenes/ folder (not of questions/)"
        )
    scenes = []
    for index, record in enumerate(content["scenes"]):
        try:
            scenes.append(Scene.from_record(record))
        except ValueError as error:
            raise ValueError(f"{path}: scene {index}: {error}") from error
    return scenes
