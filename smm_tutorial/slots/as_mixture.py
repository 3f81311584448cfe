"""The state of a `SlotMixture`, read as a mixture of `clustering`."""

from dataclasses import replace

import numpy as np
from scipy.optimize import linear_sum_assignment
from torch import Tensor

from smm_tutorial.clustering.em import MixtureStep
from smm_tutorial.clustering.em_steps import Parameters, e_step
from smm_tutorial.slots.base import SlotState


def as_mixture_step(points: Tensor, state: SlotState, index: int = 0) -> MixtureStep:
    """One set's slots after an iteration, as an entry of a mixture's history.

    What draws and scores mixtures then takes it. The responsibilities of the entry are those of the
    next E-step, at the state's parameters.

    Args:
        points: `(B, N, D)`, B sets.
        state: of a `SlotMixture` on `points`. Without projections and normalisation its means lie
            among the points.
        index: of the set, below B.

    Raises:
        ValueError: the state is Slot Attention's, it has no variances and no weights.
    """
    if state.variances is None or state.weights is None:
        raise ValueError(
            "state has no variances or weights, it is Slot Attention's: "
            "pass a state of a SlotMixture"
        )
    data = _to_numpy(points[index])  # (N, D)
    parameters = Parameters(
        weights=_to_numpy(state.weights[index]),  # (K,)
        means=_to_numpy(state.means[index]),  # (K, D)
        covariances=_to_numpy(state.variances[index]),  # (K, D)
    )
    log_likelihoods, _ = e_step(data, parameters, "diag")  # (N,)
    return MixtureStep(*parameters, "diag", float(log_likelihoods.mean()), data)


def reorder_to_groups(step: MixtureStep, groups: np.ndarray) -> MixtureStep:
    """The step with its components in the order that agrees best with groups (N,) of 0 to K - 1."""
    overlaps = step.responsibilities.T @ np.eye(len(step.means))[groups]  # (K, K): component, group
    _, components = linear_sum_assignment(overlaps.T, maximize=True)  # the component of each group
    return replace(
        step,
        weights=step.weights[components],
        means=step.means[components],
        covariances=step.covariances[components],
    )


def _to_numpy(tensor: Tensor) -> np.ndarray:
    return tensor.detach().cpu().double().numpy()
