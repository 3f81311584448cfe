"""What a training run can be told: precision, compilation, schedules, averaged weights; what it
logs, and where.
"""

import sys
import types
from dataclasses import asdict, replace

import numpy
import pytest
import torch
from lightning.fabric import Fabric
from lightning.fabric.plugins import MixedPrecision
from torch import nn
from torch.testing import assert_close

from smm_tutorial import checkpoints, results
from smm_tutorial.discovery.recipe import make_loss
from smm_tutorial.training import loop
from smm_tutorial.training.config import TrainingConfig, fast_precision, learning_rate_factor
from smm_tutorial.training.logs import Meter, read_log
from smm_tutorial.training.loop import NonFiniteError, fit
from smm_tutorial.training.state import WeightAverage
from tests.toy_runs import CONFIG, LOSS, RandomImages, mean_of_weights, tiny_model, train


def weights(model):
    return nn.utils.parameters_to_vector(model.parameters()).detach()


# Precision


@pytest.mark.parametrize(
    ("cuda", "bfloat16", "capability", "cpu", "expected"),
    [
        (True, True, (8, 0), {}, "bf16-mixed"),  # A100
        (True, False, (7, 5), {"amx_bf16": True}, "16-mixed"),  # T4, whatever its CPU
        (True, False, (6, 1), {}, "32-true"),  # P4: no tensor cores
        (False, False, None, {"amx_bf16": True}, "bf16-mixed"),
        (False, False, None, {"avx512_bf16": True}, "bf16-mixed"),
        (False, False, None, {"avx512_bf16": False, "avx2": True}, "32-true"),
    ],
)
def test_the_fast_precision_is_the_one_that_the_hardware_has_units_for(
    monkeypatch, cuda, bfloat16, capability, cpu, expected
):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: cuda)
    monkeypatch.setattr(
        torch.cuda, "is_bf16_supported", lambda including_emulation: bfloat16 or including_emulation
    )
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda: capability)
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: cpu, raising=False)
    assert fast_precision() == expected


