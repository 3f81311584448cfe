"""The two slot modules, side by side: Slot Attention and the Slot Mixture Module (SMM).

Both turn inputs `(B, N, D_in)` into K slots by a few rounds of soft clustering with learned parts, and share every piece
that is not the clustering itself: where slots start (`SlotStart`), the neural update of a mean (`NeuralUpdate`), options
and checks (`SlotModule`). What differs stands in the loop of each `forward`.

Sources: Slot Attention, Locatello et al. 2020 (arXiv 2006.15055), algorithm 1. SMM, Kirilenko et al. 2024
(arXiv 2311.04640), section 3. Gradients through the last iteration with a start that still trains, Jia et al. 2023
(BO-QSA, arXiv 2210.08990).

Shapes: batch B, inputs N, slots K, D = `slot_dim`. Inside, assignments lie as `(B, K, N)`, as the matrix products want
them, and as logarithms; what comes out is `(B, N, K)`.
"""

import functools
import math
from dataclasses import dataclass, field
from typing import Literal, get_args

import torch
from torch import Tensor, nn

Start = Literal["shared", "per_slot", "background"]
Projections = Literal["learned", "identity"]
Normalisation = Literal["layer", "inputs", "none"]
Initialisation = Literal["random", "clustering"]
Update = Literal["neural", "none"]
Gradient = Literal["all", "last"]
Content = Literal["mean", "mean_and_variance", "reduced"]
Density = Literal["gaussian", "dot_product", "scaled_distance"]
Query = Literal["mean", "mean_and_scale"]
Estimation = Literal["estimated", "fixed"]

#: Scale of the noise around a start mean before training. Shared starts need it to tell slots apart; others hardly do.
START_NOISE = {"shared": 0.5, "background": 0.5, "per_slot": 0.08}
START_MEAN_SPREAD = 0.5  # standard deviation of the start means before training
LEAST_CLOSENESS = 1e-8  # density "scaled_distance": what is added to exp(-distance)


@dataclass
class SlotState:
    """The slots after one iteration. Slot Attention has means (its slots) and responsibilities (its attention) alone."""

    means: Tensor  # (B, K, D)
    responsibilities: Tensor  # (B, N, K), those that gave the means
    variances: Tensor | None = None  # (B, K, D)
    weights: Tensor | None = None  # (B, K)


@dataclass
class SlotOutput:
    """What a slot module returns.

    slots: `(B, K, module.output_dim)`. responsibilities: `(B, N, K)`, sum to 1 over K, of the last iteration.
    means, variances `(B, K, D)`, weights `(B, K)`: the mixture; None from `SlotAttention`.
    history: one `SlotState` an iteration if it was asked for, else empty.
    """

    slots: Tensor
    responsibilities: Tensor
    means: Tensor | None = None
    variances: Tensor | None = None
    weights: Tensor | None = None
    history: list[SlotState] = field(default_factory=list)


def _choice(name: str, value: str, choices: type) -> str:
    if value not in get_args(choices):
        raise ValueError(f"{name} must be one of {', '.join(map(repr, get_args(choices)))}, got {value!r}")
    return value


def _at_least_one(name: str, value: int) -> int:
    if value < 1:
        raise ValueError(f"{name} must be at least 1, got {value}")
    return value


def _full_precision(step):
    """Runs a step of the clustering outside autocast and in float32 at least: sums over inputs need the digits."""

    @functools.wraps(step)
    def in_full_precision(self, *tensors: Tensor):
        with torch.autocast(tensors[0].device.type, enabled=False):
            return step(self, *(t.to(torch.promote_types(t.dtype, torch.float32)) for t in tensors))

    return in_full_precision


def _straight_through(value: Tensor, start: Tensor) -> Tensor:
    """`value`, cut from what made it, whose gradient goes to `start` (BO-QSA)."""
    return value.detach() + (start - start.detach())


