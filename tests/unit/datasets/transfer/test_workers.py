"""Threads that an error or Ctrl-C ends at once."""

import signal
import threading

import pytest

from smm_tutorial.datasets.transfer.workers import StoppedError, Work, pause


def test_all_tasks_are_done_by_no_more_threads_than_allowed():
    done, threads = [], set()

    def do(task):
        done.append(task)
        threads.add(threading.current_thread())

    Work(list(range(100)), do, 3).finish()
    assert sorted(done) == list(range(100)) and 1 <= len(threads) <= 3
    Work([], do, 3).finish()


def test_the_first_error_is_raised_and_ends_the_others():
    other_waits, seen = threading.Event(), []

    def do(task):
        if task == "bad":
            assert other_waits.wait(30)
            raise ValueError("bad")
        other_waits.set()
        with pytest.raises(StoppedError):
            pause(30, work.stopped)
        with pytest.raises(StoppedError), work.unless_stopped():
            seen.append(task)
        ended.set()

    ended = threading.Event()
    work = Work(["bad", "good", "never begun"], do, 2)
    with pytest.raises(ValueError, match="bad"):
        work.finish()
    assert ended.wait(30) and not seen


def test_ctrl_c_leaves_threads_that_hang_and_waits_for_those_that_keep():
    hang, kept = threading.Event(), []

    def do(task):
        if task == "hangs":
            hang.wait(60)
            return
        with work.unless_stopped():
            signal.pthread_kill(threading.main_thread().ident, signal.SIGINT)
            work.stopped.wait(30)  # the main thread is on its way out
            kept.append(task)

    work = Work(["hangs", "keeps"], do, 2)
    with pytest.raises(KeyboardInterrupt):
        work.finish()
    assert kept == ["keeps"]
    hang.set()
