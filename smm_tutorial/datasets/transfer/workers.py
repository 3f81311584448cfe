"""Threads that an error or Ctrl-C ends at once, whatever they wait for."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Generic, TypeVar

TICK = 0.2  # seconds: Windows sees Ctrl-C only between waits
Task = TypeVar("Task")


class StoppedError(Exception):
    """Within a thread: its work was stopped meanwhile."""


def pause(seconds: float, stopped: threading.Event) -> None:
    """Waits for so long; raises `StoppedError` as soon as `stopped` is set."""
    if stopped.wait(seconds):
        raise StoppedError


class Work(Generic[Task]):
    """Tasks that some threads do.

    The threads are not those of `ThreadPoolExecutor`, which waits for all of them, and a server can
    keep a thread waiting for minutes. These are left to themselves once they are told to stop.

    Args:
        tasks: are begun in this order.
        do: does one task.
        threads: how many, at most.
    """

    def __init__(self, tasks: list[Task], do: Callable[[Task], None], threads: int) -> None:
        self.stopped = threading.Event()  # for `do` to see that it is to end
        self._do, self._threads, self._count = do, threads, len(tasks)
        self._doors = threading.Semaphore(threads)
        self._done: queue.SimpleQueue[BaseException | None] = queue.SimpleQueue()
        self._waiting: queue.SimpleQueue[Task] = queue.SimpleQueue()
        for task in tasks:
            self._waiting.put(task)

    def finish(self) -> None:
        """Does all tasks; the first error is raised here and stops the rest."""
        try:
            for _ in range(min(self._threads, self._count)):
                threading.Thread(target=self._run, daemon=True).start()
            for _ in range(self._count):
                if (error := self._wait_for_one()) is not None:
                    raise error
        finally:
            self.stopped.set()
            for _ in range(self._threads):  # those within `unless_stopped` are waited for
                self._doors.acquire()
            self._doors.release(self._threads)

    @contextmanager
    def unless_stopped(self) -> Iterator[None]:
        """For `do`: what is done within is done before `finish` ends, or not at all."""
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
            except BaseException as error:  # is raised again by `finish`
                self._done.put(error)
                return
            self._done.put(None)

    def _wait_for_one(self) -> BaseException | None:
        while True:
            try:
                return self._done.get(timeout=TICK)
            except queue.Empty:
                pass
