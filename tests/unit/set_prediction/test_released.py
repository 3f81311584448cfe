"""The authors' released weights in our modules: outputs, scores, options, files that lie."""

import pickle
import traceback
from pathlib import Path
from zipfile import ZIP_DEFLATED, ZIP_STORED, ZipFile

import numpy as np
import pytest
import torch
from torch.testing import assert_close

from smm_tutorial import datasets
from smm_tutorial.checkpoints import CheckpointError
from smm_tutorial.set_prediction.average_precision import average_precision_clevr
from smm_tutorial.set_prediction.released import (
    RENAMED,
    RENAMED_IN_BLOCKS,
    ReleasedSetPredictor,
    ReleasedSlotMixture,
    ReleasedSlots,
    load_released,
)
from smm_tutorial.set_prediction.targets import set_targets
from smm_tutorial.slots.mixture import SlotMixture
from tests.shared import SHARED

WEIGHTS = SHARED / "data" / "official_smm" / "e725.pth"
REFERENCE = SHARED / "reference" / "official_set_predictor_case.npz"
CLEVR = SHARED / "data" / "CLEVR_v1.0"
needs_weights = pytest.mark.skipif(
    not WEIGHTS.is_file(), reason=f"no released weights at {WEIGHTS}"
)
needs_reference = pytest.mark.skipif(
    not REFERENCE.is_file(), reason=f"no reference values at {REFERENCE}"
)
THRESHOLDS = (-1, 1, 0.5, 0.25, 0.125, 0.0625)
#: The 3:2 frame of the released images within the 4:3 frame of the 320 x 240 renders.
FRAME = (1 / 18, 0.0, 17 / 18, 1.0)


@pytest.fixture(scope="module")
def released():
    return load_released(WEIGHTS)


def reference():
    with np.load(REFERENCE) as file:
        case = {name: torch.tensor(file[name]) for name in file.files}
    case["images"] = (case["images"] + 1) / 2  # the case's images lie in [-1, 1]
    return case


# ------------------------------------------------------------------------------------------------
# Outputs and scores


@needs_weights
@needs_reference
@torch.no_grad()
def test_the_authors_outputs_come_out(released):
    case = reference()
    out = released.predict(case["images"], case["noise"])
    assert_close(out.predictions, case["predictions"], atol=1e-4, rtol=0)
    assert_close(out.slot_output.slots, case["slots"], atol=1e-4, rtol=0)
    assert_close(released.encoder(case["images"]).mean(1), case["features_mean"], atol=1e-4, rtol=0)
    responsibilities = out.slot_output.responsibilities  # (B, N, K)
    attention = responsibilities / responsibilities.sum(1, keepdim=True)  # over inputs, as theirs
    assert (attention.argmax(2) == case["attention_argmax"]).float().mean() > 0.99
    assert torch.equal(released(case["images"], case["noise"]), out.predictions)


def scenes_of(name):
    """Images at 128 x 128 and records: the official ones there are, or a folder's first renders."""
    if name == "official":
        parts = [
            datasets.load("clevr", split=s, size=128, root=CLEVR, incomplete="skip")
            for s in ("val", "train")
        ]
        return torch.cat([part.images for part in parts]), parts[0].records + parts[1].records
    crop = FRAME if name == "blender_320x240" else None
    data = datasets.load(
        "clevr-renders", split="train", size=128, root=SHARED / "data" / name, crop=crop, limit=24
    )
    return data.images, data.records


@torch.no_grad()
def scores_of(predictor, name):
    """Average precision at `THRESHOLDS`, in percent, with the noise of seed 0."""
    images, records = scenes_of(name)
    noise = predictor.start_noise(len(images), torch.Generator().manual_seed(0))
    parts = zip((images.float() / 255).split(8), noise.split(8), strict=True)
    predictions = torch.cat([predictor(*part) for part in parts])
    targets = set_targets(records, max_objects=10)
    return [
        100 * average_precision_clevr(predictions, targets, threshold) for threshold in THRESHOLDS
    ]


@pytest.mark.needs_cpu("it compares with data of its own")
@needs_weights
@pytest.mark.filterwarnings("ignore:left out")
@pytest.mark.parametrize(
    ("name", "expected"),  # measured with this code
    [
        ("official", (100.0, 100.0, 100.0, 100.0, 100.0, 62.8)),
        ("blender_480x320", (100.0, 100.0, 100.0, 98.7, 82.7, 18.8)),
        ("blender_320x240", (100.0, 100.0, 100.0, 100.0, 88.1, 32.0)),
    ],
)
def test_the_released_weights_score_as_measured(released, name, expected):
    assert scores_of(released, name) == pytest.approx(expected, abs=1.0)


