"""Which wrong answers the tasks of notebook 06 refuse, and the causes that they name."""

import pytest

from smm_tutorial.exercises.core import find_task, judge


def overlap_of_most_covering_segment(true, predicted):
    overlaps = []
    for label in true[true > 0].unique():
        mine = true == label
        covering = predicted == predicted[mine].bincount().argmax()
        overlaps.append(float((mine & covering).sum() / (mine | covering).sum()))
    return sum(overlaps) / len(overlaps)


def share_of_pairs_on_which_both_maps_agree(counts):
    def pairs(n):
        return n * (n - 1) / 2

    both, every = pairs(counts).sum(), pairs(counts.sum())
    apart = every - pairs(counts.sum(0)).sum() - pairs(counts.sum(1)).sum() + both
    return float((both + apart) / every)


def chance_over_the_cells_of_the_table(counts):
    def pairs(n):
        return float((n * (n - 1) / 2).sum())

    in_true, in_predicted = pairs(counts.sum(1)), pairs(counts.sum(0))
    chance = in_true * in_predicted / counts.numel()
    return (pairs(counts) - chance) / ((in_true + in_predicted) / 2 - chance)


def larger_number_of_pairs_below_the_line(counts):
    def pairs(n):
        return float((n * (n - 1) / 2).sum())

    in_true, in_predicted = pairs(counts.sum(1)), pairs(counts.sum(0))
    chance = in_true * in_predicted / pairs(counts.sum())
    return (pairs(counts) - chance) / (max(in_true, in_predicted) - chance)


def all_pairs_instead_of_those_in_both_maps(counts):
    def pairs(n):
        return float((n * (n - 1) / 2).sum())

    in_true, in_predicted = pairs(counts.sum(1)), pairs(counts.sum(0))
    every = pairs(counts.sum())
    chance = in_true * in_predicted / every
    return (every - chance) / ((in_true + in_predicted) / 2 - chance)


def overlaps_of_objects(true, predicted, segments):
    labels = [label for label in true.unique() if label > 0]
    masks = [true == label for label in labels]
    found = [predicted == segment for segment in segments]
    return masks, [
        max([float((mask & one).sum() / (mask | one).sum()) for one in found], default=0.0)
        for mask in masks
    ]


def overlap_without_segment_zero(true, predicted):
    segments = [segment for segment in predicted.unique() if segment > 0]
    _, overlaps = overlaps_of_objects(true, predicted, segments)
    return sum(overlaps) / len(overlaps)


def overlap_weighted_by_the_size_of_objects(true, predicted):
    masks, overlaps = overlaps_of_objects(true, predicted, predicted.unique())
    sizes = [int(mask.sum()) for mask in masks]
    return sum(n * one for n, one in zip(sizes, overlaps, strict=True)) / sum(sizes)


def every_image_of_each_start(log_likelihoods, owners):
    return owners[log_likelihoods.argmax(0)]


@pytest.mark.parametrize(
    ("name", "answer", "hint"),
    [
        ("judging.best_overlap", overlap_of_most_covering_segment, "covers most of the object"),
        ("judging.best_overlap", overlap_without_segment_zero, "a segment like any other"),
        ("judging.best_overlap", overlap_weighted_by_the_size_of_objects, "counts once"),
        ("judging.rand_index", share_of_pairs_on_which_both_maps_agree, "without adjustment"),
        ("judging.rand_index", chance_over_the_cells_of_the_table, "cells of the table"),
        ("judging.rand_index", larger_number_of_pairs_below_the_line, "not the larger one"),
        ("judging.rand_index", all_pairs_instead_of_those_in_both_maps, "inside each cell"),
        ("judging.most_likely_start", every_image_of_each_start, "both dimensions at once"),
    ],
)
def test_a_likely_wrong_answer_is_refused_with_its_cause(name, answer, hint):
    verdict = judge(find_task(name), answer)

    assert verdict.status == "wrong"
    assert hint in verdict.hint
