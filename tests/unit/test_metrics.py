"""The segmentation metrics: equality with scikit-learn, invariances, hand-made cases and error messages."""

import itertools

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import adjusted_rand_score

from smm_tutorial.metrics import adjusted_rand_index, foreground_ari, mean_best_overlap, mean_iou

METRICS = [adjusted_rand_index, foreground_ari, mean_iou, mean_best_overlap]
every_metric = pytest.mark.parametrize("metric", METRICS, ids=lambda metric: metric.__name__)


@st.composite
def label_maps(draw):
    """Random pairs of maps (B, H, W), from one-label maps to many, with labels that some images do not use."""
    batch, height, width = draw(st.integers(1, 4)), draw(st.integers(1, 6)), draw(st.integers(1, 6))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    maps = []
    for _ in range(2):
        num_labels = rng.integers(1, 8, size=(batch, 1, 1))  # every image has its own number of labels
        maps.append(torch.from_numpy(rng.integers(0, num_labels, size=(batch, height, width))))
    return tuple(maps)


def sklearn_ari(true, predicted, foreground_only):
    scores = []
    for true_map, predicted_map in zip(true.numpy(), predicted.numpy(), strict=True):
        kept = true_map > 0 if foreground_only else np.ones_like(true_map, dtype=bool)
        scores.append(adjusted_rand_score(true_map[kept], predicted_map[kept]))
    return torch.tensor(scores, dtype=torch.float64)


def brute_force_overlaps(true_map, predicted_map):
    """IoU of each object in the map with each segment in it, by sets of pixels."""
    objects, segments = sorted(set(true_map.flatten()) - {0}), sorted(set(predicted_map.flatten()))
    return np.array(
        [
            [((true_map == t) & (predicted_map == p)).sum() / ((true_map == t) | (predicted_map == p)).sum()
             for p in segments]
            for t in objects
        ]
    ).reshape(len(objects), len(segments))  # fmt: skip


@settings(deadline=None, max_examples=40)
@given(label_maps())
def test_ari_equals_scikit_learn(maps):
    true, predicted = maps
    torch.testing.assert_close(adjusted_rand_index(true, predicted), sklearn_ari(*maps, False), rtol=0, atol=1e-9)
    torch.testing.assert_close(foreground_ari(true, predicted), sklearn_ari(*maps, True), rtol=0, atol=1e-9)


@settings(deadline=None, max_examples=25)
@given(label_maps())
def test_iou_metrics_equal_brute_force(maps):
    true, predicted = (labels.clamp(max=3) for labels in maps)
    for index, (true_map, predicted_map) in enumerate(zip(true.numpy(), predicted.numpy(), strict=True)):
        overlaps = brute_force_overlaps(true_map, predicted_map)
        num_objects, num_segments = overlaps.shape
        padded = np.hstack([overlaps, np.zeros((num_objects, num_objects))])  # padding: an object may stay unmatched
        best_matching = max(
            sum(padded[t, p] for t, p in enumerate(choice))
            for choice in itertools.permutations(range(num_segments + num_objects), num_objects)
        )
        expected_iou = best_matching / num_objects if num_objects else 1.0
        expected_mbo = overlaps.max(axis=1).mean() if num_objects else 1.0
        assert mean_iou(true, predicted)[index].item() == pytest.approx(expected_iou, abs=1e-12)
        assert mean_best_overlap(true, predicted)[index].item() == pytest.approx(expected_mbo, abs=1e-12)


@every_metric
@settings(deadline=None, max_examples=12)
@given(maps=label_maps(), seed=st.integers(0, 1000))
def test_renumbering_labels_changes_nothing(metric, maps, seed):
    true, predicted = maps
    rng = np.random.default_rng(seed)
    new_segments = torch.from_numpy(rng.permutation(8))
    new_objects = torch.from_numpy(np.concatenate([[0], 1 + rng.permutation(7)]))  # the background stays 0
    torch.testing.assert_close(metric(new_objects[true], new_segments[predicted]), metric(true, predicted))


@every_metric
@settings(deadline=None, max_examples=12)
@given(maps=label_maps())
def test_large_sparse_labels_score_as_small_ones(metric, maps):
    true, predicted = maps
    torch.testing.assert_close(metric(true * 70_000, 5_000_000 + predicted * 999), metric(true, predicted))


@every_metric
def test_large_labels_are_not_taken_for_the_background(metric):
    no_background, halves = torch.tensor([[[1, 1, 2, 2]]]), torch.tensor([[[0, 1, 1, 1]]])
    assert metric(no_background * 70_000, halves).item() == metric(no_background, halves).item()


