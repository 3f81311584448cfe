"""`smm-tutorial`: get data, train, evaluate and report from the command line, with the functions
that the notebooks call.
"""

import argparse
import shlex
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import get_args

import torch

from smm_tutorial import (
    __version__,
    checkpoints,
    datasets,
    discovery,
    paths,
    report,
    set_prediction,
)
from smm_tutorial.cli import data as data_command
from smm_tutorial.datasets.named_sets import EVALUATION_SETS, SET_EVALUATION_SETS, TRAINING_DATA
from smm_tutorial.discovery.evaluation import BASELINES
from smm_tutorial.discovery.scores import SELECTIONS
from smm_tutorial.discovery.tables import SCORE_TITLES, score_table
from smm_tutorial.experiments.run import NamedRun
from smm_tutorial.fidelity.report import data_quality_table
from smm_tutorial.profiles import PROFILES, Profile, current_profile
from smm_tutorial.results.records import keep_record, write_record
from smm_tutorial.set_prediction.model import SetPredictor
from smm_tutorial.set_prediction.tables import set_score_table
from smm_tutorial.slots.contestants import CONTESTANTS
from smm_tutorial.training.config import Compile, Precision
from smm_tutorial.training.loop import NonFiniteError
from smm_tutorial.training.processes import ProcessError

#: Errors that are a message to the user, not a defect: printed without a traceback.
EXPECTED = (
    ValueError,
    OSError,
    ImportError,
    checkpoints.CheckpointError,
    datasets.DatasetError,
    NonFiniteError,
    ProcessError,
)