class SlotStart(nn.Module):
    """Where slots begin: mean + scale * noise, with noise from N(0, 1) for every image and slot, reparameterised.

    `shared`: one learned mean and scale; the slots are exchangeable (Slot Attention).
    `per_slot`: a learned mean and scale for each; slots specialise and are no longer exchangeable.
    `background`: two, one for the first slot and one that all the others share, which stay exchangeable.
    """

    def __init__(self, num_slots: int, slot_dim: int, kind: Start):
        super().__init__()
        self.num_slots, self.slot_dim, self.kind = num_slots, slot_dim, kind
        starts = {"shared": 1, "background": 2, "per_slot": num_slots}[kind]
        self.mean = nn.Parameter(torch.randn(starts, slot_dim) * START_MEAN_SPREAD)
        self.log_scale = nn.Parameter(torch.full((starts, slot_dim), math.log(START_NOISE[kind])))

    def each_slot(self, parameter: Tensor, num_slots: int) -> Tensor:
        """Hands a parameter out to the slots: `(starts, D)` -> `(K, D)`."""
        if self.kind == "shared":
            return parameter.expand(num_slots, -1)
        if self.kind == "background":
            return torch.cat([parameter[:1], parameter[1:].expand(num_slots - 1, -1)])
        if num_slots > self.num_slots:
            raise ValueError(
                f"num_slots is {num_slots}, but start='per_slot' has learned {self.num_slots} starts: ask for at most "
                f"{self.num_slots} slots, or train with start='shared' or 'background', which take any number"
            )
        return parameter[:num_slots]

    def forward(self, batch: int, num_slots: int, noise: Tensor | None = None) -> Tensor:
        """-> `(B, K, D)`; the same noise `(B, K, D)` gives the same start."""
        shape = (batch, num_slots, self.slot_dim)
        mean, log_scale = self.each_slot(self.mean, num_slots), self.each_slot(self.log_scale, num_slots)  # (K, D)
        if noise is None:
            noise = torch.randn(shape, dtype=mean.dtype, device=mean.device)
        if noise.shape != shape:
            raise ValueError(f"noise must be (batch, slots, slot_dim) = {shape}, got {tuple(noise.shape)}")
        return mean + log_scale.exp() * noise.to(mean)


class NeuralUpdate(nn.Module):
    """The learned step of a mean towards the weighted mean: a GRU, then a residual MLP (Slot Attention, algorithm 1).

    The GRU's state is the mean as it was before any normalisation.
    """

    def __init__(self, slot_dim: int, mlp_dim: int):
        super().__init__()
        self.gru = nn.GRUCell(slot_dim, slot_dim)
        self.norm = nn.LayerNorm(slot_dim)
        self.mlp = nn.Sequential(nn.Linear(slot_dim, mlp_dim), nn.ReLU(), nn.Linear(mlp_dim, slot_dim))

    @torch.no_grad()
    def start_as_clustering(self) -> None:
        """Nearly hands the weighted mean on: most of a step towards tanh of it, hardly any MLP."""
        dim = self.gru.hidden_size
        for parameter in (*self.gru.parameters(), *self.mlp[-1].parameters()):
            parameter.mul_(0.1)
        self.gru.weight_ih[2 * dim :] += torch.eye(dim)  # rows of a GRU: reset gate, update gate, new state
        self.gru.bias_ih[dim : 2 * dim] = -2.0  # update gate: sigmoid(-2) = 0.12 of the old mean stays

    def forward(self, weighted_means: Tensor, means: Tensor) -> Tensor:
        weighted_means = weighted_means.to(means.dtype)
        means = self.gru(weighted_means.flatten(0, 1), means.flatten(0, 1)).view_as(means)  # (B K, D) -> (B, K, D)
        return means + self.mlp(self.norm(means))


