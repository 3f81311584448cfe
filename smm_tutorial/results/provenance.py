"""The origin of a result: revision of the code, hardware, and versions of the packages."""

import os
import platform
import subprocess

import numpy
import torch

from smm_tutorial import paths


def provenance() -> dict:
    """Collects revision, hardware and versions: the field `provenance` of a record, for JSON."""
    gpu = torch.cuda.get_device_name() if torch.cuda.is_available() else None
    return {
        "revision": _git_revision(),
        "hardware": {
            "machine": platform.machine(),
            "cpus": os.cpu_count(),
            "threads": torch.get_num_threads(),  # of each process
            "processes": int(os.environ.get("WORLD_SIZE", 1)),  # set by torchrun
            "gpu": gpu,
        },
        "versions": {
            "python": platform.python_version(),
            "torch": torch.__version__,
            "numpy": numpy.__version__,
        },
    }


def _git_revision() -> str:
    """Returns the commit of the checkout, with `-dirty` if files of the library have changed.

    Without a checkout or its history, returns the environment variable `SMM_REVISION`, or
    `unknown`.
    """
    elsewhere = os.environ.get("SMM_REVISION") or "unknown"
    root = paths.repository_root()
    if root is None:
        return elsewhere

    def git(*arguments: str) -> str:
        command = ["git", "-C", root, *arguments]
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()

    try:
        revision = git("rev-parse", "--short=12", "HEAD")
        return revision + ("-dirty" if git("status", "--porcelain", "--", "smm_tutorial") else "")
    except (OSError, subprocess.CalledProcessError):
        return elsewhere
