"""`average_precision_clevr` at 1,000 images against its definition in plain loops."""

import time
from collections.abc import Callable, Iterator

import numpy as np

from smm_tutorial.set_prediction.average_precision import average_precision_clevr
from tests.naive_average_precision import naive_average_precision

IMAGES, SLOTS, THRESHOLD = 1000, 10, 0.5
REPEATS = 5


def _sets() -> tuple[np.ndarray, np.ndarray]:
    """Ten predictions and up to ten targets per image, of 96 kinds; half of the predictions fit."""
    rng = np.random.default_rng(0)
    targets = np.zeros((IMAGES, SLOTS, 19))
    targets[..., :3] = rng.uniform(-1, 1, (IMAGES, SLOTS, 3))
    for low, high in ((3, 5), (5, 7), (7, 10), (10, 18)):
        targets[..., low:high] = np.eye(high - low)[rng.integers(high - low, size=(IMAGES, SLOTS))]
    targets[..., 18] = rng.random((IMAGES, SLOTS)) < 0.65
    predictions = targets + rng.normal(size=targets.shape) * 0.1
    return predictions, targets


def _seconds(function: Callable[..., float], *arguments: object) -> tuple[float, float]:
    began = time.perf_counter()
    score = function(*arguments)
    return time.perf_counter() - began, score


def measure() -> Iterator[dict]:
    arguments = (*_sets(), THRESHOLD)
    rounds = []
    for _ in range(REPEATS):
        slow, expected = _seconds(naive_average_precision, *arguments)
        fast, score = _seconds(average_precision_clevr, *arguments)
        assert abs(score - expected) < 1e-9, (score, expected)
        rounds.append(slow / fast)
    yield {
        "name": f"average_precision_clevr: plain loops / arrays, {IMAGES} images, {SLOTS} slots",
        "value": sorted(rounds)[REPEATS // 2],
        "unit": "times faster",
        "bar": ">= 50",
    }
