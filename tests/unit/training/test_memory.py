"""What a computation keeps for its backward pass."""

import torch

from smm_tutorial.training.memory import bytes_kept_for_backward


def test_bytes_kept_count_each_storage_once():
    x = torch.ones(100, requires_grad=True)

    assert bytes_kept_for_backward(lambda: x.exp()) == 400  # its result
    assert bytes_kept_for_backward(lambda: x * x) == 400  # both factors are one tensor
    assert (
        bytes_kept_for_backward(lambda: x.exp().sin()) == 400
    )  # the result of exp is what sin keeps as well
    assert bytes_kept_for_backward(lambda: x.exp().exp()) == 800
    assert bytes_kept_for_backward(lambda: x.sum()) == 0
