"""Runs that train a tokenizer, before any slot is trained."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from smm_tutorial import checkpoints
from smm_tutorial.arguments import check_choice
from smm_tutorial.datasets import SceneImages
from smm_tutorial.datasets.named_sets import TRAINING_DATA, training_split
from smm_tutorial.experiments.run import (
    Purpose,
    build_seeded,
    check_purpose,
    choices_of_state,
    describe_choices,
    describe_run,
    name_engine,
    run_folder,
)
from smm_tutorial.networks.dvae import draw_gumbel
from smm_tutorial.profiles import current_profile
from smm_tutorial.reconstruction.ablations import TOKENIZER_ABLATIONS
from smm_tutorial.reconstruction.model import Tokenizer, TokenizerConfig
from smm_tutorial.reconstruction.recipe import (
    MIRRORED,
    SIZES,
    make_tokenizer_loss,
    start_from_patches,
    tokenizer_config,
    tokenizer_training,
)
from smm_tutorial.reconstruction.scores import evaluate_tokenizer
from smm_tutorial.results.provenance import provenance
from smm_tutorial.training.batches import Batches
from smm_tutorial.training.config import Compile, Precision, TrainingConfig
from smm_tutorial.training.loop import TrainingResult, fit
from smm_tutorial.training.processes import is_first_process


@dataclass(frozen=True)
class TokenizerRun:
    """The choices that decide the training of a tokenizer. None means the recipe's choice.

    The fields are those of `ReconstructionRun`, without a slot module.
    """

    data: str | None = None
    profile: str = field(default_factory=lambda: current_profile().name)
    seed: int = 0
    steps: int | None = None
    size: int | None = None
    rate: float | None = None
    purpose: Purpose = "showcase"
    ablation: str | None = None
    precision: Precision | None = None
    compile: Compile = "none"

    def __post_init__(self):
        check_choice("profile", self.profile, SIZES)
        if self.data is None:
            object.__setattr__(self, "data", SIZES[self.profile].data)
        check_choice("data", self.data, TRAINING_DATA)
        check_purpose(self, TOKENIZER_ABLATIONS)
        _ = self.training, self.config  # checks the other fields

    @property
    def module(self) -> None:
        """A tokenizer has no slots."""

    @property
    def name(self) -> str:
        """The name of the run, of its files and of its record."""
        kind = f"tokenizer-variant-{self.ablation}" if self.ablation else "tokenizer"
        parts = [kind, self.data, self.profile]
        if self.size is not None and self.size != SIZES[self.profile].image_size:
            parts.append(f"{self.size}px")
        parts += name_engine(self, SIZES[self.profile].tokenizer_steps)
        return "-".join([*parts, f"seed{self.seed}"])

    @property
    def folder(self) -> Path:
        """The folder on this machine that holds the state of the run, to continue it."""
        return run_folder(self.name)

    @property
    def config(self) -> TokenizerConfig:
        return tokenizer_config(SIZES[self.profile], self.size)

    @property
    def training(self) -> TrainingConfig:
        chosen = {
            name: value
            for name, value in (("learning_rate", self.rate), ("precision", self.precision))
            if value is not None
        }
        sizes = SIZES[self.profile]
        return tokenizer_training(sizes, self.seed, self.steps, compile=self.compile, **chosen)

    @property
    def choices(self) -> dict:
        """The choices in the form of a record."""
        return describe_choices(self) | {"ablation": self.ablation}

    def load(self, split: str) -> SceneImages:
        """Loads the images of a split of the run's data. split: `train`, `val` or `test`."""
        return training_split(self.data, split, self.config.image_size)


def build_tokenizer(config: TokenizerConfig, seed: int) -> Tokenizer:
    """Builds the untrained tokenizer of a seed. The global random state does not change."""
    return build_seeded(lambda: Tokenizer(config), seed)


def train(
    run: TokenizerRun, folder: str | Path | None = None, **engine: Any
) -> tuple[Tokenizer, TrainingResult]:
    """Trains the tokenizer of a run, and rounds its weights, so that checkpoints are small.

    Arguments and result are those of `discovery.train`.
    """
    model = build_tokenizer(run.config, run.seed)
    data = run.load("train")
    if run.ablation != "random-codes":
        start_from_patches(model, data, run.seed)
    side = run.config.image_size // run.config.patch

    def draw_noise(batch: int, generator: torch.Generator) -> Tensor:
        shape = (batch, run.config.num_codes, side, side)
        return draw_gumbel(shape, generator).to(next(model.parameters()).device)

    batches = Batches(data, run.training.batch_size, draw_noise, mirrored=MIRRORED)
    loss = make_tokenizer_loss(run.training.steps)
    told = choices_of_state(run)
    result = fit(model, batches, loss, run.training, folder, choices=told, **engine)
    checkpoints.round_weights(model)
    return model.eval(), result


def train_and_record(
    run: TokenizerRun, command: str = "", **engine: Any
) -> tuple[Tokenizer, dict | None]:
    """Trains a tokenizer in its folder, and scores it -> tokenizer and record.

    The arguments are those of `runs.train_and_record`.
    """
    made_by = provenance()
    validation = run.load("val")

    def validate(model: Tokenizer) -> dict[str, float]:
        scores = evaluate_tokenizer(model, validation)
        return {name: scores[name] for name in ("psnr", "perplexity", "dead_codes")}

    model, result = train(run, run.folder, evaluate=validate, **engine)
    if not is_first_process():
        return model, None
    record = describe_run(
        run, model, result, task="tokenizer", command=command, validated="psnr", made_by=made_by
    )
    record["scores"] = [{"set": run.data} | evaluate_tokenizer(model, run.load("test"))]
    return model, record
