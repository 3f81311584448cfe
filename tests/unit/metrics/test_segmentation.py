"""Segmentation metrics: equality with scikit-learn, invariances, cases by hand and messages."""

import itertools

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import adjusted_rand_score

from smm_tutorial.metrics import (
    SEGMENTATION_METRICS,
    adjusted_rand_index,
    background_iou,
    best_overlaps,
    count_table,
    foreground_ari,
    mean_best_overlap,
    mean_iou,
    merged_objects,
    missed_objects,
    split_objects,
)

SCORES = [adjusted_rand_index, foreground_ari, mean_iou, mean_best_overlap, background_iou]
FAULTS = [split_objects, merged_objects, missed_objects]
every_metric = pytest.mark.parametrize(
    "metric", SCORES + FAULTS, ids=lambda metric: metric.__name__
)


@st.composite
def label_maps(draw):
    """Random pairs of maps (B, H, W); every image has its own number of labels, from one up."""
    batch = draw(st.integers(1, 4))
    height = draw(st.integers(1, 6))
    width = draw(st.integers(1, 6))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    maps = []
    for _ in range(2):
        num_labels = rng.integers(1, 8, size=(batch, 1, 1))
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
    objects = [true_map == label for label in np.unique(true_map) if label]
    segments = [predicted_map == label for label in np.unique(predicted_map)]
    overlaps = [[(o & s).sum() / (o | s).sum() for s in segments] for o in objects]
    return np.array(overlaps).reshape(len(objects), len(segments))


@settings(deadline=None, max_examples=40)
@given(label_maps())
def test_ari_equals_scikit_learn(maps):
    true, predicted = maps
    torch.testing.assert_close(
        adjusted_rand_index(true, predicted), sklearn_ari(*maps, False), rtol=0, atol=1e-9
    )
    torch.testing.assert_close(
        foreground_ari(true, predicted), sklearn_ari(*maps, True), rtol=0, atol=1e-9
    )


@settings(deadline=None, max_examples=25)
@given(label_maps())
def test_iou_metrics_equal_brute_force(maps):
    true, predicted = (labels.clamp(max=3) for labels in maps)
    for index in range(len(true)):
        overlaps = brute_force_overlaps(true[index].numpy(), predicted[index].numpy())
        num_objects, num_segments = overlaps.shape
        # An object may stay unmatched: it is then matched with padding.
        padded = np.hstack([overlaps, np.zeros((num_objects, num_objects))])
        best_matching = max(
            sum(padded[t, p] for t, p in enumerate(choice))
            for choice in itertools.permutations(range(num_segments + num_objects), num_objects)
        )
        expected_iou = best_matching / num_objects if num_objects else 1.0
        expected_mbo = overlaps.max(axis=1).mean() if num_objects else 1.0
        assert mean_iou(true, predicted)[index].item() == pytest.approx(expected_iou, abs=1e-12)
        mbo = mean_best_overlap(true, predicted)[index].item()
        assert mbo == pytest.approx(expected_mbo, abs=1e-12)


@every_metric
@settings(deadline=None, max_examples=12)
@given(maps=label_maps(), seed=st.integers(0, 1000))
def test_renumbering_labels_changes_nothing(metric, maps, seed):
    true, predicted = maps
    rng = np.random.default_rng(seed)
    new_segments = torch.from_numpy(rng.permutation(8))
    new_objects = torch.from_numpy(np.append(0, 1 + rng.permutation(7)))  # the background stays 0
    renumbered = metric(new_objects[true], new_segments[predicted])
    torch.testing.assert_close(renumbered, metric(true, predicted))


@every_metric
@settings(deadline=None, max_examples=12)
@given(maps=label_maps())
def test_large_sparse_labels_score_as_small_ones(metric, maps):
    true, predicted = maps
    torch.testing.assert_close(
        metric(true * 70_000, 5_000_000 + predicted * 999), metric(true, predicted)
    )


@every_metric
def test_large_labels_are_not_taken_for_the_background(metric):
    no_background = torch.tensor([[[1, 1, 2, 2]]])
    halves = torch.tensor([[[0, 1, 1, 1]]])
    assert metric(no_background * 70_000, halves).item() == metric(no_background, halves).item()


@every_metric
def test_labels_of_its_own_in_every_image_need_no_table_of_all_labels(metric):
    image = torch.arange(2_000)[:, None, None]
    numbers = torch.arange(12).view(3, 4) % 5
    of_its_own = metric(image * 5 + numbers + 1, 10**12 + image * 5 + numbers)
    assert torch.equal(of_its_own, metric(numbers[None] + 1, numbers[None]).expand(2_000))