@pytest.mark.needs_cpu("it compares with data of its own")
@needs_weights
@pytest.mark.filterwarnings("ignore:left out")
@pytest.mark.parametrize("change", ["the paper's density", "the paper's weights"])
def test_the_released_weights_need_the_released_module(released, monkeypatch, change):
    if change == "the paper's density":
        monkeypatch.setattr(ReleasedSlotMixture, "e_step", SlotMixture.e_step)
    else:
        monkeypatch.setattr(released.slots.mixture, "weights", "estimated")
    assert scores_of(released, "official")[3] < 60  # at .25, of 100


@needs_weights
@torch.no_grad()
def test_noise_decides_and_is_drawn_where_there_is_none(released):
    images = torch.rand(2, 3, 128, 128, generator=torch.Generator().manual_seed(0))
    noise = [released.start_noise(2, torch.Generator().manual_seed(7)) for _ in range(2)]
    assert torch.equal(released(images, noise[0]), released(images, noise[1]))
    assert released(images).shape == (2, 10, 19)
    assert not torch.equal(released(images), released(images))


# The module with the released options


def test_the_released_network_has_the_released_module():
    mixture = ReleasedSlots().mixture
    assert type(mixture) is ReleasedSlotMixture and mixture.num_iterations == 8
    options = ("content", "weights", "variances", "gradient")
    assert [getattr(mixture, name) for name in options] == ["mean", "fixed", "estimated", "last"]


@pytest.mark.parametrize("projections", ["learned", "identity"])
@pytest.mark.parametrize("normalisation", ["layer", "none"])
def test_one_step_of_the_released_module_by_hand(normalisation, projections):
    """In the broadcast form, from the description alone."""
    torch.manual_seed(0)
    options = {"normalisation": normalisation, "projections": projections, "variance_floor": 1e-9}
    module = ReleasedSlotMixture(3, 6, 6, **options).double()
    inputs, means, log_scales = (
        torch.randn(2, size, 6, dtype=torch.float64) for size in (20, 3, 3)
    )
    out = module(inputs, 1, start=(means, (2 * log_scales).exp()))

    inputs = module.norm_inputs(inputs)
    keys = module.to_keys(inputs)[:, None]  # (B, 1, N, D)
    values = module.to_values(inputs)  # (B, N, D)
    means, log_scales = module.norm_means(torch.cat([means, log_scales], 2)).split(6, dim=2)
    queries = module.to_queries(means)[:, :, None]  # (B, K, 1, D)
    scales = module.to_queries(log_scales).exp()[:, :, None]  # (B, K, 1, D)
    distances = ((keys - queries) / scales).square().sum(3) / 6**0.5  # (B, K, N)
    closeness = (-distances).exp() + 1e-8
    shares = closeness / closeness.sum(1, keepdim=True)
    assert_close(out.responsibilities.mT, shares)
    shares = shares / shares.sum(2, keepdim=True)
    means = module.update(shares @ values, means)
    assert_close(out.means, means)
    squares = (values[:, None] - means[:, :, None]).square()  # (B, K, N, D)
    assert_close(out.variances, (shares[..., None] * squares).sum(2))


def test_an_input_far_from_every_slot_is_shared_alike():
    plain = {"projections": "identity", "normalisation": "none", "update": "none"}
    module = ReleasedSlotMixture(2, 3, 3, **plain)
    start = torch.tensor([[[0.0, 0, 0], [1, 1, 1]]]), torch.ones(1, 2, 3)
    inputs = torch.tensor([[[90.0, 90, 90], [0, 0, 0]]])
    far, near = module(inputs, 1, start=start).responsibilities[0]
    assert_close(far, torch.tensor([0.5, 0.5]))
    assert near[0] > 0.8


def test_its_defaults_are_the_releases_and_can_be_changed_one_by_one():
    inputs = torch.randn(2, 20, 5, generator=torch.Generator().manual_seed(0))
    torch.manual_seed(0)
    assert_close(ReleasedSlotMixture(3, 5, 8)(inputs).weights, torch.full((2, 3), 1 / 3))
    estimated = ReleasedSlotMixture(3, 5, 8, weights="estimated", content="mean_and_variance")
    out = estimated(inputs)
    assert out.slots.shape == (2, 3, 16)
    assert_close(out.weights, out.responsibilities.mean(1))
    with pytest.raises(TypeError, match="leave density out"):
        ReleasedSlotMixture(3, 5, 8, density="gaussian")


# ------------------------------------------------------------------------------------------------
# Files that lie


