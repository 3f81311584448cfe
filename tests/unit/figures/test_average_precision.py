"""Figures of average precision: the areas are the scores of the library."""

import numpy as np

from smm_tutorial.figures.average_precision import (
    judged_scene_figure,
    precision_recall_figure,
    thresholds_figure,
)
from smm_tutorial.set_prediction.average_precision import average_precision_clevr, right_predictions
from smm_tutorial.set_prediction.targets import REAL
from tests.toy_sets import DATA, TARGETS, guess_sets


def test_the_area_is_average_precision():
    predictions = guess_sets(noise=0.2)
    for threshold in (-1, 0.5):
        ranked = right_predictions(predictions, TARGETS, threshold).ravel()[
            np.argsort(-predictions[..., REAL].ravel().numpy(), kind="stable")
        ]
        score = average_precision_clevr(predictions, TARGETS, threshold)
        assert 0 < score < 1
        ranks, _, area = precision_recall_figure(ranked, int(TARGETS[..., REAL].sum())).axes
        assert area.get_title() == f"area {score:.3f}"
        numbers = [number for text in ranks.texts for number in text.get_text().split(" to ")]
        assert numbers == sorted(numbers, key=int)
        assert (numbers[0], numbers[-1]) == ("1", str(len(ranked)))
        judged = judged_scene_figure(DATA, predictions, 1, threshold)
        assert f"AP {score:.3f}" in judged.axes[1].get_title()


def test_right_ranks_have_numbers_and_wrong_ones_in_a_row_share_theirs():
    right = np.array([False, False, True, True, False, True, False, False, False])
    ranks = precision_recall_figure(right, 4).axes[0]
    assert [text.get_text() for text in ranks.texts] == ["1 to 2", "3", "4", "5", "6", "7 to 9"]


def test_a_rank_adds_precision_and_recall_and_the_hull_ends_at_nothing():
    ranks, largest, _ = precision_recall_figure(np.array([True, False, True]), 4).axes
    np.testing.assert_allclose(ranks.lines[0].get_xydata(), [[0.25, 1], [0.25, 0.5], [0.5, 2 / 3]])
    np.testing.assert_allclose(largest.lines[1].get_ydata(), [1, 1, 2 / 3, 2 / 3, 0])
    np.testing.assert_allclose(largest.lines[1].get_xdata(), [0, 0.25, 0.25, 0.5, 1])


def test_the_judged_scene_is_the_one_asked_for():
    predictions = guess_sets()
    right = right_predictions(predictions, TARGETS, 1)
    axis = judged_scene_figure(DATA, predictions, 2, 1).axes[0]
    sure = (predictions[2, :, REAL] >= 0.5).numpy()
    found = f"{right[2][sure].sum()} of {sure.sum()}"
    assert axis.get_title() == f"threshold 1: {found} predictions are right"
    np.testing.assert_allclose(
        axis.images[0].get_array(), DATA.batch([2]).images[0].permute(1, 2, 0), atol=1e-6
    )


def test_compared_seeds_are_dots_around_the_line_of_their_mean():
    scores = {
        "one": [{"inf": 0.5, "1": 0.3}, {"inf": 0.7, "1": 0.1}],
        "other": [{"inf": 0.2, "1": 0.1}],
    }
    figure = thresholds_figure(scores)
    axis = figure.axes[0]
    np.testing.assert_allclose(axis.lines[0].get_ydata(), [0.6, 0.2])
    assert [line.get_ydata().tolist() for line in axis.lines[1:3]] == [[0.5, 0.3], [0.7, 0.1]]
    assert (
        axis.lines[0].get_xdata().tolist()
        == axis.lines[1].get_xdata().tolist()
        != axis.lines[3].get_xdata().tolist()
    )
    assert [text.get_text() for text in axis.get_legend().get_texts()] == [
        "one (2 seeds)",
        "other (1 seed)",
    ]
    assert [label.get_text() for label in axis.get_xticklabels()] == ["no threshold", "1"]


def test_each_of_five_contestants_has_a_line_of_its_own():
    figure = thresholds_figure({name: [{"inf": 0.5, "1": 0.3}] for name in "abcde"})
    lines = figure.axes[0].lines[::2]  # each is followed by its dots
    looks = {line.get_color() for line in lines}
    assert len(lines) == len(looks) == 5
    figure.draw_without_rendering()
