"""The parts that both slot modules share: output, start, neural update, options and checks."""

import functools
from dataclasses import dataclass, field
from typing import Literal

import torch
from torch import Tensor, nn

from smm_tutorial.arguments import check_choice, check_sizes, check_whole
from smm_tutorial.slots.starts import SlotStart, Start
from smm_tutorial.tensors import check_floats, without_autocast

Projections = Literal["learned", "identity"]
Normalisation = Literal["layer", "inputs", "none"]
Update = Literal["neural", "none"]
Gradient = Literal["all", "last", "each"]
Initialisation = Literal["random", "clustering"]


@dataclass
class SlotState:
    """The slots after one iteration.

    Slot Attention sets only two fields: its slots are the `means`, and its attention is the
    `responsibilities`.
    """

    means: Tensor  # (B, K, D)
    responsibilities: Tensor  # (B, N, K); the means were computed from these
    variances: Tensor | None = None  # (B, K, D)
    weights: Tensor | None = None  # (B, K)


@dataclass
class SlotOutput:
    """The output of a slot module. In `SlotAttention`, means, variances and weights are None."""

    slots: Tensor  # (B, K, module.output_dim)
    responsibilities: Tensor  # (B, N, K) of the last iteration; they sum to 1 over K
    means: Tensor | None = None  # (B, K, D)
    variances: Tensor | None = None  # (B, K, D)
    weights: Tensor | None = None  # (B, K)
    history: list[SlotState] = field(default_factory=list)  # on request, one state per iteration


class NeuralUpdate(nn.Module):
    """Moves a mean to the weighted mean with learned weights: a GRU, then a residual MLP.

    Source: Slot Attention, algorithm 1, lines 9 and 10. The state of the GRU is the mean before the
    LayerNorm of the query.
    """

    def __init__(self, slot_dim: int, mlp_dim: int):
        super().__init__()
        self.gru = nn.GRUCell(slot_dim, slot_dim)
        self.norm = nn.LayerNorm(slot_dim)
        self.mlp = nn.Sequential(
            nn.Linear(slot_dim, mlp_dim), nn.ReLU(), nn.Linear(mlp_dim, slot_dim)
        )

    def forward(self, weighted_means: Tensor, means: Tensor) -> Tensor:
        """Computes the updated means `(B, K, D)`. Both arguments are `(B, K, D)`."""
        moved = self.gru(weighted_means.flatten(0, 1), means.flatten(0, 1))  # (B K, D)
        moved = moved.view_as(means)  # (B, K, D)
        return moved + self.mlp(self.norm(moved))

    @torch.no_grad()
    def start_as_clustering(self) -> None:
        """Sets the weights: the updated mean is then nearly the tanh of the weighted mean."""
        dim = self.gru.hidden_size
        for parameter in (*self.gru.parameters(), *self.mlp[-1].parameters()):
            parameter.mul_(0.1)
        # torch stores the rows of a GRU in this order: reset gate, update gate, new state.
        self.gru.weight_ih[2 * dim :] += torch.eye(dim)
        self.gru.bias_ih[dim : 2 * dim] = -2.0  # keeps sigmoid(-2) = 0.12 of the old mean


