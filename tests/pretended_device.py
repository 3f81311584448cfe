"""A GPU of Apple, pretended on the CPU: it refuses what the real one refuses.

Inside `PretendedDevice()` there is a device `mps`. Its tensors are computed on the CPU, and say
that they lie on the device. As of the real one, in torch's words:

- it knows no float64, neither made there, nor moved there, nor converted on the way back;
- numpy cannot read its tensors: they must go to the CPU first;
- its tensors and those of the CPU do not mix, but for single numbers and indices;
- a generator of the CPU draws nothing there.

What it cannot pretend: speed, memory, operations that the driver lacks, half precision as Apple
rounds it, autocast, `torch.compile`, other threads, and what C++ makes of a device, such as
`torch.Generator("mps")`.
"""

import contextlib
import sys
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from types import TracebackType
from typing import Any

import torch
from lightning.fabric.accelerators import MPSAccelerator
from torch import Tensor
from torch.overrides import TorchFunctionMode
from torch.utils._device import _device_constructors

from tests.shared import ROOT

DEVICE = torch.device("mps:0")
CPU = torch.device("cpu")
DOUBLES = (torch.float64, torch.complex128)
NO_DOUBLES = (
    "Cannot convert a MPS Tensor to float64 dtype as the MPS framework doesn't support float64. "
    "Please use float32 instead."
)
NO_NUMPY = (
    "can't convert mps:0 device type tensor to numpy. Use Tensor.cpu() to copy the tensor to host "
    "memory first."
)
NO_MIXTURE = (
    "Expected all tensors to be on the same device, but found at least two devices, mps:0 and cpu!"
)
NO_GENERATOR = "Expected a 'mps' device type for generator but found 'cpu'"

TESTS, LIBRARY, TORCH = ROOT / "tests", ROOT / "smm_tutorial", Path(torch.__file__).parent
#: Whose tensors lie on the device by default: those of tests, and of networks.
MAKERS = (TESTS, TORCH / "nn", LIBRARY / "slots", LIBRARY / "networks")
MAKERS = tuple(str(maker) for maker in (*MAKERS, LIBRARY / "set_prediction" / "released.py"))
FACTORIES = _device_constructors()
#: Functions in which tensors of the CPU may take part: as an index, or copied over.
MIXING = {Tensor.__getitem__, Tensor.__setitem__, Tensor.copy_, Tensor.module_load}
MIXING |= {torch._has_compatible_shallow_copy_type}
READ_BY_NUMPY = {Tensor.numpy, Tensor.__array__}
SAYS_WHERE = {
    Tensor.device.__get__: DEVICE,
    Tensor.is_mps.__get__: True,
    Tensor.is_cpu.__get__: False,
}


class Refusal(Exception):
    """What the device refuses."""


class TypeRefusal(Refusal, TypeError):
    """As the real one refuses a type."""


class PlaceRefusal(Refusal, RuntimeError):
    """As the real one refuses what lies elsewhere."""


class DeviceTensor(Tensor):
    """A tensor of the CPU that says that it lies on the device."""

    @classmethod
    def __torch_function__(cls, func, types, args=(), kwargs=None):
        return call(func, args, kwargs or {})

    def __deepcopy__(self, memo: dict) -> Tensor:
        if id(self) not in memo:
            copied = self.detach().clone().requires_grad_(self.requires_grad)
            copied.__dict__.update(self.__dict__)  # which marks parameters
            memo[id(self)] = copied
        return memo[id(self)]

    def __reduce_ex__(self, protocol):
        return take_off(self).__reduce_ex__(protocol)


class PretendedDevice(TorchFunctionMode):
    """While it lasts there is a device `mps`, and tensors and modules can be moved to it.

    by_default: the tensors that tests and networks make without naming a device lie on it, also
    those that a generator of the CPU draws. A test is thus run on it as it stands.
    """

    def __init__(self, by_default: bool = False):
        super().__init__()
        self.by_default = by_default

    def __enter__(self):
        # Parameters that move change their class, so they must be swapped and not filled anew.
        self.swapped = torch.__future__.get_swap_module_params_on_conversion()
        torch.__future__.set_swap_module_params_on_conversion(True)
        return super().__enter__()

    def __exit__(self, *error):
        torch.__future__.set_swap_module_params_on_conversion(self.swapped)
        return super().__exit__(*error)

    def __torch_function__(self, func, types, args=(), kwargs=None):
        return call(func, args, kwargs or {}, self.by_default)


def call(func: Callable, args: tuple, kwargs: dict, by_default: bool = False) -> Any:
    """What a function of torch gives, with tensors that lie on the device or are to lie there."""
    tensors = [*_tensors_in(args), *_tensors_in(kwargs.values())]
    lies_there = any(isinstance(tensor, DeviceTensor) for tensor in tensors)
    if func in (Tensor.to, Tensor.cpu, Tensor.type_as):
        return _move(func, args, kwargs)
    device = kwargs.get("device")
    if device is None and not tensors and by_default and func in FACTORIES and _called_by_a_test():
        return place(compute(func, args, kwargs))
    if device is None and not lies_there:
        return func(*args, **kwargs)
    if device is not None and torch.device(device).type != DEVICE.type:
        return take_off(compute(func, args, kwargs))
    if func in SAYS_WHERE:
        return SAYS_WHERE[func]
    if func is Tensor.__format__:
        return func(take_off(args[0]), *args[1:])
    if func in READ_BY_NUMPY:
        raise TypeRefusal(NO_NUMPY)
    if kwargs.get("generator") is not None:
        raise PlaceRefusal(NO_GENERATOR)
    if device is None and func not in MIXING and any(_lies_elsewhere(tensor) for tensor in tensors):
        raise PlaceRefusal(NO_MIXTURE)
    return place(compute(func, args, kwargs))