def test_an_old_torch_that_cannot_tell_the_cpus_units_gets_float32(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.delattr(torch.cpu, "get_capabilities", raising=False)
    assert fast_precision() == "32-true"


HALF = replace(CONFIG, precision="16-mixed")


@pytest.fixture
def half_on_a_cpu(monkeypatch):
    """float16 with scaled losses as on a T4, on a CPU. Gives a function that sets the scale of the
    run to come.
    """

    def begin_at(scale, growth_interval=1000):
        def fabric(precision):
            scaler = torch.amp.GradScaler("cpu", init_scale=scale, growth_interval=growth_interval)
            return Fabric(
                accelerator="cpu", devices=1, plugins=MixedPrecision(precision, "cpu", scaler)
            )

        monkeypatch.setattr(loop, "start_fabric", fabric)

    return begin_at


class OverflowingLoss:
    """Finite, with gradients that are not, in some steps."""

    def __init__(self, model, steps):
        self.network, self.bad_steps, self.seen = model, steps, {}

    def __call__(self, model, batch, step):
        self.seen[step] = weights(self.network)
        scalars = make_loss(LOSS, CONFIG.steps)(model, batch, step)
        if step in self.bad_steps:  # 0, of infinite slope
            bias = self.network.encoder.embed_positions.bias
            scalars["loss"] = scalars["loss"] + bias.sum().mul(0).sqrt()
        return scalars


def test_scaled_losses_in_float16_give_the_clipped_gradients_of_unscaled_ones(
    tmp_path, half_on_a_cpu
):
    moments = []
    for scale in (1.0, 256.0):
        half_on_a_cpu(scale)
        train(tiny_model(), tmp_path / str(scale), HALF, stop_at=1)
        tensors, record = checkpoints.read(tmp_path / str(scale) / "state.safetensors")
        assert record["precision"]["scale"] == scale
        moments.append(
            torch.cat([t.flatten() for name, t in tensors.items() if name.endswith("exp_avg")])
        )
    assert moments[1].norm() == pytest.approx(
        0.1 * HALF.clip_norm, rel=1e-3
    )  # Adam's first is a tenth of the gradient
    assert_close(moments[0], moments[1], rtol=0.05, atol=1e-5)


def test_an_overflow_of_the_scaled_gradients_skips_its_step_alone(tmp_path, half_on_a_cpu):
    half_on_a_cpu(2.0**10)
    model = tiny_model()
    loss = OverflowingLoss(model, {4, 7})
    run = train(model, tmp_path, HALF, loss)
    assert run.step == 12 and weights(model).isfinite().all()
    unchanged = [step for step in range(11) if torch.equal(loss.seen[step], loss.seen[step + 1])]
    assert unchanged == [4, 7]
    assert checkpoints.read(tmp_path / "state.safetensors")[1]["precision"]["scale"] == 2.0**8


def test_an_overflow_that_no_scale_cures_is_an_error(half_on_a_cpu):
    half_on_a_cpu(8.0)  # 8, 4, 2, 1
    model = tiny_model()
    loss = OverflowingLoss(model, range(100))
    with pytest.raises(
        NonFiniteError, match="step 3: gradient of encoder.embed_positions.bias is not finite"
    ):
        train(model, None, HALF, loss)
    assert torch.equal(weights(model), loss.seen[0])


def test_a_loss_that_is_not_finite_is_an_error_at_any_scale(half_on_a_cpu):
    half_on_a_cpu(2.0**10)

    def infinite(model, images, step):
        return {"loss": model(images).reconstruction.mean() * torch.inf}

    with pytest.raises(NonFiniteError, match="step 0: loss is not finite"):
        fit(tiny_model(), RandomImages(), infinite, HALF, progress=False)


def test_a_resumed_run_in_float16_goes_on_with_its_scale(tmp_path, half_on_a_cpu):
    half_on_a_cpu(4.0, growth_interval=3)
    whole, parts = tiny_model(), tiny_model()
    train(whole, tmp_path / "whole", HALF)
    train(parts, tmp_path / "parts", HALF, stop_at=5)
    train(parts, tmp_path / "parts", HALF)
    records = [
        checkpoints.read(tmp_path / name / "state.safetensors")[1]["precision"]
        for name in ("whole", "parts")
    ]
    assert records[0] == records[1] and records[0]["scale"] == 64.0  # doubled every 3 of 12 steps
    assert torch.equal(weights(whole), weights(parts))


def test_float16_without_a_gpu_is_refused(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(
        ValueError,
        match="precision '16-mixed' needs a GPU, and there is none: use fast_precision()",
    ):
        train(tiny_model(), None, HALF)


# Compilation


@pytest.mark.needs_cpu("torch.compile is not pretended")
def test_a_compiled_network_trains_as_it_does_uncompiled(monkeypatch):
    """Traced for real; what the backend makes of the trace is torch's business."""
    compiled, original = [], torch.compile

    def trace(module, **options):
        compiled.append(module)
        return original(module, **{"backend": "eager"} | options)

    monkeypatch.setattr(torch, "compile", trace)
    plain, traced = tiny_model(), tiny_model()
    train(plain, stop_at=2)
    train(traced, config=replace(CONFIG, compile="default"), stop_at=2)
    assert traced in compiled
    assert_close(weights(traced), weights(plain))


@pytest.mark.needs_cpu("torch.compile is not pretended")
def test_where_compilation_fails_training_goes_on_and_says_so(monkeypatch):
    def no_compiler(module):
        raise RuntimeError("InvalidCxxCompiler: No working C++ compiler found\nand more")

    monkeypatch.setattr(torch, "compile", no_compiler)
    plain, other = tiny_model(), tiny_model()
    train(plain)
    with pytest.warns(
        UserWarning,
        match=r"does not work here, training goes on without it.*No working C\+\+ compiler found\)",
    ):
        train(other, config=replace(CONFIG, compile="default"))
    assert torch.equal(weights(plain), weights(other))


def test_nothing_is_compiled_unless_asked_for(monkeypatch):
    calls = []
    monkeypatch.setattr(torch, "compile", calls.append)
    train(tiny_model(), stop_at=1)
    assert calls == []


# Schedules


def test_the_half_life_schedule_is_slot_attentions():
    config = TrainingConfig(
        500_000, 64, 4e-4, warmup_steps=10_000, schedule="half_life", half_life=100_000
    )
    for step, expected in [
        (0, 0.0),
        (5_000, 0.5 * 0.5**0.05),
        (10_000, 0.5**0.1),
        (100_000, 0.5),
        (300_000, 0.125),
    ]:
        assert learning_rate_factor(step, config) == pytest.approx(expected, rel=1e-12)
    assert learning_rate_factor(0, replace(config, warmup_steps=0)) == 1.0


def test_the_one_cycle_schedule_is_torchs():
    config = TrainingConfig(200, 8, 3.5e-4, warmup_steps=10, schedule="one_cycle")
    optimizer = torch.optim.AdamW([nn.Parameter(torch.zeros(1))])
    scheduler = torch.optim.lr_scheduler.OneCycleLR(
        optimizer, max_lr=3.5e-4, total_steps=200, pct_start=0.05
    )
    for step in range(200):
        ours, theirs = (
            config.learning_rate * learning_rate_factor(step, config),
            scheduler.get_last_lr()[0],
        )
        assert ours == pytest.approx(theirs, rel=1e-9)
        if step < 199:
            optimizer.step()
            scheduler.step()


@pytest.mark.parametrize(
    "options", [{"schedule": "one_cycle"}, {"schedule": "half_life", "half_life": 6}]
)
def test_every_step_trains_at_the_rate_of_its_schedule(monkeypatch, options):
    config, rates, update = replace(CONFIG, **options), [], torch.optim.AdamW.step

    def watched(self, *arguments, **named):
        rates.append(self.param_groups[0]["lr"])
        return update(self, *arguments, **named)

    monkeypatch.setattr(torch.optim.AdamW, "step", watched)
    train(tiny_model(), config=config)
    assert rates == [
        config.learning_rate * learning_rate_factor(step, config) for step in range(12)
    ]


def test_weight_decay_is_decoupled_from_the_gradient():
    """AdamW: one step shrinks a weight by learning rate x decay, besides what the gradient does."""
    plain, decayed, start = tiny_model(), tiny_model(), weights(tiny_model())
    config = replace(CONFIG, learning_rate=0.01, warmup_steps=1)
    train(plain, config=config, stop_at=1)
    train(decayed, config=replace(config, weight_decay=0.1), stop_at=1)
    assert_close(weights(plain) - weights(decayed), 0.001 * start, rtol=1e-3, atol=1e-6)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (
            {"schedule": "linear"},
            "schedule must be one of 'cosine', 'half_life', 'one_cycle', got 'linear'",
        ),
        (
            {"schedule": "half_life"},
            "half_life, in steps, belongs to schedule='half_life', got None for 'half_life'",
        ),
        (
            {"half_life": 10},
            "half_life, in steps, belongs to schedule='half_life', got 10 for 'cosine'",
        ),
        (
            {"schedule": "one_cycle", "warmup_steps": 12},
            "warmup_steps must be between 1 and steps = 12",
        ),
        (
            {"precision": "bf16"},
            "precision must be one of '32-true', 'bf16-mixed', '16-mixed', got 'bf16'",
        ),
        ({"compile": "fast"}, "compile must be one of 'none', 'default', got 'fast'"),
        ({"learning_rate": float("nan")}, "learning_rate must be a number above 0, got nan"),
        ({"learning_rate": -1e-3}, "learning_rate must be a number above 0, got -0.001"),
        ({"clip_norm": 0.0}, "clip_norm must be a number above 0, got 0.0"),
        ({"weight_decay": -0.1}, "weight_decay must be a number from 0 on, got -0.1"),
        ({"weight_decay": float("inf")}, "weight_decay must be a number from 0 on, got inf"),
        ({"warmup_steps": -1}, "warmup_steps must be at least 0, got -1"),
        ({"seed": -1}, "seed must be at least 0, got -1"),
        ({"seed": 2**63}, f"seed must be at most {2**63 - 1}, got {2**63}"),
        ({"seed": "one"}, "seed must be a whole number, got 'one'"),
        ({"steps": 2.5}, "steps must be a whole number, got 2.5"),
        ({"batch_size": None}, "batch_size must be a whole number, got None"),
        ({"learning_rate": "fast"}, "learning_rate must be a number, got 'fast'"),
        ({"ema_decay": 1.0}, "ema_decay must be between 0 and 1, or None for no average, got 1.0"),
    ],
)
def test_impossible_options_are_refused(options, message):
    with pytest.raises(ValueError, match=message):
        replace(CONFIG, **options)


