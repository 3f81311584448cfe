"""What ends a training from outside: Ctrl-C, a notebook's stop button, `kill`, a closed terminal.

It is held back while something must be done as a whole, and what is at hand is saved first.
"""

import contextlib
import os
import signal
import threading
from collections.abc import Callable, Iterable, Iterator
from typing import Any

#: Sent by `kill`, by batch systems and by a machine that shuts down | by a terminal that is closed
#: (not on every system).
ENDINGS = [getattr(signal, name) for name in ("SIGTERM", "SIGHUP") if hasattr(signal, name)]


@contextlib.contextmanager
def hold_interrupts() -> Iterator[None]:
    """A signal that comes inside is acted upon at the end: what is inside is done as a whole."""
    handlers = _find_handlers([signal.SIGINT, *ENDINGS])
    handlers = {number: handler for number, handler in handlers.items() if callable(handler)}
    came: list[int] = []
    with _handling(handlers, lambda number, frame: came.append(number)):
        yield
    for number in sorted(set(came), key=lambda number: number == signal.SIGINT):
        signal.raise_signal(number)


@contextlib.contextmanager
def save_before_the_end(save: Callable[[str], None]) -> Iterator[None]:
    """A process that is ended inside, by one of `ENDINGS`, saves first; then it ends as it would
    have. A signal that is ignored, as `nohup` asks for, stays so.

    save: takes the reason.
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
    """What is done at these signals, where that can be changed: in the main thread alone, and where
    Python knows of it.
    """
    if threading.current_thread() is not threading.main_thread():
        return {}
    handlers = {number: signal.getsignal(number) for number in signals}
    return {number: handler for number, handler in handlers.items() if handler is not None}


@contextlib.contextmanager
def _handling(handlers: dict[int, Any], handle: Callable[[int, Any], None]) -> Iterator[None]:
    """Does something else at these signals, for a while."""
    for number in handlers:
        signal.signal(number, handle)
    try:
        yield
    finally:
        for number, handler in handlers.items():
            signal.signal(number, handler)
