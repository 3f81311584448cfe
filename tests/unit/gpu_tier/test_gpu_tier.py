"""The GPU's tier: what it plans, renders, collects and reports. Its runs are tested as all runs."""

import json
import tarfile
import time

import pytest
import torch

from smm_tutorial import discovery, reconstruction, set_prediction
from smm_tutorial.datasets.scene_images import DatasetError
from smm_tutorial.gpu_tier import __main__ as tier
from smm_tutorial.gpu_tier import jobs, report, scenes
from smm_tutorial.gpu_tier.checks import Check
from smm_tutorial.results.records import read_record
from smm_tutorial.set_prediction import set_targets


def test_a_plan_fits_into_the_time_that_is_left():
    for speed, seconds in ((20.0, 200.0), (3.3, 90.0), (150.0, 61.0)):
        steps = jobs.count_steps(speed, seconds)
        assert steps % jobs.ROUND_TO == 0
        assert steps / speed <= seconds - jobs.RESERVED
        assert (steps + jobs.ROUND_TO) / speed > jobs.SAFETY * (seconds - jobs.RESERVED)
    assert jobs.count_steps(20.0, 1.0) == jobs.ROUND_TO


@pytest.mark.parametrize("profile", ["ci", "gpu"])
@pytest.mark.parametrize("module", ["attention", "mixture"])
def test_a_jobs_sets_can_begin_with_its_object_discovery(profile, module):
    found = discovery.DiscoveryRun(module=module, profile=profile).config
    sets = set_prediction.SetPredictionRun(module=module, profile=profile).config
    shapes = [
        {
            name: tensor.shape
            for name, tensor in build(config, 0).state_dict().items()
            if name.startswith(("encoder.", "slots."))
        }
        for build, config in ((discovery.build_model, found), (set_prediction.build_model, sets))
    ]
    assert shapes[0] == shapes[1]


def test_the_command_makes_the_run_again():
    run = set_prediction.SetPredictionRun(
        profile="gpu", steps=900, scenes=50, begin_with="/far/away/start.safetensors"
    )
    assert jobs.command_of(run) == (
        "smm-tutorial train set-prediction --slots mixture --profile gpu --scenes 50 "
        "--begin-with start --steps 900 --seed 0"
    )
    run = reconstruction.ReconstructionRun(
        "attention", "clevr6", "gpu", 1, steps=50, tokenizer="/far/away/codes.safetensors"
    )
    assert jobs.command_of(run) == (
        "smm-tutorial train reconstruction --slots attention --profile gpu --data clevr6 "
        "--tokenizer codes --steps 50 --seed 1"
    )
    run = reconstruction.TokenizerRun("clevr6", "gpu", steps=50)
    assert jobs.command_of(run) == (
        "smm-tutorial train tokenizer --profile gpu --data clevr6 --steps 50 --seed 0"
    )


def test_the_jobs_that_rebuild_pictures_share_one_tokenizer(tmp_path, toy_data, monkeypatch):
    monkeypatch.setattr(jobs, "count_steps", lambda *_: 2)
    monkeypatch.setattr(jobs, "MEASURED_SECONDS", 0.0)
    first, second = (job for job in jobs.JOBS if job.then == "reconstruction")
    place = jobs.Place(tmp_path, time.time() + 60, jobs=1)
    for job in (first, second):
        jobs.rebuild_pictures(job, "ci", place, time.time())
    runs = toy_data / "runs"
    assert sorted(folder.name for folder in runs.iterdir()) == [
        "reconstruction-attention-clevr6-ci-steps2-seed1",
        "reconstruction-mixture-clevr6-ci-steps2-seed1",
        "tokenizer-clevr6-ci-steps2-seed0",
    ]
    for folder in runs.iterdir():
        assert "PSNR" in report._describe(folder)
    (tmp_path / jobs.TOKENIZER_FILE).unlink()
    late = jobs.Place(tmp_path, time.time() - 1, jobs=1)
    with pytest.raises(TimeoutError, match="no tokenizer was trained in time"):
        jobs.rebuild_pictures(second, "ci", late, time.time())


def test_scenes_are_rendered_until_the_time_is_over_and_read_back(tmp_path):
    with pytest.raises(DatasetError, match="no rendered scenes"):
        scenes.read_scenes(tmp_path)
    assert scenes.render_scenes(tmp_path, "clevr6-whole", 16, 64, 0.0, "cpu", 1) == scenes.CHUNK
    data = scenes.read_scenes(tmp_path)
    again = scenes.render_resized(scenes.Chunk("clevr6-whole", "train", 0, 0, 16), 16, "cpu")
    assert torch.equal(data.images, again.images)
    assert torch.equal(*(set_targets(part.records, 6) for part in (data, again)))
    assert scenes.render_scenes(tmp_path, "clevr6-whole", 16, 64, 99.0, "cpu", 1) == scenes.CHUNK


def test_the_page_and_the_archive_tell_of_finished_and_unfinished_runs(tmp_path):
    out, runs, plans = (tmp_path / name for name in ("out", "runs", "plans"))
    done, late = runs / "discovery-done", runs / "discovery-late"
    for folder in (out, done, late, plans):
        folder.mkdir(parents=True)
    record = read_record("discovery-mixture-clevr6-gpu-steps2400-seed0") | {
        "name": "discovery-done"
    }
    (done / "discovery-done.json").write_text(json.dumps(record))
    for name in ("discovery-done.safetensors", "state.safetensors", "log.jsonl"):
        (done / name).write_text("x")
    (late / "log.jsonl").write_text('{"step": 40, "seconds": 90.0, "loss": 0.1}\n')
    (late / "state.safetensors").write_text("x")
    (plans / "discovery-done.json").write_text('{"steps": 50}')
    checks = [Check("tests/gpu", "passed", "all well"), Check("03_x.ipynb", "failed", "boom")]
    report.write_page(out, checks, "64 scenes", runs, plans)
    page = (out / "report.md").read_text()
    assert "| discovery-late | 40 | 1.5 |  |  | not finished |" in page
    assert f"FG-ARI {record['scores'][0]['fg_ari']:.3f}" in page
    assert "boom" in page and "all well" not in page
    report.write_archive(out, runs)
    with tarfile.open(out / "runs.tar") as archive:
        assert sorted(archive.getnames()) == [
            "discovery-done/discovery-done.json",
            "discovery-done/discovery-done.safetensors",
            "discovery-done/log.jsonl",
            "discovery-late/log.jsonl",
            "discovery-late/state.safetensors",
        ]


def test_too_little_time_is_refused(capsys, tmp_path):
    with pytest.raises(SystemExit):
        tier.main(["--minutes", "0.5", "--out", str(tmp_path / "out")])
    assert "--minutes must be at least 1" in capsys.readouterr().err
