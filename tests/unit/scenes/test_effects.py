"""Each effect is a named choice that shows, and only where it should."""

from dataclasses import fields, replace
from typing import get_args, get_type_hints

import numpy as np
import pytest
import torch

from smm_tutorial.scenes import random_scenes
from smm_tutorial.scenes.camera import FILTER_WIDTH, subpixel_offsets
from smm_tutorial.scenes.effects import Effects
from smm_tutorial.scenes.raytrace import render

CHOICES = [
    (name, choice)
    for name, kind in get_type_hints(Effects).items()
    for choice in get_args(kind)
    if choice != getattr(Effects(), name)
] + [("bounces", 1), ("rough_rays", 1)]


@pytest.fixture(scope="module")
def scene():
    return random_scenes(2, np.random.default_rng(8), min_objects=9, max_objects=9)[1]


@pytest.fixture(scope="module")
def faithful(scene):
    return render([scene], 60, 80, samples=4)


@pytest.mark.parametrize(("name", "choice"), CHOICES)
def test_every_effect_shows(scene, faithful, name, choice):
    changed = render([scene], 60, 80, samples=4, effects=replace(Effects(), **{name: choice}))
    difference = (changed.images - faithful.images).abs()
    assert difference.max() > 0.02, "it changes nothing"
    assert difference.mean() < 0.25, "it changes everything"
    assert torch.equal(changed.masks, faithful.masks) == (name != "edges")


def test_every_effect_has_a_choice_to_switch_to():
    assert {name for name, _ in CHOICES} == {item.name for item in fields(Effects)}


def test_glossy_metal_alone_depends_on_rough_rays(scene, faithful):
    changed = render([scene], 60, 80, samples=4, effects=Effects(rough_rays=1)).images
    is_metal = torch.tensor([False, *(item.material == "metal" for item in scene.objects)])
    metal = is_metal[faithful.masks[0]]
    # no metal in the pixel or beside it
    clear = torch.nn.functional.max_pool2d(metal.float()[None], 3, 1, 1)[0] == 0
    assert 0 < clear.sum() < clear.numel()
    torch.testing.assert_close(
        changed[0][:, clear], faithful.images[0][:, clear], atol=1e-5, rtol=0
    )
    assert (changed[0] - faithful.images[0])[:, metal].abs().max() > 0.02


@pytest.mark.parametrize(
    ("name", "value"),
    [("shadows", "gentle"), ("average", True), ("bounces", -1), ("rough_rays", 0)]
    + [("bounces", 1.5), ("bounces", True), ("rough_rays", "4")],
)
def test_an_unknown_choice_is_refused(name, value):
    with pytest.raises(ValueError, match=f"{name} must be .* got {value!r}"):
        Effects(**{name: value})


@pytest.mark.parametrize("samples", [1, 4, 7])
def test_the_blackman_harris_filter_gathers_around_the_middle(samples):
    box, spread = subpixel_offsets(256), subpixel_offsets(256, "blackman-harris")
    assert (spread - 0.5).abs().max() < FILTER_WIDTH / 2
    assert (spread.mean(0) - 0.5).abs().max() < 1e-3
    # narrower than the box in spite of its longer tails
    assert spread.std(0).max() < box.std(0).min()
    single = subpixel_offsets(1, "blackman-harris")
    torch.testing.assert_close(
        single, torch.full((1, 2), 0.5, dtype=torch.float64), atol=1e-3, rtol=0
    )
    assert subpixel_offsets(samples, "blackman-harris").shape == (samples, 2)
