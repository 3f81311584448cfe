"""Single vectors of a set: their words, their radius, their place."""

import pytest
import torch

from smm_tutorial.set_prediction.vectors import describe_vector, move_vector, vector_radius
from tests.toy_sets import SCENES, TARGETS


def test_an_object_is_described_by_the_largest_value_of_each_property():
    for scene, vectors in zip(SCENES, TARGETS, strict=True):
        for item, vector in zip(scene.objects, vectors, strict=False):
            words = f"{item.size} {item.color} {item.material} {item.shape}"
            assert describe_vector(0.4 * vector) == words
            assert vector_radius(0.4 * vector) == item.radius


def test_a_vector_moves_over_the_floor_and_nothing_else_changes():
    vectors = TARGETS[0]
    before = vectors.clone()
    moved = move_vector(vectors, 0, -2.0, 1.5)
    assert (3 * moved[0, :2]).tolist() == pytest.approx([-2, 1.5])
    assert torch.equal(moved[1:], before[1:]) and torch.equal(moved[0, 2:], before[0, 2:])
    assert torch.equal(vectors, before)
