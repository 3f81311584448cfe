"""Types of tensors: where doubles are computed, where autocast is off, which floats a module takes.

Devices differ in the types that they know. What depends on that asks here.
"""

import contextlib
import functools
from typing import Any

import numpy
import torch
from torch import Tensor

#: Types that pass for one another under autocast, which converts between them.
AUTOCAST_TYPES = (torch.float32, torch.bfloat16, torch.float16)
#: What converts to a type, by the method that people know.
CONVERSIONS = {
    torch.float32: "float()",
    torch.float64: "double()",
    torch.bfloat16: "bfloat16()",
    torch.float16: "half()",
}


@functools.cache
def has_doubles(device: torch.device) -> bool:
    """Whether a device knows float64. Apple's GPUs (`mps`) do not; the device itself is asked."""
    try:
        torch.empty(0, dtype=torch.float64, device=device)
    except (TypeError, RuntimeError):
        return False
    return True


def as_double(tensor: Tensor) -> Tensor:
    """The tensor in float64: where it lies, or on the CPU if its device knows no float64."""
    return tensor.double() if has_doubles(tensor.device) else tensor.cpu().double()


def has_autocast(device: torch.device) -> bool:
    """Whether a device knows autocast. `meta` does not, nor does `mps` in older versions."""
    return torch.amp.is_autocast_available(device.type)


def without_autocast(device: torch.device) -> contextlib.AbstractContextManager:
    """Switches autocast off on a device. Where there is none, nothing is to be switched off."""
    if has_autocast(device):
        return torch.autocast(device.type, enabled=False)
    return contextlib.nullcontext()


def check_floats(name: str, values: Any, weight: Tensor) -> None:
    """Refuses what a module with this weight cannot compute with.

    The values must have the weight's type, since a silent conversion may lose digits. Under
    autocast float32 and the half precisions pass for one another.

    Raises:
        ValueError: the values are no tensor, hold no floats, or floats of another type.
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
    """Whether autocast converts the values to the wanted type, or computes with both."""
    known = values.dtype in AUTOCAST_TYPES and wanted in AUTOCAST_TYPES
    device = values.device
    return known and has_autocast(device) and torch.is_autocast_enabled(device.type)