class SlotModule(nn.Module):
    """The common base of `SlotAttention` and `SlotMixture`. Use one of these two classes.

    Args:
        num_slots: K, the number of slots.
        input_dim: D_in, the width of an input.
        slot_dim: D, the width of a mean.
        num_iterations: number of iterations of clustering in one call.
        mlp_dim: hidden width of the MLPs, by default 2 D.
        start: `shared`, `per_slot`, `background` or `farthest_points`; see `SlotStart`.
        projections: `learned` makes keys, values and queries by learned linear maps. `identity`
            uses inputs and means as they are; it needs input_dim = slot_dim.
        normalisation: `layer` applies a LayerNorm to the inputs, and to the means before the query.
            `inputs` applies a LayerNorm only to the inputs. `none` applies no LayerNorm.
        update: `neural` moves the mean by `NeuralUpdate`. `none` sets the mean to the weighted
            mean.
        gradient: `all`: the gradient flows through all iterations. `last`: the gradient flows
            through the last iteration and from there directly to the start, so that the start still
            trains (BO-QSA, arXiv 2210.08990). `each`: every iteration treats the result of the
            previous iteration as a constant. Use `each` if the loss covers every iteration.
        initialisation: `random`: torch's random weights. `clustering`: the untrained module is
            plain soft clustering. Keys and values are the same rotation of the inputs, queries are
            the means, and the update nearly returns the weighted mean.

    Raises:
        ValueError: an unknown option, or a size that is not a whole number of at least 1. In
            `forward`: inputs or noise of a wrong type or shape. Inputs must have the number type of
            the weights.
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
        """The width of a slot in the output."""
        return self.slot_dim

    @property
    def any_weight(self) -> Tensor:
        """One of the module's weights. Checks compare its number type with the inputs'."""
        return next(self.parameters())

    @torch.no_grad()
    def start_as_clustering(self) -> None:
        """Sets the weights so that the untrained module clusters its inputs, after a rotation."""
        if isinstance(self.to_keys, nn.Linear):
            nn.init.orthogonal_(self.to_keys.weight)
            self.to_values.weight.copy_(self.to_keys.weight)
            nn.init.eye_(self.to_queries.weight)
        if self.update is not None:
            self.update.start_as_clustering()

    def check_call(
        self, inputs: Tensor, num_iterations: int | None, num_slots: int | None
    ) -> tuple[int, int]:
        """Checks the arguments of `forward` -> the number of iterations and the number of slots.

        Raises `ValueError` for inputs of a wrong type or shape, or a number below 1.
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
        """Whether autograd records an iteration. last: whether this iteration is the last."""
        return torch.is_grad_enabled() and (last or self.gradient != "last")

    def cut_gradient(self, value: Tensor, start: Tensor, first: bool, last: bool) -> Tensor:
        """Returns `value` as an iteration uses it: its gradient flows as `gradient` allows.

        value: a result of the previous iteration. start: its value before the first iteration.
        first, last: whether this iteration is the first or the last.
        """
        if self.gradient == "last" and last:
            return pass_straight_through(value, start)
        return value.detach() if self.gradient == "each" and not first else value

    def read_state(self, state: SlotState) -> Tensor:
        """Returns the contents of the slots after an iteration -> `(B, K, output_dim)`."""
        return state.means

    def move(self, means: Tensor, weighted_means: Tensor) -> Tensor:
        """Moves the means to the weighted means by the neural update -> `(B, K, D)`.

        Without a neural update the new means are the weighted means. Both arguments are
        `(B, K, D)`. The clustering may compute in a wider number type than the module. The new
        means have the type of `means`.
        """
        weighted_means = weighted_means.to(means.dtype)
        return weighted_means if self.update is None else self.update(weighted_means, means)


def pass_straight_through(value: Tensor, start: Tensor) -> Tensor:
    """Returns `value`, but sends its gradient directly to `start` (BO-QSA, arXiv 2210.08990)."""
    return value.detach() + (start - start.detach())


def in_full_precision(step):
    """Decorator: a method runs without autocast, and its tensors become at least float32.

    The steps of the clustering sum over many inputs. Such sums need the precision of float32.
    """

    @functools.wraps(step)
    def run_in_full_precision(self, *arguments):
        with without_autocast(arguments[0].device):
            return step(self, *(widen(a) if isinstance(a, Tensor) else a for a in arguments))

    return run_in_full_precision


def widen(tensor: Tensor) -> Tensor:
    """Converts a tensor to float32. A tensor of float64 stays as it is."""
    return tensor.to(torch.promote_types(tensor.dtype, torch.float32))
