"""The processes that train together. `torchrun` describes them in environment variables.

This module checks these variables first, because torch would wait for minutes without a message.
"""

import contextlib
import logging
import os
import socket
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta

import torch
from lightning.fabric import Fabric
from lightning.fabric.strategies import DDPStrategy
from lightning_utilities.core import rank_zero
from torch import Tensor

from smm_tutorial.training.config import Precision

#: The longest time that a process waits for the others. They also wait while the first process
#: evaluates, so an evaluation must be shorter.
PATIENCE = timedelta(minutes=10)
QUIET = 15.0  # seconds that a process waits for the others before it prints a message
REMEDY = "torchrun sets it; see `torchrun --help`, and do not set it by hand"


def is_first_process() -> bool:
    """Whether this process writes files and reports. Under `torchrun` only the first one does."""
    return _read_number("RANK", default=0) == 0


@dataclass(frozen=True)
class Processes:
    """The number of this process, the numbers of processes, and the address where they connect."""

    rank: int  # of this process, from 0 to world_size - 1
    world_size: int  # number of processes
    local_world_size: int  # number of processes per machine
    meeting: str  # host:port of the first process

    @property
    def num_machines(self) -> int:
        return self.world_size // self.local_world_size

    @contextlib.contextmanager
    def joining(self) -> Iterator[None]:
        """Prints a message if the other processes do not connect soon, inside the `with` block.

        Raises `TimeoutError` if they do not connect within `PATIENCE`, or if the first process
        cannot be reached.
        """
        wait = (
            f"process {self.rank + 1} of {self.world_size} waits for the others at {self.meeting}, "
            f"at most {PATIENCE.total_seconds() / 60:g} minutes"
        )
        timer = threading.Timer(QUIET, print, [wait], {"flush": True})
        timer.daemon = True
        timer.start()
        try:
            yield
        except torch.distributed.DistError as error:  # torch's message names no processes
            raise TimeoutError(
                f"the {self.world_size} processes did not meet at {self.meeting} ({error}): start "
                "the same number on every machine, with the same --rdzv-endpoint or --master-addr, "
                "and check that its port is open"
            ) from error
        finally:
            timer.cancel()


def read_processes() -> Processes | None:
    """Reads the environment variables of `torchrun`. Returns None without `torchrun`.

    Raises `ValueError` for values that `torchrun` never sets.
    """
    if "TORCHELASTIC_RUN_ID" not in os.environ:
        if not is_first_process():
            raise ValueError(
                f"RANK is {os.environ['RANK']!r}, but this process was not started by torchrun: "
                "start it so, or unset RANK"
            )
        return None
    world_size = _read_number("WORLD_SIZE", least=1)
    local_world_size = _read_number("LOCAL_WORLD_SIZE", least=1)
    rank = _read_number("RANK", below=world_size)
    _read_number("LOCAL_RANK", below=local_world_size)
    _read_number("GROUP_RANK", below=max(1, world_size // local_world_size), default=0)
    if world_size % local_world_size:
        raise ValueError(
            f"WORLD_SIZE must be a multiple of LOCAL_WORLD_SIZE = {local_world_size}, got "
            f"{world_size}: start the same number of processes on every machine"
        )
    port = _read_number("MASTER_PORT", least=1, below=2**16)
    host = os.environ.get("MASTER_ADDR", "")
    try:
        socket.getaddrinfo(host or None, port)
    except (OSError, UnicodeError) as error:
        raise ValueError(
            f"MASTER_ADDR is {host!r}, and no machine is found by that name ({error}): give "
            "torchrun the name or address of the first one, as --rdzv-endpoint or --master-addr"
        ) from error
    return Processes(rank, world_size, local_world_size, f"{host}:{port}")


def _read_number(
    name: str, least: int = 0, below: int | None = None, default: int | None = None
) -> int:
    """Reads a whole number from an environment variable.

    least, below: the range, from `least` to `below` - 1. default: the value if the variable is not
    set.

    Raises `ValueError` unless the variable holds a whole number in this range.
    """
    text = os.environ.get(name, default)
    try:
        number = int(text)
    except (TypeError, ValueError):
        number = None
    if number is None or number < least or (below is not None and number >= below):
        limit = "on" if below is None else f"to {below - 1}"
        raise ValueError(
            f"{name} must be a whole number from {least} {limit}, got {text!r}: {REMEDY}"
        )
    return number


def start_fabric(precision: Precision) -> Fabric:
    """Starts Lightning Fabric. Under `torchrun`, the processes share their gradients.

    Raises `ValueError` for a precision that this hardware does not have, and for environment
    variables that `torchrun` never sets. Raises `TimeoutError` if the processes do not connect.
    """
    if precision == "16-mixed" and not torch.cuda.is_available():
        raise ValueError(
            "precision '16-mixed' needs a GPU, and there is none: "
            "use fast_precision(), or '32-true'"
        )
    options, others = {"devices": 1}, read_processes()
    if others:
        options = {
            "devices": others.local_world_size,
            "num_nodes": others.num_machines,
            # In an ablation, a parameter may have no gradient.
            "strategy": DDPStrategy(timeout=PATIENCE, find_unused_parameters=True),
        }
    with _without_notices(), others.joining() if others else contextlib.nullcontext():
        fabric = Fabric(accelerator="auto", precision=precision, **options)
        fabric.launch()
    return fabric


def mean_over_processes(value: Tensor) -> Tensor:
    """Averages a tensor without gradients over the processes that train together.

    All processes must call this function in the same step. A single process gets `value` back.
    """
    distributed = torch.distributed
    if not (distributed.is_available() and distributed.is_initialized()):
        return value
    total = value.clone()
    distributed.all_reduce(total)
    return total / distributed.get_world_size()


@contextlib.contextmanager
def _without_notices() -> Iterator[None]:
    """Stops Fabric from printing the precision, which the configuration already holds.

    After the `with` block the logger has its old level again.
    """
    logger = rank_zero.log
    level = logger.level
    logger.setLevel(logging.WARNING)
    try:
        yield
    finally:
        logger.setLevel(level)
