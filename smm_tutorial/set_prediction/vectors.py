"""Read and change single vectors (19,) of a set: their properties in words, radius and place."""

from torch import Tensor

from smm_tutorial.scenes.records import SIZES
from smm_tutorial.set_prediction.targets import COORDINATE_SCALE, PROPERTIES, PROPERTY_SLICES


def describe_vector(vector: Tensor) -> str:
    """The most likely value of each property in words, such as "large blue metal cube"."""
    return " ".join(_most_likely(vector, name) for name in ("size", "color", "material", "shape"))


def vector_radius(vector: Tensor) -> float:
    """The radius, in world units, of the most likely size of the vector."""
    return SIZES[_most_likely(vector, "size")]


def move_vector(vectors: Tensor, number: int, x: float, y: float) -> Tensor:
    """A set (K, 19) with its vector `number` moved to x and y, in world units."""
    moved = vectors.clone()
    moved[number, 0], moved[number, 1] = x / COORDINATE_SCALE, y / COORDINATE_SCALE
    return moved


def _most_likely(vector: Tensor, name: str) -> str:
    return PROPERTIES[name][vector[PROPERTY_SLICES[name]].argmax().item()]