def test_numbers_of_numpy_and_torch_are_as_good(tmp_path):
    numbers = {"steps": numpy.int64(12), "seed": torch.tensor(1), "batch_size": numpy.uint8(4)}
    config = replace(CONFIG, **numbers, clip_norm=numpy.float32(0.5))
    assert config == replace(CONFIG, clip_norm=0.5)
    whole, parts = tiny_model(), tiny_model()
    train(whole, config=replace(CONFIG, clip_norm=0.5))
    train(parts, tmp_path, config, stop_at=5)  # whose state is JSON
    train(parts, tmp_path, config)
    assert torch.equal(weights(whole), weights(parts))


# Averaged weights

AVERAGED = replace(CONFIG, ema_decay=0.9)


def test_the_average_follows_its_formula():
    model = nn.Linear(1, 1)
    average, expected = WeightAverage(model, decay=0.5), weights(model)
    for step in range(20):
        with torch.no_grad():
            for parameter in model.parameters():
                parameter.add_(1.0)
        average.update(model, step)
        decay = min(0.5, (1 + step) / (10 + step))
        expected = decay * expected + (1 - decay) * weights(model)
        assert_close(weights(average.model), expected)


def test_running_means_are_averaged_too_and_counts_are_copied():
    """The running means of the last steps do not fit averaged weights."""
    layer = torch.nn.BatchNorm1d(1, affine=False)
    average, expected = WeightAverage(layer, decay=0.5), 0.0
    for step in range(20):
        layer(torch.full((2, 1), float(step)))
        average.update(layer, step)
        keep = min(0.5, (1 + step) / (10 + step))
        expected = keep * expected + (1 - keep) * layer.running_mean.item()
    assert average.model.running_mean.item() == pytest.approx(expected, rel=1e-5)
    assert average.model.running_mean < layer.running_mean - 0.5
    assert average.model.num_batches_tracked == 20