class SlotModule(nn.Module):
    """What both slot modules share: sizes, projections, start, options, checks. Use `SlotAttention` or `SlotMixture`.

    num_slots: K. input_dim, slot_dim: D_in, D. num_iterations: rounds of clustering in one call. mlp_dim: hidden width
    of the MLPs (2 D if not given).
    start: `shared` | `per_slot` | `background`, see `SlotStart`.
    projections: keys, values, queries are `learned` linear maps | the `identity` (then input_dim must equal slot_dim).
    normalisation: a LayerNorm on inputs and on means before the query, `layer` | on `inputs` alone | `none`.
    update: the mean moves by `NeuralUpdate`, `neural` | straight to the weighted mean, `none`.
    gradient: flows through `all` iterations | the `last` alone, with the start still trained.
    initialisation: learned parts start at `random` | so that the module starts as plain soft `clustering`: keys and
    values one and the same rotation, queries the identity, the update nearly handing the weighted mean on.

    Raises `ValueError` for an unknown option, a size below 1, and in `forward` for inputs or noise of a wrong shape.
    """

    def __init__(
        self, num_slots: int, input_dim: int, slot_dim: int, num_iterations: int = 3, mlp_dim: int | None = None, *,
        start: Start = "shared", projections: Projections = "learned", normalisation: Normalisation = "layer",
        update: Update = "neural", gradient: Gradient = "all", initialisation: Initialisation = "random",
    ):  # fmt: skip
        super().__init__()
        self.num_slots = _at_least_one("num_slots", num_slots)
        self.input_dim = _at_least_one("input_dim", input_dim)
        self.slot_dim = _at_least_one("slot_dim", slot_dim)
        self.num_iterations = _at_least_one("num_iterations", num_iterations)
        self.mlp_dim = _at_least_one("mlp_dim", 2 * slot_dim if mlp_dim is None else mlp_dim)
        self.gradient = _choice("gradient", gradient, Gradient)
        if _choice("projections", projections, Projections) == "learned":
            self.to_keys = nn.Linear(input_dim, slot_dim, bias=False)
            self.to_values = nn.Linear(input_dim, slot_dim, bias=False)
            self.to_queries = nn.Linear(slot_dim, slot_dim, bias=False)
        elif input_dim == slot_dim:
            self.to_keys = self.to_values = self.to_queries = nn.Identity()
        else:
            raise ValueError(f"projections='identity' needs input_dim = slot_dim, got {input_dim} and {slot_dim}")
        normalised = _choice("normalisation", normalisation, Normalisation)
        self.norm_inputs = nn.Identity() if normalised == "none" else nn.LayerNorm(input_dim)
        self.norm_means = nn.LayerNorm(slot_dim) if normalised == "layer" else nn.Identity()
        self.start = SlotStart(num_slots, slot_dim, _choice("start", start, Start))
        self.update = NeuralUpdate(slot_dim, self.mlp_dim) if _choice("update", update, Update) == "neural" else None
        if _choice("initialisation", initialisation, Initialisation) == "clustering":
            self.start_as_clustering()

    @torch.no_grad()
    def start_as_clustering(self) -> None:
        """Sets the learned parts so that, before training, the module clusters its (rotated) inputs."""
        if isinstance(self.to_keys, nn.Linear):
            nn.init.orthogonal_(self.to_keys.weight)
            self.to_values.weight.copy_(self.to_keys.weight)
            nn.init.eye_(self.to_queries.weight)
        if self.update is not None:
            self.update.start_as_clustering()

    @property
    def output_dim(self) -> int:
        """Width of a slot."""
        return self.slot_dim

    def checked(self, inputs: Tensor, num_iterations: int | None, num_slots: int | None) -> tuple[int, int]:
        """Iterations and slots of this call; refuses inputs of a wrong shape."""
        if inputs.ndim != 3 or inputs.shape[1] < 1 or inputs.shape[2] != self.input_dim:
            fix = ": flatten the feature map first, e.g. features.flatten(2).transpose(1, 2)" if inputs.ndim == 4 else ""
            raise ValueError(f"inputs must be (batch, inputs, {self.input_dim}), got {tuple(inputs.shape)}{fix}")
        iterations = self.num_iterations if num_iterations is None else _at_least_one("num_iterations", num_iterations)
        return iterations, self.num_slots if num_slots is None else _at_least_one("num_slots", num_slots)

    def records_gradient(self, last: bool) -> bool:
        return torch.is_grad_enabled() and (last or self.gradient == "all")

    def move(self, means: Tensor, weighted_means: Tensor) -> Tensor:
        """The neural update, or where there is none the weighted mean itself -> `(B, K, D)`."""
        return weighted_means if self.update is None else self.update(weighted_means, means)


class SlotAttention(SlotModule):
    """Slot Attention (arXiv 2006.15055, algorithm 1).

    Inputs are shared out by scaled dot products, normalised *over slots*; each slot then moves to the weighted mean of
    its values by the neural update. Sizes and options: see `SlotModule`.
    """

    def forward(
        self, inputs: Tensor, num_iterations: int | None = None, num_slots: int | None = None,
        noise: Tensor | None = None, *, return_history: bool = False,
    ) -> SlotOutput:  # fmt: skip
        """inputs `(B, N, D_in)`, noise `(B, K, D)` or None (then drawn) -> `SlotOutput`, slots `(B, K, D)`."""
        iterations, num_slots = self.checked(inputs, num_iterations, num_slots)
        inputs = self.norm_inputs(inputs)
        keys, values = self.to_keys(inputs), self.to_values(inputs)  # (B, N, D)
        slots = start = self.start(len(inputs), num_slots, noise)  # (B, K, D)
        history = []
        for last in [False] * (iterations - 1) + [True]:
            if last and self.gradient == "last":
                slots = _straight_through(slots, start)
            with torch.set_grad_enabled(self.records_gradient(last)):
                log_attention = self.attend(self.to_queries(self.norm_means(slots)), keys)  # (B, K, N)
                slots = self.move(slots, self.gather(log_attention, values))  # (B, K, D)
            if return_history:
                history.append(SlotState(slots, log_attention.exp().mT))
        return SlotOutput(slots, log_attention.exp().mT, history=history)

    @_full_precision
    def attend(self, queries: Tensor, keys: Tensor) -> Tensor:
        """Log of the attention `(B, K, N)`: softmax over slots of queries `(B, K, D)` times keys `(B, N, D)`."""
        return (queries @ keys.mT / math.sqrt(self.slot_dim)).log_softmax(dim=1)

    @_full_precision
    def gather(self, log_attention: Tensor, values: Tensor) -> Tensor:
        """Weighted means `(B, K, D)`. The weights are normalised over inputs in log space: no slot divides by zero."""
        return log_attention.softmax(dim=2) @ values


