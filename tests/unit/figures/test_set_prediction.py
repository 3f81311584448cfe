"""Figures and widgets of notebook 06: boxes lie on their objects, matchings and areas are those of
the library.
"""

import base64
from itertools import permutations

import numpy as np
import pytest
import torch
from matplotlib.colors import to_rgb
from matplotlib.patches import Rectangle

from smm_tutorial.datasets import SceneImages
from smm_tutorial.figures.display import png
from smm_tutorial.figures.palette import SLOT_COLORS
from smm_tutorial.figures.set_prediction import (
    FRAME_ASPECT,
    Reduction,
    compared_figure,
    envelope_figure,
    judged_figure,
    label_places,
    letter_places,
    matching_figure,
    object_color,
    permutations_figure,
    picture_box,
    precision_recall_figure,
    reductions_figure,
    sets_figure,
    vectors_figure,
    words,
)
from smm_tutorial.scenes import random_scene
from smm_tutorial.scenes.masks import scene_masks
from smm_tutorial.set_prediction.average_precision import average_precision_clevr, right_predictions
from smm_tutorial.set_prediction.loss import matched_set_loss, pair_costs
from smm_tutorial.set_prediction.targets import COORDINATES, REAL, set_targets
from smm_tutorial.widgets.controls import DPI
from smm_tutorial.widgets.set_prediction import matching_explorer, threshold_explorer, with_place

SCENES = [random_scene(np.random.default_rng([6, index]), 3, 5) for index in range(4)]
DATA = SceneImages(
    torch.randint(
        0, 256, (4, 3, 16, 16), generator=torch.Generator().manual_seed(0), dtype=torch.uint8
    ),
    [f"{index}.png" for index in range(4)],
    "toy",
    "test",
    "CC0",
    records=[scene.to_record() for scene in SCENES],
)
TARGETS = set_targets(DATA.records, 5)  # (4, 5, 19)


def guesses(seed=0, noise=0.1):
    """Predictions near the targets, in another order, some of another kind, some unsure."""
    generator = torch.Generator().manual_seed(seed)
    vectors = TARGETS[:, torch.randperm(5, generator=generator)].clone()
    vectors[..., COORDINATES] += noise * torch.randn(4, 5, 3, generator=generator)
    vectors[..., COORDINATES.stop : REAL] += 0.45 * torch.randn(4, 5, 15, generator=generator)
    vectors[..., REAL] = 0.6 * vectors[..., REAL] + 0.4 * torch.rand(4, 5, generator=generator)
    return vectors


def boxes(axis):
    return [patch for patch in axis.patches if isinstance(patch, Rectangle)]


def words_on(axis):
    return [text.get_text() for text in axis.texts]


def picture_of(figure):
    return base64.b64decode(png(figure, DPI))


# -------------------------------------------------------------------------------------------------
# sets over pictures
def test_a_box_lies_around_its_objects_pixels():
    """Most of a ball's box is the ball: its mask's own box differs by little, whatever the
    camera.
    """
    for seed in range(6):
        scene = random_scene(np.random.default_rng([1, seed]), 1, 1)
        height, width = 160, 240
        rows, columns = scene_masks(scene, height, width).nonzero(as_tuple=True)
        seen = (
            columns.min() / width,
            rows.min() / height,
            (columns.max() + 1) / width,
            (rows.max() + 1) / height,
        )
        box = picture_box(set_targets([scene], 1)[0, 0], np.array(scene.camera))
        slack = 0.02 if scene.objects[0].shape == "sphere" else 0.09  # a cube's corners stick out
        assert box == pytest.approx([float(edge) for edge in seen], abs=slack)
    assert width / height == FRAME_ASPECT


def test_an_object_is_named_by_the_largest_of_each_group():
    item = SCENES[0].objects[0]
    assert words(TARGETS[0, 0]) == f"{item.size} {item.color} {item.material} {item.shape}"


