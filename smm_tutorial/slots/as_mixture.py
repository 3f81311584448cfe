"""Converts the state of a `SlotMixture` to a step of a mixture in `clustering`."""

from dataclasses import replace

import numpy as np
from scipy.optimize import linear_sum_assignment
from torch import Tensor

from smm_tutorial.clustering.em import MixtureStep
from smm_tutorial.clustering.em_steps import Parameters, e_step
from smm_tutorial.slots.base import SlotState


def as_mixture_step(points: Tensor, state: SlotState, index: int = 0) -> MixtureStep:
    """Converts the slots of one set to a `MixtureStep`, an entry of a mixture's `history_`.

    Functions that draw or score mixtures accept the result. Its responsibilities come from the next
    E-step, computed with the parameters of the state.

    Args:
        points: `(B, N, D)`, B sets of points.
        state: slots after one iteration of a `SlotMixture` on `points`. The means lie among the
            points if the module has no projections and no normalisation.
        index: number of the set, from 0 to B - 1.

    Raises:
        ValueError: the state comes from Slot Attention, so it has no variances and no weights.
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
    """Renumbers the components of a step, so that they agree best with the true groups.

    Args:
        step: a step with K components on N points.
        groups: `(N,)`, the true group of each point, from 0 to K - 1.

    Returns:
        The step in which component k shares the most responsibility with group k. One matching
        decides all components together (Hungarian method).
    """
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
