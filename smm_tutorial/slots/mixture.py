"""The Slot Mixture Module, SMM (Kirilenko et al. 2024, arXiv 2311.04640)."""

import math
from typing import Literal, NamedTuple

import torch
from torch import Tensor, nn

from smm_tutorial.arguments import check_above_zero, check_choice
from smm_tutorial.slots.base import SlotModule, SlotOutput, SlotState, in_full_precision, widen
from smm_tutorial.tensors import check_floats

Content = Literal["mean", "mean_and_variance", "mean_and_log_variance", "reduced"]
Density = Literal["gaussian", "dot_product"]
Estimation = Literal["estimated", "fixed"]


class Projected(NamedTuple):
    """Keys or values, minus their centre. The centre is the projection of the inputs' mean."""

    centred: Tensor  # (B, N, D), at least float32
    squares: Tensor  # (B, N, D), the squares of `centred`
    centre: Tensor  # (B, 1, D)


class SlotMixture(SlotModule):
    """The Slot Mixture Module (arXiv 2311.04640, section 3): a slot is a Gaussian cluster.

    One iteration, for inputs n and slots k with weights pi, means mu and variances s:

        E-step   gamma_kn = softmax over k of log pi_k + log N(key_n | query(mu_k), s_k)
        M-step   pi_k     = mean of gamma_kn over n
                 mu*_k    = mean of value_n over n, weighted by gamma_kn
        update   mu_k     = GRU and MLP of mu*_k and mu_k
        eq. 7    s_k      = mean of (value_n - mu_k)^2 over n, weighted by gamma_kn

    Both steps expand the square and use matrix products. So they need no tensor of size B N K D.
    The module first subtracts the mean of the inputs. Without this the expanded square loses its
    digits in float32 when the inputs lie far from zero.

    `SlotModule` describes the sizes and the shared options. The other options are the choices and
    ablations of the paper:

    Args:
        content: what a slot contains. `mean`: the mean (D numbers). `mean_and_variance`: both
            (2 D), as in the paper. `mean_and_log_variance`: the mean and the logarithms of the
            variances (2 D), as in the authors' code. Variances of one model differ by factors of a
            thousand, but their logarithms do not. `reduced`: an MLP maps mean and variance to D.
        density: `gaussian`, or `dot_product`: Slot Attention's logits plus the log weights.
        variances: `estimated` in the M-step, or `fixed` at the learned variances of the start.
        weights: `estimated` in the M-step, or `fixed` at equal weights.
        variance_floor: the smallest variance of a cluster in any dimension.
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
        variances: Estimation = "estimated",
        weights: Estimation = "estimated",
        variance_floor: float = 1e-2,
        **options,
    ):
        super().__init__(num_slots, input_dim, slot_dim, num_iterations, mlp_dim, **options)
        self.content = check_choice("content", content, Content)
        self.density = check_choice("density", density, Density)
        self.variances = check_choice("variances", variances, Estimation)
        self.weights = check_choice("weights", weights, Estimation)
        self.variance_floor = check_above_zero("variance_floor", variance_floor)
        self.start_log_variance = nn.Parameter(
            torch.zeros_like(self.start.log_scale)
        )  # (starts, D)
        if content == "reduced":
            self.reduce = nn.Sequential(
                nn.Linear(2 * slot_dim, self.mlp_dim), nn.ReLU(), nn.Linear(self.mlp_dim, slot_dim)
            )

    @property
    def output_dim(self) -> int:
        """The width of a slot in the output."""
        return 2 * self.slot_dim if self.content.startswith("mean_and") else self.slot_dim

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
        """Finds the slots of each set of inputs.

        Args:
            inputs: `(B, N, D_in)`.
            num_iterations: number of iterations; by default the module's own.
            num_slots: K; by default the module's own.
            noise: `(B, K, D)`, fixes where the slots start; by default the noise is random.
            start: means and variances of the start, `(B, K, D)` each. They replace the learned
                start and the noise.
            return_history: whether the output holds a `SlotState` per iteration.

        Returns:
            `SlotOutput` with slots `(B, K, output_dim)`.

        Raises:
            ValueError: inputs, noise or start of a wrong type or shape, a number below 1, or both
                a start and noise.
        """
        iterations, num_slots = self.check_call(inputs, num_iterations, num_slots)
        inputs = self.norm_inputs(inputs)
        centre = inputs.mean(dim=1, keepdim=True)  # (B, 1, D_in)
        centred = inputs - centre  # (B, N, D_in)
        keys = self.with_squares(self.to_keys(centred), self.to_keys(centre))
        values = self.with_squares(self.to_values(centred), self.to_values(centre))

        start_means, start_variances = self.begin(values, num_slots, noise, start)
        means, variances = start_means, start_variances  # (B, K, D) each
        equal = torch.full_like(means[..., 0], -math.log(num_slots))  # (B, K)
        log_weights = equal  # (B, K)
        history = []
        for iteration in range(1, iterations + 1):
            first, last = iteration == 1, iteration == iterations
            means = self.cut_gradient(means, start_means, first, last)
            variances = self.cut_gradient(variances, start_variances, first, last)
            log_weights = self.cut_gradient(log_weights, equal, first, last)
            with torch.set_grad_enabled(self.records_gradient(last)):
                # E-step
                queries, query_variances, means = self.queries(means, variances)  # (B, K, D) each
                log_gamma = self.e_step(queries, keys, query_variances, log_weights)  # (B, K, N)
                # M-step -> (B, K), (B, K, D), (B, K, D)
                new_log_weights, weighted_means, spread = self.m_step(log_gamma, values)
                # Neural update, and the variances about the updated means (eq. 7)
                means = self.move(means, weighted_means)  # (B, K, D)
                if self.variances == "estimated":
                    spread = spread + (weighted_means - means).square()  # (B, K, D)
                    variances = spread.clamp_min(self.variance_floor)
                if self.weights == "estimated":
                    log_weights = new_log_weights
            if return_history:
                history.append(SlotState(means, log_gamma.exp().mT, variances, log_weights.exp()))

        slots = self.read_out(means, variances)  # (B, K, output_dim)
        return SlotOutput(slots, log_gamma.exp().mT, means, variances, log_weights.exp(), history)

    def with_squares(self, centred: Tensor, centre: Tensor) -> Projected:
        """Prepares keys or values for both steps. centred: `(B, N, D)`. centre: `(B, 1, D)`."""
        centred = widen(centred)
        return Projected(centred, centred.square(), centre)

    def begin(
        self,
        values: Projected,
        num_slots: int,
        noise: Tensor | None,
        start: tuple[Tensor, Tensor] | None,
    ) -> tuple[Tensor, Tensor]:
        """Returns the means and variances of the start, `(B, K, D)` each.

        start: given means and variances. None: the learned start, with `noise` `(B, K, D)`.

        Raises `ValueError` for a start of a wrong type or shape, or for both a start and noise.
        """
        batch = len(values.centred)
        if start is None:
            of_inputs = self.start.kind == "farthest_points"
            points = values.centred + values.centre if of_inputs else None  # (B, N, D)
            means = self.start(batch, num_slots, noise, points)  # (B, K, D)
            log_variances = self.start.expand_to_slots(self.start_log_variance, num_slots)  # (K, D)
            return means, log_variances.exp().expand_as(means).clamp_min(self.variance_floor)
        shape = (batch, num_slots, self.slot_dim)
        for tensor in start:
            check_floats("start", tensor, self.any_weight)
        if noise is not None or [tensor.shape for tensor in start] != [shape, shape]:
            given = " and ".join(str(tuple(tensor.shape)) for tensor in start)
            raise ValueError(
                f"start must be means and variances, each {shape}, and noise must be None, "
                f"got {given}"
            )
        return start

    def queries(self, means: Tensor, variances: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Returns queries, their variances, and the means that the update moves.

        Arguments and results are `(B, K, D)` each. Here variances and means are returned unchanged;
        a subclass may change them.
        """
        return self.to_queries(self.norm_means(means)), variances, means

    @in_full_precision
    def e_step(
        self, queries: Tensor, keys: Projected, variances: Tensor, log_weights: Tensor
    ) -> Tensor:
        """Computes the log responsibilities `(B, K, N)`, normalised over slots.

        queries, variances: `(B, K, D)`. log_weights: `(B, K)`.
        """
        if self.density == "dot_product":
            logits = queries @ (keys.centred + keys.centre).mT / math.sqrt(self.slot_dim)
            logits = log_weights[..., None] + logits  # (B, K, N)
        else:
            precisions = variances.reciprocal()  # (B, K, D)
            logits = log_joint(queries, keys, precisions, variances.log(), log_weights)
        return logits.log_softmax(dim=1)

    @in_full_precision
    def m_step(self, log_gamma: Tensor, values: Projected) -> tuple[Tensor, Tensor, Tensor]:
        """Computes log weights `(B, K)`, weighted means and their variances `(B, K, D)`.

        log_gamma: log responsibilities `(B, K, N)`.
        """
        log_totals = log_gamma.logsumexp(dim=2)  # (B, K), inputs per slot; finite for an empty slot
        shares = (log_gamma - log_totals[..., None]).exp()  # (B, K, N), sum to 1 over inputs
        means = shares @ values.centred  # (B, K, D)
        spread = (shares @ values.squares - means.square()).clamp_min(0)  # (B, K, D)
        log_weights = log_totals - math.log(log_gamma.shape[2])
        return log_weights, means + values.centre, spread

    def read_state(self, state: SlotState) -> Tensor:
        """Returns the contents of the slots after an iteration -> `(B, K, output_dim)`."""
        return self.read_out(state.means, state.variances)

    def read_out(self, means: Tensor, variances: Tensor) -> Tensor:
        """Makes the contents of the slots from means and variances -> `(B, K, output_dim)`."""
        if self.content == "mean":
            return means
        if self.content == "mean_and_log_variance":
            variances = variances.log()
        slots = torch.cat([means, variances.to(means)], dim=2)  # (B, K, 2 D)
        return self.reduce(slots) if self.content == "reduced" else slots


def log_joint(
    queries: Tensor,
    keys: Projected,
    precisions: Tensor,
    log_variances: Tensor | float,
    log_weights: Tensor,
) -> Tensor:
    """Computes log(weight x Gaussian density of a key) -> `(B, K, N)`, up to a constant.

    queries, precisions, log_variances: `(B, K, D)`. log_weights: `(B, K)`. With key k, query q and
    precision p, the square is expanded: -p (k - q)^2 / 2 = k (p q) - k^2 p / 2 - p q^2 / 2.
    """
    queries = queries - keys.centre  # (B, K, D)
    constants = -0.5 * (queries.square() * precisions + log_variances).sum(dim=2)  # (B, K)
    logits = (log_weights + constants)[..., None]  # (B, K, 1)
    logits = torch.baddbmm(logits, queries * precisions, keys.centred.mT)  # (B, K, N)
    return torch.baddbmm(logits, -0.5 * precisions, keys.squares.mT)  # (B, K, N)
