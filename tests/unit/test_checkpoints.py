"""Checkpoints: whole or absent, refused when they do not fit, harmless when they are hostile."""

import hashlib
import json
import os
import pickle
import subprocess

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor, nn
from torch.testing import assert_close

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


@pytest.fixture(scope="module")
def model():
    return ObjectDiscovery(DiscoveryConfig(**SMALL)).eval()


@pytest.fixture
def saved(model, tmp_path):
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
            lambda tensors, record: record["config"].update(slot_dim=2048),
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


@pytest.mark.parametrize("part", [0.2, 0.5, 0.9999])
def test_a_flipped_bit_is_noticed(saved, part):
    content = bytearray(saved[1].read_bytes())
    content[int(part * len(content))] ^= 1
    saved[1].write_bytes(content)
    with pytest.raises(CheckpointError, match="some.safetensors is damaged.*git checkout"):
        checkpoints.load(saved[1])


def test_a_file_without_a_checksum_is_held_against_the_list_in_its_folder(saved):
    model, path = saved
    record = json.dumps({"model": "ObjectDiscovery", "config": SMALL})
    save_file(model.state_dict(), path, metadata={"record": record})
    checkpoints.load(path)
    sums = path.with_name(checkpoints.SUMS_NAME)
    sums.write_text(f"{hashlib.sha256(path.read_bytes()).hexdigest()}  {path.name}\n")
    checkpoints.load(path)
    content = bytearray(path.read_bytes())
    content[-4] ^= 1
    path.write_bytes(content)
    with pytest.raises(CheckpointError, match="is damaged, SHA256SUMS has another checksum"):
        checkpoints.load(path)
    checkpoints.write(path, model.state_dict(), json.loads(record))  # this one has its own
    checkpoints.load(path)


def change_numbers(name, change):
    """What puts other numbers into the place of a tensor's."""
    return lambda tensors, record: tensors.update({name: change(tensors[name])})


def fill_one(value):
    def fill(tensor):
        tensor = tensor.clone()
        tensor.view(-1)[0] = value
        return tensor

    return fill


@pytest.mark.parametrize(
    "change",
    [
        fill_one(float("nan")),
        fill_one(float("-inf")),
        lambda tensor: fill_one(1e300)(tensor.double()),  # finite in 64 bits alone
        lambda tensor: fill_one(float("inf"))(tensor.half()),
        Tensor.bool,
        Tensor.int,
        Tensor.long,
        lambda tensor: tensor.to(torch.complex64),
    ],
)
def test_weights_that_are_no_finite_real_numbers_are_refused_by_name(saved, change):
    rewrite(saved[1], change_numbers("slots.start.mean", change))
    with pytest.raises(CheckpointError, match="refused: slots.start.mean holds .*git checkout"):
        checkpoints.load(saved[1])


@pytest.mark.parametrize("type_", [torch.float16, torch.bfloat16, torch.float64])
def test_weights_of_any_real_precision_are_loaded(saved, type_):
    rewrite(
        saved[1],
        lambda tensors, record: tensors.update({k: v.to(type_) for k, v in tensors.items()}),
    )
    assert {weight.dtype for weight in checkpoints.load(saved[1]).model.parameters()} == {
        torch.float32
    }


@pytest.mark.parametrize(
    "text",
    [
        "[]",
        "null",
        "3",
        '"text"',
        "{",
        "",
        "[" * 100_000,
        '{"a":' * 100_000,
        '{"step": ' + "9" * 5000 + "}",
        '{"model": []}',
        '{"model": null, "config": {}}',
        '{"model": "ObjectDiscovery"}',
        '{"model": "ObjectDiscovery", "config": []}',
    ],
    ids=lambda text: text[:20],
)
def test_a_record_that_is_no_record_is_refused(tmp_path, text):
    path = tmp_path / "some.safetensors"
    save_file({"x": torch.zeros(2)}, path, metadata={"record": text})
    with pytest.raises(CheckpointError, match="some.safetensors"):
        checkpoints.load(path)


ODD = [10**10, 10**400, -1, 0, True, None, "x", [], {}, 0.5, float("nan"), float("inf")]


@pytest.mark.parametrize("name", [*DiscoveryConfig.__dataclass_fields__, "slot_options.mlp_dim"])
def test_odd_options_are_refused_before_anything_is_built_from_them(name):
    """At once, too: none of these numbers is counted up to or fills the memory."""
    fits = {
        "slot_options": [{}],
        "slot_options.mlp_dim": [None],
        "contrast": [0.5],
        "pixel_scale": [0.5],
    }
    option, _, inner = name.partition(".")
    for value in ODD:
        if value in fits.get(name, []):
            continue
        config = SMALL | {option: {inner: value} if inner else value}
        with pytest.raises(CheckpointError, match="a config that ObjectDiscovery refuses: .*") as e:
            checkpoints.build({"model": "ObjectDiscovery", "config": config})
        assert name in str(e.value) or inner, f"{value!r}: {e.value}"


