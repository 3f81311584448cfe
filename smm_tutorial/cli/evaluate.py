"""`smm-tutorial evaluate`: scores of a checkpoint, or of what needs no training."""

import argparse
import shlex
from pathlib import Path

from smm_tutorial import checkpoints, discovery, set_prediction
from smm_tutorial.datasets.named_sets import EVALUATION_SETS, SET_EVALUATION_SETS
from smm_tutorial.discovery.evaluation import BASELINES
from smm_tutorial.discovery.segmentation import SELECTIONS
from smm_tutorial.results.records import write_record


def add_to(commands: argparse._SubParsersAction) -> None:
    """Adds the command."""
    parser = commands.add_parser(
        "evaluate", help="score a checkpoint, or what needs no training, on a test split"
    )
    parser.set_defaults(run=evaluate_model)
    parser.add_argument(
        "what",
        help="name of a checkpoint or of a run here, a file, 'untrained' or 'pixels' (a mixture on "
        "raw pixels)",
    )
    parser.add_argument(
        "--data",
        choices=sorted(EVALUATION_SETS | SET_EVALUATION_SETS),
        help="default: clevr6; for sets, as trained",
    )
    parser.add_argument(
        "--root", help="the folder of clevr-renders, clevr-renders-7-10 or clevr-official"
    )
    parser.add_argument("--seed", type=int, default=0, help="of the slots' starts")
    parser.add_argument(
        "--starts",
        type=int,
        default=1,
        help="of the slots for each image; the most likely one counts",
    )
    parser.add_argument(
        "--selection",
        choices=list(SELECTIONS),
        default="all",
        help="all slots own pixels, or those that are worth their price",
    )
    parser.add_argument("--keep", action="store_true", help="put the scores into data/results")


def evaluate_model(options: argparse.Namespace, command: str) -> None:
    if options.root:  # where the renders lie here is nobody's business
        command = command.replace(shlex.quote(options.root), "PATH")
    if options.what.endswith(".safetensors"):  # nor where the checkpoint does
        command = command.replace(shlex.quote(options.what), Path(options.what).name)
    trained = None if options.what in BASELINES else checkpoints.load(options.what)
    if trained and trained.record["model"] == "SetPredictor":
        if options.starts != 1 or options.selection != "all":
            raise ValueError(
                "--starts and --selection choose by what slots paint, "
                "and a SetPredictor paints nothing"
            )
        data = options.data or trained.record["data"]
        record = set_prediction.evaluated_record(
            options.what, data, options.root, options.seed, command
        )
        table = set_prediction.score_table
    else:
        data = options.data or "clevr6"
        record = discovery.evaluated_record(
            options.what,
            data,
            options.root,
            options.seed,
            command,
            options.starts,
            options.selection,
        )
        table = discovery.score_table
    if options.keep:
        print(f"record {write_record(record)}")
    print(table([record]))
