"""`smm-tutorial`: data, training, evaluation and reports from the command line.

Each command has a file of its own, and calls the functions that the notebooks call.
"""

import argparse
import codecs
import os
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
#: For consoles that cannot show them.
PLAIN = {"±": "+-", "–": "-", "—": "-", "×": "x", "’": "'", "…": "..."}


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs one command -> its exit status: 0 done, 1 failed, 2 misspelt, 130 interrupted, 141 its
    output is read no further (as by `| head -1`).
    """
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors=spell_out.__name__)
    try:
        return _run(list(sys.argv[1:] if arguments is None else arguments))
    except BrokenPipeError:
        nowhere = os.open(os.devnull, os.O_WRONLY)
        for stream in (sys.stdout, sys.stderr):  # what they still hold is not written at the exit
            os.dup2(nowhere, stream.fileno())
        return 141


def _run(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="smm-tutorial", description=__doc__.splitlines()[0])
    version = f"%(prog)s {__version__}, torch {torch.__version__}"
    parser.add_argument("--version", action="version", version=version)
    commands = parser.add_subparsers(required=True, metavar="command")
    for command in (data, train, evaluate, report):
        command.add_to(commands)
    options = parser.parse_args(arguments)
    try:
        options.run(options, shlex.join(["smm-tutorial", *arguments]))
        if sys.stdout is not None:  # it is None where the caller has closed it
            sys.stdout.flush()
    except BrokenPipeError:
        raise
    except EXPECTED as error:
        print(f"smm-tutorial: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    return 0


def spell_out(error: UnicodeError) -> tuple[str, int]:
    """Handles what a console cannot show: it gets plain letters for signs, and codes for the rest.

    This is an error handler of `codecs`: it returns the text and where to go on.
    """
    if not isinstance(error, UnicodeEncodeError):
        raise error
    signs = error.object[error.start : error.end]
    escaped = (sign.encode("ascii", "backslashreplace").decode() for sign in signs)
    plain = (PLAIN.get(sign, code) for sign, code in zip(signs, escaped, strict=True))
    return "".join(plain), error.end


codecs.register_error(spell_out.__name__, spell_out)
