"""Ctrl-C and a notebook's stop button, held back while something must be done as a whole."""

import contextlib
import signal
import threading
from collections.abc import Iterator


@contextlib.contextmanager
def hold_interrupts() -> Iterator[None]:
    """An interrupt that comes inside is raised at the end: what is inside is done as a whole."""
    handler = signal.getsignal(signal.SIGINT)
    if threading.current_thread() is not threading.main_thread() or handler is None:
        yield  # no interrupt arrives here, and no handler can be set
        return
    came: list[tuple] = []
    signal.signal(signal.SIGINT, lambda *arguments: came.append(arguments))
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, handler)
    if came and callable(handler):
        handler(*came[0])
