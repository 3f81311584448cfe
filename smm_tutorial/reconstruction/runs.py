"""Runs of image reconstruction: the choices that decide a run, its training and its record."""

from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from smm_tutorial import checkpoints
from smm_tutorial.arguments import check_choice
from smm_tutorial.datasets import SceneImages
from smm_tutorial.datasets.named_sets import EVALUATION_SETS, TRAINING_DATA, training_split
from smm_tutorial.experiments.run import (
    Purpose,
    build_seeded,
    check_purpose,
    choices_of_state,
    describe_choices,
    describe_run,
    name_engine,
    name_of_model,
    run_folder,
)
from smm_tutorial.profiles import current_profile
from smm_tutorial.reconstruction.ablations import ABLATIONS
from smm_tutorial.reconstruction.model import ReconstructionConfig, SlotReconstruction, Tokenizer
from smm_tutorial.reconstruction.recipe import (
    KEPT_STEPS,
    LEARNING_RATE_FACTORS,
    MIRRORED,
    SIZES,
    make_draw,
    make_sequence_loss,
    network_config,
    training_config,
)
from smm_tutorial.reconstruction.scores import evaluate
from smm_tutorial.reconstruction.tokenizers import TokenizerRun
from smm_tutorial.results.provenance import provenance
from smm_tutorial.slots.contestants import CONTESTANTS
from smm_tutorial.training.batches import Batches
from smm_tutorial.training.config import Compile, Precision, TrainingConfig
from smm_tutorial.training.loop import TrainingResult, fit
from smm_tutorial.training.processes import is_first_process

TOKENIZED_AT_ONCE = 256  # images


@dataclass(frozen=True)
class ReconstructionRun:
    """The choices that decide a run of image reconstruction. None means the recipe's choice.

    Args:
        module: a name in `slots.CONTESTANTS`.
        data: a name in `named_sets.TRAINING_DATA`.
        profile: a name in `SIZES`; by default the profile of this machine.
        seed: of the weights and of every training step.
        steps: number of training steps.
        size: pixels per side of an image.
        rate: the learning rate; see `DiscoveryRun`.
        purpose: what the run is for; see `experiments.run.Purpose`.
        ablation: a name in `ABLATIONS`, for the purpose `ablation`.
        tokenizer: name or file of a trained tokenizer; by default the one for data, profile, size.
        begin_with: name or file of a trained model of object discovery. The run takes over its
            encoder and its slots, and does not change them.
        precision, compile: see `TrainingConfig`.

    Raises:
        ValueError: an unknown name, or choices that contradict each other.
    """

    module: str = "mixture"
    data: str | None = None
    profile: str = field(default_factory=lambda: current_profile().name)
    seed: int = 0
    steps: int | None = None
    size: int | None = None
    rate: float | None = None
    purpose: Purpose = "showcase"
    ablation: str | None = None
    tokenizer: str | None = None
    begin_with: str | None = None
    precision: Precision | None = None
    compile: Compile = "none"

    def __post_init__(self):
        check_choice("module", self.module, CONTESTANTS)
        check_choice("profile", self.profile, SIZES)
        if self.data is None:
            object.__setattr__(self, "data", SIZES[self.profile].data)
        check_choice("data", self.data, TRAINING_DATA)
        check_purpose(self, ABLATIONS)
        if self.begin_with is not None and self.ablation is not None:
            raise ValueError(
                "an ablation trains slots of its own, or none: leave out begin_with, got "
                f"{self.begin_with!r}"
            )
        _ = self.training, self.config  # checks the other fields

    @property
    def name(self) -> str:
        """The name of the run, of its files and of its record."""
        kinds = {"showcase": "", "ablation": f"-variant-{self.ablation}"}
        kind = kinds.get(self.purpose, f"-{self.purpose}")
        parts = [f"reconstruction{kind}", self.module, self.data, self.profile]
        if self.size is not None and self.size != SIZES[self.profile].image_size:
            parts.append(f"{self.size}px")
        usual = SIZES[self.profile].steps, KEPT_STEPS.get((self.profile, self.purpose))
        parts += name_engine(self, *usual)
        if self.begin_with is not None:
            parts.append("frozen")
        return "-".join([*parts, f"seed{self.seed}"])

    @property
    def folder(self) -> Path:
        """The folder on this machine that holds the state of the run, to continue it."""
        return run_folder(self.name)

    @property
    def config(self) -> ReconstructionConfig:
        """The config of the network."""
        inputs = "tokens" if self.begin_with is None else "pixels"
        config = network_config(self.module, SIZES[self.profile], self.size, inputs)
        changes = ABLATIONS[self.ablation or "complete"]
        config = replace(config, slot_options=config.slot_options | changes.slots)
        return replace(config, **changes.network)

    @property
    def trains_slots(self) -> bool:
        """Whether encoder and slots learn. Otherwise only the transformer does."""
        return self.begin_with is None and ABLATIONS[self.ablation or "complete"].trains_slots

    @property
    def training(self) -> TrainingConfig:
        sizes = SIZES[self.profile]
        factor = LEARNING_RATE_FACTORS[self.module] if self.purpose == "comparison" else 1.0
        chosen = {
            "learning_rate": factor * sizes.learning_rate if self.rate is None else self.rate,
            "compile": self.compile,
        }
        if self.precision is not None:
            chosen["precision"] = self.precision
        if not self.trains_slots:
            chosen["shared_rate"] = 1.0  # encoder and slots do not learn at all
        chosen |= ABLATIONS[self.ablation or "complete"].training
        return training_config(sizes, self.seed, self.steps, **chosen)

    @property
    def tokenizer_name(self) -> str:
        """Name or file of the tokenizer."""
        if self.tokenizer is not None:
            return self.tokenizer
        return TokenizerRun(self.data, self.profile, size=self.size).name

    @property
    def choices(self) -> dict:
        """The choices in the form of a record."""
        described = describe_choices(self) | {"ablation": self.ablation}
        described["tokenizer"] = name_of_model(self.tokenizer_name)
        begun = None if self.begin_with is None else name_of_model(self.begin_with)
        return described | {"begun_with": begun}

    def load(self, split: str) -> SceneImages:
        """Loads the images of a split of the run's data. split: `train`, `val` or `test`."""
        return training_split(self.data, split, self.config.image_size)


