"""What both slot modules share: their output, start, neural update, options and checks."""

import functools
import math
from dataclasses import dataclass, field
from typing import Any, Literal, get_args

import torch
from torch import Tensor, nn

from smm_tutorial.arguments import check_sizes, check_whole
from smm_tutorial.tensors import check_floats, without_autocast

Start = Literal["shared", "per_slot", "background"]
Projections = Literal["learned", "identity"]
Normalisation = Literal["layer", "inputs", "none"]
Update = Literal["neural", "none"]
Gradient = Literal["all", "last", "each"]
Initialisation = Literal["random", "clustering"]

START_MEAN_SPREAD = 0.5  # standard deviation of the start means before training
#: Scale of the noise around a start mean before training. Slots with the same start mean differ by
#: their noise alone, so they need more of it.
START_NOISE = {"shared": 0.5, "background": 0.5, "per_slot": 0.08}


@dataclass
class SlotState:
    """The slots after one iteration.

    From Slot Attention: its slots as `means` and its attention as `responsibilities`, nothing else.
    """

    means: Tensor  # (B, K, D)
    responsibilities: Tensor  # (B, N, K), the ones that gave these means
    variances: Tensor | None = None  # (B, K, D)
    weights: Tensor | None = None  # (B, K)


@dataclass
class SlotOutput:
    """What a slot module returns. `SlotAttention` leaves the mixture's parameters at None."""

    slots: Tensor  # (B, K, module.output_dim)
    responsibilities: Tensor  # (B, N, K) of the last iteration, sum to 1 over K
    means: Tensor | None = None  # (B, K, D)
    variances: Tensor | None = None  # (B, K, D)
    weights: Tensor | None = None  # (B, K)
    history: list[SlotState] = field(default_factory=list)  # if asked for, one per iteration


class SlotStart(nn.Module):
    """Where slots begin: mean + scale * noise, with noise from N(0, 1) for every image and slot.

    `shared`: one learned mean and scale. The slots are exchangeable, as in Slot Attention.
    `per_slot`: a learned mean and scale for each slot. The slots specialise.
    `background`: one mean and scale for the first slot, and one for all others. The others are
    exchangeable.
    """

    def __init__(self, num_slots: int, slot_dim: int, kind: Start):
        super().__init__()
        self.num_slots = num_slots
        self.slot_dim = slot_dim
        self.kind = kind
        starts = {"shared": 1, "background": 2, "per_slot": num_slots}[kind]
        self.mean = nn.Parameter(torch.randn(starts, slot_dim) * START_MEAN_SPREAD)
        self.log_scale = nn.Parameter(torch.full((starts, slot_dim), math.log(START_NOISE[kind])))

    def forward(self, batch: int, num_slots: int, noise: Tensor | None = None) -> Tensor:
        """-> `(B, K, D)`; the same noise `(B, K, D)` gives the same start."""
        shape = (batch, num_slots, self.slot_dim)
        mean = self.expand_to_slots(self.mean, num_slots)  # (K, D)
        log_scale = self.expand_to_slots(self.log_scale, num_slots)  # (K, D)
        if noise is None:
            noise = torch.randn(shape, dtype=mean.dtype, device=mean.device)
        check_noise(noise, shape, "slot_dim")
        return mean + log_scale.exp() * noise.to(mean)  # (B, K, D)

    def expand_to_slots(self, parameter: Tensor, num_slots: int) -> Tensor:
        """Each slot's row of a parameter of the start: `(starts, D)` -> `(K, D)`."""
        if self.kind == "shared":
            return parameter.expand(num_slots, -1)
        if self.kind == "background":
            return torch.cat([parameter[:1], parameter[1:].expand(num_slots - 1, -1)])
        if num_slots > self.num_slots:
            raise ValueError(
                f"num_slots is {num_slots}, but start='per_slot' has learned {self.num_slots} "
                f"starts: ask for at most {self.num_slots} slots, or train with start='shared' or "
                "'background', which take any number"
            )
        return parameter[:num_slots]


