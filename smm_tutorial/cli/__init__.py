"""`smm-tutorial`: data, training, evaluation and reports from the command line.

Each command has a file of its own, and calls the functions that the notebooks call.
"""

import argparse
import shlex
import sys
from collections.abc import Sequence

import torch

from smm_tutorial import __version__
from smm_tutorial.checkpoints import CheckpointError
from smm_tutorial.cli import data, evaluate, report, train
from smm_tutorial.datasets.scene_images import DatasetError
from smm_tutorial.files import FolderBusyError
from smm_tutorial.training.loop import NonFiniteError

#: Errors that are a message to the user, not a defect: printed without a traceback.
EXPECTED = (
    ValueError,
    OSError,
    ImportError,
    CheckpointError,
    DatasetError,
    FolderBusyError,
    NonFiniteError,
)


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs one command -> its exit status: 0 done, 1 failed, 2 misspelt, 130 interrupted."""
    arguments = list(sys.argv[1:] if arguments is None else arguments)
    parser = argparse.ArgumentParser(prog="smm-tutorial", description=__doc__.splitlines()[0])
    version = f"%(prog)s {__version__}, torch {torch.__version__}"
    parser.add_argument("--version", action="version", version=version)
    commands = parser.add_subparsers(required=True, metavar="command")
    for command in (data, train, evaluate, report):
        command.add_to(commands)
    options = parser.parse_args(arguments)
    try:
        options.run(options, shlex.join(["smm-tutorial", *arguments]))
    except EXPECTED as error:
        print(f"smm-tutorial: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    return 0