@pytest.fixture
def in_their_layout():
    """An untrained network, and its tensors as the authors' file would hold them."""
    torch.manual_seed(0)
    network = ReleasedSetPredictor().eval()
    theirs = {}
    for name, tensor in network.state_dict().items():
        for beginning, ours in RENAMED.items():
            name = beginning + name.removeprefix(ours) if name.startswith(ours) else name
        for part, ours in RENAMED_IN_BLOCKS.items():
            name = name.replace(ours, part) if "transformer_blocks" in name else name
        theirs[name] = tensor
    theirs["encoder_cnn.layers.0.weight"] = 2 * theirs["encoder_cnn.layers.0.weight"]
    theirs["encoder_pos.linear.weight"] = theirs["encoder_pos.linear.weight"][..., 0, 0]
    theirs["encoder_pos.grid"] = network.encoder.positions.permute(1, 2, 0)[None]
    tokens = theirs.pop("slots.start.tokens")
    theirs["slot_attention.mu"], theirs["slot_attention.logsigma"] = tokens.split(1, dim=1)
    theirs["quantizer.emb_spaces"] = torch.zeros(20, 16)  # nothing uses it in the release either
    return network, theirs


@torch.no_grad()
def test_a_file_in_their_layout_gives_the_network_back(tmp_path, in_their_layout):
    network, theirs = in_their_layout
    # The file's grid counts, not ours.
    theirs["encoder_pos.grid"] = theirs["encoder_pos.grid"] + 0.25
    network.encoder.positions += 0.25
    torch.save(theirs, tmp_path / "theirs.pth")
    loaded = load_released(tmp_path / "theirs.pth")
    images, noise = torch.rand(2, 3, 128, 128), torch.randn(2, 10, 128)
    assert not loaded.training
    assert_close(loaded(images, noise), network(images, noise))


class Trap:
    """What a hostile pickle does: asks to call a function when it is read."""

    def __init__(self, mark):
        self.mark = mark

    def __reduce__(self):
        return (open, (self.mark, "w"))


def repack(path, theirs, change, compression=ZIP_STORED):
    """A file in their layout, its members changed."""
    torch.save(theirs, path.with_suffix(".old"))
    with ZipFile(path.with_suffix(".old")) as old, ZipFile(path, "w", compression) as new:
        for member in old.infolist():
            content = change(Path(member.filename).name, old.read(member))
            new.writestr(member.filename, content)


def truncated(path, theirs, mark):
    torch.save(theirs, path)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


