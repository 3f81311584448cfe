"""The state of a `SlotMixture`, read as a mixture of `clustering`."""

from dataclasses import replace

import numpy as np
from scipy.optimize import linear_sum_assignment
from torch import Tensor

from smm_tutorial.clustering import MixtureStep
from smm_tutorial.slots.base import SlotState


def mixture_step(points: Tensor, state: SlotState, index: int = 0) -> MixtureStep:
    """One set's slots after an iteration as an entry of a mixture's history, so that everything
    draws and scores them.

    points `(B, N, D)`; `state` of a `SlotMixture` on them; index: which of the B sets. The step's
    responsibilities are those that the state's parameters give, the next E-step's.

    Raises:
        ValueError: the state has no variances: it is one of Slot Attention.
    """
    if state.variances is None or state.weights is None:
        raise ValueError(
            "state has no variances or weights, it is Slot Attention's: pass a state of a SlotMixture"
        )
    data = points[index].detach().double().numpy()  # (N, D)
    weights, means, variances = (
        tensor[index].detach().double().numpy()
        for tensor in (state.weights, state.means, state.variances)
    )
    step = MixtureStep(weights, means, variances, "diag", float("nan"), data)
    return MixtureStep(weights, means, variances, "diag", float(log_likelihood(step).mean()), data)


def log_likelihood(step: MixtureStep) -> np.ndarray:
    """Log density (N,) of the points of a step with diagonal covariances, in nats."""
    squares = (step.points[:, None] - step.means) ** 2 / step.covariances  # (N, K, D)
    log_joint = np.log(step.weights) - 0.5 * (squares + np.log(2 * np.pi * step.covariances)).sum(
        axis=2
    )
    return np.logaddexp.reduce(log_joint, axis=1)


def in_order_of_groups(step: MixtureStep, groups: np.ndarray) -> MixtureStep:
    """The step with its components reordered to agree best with groups (N,), of which there are as
    many.
    """
    overlaps = step.responsibilities.T @ np.eye(len(step.means))[groups]  # (K, K): component, group
    _, components = linear_sum_assignment(overlaps.T, maximize=True)  # the component of each group
    return replace(
        step,
        weights=step.weights[components],
        means=step.means[components],
        covariances=step.covariances[components],
    )
