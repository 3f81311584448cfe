"""What both slot modules share: where slots start, the neural update of a mean, options and
checks.
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
#: Scale of the noise around a start mean before training. Shared starts need it to tell slots
#: apart; others hardly do.
START_NOISE = {"shared": 0.5, "background": 0.5, "per_slot": 0.08}
START_MEAN_SPREAD = 0.5  # standard deviation of the start means before training


@dataclass
class SlotState:
    """The slots after one iteration. Slot Attention has means (its slots) and responsibilities (its
    attention) alone.
    """

    means: Tensor  # (B, K, D)
    responsibilities: Tensor  # (B, N, K), those that gave the means
    variances: Tensor | None = None  # (B, K, D)
    weights: Tensor | None = None  # (B, K)


@dataclass
class SlotOutput:
    """What a slot module returns.

    slots: `(B, K, module.output_dim)`. responsibilities: `(B, N, K)`, sum to 1 over K, of the last
    iteration. means, variances `(B, K, D)`, weights `(B, K)`: the mixture; None from
    `SlotAttention`.
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
        raise ValueError(
            f"{name} must be one of {', '.join(map(repr, get_args(choices)))}, got {value!r}"
        )
    return value


def _at_least_one(name: str, value: int) -> int:
    if value < 1:
        raise ValueError(f"{name} must be at least 1, got {value}")
    return value


def _full_precision(step):
    """Runs a step of the clustering outside autocast and in float32 at least: sums over inputs need
    the digits.
    """

    @functools.wraps(step)
    def in_full_precision(self, *tensors: Tensor):
        with torch.autocast(tensors[0].device.type, enabled=False):
            return step(self, *(t.to(torch.promote_types(t.dtype, torch.float32)) for t in tensors))

    return in_full_precision


def _straight_through(value: Tensor, start: Tensor) -> Tensor:
    """`value`, cut from what made it, whose gradient goes to `start` (BO-QSA)."""
    return value.detach() + (start - start.detach())


