"""The named, reproducible runs: data set x model x slot module x profile x seed -> checkpoint and result record.

Notebooks and the command line call the same functions. A record (`data/results/NAME.json`) holds everything that a run
was made of and what it scored, and the command that makes it again.
"""

import json
import math
from collections.abc import Callable
from dataclasses import asdict, replace
from functools import partial
from pathlib import Path
from typing import Literal

import torch
from torch import nn

from smm_tutorial import checkpoints, paths
from smm_tutorial.datasets import SceneImages
from smm_tutorial.evaluation import Selection, detailed_scores, evaluate, score, segment, segment_pixels
from smm_tutorial.evaluation_sets import EVALUATION_SETS, training_split
from smm_tutorial.losses import ReconstructionLoss
from smm_tutorial.models.discovery import DiscoveryConfig, ObjectDiscovery
from smm_tutorial.named_runs import NamedRun
from smm_tutorial.profiles import PROFILES, Profile
from smm_tutorial.training import Loss, Run, TrainingConfig, fast_precision, fit

#: The slot modules that are compared, in either task, by name: which one, how many times as wide, and its options. A slot of
#: SMM holds means and variances, twice the numbers of Slot Attention's: `attention-wide` has as many, `mixture-reduced` as few.
CONTESTANTS: dict[str, tuple[str, int, dict]] = {
    "attention": ("attention", 1, {}),
    "attention-wide": ("attention", 2, {}),
    "mixture-reduced": ("mixture", 1, {"content": "reduced"}),
    "mixture": ("mixture", 1, {}),
}
#: What a contestant's learning rate in a comparison is, as a multiple of the profile's: the best on the validation split in a
#: short search (`search-*` in `data/results`); `attention-wide` takes Slot Attention's.
LEARNING_RATE_FACTORS = {"attention": 2.0, "attention-wide": 2.0, "mixture-reduced": 2.0, "mixture": 1.0}
OBJECT_PRICE = 0.001  # see `ReconstructionLoss`; of the order of the squared error that is left when objects are found
_BARE = {"objective": "squared_error", "price": 0.0, "num_slots": None}
#: The run with something left out, or `complete`, by name: options of the network, and of the loss. `random-start` has torch's
#: random weights in the slots; `bare` has none of the other choices, and `bare-one-pixel` a decoder besides that sees a pixel.
#: `quiet-colours` has an encoder that hardly sees colour beside position.
VARIANTS: dict[str, tuple[dict, dict]] = {
    "complete": ({}, {}),
    "no-price": ({}, {"price": 0.0}),
    "no-share": ({"mask_prior": "none"}, {}),
    "squared-error": ({}, {"objective": "squared_error"}),
    "no-fewer-slots": ({}, {"num_slots": None}),
    "quiet-colours": ({"contrast": 0.04}, {}),
    "random-start": ({"slot_options": {"gradient": "last"}}, {}),
    "bare": ({"mask_prior": "none"}, _BARE),
    "bare-one-pixel": ({"mask_prior": "none", "decoder": "pixel"}, _BARE),
}
#: What a run is for: to show what the module can do, or to compare contestants that share everything else.
Kind = Literal["discovery", "comparison"]
#: What needs no training: slots as they are built, and a Gaussian mixture on raw pixels. Sizes as in this profile, in pixels.
BASELINES, UNTRAINED_SLOTS, BASELINE_PROFILE, BASELINE_SIZE = ("untrained", "pixels"), "mixture", "laptop", 48


def discovery_config(slots: str, profile: Profile, image_size: int | None = None) -> DiscoveryConfig:
    """The network of the discovery experiments. Everything but the slot module is the same for all `CONTESTANTS`.

    slots: one of them. image_size: instead of the profile's. Slots see 16 to 31 cells a side, every pixel with the papers'
    parts. The decoder starts from a cell for 4 x 4 pixels (from a coarser grid it learns far more slowly), the papers' from
    8 x 8 cells.
    """
    sizes, (module, widening, options) = profile.discovery, CONTESTANTS[slots]
    size, of_paper = image_size or sizes.image_size, sizes.parts == "paper"
    return DiscoveryConfig(
        slots=module, image_size=size, num_slots=sizes.num_slots, slot_dim=widening * sizes.slot_dim,
        num_iterations=4, encoder_channels=sizes.channels, encoder_stride=1 if of_paper else _power_of_two(size / 16),
        convolutions=sizes.parts, decoder="paper" if of_paper else "broadcast",
        decoder_channels=sizes.decoder_channels, decoder_grid=8 if of_paper else size // 4,
        slot_options={"initialisation": "clustering", "normalisation": "inputs", "gradient": "last"} | options,
    )  # fmt: skip


