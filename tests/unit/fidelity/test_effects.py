"""The comparison with Blender's renders, on a folder of renders that we made ourselves."""

import json
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from smm_tutorial import fidelity
from smm_tutorial.fidelity import effects
from smm_tutorial.fidelity.__main__ import main
from smm_tutorial.fidelity.renders import BLENDER_SIZE
from smm_tutorial.scenes import random_scenes
from smm_tutorial.scenes.effects import Effects
from smm_tutorial.scenes.raytrace import render


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    root = tmp_path_factory.mktemp("renders")
    scenes = [
        replace(scene, filename=f"{k}.png")
        for k, scene in enumerate(random_scenes(2, np.random.default_rng(6)))
    ]
    out = render(scenes, *BLENDER_SIZE)
    for name, pixels in (
        ("images", (out.images * 255).round().byte().permute(0, 2, 3, 1)),
        ("masks", out.masks.byte()),
    ):
        (root / name).mkdir()
        for scene, picture in zip(scenes, pixels.numpy(), strict=True):
            Image.fromarray(picture).save(root / name / scene.filename)
    (root / "scenes.json").write_text(
        json.dumps({"scenes": [scene.to_record() for scene in scenes]})
    )
    return root


@pytest.fixture(scope="module")
def renders(folder):
    return fidelity.read_renders(folder)


def test_our_own_renders_are_matched_up_to_rounding_and_sampling(renders):
    scores = fidelity.compare_images(renders, Effects())
    # rough reflections are sampled in other places; files hold whole numbers
    assert scores["image"].min() > 45
    assert scores["shift"].abs().max() < 0.5
    assert fidelity.mask_overlap(renders, Effects()) > 0.9999
    assert fidelity.mask_overlap(renders, Effects(edges="sharp")) < 0.98


def test_each_switch_is_reported_with_what_it_costs(renders, monkeypatch):
    chosen = {name: fidelity.SWITCHES[name] for name in ("all effects", "no ambient light")}
    monkeypatch.setattr(effects, "SWITCHES", chosen)
    scores = dict(fidelity.measure_effects(renders))
    assert scores["all effects"]["changed"] == {} and scores["all effects"]["costs"]["image"] == 0
    assert (
        scores["all effects"]["held out"]["images"] == 1
        and scores["all effects"]["all"]["images"] == 2
    )
    assert scores["no ambient light"]["changed"] == {"ambient": "none"}
    assert scores["no ambient light"]["costs"]["image"] > 5
    lines = fidelity.effects_table({"scores": scores}).splitlines()
    assert len(lines) == 4 and lines[3].startswith("| no ambient light | ")


def test_the_command_prints_a_row_per_switch(folder, monkeypatch, capsys):
    chosen = {name: fidelity.SWITCHES[name] for name in ("all effects", "no shadows")}
    monkeypatch.setattr(effects, "SWITCHES", chosen)
    main(["--root", str(folder)])
    rows = capsys.readouterr().out.splitlines()[2:]
    assert [row.split(" | ")[0] for row in rows] == ["| all effects", "| no shadows"]


def test_the_first_switch_is_everything_and_no_two_are_alike():
    assert next(iter(fidelity.SWITCHES.values())) == Effects()
    assert len(set(fidelity.SWITCHES.values())) == len(fidelity.SWITCHES)


@pytest.mark.parametrize("missing", ["camera", "lamps"])
def test_records_without_camera_or_lamps_are_refused(folder, tmp_path, missing):
    content = json.loads((folder / "scenes.json").read_text())
    del content["scenes"][1][missing]
    (tmp_path / "scenes.json").write_text(json.dumps(content))
    with pytest.raises(ValueError, match=r"1\.png has no camera or no lamps"):
        fidelity.read_renders(tmp_path)


def test_images_of_another_size_are_refused(folder, tmp_path):
    (tmp_path / "scenes.json").write_text((folder / "scenes.json").read_text())
    for name in ("images", "masks"):
        (tmp_path / name).mkdir()
        for path in (folder / name).iterdir():
            Image.open(path).resize((64, 48)).save(tmp_path / name / path.name)
    with pytest.raises(
        ValueError, match=r"0\.png are \(48, 64, 3\) and \(48, 64\), expected \(240, 320, 3\)"
    ):
        fidelity.read_renders(tmp_path)
