"""Types of tensors: doubles, autocast, and the floats that a module takes."""

import numpy as np
import pytest
import torch

from smm_tutorial.tensors import as_double, check_floats, has_doubles, without_autocast
from tests.wrong_types import KINDS, no_float32

CPU, META = torch.device("cpu"), torch.device("meta")


@pytest.mark.parametrize("dtype", [torch.int64, torch.bool, torch.bfloat16, torch.float64])
@pytest.mark.parametrize("device", [CPU, META], ids=str)
def test_doubles_stay_where_they_are_known(device, dtype):
    double = as_double(torch.ones(3, dtype=dtype, device=device))
    assert has_doubles(device)
    assert double.dtype == torch.float64 and double.device == device


def test_autocast_is_off_inside_and_as_it_was_outside():
    with torch.autocast("cpu", torch.bfloat16):
        with without_autocast(CPU):
            assert not torch.is_autocast_enabled("cpu")
        assert torch.is_autocast_enabled("cpu")


def test_a_device_without_autocast_is_left_alone():
    with torch.autocast("cpu", torch.bfloat16), without_autocast(META):
        assert torch.is_autocast_enabled("cpu")


@pytest.mark.parametrize("kind", KINDS)
def test_what_is_not_of_the_weights_type_is_refused_by_its_name(kind):
    values, message = no_float32(2, 3)[kind]
    message = "^x must .* torch.float32, as the module's weights .*" + message.format(name="x")
    with pytest.raises(ValueError, match=message):
        check_floats("x", values, torch.zeros(1))


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16, torch.float16])
def test_what_is_of_the_weights_type_passes(dtype):
    check_floats("x", torch.zeros(2, dtype=dtype), torch.zeros(1, dtype=dtype))


def test_autocast_takes_half_precision_for_float32_and_the_other_way_round_but_no_doubles():
    single, half = torch.zeros(2), torch.zeros(2, dtype=torch.bfloat16)
    with torch.autocast("cpu", torch.bfloat16):
        check_floats("x", half, single)
        check_floats("x", single, half)
        with pytest.raises(ValueError, match="got torch.float64"):
            check_floats("x", single.double(), single)
    with pytest.raises(ValueError, match="got torch.bfloat16"):
        check_floats("x", half, single)


def test_a_masked_array_is_no_tensor():
    with pytest.raises(ValueError, match="got MaskedArray"):
        check_floats("x", np.ma.masked_array([1.0, 2.0], mask=[0, 1]), torch.zeros(1))
