"""Runs of set prediction: the choices that define a run, its training and its record."""

import math
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from smm_tutorial.arguments import check_choice, check_whole
from smm_tutorial.datasets import SceneImages
from smm_tutorial.datasets.foreign_sets import SETS_WITH_RECORDS, ForeignSet
from smm_tutorial.datasets.named_sets import SET_DATA, SET_EVALUATION_SETS, set_split
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
    short_number,
)
from smm_tutorial.profiles import current_profile
from smm_tutorial.results.provenance import provenance
from smm_tutorial.set_prediction.ablations import ABLATIONS
from smm_tutorial.set_prediction.model import SetPredictionConfig, SetPredictor
from smm_tutorial.set_prediction.recipe import (
    KEPT_STEPS,
    LEARNING_RATE_FACTORS,
    SIZES,
    VALIDATION_SCENES,
    SetPredictionSizes,
    begin_with_discovery,
    make_loss,
    network_config,
    training_config,
)
from smm_tutorial.set_prediction.scores import evaluate
from smm_tutorial.set_prediction.targets import set_targets
from smm_tutorial.slots.contestants import CONTESTANTS
from smm_tutorial.training.batches import Batches
from smm_tutorial.training.config import Compile, Precision, TrainingConfig
from smm_tutorial.training.loop import TrainingResult, fit
from smm_tutorial.training.processes import is_first_process

#: Numbers of iterations that are tried on the validation split after training, as multiples of the
#: number in training.
TRIED_ITERATIONS = (0.5, 1.0, 1.5, 2.0)
PREFIXES = {
    "showcase": "set-prediction",
    "comparison": "set-comparison",
    "search": "set-search",
    "ablation": "set-variant",
}


@dataclass(frozen=True)
class SetPredictionRun:
    """The choices that define a run of set prediction. None takes the recipe's choice.

    module: a key of `slots.CONTESTANTS`. scenes: how many scenes the run trains on. rate: the
    learning rate. purpose: runs of a `comparison` use the module's rate in `LEARNING_RATE_FACTORS`;
    a `search` tries another rate; an `ablation` changes the recipe by its name in `ABLATIONS`.
    coordinate_weight: of the loss. begin_with: name or file of a trained model of object discovery,
    from which the run takes encoder and slots. data: a name in `named_sets.SET_DATA` or
    `foreign_sets.SETS_WITH_RECORDS`, by default the profile's. root, limit, max_objects: which
    images of a set of others; see `ForeignSet`. A set of K slots can hold K objects, so max_objects
    is K by default.

    Raises `ValueError` for unknown names, and for choices that contradict each other.
    """

    module: str = "mixture"
    profile: str = field(default_factory=lambda: current_profile().name)
    seed: int = 0
    steps: int | None = None
    scenes: int | None = None
    rate: float | None = None
    purpose: Purpose = "showcase"
    ablation: str | None = None
    coordinate_weight: float | None = None
    begin_with: str | None = None
    precision: Precision | None = None
    compile: Compile = "none"
    data: str | None = None
    root: str | None = None
    limit: int | None = None
    max_objects: int | None = None

    def __post_init__(self):
        check_choice("module", self.module, CONTESTANTS)
        check_choice("profile", self.profile, SIZES)
        check_purpose(self, ABLATIONS)
        if self.data is None:
            object.__setattr__(self, "data", SIZES[self.profile].data)
        check_choice("data", self.data, (*SET_DATA, *SETS_WITH_RECORDS))
        check_own_images(self, "leave them out, and choose the number of scenes by --scenes")
        if self.foreign is not None and self.scenes is not None:
            raise ValueError(f"scenes are rendered, and {self.data} is not: take --limit instead")
        if self.max_objects is not None and self.max_objects > self.config.num_slots:
            raise ValueError(
                f"max_objects is {self.max_objects}, and a set of this profile holds at most "
                f"{self.config.num_slots}"
            )
        if not 0 < self.sizes.coordinate_weight < math.inf:
            raise ValueError(f"coordinate_weight must be above 0, got {self.coordinate_weight}")
        if self.scenes is not None:
            check_whole("scenes", self.scenes)
        _ = self.training  # building the configuration checks the other choices
        self._check_ablation()

    def _check_ablation(self) -> None:
        """Raises `ValueError` for an ablation that changes nothing in this run."""
        if self.ablation in (None, "complete"):
            return
        complete = replace(self, ablation="complete")
        parts = ("config", "training", "num_scenes", "loss")
        if all(getattr(self, part) == getattr(complete, part) for part in parts):
            raise ValueError(
                f"ablation={self.ablation!r} changes nothing in this run of {self.module}: take "
                "another one, or 'complete'"
            )

    @property
    def loss(self) -> dict[str, Any]:
        """The choices of the loss, as in a record."""
        loss: dict[str, Any] = {"coordinate_weight": self.sizes.coordinate_weight}
        if self.sizes.objective != "huber":
            loss["objective"] = self.sizes.objective
        return loss

    @property
    def foreign(self) -> ForeignSet | None:
        """The set of images from others; None for scenes that the course renders."""
        if self.data not in SETS_WITH_RECORDS:
            return None
        most = self.config.num_slots if self.max_objects is None else self.max_objects
        return ForeignSet(self.data, self.root, self.limit, most)

    def load(self, split: str, count: int | None = None) -> SceneImages:
        """Loads scenes of a split: `train`, `val` or `test`.

        count: how many scenes are rendered. Of images from others, the split is complete.
        """
        size = self.config.image_size
        if self.foreign is not None:
            return self.foreign.load(split, size, whole_frame=True)
        if split == "test":
            return SET_EVALUATION_SETS[self.data].load(size)
        return set_split(self.data, split, size, count)

    @property
    def name(self) -> str:
        """Name of the run, its files and its record."""
        prefix = "-".join(filter(None, [PREFIXES[self.purpose], self.ablation]))
        parts = [prefix, self.module, self.data, self.profile]
        if self.scenes is not None:
            parts.append(f"{self.scenes}scenes")
        parts += name_images(self)
        if self.coordinate_weight is not None:
            parts.append(f"weight{short_number(self.coordinate_weight)}")
        usual = self.sizes.steps, KEPT_STEPS.get((self.profile, self.purpose))
        parts += name_engine(self, *usual)
        if self.begin_with is not None:
            parts.append("pretrained")
        return "-".join([*parts, f"seed{self.seed}"])

    @property
    def folder(self) -> Path:
        """The run's folder on this machine. Training resumes from its files."""
        return run_folder(self.name)

    @property
    def sizes(self) -> SetPredictionSizes:
        """The sizes of the profile, with the changes of the ablation and the chosen weight."""
        changes = ABLATIONS[self.ablation or "complete"]
        if self.coordinate_weight is not None:
            changes = changes | {"coordinate_weight": self.coordinate_weight}
        return replace(SIZES[self.profile], **changes)

    @property
    def config(self) -> SetPredictionConfig:
        """Configuration of the network."""
        return network_config(self.module, self.sizes)

    @property
    def training(self) -> TrainingConfig:
        sizes = self.sizes
        factor = LEARNING_RATE_FACTORS[self.module] if self.purpose == "comparison" else 1.0
        chosen = {
            "learning_rate": factor * sizes.learning_rate if self.rate is None else self.rate,
            "begun": self.begin_with is not None,
            "compile": self.compile,
        }
        if self.precision is not None:
            chosen["precision"] = self.precision
        return training_config(sizes, self.seed, self.steps, **chosen)

    @property
    def choices(self) -> dict:
        """The run's choices in the form of its record."""
        begun_with = None if self.begin_with is None else name_of_model(self.begin_with)
        described = describe_choices(self, loss=self.loss, pretrained=begun_with is not None)
        described |= {"scenes": self.num_scenes, "begun_with": begun_with}
        if self.ablation is not None:
            described["ablation"] = self.ablation
        return described | describe_images(self)

    @property
    def num_scenes(self) -> int | None:
        """How many rendered scenes the run trains on. None for images from others."""
        if self.foreign is not None:
            return None
        return self.sizes.scenes if self.scenes is None else self.scenes