class SlotMixture(SlotModule):
    """The Slot Mixture Module (arXiv 2311.04640, section 3): a slot is a Gaussian cluster, its mean and its variance.

    The E-step shares inputs out by mixture weight times diagonal Gaussian density; the M-step takes each cluster's
    weight and weighted mean, moves the slot's mean there by the neural update, and takes the variance about the *updated*
    mean. Both are matrix products, from the expanded square: nothing of size B N K D is made. Inputs are centred on
    their mean first, which keeps the expanded square from cancelling in float32 when they lie far from zero.

    Sizes and shared options: see `SlotModule`. Its own, the choices and ablations of the paper:
    content: a slot holds `mean` (D) | `mean_and_variance` (2 D) | both `reduced` to D by an MLP.
    density: `gaussian` | `dot_product`, Slot Attention's logits plus the log of the weights | `scaled_distance`, the code
    that the authors released: exp(-(squared distance in units of the variance) / sqrt(D)) + 1e-8, no determinant.
    query: keys are compared with the projected `mean`, at the cluster's variance | with `mean_and_scale`, also the
    authors' code: mean and log standard deviation pass one LayerNorm over both and then the same projection, and the
    neural update sets out from the normalised mean.
    variances, weights: `estimated` in the M-step | `fixed` where they start (learned variances, equal weights).
    variance_floor: the least variance of a cluster in any dimension.
    """

    def __init__(
        self, num_slots: int, input_dim: int, slot_dim: int, num_iterations: int = 3, mlp_dim: int | None = None, *,
        content: Content = "mean_and_variance", density: Density = "gaussian", query: Query = "mean",
        variances: Estimation = "estimated", weights: Estimation = "estimated", variance_floor: float = 1e-2, **options,
    ):  # fmt: skip
        super().__init__(num_slots, input_dim, slot_dim, num_iterations, mlp_dim, **options)
        if not variance_floor > 0:
            raise ValueError(f"variance_floor must be above 0, got {variance_floor}")
        self.content, self.density = _choice("content", content, Content), _choice("density", density, Density)
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
        self, inputs: Tensor, num_iterations: int | None = None, num_slots: int | None = None,
        noise: Tensor | None = None, *, start: tuple[Tensor, Tensor] | None = None, return_history: bool = False,
    ) -> SlotOutput:  # fmt: skip
        """inputs `(B, N, D_in)`, noise `(B, K, D)` or None (then drawn) -> `SlotOutput`, slots `(B, K, output_dim)`.

        start: means and variances `(B, K, D)` to begin at, in place of the learned start and its noise.
        """
        iterations, num_slots = self.checked(inputs, num_iterations, num_slots)
        inputs = self.norm_inputs(inputs)
        centre = inputs.mean(dim=1, keepdim=True)  # (B, 1, D_in); the projections are linear, so it passes through them
        centred = inputs - centre  # (B, N, D_in)
        keys, key_squares = self.moments(self.to_keys(centred))  # (B, N, D) each
        values, value_squares = self.moments(self.to_values(centred))  # (B, N, D) each
        key_centre, value_centre = self.to_keys(centre), self.to_values(centre)  # (B, 1, D)

        means, variances = start = self.begin(len(inputs), num_slots, noise, start)  # (B, K, D) each
        log_weights = torch.full_like(means[..., 0], -math.log(num_slots))  # (B, K)
        history = []
        for last in [False] * (iterations - 1) + [True]:
            if last and self.gradient == "last":
                means, variances = map(_straight_through, (means, variances), start)
            with torch.set_grad_enabled(self.records_gradient(last)):
                queries, reach, means = self.queries(means, variances)  # (B, K, D) each
                log_gamma = self.expectation(queries, keys, key_squares, key_centre, reach, log_weights)  # (B, K, N)
                new_log_weights, weighted_means, spread = self.maximisation(log_gamma, values, value_squares)
                weighted_means = weighted_means + value_centre  # (B, K, D)
                means = self.move(means, weighted_means)  # (B, K, D)
                if self.variances == "estimated":  # (eq. 7) spread about the weighted mean + its distance squared
                    variances = (spread + (weighted_means - means).square()).clamp_min(self.variance_floor)
                if self.weights == "estimated":
                    log_weights = new_log_weights
            if return_history:
                history.append(SlotState(means, log_gamma.exp().mT, variances, log_weights.exp()))

        slots = means if self.content == "mean" else torch.cat([means, variances.to(means)], dim=-1)  # (B, K, D | 2 D)
        slots = self.reduce(slots) if self.content == "reduced" else slots
        return SlotOutput(slots, log_gamma.exp().mT, means, variances, log_weights.exp(), history)

    def begin(
        self, batch: int, num_slots: int, noise: Tensor | None, start: tuple[Tensor, Tensor] | None
    ) -> tuple[Tensor, Tensor]:
        """Means and variances `(B, K, D)` of the start, learned or given."""
        if start is None:
            means = self.start(batch, num_slots, noise)
            variances = self.start.each_slot(self.start_log_variance, num_slots).exp().expand_as(means)
            return means, variances.clamp_min(self.variance_floor)
        shape = (batch, num_slots, self.slot_dim)
        if noise is not None or any(tensor.shape != shape for tensor in start):
            given = " and ".join(str(tuple(tensor.shape)) for tensor in start)
            raise ValueError(f"start must be means and variances, each {shape}, and stand without noise, got {given}")
        return start

    def queries(self, means: Tensor, variances: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """What keys are compared with, at which variances; the means that the update sets out from. `(B, K, D)` each."""
        if self.query == "mean":
            return self.to_queries(self.norm_means(means)), variances, means
        joint = torch.cat([means, 0.5 * variances.log().to(means)], dim=2)  # (B, K, 2 D): means, log standard deviations
        means, log_scales = self.norm_means(joint).chunk(2, dim=2)
        return self.to_queries(means), (2 * self.to_queries(log_scales)).exp(), means

    @_full_precision
    def moments(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """`x, x^2`, all that densities and variances need of an input `(B, N, D)`."""
        return x, x.square()

    @_full_precision
    def expectation(
        self, queries: Tensor, keys: Tensor, key_squares: Tensor, key_centre: Tensor, variances: Tensor, log_weights: Tensor
    ) -> Tensor:
        """Log responsibilities `(B, K, N)`, normalised over slots: log weight + log density of the keys.

        Keys `(B, N, D)` are given about `key_centre`, and the square is expanded:
        -(k - q)^2 / (2 s) = k . (q / s) - k^2 . (1 / (2 s)) - q^2 / (2 s).
        For `scaled_distance` s is sqrt(D) / 2 variances, and the determinant is left out.
        """
        if self.density == "dot_product":
            logits = queries @ (keys + key_centre).mT / math.sqrt(self.slot_dim)  # (B, K, N)
            return (log_weights[..., None] + logits).log_softmax(dim=1)
        gaussian, queries, precisions = self.density == "gaussian", queries - key_centre, variances.reciprocal()  # (B, K, D)
        precisions = precisions if gaussian else 2 / math.sqrt(self.slot_dim) * precisions
        log_determinants = variances.log() if gaussian else 0.0
        constants = -0.5 * (queries.square() * precisions + log_determinants).sum(dim=2)  # (B, K); log 2 pi cancels
        logits = torch.baddbmm((log_weights + constants)[..., None], queries * precisions, keys.mT)  # (B, K, N)
        logits = torch.baddbmm(logits, -0.5 * precisions, key_squares.mT)  # (B, K, N)
        if not gaussian:
            logits = torch.logaddexp(logits, log_weights[..., None] + math.log(LEAST_CLOSENESS))
        return logits.log_softmax(dim=1)

    @_full_precision
    def maximisation(self, log_gamma: Tensor, values: Tensor, squares: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Log weights `(B, K)`, weighted means and variances about them `(B, K, D)`, of values and their squares."""
        log_totals = log_gamma.logsumexp(dim=2)  # (B, K): how many inputs each slot holds; finite for an empty one
        shares = (log_gamma - log_totals[..., None]).exp()  # (B, K, N), sums to 1 over inputs
        means = shares @ values  # (B, K, D)
        spread = (shares @ squares - means.square()).clamp_min(0)  # (B, K, D)
        return log_totals - math.log(values.shape[1]), means, spread