class SlotStart(nn.Module):
    """Where slots begin: mean + scale * noise, with noise from N(0, 1) for every image and slot,
    reparameterised.

    `shared`: one learned mean and scale; the slots are exchangeable (Slot Attention).
    `per_slot`: a learned mean and scale for each; slots specialise and are no longer exchangeable.
    `background`: two, one for the first slot and one that all the others share, which stay
    exchangeable.
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
        mean, log_scale = (
            self.each_slot(self.mean, num_slots),
            self.each_slot(self.log_scale, num_slots),
        )  # (K, D)
        if noise is None:
            noise = torch.randn(shape, dtype=mean.dtype, device=mean.device)
        if noise.shape != shape:
            raise ValueError(
                f"noise must be (batch, slots, slot_dim) = {shape}, got {tuple(noise.shape)}"
            )
        return mean + log_scale.exp() * noise.to(mean)


class NeuralUpdate(nn.Module):
    """The learned step of a mean towards the weighted mean: a GRU, then a residual MLP (Slot
    Attention, algorithm 1).

    The GRU's state is the mean as it was before any normalisation.
    """

    def __init__(self, slot_dim: int, mlp_dim: int):
        super().__init__()
        self.gru = nn.GRUCell(slot_dim, slot_dim)
        self.norm = nn.LayerNorm(slot_dim)
        self.mlp = nn.Sequential(
            nn.Linear(slot_dim, mlp_dim), nn.ReLU(), nn.Linear(mlp_dim, slot_dim)
        )

    @torch.no_grad()
    def start_as_clustering(self) -> None:
        """Nearly hands the weighted mean on: most of a step towards tanh of it, hardly any MLP."""
        dim = self.gru.hidden_size
        for parameter in (*self.gru.parameters(), *self.mlp[-1].parameters()):
            parameter.mul_(0.1)
        self.gru.weight_ih[2 * dim :] += torch.eye(
            dim
        )  # rows of a GRU: reset gate, update gate, new state
        self.gru.bias_ih[
            dim : 2 * dim
        ] = -2.0  # update gate: sigmoid(-2) = 0.12 of the old mean stays

    def forward(self, weighted_means: Tensor, means: Tensor) -> Tensor:
        weighted_means = weighted_means.to(means.dtype)
        means = self.gru(weighted_means.flatten(0, 1), means.flatten(0, 1)).view_as(
            means
        )  # (B K, D) -> (B, K, D)
        return means + self.mlp(self.norm(means))


class SlotModule(nn.Module):
    """What both slot modules share: sizes, projections, start, options, checks. Use `SlotAttention`
    or `SlotMixture`.

    num_slots: K. input_dim, slot_dim: D_in, D. num_iterations: rounds of clustering in one call.
    mlp_dim: hidden width of the MLPs (2 D if not given).
    start: `shared` | `per_slot` | `background`, see `SlotStart`.
    projections: keys, values, queries are `learned` linear maps | the `identity` (then input_dim
    must equal slot_dim).
    normalisation: a LayerNorm on inputs and on means before the query, `layer` | on `inputs` alone
    | `none`.
    update: the mean moves by `NeuralUpdate`, `neural` | straight to the weighted mean, `none`.
    gradient: flows through `all` iterations | the `last` alone, with the start still trained.
    initialisation: learned parts start at `random` | so that the module starts as plain soft
    `clustering`: keys and values one and the same rotation, queries the identity, the update nearly
    handing the weighted mean on.

    Raises `ValueError` for an unknown option, a size below 1, and in `forward` for inputs or noise
    of a wrong shape.
    """

    def __init__(
        self,
        num_slots: int,
        input_dim: int,
        slot_dim: int,
        num_iterations: int = 3,
        mlp_dim: int | None = None,
        *,
        start: Start = "shared",
        projections: Projections = "learned",
        normalisation: Normalisation = "layer",
        update: Update = "neural",
        gradient: Gradient = "all",
        initialisation: Initialisation = "random",
    ):
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
            raise ValueError(
                f"projections='identity' needs input_dim = slot_dim, got {input_dim} and {slot_dim}"
            )
        normalised = _choice("normalisation", normalisation, Normalisation)
        self.norm_inputs = nn.Identity() if normalised == "none" else nn.LayerNorm(input_dim)
        self.norm_means = nn.LayerNorm(slot_dim) if normalised == "layer" else nn.Identity()
        self.start = SlotStart(num_slots, slot_dim, _choice("start", start, Start))
        self.update = (
            NeuralUpdate(slot_dim, self.mlp_dim)
            if _choice("update", update, Update) == "neural"
            else None
        )
        if _choice("initialisation", initialisation, Initialisation) == "clustering":
            self.start_as_clustering()

    @torch.no_grad()
    def start_as_clustering(self) -> None:
        """Sets the learned parts so that, before training, the module clusters its (rotated)
        inputs.
        """
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

    def checked(
        self, inputs: Tensor, num_iterations: int | None, num_slots: int | None
    ) -> tuple[int, int]:
        """Iterations and slots of this call; refuses inputs of a wrong shape."""
        if inputs.ndim != 3 or inputs.shape[1] < 1 or inputs.shape[2] != self.input_dim:
            fix = (
                ": flatten the feature map first, e.g. features.flatten(2).transpose(1, 2)"
                if inputs.ndim == 4
                else ""
            )
            raise ValueError(
                f"inputs must be (batch, inputs, {self.input_dim}), got {tuple(inputs.shape)}{fix}"
            )
        iterations = (
            self.num_iterations
            if num_iterations is None
            else _at_least_one("num_iterations", num_iterations)
        )
        return iterations, self.num_slots if num_slots is None else _at_least_one(
            "num_slots", num_slots
        )

    def records_gradient(self, last: bool) -> bool:
        return torch.is_grad_enabled() and (last or self.gradient == "all")

    def move(self, means: Tensor, weighted_means: Tensor) -> Tensor:
        """The neural update, or where there is none the weighted mean itself -> `(B, K, D)`."""
        return weighted_means if self.update is None else self.update(weighted_means, means)
