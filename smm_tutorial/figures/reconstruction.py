"""Figures of image reconstruction: tokens, relaxed samples, and pictures that grow."""

from collections.abc import Mapping, Sequence

import numpy as np
import torch
from matplotlib.figure import Figure
from torch import Tensor

from smm_tutorial.figures.layout import panel_grid
from smm_tutorial.figures.palette import BLUE, VERMILION
from smm_tutorial.figures.pictures import to_picture

PALE = 0.45  # how much of a picture's colour is left under numbers
NOT_YET = 0.85  # grey of the part of a picture that is not generated yet


def tokens_figure(image: Tensor, tokens: Tensor, painted: Tensor) -> Figure:
    """An image, the numbers of its tokens, and the image that these tokens paint.

    image, painted: `(3, S, S)`. tokens: `(N,)`, row by row.
    """
    side = round(len(tokens) ** 0.5)
    patch = image.shape[2] / side
    figure, axes = panel_grid(3, 3, 3.3, 3.5)
    pictures = [to_picture(one) for one in (image, painted, painted)]
    pictures[1] = 1 - PALE * (1 - pictures[1])
    titles = ("picture", f"{len(tokens)} tokens", "painted from the tokens")
    for axis, picture, title in zip(axes, pictures, titles, strict=True):
        axis.imshow(picture, interpolation="nearest")
        axis.set_title(title, fontsize=10)
        axis.axis("off")
    for place, token in enumerate(tokens.tolist()):
        row, column = divmod(place, side)
        x, y = (column + 0.5) * patch - 0.5, (row + 0.5) * patch - 0.5
        axes[1].text(x, y, str(token), ha="center", va="center", fontsize=6.5)
    for line in range(1, side):
        for axis in axes[:2]:
            axis.axhline(line * patch - 0.5, color="white", lw=0.4)
            axis.axvline(line * patch - 0.5, color="white", lw=0.4)
    return figure


def codes_figure(patches: Tensor, shares: Tensor | None = None) -> Figure:
    """A code book: the patch of every code, the most frequent ones first.

    patches: `(V, 3, p, p)`. shares: `(V,)`, how frequent each code is; by default as they stand.
    """
    order = range(len(patches)) if shares is None else shares.argsort(descending=True).tolist()
    columns = 16
    rows = -(-len(patches) // columns)
    figure = Figure(figsize=(0.5 * columns, 0.5 * rows), layout="constrained")
    axes = figure.subplots(rows, columns, squeeze=False).ravel()
    for axis in axes:
        axis.axis("off")
    for axis, code in zip(axes, order, strict=False):
        axis.imshow(to_picture(patches[code]), interpolation="nearest")
    return figure


def frequencies_figure(shares: Mapping[str, Tensor]) -> Figure:
    """How frequent the codes are, the most frequent first: one line per code book.

    shares: `(V,)` by the name of the code book; each sums to 1.
    """
    figure = Figure(figsize=(6.4, 2.8), layout="constrained")
    axis = figure.subplots()
    for (name, share), look in zip(shares.items(), ((BLUE, "-"), (VERMILION, "--")), strict=False):
        ordered = share.sort(descending=True).values
        axis.plot(np.arange(1, len(share) + 1), ordered, look[1], color=look[0], label=name)
    axis.set(xlabel="code, by rank", ylabel="share of all patches", yscale="log")
    axis.grid(alpha=0.3)
    axis.legend(fontsize=9)
    return figure


def relaxed_figure(logits: Tensor, noise: Tensor, temperature: float) -> Figure:
    """Relaxed samples of one distribution: the probabilities, then one panel per sample.

    logits: `(V,)`. noise: Gumbel noise `(samples, V)`.
    """
    samples = ((logits + noise) / temperature).softmax(dim=1)
    panels = [("probabilities", logits.softmax(dim=0))]
    panels += [(f"sample {n}", sample) for n, sample in enumerate(samples, start=1)]
    figure, axes = panel_grid(len(panels), len(panels), 2.2, 2.1, sharey=True)
    for axis, (title, heights) in zip(axes, panels, strict=True):
        color = "0.6" if title == "probabilities" else BLUE
        axis.bar(np.arange(len(heights)), heights.numpy(), color=color)
        axis.set_title(title, fontsize=9)
        axis.set(xlabel="code", ylim=(0, 1))
    figure.suptitle(f"temperature {temperature:g}", fontsize=10)
    return figure


def growing_figure(pictures: Sequence[Tensor], tokens: int, length: int) -> Figure:
    """Pictures of which only the first tokens are generated. The rest is grey.

    pictures: whole pictures, `(3, S, S)` each. tokens: the number that is done, of `length`.
    """
    figure, axes = panel_grid(len(pictures), len(pictures), 2.1, 2.3)
    side = round(length**0.5)
    done = torch.arange(length).view(side, side) < tokens
    for axis, picture in zip(axes, pictures, strict=True):
        patch = picture.shape[2] // side
        mask = done.repeat_interleave(patch, dim=0).repeat_interleave(patch, dim=1)
        shown = torch.where(mask, picture, torch.full_like(picture, NOT_YET))
        axis.imshow(to_picture(shown), interpolation="nearest")
        axis.axis("off")
    figure.suptitle(f"{tokens} of {length} tokens", fontsize=10)
    return figure


def looks_figure(picture: Tensor, looks: Tensor) -> Figure:
    """Where each slot is looked at: the picture, then one panel per slot.

    picture: `(3, S, S)`. looks: `(N, K)`, how much each token attends to each slot, row by row. The
    brightest cell has the weight that the panel's title names.
    """
    side = round(len(looks) ** 0.5)
    count = looks.shape[1]
    figure, axes = panel_grid(1 + count, 1 + count, 1.25, 1.5)
    axes[0].imshow(to_picture(picture), interpolation="nearest")
    axes[0].set_title("picture", fontsize=8)
    for slot, axis in enumerate(axes[1:]):
        weights = looks[:, slot].view(side, side)
        axis.imshow(weights.numpy(), cmap="gray", vmin=0)
        axis.set_title(f"slot {slot}: to {weights.max():.2f}", fontsize=8)
    for axis in axes:
        axis.axis("off")
    return figure
