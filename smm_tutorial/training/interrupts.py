"""Handles signals that end a training: Ctrl-C, a notebook's stop button, `kill`, a closed terminal.

A signal is delayed while an operation must not be interrupted. The training saves its state before
it ends.
"""

import contextlib
import os
import signal
import threading
from collections.abc import Callable, Iterable, Iterator
from typing import Any

#: SIGTERM comes from `kill`, from batch systems, and from a machine that shuts down. SIGHUP comes
#: from a terminal that closes; not every operating system has SIGHUP.
ENDINGS = [getattr(signal, name) for name in ("SIGTERM", "SIGHUP") if hasattr(signal, name)]


@contextlib.contextmanager
def hold_interrupts() -> Iterator[None]:
    """Delays signals until the end of the `with` block, so that the block runs completely."""
    handlers = _find_handlers([signal.SIGINT, *ENDINGS])
    handlers = {number: handler for number, handler in handlers.items() if callable(handler)}
    came: list[int] = []
    with _handling(handlers, lambda number, frame: came.append(number)):
        yield
    for number in sorted(set(came), key=lambda number: number == signal.SIGINT):
        signal.raise_signal(number)


@contextlib.contextmanager
def save_before_the_end(save: Callable[[str], None]) -> Iterator[None]:
    """Saves if one of the signals in `ENDINGS` ends the process inside the `with` block.

    After the save, the process ends as it would without this function. If the process ignores a
    signal, for example under `nohup`, it still ignores the signal.

    save: a function that saves; its argument is the reason as text.
    """
    handlers = _find_handlers(ENDINGS)
    handlers = {n: handler for n, handler in handlers.items() if handler is not signal.SIG_IGN}

    def end(number: int, frame: Any) -> None:
        save(f"Ended by {signal.Signals(number).name}")
        signal.signal(number, handlers[number])
        os.kill(os.getpid(), number)

    with _handling(handlers, end):
        yield


def _find_handlers(signals: Iterable[int]) -> dict[int, Any]:
    """Returns the present handlers of these signals, as far as Python can replace them.

    Python can replace handlers only in the main thread, and only handlers that Python knows.
    """
    if threading.current_thread() is not threading.main_thread():
        return {}
    handlers = {number: signal.getsignal(number) for number in signals}
    return {number: handler for number, handler in handlers.items() if handler is not None}


@contextlib.contextmanager
def _handling(handlers: dict[int, Any], handle: Callable[[int, Any], None]) -> Iterator[None]:
    """Replaces the handlers of these signals by `handle` inside the `with` block."""
    for number in handlers:
        signal.signal(number, handle)
    try:
        yield
    finally:
        for number, handler in handlers.items():
            signal.signal(number, handler)