@every_metric
@settings(deadline=None, max_examples=12)
@given(maps=label_maps())
def test_a_batch_scores_as_its_images(metric, maps):
    true, predicted = maps
    one_by_one = torch.cat([metric(true[i : i + 1], predicted[i : i + 1]) for i in range(len(true))])
    assert metric(true, predicted).dtype == torch.float64
    torch.testing.assert_close(metric(true, predicted), one_by_one)


@every_metric
def test_perfect_and_empty_cases_score_one(metric):
    true = torch.tensor([[[0, 0, 1, 2]], [[0, 0, 0, 0]], [[3, 3, 3, 3]]])  # usual, no foreground, one object only
    perfect = torch.tensor([[[4, 4, 0, 9]], [[2, 2, 2, 2]], [[0, 0, 0, 0]]])
    assert metric(true, perfect).tolist() == [1, 1, 1]


def test_one_cluster_on_one_side_only_scores_zero():
    true, one_segment = torch.tensor([[[0, 1, 1, 2]]]), torch.zeros(1, 1, 4, dtype=torch.long)
    assert adjusted_rand_index(true, one_segment).item() == 0
    assert foreground_ari(true, one_segment).item() == 0
    assert foreground_ari(one_segment + 1, torch.tensor([[[0, 1, 1, 2]]])).item() == 0


def test_splitting_the_background_costs_ari_but_not_foreground_ari():
    true, split = torch.tensor([[[0, 0, 0, 0, 1, 1, 2, 2]]]), torch.tensor([[[5, 5, 6, 6, 1, 1, 2, 2]]])
    assert foreground_ari(true, split).item() == 1
    assert adjusted_rand_index(true, split).item() < 0.8


def test_no_foreground_scores_one_however_it_is_split():
    true, split = torch.zeros(1, 1, 4, dtype=torch.long), torch.tensor([[[0, 1, 2, 2]]])
    assert [m(true, split).item() for m in (foreground_ari, mean_iou, mean_best_overlap)] == [1, 1, 1]
    assert adjusted_rand_index(true, split).item() == 0  # the background counts there, and it was split


def test_empty_slots_cost_nothing():
    true = torch.tensor([[[0, 0, 1, 1, 2, 2]]])
    few, sparse = torch.tensor([[[0, 0, 1, 1, 1, 2]]]), torch.tensor([[[4, 4, 19, 19, 19, 30]]])
    for metric in METRICS:
        assert metric(true, few).item() == metric(true, sparse).item()


def test_a_segment_over_two_objects_serves_one_in_mean_iou_and_both_in_best_overlap():
    true, merged = torch.tensor([[[0, 0, 1, 1, 2, 2]]]), torch.tensor([[[0, 0, 1, 1, 1, 1]]])
    assert mean_iou(true, merged).item() == pytest.approx((1 / 2 + 0) / 2)
    assert mean_best_overlap(true, merged).item() == pytest.approx((1 / 2 + 1 / 2) / 2)


def test_background_pixels_in_a_segment_enlarge_its_union():
    true, bloated = torch.tensor([[[0, 0, 1, 1]]]), torch.tensor([[[7, 3, 3, 3]]])
    assert mean_iou(true, bloated).item() == pytest.approx(2 / 3)


def test_numpy_maps_and_small_integer_types_are_welcome():
    true, predicted = np.array([[[0, 1, 2, 2]]], dtype=np.uint8), np.array([[[255, 0, 1, 1]]], dtype=np.uint8)
    assert adjusted_rand_index(true, predicted).item() == 1  # no overflow in uint8


@every_metric
def test_wrong_maps_are_refused_with_the_way_out(metric):
    labels = torch.zeros(2, 4, 4, dtype=torch.long)
    with pytest.raises(ValueError, match=r"\(2, 4, 4\) and \(2, 4, 8\).*nearest"):
        metric(labels, torch.zeros(2, 4, 8, dtype=torch.long))
    with pytest.raises(ValueError, match=r"predicted must hold integer labels, got torch.float32.*argmax"):
        metric(labels, torch.rand(2, 4, 4))
    with pytest.raises(ValueError, match=r"true must not hold negative labels, got -1"):
        metric(labels - 1, labels)
    with pytest.raises(ValueError, match=r"true must be a map \(batch, height, width\).*\(4, 4\).*labels\[None\]"):
        metric(labels[0], labels[0])