def build_model(config: SetPredictionConfig, seed: int) -> SetPredictor:
    """The untrained network for a seed. The global random state does not change."""
    return build_seeded(lambda: SetPredictor(config), seed)


def train(
    run: SetPredictionRun,
    folder: str | Path | None = None,
    data: SceneImages | None = None,
    **engine: Any,
) -> tuple[SetPredictor, TrainingResult]:
    """Trains the network of a run on images and their records.

    Images are never mirrored: a mirrored scene has other light, and coordinates that the heads
    cannot express.

    Args:
        folder: where the state is saved; training resumes from a saved state. None saves nothing.
        data: the run's training scenes; None renders or reads them.
        engine: options of `training.fit`, such as `evaluate`.

    Raises:
        ValueError: `data` has another number of scenes than the run.
    """
    model = build_model(run.config, run.seed)
    if run.begin_with is not None:
        begin_with_discovery(model, run.begin_with)
    if data is None:
        data = run.load("train", run.num_scenes)
    elif run.foreign is None and len(data) != run.num_scenes:
        raise ValueError(f"the run trains on {run.num_scenes} scenes, got {len(data)}")
    targets = set_targets(data.records, run.config.num_slots)
    batches = Batches(data, run.training.batch_size, model.start_noise, targets=targets)
    loss = make_loss(run.sizes.coordinate_weight, run.sizes.objective)
    told = choices_of_state(run)
    result = fit(model, batches, loss, run.training, folder, choices=told, **engine)
    return model.eval(), result


def train_and_record(
    run: SetPredictionRun, command: str = "", data: SceneImages | None = None, **engine: Any
) -> tuple[SetPredictor, dict | None]:
    """Trains a run in its folder and scores it on the test split. Returns the model and its record.

    The record also holds scores on the validation split with fewer and with more iterations than
    in training. By these scores one can choose the iterations for a test.

    Under `torchrun` only the first process computes scores; the other processes return None as
    record.

    command: the command that repeats the run. data: as in `train`. engine: options of
    `training.fit`.
    """
    made_by = provenance()  # of the code that is loaded now
    validation = run.load("val", VALIDATION_SCENES)

    def validate(model: SetPredictor, num_iterations: int | None = None) -> dict[str, float]:
        scores = evaluate(model, validation, num_iterations=num_iterations)
        precisions = {f"ap_{name}": precision for name, precision in scores["ap"].items()}
        return precisions | scores.get("binding", {})

    model, result = train(run, run.folder, data, evaluate=validate, **engine)
    if not is_first_process():
        return model, None
    scores, trained_with = evaluate(model, run.load("test")), run.config.num_iterations
    record = describe_run(
        run,
        model,
        result,
        task="set-prediction",
        command=command,
        validated="ap_inf",
        made_by=made_by,
    )
    record["scores"] = [{"set": run.data} | scores]
    record["by_iterations"] = [
        {"iterations": number} | validate(model, number)
        for number in sorted({max(1, round(part * trained_with)) for part in TRIED_ITERATIONS})
    ]
    return model, record
