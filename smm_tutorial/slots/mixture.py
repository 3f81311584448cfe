"""The two slot modules, side by side: Slot Attention and the Slot Mixture Module (SMM).

Both turn inputs `(B, N, D_in)` into K slots by a few rounds of soft clustering with learned parts,
and share every piece that is not the clustering itself: where slots start (`SlotStart`), the neural
update of a mean (`NeuralUpdate`), options and checks (`SlotModule`). What differs stands in the
loop of each `forward`.

Sources: Slot Attention, Locatello et al. 2020 (arXiv 2006.15055), algorithm 1. SMM, Kirilenko et
al. 2024 (arXiv 2311.04640), section 3. Gradients through the last iteration with a start that still
trains, Jia et al. 2023 (BO-QSA, arXiv 2210.08990).

Shapes: batch B, inputs N, slots K, D = `slot_dim`. Inside, assignments lie as `(B, K, N)`, as the
matrix products want them, and as logarithms; what comes out is `(B, N, K)`.
"""

import math
from typing import Literal

import torch
from torch import Tensor, nn

from smm_tutorial.slots.base import (
    SlotModule,
    SlotOutput,
    SlotState,
    _choice,
    _full_precision,
    _straight_through,
)

Content = Literal["mean", "mean_and_variance", "reduced"]
Density = Literal["gaussian", "dot_product", "scaled_distance"]
Query = Literal["mean", "mean_and_scale"]
Estimation = Literal["estimated", "fixed"]

LEAST_CLOSENESS = 1e-8  # density "scaled_distance": what is added to exp(-distance)


