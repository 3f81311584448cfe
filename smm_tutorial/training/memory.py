"""What a forward pass keeps for its backward pass."""

from collections.abc import Callable

import torch
from torch import Tensor


def bytes_kept_for_backward(forward: Callable[[], object]) -> int:
    """Bytes of all tensors that autograd keeps during `forward()`, each storage counted once.

    This is most of the memory that training takes. The number is the same on every machine.
    """
    storages = {}

    def remember(tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        storages[storage.data_ptr()] = storage.nbytes()
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(remember, lambda tensor: tensor):
        # The name keeps the result alive, so that no address is used twice.
        result = forward()
    del result
    return sum(storages.values())
