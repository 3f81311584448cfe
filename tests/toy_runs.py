"""A tiny run for tests of the training engine, in a module that other processes can import."""

import os
import signal
import time
from typing import Literal

import torch
from torch import nn

from smm_tutorial.discovery.loss import ReconstructionLoss
from smm_tutorial.discovery.model import DiscoveryConfig, ObjectDiscovery
from smm_tutorial.discovery.recipe import discovery_model
from smm_tutorial.training.config import TrainingConfig
from tests.toys import toy_scenes

CONFIG = TrainingConfig(steps=12, batch_size=4, warmup_steps=3, seed=1)

Incident = Literal["none", "killed", "interrupted"]


def tiny_model(seed: int = 0) -> ObjectDiscovery:
    return discovery_model(
        DiscoveryConfig(
            image_size=16, num_slots=3, slot_dim=8, encoder_channels=8, decoder_channels=8
        ),
        seed,
    )


class TinyLoss(ReconstructionLoss):
    """On toy scenes. In step 5 its second process is `killed`, or from then on the run waits to be
    `interrupted`.
    """

    def __init__(self, model: ObjectDiscovery, incident: Incident = "none"):
        super().__init__(model, toy_scenes(), CONFIG.batch_size, price=0.1, steps=CONFIG.steps)
        self.incident = incident

    def __call__(self, model: nn.Module, generator: torch.Generator, step: int):
        if self.incident == "killed" and step == 5 and self.share.rank == 1:
            os.kill(os.getpid(), signal.SIGKILL)
        if self.incident == "interrupted" and step >= 5:
            if step == 5 and self.share.rank == 0:
                os.kill(os.getppid(), signal.SIGINT)
            time.sleep(2)
        return super().__call__(model, generator, step)


def mean_of_weights(model: nn.Module) -> dict[str, float]:
    return {"mean_of_weights": nn.utils.parameters_to_vector(model.parameters()).mean().item()}