@pytest.mark.parametrize("dtype", ["uint16", "uint32", "int64", "uint64"])
def test_a_label_may_be_as_large_as_its_type_allows(dtype):
    largest = min(np.iinfo(dtype).max, 2**63 - 1)
    true = np.array([[[0, 0, 1, largest]]], dtype=dtype)
    assert count_table(true, true).tolist() == np.diag([2.0, 1, 1])[None].tolist()


def test_more_labels_than_a_table_can_hold_are_refused_before_memory_is_asked_for():
    own_label = torch.arange(256 * 256).view(1, 256, 256)
    with pytest.raises(
        ValueError, match="65,536 true and 65,536 predicted labels would take 34 GB"
    ):
        adjusted_rand_index(own_label, own_label)
    assert adjusted_rand_index(own_label % 5, own_label).item() == 0
    marked = torch.full((2**11 + 1, 1, 1), 255)
    with pytest.raises(ValueError, match="of 2049 images, 256 true .*fewer images at once"):
        count_table(marked, marked)


def test_masked_labels_are_refused():
    labels = np.zeros((1, 2, 2), dtype=int)
    masked = np.ma.array(labels, mask=[[[0, 1], [0, 0]]])
    with pytest.raises(ValueError, match=r"predicted has masked pixels.*predicted\.filled\(0\)"):
        count_table(labels, masked)
    assert count_table(labels, np.ma.array(labels)).tolist() == [[[4]]]


@every_metric
@settings(deadline=None, max_examples=12)
@given(maps=label_maps())
def test_a_batch_scores_as_its_images(metric, maps):
    true, predicted = maps
    one_by_one = torch.cat(
        [metric(true[i : i + 1], predicted[i : i + 1]) for i in range(len(true))]
    )
    assert metric(true, predicted).dtype == torch.float64
    torch.testing.assert_close(metric(true, predicted), one_by_one)


@every_metric
def test_perfect_and_empty_cases_score_one_and_have_no_fault(metric):
    # One image with background and objects, one without objects, one without background.
    true = torch.tensor([[[0, 0, 1, 2]], [[0, 0, 0, 0]], [[3, 3, 3, 3]]])
    perfect = torch.tensor([[[4, 4, 0, 9]], [[2, 2, 2, 2]], [[0, 0, 0, 0]]])
    assert metric(true, perfect).tolist() == ([0, 0, 0] if metric in FAULTS else [1, 1, 1])


def test_one_cluster_on_one_side_only_scores_zero():
    true = torch.tensor([[[0, 1, 1, 2]]])
    one_segment = torch.zeros(1, 1, 4, dtype=torch.long)
    assert adjusted_rand_index(true, one_segment).item() == 0
    assert foreground_ari(true, one_segment).item() == 0
    assert foreground_ari(one_segment + 1, true).item() == 0


def test_splitting_the_background_costs_ari_but_not_foreground_ari():
    true = torch.tensor([[[0, 0, 0, 0, 1, 1, 2, 2]]])
    split = torch.tensor([[[5, 5, 6, 6, 1, 1, 2, 2]]])
    assert foreground_ari(true, split).item() == 1
    assert adjusted_rand_index(true, split).item() < 0.8


def test_no_foreground_scores_one_however_it_is_split():
    true = torch.zeros(1, 1, 4, dtype=torch.long)
    split = torch.tensor([[[0, 1, 2, 2]]])
    for metric in (foreground_ari, mean_iou, mean_best_overlap):
        assert metric(true, split).item() == 1
    assert adjusted_rand_index(true, split).item() == 0  # there the background counts


def test_empty_slots_cost_nothing():
    true = torch.tensor([[[0, 0, 1, 1, 2, 2]]])
    few = torch.tensor([[[0, 0, 1, 1, 1, 2]]])
    sparse = torch.tensor([[[4, 4, 19, 19, 19, 30]]])
    for metric in SCORES + FAULTS:
        assert metric(true, few).item() == metric(true, sparse).item()


def test_a_segment_over_two_objects_serves_one_in_mean_iou_and_both_in_best_overlap():
    true = torch.tensor([[[0, 0, 1, 1, 2, 2]]])
    merged = torch.tensor([[[0, 0, 1, 1, 1, 1]]])
    assert mean_iou(true, merged).item() == pytest.approx((1 / 2 + 0) / 2)
    assert mean_best_overlap(true, merged).item() == pytest.approx((1 / 2 + 1 / 2) / 2)


def test_background_pixels_in_a_segment_enlarge_its_union():
    true = torch.tensor([[[0, 0, 1, 1]]])
    bloated = torch.tensor([[[7, 3, 3, 3]]])
    assert mean_iou(true, bloated).item() == pytest.approx(2 / 3)


