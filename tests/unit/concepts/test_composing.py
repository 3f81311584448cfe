"""Composed scenes: slots at their places, pictures, and what an independent judge finds in them."""

import numpy as np
import pytest
import torch
from torch.testing import assert_close

from smm_tutorial import checkpoints, concepts
from smm_tutorial.concepts import (
    choose_places,
    compose_scene,
    fit_judge,
    fit_library,
    judge_scenes,
    measure_diversity,
    name_concepts,
    open_studio,
    paint_scene,
    read_slots,
    score_judge,
)
from smm_tutorial.concepts.library import fit_place
from smm_tutorial.datasets import load

NAMES = [f"comparison-mixture-clevr6-laptop-48px-seed{seed}" for seed in (0, 1)]
DIM = 48


@pytest.fixture(scope="module")
def scenes():
    return load("clevr6", split="val", size=48).subset(range(48))


@pytest.fixture(scope="module")
def model():
    return checkpoints.load(NAMES[0]).model


@pytest.fixture(scope="module")
def studio(model, scenes):
    return open_studio(read_slots(model, scenes), scenes, DIM, counts=(8,))


@pytest.fixture(scope="module")
def judge(scenes):
    other = checkpoints.load(NAMES[1]).model
    return fit_judge(other, concepts.gather_objects(read_slots(other, scenes), scenes))


def test_places_keep_their_distance():
    places = choose_places(4, np.random.default_rng(0))
    assert places.shape == (4, 2) and ((places >= 0.15) & (places <= 0.85)).all()
    assert (torch.pdist(places) >= 0.22).all()
    with pytest.raises(ValueError, match="40 objects find no room"):
        choose_places(40, np.random.default_rng(0))


def test_a_slot_that_moves_and_returns_is_the_same():
    slots, centres, targets = torch.randn(30, 6), torch.rand(30, 2), torch.rand(30, 2)
    place = fit_place(slots, centres)
    there = place.move(slots, centres, targets)
    assert_close(place.move(there, targets, centres), slots, atol=1e-4, rtol=1e-4)


def test_the_ground_gets_the_rest_of_the_picture_and_variances_stay_positive():
    objects = torch.tensor([[1.0, 2.0, -3.0, 0.5], [1.0, -2.0, 0.2, -0.1]])
    asked = [{"color": "red"}, {"color": "blue"}]
    scene = compose_scene(
        torch.ones(4), objects, torch.tensor([0.1, 0.2]), torch.rand(2, 2), asked, slot_dim=2
    )
    assert_close(scene.shares, torch.tensor([0.7, 0.1, 0.2]))
    assert torch.equal(scene.slots[1:, :2], objects[:, :2]) and (scene.slots[:, 2:] > 0).all()
    with pytest.raises(ValueError, match="sum to 1.20 and leave no room for the ground"):
        compose_scene(torch.ones(4), objects, torch.tensor([0.6, 0.6]), torch.rand(2, 2), asked, 2)


def test_concepts_are_named_by_their_most_frequent_values():
    named = name_concepts(
        np.array([0, 0, 0, 1]),
        {"color": ["red", "red", "blue", "gray"], "size": ["small", "large", "large", "small"]},
    )
    assert named == [{"color": "red", "size": "large"}, {"color": "gray", "size": "small"}]


def test_kept_concepts_are_numbered_anew():
    points = torch.cat([torch.randn(50, 2) + shift for shift in (0, 20, 40)])
    library = fit_library(points, counts=(3,))
    fewer = library.keep(np.array([2, 0]))
    assert fewer.num_concepts == 2 and library.num_concepts == 3
    assert_close(fewer.mixture.means_[0], library.mixture.means_[2])
    assert fewer.mixture.weights_.sum() == pytest.approx(1)


@pytest.mark.parametrize("source", ["copied", "drawn"])
def test_a_judge_finds_the_objects_where_they_were_put(model, studio, judge, source):
    generator = np.random.default_rng(0)
    composed = [studio.compose(3, generator, source) for _ in range(12)]
    pictures = torch.stack([paint_scene(model, scene) for scene in composed])
    assert pictures.shape == (12, 3, 48, 48) and 0 <= pictures.min() <= pictures.max() <= 1
    scores = judge_scenes(judge, pictures, composed)
    assert scores["found"] > 0.8 and scores["size"] > 0.5
    elsewhere = [scene._replace(centres=1 - scene.centres) for scene in composed]
    assert judge_scenes(judge, pictures, elsewhere)["found"] < scores["found"]
    assert all(score <= scores["found"] for score in scores.values())


def test_a_scene_is_arranged_by_hand(model, studio):
    placed = [(0, 0.3, 0.3), (3, 0.7, 0.6)]
    scene = studio.arrange(placed)
    assert scene.asked == [studio.names[0], studio.names[3]] and len(scene.slots) == 3
    assert_close(scene.centres, torch.tensor([[0.3, 0.3], [0.7, 0.6]]))
    empty, full = paint_scene(model, studio.arrange([])), paint_scene(model, scene)
    changed = (full - empty).abs().amax(dim=0)  # (48, 48)
    for row, column in ((14, 14), (33, 29)):
        assert changed[row, column] > 0.1
    assert changed[42:, :6].max() < 0.1
    with pytest.raises(ValueError, match="concept must be from 0 to"):
        studio.arrange([(99, 0.5, 0.5)])


def test_the_judge_itself_is_judged(judge, scenes):
    other = concepts.gather_objects(read_slots(judge.model, scenes, seed=1), scenes)
    scores = score_judge(judge, other)
    assert scores.keys() == set(concepts.PROPERTIES) and scores["size"] > 0.8


def test_an_unknown_source_is_refused(studio):
    with pytest.raises(ValueError, match="source must be one of 'copied', 'drawn'"):
        studio.draw_objects(2, np.random.default_rng(0), "dreamt")


def test_diversity_is_the_mean_squared_difference_of_pairs():
    pictures = torch.rand(5, 3, 8, 8)
    pairs = [
        (pictures[i] - pictures[j]).square().mean() for i in range(5) for j in range(5) if i != j
    ]
    assert measure_diversity(pictures) == pytest.approx(torch.stack(pairs).mean().item(), abs=1e-5)
    with pytest.raises(ValueError, match="diversity needs at least 2 pictures, got 1"):
        measure_diversity(pictures[:1])