class SlotMixture(SlotModule):
    """The Slot Mixture Module (arXiv 2311.04640, section 3): a slot is a Gaussian cluster, its mean
    and its variance.

    The E-step shares inputs out by mixture weight times diagonal Gaussian density; the M-step takes
    each cluster's weight and weighted mean, moves the slot's mean there by the neural update, and
    takes the variance about the *updated* mean. Both are matrix products, from the expanded square:
    nothing of size B N K D is made. Inputs are centred on their mean first, which keeps the
    expanded square from cancelling in float32 when they lie far from zero.

    Sizes and shared options: see `SlotModule`. Its own, the choices and ablations of the paper:
    content: a slot holds `mean` (D) | `mean_and_variance` (2 D) | both `reduced` to D by an MLP.
    density: `gaussian` | `dot_product`, Slot Attention's logits plus the log of the weights |
    `scaled_distance`, the code that the authors released: exp(-(squared distance in units of the
    variance) / sqrt(D)) + 1e-8, no determinant.
    query: keys are compared with the projected `mean`, at the cluster's variance | with
    `mean_and_scale`, also the authors' code: mean and log standard deviation pass one LayerNorm
    over both and then the same projection, and the neural update sets out from the normalised mean.
    variances, weights: `estimated` in the M-step | `fixed` where they start (learned variances,
    equal weights).
    variance_floor: the least variance of a cluster in any dimension.
    """

    def __init__(
        self,
        num_slots: int,
        input_dim: int,
        slot_dim: int,
        num_iterations: int = 3,
        mlp_dim: int | None = None,
        *,
        content: Content = "mean_and_variance",
        density: Density = "gaussian",
        query: Query = "mean",
        variances: Estimation = "estimated",
        weights: Estimation = "estimated",
        variance_floor: float = 1e-2,
        **options,
    ):
        super().__init__(num_slots, input_dim, slot_dim, num_iterations, mlp_dim, **options)
        if not variance_floor > 0:
            raise ValueError(f"variance_floor must be above 0, got {variance_floor}")
        self.content, self.density = (
            _choice("content", content, Content),
            _choice("density", density, Density),
        )
        self.query = _choice("query", query, Query)
        if query == "mean_and_scale" and isinstance(self.norm_means, nn.LayerNorm):
            self.norm_means = nn.LayerNorm(2 * slot_dim)
        self.variances = _choice("variances", variances, Estimation)
        self.weights = _choice("weights", weights, Estimation)
        self.variance_floor = variance_floor
        self.start_log_variance = nn.Parameter(torch.zeros_like(self.start.mean))  # (starts, D)
        if content == "reduced":
            self.reduce = nn.Sequential(
                nn.Linear(2 * slot_dim, self.mlp_dim), nn.ReLU(), nn.Linear(self.mlp_dim, slot_dim)
            )

    @property
    def output_dim(self) -> int:
        """Width of a slot."""
        return 2 * self.slot_dim if self.content == "mean_and_variance" else self.slot_dim

    def forward(
        self,
        inputs: Tensor,
        num_iterations: int | None = None,
        num_slots: int | None = None,
        noise: Tensor | None = None,
        *,
        start: tuple[Tensor, Tensor] | None = None,
        return_history: bool = False,
    ) -> SlotOutput:
        """inputs `(B, N, D_in)`, noise `(B, K, D)` or None (then drawn) -> `SlotOutput`, slots `(B,
        K, output_dim)`.

        start: means and variances `(B, K, D)` to begin at, in place of the learned start and its
        noise.
        """
        iterations, num_slots = self.checked(inputs, num_iterations, num_slots)
        inputs = self.norm_inputs(inputs)
        centre = inputs.mean(
            dim=1, keepdim=True
        )  # (B, 1, D_in); the projections are linear, so it passes through them
        centred = inputs - centre  # (B, N, D_in)
        keys, key_squares = self.moments(self.to_keys(centred))  # (B, N, D) each
        values, value_squares = self.moments(self.to_values(centred))  # (B, N, D) each
        key_centre, value_centre = self.to_keys(centre), self.to_values(centre)  # (B, 1, D)

        means, variances = start = self.begin(
            len(inputs), num_slots, noise, start
        )  # (B, K, D) each
        log_weights = torch.full_like(means[..., 0], -math.log(num_slots))  # (B, K)
        history = []
        for last in [False] * (iterations - 1) + [True]:
            if last and self.gradient == "last":
                means, variances = map(_straight_through, (means, variances), start)
            with torch.set_grad_enabled(self.records_gradient(last)):
                queries, reach, means = self.queries(means, variances)  # (B, K, D) each
                log_gamma = self.expectation(
                    queries, keys, key_squares, key_centre, reach, log_weights
                )  # (B, K, N)
                new_log_weights, weighted_means, spread = self.maximisation(
                    log_gamma, values, value_squares
                )
                weighted_means = weighted_means + value_centre  # (B, K, D)
                means = self.move(means, weighted_means)  # (B, K, D)
                if (
                    self.variances == "estimated"
                ):  # (eq. 7) spread about the weighted mean + its distance squared
                    variances = (spread + (weighted_means - means).square()).clamp_min(
                        self.variance_floor
                    )
                if self.weights == "estimated":
                    log_weights = new_log_weights
            if return_history:
                history.append(SlotState(means, log_gamma.exp().mT, variances, log_weights.exp()))

        slots = (
            means if self.content == "mean" else torch.cat([means, variances.to(means)], dim=-1)
        )  # (B, K, D | 2 D)
        slots = self.reduce(slots) if self.content == "reduced" else slots
        return SlotOutput(slots, log_gamma.exp().mT, means, variances, log_weights.exp(), history)

    def begin(
        self, batch: int, num_slots: int, noise: Tensor | None, start: tuple[Tensor, Tensor] | None
    ) -> tuple[Tensor, Tensor]:
        """Means and variances `(B, K, D)` of the start, learned or given."""
        if start is None:
            means = self.start(batch, num_slots, noise)
            variances = (
                self.start.each_slot(self.start_log_variance, num_slots).exp().expand_as(means)
            )
            return means, variances.clamp_min(self.variance_floor)
        shape = (batch, num_slots, self.slot_dim)
        if noise is not None or any(tensor.shape != shape for tensor in start):
            given = " and ".join(str(tuple(tensor.shape)) for tensor in start)
            raise ValueError(
                f"start must be means and variances, each {shape}, and stand without noise, got {given}"
            )
        return start

    def queries(self, means: Tensor, variances: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """What keys are compared with, at which variances; the means that the update sets out from.
        `(B, K, D)` each.
        """
        if self.query == "mean":
            return self.to_queries(self.norm_means(means)), variances, means
        joint = torch.cat(
            [means, 0.5 * variances.log().to(means)], dim=2
        )  # (B, K, 2 D): means, log standard deviations
        means, log_scales = self.norm_means(joint).chunk(2, dim=2)
        return self.to_queries(means), (2 * self.to_queries(log_scales)).exp(), means

    @_full_precision
    def moments(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """`x, x^2`, all that densities and variances need of an input `(B, N, D)`."""
        return x, x.square()

    @_full_precision
    def expectation(
        self,
        queries: Tensor,
        keys: Tensor,
        key_squares: Tensor,
        key_centre: Tensor,
        variances: Tensor,
        log_weights: Tensor,
    ) -> Tensor:
        """Log responsibilities `(B, K, N)`, normalised over slots: log weight + log density of the
        keys.

        Keys `(B, N, D)` are given about `key_centre`, and the square is expanded:
        -(k - q)^2 / (2 s) = k . (q / s) - k^2 . (1 / (2 s)) - q^2 / (2 s).
        For `scaled_distance` s is sqrt(D) / 2 variances, and the determinant is left out.
        """
        if self.density == "dot_product":
            logits = queries @ (keys + key_centre).mT / math.sqrt(self.slot_dim)  # (B, K, N)
            return (log_weights[..., None] + logits).log_softmax(dim=1)
        gaussian, queries, precisions = (
            self.density == "gaussian",
            queries - key_centre,
            variances.reciprocal(),
        )  # (B, K, D)
        precisions = precisions if gaussian else 2 / math.sqrt(self.slot_dim) * precisions
        log_determinants = variances.log() if gaussian else 0.0
        constants = -0.5 * (queries.square() * precisions + log_determinants).sum(
            dim=2
        )  # (B, K); log 2 pi cancels
        logits = torch.baddbmm(
            (log_weights + constants)[..., None], queries * precisions, keys.mT
        )  # (B, K, N)
        logits = torch.baddbmm(logits, -0.5 * precisions, key_squares.mT)  # (B, K, N)
        if not gaussian:
            logits = torch.logaddexp(logits, log_weights[..., None] + math.log(LEAST_CLOSENESS))
        return logits.log_softmax(dim=1)

    @_full_precision
    def maximisation(
        self, log_gamma: Tensor, values: Tensor, squares: Tensor
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Log weights `(B, K)`, weighted means and variances about them `(B, K, D)`, of values and
        their squares.
        """
        log_totals = log_gamma.logsumexp(
            dim=2
        )  # (B, K): how many inputs each slot holds; finite for an empty one
        shares = (log_gamma - log_totals[..., None]).exp()  # (B, K, N), sums to 1 over inputs
        means = shares @ values  # (B, K, D)
        spread = (shares @ squares - means.square()).clamp_min(0)  # (B, K, D)
        return log_totals - math.log(values.shape[1]), means, spread