def test_numpy_maps_and_small_integer_types_are_welcome():
    true = np.array([[[0, 1, 2, 2]]], dtype=np.uint8)
    predicted = np.array([[[255, 0, 1, 1]]], dtype=np.uint8)
    assert adjusted_rand_index(true, predicted).item() == 1  # no overflow in uint8


@every_metric
def test_wrong_maps_are_refused_with_the_way_out(metric):
    labels = torch.zeros(2, 4, 4, dtype=torch.long)
    with pytest.raises(ValueError, match=r"\(2, 4, 4\) and \(2, 4, 8\).*nearest"):
        metric(labels, torch.zeros(2, 4, 8, dtype=torch.long))
    with pytest.raises(
        ValueError, match=r"predicted must hold integer labels, got torch.float32.*argmax"
    ):
        metric(labels, torch.rand(2, 4, 4))
    with pytest.raises(ValueError, match=r"true must not hold negative labels, got -1"):
        metric(labels - 1, labels)
    with pytest.raises(ValueError, match=r"true must hold labels below 2\*\*63, got 9223372036"):
        metric(np.full((1, 2, 2), 2**63, dtype=np.uint64), labels)
    with pytest.raises(
        ValueError, match=r"true must be a map \(batch, height, width\).*\(4, 4\).*labels\[None\]"
    ):
        metric(labels[0], labels[0])


def test_one_table_serves_every_metric():
    rng = np.random.default_rng(0)
    true, predicted = (torch.from_numpy(rng.integers(0, 5, (3, 6, 6))) for _ in range(2))
    functions = {
        "fg_ari": foreground_ari,
        "mbo": mean_best_overlap,
        "miou": mean_iou,
        "ari": adjusted_rand_index,
        "background_iou": background_iou,
        "split": split_objects,
        "merged": merged_objects,
        "missed": missed_objects,
    }
    assert list(functions) == list(SEGMENTATION_METRICS)
    counts = count_table(true, predicted)
    for name, function in functions.items():
        assert torch.equal(SEGMENTATION_METRICS[name](counts), function(true, predicted))


@pytest.mark.parametrize("dtype", [torch.bool, torch.uint8, torch.int16, torch.int32, torch.uint16])
def test_every_integer_type_counts_alike(dtype):
    true = torch.tensor([[[0, 1, 1, 0, 1]]])
    assert count_table(true.to(dtype), true.to(dtype)).tolist() == [[[2, 0], [0, 3]]]


def row(*labels):
    """One image, one pixel high, of runs of labels: row((0, 3), (1, 2)) is 0 0 0 1 1."""
    return torch.tensor([[[label for label, length in labels for _ in range(length)]]])


@pytest.mark.parametrize(
    ("segments", "split"),
    [
        ([(0, 5), (1, 10)], 0),  # one segment owns all of it
        ([(0, 5), (1, 5), (2, 5)], 1),  # halves
        ([(0, 5), (1, 8), (2, 2)], 1),  # a fifth is a part ...
        ([(0, 5), (1, 9), (2, 1)], 0),  # ... a tenth is a ragged edge
        ([(0, 5), (1, 3), (2, 3), (3, 4)], 1),  # three parts: still one object that is split
        # Segment 2 lies on the object with half of its pixels, 4 of 8, ...
        ([(2, 4), (0, 1), (1, 6), (2, 4)], 1),
        # ... or with 4 of 9: then it is the background's segment, which took an edge.
        ([(2, 5), (1, 6), (2, 4)], 0),
    ],
)
def test_an_object_is_split_when_two_segments_that_lie_on_it_own_a_fifth_each(segments, split):
    assert split_objects(row((0, 5), (1, 10)), row(*segments)).item() == split


def test_duplicates_are_counted_by_object():
    true = row((0, 4), (1, 4), (2, 4), (7, 2))  # labels 3 to 6 are absent
    one_split = row((0, 4), (1, 2), (2, 2), (3, 4), (4, 2))
    two_split = row((0, 4), (1, 2), (2, 2), (3, 2), (4, 2), (5, 2))
    assert split_objects(true, one_split).item() == pytest.approx(1 / 3)
    assert split_objects(true, two_split).item() == pytest.approx(2 / 3)


@pytest.mark.parametrize(
    ("segments", "merged"),
    [
        ([(0, 4), (1, 4), (2, 4), (3, 2)], 0),
        ([(0, 4), (1, 8), (3, 2)], 2 / 3),  # two of three in one segment
        ([(0, 4), (1, 6), (2, 2), (3, 2)], 2 / 3),  # all of one and half of the other
        ([(0, 4), (1, 5), (2, 3), (3, 2)], 0),  # a quarter of the other is no half
        ([(0, 14)], 1),  # one cluster holds everything
        # Segment 1 merges objects 1 and 2, segment 2 merges objects 2 and 3.
        ([(0, 4), (1, 4), (2, 2), (1, 2), (2, 2)], 1),
    ],
)
def test_objects_are_merged_when_one_segment_owns_half_of_each(segments, merged):
    true = row((0, 4), (1, 4), (2, 4), (3, 2))
    assert merged_objects(true, row(*segments)).item() == pytest.approx(merged)


