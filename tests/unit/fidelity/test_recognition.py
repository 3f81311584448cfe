"""The released network as a judge of our pictures, and the report on the data: what is counted, and
against what.
"""

import numpy as np
import pytest
import torch

from smm_tutorial import cli, fidelity
from smm_tutorial.checkpoints import CheckpointError
from smm_tutorial.fidelity import recognition, report
from smm_tutorial.fidelity.renders import Renders
from smm_tutorial.scenes import random_scenes
from smm_tutorial.scenes.camera import OFFICIAL_WINDOW
from smm_tutorial.scenes.effects import Effects
from smm_tutorial.scenes.raytrace import render
from smm_tutorial.set_prediction.released import ReleasedSetPredictor
from smm_tutorial.set_prediction.scores import THRESHOLDS
from smm_tutorial.set_prediction.targets import set_targets


@pytest.fixture(scope="module")
def scenes():
    return random_scenes(3, np.random.default_rng(5), max_objects=4)


class Oracle(ReleasedSetPredictor):
    """Knows the answers, in the order of the images, but for an error of `offset` world units along
    x.
    """

    def __init__(self, scenes, offset):
        super().__init__()
        self.answers = list(set_targets(scenes, 10))
        self.offset = offset / 3

    def forward(self, images, noise=None):
        answers, self.answers = (
            torch.stack(self.answers[: len(images)]),
            self.answers[len(images) :],
        )
        answers[..., 0] += self.offset
        return answers


def test_a_network_that_errs_by_a_third_of_a_unit_is_right_from_half_a_unit_on(scenes, monkeypatch):
    monkeypatch.setattr(recognition, "BATCH", 2)
    scores = recognition.score_recognition(
        Oracle(scenes, 1 / 3), scenes, torch.zeros(3, 3, 128, 128)
    )
    assert scores == {"inf": 1, "1": 1, "0.5": 1, "0.25": 0, "0.125": 0, "0.0625": 0, "images": 3}


def test_ours_and_blenders_images_show_the_same_part_of_the_frame(scenes, monkeypatch):
    whole = render(scenes, 240, 320, samples=4)
    renders = Renders(scenes, (255 * whole.images).round().byte(), whole.masks.byte())
    theirs, ours = fidelity.blender_images(renders), fidelity.our_images(scenes)
    assert theirs.shape == ours.shape == (3, 3, 128, 128)
    assert (theirs - ours).abs().mean() < 0.01
    shifted = fidelity.our_images(scenes[1:] + scenes[:1])
    assert (theirs - shifted).abs().mean() > 0.02
    dark = fidelity.our_images(scenes, Effects(ambient="none"))
    assert dark.mean() < ours.mean() - 0.01 and 0 <= dark.min() and ours.max() <= 1
    assert OFFICIAL_WINDOW == (1 / 18, 0, 17 / 18, 1)


def test_the_weights_must_be_the_authors(scenes, tmp_path):
    renders = Renders(
        scenes,
        torch.zeros(3, 3, 240, 320, dtype=torch.uint8),
        torch.zeros(3, 240, 320, dtype=torch.uint8),
    )
    (tmp_path / "e725.pth").write_bytes(b"no weights")
    with pytest.raises(CheckpointError, match="e725.pth"):
        recognition.measure_recognition(renders, tmp_path / "e725.pth")


def made_up_records(**changes):
    blender = {"image": 40.0, "metal": 31.0, "colour_shift": 0.5, "images": 9} | changes
    aps = {name: 0.99 for name in THRESHOLDS} | {"images": 7}
    measured = {"draws": {"value": 60.0, "unit": "images/s", "bar": ">= 50"}}
    return {
        "raytracer-effects": {
            "scores": {"all effects": {"held out": blender, "all": blender, "mask_overlap": 0.995}},
            "recognition": {
                "Blender's images": aps | {"0.125": 0.1},
                "ours of 300 new scenes": aps,
            },
        },
        "benchmark-raytrace": {"scores": measured},
        "benchmark-input": {"scores": measured},
    }


def test_the_report_holds_each_number_against_what_is_wanted(monkeypatch, capsys):
    monkeypatch.setattr(report, "read_record", made_up_records().__getitem__)
    assert all(row.holds for row in fidelity.data_quality_rows())
    monkeypatch.setattr(report, "read_record", made_up_records(metal=29.9).__getitem__)
    missed = [row.name for row in fidelity.data_quality_rows() if not row.holds]
    assert missed == [
        f"against Blender, 9 scenes ({scenes}): pixels of metal" for scenes in ("held out", "all")
    ]
    assert cli.main(["report", "data"]) == 0
    printed = capsys.readouterr().out
    assert printed.count("**no**") == 2 and "| draws | 60 | images/s | >= 50 | yes |" in printed
    assert "| released weights on Blender's images: AP at 0.125 | 0.1 | 7 images |  |  |" in printed