def test_the_average_is_evaluated_and_kept_and_does_not_change_the_training(tmp_path):
    plain, averaged = tiny_model(), tiny_model()
    train(plain)
    run = train(averaged, tmp_path, AVERAGED, evaluate=mean_of_weights, evaluate_every=4)
    tensors, _ = checkpoints.read(tmp_path / "state.safetensors")
    for name, weight in averaged.state_dict().items():
        assert torch.equal(weight, tensors[f"average.{name}"])
        assert torch.equal(plain.state_dict()[name], tensors[f"model.{name}"])
    assert not torch.equal(weights(plain), weights(averaged))
    assert run.log[-1]["mean_of_weights"] == mean_of_weights(averaged)["mean_of_weights"]


def test_an_averaged_run_that_stops_and_goes_on_is_bit_equal_to_one_that_does_not(tmp_path):
    whole, parts = tiny_model(), tiny_model(seed=7)
    train(whole, tmp_path / "whole", AVERAGED)
    train(tiny_model(), tmp_path / "parts", AVERAGED, stop_at=5)
    train(parts, tmp_path / "parts", AVERAGED)
    states = [
        checkpoints.read(tmp_path / name / "state.safetensors")[0] for name in ("whole", "parts")
    ]
    assert states[0].keys() == states[1].keys()
    assert all(torch.equal(states[0][name], states[1][name]) for name in states[0])
    assert torch.equal(weights(whole), weights(parts))


# Records and states from before these options


def test_committed_records_and_older_states_are_still_understood(tmp_path):
    record = results.read_record("discovery-mixture-clevr6-laptop-48px-seed0")
    options = {name: value for name, value in record["training"].items() if name != "loss"}
    assert asdict(TrainingConfig(**options)).items() >= options.items()
    whole, parts = tiny_model(), tiny_model()
    train(whole)
    train(parts, tmp_path, stop_at=5)
    state = tmp_path / "state.safetensors"
    tensors, record = checkpoints.read(state)
    older = (
        "steps",
        "batch_size",
        "learning_rate",
        "warmup_steps",
        "clip_norm",
        "seed",
        "precision",
    )
    checkpoints.write(
        state, tensors, record | {"training": {name: record["training"][name] for name in older}}
    )
    train(parts, tmp_path)
    assert torch.equal(weights(whole), weights(parts))