#: What `--keep` alone puts under data/: all seeds of compared runs are committed as records,
#: weights of the best alone.
KEPT = {
    "discovery": "checkpoint",
    "comparison": "record",
    "search": "record",
    "variant": "record",
    "set-prediction": "checkpoint",
    "set-comparison": "record",
    "set-search": "record",
}
#: What `report` prints, by name.
TABLES = {**report.EXPERIMENTS, "data": data_quality_table}


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs one command -> its exit status: 0 done, 1 failed with a message, 2 misspelt, 130
    interrupted.
    """
    arguments = list(sys.argv[1:] if arguments is None else arguments)
    options = _parser().parse_args(arguments)
    try:
        options.run(options, shlex.join(["smm-tutorial", *arguments]))
    except EXPECTED as error:
        print(f"smm-tutorial: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="smm-tutorial", description=__doc__.splitlines()[0])
    parser.add_argument(
        "--version", action="version", version=f"%(prog)s {__version__}, torch {torch.__version__}"
    )
    commands = parser.add_subparsers(required=True, metavar="command")
    data_command.add_to(commands)

    train = commands.add_parser("train", help="train a model; a killed run goes on where it was")
    models = train.add_subparsers(required=True, metavar="model")
    discovery_parser = models.add_parser("discovery", help="object discovery by reconstruction")
    discovery_parser.set_defaults(run=train_discovery)
    _add_run_options(discovery_parser)
    discovery_parser.add_argument("--data", choices=list(TRAINING_DATA), default="clevr6")
    discovery_parser.add_argument(
        "--size", type=int, help="pixels a side of the images, instead of the profile's"
    )
    purpose = discovery_parser.add_mutually_exclusive_group()
    purpose.add_argument(
        "--kind",
        choices=get_args(discovery.Kind),
        default="discovery",
        help="a run of its own, or one of a comparison",
    )
    purpose.add_argument(
        "--variant", choices=list(discovery.VARIANTS), help="leave something out, to compare"
    )
    _add_engine_options(discovery_parser)

    sets = models.add_parser("set-prediction", help="what is where, learned from scene records")
    sets.set_defaults(run=train_set_prediction)
    _add_run_options(sets)
    sets.add_argument(
        "--kind",
        choices=get_args(set_prediction.SetKind),
        default="set-prediction",
        help="a run of its own, or one of a comparison",
    )
    sets.add_argument(
        "--coordinate-weight",
        type=float,
        default=1.0,
        help="how often each coordinate counts in the loss",
    )
    sets.add_argument(
        "--begin-with",
        help="encoder and slots of a trained model of object discovery, by name or file",
    )
    _add_engine_options(sets)

    evaluate = commands.add_parser(
        "evaluate", help="score a checkpoint, or what needs no training, on a test split"
    )
    evaluate.set_defaults(run=evaluate_model)
    evaluate.add_argument(
        "what",
        help="name of a checkpoint or of a run here, a file, 'untrained' or 'pixels' (a mixture on raw pixels)",
    )
    evaluate.add_argument(
        "--data",
        choices=sorted(EVALUATION_SETS | SET_EVALUATION_SETS),
        help="default: clevr6; for sets, as trained",
    )
    evaluate.add_argument(
        "--root", help="the folder of clevr-renders, clevr-renders-7-10 or clevr-official"
    )
    evaluate.add_argument("--seed", type=int, default=0, help="of the slots' starts")
    evaluate.add_argument(
        "--starts",
        type=int,
        default=1,
        help="of the slots for each image; the most likely one counts",
    )
    evaluate.add_argument(
        "--selection",
        choices=list(SELECTIONS),
        default="all",
        help="all slots own pixels, or those that are worth their price",
    )
    evaluate.add_argument("--keep", action="store_true", help="put the scores into data/results")

    table = commands.add_parser(
        "report", help="print the table of an experiment from data/results, as Markdown"
    )
    table.set_defaults(run=print_report)
    table.add_argument("experiment", choices=list(TABLES))
    table.add_argument(
        "--keep", action="store_true", help="bring the README's tables and pictures up to date"
    )
    return parser


def _add_run_options(model: argparse.ArgumentParser) -> None:
    """What every trained model takes: which run it is, and what is kept of it."""
    model.add_argument("--slots", choices=list(CONTESTANTS), default="mixture")
    model.add_argument(
        "--profile", choices=sorted(PROFILES), help="sizes and steps (default: by the hardware)"
    )
    model.add_argument("--seed", type=int, default=0)
    model.add_argument("--steps", type=int, help="instead of the profile's number of steps")
    model.add_argument(
        "--learning-rate",
        type=float,
        help="instead of the profile's; of a comparison, makes a search",
    )
    model.add_argument(
        "--keep",
        nargs="?",
        choices=["record", "checkpoint"],
        const=True,
        help="put under data/, to be committed: the record, or the checkpoint with its record; by default the checkpoint of a "
        "run of its own, and of runs that are compared the record",
    )


def _add_engine_options(model: argparse.ArgumentParser) -> None:
    """What every trained model takes: where and how it is computed."""
    engine = model.add_argument_group("engine")
    engine.add_argument(
        "--precision",
        choices=get_args(Precision),
        help="default: the fastest that the hardware has units for",
    )
    engine.add_argument(
        "--compile",
        choices=get_args(Compile),
        default="none",
        help="torch.compile: for long runs on a GPU",
    )
    engine.add_argument(
        "--devices",
        type=int,
        default=1,
        metavar="N",
        help="GPUs, or processes on a CPU, that share each batch; this one command starts them all",
    )
    engine.add_argument(
        "--nodes",
        type=int,
        default=1,
        metavar="N",
        help="machines: give the same command on each, with MASTER_ADDR, MASTER_PORT and NODE_RANK (0, 1, ...) set, and "
        "SMM_DATA a folder that all of them see",
    )
    engine.add_argument(
        "--tensorboard",
        metavar="FOLDER",
        help="log there for TensorBoard, too (pip install tensorboard)",
    )


def train_discovery(options: argparse.Namespace, command: str) -> None:
    record = _train(
        options,
        discovery.DiscoveryRun(
            command,
            options.slots,
            options.data,
            _profile(options),
            options.seed,
            options.steps,
            options.variant,
            options.size,
            _training_options(options),
            kind=options.kind,
            learning_rate=options.learning_rate,
        ),
    )
    choosing = ", ".join(
        f"{title} {record['validation'][-1][name]:.3f}" for name, title in SCORE_TITLES.items()
    )
    print(f"validation split, which is for choosing: {choosing}")
    print(score_table([record]))


def train_set_prediction(options: argparse.Namespace, command: str) -> None:
    record = _train(
        options,
        set_prediction.SetPredictionRun(
            command,
            options.slots,
            _profile(options),
            options.seed,
            options.steps,
            _training_options(options),
            kind=options.kind,
            coordinate_weight=options.coordinate_weight,
            learning_rate=options.learning_rate,
            begin_with=options.begin_with,
        ),
    )
    print(f"validation split, which is for choosing: AP {record['validation'][-1]['ap_inf']:.1%}")
    print(set_score_table([record]))


def _profile(options: argparse.Namespace) -> Profile:
    return PROFILES[options.profile] if options.profile else current_profile()


def _training_options(options: argparse.Namespace) -> dict:
    return {"compile": options.compile} | (
        {"precision": options.precision} if options.precision else {}
    )


def _train(options: argparse.Namespace, run: NamedRun) -> dict:
    """Trains a run, and keeps what is to be kept -> its record."""
    print(
        f"{run.name}: {run.num_parameters:,} parameters, {run.training.steps:,} steps, in {run.folder}"
    )
    model, record = run.train(
        devices=options.devices, num_nodes=options.nodes, tensorboard=options.tensorboard
    )
    kept = KEPT[run.kind] if options.keep is True else options.keep
    folder = paths.checkpoints_dir() if kept == "checkpoint" else run.folder
    checkpoints.write(folder / f"{run.name}.safetensors", model.state_dict(), record)
    print(f"checkpoint {folder / run.name}.safetensors")
    print(f"record {keep_record(record) if kept else write_record(record, run.folder)}")
    return record


def evaluate_model(options: argparse.Namespace, command: str) -> None:
    if options.root:
        command = command.replace(
            shlex.quote(options.root), "PATH"
        )  # where the renders lie here is nobody's business
    if options.what.endswith(".safetensors"):
        command = command.replace(
            shlex.quote(options.what), Path(options.what).name
        )  # nor where the checkpoint does
    trained = None if options.what in BASELINES else checkpoints.load(options.what)
    if trained and isinstance(trained.model, SetPredictor):
        if options.starts != 1 or options.selection != "all":
            raise ValueError(
                "--starts and --selection choose by what slots paint, and a SetPredictor paints nothing"
            )
        data = options.data or trained.record["data"]
        record = set_prediction.evaluated_set_record(
            options.what, data, options.root, options.seed, command
        )
        table = set_score_table
    else:
        record = discovery.evaluated_record(
            options.what,
            options.data or "clevr6",
            options.root,
            options.seed,
            command,
            options.starts,
            options.selection,
        )
        table = score_table
    if options.keep:
        print(f"record {write_record(record)}")
    print(table([record]))


def print_report(options: argparse.Namespace, command: str) -> None:
    print(TABLES[options.experiment]())
    if options.keep:
        print("written:", *report.keep(options.experiment))