def test_labels_keep_off_each_other_and_inside_the_picture():
    rng = np.random.default_rng(0)
    corners = rng.uniform(0, 0.9, (8, 2))
    places = label_places([(left, top, left + 0.08, top + 0.1) for left, top in corners])
    assert all(0 <= left <= 0.73 and 0 <= top <= 0.885 for left, top in places)
    overlapping = [
        (a, b)
        for k, a in enumerate(places)
        for b in places[:k]
        if abs(a[0] - b[0]) < 0.27 and abs(a[1] - b[1]) < 0.115
    ]
    assert not overlapping
    assert label_places([(0.4, 0.5, 0.5, 0.6)]) == [
        pytest.approx((0.4, 0.385))
    ]  # above, where nothing is in the way


def test_sure_predictions_are_drawn_in_their_slots_colours_and_wrong_ones_are_crossed_out():
    vectors = guesses()
    vectors[0, 2, REAL] = 0.3
    right = right_predictions(vectors, TARGETS, 0.5)
    figure = sets_figure(DATA, vectors, right, titles=["one", "two", "three", "four"], columns=2)
    assert [axis.get_title() for axis in figure.axes] == ["one", "two", "three", "four"]
    for axis, mine, verdicts in zip(figure.axes, vectors, right, strict=True):
        sure = (mine[:, REAL] >= 0.5).nonzero().flatten().tolist()
        assert len(sure) == len(boxes(axis)) == len(axis.texts) > 0
        for slot, box, text in zip(sure, boxes(axis), words_on(axis), strict=True):
            assert to_rgb(box.get_edgecolor()) == pytest.approx(tuple(SLOT_COLORS[slot]))
            assert (box.get_linestyle() == "--") == text.startswith("✗") == (not verdicts[slot])
            assert text.endswith(f"{mine[slot, REAL]:.0%}")
    assert {False, True} <= set(right[vectors[..., REAL] >= 0.5].tolist())


def test_objects_are_drawn_in_their_labels_colours_and_not_judged():
    axis = sets_figure(DATA, TARGETS).axes[1]
    assert len(boxes(axis)) == len(SCENES[1].objects)
    assert [to_rgb(box.get_edgecolor()) for box in boxes(axis)] == [
        pytest.approx(tuple(SLOT_COLORS[label + 1])) for label in range(len(SCENES[1].objects))
    ]
    assert not any("%" in text or "✗" in text for text in words_on(axis))


def test_only_what_is_shown_is_drawn():
    shown = torch.zeros(4, 5, dtype=torch.bool)
    shown[2, 1] = True
    figure = sets_figure(DATA, guesses(), np.ones((4, 5), dtype=bool), shown=shown)
    assert [len(boxes(axis)) for axis in figure.axes] == [0, 0, 1, 0, 0, 0]


def test_tables_hold_their_vectors_on_one_scale():
    figure = vectors_figure({"true": TARGETS[0], "said": guesses()[0]}, rows={"said": "abcde"})
    first, second = figure.axes[:2]
    assert (first.get_title(loc="left"), second.get_title(loc="left")) == ("true", "said")
    np.testing.assert_allclose(second.images[0].get_array(), guesses()[0])
    assert first.images[0].get_clim() == second.images[0].get_clim() == (-1, 1)
    names = [[label.get_text() for label in axis.get_yticklabels()] for axis in (first, second)]
    assert names == [list("01234"), list("abcde")]


# ------------------------------------------------------------------------------------------------------------ matchings
def test_every_matching_is_drawn_and_the_least_is_the_set_loss():
    coordinates, properties = pair_costs(guesses()[:1, :3], TARGETS[:1, :3])
    axes = permutations_figure((coordinates + properties)[0]).axes
    least = f"{matched_set_loss(guesses()[:1, :3], TARGETS[:1, :3])['loss']:.3f}, least"
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
    lines = envelope_figure(np.arange(3), sums, "way").axes[0].lines
    np.testing.assert_allclose(lines[2].get_ydata(), [1, 1.5, 1])


