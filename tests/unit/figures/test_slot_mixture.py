"""Figures, small data and widgets of notebook 03."""

import re

import numpy as np
import pytest
import torch
from matplotlib.patches import Ellipse

from smm_tutorial.clustering import GaussianMixtureEM
from smm_tutorial.datasets.point_sets import CLOUD_KINDS, two_clouds
from smm_tutorial.exercises.nb03_slot_mixture import border_radius
from smm_tutorial.figures.palette import component_colors
from smm_tutorial.figures.slot_mixture import (
    PLACES,
    clusterings_figure,
    density_figure,
    errors_figure,
    mixture_slots_figure,
    modules_figure,
    two_variances_figure,
    weighted_densities,
)
from smm_tutorial.slots.as_mixture import in_order_of_groups, log_likelihood, mixture_step
from smm_tutorial.slots.attention import SlotAttention
from smm_tutorial.slots.mixture import SlotMixture
from smm_tutorial.training.memory import bytes_kept_for_backward


@pytest.fixture(scope="module")
def mixture():
    """Points (1, 40, 2), and a history of three iterations of a module of two slots on them."""
    torch.manual_seed(0)
    points = torch.randn(1, 40, 2) * torch.tensor([3.0, 1.0])
    return points, SlotMixture(2, 2, 2, normalisation="none")(points, return_history=True).history


@pytest.fixture(scope="module")
def steps(mixture):
    points, history = mixture
    return [mixture_step(points, state) for state in history]


# ---------------------------------------------------------------------------------------------------------------- data
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


# ---------------------------------------------------------------------------------------------------- slots as mixtures
def test_a_state_becomes_the_mixture_that_it_is(mixture):
    points, history = mixture
    step = mixture_step(points, history[-1])

    em = GaussianMixtureEM(
        2,
        covariance_type="diag",
        max_iter=0,
        weights_init=step.weights / step.weights.sum(),
        means_init=step.means,
        precisions_init=1 / step.covariances,
    ).fit(step.points)
    np.testing.assert_allclose(log_likelihood(step), em.score_samples(step.points), rtol=1e-5)
    np.testing.assert_allclose(step.responsibilities, em.predict_proba(step.points), atol=1e-5)
    np.testing.assert_array_equal(step.means, history[-1].means[0].detach().double())
    assert step.lower_bound == pytest.approx(log_likelihood(step).mean())


def test_a_state_of_slot_attention_is_refused():
    points = torch.randn(1, 5, 2)
    state = SlotAttention(2, 2, 4)(points, return_history=True).history[0]

    with pytest.raises(ValueError, match="it is Slot Attention's: pass a state of a SlotMixture"):
        mixture_step(points, state)


def test_slots_are_put_in_the_order_of_the_groups(steps):
    step = steps[-1]
    groups = step.responsibilities.argmax(axis=1)

    np.testing.assert_array_equal(in_order_of_groups(step, groups).means, step.means)
    swapped = in_order_of_groups(step, 1 - groups)
    for name in ("means", "covariances", "weights"):
        np.testing.assert_array_equal(getattr(swapped, name), getattr(step, name)[::-1])


# ------------------------------------------------------------------------------------------------------------- figures
def test_clusterings_have_a_row_a_set_and_a_panel_a_method(steps):
    points, groups = steps[0].points, np.arange(40) % 2
    rows = {
        "one": (points, groups, {"early": steps[0], "late": steps[-1]}),
        "two": (points, groups, {"a": steps[0], "b": steps[1]}),
    }

    axes = np.array(clusterings_figure(rows).axes).reshape(2, 3)

    assert [axis.get_title() for axis in axes[0]] == ["true groups", "early", "late"]
    assert [axis.get_ylabel() for axis in axes[:, 0]] == ["one", "two"]
    np.testing.assert_allclose(
        axes[1, 0].collections[0].get_facecolors()[:2, :3], component_colors(2)
    )
    assert all(
        sum(isinstance(patch, Ellipse) for patch in axis.patches) == 4 for axis in axes[:, 1:].flat
    )


@pytest.mark.parametrize(("variance", "weight"), [(9.0, 0.5), (4.0, 0.4)])
def test_the_border_between_two_slots_is_where_the_exercise_says(variance, weight):
    _, responsibilities = weighted_densities(0.0, variance, weight)

    owned = np.abs(PLACES[responsibilities[:, 0] > 0.5]).max()
    assert owned == pytest.approx(
        border_radius(1.0, variance, weight, 1), abs=PLACES[1] - PLACES[0]
    )
    np.testing.assert_allclose(responsibilities.sum(axis=1), 1)