class NeuralUpdate(nn.Module):
    """The learned step of a mean to the weighted mean: a GRU, then a residual MLP.

    Slot Attention, algorithm 1, lines 9 and 10. The GRU's state is the mean before its LayerNorm.
    """

    def __init__(self, slot_dim: int, mlp_dim: int):
        super().__init__()
        self.gru = nn.GRUCell(slot_dim, slot_dim)
        self.norm = nn.LayerNorm(slot_dim)
        self.mlp = nn.Sequential(
            nn.Linear(slot_dim, mlp_dim), nn.ReLU(), nn.Linear(mlp_dim, slot_dim)
        )

    def forward(self, weighted_means: Tensor, means: Tensor) -> Tensor:
        """Both `(B, K, D)` -> the updated means `(B, K, D)`."""
        moved = self.gru(weighted_means.flatten(0, 1), means.flatten(0, 1))  # (B K, D)
        moved = moved.view_as(means)  # (B, K, D)
        return moved + self.mlp(self.norm(moved))

    @torch.no_grad()
    def start_as_clustering(self) -> None:
        """Sets the weights so that the new mean is nearly tanh of the weighted mean."""
        dim = self.gru.hidden_size
        for parameter in (*self.gru.parameters(), *self.mlp[-1].parameters()):
            parameter.mul_(0.1)
        # The rows of a GRU: reset gate, update gate, new state.
        self.gru.weight_ih[2 * dim :] += torch.eye(dim)
        self.gru.bias_ih[dim : 2 * dim] = -2.0  # sigmoid(-2) = 0.12 of the old mean stays


