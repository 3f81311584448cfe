"""The starts of the slots, before the first iteration of a slot module."""

import math
from typing import Any, Literal

import torch
from torch import Tensor, nn

from smm_tutorial.tensors import without_autocast

Start = Literal["shared", "per_slot", "background", "farthest_points"]

START_MEAN_SPREAD = 0.5  # standard deviation of the start means before training
#: Scale of the noise around a start mean before training. Slots that share a start mean differ only
#: by their noise, so they need more noise.
START_NOISE = {"shared": 0.5, "background": 0.5, "per_slot": 0.08, "farthest_points": 0.08}


class SlotStart(nn.Module):
    """The start of the slots: mean + scale * noise. Each image and slot draws noise from N(0, 1).

    kind: where the means come from, and which slots share a learned mean and scale.

    - `shared`: all slots share them. The slots are exchangeable, as in Slot Attention.
    - `per_slot`: each slot has its own mean and scale. The slots specialise.
    - `background`: the first slot has its own mean and scale. The other slots share theirs, so
      these other slots are exchangeable.
    - `farthest_points`: the means are values of the image, far from each other; see
      `choose_farthest_points`. All slots share a learned scale. (Clustering-based initialisation,
      Gao et al. 2023, arXiv 2308.11369.)
    """

    def __init__(self, num_slots: int, slot_dim: int, kind: Start):
        super().__init__()
        self.num_slots = num_slots
        self.slot_dim = slot_dim
        self.kind = kind
        starts = {"background": 2, "per_slot": num_slots}.get(kind, 1)
        if kind != "farthest_points":
            self.mean = nn.Parameter(torch.randn(starts, slot_dim) * START_MEAN_SPREAD)
        self.log_scale = nn.Parameter(torch.full((starts, slot_dim), math.log(START_NOISE[kind])))

    def forward(
        self, batch: int, num_slots: int, noise: Tensor | None = None, values: Tensor | None = None
    ) -> Tensor:
        """Computes the start `(B, K, D)` of K slots for B images.

        noise: `(B, K, D)`, by default random. The same noise gives the same start.
        values: `(B, N, D)`, the values of the inputs. Only `farthest_points` needs them. The
        gradient does not flow through the start to the values.

        Raises `ValueError` for noise of a wrong type or shape, and for too many slots where each
        slot has its own start, or where every slot needs a value of its own.
        """
        shape = (batch, num_slots, self.slot_dim)
        log_scale = self.expand_to_slots(self.log_scale, num_slots)  # (K, D)
        if self.kind == "farthest_points":
            mean = choose_farthest_points(values.detach().to(log_scale), num_slots)  # (B, K, D)
        else:
            mean = self.expand_to_slots(self.mean, num_slots)  # (K, D)
        if noise is None:
            noise = torch.randn(shape, dtype=mean.dtype, device=mean.device)
        check_noise(noise, shape, "slot_dim")
        return mean + log_scale.exp() * noise.to(mean)  # (B, K, D)

    def expand_to_slots(self, parameter: Tensor, num_slots: int) -> Tensor:
        """Repeats a parameter `(starts, D)`, so that each slot has a row -> `(K, D)`.

        Raises `ValueError` if `per_slot` has learned fewer starts than `num_slots`.
        """
        if self.kind == "background":
            return torch.cat([parameter[:1], parameter[1:].expand(num_slots - 1, -1)])
        if self.kind != "per_slot":
            return parameter.expand(num_slots, -1)
        if num_slots > self.num_slots:
            raise ValueError(
                f"num_slots is {num_slots}, but start='per_slot' has learned {self.num_slots} "
                f"starts: ask for at most {self.num_slots} slots, or train with start='shared', "
                "'background' or 'farthest_points', which take any number"
            )
        return parameter[:num_slots]


def choose_farthest_points(points: Tensor, number: int) -> Tensor:
    """Chooses points of each set that lie far from each other -> `(B, number, D)`.

    The first point is the one nearest to the set's mean. In an image of CLEVR the mean lies near
    the background. Each further point is the one farthest from all points chosen so far. So the
    choice is k-means++ without chance.

    points: `(B, N, D)`.

    Raises `ValueError` for a number above N.
    """
    if number > points.shape[1]:
        raise ValueError(
            f"num_slots is {number}, but start='farthest_points' needs an input per slot, and "
            f"there are {points.shape[1]}: ask for fewer slots, or use start='shared'"
        )
    # The expanded square |x|^2 - 2 x y + |y|^2 needs no tensor of differences. It keeps its digits,
    # because the points are centred.
    rows = torch.arange(len(points), device=points.device)
    centred = points - points.mean(dim=1, keepdim=True)  # (B, N, D)
    squares = centred.square().sum(dim=2)  # (B, N)
    last = squares.argmin(dim=1)  # (B,)
    chosen = [points[rows, last]]  # (B, D)
    to_nearest = torch.full_like(squares, torch.inf)  # (B, N), squared distances
    while len(chosen) < number:
        from_last = squares + squares[rows, last][:, None]  # (B, N)
        products = centred[rows, last][:, None]  # (B, 1, D)
        with without_autocast(points.device):
            to_last = torch.baddbmm(from_last[:, None], products, centred.mT, alpha=-2)[:, 0]
        to_nearest = torch.minimum(to_nearest, to_last)
        last = to_nearest.argmax(dim=1)
        chosen.append(points[rows, last])
    return torch.stack(chosen, dim=1)


def check_noise(noise: Any, shape: tuple[int, int, int], width: str) -> None:
    """Raises `ValueError` unless `noise` is a tensor of floats with this shape.

    The floats may have any precision. width: the name of the last dimension, for the message.
    """
    if not isinstance(noise, Tensor) or not noise.is_floating_point():
        given = noise.dtype if isinstance(noise, Tensor) else type(noise).__name__
        raise ValueError(f"noise must be a tensor of floats, got {given}: torch.randn makes one")
    if noise.shape != shape:
        raise ValueError(
            f"noise must be (batch, slots, {width}) = {shape}, got {tuple(noise.shape)}"
        )