def write_raw(path, header: bytes, length: int | None = None, data: bytes = b""):
    length = len(header) if length is None else length
    path.write_bytes(length.to_bytes(8, "little") + header + data)


@pytest.mark.parametrize("length", [2**24, 2**30, 2**40, 2**64 - 1])
def test_a_header_that_could_fill_the_memory_is_refused(tmp_path, length, monkeypatch):
    path = tmp_path / "some.safetensors"
    write_raw(path, b"{}", length)
    with open(path, "r+b") as file:  # a file with a hole, as long as it says
        file.truncate(min(8 + length, 2**31))
    monkeypatch.setattr(checkpoints, "safe_open", None)  # nothing is left to its reader
    with pytest.raises(CheckpointError, match=rf"a header of {length:,} bytes"):
        checkpoints.load(path)


def test_a_record_that_could_not_be_read_again_is_not_written(saved):
    model, path = saved
    before = path.read_bytes()
    with pytest.raises(CheckpointError, match="some.safetensors is not written"):
        checkpoints.write(path, model.state_dict(), {"log": "x" * checkpoints.MOST_HEADER_BYTES})
    assert path.read_bytes() == before


@pytest.mark.parametrize(
    "entry",
    [
        {"dtype": "F4", "shape": [2], "data_offsets": [0, 1]},
        {"dtype": "F8_E8M0", "shape": [1], "data_offsets": [0, 1]},
        {"dtype": "F32", "shape": [2**62, 4], "data_offsets": [0, 4]},
        {"dtype": "F32", "shape": [-1], "data_offsets": [0, 4]},
        {"dtype": "F32", "shape": [1], "data_offsets": [2**60, 2**60 + 4]},
        {"dtype": "F32", "shape": [1], "data_offsets": [4, 0]},
        {"dtype": "F32", "shape": [1], "data_offsets": []},
        {"dtype": None},
        [],
    ],
    ids=repr,
)
def test_tensors_that_a_file_does_not_have_are_refused(tmp_path, entry):
    path = tmp_path / "some.safetensors"
    header = {"__metadata__": {"record": "{}"}, "x": entry}
    write_raw(path, json.dumps(header).encode(), data=b"\0" * 4)
    with pytest.raises(CheckpointError, match="some.safetensors"):
        checkpoints.load(path)


@pytest.mark.parametrize("name", ["../outside", "a/../../outside", "..", ".", "", "/", "a/b"])
def test_a_name_does_not_lead_out_of_the_folders(data_folder, saved, name):
    (data_folder / "outside.safetensors").write_bytes(saved[1].read_bytes())
    with pytest.raises(CheckpointError, match="there is no checkpoint"):
        checkpoints.load(name)


def test_hidden_files_of_other_systems_are_no_checkpoints(data_folder):
    (data_folder / "checkpoints" / "._some.safetensors").write_bytes(b"\0\5\x16\7")
    assert checkpoints.available() == []


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


def test_rounded_weights_are_stored_in_half_the_bytes_and_come_back_exactly(tmp_path):
    model = ObjectDiscovery(DiscoveryConfig(**SMALL)).eval()
    with torch.no_grad():
        model.encoder.head[1].weight[0, 0] = 300.123  # so this tensor is not rounded
    before = {name: weight.clone() for name, weight in model.state_dict().items()}
    checkpoints.round_weights(model)
    rounded = model.state_dict()
    assert all(weight.dtype == before[name].dtype for name, weight in rounded.items())
    assert torch.equal(rounded["encoder.head.1.weight"], before["encoder.head.1.weight"])
    for name, weight in rounded.items():
        assert_close(weight, before[name], atol=1e-7, rtol=5e-4)
    path = tmp_path / "rounded.safetensors"
    record = {"model": "ObjectDiscovery", "config": SMALL}
    checkpoints.write(path, checkpoints.shorten(rounded), record)
    stored, _ = checkpoints.read(path)
    assert stored.pop("encoder.head.1.weight").dtype == torch.float32
    learned = {name for name, _ in model.named_parameters()} & stored.keys()
    assert {stored[name].dtype for name in learned} == {torch.float16}
    for name, weight in checkpoints.load(path).model.state_dict().items():
        assert torch.equal(weight, rounded[name])


def test_weights_that_did_not_learn_are_not_rounded():
    model = ObjectDiscovery(DiscoveryConfig(**SMALL))
    model.slots.requires_grad_(False)
    before = {name: weight.clone() for name, weight in model.named_parameters()}
    checkpoints.round_weights(model)
    for name, weight in model.named_parameters():
        assert torch.equal(weight, before[name]) or not name.startswith("slots.")


def test_shorter_tensors_hold_the_same_numbers():
    tensors = {
        "exact": torch.tensor([0.5, 3.0]),
        "inexact": torch.tensor([0.1]),
        "n": torch.tensor(7),
    }
    short = checkpoints.shorten(tensors)
    assert short["exact"].dtype == torch.float16 and short["inexact"].dtype == torch.float32
    assert all(torch.equal(short[name].to(one.dtype), one) for name, one in tensors.items())
