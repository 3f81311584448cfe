"""What a forward pass keeps for its backward pass."""

from collections.abc import Callable

import torch
from torch import Tensor


def bytes_kept_for_backward(forward: Callable[[], object]) -> int:
    """Bytes of all tensors that autograd keeps during `forward()`, each storage once: the memory
    bill of training.

    It counts, so it gives the same number on every machine.
    """
    storages = {}

    def remember(tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        storages[storage.data_ptr()] = storage.nbytes()
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(remember, lambda tensor: tensor):
        # bound to a name: what it keeps stays alive, so no storage is counted under a reused
        # address
        result = forward()
    del result
    return sum(storages.values())
