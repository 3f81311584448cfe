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
from smm_tutorial.cli import concepts, data, evaluate, report, train
from smm_tutorial.datasets.scene_images import DatasetError
from smm_tutorial.files import FolderBusyError
from smm_tutorial.training.loop import NonFiniteError

#: Errors that tell the user something and are no defects: printed without a traceback.
EXPECTED = (
    ValueError,
    OSError,
    ImportError,
    CheckpointError,
    DatasetError,
    FolderBusyError,
    NonFiniteError,
)
#: Plain letters for signs that some consoles cannot show.
PLAIN = {"±": "+-", "–": "-", "—": "-", "×": "x", "’": "'", "…": "..."}


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs one command and returns its exit status.

    The status is 0: done, 1: failed, 2: wrong usage, 130: interrupted, 141: the reader of the
    output has closed it, as `| head -1` does.
    """
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors=spell_out.__name__)
    try:
        return _run(list(sys.argv[1:] if arguments is None else arguments))
    except BrokenPipeError:
        nowhere = os.open(os.devnull, os.O_WRONLY)
        for stream in (sys.stdout, sys.stderr):  # else Python writes them at exit
            os.dup2(nowhere, stream.fileno())
        return 141


def _run(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="smm-tutorial", description=__doc__.splitlines()[0])
    version = f"%(prog)s {__version__}, torch {torch.__version__}"
    parser.add_argument("--version", action="version", version=version)
    commands = parser.add_subparsers(required=True, metavar="command")
    for command in (data, train, evaluate, concepts, report):
        command.add_to(commands)
    options = parser.parse_args(arguments)
    try:
        options.run(options, shlex.join(["smm-tutorial", *arguments]))
        if sys.stdout is not None:  # it is None if the caller has closed it
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
    """Replaces characters that a console cannot show: signs by plain letters, others by their
    codes.

    This is an error handler of `codecs`: it returns the replacement and where to go on.
    """
    if not isinstance(error, UnicodeEncodeError):
        raise error
    signs = error.object[error.start : error.end]
    escaped = (sign.encode("ascii", "backslashreplace").decode() for sign in signs)
    plain = (PLAIN.get(sign, code) for sign, code in zip(signs, escaped, strict=True))
    return "".join(plain), error.end


codecs.register_error(spell_out.__name__, spell_out)
