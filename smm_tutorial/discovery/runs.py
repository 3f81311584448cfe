"""Runs of object discovery: the choices that decide a run, its training and its record."""

from dataclasses import asdict, dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

from smm_tutorial import checkpoints
from smm_tutorial.arguments import check_choice
from smm_tutorial.datasets import SceneImages
from smm_tutorial.datasets.foreign_sets import FOREIGN_SETS, ForeignSet
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
from smm_tutorial.discovery.scores import evaluate, score, score_likelihood
from smm_tutorial.discovery.segmentation import segment
from smm_tutorial.experiments.run import (
    Purpose,
    build_seeded,
    check_own_images,
    check_purpose,
    choices_of_state,
    describe_choices,
    describe_images,
    describe_run,
    name_engine,
    name_images,
    name_of_model,
    run_folder,
)
from smm_tutorial.profiles import current_profile
from smm_tutorial.results.provenance import provenance
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
        data: a name in `named_sets.TRAINING_DATA` or `foreign_sets.FOREIGN_SETS`.
        profile: a name in `SIZES`; by default the profile of this machine.
        seed: of the weights and of every training step.
        steps: number of training steps.
        size: pixels per side of an image.
        rate: the learning rate. A comparison uses the rate that a search has found. So a run with
            another rate must have the purpose `search`.
        purpose: what the run is for; see `experiments.run.Purpose`.
        ablation: a name in `ABLATIONS`, for the purpose `ablation`.
        root, limit, max_objects: which images of a set in `FOREIGN_SETS` are used; see
            `ForeignSet`.
        begin_with: name or file of a trained model. The run starts from its weights.
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
    root: str | None = None
    limit: int | None = None
    max_objects: int | None = None
    begin_with: str | None = None

    def __post_init__(self):
        check_choice("module", self.module, CONTESTANTS)
        check_choice("data", self.data, (*TRAINING_DATA, *FOREIGN_SETS))
        check_own_images(self)
        check_choice("profile", self.profile, SIZES)
        check_purpose(self, ABLATIONS)
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
        parts += name_images(self)
        usual = SIZES[self.profile].steps, KEPT_STEPS.get((self.profile, self.purpose))
        parts += name_engine(self, *usual)
        if self.begin_with is not None:
            parts.append("begun")
        return "-".join([*parts, f"seed{self.seed}"])

    @property
    def foreign(self) -> ForeignSet | None:
        """The set of training images from others; None for images that come with the course."""
        if self.data not in FOREIGN_SETS:
            return None
        return ForeignSet(self.data, self.root, self.limit, self.max_objects)

    def load(self, split: str) -> SceneImages:
        """Loads the images of a split of the run's data. split: `train`, `val` or `test`."""
        size = self.config.image_size
        if self.foreign is not None:
            return self.foreign.load(split, size)
        if split == "test":
            return EVALUATION_SETS[self.data].load(size)
        return training_split(self.data, split, size)

    @property
    def folder(self) -> Path:
        """The folder on this machine that holds the state of the run, to continue it."""
        return run_folder(self.name)

    @property
    def config(self) -> DiscoveryConfig:
        """The config of the network."""
        config = network_config(self.module, SIZES[self.profile], self.size)
        changes = ABLATIONS[self.ablation or "complete"]
        config = replace(config, slot_options=config.slot_options | changes.slots)
        return replace(config, **changes.network)

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
        chosen |= ABLATIONS[self.ablation or "complete"].training
        return training_config(sizes, self.seed, self.steps, **chosen)

    @property
    def choices(self) -> dict:
        """The choices in the form of a record."""
        described = describe_choices(self, loss=asdict(self.loss)) | {"ablation": self.ablation}
        described |= describe_images(self)
        if self.begin_with is not None:
            described["begun_with"] = name_of_model(self.begin_with)
        return described


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
    if run.begin_with is not None:
        begin_with_trained(model, run.begin_with)
    data = run.load("train")
    draw_noise = partial(model.start_noise, num_slots=run.loss.num_slots)
    batches = Batches(data, run.training.batch_size, draw_noise, mirrored=MIRRORED)
    loss = make_loss(run.loss, run.training.steps)
    told = choices_of_state(run)
    result = fit(model, batches, loss, run.training, folder, choices=told, **engine)
    return model.eval(), result


def begin_with_trained(model: ObjectDiscovery, what: str) -> None:
    """Copies the weights of a trained model to `model`, for fine-tuning.

    what: name or file of the trained model.

    Raises `CheckpointError` if there is no such model, or if its config differs from `model`'s.
    """
    trained, record = checkpoints.load(what)
    if not isinstance(trained, ObjectDiscovery) or trained.config != model.config:
        raise checkpoints.CheckpointError(
            f"{what} is a {record['model']} that is built otherwise than this run's model: choose "
            "its --slots, --profile and --size"
        )
    model.load_state_dict(trained.state_dict())


def train_and_record(
    run: DiscoveryRun, command: str = "", **engine: Any
) -> tuple[ObjectDiscovery, dict | None]:
    """Trains a run in its folder, and scores the network on the test split -> network and record.

    command: the command that repeats the run. engine: options of `training.fit`. Under `torchrun`
    only the first process scores. In the other processes the record is None.
    """
    made_by = provenance()  # before the training: files on disk may change while the run trains
    validation = run.load("val")
    has_masks = validation.masks is not None

    def validate(model: ObjectDiscovery) -> dict[str, float]:
        if has_masks:
            return score(validation, segment(model, validation))
        return score_likelihood(model, validation)

    model, result = train(run, run.folder, evaluate=validate, **engine)
    if not is_first_process():
        return model, None
    test = run.load("test")
    own = EVALUATION_SETS.get(run.data)
    if has_masks:
        scores = evaluate(model, test, num_slots=own.num_slots if own else None)
    else:
        scores = score_likelihood(model, test) | {"starts": 1, "selection": "all"}
    record = describe_run(
        run,
        model,
        result,
        task="discovery",
        command=command,
        validated="fg_ari" if has_masks else "nats_per_pixel",
        made_by=made_by,
    )
    record["scores"] = [{"set": run.data} | scores]
    return model, record
