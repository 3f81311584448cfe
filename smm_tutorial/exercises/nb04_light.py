"""Tasks of notebook 04: the light that a lamp throws."""

import numpy as np
from numpy.random import default_rng

from smm_tutorial.exercises.core import Task, mistake, register


def irradiance(
    points: np.ndarray, normals: np.ndarray, lamp: np.ndarray, intensity: float
) -> np.ndarray:
    to_lamp = lamp - points  # (N, 3)
    distance = np.linalg.norm(to_lamp, axis=1)
    towards = to_lamp / distance[:, None]
    cos_surface = np.maximum((normals * towards).sum(axis=1), 0)
    cos_lamp = np.maximum(towards @ (lamp / np.linalg.norm(lamp)), 0)  # it faces the origin
    return intensity * cos_surface * cos_lamp / distance**2


@mistake("Light thins out over a sphere's area: divide by the distance *squared*.")
def _irradiance_without_square(points, normals, lamp, intensity):
    return irradiance(points, normals, lamp, intensity) * np.linalg.norm(lamp - points, axis=1)


@mistake("Some of your surfaces get negative light: cut the cosine off at 0.")
def _irradiance_from_below(points, normals, lamp, intensity):
    to_lamp = lamp - points
    distance = np.linalg.norm(to_lamp, axis=1)
    towards = to_lamp / distance[:, None]
    cos_lamp = np.maximum(towards @ (lamp / np.linalg.norm(lamp)), 0)
    return intensity * (normals * towards).sum(axis=1) * cos_lamp / distance**2


@mistake("Your lamp shines alike to all sides. This one is flat: its own cosine is missing.")
def _irradiance_of_a_bulb(points, normals, lamp, intensity):
    to_lamp = lamp - points
    distance = np.linalg.norm(to_lamp, axis=1)
    cos_surface = np.maximum((normals * to_lamp).sum(axis=1) / distance, 0)
    return intensity * cos_surface / distance**2


@mistake("The cosine at the surface is missing: light that grazes spreads over more area.")
def _irradiance_not_tilted(points, normals, lamp, intensity):
    to_lamp = lamp - points
    distance = np.linalg.norm(to_lamp, axis=1)
    cos_lamp = np.maximum((to_lamp / distance[:, None]) @ (lamp / np.linalg.norm(lamp)), 0)
    return intensity * cos_lamp / distance**2


@mistake("Cut each cosine off at 0 by itself: two negative ones multiply to light.")
def _irradiance_of_cut_product(points, normals, lamp, intensity):
    to_lamp = lamp - points
    distance = np.linalg.norm(to_lamp, axis=1)
    towards = to_lamp / distance[:, None]
    cosines = (normals * towards).sum(axis=1) * (towards @ (lamp / np.linalg.norm(lamp)))
    return intensity * np.maximum(cosines, 0) / distance**2


@mistake("Behind the lamp, the cosine at the lamp is negative: cut it off at 0.")
def _irradiance_behind_the_lamp(points, normals, lamp, intensity):
    to_lamp = lamp - points
    distance = np.linalg.norm(to_lamp, axis=1)
    towards = to_lamp / distance[:, None]
    cos_surface = np.maximum((normals * towards).sum(axis=1), 0)
    return intensity * cos_surface * (towards @ (lamp / np.linalg.norm(lamp))) / distance**2


@mistake("Behind the lamp there is no light: cut its cosine off at 0 instead of taking `abs`.")
def _irradiance_on_both_sides_of_the_lamp(points, normals, lamp, intensity):
    return np.abs(_irradiance_behind_the_lamp.answer(points, normals, lamp, intensity))


@mistake("Neither cosine is cut off: a negative cosine must count as 0.")
def _irradiance_never_cut(points, normals, lamp, intensity):
    to_lamp = lamp - points
    distance = np.linalg.norm(to_lamp, axis=1)
    towards = to_lamp / distance[:, None]
    cosines = (normals * towards).sum(axis=1) * (towards @ (lamp / np.linalg.norm(lamp)))
    return intensity * cosines / distance**2


@mistake("Your lamp faces away from the origin: turn the sign of the cosine at the lamp.")
def _irradiance_of_a_turned_lamp(points, normals, lamp, intensity):
    to_lamp = lamp - points
    distance = np.linalg.norm(to_lamp, axis=1)
    towards = to_lamp / distance[:, None]
    cos_surface = np.maximum((normals * towards).sum(axis=1), 0)
    cos_lamp = np.maximum(-towards @ (lamp / np.linalg.norm(lamp)), 0)
    return intensity * cos_surface * cos_lamp / distance**2


def _irradiance_cases() -> dict[str, tuple]:
    generator = default_rng(6)
    normals = generator.normal(size=(12, 3))
    normals /= np.linalg.norm(normals, axis=1, keepdims=True)
    points = generator.uniform(-3, 3, (12, 3))
    key_lamp = np.array([6.4, -2.9, 4.3])
    floor = np.array([[1.0, -2.0, 0.0]])
    up = np.array([[0.0, 0.0, 1.0]])
    return {
        "twelve points, some turned away": (points, normals, key_lamp, 25.0),
        "the floor below a lamp": (floor, up, floor[0] + 5 * up[0], 9.0),
        "behind the lamp and turned away from it": (2 * key_lamp[None], up, key_lamp, 25.0),
        "behind the lamp and turned towards it": (2 * key_lamp[None], -up, key_lamp, 25.0),
    }


register(
    Task(
        name="scenes.irradiance",
        title="How much light a lamp throws",
        text="""You get `points` (N, 3) with unit `normals` (N, 3). A small flat lamp at `lamp` (3,)
        faces the world's origin. Return the irradiance (N,): `intensity` times the cosine at the
        surface, times the cosine at the lamp, divided by the squared distance. The cosine at the
        surface is 0 where the surface is turned away. The cosine at the lamp is 0 behind the lamp.
        Nothing stands between lamp and points.""",
        minutes=10,
        difficulty=2,
        hints=(
            """You need one unit vector per point for both cosines: the one from the point to the
            lamp. In which direction does the lamp face?""",
            """The cosine between two unit vectors is their dot product. At the surface, these are
            the normal and the vector to the lamp. At the lamp, compare the direction that it faces,
            `-lamp / |lamp|`, with the vector from the lamp to the point. Cut off each cosine at 0,
            before you multiply.""",
        ),
        solution=irradiance,
        cases=_irradiance_cases,
        mistakes=(
            _irradiance_without_square,
            _irradiance_from_below,
            _irradiance_of_a_bulb,
            _irradiance_not_tilted,
            _irradiance_of_cut_product,
            _irradiance_never_cut,
            _irradiance_of_a_turned_lamp,
            _irradiance_behind_the_lamp,
            _irradiance_on_both_sides_of_the_lamp,
        ),
    )
)
