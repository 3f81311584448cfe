"""Additions to CLEVR's scene records: a mirror, and textures of objects and ground."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from smm_tutorial.arguments import check_choice, check_whole, show_value
from smm_tutorial.scenes.fields import check_fields, check_number, check_numbers

TEXTURE_KINDS = ("checker", "stripes", "dots", "bricks", "noise", "marble", "wood")
SEED_LIMIT = 2**31
FINEST = 1e-4  # least scale of a texture: float32 has no finer points
RGB = tuple[float, float, float]


@dataclass(frozen=True)
class Mirror:
    """A flat mirror with a dark frame that stands upright on the floor. Both faces reflect.

    Args:
        position: the middle of its foot (x, y), in world units.
        facing: the direction of its normal: an angle about the vertical axis, in radians from the
            x axis.
        width, height: of the whole mirror, in world units.
        frame: width of the frame's bars, in world units, 0 for no frame.
        reflectance: the share of the light that it reflects, the same for red, green and blue.
    """

    position: tuple[float, float]
    facing: float
    width: float
    height: float
    frame: float = 0.1
    reflectance: float = 0.9

    @property
    def normal(self) -> tuple[float, float]:
        """The unit vector (x, y) that points out of the mirror's front."""
        return math.cos(self.facing), math.sin(self.facing)

    @classmethod
    def from_record(cls, record: Mapping[str, Any], where: str = "mirror") -> Mirror:
        """The mirror that the field ``mirror`` of a record describes.

        Raises:
            ValueError: a field is missing, unknown or wrong; the message names it and `where`.
        """
        check_fields(
            record, ("position", "facing", "width", "height", "frame", "reflectance"), where
        )
        frame = check_number(record["frame"], f"{where}.frame")
        if frame < 0:
            raise ValueError(f"{where}.frame must be at least 0, got {frame!r}")
        return cls(
            position=check_numbers(record["position"], 2, f"{where}.position"),
            facing=check_number(record["facing"], f"{where}.facing"),
            width=check_number(record["width"], f"{where}.width", above=0),
            height=check_number(record["height"], f"{where}.height", above=0),
            frame=frame,
            reflectance=check_number(
                record["reflectance"], f"{where}.reflectance", above=0, at_most=1
            ),
        )

    def to_record(self) -> dict[str, Any]:
        """The mirror as plain JSON values."""
        return asdict(self) | {"position": list(self.position)}


@dataclass(frozen=True)
class Texture:
    """A pattern of two colours that fills space. A surface shows the pattern where it cuts through
    it.

    Args:
        kind: one of `TEXTURE_KINDS`, see `textures`.
        colors: the two colours; red, green and blue from 0 to 255, linear as CLEVR's own colours.
        scale: length of a period of the pattern, or of its coarsest grains. The unit is the half
            size of an object, or the world unit for the ground.
        seed: an integer, at least 0 and below 2^31, that chooses among all patterns of the kind.
    """

    kind: str
    colors: tuple[RGB, RGB]
    scale: float
    seed: int

    @property
    def mean_color(self) -> RGB:
        """The mean of the two colours."""
        return tuple((one + other) / 2 for one, other in zip(*self.colors, strict=True))

    @classmethod
    def from_record(cls, record: Mapping[str, Any], where: str = "texture") -> Texture:
        """The texture of a record's field ``texture`` (object) or ``ground_texture`` (scene).

        Raises:
            ValueError: a field is missing, unknown or wrong; the message names it and `where`.
        """
        check_fields(record, ("kind", "colors", "scale", "seed"), where)
        colors = record["colors"]
        if not isinstance(colors, Sequence) or isinstance(colors, str) or len(colors) != 2:
            raise ValueError(
                f"{where}.colors must be a list of 2 colours, got {show_value(colors)}"
            )
        colors = tuple(
            check_numbers(color, 3, f"{where}.colors[{index}]")
            for index, color in enumerate(colors)
        )
        if not all(0 <= part <= 255 for color in colors for part in color):
            raise ValueError(
                f"{where}.colors must be numbers from 0 to 255, got {record['colors']!r}"
            )
        return cls(
            kind=check_choice(f"{where}.kind", record["kind"], TEXTURE_KINDS),
            colors=colors,
            scale=check_number(record["scale"], f"{where}.scale", above=FINEST),
            seed=check_whole(f"{where}.seed", record["seed"], 0, SEED_LIMIT - 1),
        )

    def to_record(self) -> dict[str, Any]:
        """The texture as plain JSON values."""
        return asdict(self) | {"colors": [list(color) for color in self.colors]}
