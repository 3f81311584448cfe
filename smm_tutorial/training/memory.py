"""Measures the memory that a forward pass keeps for the backward pass."""

from collections.abc import Callable

import torch
from torch import Tensor


def bytes_kept_for_backward(forward: Callable[[], object]) -> int:
    """Counts the bytes of all tensors that autograd keeps during `forward()`.

    Tensors that share memory count once. These bytes are most of the memory of a training. The
    number is the same on every machine.
    """
    storages = {}

    def remember(tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        storages[storage.data_ptr()] = storage.nbytes()
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(remember, lambda tensor: tensor):
        # The variable keeps the result alive. Otherwise two tensors could get the same address.
        result = forward()
    del result
    return sum(storages.values())
