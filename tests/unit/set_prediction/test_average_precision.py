"""Average precision on CLEVR: reference values, the definition in plain loops, limits, ties, empty
sets, messages.
"""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from smm_tutorial.scenes import random_scene
from smm_tutorial.set_prediction.average_precision import average_precision_clevr, right_predictions
from smm_tutorial.set_prediction.targets import REAL, set_targets
from tests.naive_average_precision import naive_average_precision
from tests.shared import SHARED

REFERENCE = SHARED / "reference" / "average_precision_cases.npz"
THRESHOLDS = (-1, 1, 0.5, 0.25, 0.125, 0.0625)


def sets(seed, images=6, slots=7, most=5, noise=0.1, mistakes=0.2, tied=False):
    """Targets of made-up scenes, and predictions that are near them: shuffled, noisy, some
    properties redrawn.
    """
    rng = np.random.default_rng(seed)
    scenes = [
        random_scene(np.random.default_rng([seed, image]), 1, most) for image in range(images)
    ]
    targets = set_targets(scenes, most).double().numpy()
    predictions = np.zeros((images, slots, 19))
    for image in range(images):
        for slot in range(slots):
            predictions[image, slot] = targets[image, rng.integers(most)]
            if rng.random() < mistakes:
                predictions[image, slot, 3:18] = rng.random(15)
    predictions[..., :3] += rng.normal(size=(images, slots, 3)) * noise / 3
    predictions[..., REAL] = (
        rng.integers(0, 3, (images, slots)) if tied else rng.random((images, slots))
    )
    return predictions, targets


def one(position=(0.0, 0.0, 0.0), kind=0, sure=1.0):
    """One vector of 19 numbers; `kind` chooses the colour."""
    vector = np.zeros(19)
    vector[:3], vector[[3, 5, 7, 10 + kind]], vector[REAL] = position, 1, sure
    return vector


@pytest.mark.skipif(not REFERENCE.is_file(), reason=f"no reference values at {REFERENCE}")
@pytest.mark.parametrize("case", [0, 1, 2])
def test_reference_values_are_met(case):
    with np.load(REFERENCE) as file:
        predictions, targets, expected = (
            file[f"{what}_{case}"] for what in ("predictions", "targets", "ap")
        )
    got = [average_precision_clevr(predictions, targets, threshold) for threshold in THRESHOLDS]
    np.testing.assert_allclose(got, expected, atol=1e-6)
    assert got == [
        average_precision_clevr(torch.tensor(predictions), torch.tensor(targets), t)
        for t in THRESHOLDS
    ]


@settings(max_examples=60)
@given(
    seed=st.integers(0, 10_000),
    images=st.integers(1, 6),
    slots=st.integers(1, 8),
    most=st.integers(1, 5),
    noise=st.sampled_from([0.0, 0.05, 0.5]),
    tied=st.booleans(),
    threshold=st.sampled_from([*THRESHOLDS, 0.0]),
)
def test_the_plain_loops_agree(seed, images, slots, most, noise, tied, threshold):
    predictions, targets = sets(seed, images, slots, most, noise, tied=tied)
    expected = naive_average_precision(predictions, targets, threshold)
    assert average_precision_clevr(predictions, targets, threshold) == pytest.approx(
        expected, abs=1e-12
    )


@settings(max_examples=20)
@given(seed=st.integers(0, 10_000))
def test_order_of_slots_targets_and_images_changes_nothing(seed):
    predictions, targets = sets(seed)
    rng = np.random.default_rng(seed)
    images, slots, places = (rng.permutation(size) for size in (6, 7, 5))
    for threshold in (-1, 0.25):
        shuffled = average_precision_clevr(
            predictions[images][:, slots], targets[images][:, places], threshold
        )
        assert shuffled == pytest.approx(
            average_precision_clevr(predictions, targets, threshold), abs=1e-12
        )


def test_what_is_predicted_exactly_scores_one_and_padding_that_ranks_last_costs_nothing():
    _, targets = sets(0)
    assert average_precision_clevr(targets, targets, 1e-6) == 1.0
    again = targets - [*np.zeros(18), 1.0]  # surer of nothing
    more = np.concatenate([targets, again], axis=1)
    assert average_precision_clevr(more, targets, -1) == 1.0


def test_a_stricter_threshold_never_scores_higher():
    predictions, targets = sets(1, images=20)
    scores = [average_precision_clevr(predictions, targets, threshold) for threshold in THRESHOLDS]
    assert scores == sorted(scores, reverse=True) and scores[0] > scores[-1]


def test_the_distance_is_in_world_units_and_must_be_below_the_threshold():
    target = one()[None, None]
    prediction = one((0.25, 0.0, 0.0))[None, None]  # 0.75 world units away
    assert average_precision_clevr(prediction, target, 0.75) == 0
    assert average_precision_clevr(prediction, target, 0.7501) == 1
    assert average_precision_clevr(prediction, target, -1) == 1


def test_a_claimed_target_is_not_skipped_for_the_next_nearest():
    targets = np.stack([one((0.0, 0, 0)), one((0.1, 0, 0))])[None]
    predictions = np.stack([one((0.01, 0, 0), sure=0.9), one((0.02, 0, 0), sure=0.8)])[None]
    assert average_precision_clevr(predictions, targets, -1) == pytest.approx(0.5)


