"""Runs of object discovery: the choices that decide a run, its training and its record."""

from dataclasses import asdict, dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

from smm_tutorial.datasets.named_sets import EVALUATION_SETS, TRAINING_DATA, training_split
from smm_tutorial.discovery.ablations import ABLATIONS
from smm_tutorial.discovery.model import DiscoveryConfig, ObjectDiscovery
from smm_tutorial.discovery.recipe import (
    KEPT_STEPS,
    LEARNING_RATE_FACTORS,
    MIRRORED,
    SIZES,
    LossChoices,
    make_loss,
    network_config,
    training_config,
)
from smm_tutorial.discovery.scores import evaluate, score
from smm_tutorial.discovery.segmentation import segment
from smm_tutorial.experiments.run import (
    Purpose,
    build_seeded,
    choices_of_state,
    describe_choices,
    describe_run,
    name_engine,
    run_folder,
)
from smm_tutorial.profiles import current_profile
from smm_tutorial.results.provenance import provenance
from smm_tutorial.slots.base import check_choice
from smm_tutorial.slots.contestants import CONTESTANTS
from smm_tutorial.training.batches import Batches
from smm_tutorial.training.config import Compile, Precision, TrainingConfig
from smm_tutorial.training.loop import TrainingResult, fit
from smm_tutorial.training.processes import is_first_process

LEAST_SIZE = 12  # pixels per side; smaller images have too few cells for encoder and decoder


@dataclass(frozen=True)
class DiscoveryRun:
    """The choices that decide a run of object discovery. None means the recipe's choice.

    Args:
        module: a name in `slots.CONTESTANTS`.
        data: a name in `named_sets.TRAINING_DATA`.
        profile: a name in `SIZES`; by default the profile of this machine.
        seed: of the weights and of every training step.
        steps: number of training steps.
        size: pixels per side of an image.
        rate: the learning rate. A comparison uses the rate that a search has found. So a run with
            another rate must have the purpose `search`.
        purpose: what the run is for; see `experiments.run.Purpose`.
        ablation: a name in `ABLATIONS`, for the purpose `ablation`.
        precision, compile: see `TrainingConfig`.

    Raises:
        ValueError: an unknown name, or choices that contradict each other.
    """

    module: str = "mixture"
    data: str = "clevr6"
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
        check_choice("module", self.module, CONTESTANTS)
        check_choice("data", self.data, TRAINING_DATA)
        check_choice("profile", self.profile, SIZES)
        check_choice("purpose", self.purpose, Purpose)
        if (self.ablation is not None) != (self.purpose == "ablation"):
            raise ValueError(
                f"ablation and purpose='ablation' go together, got {self.ablation!r} and "
                f"{self.purpose!r}"
            )
        if self.ablation is not None:
            check_choice("ablation", self.ablation, ABLATIONS)
        if self.purpose in ("comparison", "search") and (self.rate is None) == (
            self.purpose == "search"
        ):
            raise ValueError(
                "a comparison takes the learning rate of its search, and a search needs one: "
                f"got rate={self.rate} for purpose={self.purpose!r}"
            )
        if self.size is not None and self.size < LEAST_SIZE:
            raise ValueError(f"size must be at least {LEAST_SIZE} pixels, got {self.size}")
        _ = self.training  # checks the other fields

    @property
    def name(self) -> str:
        """The name of the run, of its files and of its record."""
        prefixes = {"showcase": "discovery", "ablation": f"variant-{self.ablation}"}
        parts = [prefixes.get(self.purpose, self.purpose), self.module, self.data, self.profile]
        if self.size is not None:
            parts.append(f"{self.size}px")
        usual = SIZES[self.profile].steps, KEPT_STEPS.get((self.profile, self.purpose))
        return "-".join([*parts, *name_engine(self, *usual), f"seed{self.seed}"])

    @property
    def folder(self) -> Path:
        """The folder on this machine that holds the state of the run, to continue it."""
        return run_folder(self.name)

    @property
    def config(self) -> DiscoveryConfig:
        """The config of the network."""
        config = network_config(self.module, SIZES[self.profile], self.size)
        return replace(config, **ABLATIONS[self.ablation or "complete"].network)

    @property
    def loss(self) -> LossChoices:
        return replace(LossChoices(), **ABLATIONS[self.ablation or "complete"].loss)

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
        return training_config(sizes, self.seed, self.steps, **chosen)

    @property
    def choices(self) -> dict:
        """The choices in the form of a record."""
        return describe_choices(self, loss=asdict(self.loss)) | {"ablation": self.ablation}


def build_model(config: DiscoveryConfig, seed: int) -> ObjectDiscovery:
    """Builds the untrained network of a seed. The global random state does not change."""
    return build_seeded(lambda: ObjectDiscovery(config), seed)


def train(
    run: DiscoveryRun, folder: str | Path | None = None, **engine: Any
) -> tuple[ObjectDiscovery, TrainingResult]:
    """Trains the network of a run on images, without labels.

    folder: the folder of the run's state and log. If it holds a state, the training continues from
    there. None: nothing is saved. engine: options of `training.fit`, such as `evaluate`.

    Returns the network in eval mode and the result of `training.fit`.
    """
    model = build_model(run.config, run.seed)
    data = training_split(run.data, "train", run.config.image_size)
    draw_noise = partial(model.start_noise, num_slots=run.loss.num_slots)
    batches = Batches(data, run.training.batch_size, draw_noise, mirrored=MIRRORED)
    loss = make_loss(run.loss, run.training.steps)
    told = choices_of_state(run)
    result = fit(model, batches, loss, run.training, folder, choices=told, **engine)
    return model.eval(), result


def train_and_record(
    run: DiscoveryRun, command: str = "", **engine: Any
) -> tuple[ObjectDiscovery, dict | None]:
    """Trains a run in its folder, and scores the network on the test split -> network and record.

    command: the command that repeats the run. engine: options of `training.fit`. Under `torchrun`
    only the first process scores. In the other processes the record is None.
    """
    made_by = provenance()  # before the training: files on disk may change while the run trains
    size = run.config.image_size
    validation = training_split(run.data, "val", size)
    model, result = train(
        run,
        run.folder,
        evaluate=lambda model: score(validation, segment(model, validation)),
        **engine,
    )
    if not is_first_process():
        return model, None
    scenes = EVALUATION_SETS[run.data]
    test = scenes.load(size)
    scores = evaluate(model, test, num_slots=scenes.num_slots)
    record = describe_run(
        run, model, result, task="discovery", command=command, validated="fg_ari", made_by=made_by
    )
    record["scores"] = [{"set": run.data} | scores]
    return model, record
