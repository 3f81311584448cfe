"""What a rendering simulates: one named choice per effect, so that each effect can be measured
alone.

The default is the most faithful choice.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args, get_type_hints

from smm_tutorial.arguments import check_whole


@dataclass(frozen=True)
class Effects:
    """Choices of what to simulate. `Effects(shadows="hard")` changes one choice.

    Args:
        lamps: "own": a scene's lamps stand where its record says, if it does; "nominal": always
            where CLEVR's base scene has them.
        shadows: "soft": the lamps have a size; "hard": the lamps are points; or "none".
        edges: of cubes and cylinders, "round" or "sharp".
        backdrop: "curved" up into a wall behind the scene, or "flat".
        ambient: light from floor, wall and neighbours: "fitted" to Blender (see `ambient`), "by
            hand" (one blend by the normal's height), or "none".
        reflections: "glossy": metal mirrors the scene sharply and roughly, with lamp highlights as
            sharp as the lamps; "mirror": metal mirrors the scene sharply, with soft highlights;
            "none": metal is matt, and nothing shines.
        bounces: how many metal surfaces in a row a ray follows. The metal on the last surface
            counts as matt. A scene's own flat mirror does not count.
        rough_rays: number of rays for the rough part of "glossy" metal, at each point that the
            camera sees.
        average: "display": average the display values of a pixel's samples, like making a large
            image smaller; "light": average their light.
        pixel_filter: "box": the pixel's square; "blackman-harris": 1.5 pixels wide, as in Blender.

    Raises:
        ValueError: an unknown choice, or a number below its least value.
    """

    lamps: Literal["own", "nominal"] = "own"
    shadows: Literal["soft", "hard", "none"] = "soft"
    edges: Literal["round", "sharp"] = "round"
    backdrop: Literal["curved", "flat"] = "curved"
    ambient: Literal["fitted", "by hand", "none"] = "fitted"
    reflections: Literal["glossy", "mirror", "none"] = "glossy"
    bounces: int = 2
    rough_rays: int = 4
    average: Literal["display", "light"] = "display"
    pixel_filter: Literal["box", "blackman-harris"] = "box"

    def __post_init__(self):
        for name, hint in get_type_hints(type(self)).items():
            value, choices = getattr(self, name), get_args(hint)
            if choices and value not in choices:
                known = ", ".join(map(repr, choices))
                raise ValueError(f"{name} must be one of {known}, got {value!r}")
        for name, least in (("bounces", 0), ("rough_rays", 1)):
            check_whole(name, getattr(self, name), least)
