"""`smm-tutorial train`: train a model of any task, or a tokenizer.

To use several GPUs, start the same command under `torchrun`, for example `torchrun --nproc-per-node
2 -m smm_tutorial.cli train discovery --profile gpu`.
"""

import argparse
from collections.abc import Callable, Iterable
from contextlib import nullcontext
from typing import Any, get_args

from torch import nn

from smm_tutorial import discovery, reconstruction, set_prediction
from smm_tutorial.cli.missing import fetch_missing
from smm_tutorial.datasets.foreign_sets import FOREIGN_SETS, SETS_WITH_RECORDS
from smm_tutorial.datasets.named_sets import SET_DATA, TRAINING_DATA
from smm_tutorial.experiments.run import Run, check_kept, save_run
from smm_tutorial.profiles import PROFILES, current_profile
from smm_tutorial.slots.contestants import CONTESTANTS
from smm_tutorial.training.config import Compile, Precision
from smm_tutorial.training.processes import is_first_process
from smm_tutorial.training.state import own_folder


def add_to(commands: argparse._SubParsersAction) -> None:
    """Adds the command `train`."""
    train = commands.add_parser(
        "train",
        help="train a model; a killed run goes on where it was",
        epilog="Several GPUs: torchrun --nproc-per-node 2 -m smm_tutorial.cli train ...",
    )
    tasks = train.add_subparsers(required=True, metavar="model")

    task = tasks.add_parser("discovery", help="object discovery by reconstruction")
    task.set_defaults(run=train_discovery)
    _add_choices(task, kinds=("discovery", "comparison"), variants=discovery.ABLATIONS)
    task.add_argument("--data", choices=[*TRAINING_DATA, *FOREIGN_SETS], default="clevr6")
    _add_foreign(task)
    task.add_argument(
        "--begin-with", help="weights of a trained model to go on with, by name or file"
    )
    task.add_argument("--size", type=int, help="pixels a side, instead of the profile's")

    task = tasks.add_parser("set-prediction", help="what is where, learned from scene records")
    task.set_defaults(run=train_set_prediction)
    kinds = ("set-prediction", "set-comparison")
    _add_choices(task, kinds, variants=set_prediction.ABLATIONS)
    task.add_argument(
        "--data", choices=[*SET_DATA, *SETS_WITH_RECORDS], help="default: the profile's"
    )
    _add_foreign(task)
    task.add_argument("--scenes", type=int, help="to render, instead of the profile's number")
    task.add_argument(
        "--coordinate-weight",
        type=float,
        help="how often each coordinate counts in the loss, instead of the profile's number",
    )
    task.add_argument(
        "--begin-with",
        help="encoder and slots of a trained model of object discovery, by name or file",
    )

    task = tasks.add_parser("tokenizer", help="a dVAE, which turns images into tokens and back")
    task.set_defaults(run=train_tokenizer, slots=None)
    _add_choices(task, ("tokenizer",), variants=reconstruction.TOKENIZER_ABLATIONS, has_slots=False)
    task.add_argument("--data", choices=TRAINING_DATA, help="default: the profile's")
    task.add_argument("--size", type=int, help="pixels a side, instead of the profile's")

    task = tasks.add_parser("reconstruction", help="SLATE: images rebuilt from slots, as tokens")
    task.set_defaults(run=train_reconstruction)
    kinds = ("reconstruction", "reconstruction-comparison")
    _add_choices(task, kinds, variants=reconstruction.ABLATIONS)
    task.add_argument("--data", choices=TRAINING_DATA, help="default: the profile's")
    task.add_argument("--size", type=int, help="pixels a side, instead of the profile's")
    task.add_argument(
        "--tokenizer", help="a trained tokenizer, by name or file; default: by data and profile"
    )
    task.add_argument(
        "--begin-with",
        help="encoder and slots of a trained model of object discovery, by name or file; they stay "
        "as they are",
    )


def _add_foreign(task: argparse.ArgumentParser) -> None:
    """Adds the options of data that does not come with the course."""
    task.add_argument("--root", help="the folder of data that does not come with the course")
    task.add_argument("--limit", type=int, help="images of such data, those held out included")
    task.add_argument(
        "--max-objects", type=int, help="of an image of such data, by its record (CLEVR6: 6)"
    )
    task.add_argument(
        "--yes", action="store_true", help="download images that are missing without asking"
    )


def _add_choices(
    task: argparse.ArgumentParser,
    kinds: tuple[str, ...],
    variants: Iterable[str],
    has_slots: bool = True,
) -> None:
    """Adds the options of all tasks: which run it is, what is kept, how it is computed.

    has_slots: whether the task's networks have a slot module to choose.
    """
    if has_slots:
        task.add_argument("--slots", choices=list(CONTESTANTS), default="mixture")
    task.add_argument("--profile", choices=list(PROFILES), help="default: by the hardware")
    task.add_argument("--seed", type=int, default=0)
    task.add_argument("--steps", type=int, help="instead of the profile's number")
    task.add_argument(
        "--learning-rate",
        type=float,
        help="instead of the profile's; of a comparison, makes a search",
    )
    task.add_argument(
        "--kind", choices=kinds, default=kinds[0], help="a run of its own, or one of a comparison"
    )
    task.add_argument("--variant", choices=list(variants), help="change the recipe, to compare")
    task.add_argument(
        "--keep",
        nargs="?",
        choices=["record", "checkpoint"],
        const=True,
        help="put under data/, to be committed: the record, or the checkpoint with its record; by "
        "default the checkpoint of a run of its own, and of runs that are compared the record",
    )
    task.add_argument(
        "--replace",
        action="store_true",
        help="what --keep puts under data/ may take the place of another run by the same name",
    )
    engine = task.add_argument_group("engine")
    engine.add_argument("--precision", choices=get_args(Precision), help="default: the fastest")
    engine.add_argument(
        "--compile",
        choices=get_args(Compile),
        default="none",
        help="torch.compile: for long runs on a GPU",
    )
    engine.add_argument(
        "--tensorboard",
        metavar="FOLDER",
        help="log there for TensorBoard, too (pip install tensorboard)",
    )


