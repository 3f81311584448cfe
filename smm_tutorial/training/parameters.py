"""The parameters that training changes: their groups, and the learning rate of each in a step."""

from torch import nn
from torch.optim import Optimizer

from smm_tutorial.training.config import TrainingConfig, learning_rate_factor


def group_parameters(model: nn.Module, config: TrainingConfig) -> list[dict]:
    """Makes the optimiser's groups of parameters: all, or those of shared parts and the others.

    Parameters that need no gradient are in no group: they stay as they are for the whole training.

    Raises `ValueError` if the shared parts shall be treated otherwise, and the model names none.
    """
    if config.shared_rate == 1 and not config.frozen_steps:
        learning = [one for one in model.parameters() if one.requires_grad]
        return [{"params": learning, "shared": False}]
    parts = getattr(model, "shared_parts", ())
    groups: dict[bool, list[nn.Parameter]] = {True: [], False: []}
    for name, parameter in model.named_parameters():
        if not parameter.requires_grad:
            continue
        groups[name.partition(".")[0] in parts].append(parameter)
    if not all(groups.values()):
        raise ValueError(
            "shared_rate and frozen_steps are for models that share parts with other tasks, and "
            f"{type(model).__name__} shares {', '.join(parts) or 'none'}: leave both out"
        )
    return [{"params": chosen, "shared": shared} for shared, chosen in groups.items()]


def set_learning_rates(
    optimizer: Optimizer, step: int, config: TrainingConfig, alone: bool
) -> None:
    """Sets the learning rates of a step, and freezes the shared parts in the first steps.

    alone: whether this is the only process. Then frozen parts need no gradients, which saves time.
    Several processes compute them all the same, because each expects the gradients of all.
    """
    rate = config.learning_rate * learning_rate_factor(step, config)
    for group in optimizer.param_groups:
        if not group["shared"]:
            group["lr"] = rate
            continue
        frozen = step < config.frozen_steps
        group["lr"] = 0.0 if frozen else rate * config.shared_rate
        if alone:
            for parameter in group["params"]:
                parameter.requires_grad_(not frozen)


def drop_frozen_gradients(optimizer: Optimizer, step: int, config: TrainingConfig) -> None:
    """Removes the gradients of parts that are frozen in a step.

    Otherwise they would shorten the other gradients when these are clipped, and would enter the
    optimiser's moments. Only several processes compute them; see `set_learning_rates`.
    """
    if step < config.frozen_steps:
        for group in optimizer.param_groups:
            if group["shared"]:
                for parameter in group["params"]:
                    parameter.grad = None


def unfreeze_all(optimizer: Optimizer) -> None:
    """Lets every parameter have gradients."""
    for group in optimizer.param_groups:
        for parameter in group["params"]:
            parameter.requires_grad_(True)