def _power_of_two(ratio: float) -> int:
    """The largest power of two that is not above `ratio`."""
    return 2 ** int(math.log2(ratio))


def discovery_model(config: DiscoveryConfig, seed: int) -> ObjectDiscovery:
    """The untrained network of a seed. The global random state is left as it was."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return ObjectDiscovery(config)


def train_discovery(
    model: ObjectDiscovery, data: SceneImages, config: TrainingConfig, run_dir: str | Path | None = None, *,
    loss_options: dict | None = None, **options,
) -> Run:  # fmt: skip
    """Trains on images alone. loss_options: of `ReconstructionLoss`; other options: of `training.fit`."""
    return fit(model, discovery_loss(model, data, config, loss_options), config, run_dir, **options)


def discovery_loss(
    model: ObjectDiscovery, data: SceneImages, config: TrainingConfig, options: dict | None = None
) -> ReconstructionLoss:
    """The loss of a run. options: of `ReconstructionLoss`."""
    return ReconstructionLoss(model, data, config.batch_size, steps=config.steps, **options or {})


def validation_score(data: SceneImages, model: ObjectDiscovery) -> dict[str, float]:
    """What is logged of a model while it trains."""
    return score(data, segment(model, data))


class DiscoveryRun(NamedRun):
    """A named run of object discovery."""

    choosing = "fg_ari"

    def __init__(
        self, command: str, slots: str, data: str, profile: Profile, seed: int, steps: int | None = None,
        variant: str | None = None, image_size: int | None = None, training_options: dict | None = None, *,
        kind: Kind = "discovery", learning_rate: float | None = None,
    ):  # fmt: skip
        """slots: one of `CONTESTANTS`. data: one of `TRAINING_DATA`. variant: of `VARIANTS`, for a run of their own kind.

        steps, image_size, learning_rate: instead of the profile's. A comparison with a rate of one's own is a run of another
        kind, `search`, for the best rate. training_options: of `TrainingConfig`, instead of the profile's and this hardware's.
        """
        sizes, (options, loss_options) = profile.discovery, VARIANTS[variant or "complete"]
        self.loss_options = {"objective": "mixture", "price": OBJECT_PRICE, "num_slots": sizes.train_slots} | loss_options
        self.variant = variant
        schedule = {"schedule": sizes.schedule, "warmup_steps": sizes.warmup_steps, "half_life": sizes.half_life}
        chosen = schedule | {"clip_norm": sizes.clip_norm, "precision": fast_precision()} | (training_options or {})
        factor = LEARNING_RATE_FACTORS[slots] if kind == "comparison" else 1.0
        training = TrainingConfig(
            sizes.steps if steps is None else steps, sizes.batch_size,
            factor * sizes.learning_rate if learning_rate is None else learning_rate, seed=seed, **chosen,
        )  # fmt: skip
        searched = kind == "comparison" and learning_rate is not None
        kind = "variant" if variant else "search" if searched else kind
        named, sized = (f"variant-{variant}" if variant else kind), (f"-{image_size}px" if image_size else "")
        rate = "" if learning_rate is None else f"-rate{learning_rate:g}"
        model = discovery_model(replace(discovery_config(slots, profile, image_size), **options), seed)
        name = f"{named}-{slots}-{data}-{profile.name}{sized}{rate}-seed{seed}"
        super().__init__(name, command, kind, slots, data, profile, model, training)

    def prepare(self) -> tuple[Loss, Callable[[nn.Module], dict[str, float]]]:
        train, validation = (training_split(self.data, split, self.config.image_size) for split in ("train", "val"))
        loss = discovery_loss(self.model, train, self.training, self.loss_options)
        return loss, partial(validation_score, validation)

    def test(self) -> tuple[str, dict]:
        tested_on = EVALUATION_SETS[self.data]
        test = tested_on.load(self.config.image_size)
        return tested_on.label_of(len(test)), evaluate(self.model, test, num_slots=tested_on.num_slots)

    def choices(self) -> dict:
        return {"training": asdict(self.training) | {"loss": self.loss_options}, "variant": self.variant}


def load_trained(what: str) -> checkpoints.Checkpoint:
    """A committed checkpoint or one of a run on this machine, by its name; or any, by its file.

    Raises `CheckpointError` where there is none.
    """
    run = paths.runs_dir() / what / f"{what}.safetensors"
    return checkpoints.load(run if what not in checkpoints.available() and run.is_file() else what)


def load_discovery(what: str) -> checkpoints.Checkpoint:
    """`load_trained`. Raises `CheckpointError` where it is of another kind of model, too."""
    checkpoint = load_trained(what)
    if not isinstance(checkpoint.model, ObjectDiscovery):
        raise checkpoints.CheckpointError(
            f"{what} is a {type(checkpoint.model).__name__}, but only models of object discovery paint masks that can be scored"
        )
    return checkpoint


def evaluated_record(
    what: str, data: str, root: str | Path | None, seed: int, command: str, starts: int = 1, selection: Selection = "all"
) -> dict:  # fmt: skip
    """Scores a checkpoint (by name or file), `untrained` slots, or `pixels` (a mixture on raw pixels, no slots).

    data: one of `EVALUATION_SETS`, at `root` where it needs a folder. starts, selection: see `evaluation.segmentations`; scores
    with other than one start and all slots stand under a label of their own.

    Returns the result record with this score in it, beside those that `data/results` already holds for other data.

    Raises `CheckpointError` for an unknown checkpoint, `ValueError` or `DatasetError` as the data do, and as `kept_beside`.
    """
    if what in BASELINES:
        config = discovery_config(UNTRAINED_SLOTS, PROFILES[BASELINE_PROFILE], BASELINE_SIZE)
        record = {"name": f"discovery-{what}", "config": asdict(config), "scores": {}}
        record["provenance"] = checkpoints.provenance()
        model = discovery_model(config, seed).eval()
    else:
        model, record = load_discovery(what)
    record = kept_beside(record)
    if data not in EVALUATION_SETS:
        raise ValueError(f"no masks are scored on {data!r}: known are {', '.join(EVALUATION_SETS)}")
    scenes = EVALUATION_SETS[data]
    test = scenes.load(model.config.image_size, root)
    if what == "pixels":
        scores = detailed_scores(test, segment_pixels(test, scenes.num_slots or model.config.num_slots, seed))
    else:
        scores = evaluate(model, test, seed, scenes.num_slots, starts, selection)
    label = scenes.label_of(len(test)) + protocol_label(starts, selection)
    record["scores"][label] = scores | {"command": command}
    return record


def kept_beside(record: dict) -> dict:
    """The record in `data/results` of the same run, with the scores that are there; the record itself where there is none.

    Raises `ValueError` where `data/results` holds the record of another run by the same name.
    """
    if not (paths.results_dir() / f"{record['name']}.json").is_file():
        return record
    kept = read_record(record["name"])
    if differ := _differences(record, kept):
        raise ValueError(
            f"data/results/{record['name']}.json is of a run with another {', '.join(differ)}: scores of two runs do not "
            "go into one record; keep the new run's record first (smm-tutorial train ... --keep), or delete the old one"
        )
    return kept


def protocol_label(starts: int, selection: Selection) -> str:
    """What labels of scores say of an evaluation that is not by one start with all slots."""
    chosen = ", slots by BIC" if selection == "bic" else ""
    return (f", best of {starts} starts" if starts > 1 else "") + chosen


def keep_record(record: dict) -> Path:
    """Writes a run's record to `data/results`; where it is there already, scores on other data stay in it."""
    path = paths.results_dir() / f"{record['name']}.json"
    kept = read_record(record["name"]) if path.is_file() else {}
    earlier = {} if _differences(record, kept) else kept["scores"]
    return write_record(record | {"scores": earlier | record["scores"]})


def _differences(record: dict, kept: dict) -> list[str]:
    """What shows that two records by the same name are of different runs."""
    return [key for key in ("config", "training", "step", "validation") if record.get(key) != kept.get(key)]


def write_record(record: dict, folder: Path | None = None) -> Path:
    """Writes `NAME.json` to `folder` (`data/results` if not given), atomically."""
    path = (folder or paths.results_dir()) / f"{record['name']}.json"
    paths.write_atomically(path, (json.dumps(record, indent=2) + "\n").encode())
    return path


def read_record(name: str) -> dict:
    """A committed result record. Raises `FileNotFoundError` that lists the known ones."""
    path = paths.results_dir() / f"{name}.json"
    if not path.is_file():
        known = ", ".join(sorted(p.stem for p in paths.results_dir().glob("*.json"))) or "none"
        raise FileNotFoundError(f"there is no result {name!r} in {paths.results_dir()}; known: {known}")
    return json.loads(path.read_text(encoding="utf-8"))
