"""Set prediction on CLEVR's own images, whose records say what is where."""

import io
import zipfile

import pytest
import torch

from smm_tutorial import checkpoints, cli
from smm_tutorial.datasets.foreign_sets import SETS_WITH_RECORDS, ForeignSet
from smm_tutorial.results.records import find_scores
from smm_tutorial.set_prediction.runs import SetPredictionRun
from tests.official import CLEVR_COUNT, CLEVR_IMAGES, clevr_archive
from tests.shared import SHARED

TRAIN = ["train", "set-prediction", "--profile", "ci", "--steps", "3", "--data", "clevr"]


@pytest.fixture
def clevr(tmp_path):
    """Twelve training images of 3 to 5 objects with their records, in the official layout."""
    with zipfile.ZipFile(io.BytesIO(clevr_archive(CLEVR_IMAGES))) as archive:
        archive.extractall(tmp_path)
    return tmp_path / "CLEVR_v1.0"


def test_a_run_on_clevr_keeps_the_held_out_images_for_its_scores(data_folder, clevr, capsys):
    assert cli.main([*TRAIN, "--root", str(clevr), "--max-objects", "5"]) == 0
    said = capsys.readouterr().out
    assert "CLEVR as released, held out of training (1 images)" in said
    name = "set-prediction-mixture-clevr-ci-most5-steps3-seed0"
    record = checkpoints.load(name).record
    assert record["data"] == "clevr" and record["root"] == "CLEVR_v1.0"
    assert record["scenes"] is None and record["max_objects"] == 5
    assert find_scores(record, "clevr")["images"] == 1
    assert cli.main(["evaluate", name, "--data", "clevr", "--root", str(clevr)]) == 0
    assert "held out of training (1 images)" in capsys.readouterr().out


def test_the_whole_frame_is_squeezed_and_splits_share_no_image(clevr):
    run = SetPredictionRun(profile="ci", data="clevr", root=str(clevr))
    parts = {split: run.load(split) for split in ("train", "val", "test")}
    names = [set(part.filenames) for part in parts.values()]
    assert sum(len(part) for part in names) == len(set.union(*names)) == CLEVR_COUNT
    cut = ForeignSet("clevr", str(clevr)).load("val", run.config.image_size)
    assert parts["val"].masks is None and cut.masks is not None
    assert not torch.equal(parts["val"].images, cut.images)
    assert all(len(record["objects"]) <= run.config.num_slots for record in parts["train"].records)


@pytest.mark.parametrize(
    ("choices", "message"),
    [
        ({"data": "coco"}, "data must be one of 'clevr6-whole', 'clevr-whole', 'clevr', got"),
        ({"root": "x"}, "clevr6-whole comes with the course: leave them out, and choose the"),
        ({"data": "clevr", "scenes": 9}, "scenes are rendered, and clevr is not: take --limit"),
        ({"data": "clevr", "max_objects": 8}, "max_objects is 8, and a set .* holds at most 7"),
    ],
)
def test_choices_that_contradict_each_other_are_refused(choices, message):
    with pytest.raises(ValueError, match=message):
        SetPredictionRun(profile="ci", **choices)


def test_clevrs_sample_images_train_set_prediction(data_folder, capsys):
    folder = SHARED / "data" / "CLEVR_v1.0"
    if not folder.is_dir():
        pytest.skip(f"needs {folder}")
    assert SETS_WITH_RECORDS == ("clevr",)
    assert cli.main([*TRAIN, "--root", str(folder)]) == 0
    assert "held out" in capsys.readouterr().out
