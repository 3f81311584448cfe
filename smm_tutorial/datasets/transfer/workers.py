"""Threads that stop at once after an error or Ctrl-C, even while they wait for a server."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Generic, TypeVar

TICK = 0.2  # seconds: on Windows, Ctrl-C works only between two waits
Task = TypeVar("Task")


class StoppedError(Exception):
    """Raised inside a thread whose work was stopped."""


def pause(seconds: float, stopped: threading.Event) -> None:
    """Waits for so many seconds. Raises `StoppedError` as soon as `stopped` is set."""
    if stopped.wait(seconds):
        raise StoppedError


class Work(Generic[Task]):
    """Tasks that several threads do.

    `ThreadPoolExecutor` would wait for all of its threads, and a server can block a thread for
    minutes. The threads here are told to stop and are then no longer waited for.

    Args:
        tasks: are started in this order.
        do: a function that does one task.
        threads: the largest number of threads.
    """

    def __init__(self, tasks: list[Task], do: Callable[[Task], None], threads: int) -> None:
        self.stopped = threading.Event()  # tells `do` to end
        self._do, self._threads, self._count = do, threads, len(tasks)
        self._doors = threading.Semaphore(threads)
        self._done: queue.SimpleQueue[BaseException | None] = queue.SimpleQueue()
        self._waiting: queue.SimpleQueue[Task] = queue.SimpleQueue()
        for task in tasks:
            self._waiting.put(task)

    def finish(self) -> None:
        """Does all tasks. The first error stops the other tasks and is raised here."""
        try:
            for _ in range(min(self._threads, self._count)):
                threading.Thread(target=self._run, daemon=True).start()
            for _ in range(self._count):
                if (error := self._wait_for_one()) is not None:
                    raise error
        finally:
            self.stopped.set()
            for _ in range(self._threads):  # waits for threads inside `unless_stopped`
                self._doors.acquire()
            self._doors.release(self._threads)

    @contextmanager
    def unless_stopped(self) -> Iterator[None]:
        """A context for `do`: its body is complete before `finish` ends, or is not executed.

        Raises `StoppedError` if the work was stopped before.
        """
        with self._doors:
            if self.stopped.is_set():
                raise StoppedError
            yield

    def _run(self) -> None:
        while not self.stopped.is_set():
            try:
                task = self._waiting.get_nowait()
            except queue.Empty:
                return
            try:
                self._do(task)
            except BaseException as error:  # `finish` raises it again
                self._done.put(error)
                return
            self._done.put(None)

    def _wait_for_one(self) -> BaseException | None:
        while True:
            try:
                return self._done.get(timeout=TICK)
            except queue.Empty:
                pass