def compute(func: Callable, args: tuple, kwargs: dict) -> Any:
    """The function's value on the CPU. Tensors that it returns may be those that it was given."""
    if _names_device(kwargs.get("device")):
        kwargs = kwargs | {"device": CPU}
    on_the_cpu = torch.is_autocast_enabled("cpu")
    off = torch.autocast("cpu", enabled=False) if on_the_cpu else contextlib.nullcontext()
    with off, torch._C.DisableTorchFunctionSubclass():  # autocast of the CPU is not the device's
        return func(*args, **kwargs)


def place(value: Any) -> Any:
    """The tensors in a value, on the device."""
    return _change_tensors(_place_tensor, value)


def take_off(value: Any) -> Any:
    """The tensors in a value, off the device."""
    return _change_tensors(_take_off_tensor, value)


def _take_off_tensor(tensor: Tensor) -> Tensor:
    return tensor.as_subclass(Tensor).clone() if isinstance(tensor, DeviceTensor) else tensor


def _place_tensor(tensor: Tensor) -> Tensor:
    if tensor.dtype in DOUBLES:
        raise TypeRefusal(NO_DOUBLES)
    return tensor if isinstance(tensor, DeviceTensor) else tensor.as_subclass(DeviceTensor)


def _tensors_in(values: Iterable) -> Iterator[Tensor]:
    """The tensors among the values, and in lists and tuples of them."""
    for value in values:
        if isinstance(value, Tensor):
            yield value
        elif isinstance(value, (tuple, list)):
            yield from _tensors_in(value)


def _change_tensors(change: Callable[[Tensor], Tensor], value: Any) -> Any:
    """A value, or a list or tuple of values, with its tensors changed."""
    if isinstance(value, Tensor):
        return change(value)
    if isinstance(value, (tuple, list)):
        return type(value)([_change_tensors(change, part) for part in value])
    return value


def _move(func: Callable, args: tuple, kwargs: dict) -> Tensor:
    """`to`, `cpu` or `type_as` of a tensor."""
    tensor, *rest = args
    came_from_device = isinstance(tensor, DeviceTensor)
    device = CPU if func is Tensor.cpu else DEVICE if came_from_device else tensor.device
    dtype = tensor.dtype
    for item in (*rest, *kwargs.values()):
        if isinstance(item, Tensor):
            device, dtype = item.device, item.dtype
        elif isinstance(item, torch.dtype):
            dtype = item
        elif isinstance(item, (torch.device, str)):
            device = torch.device(item)
    goes_to_device = device.type == DEVICE.type
    if dtype in DOUBLES and (came_from_device or goes_to_device):
        raise TypeRefusal(NO_DOUBLES)
    rest = [CPU if _names_device(item) else item for item in rest]
    kwargs = {name: CPU if _names_device(item) else item for name, item in kwargs.items()}
    moved = compute(func, (tensor, *rest), kwargs)
    if goes_to_device:
        return place(moved if came_from_device else moved.clone())
    return take_off(moved)


def _names_device(item: Any) -> bool:
    return isinstance(item, (torch.device, str)) and torch.device(item).type == DEVICE.type


def _lies_elsewhere(tensor: Tensor) -> bool:
    """Whether a tensor of the CPU is more than a single number, which every device takes."""
    return not isinstance(tensor, DeviceTensor) and tensor.ndim > 0


def _called_by_a_test() -> bool:
    """Whether a test, or a network that it builds, has called a function of torch."""
    frame = sys._getframe(2)
    while not (file := frame.f_code.co_filename).startswith(MAKERS) or file == __file__:
        if not file.startswith((str(TORCH), __file__)):
            return False
        frame = frame.f_back
    return True


def is_refused_in_a_test(traceback: TracebackType) -> bool:
    """Whether it was a test, and not the library, that asked the device for what it refuses."""
    last = None
    while traceback:
        file = Path(traceback.tb_frame.f_code.co_filename)
        if file != Path(__file__) and (TESTS in file.parents or LIBRARY in file.parents):
            last = file
        traceback = traceback.tb_next
    return last is not None and TESTS in last.parents


def let_training_find_it(setattr: Callable[[object, str, object], None] = setattr) -> None:
    """Makes Fabric choose the device, on a machine whose CPU has no units for half precision."""
    if hasattr(torch.cpu, "get_capabilities"):  # not in older versions
        setattr(torch.cpu, "get_capabilities", dict)
    setattr(MPSAccelerator, "is_available", staticmethod(lambda: True))
    setattr(MPSAccelerator, "get_parallel_devices", staticmethod(lambda devices: [DEVICE]))
