"""Contingency tables: how many pixels of an image have true label t and predicted label p."""

import numpy as np
import torch
from torch import Tensor

from smm_tutorial.tensors import as_double

#: If a map has larger labels, the labels are renumbered first. So sparse labels, such as packed
#: colours, still give small tables.
LARGEST_PLAIN_LABEL = 255
MOST_COUNTS = 2**27  # in a table, which takes 1 GiB; the metrics make a few copies of the table


def count_table(true: Tensor, predicted: Tensor) -> Tensor:
    """Counts the pixels of each image that have true label t and predicted label p.

    Args:
        true: integer map (B, H, W), 0 = background.
        predicted: integer map (B, H, W).

    Returns:
        Counts (B, T, P), float64, on the maps' device, or on the CPU if the device has no float64.
        Row 0 is the background, and row k is object k, even if no pixel has that label. If a label
        exceeds `LARGEST_PLAIN_LABEL`, row k is the k-th label above 0 that occurs in the image. The
        same holds for the columns and the predicted labels.

    Raises:
        ValueError: the maps are not (B, H, W), or differ in shape or device. A map holds floats,
            masked or negative labels. Or the table would exceed `MOST_COUNTS`.
    """
    true, num_true = _integer_map(true, "true")
    predicted, num_predicted = _integer_map(predicted, "predicted")
    if true.shape != predicted.shape:
        raise ValueError(
            f"true and predicted must be maps of the same shape, got {tuple(true.shape)} and "
            f"{tuple(predicted.shape)}: resize one of them, with nearest neighbour"
        )
    if true.device != predicted.device:
        raise ValueError(
            f"true is on {true.device}, predicted on {predicted.device}: move one, "
            "e.g. predicted.to(true.device)"
        )
    size = len(true) * num_true * num_predicted
    if size > MOST_COUNTS:
        raise ValueError(
            f"a table of {len(true)} images, {num_true:,} true and {num_predicted:,} predicted "
            f"labels would take {8 * size / 1e9:,.0f} GB: give fewer images at once, and maps of "
            "objects and segments rather than of pixels"
        )
    dtype = torch.int32  # holds `MOST_COUNTS`, and is twice as fast as int64
    image = torch.arange(len(true), device=true.device, dtype=dtype).view(-1, 1, 1)
    row = image * num_true + true.to(dtype)  # (B, H, W)
    entry = row * num_predicted + predicted.to(dtype)  # (B, H, W): where each pixel is counted
    counts = torch.bincount(entry.flatten(), minlength=size)
    return as_double(counts.view(len(true), num_true, num_predicted))  # (B, T, P)


def _integer_map(labels: Tensor, name: str) -> tuple[Tensor, int]:
    """Checks a map, and renumbers large labels -> the map, and its largest label plus 1.

    Label 0 stays 0. Raises `ValueError` as `count_table`.
    """
    if np.ma.is_masked(labels):
        raise ValueError(f"{name} has masked pixels: give them a label, e.g. {name}.filled(0)")
    labels = torch.as_tensor(labels)
    if labels.is_floating_point() or labels.is_complex():
        raise ValueError(
            f"{name} must hold integer labels, got {labels.dtype}: take the argmax of soft masks "
            "first, e.g. masks.argmax(dim=1), or labels.long() of whole numbers"
        )
    if labels.ndim != 3 or labels.numel() == 0:
        raise ValueError(
            f"{name} must be a map (batch, height, width) with at least one pixel, got shape "
            f"{tuple(labels.shape)}: a single map becomes a batch with labels[None]"
        )
    unsigned = labels.dtype == torch.uint64
    if labels.dtype not in (torch.uint8, torch.int8, torch.int16, torch.int32, torch.int64):
        labels = labels.long()  # bool and the wide unsigned types, which lack some operations
    lowest, highest = (int(label) for label in labels.aminmax())
    if lowest < 0 and unsigned:
        raise ValueError(f"{name} must hold labels below 2**63, got {lowest + 2**64}")
    if lowest < 0:
        raise ValueError(
            f"{name} must not hold negative labels, got {lowest}: use 0 for the background, "
            "1, 2, ... for objects"
        )
    if highest > LARGEST_PLAIN_LABEL:
        labels = _renumber_per_image(labels)
        highest = int(labels.max())
    return labels, highest + 1


def _renumber_per_image(labels: Tensor) -> Tensor:
    """Renumbers the labels of each image as 1, 2, ... in their order. Label 0 stays 0.

    labels: integer map (B, H, W).
    """
    background = labels.new_zeros(len(labels), 1)  # an extra pixel, so that 0 always occurs
    pixels = torch.cat([background, labels.flatten(1)], dim=1)  # (B, 1 + H W)
    known, numbers = torch.unique(pixels, return_inverse=True)  # numbers of the batch
    image = torch.arange(len(labels), device=labels.device)[:, None]  # (B, 1)
    numbers = torch.unique(image * len(known) + numbers, return_inverse=True)[1]
    return (numbers[:, 1:] - numbers[:, :1]).view_as(labels)
