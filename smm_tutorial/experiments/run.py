"""What every named, reproducible run has in common: train or go on, score, and leave a record."""

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import asdict

from torch import nn

from smm_tutorial import paths
from smm_tutorial.profiles import Profile
from smm_tutorial.results.provenance import provenance
from smm_tutorial.results.records import KINDS, VERSION
from smm_tutorial.training.config import TrainingConfig
from smm_tutorial.training.logs import read_log
from smm_tutorial.training.loop import Loss, fit


class NamedRun(ABC):
    """A named run: everything that decides it, and what it leaves behind.

    A subclass says what is learned, and how it is scored.
    """

    #: The score that is logged while it trains, by which seeds are chosen.
    choosing: str

    def __init__(
        self,
        name: str,
        command: str,
        kind: str,
        contestant: str,
        data: str,
        profile: Profile,
        model: nn.Module,
        training: TrainingConfig,
    ):
        self.name, self.command, self.kind, self.contestant, self.data = (
            name,
            command,
            kind,
            contestant,
            data,
        )
        self.profile, self.model, self.training = profile, model, training
        self.folder = paths.runs_dir() / name

    @property
    def config(self):
        """Of the network."""
        return self.model.config

    @property
    def num_parameters(self) -> int:
        return sum(parameter.numel() for parameter in self.model.parameters())

    @abstractmethod
    def prepare(self) -> tuple[Loss, Callable[[nn.Module], dict[str, float]]]:
        """The loss, with its data, and what is logged of the model while it trains, by the
        validation split.
        """

    @abstractmethod
    def test(self) -> dict:
        """The trained model's scores on the test split, as records have them."""

    @abstractmethod
    def choices(self) -> dict:
        """What else decided the run, for its record: at least `training`, with what decides the
        loss.
        """

    def train(self, **options) -> tuple[nn.Module, dict]:
        """Trains, or goes on in its folder, then scores on the test split -> model and record (the
        checkpoint's too).

        options: of `training.fit`.
        """
        made_by = provenance()  # of the code that is loaded now
        loss, validate = self.prepare()
        run = fit(self.model, loss, self.training, self.folder, evaluate=validate, **options)
        self.model.eval()
        scores = self.test()
        task, purpose = KINDS[self.kind]
        return self.model, {
            "version": VERSION,
            "name": self.name,
            "task": task,
            "purpose": purpose,
            "contestant": self.contestant,
            "command": self.command,
            "model": type(self.model).__name__,
            "config": asdict(self.config),
            **self.choices(),
            "profile": self.profile.name,
            "data": self.data,
            "step": run.step,
            "minutes": round(run.seconds / 60, 1),
            "images_per_s": round(run.images_per_s, 1),
            "peak_memory_mib": run.peak_memory_mib,
            "scores": [scores],
            "validation": [entry for entry in read_log(self.folder) if self.choosing in entry],
            "provenance": made_by,
        }