def test_an_object_is_missed_below_a_fifth_of_overlap():
    true = row((0, 16), (1, 4))
    assert missed_objects(true, row((0, 1), (1, 19))).item() == 0  # 4 of 19
    assert missed_objects(true, row((1, 20))).item() == 0  # 4 of 20: a fifth
    assert missed_objects(row((0, 17), (1, 4)), row((1, 21))).item() == 1  # 4 of 21
    assert missed_objects(row((0, 12), (1, 4), (2, 4)), row((0, 1), (1, 19))).tolist() == [0.0]
    assert missed_objects(row((0, 17), (1, 4), (2, 4)), row((0, 21), (5, 4))).tolist() == [0.5]


def test_without_objects_nothing_is_split_merged_or_missed():
    for predicted in (row((0, 4)), row((0, 2), (1, 2))):
        assert [fault(row((0, 4)), predicted).item() for fault in FAULTS] == [0, 0, 0]


def test_the_segment_with_most_ground_is_the_backgrounds():
    true = row((0, 8), (1, 4))
    assert background_iou(true, row((5, 8), (1, 4))).item() == 1
    assert background_iou(true, row((5, 10), (1, 2))).item() == pytest.approx(8 / 10)
    assert background_iou(true, row((5, 5), (6, 3), (1, 4))).item() == pytest.approx(5 / 8)
    equally_much_ground = row((5, 4), (6, 8))
    assert background_iou(true, equally_much_ground).item() == pytest.approx(4 / 8)  # the better
    less_but_better = row((6, 4), (5, 26))
    assert background_iou(row((0, 10), (1, 20)), less_but_better).item() == pytest.approx(6 / 30)
    assert background_iou(row((1, 4)), row((0, 4))).item() == 1  # no background


def test_overlaps_by_object_say_whose_they_are():
    # Label 2 is absent, and the second image has no object.
    true = torch.cat([row((0, 4), (1, 3), (3, 3)), row((0, 10))])
    overlaps, pixels = best_overlaps(true, torch.cat([row((0, 4), (1, 4), (2, 2)), row((0, 10))]))
    torch.testing.assert_close(
        overlaps, torch.tensor([[3 / 4, 0, 2 / 3], [0, 0, 0]], dtype=torch.float64)
    )
    assert pixels.tolist() == [[3, 0, 3], [0, 0, 0]]


@settings(deadline=None, max_examples=25)
@given(label_maps())
def test_the_mean_over_objects_of_their_best_overlaps_is_mbo(maps):
    best, pixels = best_overlaps(*maps)
    for index, score in enumerate(mean_best_overlap(*maps).tolist()):
        there = pixels[index] > 0
        assert score == pytest.approx(best[index][there].mean().item() if there.any() else 1.0)


@settings(deadline=None, max_examples=25)
@given(maps=label_maps(), seed=st.integers(0, 1000))
def test_refining_the_segments_never_merges_objects_and_joining_them_never_splits_any(maps, seed):
    true, predicted = maps
    finer = predicted * 2 + torch.from_numpy(np.random.default_rng(seed).integers(0, 2, true.shape))
    assert (merged_objects(true, finer) <= merged_objects(true, predicted)).all()
    assert merged_objects(true, true * 2 + finer % 2).max() == 0  # each segment lies in one object
    segment_of_object = torch.from_numpy(np.random.default_rng(seed).integers(0, 3, 8))
    assert split_objects(true, segment_of_object[true]).max() == 0


@settings(deadline=None, max_examples=25)
@given(label_maps())
def test_faults_equal_their_definitions(maps):
    pairs = zip(*(labels.numpy() for labels in maps), strict=True)
    for index, (true, predicted) in enumerate(pairs):
        objects = [true == label for label in np.unique(true) if label]
        segments = [predicted == label for label in np.unique(predicted)]
        split = [
            sum(5 * (o & s).sum() >= o.sum() and 2 * (o & s).sum() >= s.sum() for s in segments) > 1
            for o in objects
        ]
        held = [
            [o for o in range(len(objects)) if 2 * (objects[o] & s).sum() >= objects[o].sum()]
            for s in segments
        ]
        merged = [any(o in some and len(some) > 1 for some in held) for o in range(len(objects))]
        missed = [all(5 * (o & s).sum() < (o | s).sum() for s in segments) for o in objects]
        for fault, expected in zip(FAULTS, (split, merged, missed), strict=True):
            assert fault(*maps)[index].item() == pytest.approx(np.mean(expected) if expected else 0)
