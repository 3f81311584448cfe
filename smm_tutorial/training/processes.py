"""One run in many processes: each computes its share of every batch, and one that fails ends them
all; and held interrupts.

The processes are started from one call, by Fabric, and watched by the process that made the call.
"""

import contextlib
import functools
import os
import pickle
import signal
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import timedelta
from multiprocessing import active_children
from pathlib import Path
from typing import Any

import torch
from lightning.fabric import Fabric
from lightning.fabric.plugins.environments import LightningEnvironment
from lightning.fabric.strategies import DDPStrategy
from torch import Tensor, nn
from torch.multiprocessing import ProcessExitedException, ProcessRaisedException

#: The longest that a process waits for another: for one that hangs or, on another machine, died
#: unseen. The first evaluates while the others wait, so an evaluation must be shorter.
PATIENCE = timedelta(minutes=10)


class ProcessError(RuntimeError):
    """A process of a run failed or was killed, and the run has ended; says which one and why."""


@dataclass(frozen=True)
class Share:
    """The part of each batch that one of `world_size` processes computes; as it stands, all of
    it.
    """

    rank: int = 0
    world_size: int = 1

    def of(self, batch: Tensor) -> Tensor:
        """This process's rows of a tensor whose first dimension is the joint batch."""
        return batch.tensor_split(self.world_size)[self.rank]


def make_fabric(devices: int, num_nodes: int, precision: str) -> Fabric:
    """Fabric for one process, or for several that share the gradients.

    Raises `ValueError` for several processes where they cannot be started, or what the hardware
    does not have.
    """
    if min(devices, num_nodes) < 1:
        raise ValueError(f"devices and num_nodes must be at least 1, got {devices} and {num_nodes}")
    if torch.cuda.is_available() and devices > torch.cuda.device_count():
        raise ValueError(
            f"devices is {devices}, and this machine has {torch.cuda.device_count()} GPUs: ask for at most that"
        )
    if precision == "16-mixed" and not torch.cuda.is_available():
        raise ValueError(
            "precision '16-mixed' needs a GPU, and there is none: use fast_precision(), or '32-true'"
        )
    if devices * num_nodes == 1:
        return Fabric(accelerator="auto", devices=1, precision=precision)
    if hasattr(sys, "ps1"):
        raise ValueError(
            "a notebook or prompt cannot start several processes: use devices=1, or the command line, "
            "smm-tutorial train ... --devices N (in a notebook with ! before it)"
        )
    if "LOCAL_RANK" in os.environ:
        raise ValueError(
            "LOCAL_RANK is set, as by torchrun: start with plain python, the run starts its own processes"
        )
    strategy = DDPStrategy(
        cluster_environment=LightningEnvironment(),
        timeout=PATIENCE,
        start_method="spawn",
        find_unused_parameters=True,  # a variant may leave one out; static_graph would not see through our outputs
    )
    return Fabric(
        accelerator="auto",
        devices=devices,
        num_nodes=num_nodes,
        precision=precision,
        strategy=strategy,
    )


def run(fabric: Fabric, train: Callable[[Fabric, nn.Module], Any], model: nn.Module) -> Any:
    """Calls `train(fabric, model)` in every process of `fabric` -> what the first returns; `model`
    gets its weights.

    An interrupt goes to the first process alone, so that it can save; the others end with it.

    Raises what `train` raised in a process, or `ProcessError` where it died without a word.
    """
    others, port = set(active_children()), os.environ.get("MASTER_PORT")
    interrupts: list[int] = []

    def pass_on(signum, frame):
        interrupts.append(signum)
        for process in set(active_children()) - others:
            os.kill(process.pid, signal.SIGINT)

    with tempfile.TemporaryDirectory() as folder, _sigint_handler(pass_on):
        try:
            fabric.launch(functools.partial(_work, train=train, model=model, folder=Path(folder)))
        except (ProcessRaisedException, ProcessExitedException) as error:
            raise _cause(error, Path(folder), bool(interrupts)) from error
        except (pickle.PicklingError, AttributeError, TypeError) as error:
            raise ValueError(
                f"model, loss and evaluate must be picklable to reach other processes ({error}): "
                "use functions and classes of a module, no lambda and nothing defined inside a function"
            ) from error
        finally:
            if port is None:  # Fabric leaves the one it chose for this run
                os.environ.pop("MASTER_PORT", None)
        result, weights = torch.load(Path(folder) / "result", weights_only=False)
    model.load_state_dict(weights)
    model.to(fabric.device)
    return result


def _work(
    fabric: Fabric, train: Callable[[Fabric, nn.Module], Any], model: nn.Module, folder: Path
) -> None:
    """What each process does. It leaves its result, or what it raised, in `folder`."""
    if fabric.local_rank == 0:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    else:
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        threading.Thread(target=_end_with_parent, args=(os.getppid(),), daemon=True).start()
    with torch.no_grad():
        for tensor in (*model.parameters(), *model.buffers()):
            tensor.data = (
                tensor.data.clone()
            )  # on a CPU it lies in memory shared with the other processes
    try:
        result = train(fabric, model)
    except (Exception, KeyboardInterrupt) as error:
        with contextlib.suppress(Exception):  # what cannot be pickled is told by torch, as text
            (folder / f"error{fabric.local_rank}").write_bytes(pickle.dumps(error))
        raise RuntimeError(f"{type(error).__name__}: {error}") from error
    if fabric.local_rank == 0:
        weights = {name: tensor.cpu() for name, tensor in model.state_dict().items()}
        torch.save((result, weights), folder / "result")


def _end_with_parent(parent: int) -> None:
    """Ends this process when its parent has died: it may wait for others where no exception can
    reach it.
    """
    while os.getppid() == parent:
        time.sleep(1)
    os._exit(1)


def _cause(
    error: ProcessRaisedException | ProcessExitedException, folder: Path, interrupted: bool
) -> BaseException:
    """What to raise for a process that did not come to its end."""
    if interrupted:
        return KeyboardInterrupt()
    which = f"process {error.error_index} of this machine (counted from 0)"
    ended = "the run has ended with it, and goes on from the last saved state with the same call"
    if isinstance(error, ProcessExitedException):
        how = (
            f"was killed ({error.signal_name})"
            if error.signal_name
            else f"ended with status {error.exit_code}"
        )
        return ProcessError(f"{which} {how}: {ended}")
    with contextlib.suppress(Exception):
        raised = pickle.loads((folder / f"error{error.error_index}").read_bytes())
        if type(raised) is not RuntimeError and not isinstance(raised, torch.distributed.DistError):
            return raised
    return ProcessError(f"{which} failed: {ended}. {str(error).strip().splitlines()[-1]}")


@contextlib.contextmanager
def _sigint_handler(handler: Callable) -> Iterator[None]:
    """Python's SIGINT handler for a while, where one can be set: in the main thread, which alone is
    interrupted.
    """
    previous = signal.getsignal(signal.SIGINT)
    if threading.current_thread() is not threading.main_thread() or previous is None:
        yield
        return
    signal.signal(signal.SIGINT, handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, previous)


@contextlib.contextmanager
def held_interrupts() -> Iterator[None]:
    """An interrupt (Ctrl-C, a notebook's stop) that comes inside is raised at the end: what is
    inside is done as a whole.
    """
    came: list[tuple] = []
    with _sigint_handler(lambda *arguments: came.append(arguments)):
        yield
    if came and callable(handler := signal.getsignal(signal.SIGINT)):
        handler(*came[0])
