"""How much of a training step of set prediction goes into matching slots with objects."""

import time
from collections.abc import Iterator

import torch

from smm_tutorial.set_prediction.loss import matched_set_loss
from smm_tutorial.set_prediction.model import SetPredictionConfig, SetPredictor

# The smallest network that is worth training: matching takes its largest share there.
LIGHT = SetPredictionConfig(
    image_size=64,
    slot_dim=48,
    num_iterations=3,
    convolutions="light",
    encoder_channels=32,
    slots="attention",
)
#: Networks and their batch sizes.
CASES = {"64 px, light": (LIGHT, 32), "paper": (SetPredictionConfig(), 8)}
REPEATS = 5


def measure() -> Iterator[dict]:
    for name, (config, batch) in CASES.items():
        torch.manual_seed(0)
        model = SetPredictor(config)
        images = torch.rand(batch, 3, config.image_size, config.image_size)
        targets = torch.rand(batch, config.num_slots, 19)
        shares = []
        for _ in range(REPEATS):
            began = time.perf_counter()
            predictions = model(images).predictions
            before = time.perf_counter()
            loss = matched_set_loss(predictions, targets)["loss"]
            matching = time.perf_counter() - before
            loss.backward()
            shares.append(100 * matching / (time.perf_counter() - began))
        yield {
            "name": f"SetLoss: costs and matching, share of a step ({name}, batch {batch})",
            "value": sorted(shares)[REPEATS // 2],
            "unit": "% of the step",
            "bar": "<= 10",
        }
