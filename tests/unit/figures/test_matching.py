"""Figures of matchings: the drawn matchings and sums are those of the set loss."""

from itertools import permutations

import numpy as np
import pytest
import torch
from matplotlib.colors import to_rgb
from matplotlib.patches import Rectangle

from smm_tutorial.figures.matching import (
    Reduction,
    envelope_figure,
    letter_places,
    matching_figure,
    permutations_figure,
    reductions_figure,
)
from smm_tutorial.figures.set_prediction import object_color
from smm_tutorial.set_prediction.loss import matched_set_loss, pair_costs
from tests.toy_sets import TARGETS, guess_sets


def boxes(axis):
    return [patch for patch in axis.patches if isinstance(patch, Rectangle)]


def words_on(axis):
    return [text.get_text() for text in axis.texts]


def test_every_matching_is_drawn_and_the_least_is_the_set_loss():
    coordinates, properties = pair_costs(guess_sets()[:1, :3], TARGETS[:1, :3])
    axes = permutations_figure((coordinates + properties)[0]).axes
    least = f"{matched_set_loss(guess_sets()[:1, :3], TARGETS[:1, :3])['loss']:.3f}, smallest"
    assert len(axes) == 6 and [axis.get_title() for axis in axes].count(least) == 1
    drawn = [tuple(line.get_ydata()[1] for line in axis.lines) for axis in axes]
    assert sorted(drawn) == sorted(permutations(range(3)))
    for line, t in zip(axes[4].lines, drawn[4], strict=True):
        assert to_rgb(line.get_color()) == pytest.approx(tuple(object_color(int(t))))
    with pytest.raises(ValueError, match="5 slots have too many matchings to draw: at most 4"):
        permutations_figure(torch.zeros(5, 5))


def test_a_reduced_table_shows_its_numbers_lines_and_rings():
    costs = torch.tensor([[0.0, 0.25], [0.5, 0.0]])
    plain, crossed = reductions_figure(
        [Reduction("start", costs), Reduction("end", costs, (1,), (0,), (0, 1))]
    ).axes
    assert words_on(plain) == ["0", ".250", ".500", "0"] and not plain.lines and not boxes(plain)
    assert [line.get_ydata() for line in crossed.lines][0] == [1, 1]
    assert [line.get_xdata() for line in crossed.lines][1] == [0, 0]
    assert [box.get_xy() for box in boxes(crossed)] == [
        pytest.approx((-0.45, -0.42)),
        pytest.approx((0.55, 0.58)),
    ]


def test_the_envelope_is_the_least_of_all_curves():
    sums = np.array([[1.0, 2.0, 3.0], [3.0, 1.5, 1.0]])
    loss, *lines = envelope_figure(np.arange(3), sums, ["one", "other"], "path").axes[0].lines
    np.testing.assert_allclose(loss.get_ydata(), [1, 1.5, 1])
    assert [line.get_label() for line in lines] == ["one", "other"]
    np.testing.assert_allclose([line.get_ydata() for line in lines], sums)


@pytest.mark.parametrize("weight", [1.0, 8.0])
def test_a_drawn_matching_is_the_one_of_the_loss(weight):
    predictions, targets = guess_sets(noise=0.6)[0, :3], TARGETS[0, :3]
    above, table = matching_figure(predictions, targets, weight).axes
    loss = matched_set_loss(predictions[None], targets[None], weight)["loss"]
    assert f"weight {weight:g}; the smallest sum is {loss:.3f}" in table.get_title()
    costs = sum(pair_costs(predictions[None], targets[None], weight))[0]
    matched = [round(box.get_x() + 0.45) for box in boxes(table)]
    assert costs[range(3), matched].sum() == pytest.approx(loss.item())
    for line, dot, t in zip(above.lines[::2], above.lines[1::2], matched, strict=True):
        assert to_rgb(line.get_color()) == pytest.approx(tuple(object_color(t)))
        assert line.get_xydata()[0].tolist() == dot.get_xydata()[0].tolist()
        assert line.get_xydata()[1].tolist() == pytest.approx(
            above.patches[1 + t].center
        )  # behind the square: the objects


def test_a_letter_hides_no_number_and_no_other_letter():
    objects = [(0.0, 0.0), (0.5, 0.3), (-2.0, 1.0)]
    letters = letter_places([(0.0, 0.0), (0.0, 0.0), (-2.0, 1.3)], objects)
    for at, letter in enumerate(letters):
        others = [*objects, *letters[:at]]
        assert (
            min(np.hypot(*(letter - other)) for other in others) > 0.4
        )  # two digits of 9 points apart