def test_without_the_log_determinant_the_wide_slot_owns_every_key_but_the_mean():
    _, responsibilities = weighted_densities(0.0, 9.0, 0.5, log_determinant=False)

    away = np.abs(PLACES) > 1e-9
    assert (responsibilities[away, 0] < 0.5).all()
    assert responsibilities[~away, 0] == pytest.approx(0.5)


def test_the_density_figure_draws_densities_above_responsibilities():
    joint, responsibilities = weighted_densities(1.0, 2.0, 0.3)

    above, below = density_figure(1.0, 2.0, 0.3).axes

    for slot in (0, 1):
        np.testing.assert_array_equal(above.lines[slot].get_ydata(), joint[:, slot])
        np.testing.assert_array_equal(below.lines[slot].get_ydata(), responsibilities[:, slot])


def test_the_two_variances_are_points_of_one_parabola():
    rng = np.random.default_rng(0)
    values, shares = rng.normal(size=20), rng.dirichlet(np.ones(20))

    right = two_variances_figure(values, shares, updated_mean=1.5).axes[1]

    weighted_mean = shares @ values
    dots = [(line.get_xdata()[0], line.get_ydata()[0]) for line in right.lines[1:]]
    about_weighted = shares @ (values - weighted_mean) ** 2
    assert dots[0] == pytest.approx((weighted_mean, about_weighted))
    assert dots[1] == pytest.approx((1.5, about_weighted + (weighted_mean - 1.5) ** 2))
    place, square = right.lines[0].get_data()
    np.testing.assert_allclose(square, about_weighted + (weighted_mean - place) ** 2)


def test_a_step_is_drawn_beside_its_place_on_the_curves(steps):
    left, middle, right = mixture_slots_figure(steps, 2).axes

    assert (
        left.get_title() == "iteration 2"
        and mixture_slots_figure(steps, 0).axes[0].get_title() == "the start"
    )
    np.testing.assert_allclose(middle.lines[0].get_ydata(), [step.weights[0] for step in steps])
    assert (middle.lines[1].get_xdata()[0], middle.lines[1].get_ydata()[0]) == (
        2,
        steps[2].weights[0],
    )
    np.testing.assert_allclose(
        right.lines[0].get_ydata(), [np.sqrt(step.covariances[0, 0]) for step in steps]
    )
    with pytest.raises(
        ValueError, match=re.escape("iteration must be from 0 to 2, the last of these steps, got 3")
    ):
        mixture_slots_figure(steps, 3)


def test_modules_keep_their_colours_over_the_questions():
    results = {
        question: {"one": np.array([0.3, 0.1]) + row, "two": np.array([0.5])}
        for row, question in enumerate("ab")
    }

    axis = modules_figure(results, "error").axes[0]

    dots = [line for line in axis.lines if line.get_marker() in "os"]
    assert [line.get_xdata().tolist() for line in dots] == [[0.1, 0.3], [1.1, 1.3], [0.5], [0.5]]
    colors = [tuple(line.get_color()) for line in dots]
    assert colors[0] == colors[1] != colors[2] == colors[3]
    assert axis.get_legend_handles_labels()[1] == ["one", "two", "constant answer"]


def test_errors_are_drawn_by_method_with_what_was_expected():
    axis = errors_figure([1, 10], {"a": [1e-6, 1e-4], "b": [1e-6, 1e-6]}, [1e-7, 1e-5]).axes[0]

    assert [list(line.get_ydata()) for line in axis.lines] == [
        [1e-7, 1e-5],
        [1e-6, 1e-4],
        [1e-6, 1e-6],
    ]
    assert axis.get_xscale() == axis.get_yscale() == "log"


# -------------------------------------------------------------------------------------------------------- what is kept
def test_bytes_kept_count_each_storage_once():
    x = torch.ones(100, requires_grad=True)

    assert bytes_kept_for_backward(lambda: x.exp()) == 400  # its result
    assert bytes_kept_for_backward(lambda: x * x) == 400  # both factors are one tensor
    assert (
        bytes_kept_for_backward(lambda: x.exp().sin()) == 400
    )  # the result of exp is what sin keeps as well
    assert bytes_kept_for_backward(lambda: x.exp().exp()) == 800
    assert bytes_kept_for_backward(lambda: x.sum()) == 0
