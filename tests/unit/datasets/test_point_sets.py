"""Sets of points in the plane: sticks and clouds."""

import numpy as np
import pytest
import torch

from smm_tutorial.datasets.point_sets import (
    BOX,
    CLOUD_KINDS,
    SEPARATION,
    STICK_TILT,
    draw_points,
    stick_map,
    stick_sets,
    two_clouds,
)


def test_sets_repeat_with_their_seed_and_are_grouped_in_order():
    sets, groups = stick_sets(np.random.default_rng(3), 5, groups=3, per_group=7)
    again, _ = stick_sets(np.random.default_rng(3), 5, groups=3, per_group=7)
    others, _ = stick_sets(np.random.default_rng(4), 5, groups=3, per_group=7)

    assert sets.shape == (5, 21, 2) and sets.dtype == torch.float64
    assert groups.tolist() == [0] * 7 + [1] * 7 + [2] * 7
    assert torch.equal(sets, again) and not torch.equal(sets, others)


@pytest.mark.parametrize("tilt", [0.0, STICK_TILT, np.pi / 2])
def test_the_inverse_map_makes_sticks_round_apart_and_of_variance_one(tilt):
    sets, groups = stick_sets(np.random.default_rng(0), 3, groups=2, per_group=4000, tilt=tilt)
    middles = sets.reshape(3, 2, 4000, 2).mean(dim=2).numpy()  # (3, 2, 2)
    round_sets = sets.numpy() @ np.linalg.inv(stick_map(tilt)).T

    for points in round_sets:
        for group in (0, 1):
            np.testing.assert_allclose(np.cov(points[groups == group].T), np.eye(2), atol=0.12)
        first, second = (points[groups == group].mean(axis=0) for group in (0, 1))
        assert np.linalg.norm(first - second) > SEPARATION - 0.2
    assert (np.abs(middles) < BOX + 0.2).all()


def test_a_stick_leans_to_the_left_by_its_tilt():
    along = stick_map(np.deg2rad(30)) @ [0, 1]

    assert np.degrees(np.arctan2(along[1], along[0])) == pytest.approx(120)
    assert np.linalg.norm(along) == pytest.approx(1.3)


def test_more_sticks_than_fit_are_refused():
    with pytest.raises(ValueError, match="60 sticks do not fit .* ask for fewer groups"):
        stick_sets(np.random.default_rng(0), 1, groups=60)


def test_drawn_points_are_different_points_of_their_own_set():
    sets, _ = stick_sets(np.random.default_rng(0), 20)
    drawn = draw_points(sets, 64, torch.Generator().manual_seed(0))
    assert torch.equal(drawn.sort(dim=1).values, sets.sort(dim=1).values)  # all of them: each once

    few = draw_points(sets, 4, torch.Generator().manual_seed(1))
    assert few.shape == (20, 4, 2)
    assert torch.equal(few, draw_points(sets, 4, torch.Generator().manual_seed(1)))
    assert not torch.equal(few, draw_points(sets, 4, torch.Generator().manual_seed(2)))


@pytest.mark.parametrize("kind", CLOUD_KINDS)
def test_clouds_share_their_mean_unless_they_are_apart(kind):
    points, groups = two_clouds(kind, np.random.default_rng(0), count=4000)

    first, second = (points[groups == group] for group in (0, 1))
    assert len(first) == len(second) == 2000
    assert (np.linalg.norm(first.mean(axis=0) - second.mean(axis=0)) > 1) == (kind == "apart")
    ratios = first.std(axis=0) / second.std(axis=0)
    differ = (
        np.abs(np.log(ratios)) > 0.5
    ).any()  # along the axes, which is all that diagonal Gaussians see
    assert differ == (kind in ("concentric", "cross"))


def test_a_tilted_cross_is_the_cross_turned_by_45_degrees():
    upright, _ = two_clouds("cross", np.random.default_rng(1))
    tilted, _ = two_clouds("tilted cross", np.random.default_rng(1))

    turn = np.array([[1.0, 1.0], [-1.0, 1.0]]) / np.sqrt(2)
    np.testing.assert_allclose(tilted, upright @ turn)


def test_an_unknown_kind_of_clouds_is_named():
    with pytest.raises(ValueError, match="kind must be one of 'apart', .* got 'rings'"):
        two_clouds("rings", np.random.default_rng(0))


@pytest.mark.parametrize("value", [0, -1, 1.5, "2", True, None])
def test_numbers_of_points_are_whole(value):
    rng, generator = np.random.default_rng(0), torch.Generator()
    for name, draw in {
        "count": lambda: stick_sets(rng, value),
        "groups": lambda: stick_sets(rng, 1, groups=value),
        "per_group": lambda: stick_sets(rng, 1, per_group=value),
        "count of clouds": lambda: two_clouds("apart", rng, value),
        "count of points": lambda: draw_points(torch.zeros(1, 5, 2), value, generator),
    }.items():
        with pytest.raises(ValueError, match=f"^{name.split()[0]} must be a whole number"):
            draw()


def test_a_set_gives_no_more_points_than_it_has():
    with pytest.raises(ValueError, match="count must be a whole number from 1 to 5, got 6"):
        draw_points(torch.zeros(1, 5, 2), 6, torch.Generator())
    assert draw_points(torch.zeros(1, 5, 2), np.int64(5), torch.Generator()).shape == (1, 5, 2)