@pytest.mark.parametrize("weight", [1.0, 8.0])
def test_a_drawn_matching_is_the_one_of_the_loss(weight):
    predictions, targets = guesses(noise=0.6)[0, :3], TARGETS[0, :3]
    above, table = matching_figure(predictions, targets, weight).axes
    loss = matched_set_loss(predictions[None], targets[None], weight)["loss"]
    assert f"the least sum is {loss:.3f}" in table.get_title()
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


# ---------------------------------------------------------------------------------------------------- average precision
def test_the_area_is_average_precision():
    predictions = guesses(noise=0.2)
    for threshold in (-1, 0.5):
        ranked = right_predictions(predictions, TARGETS, threshold).ravel()[
            np.argsort(-predictions[..., REAL].ravel().numpy(), kind="stable")
        ]
        score = average_precision_clevr(predictions, TARGETS, threshold)
        assert 0 < score < 1
        ranks, _, area = precision_recall_figure(ranked, int(TARGETS[..., REAL].sum())).axes
        assert area.get_title() == f"area {score:.3f}"
        assert words_on(ranks) == [str(rank) for rank in range(1, len(ranked) + 1)]
        assert (
            f"AP {score:.3f}" in judged_figure(DATA, predictions, 1, threshold).axes[1].get_title()
        )


def test_a_rank_adds_precision_and_recall_and_the_hull_ends_at_nothing():
    ranks, largest, _ = precision_recall_figure(np.array([True, False, True]), 4).axes
    np.testing.assert_allclose(ranks.lines[0].get_xydata(), [[0.25, 1], [0.25, 0.5], [0.5, 2 / 3]])
    np.testing.assert_allclose(largest.lines[1].get_ydata(), [1, 1, 2 / 3, 2 / 3, 0])
    np.testing.assert_allclose(largest.lines[1].get_xdata(), [0, 0.25, 0.25, 0.5, 1])


def test_the_judged_scene_is_the_one_asked_for():
    predictions = guesses()
    right = right_predictions(predictions, TARGETS, 1)
    axis = judged_figure(DATA, predictions, 2, 1).axes[0]
    sure = (predictions[2, :, REAL] >= 0.5).numpy()
    assert axis.get_title() == f"right if nearer than 1: {right[2][sure].sum()} of {sure.sum()}"
    np.testing.assert_allclose(
        axis.images[0].get_array(), DATA.batch([2]).images[0].permute(1, 2, 0), atol=1e-6
    )


# -------------------------------------------------------------------------------------------------------------- widgets
def test_the_matching_explorer_moves_slot_a_and_weighs_and_draws_the_static_figure():
    predictions, targets = guesses()[0, :3], TARGETS[0, :3]
    explorer = matching_explorer(predictions, targets)
    controls = explorer.slider.controls
    controls["x"].value, controls["y"].value = -2.0, 1.5
    controls["coordinate_weight"].value = 8.0
    moved = with_place(predictions, 0, -2.0, 1.5)
    assert explorer.picture.value == picture_of(matching_figure(moved, targets, 8.0))
    assert (3 * moved[0, :2]).tolist() == pytest.approx([-2, 1.5])
    assert torch.equal(moved[1:], predictions[1:]) and torch.equal(moved[0, 2:], predictions[0, 2:])


def test_the_threshold_explorer_draws_the_static_figure_of_each_scene_and_threshold():
    predictions = guesses()
    explorer = threshold_explorer(DATA, predictions, {"inf": -1, "0.25": 0.25})
    assert explorer.slider.controls["scene"].max == 3
    assert explorer.picture.value == picture_of(judged_figure(DATA, predictions, 0, -1))
    explorer.slider.controls["scene"].value = 3
    explorer.slider.controls["threshold"].value = 0.25
    assert explorer.picture.value == picture_of(judged_figure(DATA, predictions, 3, 0.25))


def test_compared_seeds_are_dots_around_the_line_of_their_mean():
    scores = {
        "one": [{"inf": 0.5, "1": 0.3}, {"inf": 0.7, "1": 0.1}],
        "other": [{"inf": 0.2, "1": 0.1}],
    }
    figure = compared_figure(scores)
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
    assert [label.get_text() for label in axis.get_xticklabels()] == ["any distance", "1"]