def test_right_predictions_are_told_slot_by_slot():
    """Surest first, not first slot first; of two that claim one target the surer is right; another
    image's are its own.
    """
    near, far, other = (
        one((0.1, 0, 0), sure=0.5),
        one((0.5, 0, 0), sure=0.9),
        one((0.1, 0, 0), kind=1, sure=0.7),
    )
    surer = one((0.2, 0, 0), sure=0.8)
    predictions, targets = (
        np.stack([[near, far, other, surer]] * 2),
        np.stack([one()[None], one(kind=1)[None]]),
    )
    right = right_predictions(predictions, targets, 1)
    assert right.tolist() == [[False, False, False, True], [False, False, True, False]]
    assert right_predictions(predictions, targets, -1).tolist() == [
        [False, True, False, False],
        [False, False, True, False],
    ]
    assert not right_predictions(predictions, np.zeros((2, 3, 19)), -1).any()


def test_every_slot_counts_and_sure_mistakes_cost_precision():
    right, wrong = one(sure=0.5), one(kind=3, sure=0.9)
    assert average_precision_clevr(
        np.stack([wrong, right])[None], one()[None, None], -1
    ) == pytest.approx(0.5)
    wrong[REAL] = 0.1
    assert average_precision_clevr(np.stack([wrong, right])[None], one()[None, None], -1) == 1


def test_padding_is_no_target():
    padding = one((0.0, 0, 0), sure=0.0)
    targets = np.stack([padding, one((0.9, 0, 0))])[None]
    # the only real one lies 2.7 away
    assert average_precision_clevr(one()[None, None], targets, 1) == 0


def test_of_equally_sure_predictions_the_earlier_slot_and_image_go_first():
    right, wrong = one(), one(kind=3)
    target = one()[None, None]
    assert average_precision_clevr(np.stack([right, wrong])[None], target, -1) == 1
    assert average_precision_clevr(np.stack([wrong, right])[None], target, -1) == pytest.approx(0.5)
    targets = np.stack([one(), one(sure=0)])[:, None]
    assert average_precision_clevr(np.stack([right, wrong])[:, None], targets, -1) == 1
    assert average_precision_clevr(
        np.stack([wrong, right])[:, None], targets[::-1], -1
    ) == pytest.approx(0.5)


def test_sets_without_a_real_target_or_without_predictions_score_zero():
    assert average_precision_clevr(one()[None, None], np.zeros((1, 3, 19)), -1) == 0
    assert average_precision_clevr(one()[None, None], np.zeros((1, 0, 19)), -1) == 0
    assert average_precision_clevr(np.zeros((1, 0, 19)), one()[None, None], -1) == 0
    assert average_precision_clevr(np.zeros((0, 4, 19)), np.zeros((0, 4, 19)), -1) == 0


def test_sets_and_thresholds_of_any_numeric_type_score_the_same():
    predictions, targets = sets(0)
    predictions = predictions.astype(np.float16)  # every type below holds these numbers
    expected = average_precision_clevr(predictions, targets, 1)
    assert 0 < expected < 1
    for kind in (list, np.array, torch.tensor):
        sets_of_kind = (kind(values.tolist()) for values in (predictions, targets))
        assert average_precision_clevr(*sets_of_kind, np.float32(1)) == expected
    assert average_precision_clevr(torch.tensor(predictions), targets, np.int64(1)) == expected


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16])
def test_tensors_that_need_gradients_or_are_short_are_welcome(dtype):
    predictions = torch.tensor(one()[None, None], dtype=dtype, requires_grad=True)
    assert average_precision_clevr(predictions, one()[None, None], 0.1) == 1


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            lambda p, t: (p[0], t, 1),
            r"predictions must be \(images, objects, 19\), got \(7, 19\).*predictions\[None\]",
        ),
        (
            lambda p, t: (p, t[..., :18], 1),
            r"targets must be \(images, objects, 19\), got \(6, 5, 18\)",
        ),
        (lambda p, t: (p[:4], t, 1), "of the same images, got 4 and 6"),
        (lambda p, t: (p + np.eye(19)[2] * np.nan, t, 1), r"predictions\[0, 0, 0\] is nan"),
        (lambda p, t: (p, t * np.inf, 1), "only finite numbers"),
        (lambda p, t: (p, 0.5 * t, 1), r"must be 1 \(real\) or 0 \(padding\), got 0.5"),
        (lambda p, t: (p, t, -0.5), "or -1 for no limit, got -0.5"),
        (lambda p, t: (p, t, float("nan")), "distance_threshold must be a distance.*got nan"),
        (lambda p, t: (p, t, "0.5"), "distance_threshold must be a distance.*got '0.5'"),
        (lambda p, t: (p, t, None), "distance_threshold must be a distance.*got None"),
        (lambda p, t: (p, t, True), "distance_threshold must be a distance.*got True"),
        (lambda p, t: (p, t, np.ones(2)), "distance_threshold must be a distance.*got array"),
        (lambda p, t: (p + 0j, t, 1), "predictions must be an array of real numbers, got ndarray"),
        (lambda p, t: (p, t.astype(str), 1), "targets must be an array of real .* they are <U"),
        (lambda p, t: ([[1], [2, 3]], t, 1), "predictions must be an array of real .*, got list"),
        (lambda p, t: (p, {"sets": t}, 1), "targets must be an array of real numbers, got dict"),
        (lambda p, t: (np.ma.masked_less(p, 0.1), t, 1), "predictions has masked numbers"),
    ],
)
@pytest.mark.filterwarnings("ignore:invalid value")
def test_wrong_input_is_told_what_was_expected(change, message):
    with pytest.raises(ValueError, match=message):
        average_precision_clevr(*change(*sets(0)))
