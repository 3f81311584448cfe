"""A tiny run that `torchrun` starts in several processes: `FOLDER INCIDENT`.

INCIDENT: `none`, or what happens from step 5 on. Its second process is `killed`, or the run waits
to be `interrupted`.
"""

import os
import signal
import sys
import time
from dataclasses import replace
from pathlib import Path

import torch
from torch import nn

from smm_tutorial.discovery.recipe import make_loss
from tests.toy_runs import CONFIG, LOSS, mean_of_weights, tiny_model, train

AVERAGED = replace(CONFIG, ema_decay=0.9)


def model_with_an_unused_parameter(seed: int = 0) -> nn.Module:
    model = tiny_model(seed)
    model.unused = nn.Parameter(torch.ones(3))
    return model


def run(model, folder, incident="none"):
    loss = make_loss(LOSS, AVERAGED.steps)

    def disturbed(model, batch, step):
        if incident == "killed" and step == 5 and os.environ["RANK"] == "1":
            os.kill(os.getpid(), signal.SIGKILL)
        if incident == "interrupted" and step >= 5:
            if os.environ["RANK"] == "0":  # the one that saves: the other may be a step ahead
                Path(folder, "waits").touch()
            time.sleep(0.5)
        return loss(model, batch, step)

    options = {"log_every": 1, "save_every": 2, "evaluate": mean_of_weights}
    return train(model, folder, AVERAGED, disturbed, **options)


if __name__ == "__main__":
    run(model_with_an_unused_parameter(seed=7), *sys.argv[1:])
