"""Evaluation sets: each name finds its scenes, with slots enough for them."""

from dataclasses import replace

import pytest
import torch

from smm_tutorial import datasets
from smm_tutorial.datasets import named_sets
from smm_tutorial.datasets.foreign_sets import FOREIGN_SETS, SETS_WITH_RECORDS
from smm_tutorial.datasets.named_sets import (
    EVALUATION_SETS,
    SET_EVALUATION_SETS,
    TRAINING_DATA,
    training_split,
)
from smm_tutorial.datasets.own import rendered
from smm_tutorial.datasets.own.rendering import Look
from smm_tutorial.results import SET_TITLES
from tests.shared import SHARED
from tests.toys import toy_scenes

SHARED_DATA = SHARED / "data"
needs_samples = pytest.mark.skipif(
    not (SHARED_DATA / "CLEVR_v1.0").is_dir(), reason="no CLEVR sample beside the repository"
)
RENDERED = (
    "clevr7-10",
    "stacks",
    "out-of-distribution-crowd",
    "out-of-distribution-pairs",
    "clevr-tex",
    "clevr-mirror",
    "cogent-a",
)


@pytest.fixture
def calls(monkeypatch):
    """What was asked of `datasets.load`."""
    asked = []

    def load(name, split, size, **options):
        asked.append((name, split, size, options))
        return replace(toy_scenes(3), records=[{}] * 3)

    monkeypatch.setattr(datasets, "load", load)
    return asked


@pytest.mark.parametrize("name", RENDERED)
def test_rendered_sets_are_the_test_split_of_their_variant(name, calls):
    EVALUATION_SETS[name].load(32)
    assert calls == [("rendered", "test", 32, {"variant": name, "count": 320, "workers": 1})]


def test_the_pack_is_the_test_split_and_renders_are_chosen_by_their_objects(calls):
    EVALUATION_SETS["clevr6"].load(48)
    EVALUATION_SETS["clevr-renders"].load(32, "there")
    EVALUATION_SETS["clevr-renders-7-10"].load(32, "there")
    assert calls == [
        ("clevr6", "test", 48, {}),
        ("clevr-renders", "train", 32, {"root": "there", "crop": "paper", "max_objects": 6}),
        ("clevr-renders", "train", 32, {"root": "there", "crop": "paper", "min_objects": 7}),
    ]


def test_set_prediction_sees_the_whole_frame_of_few_objects(calls):
    few = {"root": "there", "max_objects": 6}
    SET_EVALUATION_SETS["clevr6-whole"].load(48)
    SET_EVALUATION_SETS["clevr-renders"].load(32, "there")
    assert calls == [
        ("rendered", "test", 48, {"variant": "clevr6-whole", "count": 320, "workers": 1}),
        ("clevr-renders", "train", 32, few | {"crop": rendered.OFFICIAL_WINDOW}),
    ]


def test_official_images_are_val_before_train_as_many_as_are_there(calls):
    options = {"root": "there", "limit": 320, "incomplete": "skip"}
    assert EVALUATION_SETS["clevr-official"].load(32, "there").split == "val and train"
    with_masks = options | {"crop": "paper", "masks": True}
    assert calls == [("clevr", split, 32, with_masks) for split in ("val", "train")]
    calls.clear()
    SET_EVALUATION_SETS["clevr-official"].load(64, "there")
    few = options | {"max_objects": 6}
    assert calls == [("clevr", split, 64, few) for split in ("val", "train")]


def test_scenes_are_rendered_and_kept_under_the_courses_downloads(tmp_path, monkeypatch):
    monkeypatch.setenv("SMM_DATA", str(tmp_path))
    monkeypatch.setattr(rendered, "CHUNK", 2)
    monkeypatch.setitem(rendered.RENDERED_VARIANTS, "stacks", Look(2, 4, 8, 8, samples=1))
    monkeypatch.setitem(named_sets.RENDERED_COUNTS, "test", 3)
    data = EVALUATION_SETS["stacks"].load(16)
    assert len(data) == 3 and data.size == (16, 16)
    assert list((tmp_path / "downloads").rglob("test-*.zip"))


