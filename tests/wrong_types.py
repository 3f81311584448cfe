"""What is no tensor of float32, and what is no size: arguments that modules must refuse by name."""

import numpy as np
import torch

NO_SIZES = [4.0, "4", True, None, np.float32(4), float("nan"), torch.tensor(4), 0, -1]
KINDS = ["numpy", "list", "integers", "booleans", "doubles", "halves", "complex"]
NO_NUMBERS = ["4", True, None, float("nan"), float("inf"), torch.tensor(4.0), 0, -1, 1j]


def no_float32(*shape: int) -> dict:
    """Values of this shape by their kind, each with what a refusal says of it."""
    tensor = torch.rand(shape)
    return {
        "numpy": (
            np.zeros(shape, np.float32),
            r"got ndarray: torch.from_numpy\({name}\).float\(\)",
        ),
        "list": (tensor.tolist(), r"got list: torch.tensor\({name}\).float\(\)"),
        "integers": (tensor.long(), r"got torch.int64: convert them, with {name}.float\(\)"),
        "booleans": (tensor > 0.5, r"got torch.bool: convert them, with {name}.float\(\)"),
        "doubles": (
            torch.zeros(shape, dtype=torch.float64),
            r"got torch.float64: convert them, with {name}.float\(\), or .*, with module.double",
        ),
        "halves": (tensor.half(), "got torch.float16: .*, or the module, with module.half"),
        "complex": (tensor + 0j, "got torch.complex64"),
    }