@pytest.mark.parametrize(
    "change", [{"ema_decay": 0.5}, {"schedule": "one_cycle"}, {"weight_decay": 0.1}]
)
def test_a_state_of_a_run_with_other_options_is_refused(tmp_path, change):
    train(tiny_model(), tmp_path, stop_at=3)
    with pytest.raises(
        checkpoints.CheckpointError, match=f"of a run with another {next(iter(change))}"
    ):
        train(tiny_model(), tmp_path, replace(CONFIG, **change))


def test_a_state_with_options_that_this_version_does_not_know_is_refused(tmp_path):
    train(tiny_model(), tmp_path, stop_at=3)
    state = tmp_path / "state.safetensors"
    tensors, record = checkpoints.read(state)
    checkpoints.write(state, tensors, record | {"training": record["training"] | {"momentum": 0.9}})
    with pytest.raises(checkpoints.CheckpointError, match="of a run with another momentum"):
        train(tiny_model(), tmp_path)


# The log


def test_every_entry_says_when_it_was_and_time_goes_on_over_resumes(tmp_path):
    train(tiny_model(), tmp_path, log_every=2, stop_at=6)
    run = train(tiny_model(), tmp_path, log_every=2)
    log = read_log(tmp_path)
    seconds = [entry["seconds"] for entry in log]
    assert len(seconds) == 6 and seconds == sorted(seconds) and run.seconds >= seconds[-1] - 0.01
    assert run.images_per_s > 0 and all(entry["images_per_s"] > 0 for entry in log)
    assert run.peak_memory_mib is None and not any("peak_memory_mib" in entry for entry in log)


def test_peak_memory_is_read_where_there_is_a_gpu(monkeypatch):
    calls = []
    monkeypatch.setattr(torch.cuda, "reset_peak_memory_stats", calls.append)
    monkeypatch.setattr(torch.cuda, "max_memory_allocated", lambda device: 3 * 2**20)
    device = torch.device("cuda:1")
    meter = Meter(device, 4, 0, 0.0)
    assert calls == [device] and meter.peak_memory_mib == 3.0
    assert meter.readings(2)["peak_memory_mib"] == 3.0
    assert Meter(device, 4, 0, 0.0, memory_before=5.5).peak_memory_mib == 5.5  # of an earlier call


def test_throughput_leaves_out_what_was_done_while_paused(monkeypatch):
    clock = iter([0.0, 10.0, 40.0, 50.0, 50.0])
    monkeypatch.setattr("time.perf_counter", lambda: next(clock))
    meter = Meter(torch.device("cpu"), 4, 100, 7.0)
    with meter.paused():  # 10 to 40
        pass
    assert meter.images_per_s(150) == 50 * 4 / (50 - 30)
    assert meter.seconds == 57.0


def test_tensorboard_gets_the_log_when_asked_for(tmp_path, monkeypatch):
    written = []

    class SummaryWriter:
        def __init__(self, folder):
            self.folder = folder

        def add_scalar(self, name, value, step):
            written.append((self.folder, name, value, step))

        def flush(self):
            pass

    monkeypatch.setitem(
        sys.modules, "torch.utils.tensorboard", types.SimpleNamespace(SummaryWriter=SummaryWriter)
    )
    train(tiny_model())
    assert written == []
    run = train(tiny_model(), tensorboard=tmp_path / "board", log_every=6)
    expected = [
        (str(tmp_path / "board"), name, value, entry["step"])
        for entry in run.log
        for name, value in entry.items()
        if name != "step"
    ]
    assert written == expected and {entry[3] for entry in written} == {6, 12}


def test_tensorboard_that_is_not_installed_is_an_error_before_training(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", None)
    model, start = tiny_model(), weights(tiny_model())
    with pytest.raises(
        ImportError, match="needs a package that is not installed.*pip install tensorboard"
    ):
        train(model, tensorboard=tmp_path / "board")
    assert torch.equal(weights(model), start) and not (tmp_path / "board").exists()
