"""Checkpoints: whole or absent, refused when they do not fit, harmless when they are hostile."""

import json
import os
import pickle
import subprocess

import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from smm_tutorial import checkpoints
from smm_tutorial.checkpoints import CheckpointError
from smm_tutorial.discovery.model import DiscoveryConfig, ObjectDiscovery
from smm_tutorial.results.provenance import provenance
from tests.full_disk import fill_disk_after

SMALL = {
    "image_size": 16,
    "num_slots": 3,
    "slot_dim": 8,
    "encoder_channels": 8,
    "decoder_channels": 8,
}


@pytest.fixture
def saved(tmp_path):
    model = ObjectDiscovery(DiscoveryConfig(**SMALL)).eval()
    path = tmp_path / "some.safetensors"
    checkpoints.write(
        path, model.state_dict(), {"model": "ObjectDiscovery", "config": SMALL, "step": 3}
    )
    return model, path


def rewrite(path, change):
    tensors, record = checkpoints.read(path)
    change(tensors, record)
    checkpoints.write(path, tensors, record)


def test_what_was_written_comes_back(saved):
    model, path = saved
    loaded = checkpoints.load(path)
    assert loaded.record["step"] == 3 and not loaded.model.training
    images, noise = torch.rand(2, 3, 16, 16), torch.randn(2, 3, 8)
    assert torch.equal(loaded.model(images, noise=noise).masks, model(images, noise=noise).masks)


BUFFER = torch.arange(12.0)


@pytest.mark.parametrize(
    "tensors",
    [
        {"one": BUFFER, "same": BUFFER},
        {"whole": BUFFER, "part": BUFFER[3:7]},
        {"left": BUFFER[:8], "right": BUFFER[4:]},
        {"rows": BUFFER.view(3, 4), "columns": BUFFER.view(3, 4).T},
        {"every_third": BUFFER[::3], "expanded": BUFFER[5].expand(2, 3)},
        {"none": BUFFER[:0], "also_none": BUFFER[5:5], "no_rows": torch.zeros(0, 4)},
        {"weight": nn.Parameter(BUFFER), "number": torch.tensor(3)},
        {"conjugate": torch.tensor([1 + 2j]).conj(), "negative": torch._neg_view(BUFFER)},
    ],
    ids=lambda tensors: "-".join(tensors),
)
def test_tensors_come_back_however_they_lie_in_memory(tmp_path, tensors):
    checkpoints.write(tmp_path / "some.safetensors", tensors, {})
    read, _ = checkpoints.read(tmp_path / "some.safetensors")
    assert read.keys() == tensors.keys()
    for name, tensor in tensors.items():
        assert torch.equal(read[name], tensor) and read[name].dtype == tensor.dtype


@pytest.mark.parametrize("length", [0, 5, 200, -1])
def test_a_truncated_file_is_refused_and_named(saved, length):
    path = saved[1]
    path.write_bytes(path.read_bytes()[:length])
    with pytest.raises(CheckpointError, match=r"some.safetensors is damaged.*git checkout"):
        checkpoints.load(path)


def test_a_pickle_is_refused_and_not_run(tmp_path):
    class Hostile:
        def __reduce__(self):
            return os.system, (f"touch {tmp_path}/hacked",)

    path = tmp_path / "bad.safetensors"
    path.write_bytes(pickle.dumps(Hostile()))
    with pytest.raises(CheckpointError, match="damaged or no safetensors file"):
        checkpoints.load(path)
    assert not (tmp_path / "hacked").exists()


def test_a_file_without_a_record_is_refused(tmp_path):
    save_file({"x": torch.zeros(2)}, tmp_path / "plain.safetensors")
    with pytest.raises(CheckpointError, match="without a record"):
        checkpoints.load(tmp_path / "plain.safetensors")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            lambda tensors, record: record.update(model="Other"),
            r"names the model 'Other'; known are \['ObjectDiscovery', ",
        ),
        (
            lambda tensors, record: record["config"].update(slots="none"),
            "has a config that ObjectDiscovery refuses",
        ),
        (
            lambda tensors, record: record["config"].update(surprise=1),
            "has a config that ObjectDiscovery refuses",
        ),
        (
            lambda tensors, record: record["config"].update(slot_dim=10**7),
            "does not fit its own config",
        ),
        (
            lambda tensors, record: tensors.pop("slots.start.mean"),
            r"at slots.start.mean: expected \(1, 8\), found None",
        ),
        (lambda tensors, record: record.pop("config"), "has a config that ObjectDiscovery refuses"),
    ],
)
def test_a_checkpoint_that_does_not_fit_is_refused(saved, change, message):
    rewrite(saved[1], change)
    with pytest.raises(CheckpointError, match=message):
        checkpoints.load(saved[1])


def test_an_unknown_name_lists_the_known_ones():
    with pytest.raises(CheckpointError, match="there is no checkpoint 'nothing': known are"):
        checkpoints.load("nothing")


def test_a_full_disk_leaves_the_old_checkpoint_and_no_rest(saved, monkeypatch):
    model, path = saved
    before = path.read_bytes()

    fill_disk_after(0, monkeypatch)
    with pytest.raises(OSError, match="No space left"):
        checkpoints.write(path, model.state_dict(), {"step": 4})
    assert path.read_bytes() == before and os.listdir(path.parent) == [path.name]


def test_provenance_names_revision_hardware_and_versions(monkeypatch):
    found = provenance()
    assert (
        found["versions"]["torch"] == torch.__version__
        and found["hardware"]["cpus"] == os.cpu_count()
    )
    json.dumps(found)

    def no_git(*arguments, **options):
        raise FileNotFoundError("git")

    monkeypatch.setattr(subprocess, "run", no_git)
    assert provenance()["revision"] == "unknown"


@pytest.mark.parametrize("name", checkpoints.available())
def test_every_committed_checkpoint_loads_and_has_its_record(name):
    model, record = checkpoints.load(name)
    assert record["name"] == name
    assert (checkpoints.paths.checkpoints_dir() / f"{name}.safetensors").stat().st_size <= 3e6
    assert (
        json.loads((checkpoints.paths.results_dir() / f"{name}.json").read_text())["config"]
        == record["config"]
    )