FILES_THAT_LIE = {
    "absent": (lambda path, theirs, mark: None, "there is no file"),
    "empty": (lambda path, theirs, mark: path.write_bytes(b""), "damaged"),
    "truncated": (truncated, "damaged"),
    "text": (lambda path, theirs, mark: path.write_text("<html>Not found</html>"), "damaged"),
    "code": (
        lambda path, theirs, mark: torch.save({**theirs, "mu": Trap(mark)}, path),
        "nothing in it was run",
    ),
    "bare pickle": (
        lambda path, theirs, mark: path.write_bytes(pickle.dumps(Trap(mark), protocol=2)),
        "nothing in it was run",
    ),
    "old format": (
        lambda path, theirs, mark: torch.save(theirs, path, _use_new_zipfile_serialization=False),
        "damaged or holds more than tensors",
    ),
    "compressed": (
        lambda path, theirs, mark: repack(
            path, theirs, lambda name, content: content, ZIP_DEFLATED
        ),
        "damaged or holds more than tensors",
    ),
    "long": (
        lambda path, theirs, mark: torch.save(theirs | {"quantizer.x": torch.zeros(2**22)}, path),
        "damaged or holds more than tensors",
    ),
    "a long list of names": (
        lambda path, theirs, mark: repack(
            path, theirs, lambda name, content: b"]" * 2**20 if name == "data.pkl" else content
        ),
        "damaged or holds more than tensors",
    ),
    "numpy": (
        lambda path, theirs, mark: torch.save(theirs | {"mlp_coords.2.bias": np.zeros(3)}, path),
        "damaged or holds more than tensors",
    ),
    "whole numbers": (
        lambda path, theirs, mark: torch.save(
            theirs | {"slot_attention.mu": theirs["slot_attention.mu"].int()}, path
        ),
        "slot_attention.mu holds torch.int32, expected real numbers",
    ),
    "complex numbers": (
        lambda path, theirs, mark: torch.save(
            theirs | {"mlp_coords.2.bias": torch.zeros(3, dtype=torch.complex64)}, path
        ),
        "mlp_coords.2.bias holds torch.complex64, expected real numbers",
    ),
    "sparse": (
        lambda path, theirs, mark: torch.save(
            theirs | {"mlp_coords.2.bias": torch.zeros(3).to_sparse()}, path
        ),
        "mlp_coords.2.bias holds torch.float32, expected real numbers, stored densely",
    ),
    "nowhere": (
        lambda path, theirs, mark: torch.save(
            theirs | {"mlp_coords.2.bias": torch.zeros(3, device="meta")}, path
        ),
        "mlp_coords.2.bias holds torch.float32, expected real numbers, stored densely",
    ),
    "one number, expanded": (
        lambda path, theirs, mark: torch.save(
            theirs | {"encoder_cnn.layers.0.weight": torch.zeros(1).expand(10**12)}, path
        ),
        r"at encoder.convolutions.0.weight it has \(1000000000000,\), expected",
    ),
    "an empty grid": (
        lambda path, theirs, mark: torch.save(
            theirs | {"encoder_pos.grid": torch.zeros(0, 32, 32, 4)}, path
        ),
        r"at encoder.positions it has \(0, 32, 32, 4\), expected \(4, 32, 32\)",
    ),
    "other tokens": (
        lambda path, theirs, mark: torch.save(
            theirs | {"slot_attention.mu": torch.zeros(3, 4, 5)}, path
        ),
        r"at slot_attention.logsigma it has \(1, 1, 64\), expected nothing",
    ),
    "names that are none": (
        lambda path, theirs, mark: torch.save(theirs | {3: torch.zeros(3)}, path),
        "holds dict and not tensors by name",
    ),
    "list": (
        lambda path, theirs, mark: torch.save([1, 2], path),
        "holds list and not tensors by name",
    ),
    "a tensor": (
        lambda path, theirs, mark: torch.save(torch.zeros(3), path),
        "holds Tensor and not tensors by name",
    ),
    "numbers": (lambda path, theirs, mark: torch.save({"epoch": 3}, path), "not tensors by name"),
    "another network": (
        lambda path, theirs, mark: torch.save({"weight": torch.zeros(3)}, path),
        "does not hold the released set predictor",
    ),
    "another size": (
        lambda path, theirs, mark: torch.save(theirs | {"mlp_coords.2.bias": torch.zeros(4)}, path),
        r"at heads.coordinates.2.bias it has \(4,\), expected \(3,\) \(1 tensors differ\)",
    ),
    "one tensor short": (
        lambda path, theirs, mark: torch.save(
            {k: v for k, v in theirs.items() if k != "slot_attention.mu"}, path
        ),
        "does not hold the released set predictor",
    ),
    "flat embedding": (
        lambda path, theirs, mark: torch.save(theirs | {"encoder_pos.grid": torch.zeros(3)}, path),
        r"at encoder.positions it has \(3,\), expected \(4, 32, 32\)",
    ),
    "not finite": (
        lambda path, theirs, mark: torch.save(
            theirs | {"mlp_coords.2.bias": torch.full((3,), torch.nan)}, path
        ),
        "heads.coordinates.2.bias holds numbers that are not finite",
    ),
}


@pytest.mark.needs_cpu("the files hold tensors that no device stores")
@pytest.mark.parametrize("kind", FILES_THAT_LIE)
def test_files_that_lie_are_refused_by_name_with_the_remedy(tmp_path, in_their_layout, kind):
    write, message = FILES_THAT_LIE[kind]
    mark = tmp_path / "it ran"
    write(tmp_path / "e725.pth", in_their_layout[1], mark)
    with pytest.raises(CheckpointError, match=message) as failure:
        load_released(tmp_path / "e725.pth")
    assert str(tmp_path / "e725.pth") in str(failure.value)
    shown = "".join(traceback.format_exception(failure.value))
    assert "Re-running" not in shown and "weights_only` set" not in shown  # torch's advice: run it
    assert "github.com/AIRI-Institute/smm" in str(failure.value)
    assert not mark.exists()


def test_the_trap_works(tmp_path):
    """Without the guard the hostile file runs, or the test above would prove nothing."""
    torch.save({"mu": Trap(tmp_path / "it ran")}, tmp_path / "e725.pth")
    torch.load(tmp_path / "e725.pth", weights_only=False)["mu"].close()
    assert (tmp_path / "it ran").exists()


@pytest.mark.parametrize(
    ("images", "noise", "message"),
    [
        (
            torch.zeros(1, 3, 64, 64),
            None,
            r"images must be \(batch, 3, 128, 128\) in \[0, 1\], got \(1, 3, 64, 64\)",
        ),
        (
            torch.full((1, 3, 128, 128), -1.0),
            None,
            r"must lie in \[0, 1\], got -1 to -1: .*\(images \+ 1\) / 2",
        ),
        (torch.full((1, 3, 128, 128), 255.0), None, "got 255 to 255"),
        (
            torch.zeros(1, 3, 128, 128),
            torch.zeros(1, 10, 64),
            r"noise must be .* = \(1, 10, 128\), got \(1, 10, 64\)",
        ),
    ],
)
def test_wrong_use_is_told_what_was_expected(images, noise, message):
    with pytest.raises(ValueError, match=message):
        ReleasedSetPredictor()(images, noise)
