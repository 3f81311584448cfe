"""Number types of tensors: float64 on every device, autocast, and checks of a module's inputs.

Devices differ in the number types that they have. Code that depends on these types uses this file.
"""

import contextlib
import functools
from typing import Any

import numpy
import torch
from torch import Tensor

#: Autocast converts between these types.
AUTOCAST_TYPES = (torch.float32, torch.bfloat16, torch.float16)
#: The method that converts a tensor or a module to a type, for messages.
CONVERSIONS = {
    torch.float32: "float()",
    torch.float64: "double()",
    torch.bfloat16: "bfloat16()",
    torch.float16: "half()",
}


@functools.cache
def has_doubles(device: torch.device) -> bool:
    """Whether a device has float64, by a trial. Apple's GPUs (`mps`) have no float64."""
    try:
        torch.empty(0, dtype=torch.float64, device=device)
    except (TypeError, RuntimeError):
        return False
    return True


def as_double(tensor: Tensor) -> Tensor:
    """Converts a tensor to float64, on its device, or on the CPU if its device has no float64."""
    return tensor.double() if has_doubles(tensor.device) else tensor.cpu().double()


def has_autocast(device: torch.device) -> bool:
    """Whether a device has autocast. `meta` and, in old versions of torch, `mps` have none."""
    return torch.amp.is_autocast_available(device.type)


def without_autocast(device: torch.device) -> contextlib.AbstractContextManager:
    """Switches autocast off inside a `with` block. Does nothing on a device without autocast."""
    if has_autocast(device):
        return torch.autocast(device.type, enabled=False)
    return contextlib.nullcontext()


def check_floats(name: str, values: Any, weight: Tensor) -> None:
    """Checks that values have the number type of a module's weight.

    The types must be equal, because a silent conversion may lose digits. Under autocast float32,
    bfloat16 and float16 may stand for each other.

    Args:
        name: name of the argument, for the message.
        values: the values to check.
        weight: a weight of the module.

    Raises:
        ValueError: the values are not a tensor, or their number type is another.
    """
    wanted = weight.dtype
    convert = CONVERSIONS.get(wanted, f"to({wanted})")
    if not isinstance(values, Tensor):
        make = "from_numpy" if isinstance(values, numpy.ndarray) else "tensor"
        raise ValueError(
            f"{name} must be a tensor of {wanted}, as the module's weights are, got "
            f"{type(values).__name__}: torch.{make}({name}).{convert} makes one"
        )
    if values.dtype == wanted or _converts(values, wanted):
        return
    remedy = f"convert them, with {name}.{convert}"
    if values.dtype in CONVERSIONS:
        remedy += f", or the module, with module.{CONVERSIONS[values.dtype]}"
    raise ValueError(
        f"{name} must hold {wanted}, as the module's weights do, got {values.dtype}: {remedy}"
    )


def _converts(values: Tensor, wanted: torch.dtype) -> bool:
    """Whether autocast is on, and converts the values to the wanted type or accepts both types."""
    known = values.dtype in AUTOCAST_TYPES and wanted in AUTOCAST_TYPES
    device = values.device
    return known and has_autocast(device) and torch.is_autocast_enabled(device.type)
