"""A download that is killed between any two changes of the disk."""

import os
from collections.abc import Callable

from smm_tutorial.datasets.transfer.resumable_file import ResumableFile


class Stopped(BaseException):
    """The process is gone: nothing handles this, and nothing more is changed."""


def stop_after(changes: int, monkeypatch) -> Callable[[], int]:
    """Let so many more files be renamed, deleted or appended to, and none after them.

    As after a kill, what cleans up changes nothing either. Returns what tells how many changes
    there were.
    """
    made = []

    def counted(change):
        def attempt(*arguments, **options):
            if len(made) == changes:
                raise Stopped
            made.append(change)
            return change(*arguments, **options)

        return attempt

    for place, name in ((os, "replace"), (os, "unlink"), (ResumableFile, "_append")):
        monkeypatch.setattr(place, name, counted(getattr(place, name)))
    return lambda: len(made)