def test_training_data_are_as_many_as_the_packs_hold(calls):
    for split, count in named_sets.RENDERED_COUNTS.items():
        training_split("cogent-a", split, 32)
        name, asked_split, _, options = calls.pop()
        assert (name, asked_split) == ("rendered", split)
        assert (options["variant"], options["count"]) == ("cogent-a", count)
    with pytest.raises(
        ValueError, match="no run trains on 'clevr7-10': known are clevr6, clevr-tex"
    ):
        training_split("clevr7-10", "train", 32)
    assert set(TRAINING_DATA) <= set(EVALUATION_SETS)


def test_rendered_counts_are_those_of_the_packs():
    for split, count in named_sets.RENDERED_COUNTS.items():
        assert len(datasets.load("clevr6", split=split)) == count


def test_every_set_that_results_are_about_has_one_title():
    for task, sets in (("discovery", EVALUATION_SETS), ("set-prediction", SET_EVALUATION_SETS)):
        assert all(scenes.name == name for name, scenes in sets.items())
        titles = SET_TITLES[task]
        foreign = FOREIGN_SETS.keys() if task == "discovery" else set(SETS_WITH_RECORDS)
        assert titles.keys() == sets.keys() | foreign
        assert len(set(titles.values())) == len(titles)


def test_slots_are_enough_for_the_scenes():
    most = {
        "clevr7-10": 10,
        "clevr-renders-7-10": 10,
        "clevr-official": 10,
        "out-of-distribution-crowd": 16,
    }
    for name, objects in most.items():
        assert EVALUATION_SETS[name].num_slots == objects + 1
    look = rendered.RENDERED_VARIANTS["clevr7-10"]
    assert (look.min_objects, look.max_objects) == (7, 10)
    assert look.effects == rendered.RENDERED_VARIANTS["clevr6"].effects


def test_folders_are_asked_for_where_they_are_needed_alone():
    with pytest.raises(
        ValueError, match="clevr-renders-7-10 needs the folder of the renders: --ro"
    ):
        EVALUATION_SETS["clevr-renders-7-10"].load(32)
    with pytest.raises(ValueError, match="clevr-official needs the folder of CLEVR_v1.0"):
        EVALUATION_SETS["clevr-official"].load(32)
    with pytest.raises(ValueError, match="clevr6 comes with the course.*leave out --root"):
        EVALUATION_SETS["clevr6"].load(32, "there")


@needs_samples
@pytest.mark.filterwarnings("ignore:left out")
def test_clevrs_own_images_have_masks_from_their_records():
    data = EVALUATION_SETS["clevr-official"].load(32, SHARED_DATA)
    assert len(data) == len(data.filenames) == len(data.records) == 5
    assert data.masks.shape == (5, 32, 32)
    assert {name.split("_")[1] for name in data.filenames} == {"val", "train"}
    assert all(
        0 < mask.max() <= len(record["objects"])
        for mask, record in zip(data.masks, data.records, strict=True)
    )


@needs_samples
def test_blenders_scenes_are_told_apart_by_their_number_of_objects():
    few, many = (
        EVALUATION_SETS[name].load(16, SHARED_DATA / "blender_320x240")
        for name in ("clevr-renders", "clevr-renders-7-10")
    )
    assert max(len(record["objects"]) for record in few.records) == 6
    assert min(len(record["objects"]) for record in many.records) == 7
    assert not torch.equal(few.images[0], many.images[0])


@pytest.mark.parametrize("split", ["all", None, ["train"]])
def test_a_split_that_no_variant_has_is_named(split):
    with pytest.raises(ValueError, match="clevr-tex has no split .*: known are train, val, test"):
        named_sets.training_split("clevr-tex", split, 8)