def train_discovery(options: argparse.Namespace, command: str) -> None:
    run = choose_discovery(options)
    fetch_missing(options.data, options.root, options.limit, agreed=options.yes)
    record = _train(run, discovery.train_and_record, options, command)
    if record:
        last = record["validation"][-1]
        print(f"validation split, which is for choosing: {discovery.list_scores(last)}")
        if "fg_ari" in last:
            print(discovery.score_table([record]))
        else:
            print(discovery.describe_images_without_masks(record["scores"][0]))


def choose_discovery(options: argparse.Namespace) -> discovery.DiscoveryRun:
    """The run of object discovery for the options."""
    return discovery.DiscoveryRun(
        data=options.data,
        size=options.size,
        root=options.root,
        limit=options.limit,
        max_objects=options.max_objects,
        begin_with=options.begin_with,
        **_choices(options),
    )


def train_set_prediction(options: argparse.Namespace, command: str) -> None:
    run = choose_set_prediction(options)
    fetch_missing(run.data, options.root, options.limit, agreed=options.yes)
    record = _train(run, set_prediction.train_and_record, options, command)
    if record:
        precision = record["validation"][-1]["ap_inf"]
        print(f"validation split, which is for choosing: AP {precision:.1%}")
        print(set_prediction.score_table([record]))


def choose_set_prediction(options: argparse.Namespace) -> set_prediction.SetPredictionRun:
    """The run of set prediction for the options."""
    return set_prediction.SetPredictionRun(
        scenes=options.scenes,
        coordinate_weight=options.coordinate_weight,
        begin_with=options.begin_with,
        data=options.data,
        root=options.root,
        limit=options.limit,
        max_objects=options.max_objects,
        **_choices(options),
    )


def train_tokenizer(options: argparse.Namespace, command: str) -> None:
    run = choose_tokenizer(options)
    record = _train(run, reconstruction.train_and_record_tokenizer, options, command)
    if record:
        print(reconstruction.score_table([record]))


def choose_tokenizer(options: argparse.Namespace) -> reconstruction.TokenizerRun:
    """The run of a tokenizer for the options."""
    choices = {name: value for name, value in _choices(options).items() if name != "module"}
    return reconstruction.TokenizerRun(data=options.data, size=options.size, **choices)


def train_reconstruction(options: argparse.Namespace, command: str) -> None:
    run = choose_reconstruction(options)
    record = _train(run, reconstruction.train_and_record, options, command)
    if record:
        last = record["validation"][-1]
        print(
            f"validation split, which is for choosing: {last['nats']:.3f} nats per token, FG-ARI "
            f"{last['fg_ari']:.3f}"
        )
        print(reconstruction.score_table([record]))


def choose_reconstruction(options: argparse.Namespace) -> reconstruction.ReconstructionRun:
    """The run of image reconstruction for the options."""
    return reconstruction.ReconstructionRun(
        data=options.data,
        size=options.size,
        tokenizer=options.tokenizer,
        begin_with=options.begin_with,
        **_choices(options),
    )


def _choices(options: argparse.Namespace) -> dict[str, Any]:
    """The fields that runs of all tasks share."""
    purpose = "comparison" if options.kind.endswith("comparison") else "showcase"
    if purpose == "comparison" and options.learning_rate is not None:
        purpose = "search"
    if options.variant:
        if purpose != "showcase":
            raise ValueError(
                f"--variant and --kind {options.kind} exclude each other: leave out one"
            )
        purpose = "ablation"
    return {
        "module": options.slots,
        "profile": options.profile or current_profile().name,
        "seed": options.seed,
        "steps": options.steps,
        "rate": options.learning_rate,
        "purpose": purpose,
        "ablation": options.variant,
        "precision": options.precision,
        "compile": options.compile,
    }


def _train(
    run: Run,
    train_and_record: Callable[..., tuple[nn.Module, dict | None]],
    options: argparse.Namespace,
    command: str,
) -> dict | None:
    """Trains a run, keeps its files and returns its record.

    train_and_record: the task's function of this name.

    Under `torchrun` only the first process returns the record; the other processes return None.
    """
    usual = "checkpoint" if run.purpose == "showcase" else "record"
    keep = usual if options.keep is True else options.keep
    check_kept(run.choices, keep, options.replace)
    if is_first_process():
        print(f"{run.name}: {run.training.steps:,} steps, in {run.folder}")
    with own_folder(run.folder) if is_first_process() else nullcontext():
        model, record = train_and_record(run, command, tensorboard=options.tensorboard)
        if record is None:
            return None
        checkpoint, kept = save_run(model, record, keep, options.replace)
    parameters = sum(parameter.numel() for parameter in model.parameters())
    print(f"checkpoint {checkpoint}: {parameters:,} parameters")
    print(f"record {kept}")
    return record