@torch.no_grad()
def tokenize_all(tokenizer: Tokenizer, data: SceneImages) -> Tensor:
    """Computes the tokens of all images and of their mirror images -> int16 `(M, 2, N)`."""
    device = next(tokenizer.parameters()).device
    found = []
    for first in range(0, len(data), TOKENIZED_AT_ONCE):
        images = data.batch(slice(first, first + TOKENIZED_AT_ONCE)).images.to(device)
        both = [tokenizer.tokenize(images), tokenizer.tokenize(images.flip(3))]
        found.append(torch.stack(both, dim=1).short().cpu())
    return torch.cat(found)


def load_tokenizer(what: str) -> Tokenizer:
    """Loads a trained tokenizer by its name or its file.

    Raises `CheckpointError` if there is no such checkpoint, or if it is of another model.
    """
    tokenizer, _ = checkpoints.load(what)
    if not isinstance(tokenizer, Tokenizer):
        raise checkpoints.CheckpointError(
            f"{what} is a {type(tokenizer).__name__} and no Tokenizer: `smm-tutorial train "
            "tokenizer` trains one"
        )
    return tokenizer


def build_model(
    config: ReconstructionConfig, tokenizer: Tokenizer, seed: int
) -> SlotReconstruction:
    """Builds the untrained network of a seed around a trained tokenizer.

    The global random state does not change. Raises `ValueError` if the tokenizer has other sizes.
    """

    def make() -> SlotReconstruction:
        model = SlotReconstruction(config)
        model.take_tokenizer(tokenizer)
        return model

    return build_seeded(make, seed)


def begin_with_discovery(model: SlotReconstruction, what: str) -> None:
    """Copies encoder and slots of a trained model of object discovery to `model`.

    what: name or file of the trained model.

    Raises `CheckpointError` if there is no such model, or if its encoder or slots have other sizes.
    """
    trained, record = checkpoints.load(what)
    try:
        for part in model.shared_parts:
            getattr(model, part).load_state_dict(getattr(trained, part).state_dict())
    except (RuntimeError, AttributeError) as error:
        raise checkpoints.CheckpointError(
            f"{what} is a {record['model']} whose encoder or slots do not fit this run's model: "
            "choose its --slots, --profile and --size"
        ) from error


def train(
    run: ReconstructionRun, folder: str | Path | None = None, **engine: Any
) -> tuple[SlotReconstruction, TrainingResult]:
    """Trains the network of a run, and rounds its weights, so that checkpoints are small.

    The arguments and the result are those of `discovery.train`.
    """
    tokenizer = load_tokenizer(run.tokenizer_name)
    model = build_model(run.config, tokenizer, run.seed)
    if run.begin_with is not None:
        begin_with_discovery(model, run.begin_with)
    if not run.trains_slots:
        for part in model.shared_parts:
            getattr(model, part).requires_grad_(False)
    data = run.load("train")
    tokens, of_mirrored = tokenize_all(tokenizer, data).unbind(dim=1)
    batches = Batches(
        data,
        run.training.batch_size,
        make_draw(model),
        mirrored=MIRRORED,
        targets=tokens,
        mirrored_targets=of_mirrored,
    )
    told = choices_of_state(run)
    loss = make_sequence_loss(run.config)
    result = fit(model, batches, loss, run.training, folder, choices=told, **engine)
    checkpoints.round_weights(model)
    return model.eval(), result


def train_and_record(
    run: ReconstructionRun, command: str = "", **engine: Any
) -> tuple[SlotReconstruction, dict | None]:
    """Trains a run in its folder, and scores the network on the test split -> network and record.

    command: the command that repeats the run. engine: options of `training.fit`. Under `torchrun`
    only the first process scores. In the other processes the record is None.
    """
    made_by = provenance()  # before the training: files on disk may change while the run trains
    validation = run.load("val")

    def validate(model: SlotReconstruction) -> dict[str, float]:
        scores = evaluate(model, validation, generates=False)
        chosen = {name: scores[name] for name in ("nats", "right", "fg_ari", "mbo")}
        return chosen | {"teacher_forced_psnr": scores["teacher_forced"]["psnr"]}

    model, result = train(run, run.folder, evaluate=validate, **engine)
    if not is_first_process():
        return model, None
    record = describe_run(
        run,
        model,
        result,
        task="reconstruction",
        command=command,
        validated="nats",
        made_by=made_by,
    )
    own = EVALUATION_SETS[run.data]
    scores = evaluate(model, run.load("test"), num_slots=own.num_slots)
    record["scores"] = [{"set": run.data} | scores]
    return model, record