class SlotModule(nn.Module):
    """What both slot modules share: sizes, projections, start, options, checks.

    Use `SlotAttention` or `SlotMixture`.

    num_slots: K. input_dim, slot_dim: D_in, D. num_iterations: rounds of clustering in one call.
    mlp_dim: hidden width of the MLPs, 2 D if not given.
    start: `shared` | `per_slot` | `background`, see `SlotStart`.
    projections: keys, values and queries are `learned` linear maps | the `identity`, which needs
    input_dim = slot_dim.
    normalisation: a LayerNorm on inputs and on means before the query, `layer` | on `inputs` alone
    | `none`.
    update: the mean moves by `NeuralUpdate`, `neural` | straight to the weighted mean, `none`.
    gradient: flows through `all` iterations | through the `last` alone, where it goes straight to
    the start, which therefore still trains (BO-QSA) | through `each` on its own: every iteration
    takes what the one before gave it as fixed. That is for losses on every iteration.
    initialisation: learned parts start at `random` | so that the module starts as plain soft
    `clustering`: keys and values are the same rotation of the inputs, queries are the means, and
    the update nearly returns the weighted mean.

    Raises `ValueError` for an unknown option or a size that is no whole number of at least 1, and
    in `forward` for inputs or noise of a wrong type or shape. Inputs have the type of the weights.
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
        num_slots, input_dim, slot_dim, num_iterations = check_sizes(
            num_slots=num_slots,
            input_dim=input_dim,
            slot_dim=slot_dim,
            num_iterations=num_iterations,
        )
        self.num_slots = num_slots
        self.input_dim = input_dim
        self.slot_dim = slot_dim
        self.num_iterations = num_iterations
        self.mlp_dim = 2 * slot_dim if mlp_dim is None else check_whole("mlp_dim", mlp_dim)
        check_choice("start", start, Start)
        check_choice("projections", projections, Projections)
        check_choice("normalisation", normalisation, Normalisation)
        check_choice("update", update, Update)
        check_choice("initialisation", initialisation, Initialisation)
        self.gradient = check_choice("gradient", gradient, Gradient)
        if projections == "learned":
            self.to_keys = nn.Linear(input_dim, slot_dim, bias=False)
            self.to_values = nn.Linear(input_dim, slot_dim, bias=False)
            self.to_queries = nn.Linear(slot_dim, slot_dim, bias=False)
        elif input_dim == slot_dim:
            self.to_keys = self.to_values = self.to_queries = nn.Identity()
        else:
            raise ValueError(
                f"projections='identity' needs input_dim = slot_dim, got {input_dim} and {slot_dim}"
            )
        self.norm_inputs = nn.Identity() if normalisation == "none" else nn.LayerNorm(input_dim)
        self.norm_means = nn.LayerNorm(slot_dim) if normalisation == "layer" else nn.Identity()
        self.start = SlotStart(num_slots, slot_dim, start)
        self.update = NeuralUpdate(slot_dim, self.mlp_dim) if update == "neural" else None
        if initialisation == "clustering":
            self.start_as_clustering()

    @property
    def output_dim(self) -> int:
        """Width of a slot."""
        return self.slot_dim

    @property
    def any_weight(self) -> Tensor:
        """One of the weights, for its type."""
        return next(self.parameters())

    @torch.no_grad()
    def start_as_clustering(self) -> None:
        """Sets the learned parts so that the untrained module clusters its (rotated) inputs."""
        if isinstance(self.to_keys, nn.Linear):
            nn.init.orthogonal_(self.to_keys.weight)
            self.to_values.weight.copy_(self.to_keys.weight)
            nn.init.eye_(self.to_queries.weight)
        if self.update is not None:
            self.update.start_as_clustering()

    def check_call(
        self, inputs: Tensor, num_iterations: int | None, num_slots: int | None
    ) -> tuple[int, int]:
        """Refuses inputs of a wrong type or shape -> the numbers of iterations and slots of this
        call.
        """
        check_floats("inputs", inputs, self.any_weight)
        if inputs.ndim != 3 or inputs.shape[1] < 1 or inputs.shape[2] != self.input_dim:
            remedy = ": flatten the feature map first, e.g. features.flatten(2).transpose(1, 2)"
            raise ValueError(
                f"inputs must be (batch, inputs, {self.input_dim}), got {tuple(inputs.shape)}"
                + (remedy if inputs.ndim == 4 else "")
            )
        iterations = self.num_iterations if num_iterations is None else num_iterations
        slots = self.num_slots if num_slots is None else num_slots
        return check_whole("num_iterations", iterations), check_whole("num_slots", slots)

    def records_gradient(self, last: bool) -> bool:
        """Whether autograd follows an iteration, which is the `last` one or not."""
        return torch.is_grad_enabled() and (last or self.gradient != "last")

    def cut_gradient(self, value: Tensor, start: Tensor, first: bool, last: bool) -> Tensor:
        """What an iteration begins with, cut off from where its gradient shall not go.

        value: what the iteration before gave. start: what it was before the `first` iteration.
        """
        if self.gradient == "last" and last:
            return pass_straight_through(value, start)
        return value.detach() if self.gradient == "each" and not first else value

    def read_state(self, state: SlotState) -> Tensor:
        """What the slots contain after an iteration -> `(B, K, output_dim)`."""
        return state.means

    def move(self, means: Tensor, weighted_means: Tensor) -> Tensor:
        """The neural update, or without one the weighted mean itself -> `(B, K, D)`.

        The clustering may compute in a wider type than the module; the means keep theirs.
        """
        weighted_means = weighted_means.to(means.dtype)
        return weighted_means if self.update is None else self.update(weighted_means, means)


def pass_straight_through(value: Tensor, start: Tensor) -> Tensor:
    """`value`, detached from what made it; its gradient goes to `start` (BO-QSA)."""
    return value.detach() + (start - start.detach())


def in_full_precision(step):
    """Decorates a step of the clustering: it runs outside autocast, its tensors at least float32.

    Sums over many inputs need the digits.
    """

    @functools.wraps(step)
    def run_in_full_precision(self, *arguments):
        with without_autocast(arguments[0].device):
            return step(self, *(widen(a) if isinstance(a, Tensor) else a for a in arguments))

    return run_in_full_precision


def widen(tensor: Tensor) -> Tensor:
    """The tensor in float32, or in its own precision if that is wider."""
    return tensor.to(torch.promote_types(tensor.dtype, torch.float32))


def check_choice(name: str, value: str, choices: Any) -> str:
    """`value` if it is one of the choices, a `Literal` or names; else `ValueError`."""
    known = list(get_args(choices) or choices)
    if value not in known:
        raise ValueError(f"{name} must be one of {', '.join(map(repr, known))}, got {value!r}")
    return value


def check_noise(noise: Any, shape: tuple[int, int, int], width: str) -> None:
    """Raises `ValueError` unless noise holds floats, of any type, and has this shape.

    width: what the last number is called.
    """
    if not isinstance(noise, Tensor) or not noise.is_floating_point():
        given = noise.dtype if isinstance(noise, Tensor) else type(noise).__name__
        raise ValueError(f"noise must be a tensor of floats, got {given}: torch.randn makes one")
    if noise.shape != shape:
        raise ValueError(
            f"noise must be (batch, slots, {width}) = {shape}, got {tuple(noise.shape)}"
        )
