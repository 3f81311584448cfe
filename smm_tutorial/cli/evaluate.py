"""`smm-tutorial evaluate`: scores of a checkpoint, or of a method that needs no training."""

import argparse
import shlex
from pathlib import Path

from smm_tutorial import checkpoints, discovery, reconstruction, set_prediction
from smm_tutorial.datasets.foreign_sets import FOREIGN_SETS
from smm_tutorial.datasets.named_sets import EVALUATION_SETS, SET_EVALUATION_SETS, training_split
from smm_tutorial.discovery.evaluation import BASELINES
from smm_tutorial.discovery.segmentation import SELECTIONS
from smm_tutorial.results.records import add_scores, keep_scores
from smm_tutorial.slots.slot_model import SlotModel

#: Defaults of the options that have a value, in the order of the command in a record.
DEFAULTS = {
    "data": None,
    "root": None,
    "seed": 0,
    "starts": 1,
    "selection": "all",
    "iterations": None,
    "num_slots": None,
    "distances": False,
    "probe": False,
}
PROBED_SCENES = 1024  # training scenes to which a probe fits its heads
#: The models of image reconstruction, as records name them.
REBUILDERS = ("Tokenizer", "SlotReconstruction")


def add_to(commands: argparse._SubParsersAction) -> None:
    """Adds the command `evaluate`."""
    parser = commands.add_parser(
        "evaluate", help="score a checkpoint, or what needs no training, on a test split"
    )
    parser.set_defaults(run=evaluate_model, **DEFAULTS)
    parser.add_argument(
        "what",
        help="name of a checkpoint or of a run here, a file, 'untrained' or 'pixels' (a mixture on "
        "raw pixels)",
    )
    parser.add_argument(
        "--data",
        choices=sorted({*EVALUATION_SETS, *SET_EVALUATION_SETS, *FOREIGN_SETS}),
        help="default: clevr6; for sets, as trained",
    )
    parser.add_argument("--root", help="the folder of data that does not come with the course")
    parser.add_argument("--seed", type=int, help="of the slots' starts")
    parser.add_argument(
        "--starts", type=int, help="of the slots for each image; the most likely one counts"
    )
    parser.add_argument(
        "--selection",
        choices=list(SELECTIONS),
        help="all slots own pixels, or those that are worth their price",
    )
    parser.add_argument(
        "--iterations", type=int, help="of the slot module, instead of those of the training"
    )
    parser.add_argument(
        "--num-slots", type=int, help="of a set predictor, instead of those of the training"
    )
    parser.add_argument(
        "--distances",
        action="store_true",
        help="also how far generated pictures are from real ones, as a set",
    )
    parser.add_argument(
        "--probe",
        action="store_true",
        help="also what frozen slots know: the AP of linear heads on them",
    )
    parser.add_argument("--keep", action="store_true", help="put the scores into data/results")


def evaluate_model(options: argparse.Namespace, _: str) -> None:
    trained = None if options.what in BASELINES else checkpoints.load(options.what)
    command = describe_command(options)
    rebuilds = trained is not None and trained.record["model"] in REBUILDERS
    if options.distances and not rebuilds:
        raise ValueError(
            f"--distances is for models that rebuild images from tokens, and {options.what} is "
            "none: leave it out"
        )
    if trained and trained.record["model"] == "SetPredictor":
        if options.starts != 1 or options.selection != "all":
            raise ValueError(
                "--starts and --selection need a model that reconstructs images, "
                "and a SetPredictor does not: leave them out"
            )
        record, scores = set_prediction.score_by_name(
            options.what,
            options.data,
            options.root,
            options.seed,
            command,
            options.iterations,
            options.num_slots,
        )
        table = set_prediction.score_table
    elif rebuilds:
        own = ("starts", "selection", "iterations", "num_slots")
        if given := [name for name in own if getattr(options, name) != DEFAULTS[name]]:
            raise ValueError(
                f"--{given[0].replace('_', '-')} is for other tasks, and {options.what} rebuilds "
                "images from tokens: leave it out"
            )
        record, scores = reconstruction.score_by_name(
            options.what, options.data, options.root, options.seed, command, options.distances
        )
        table = reconstruction.score_table
    else:
        if options.num_slots is not None:
            raise ValueError(
                "--num-slots is for set predictors: object discovery takes as many slots as the "
                "data set needs"
            )
        record, scores = discovery.score_by_name(
            options.what,
            options.data or "clevr6",
            options.root,
            options.seed,
            command,
            options.starts,
            options.selection,
            options.iterations,
        )
        table = discovery.score_table
    if options.probe:
        scores["probe"] = probe_model(options, trained)
    if options.keep:
        record, path = keep_scores(record, scores)
        print(f"record {path}")
    else:
        add_scores(record, scores)
    if "nats_per_pixel" in scores:
        print(discovery.describe_images_without_masks(scores))
    else:
        print(table([record]))


def probe_model(options: argparse.Namespace, trained: checkpoints.Checkpoint | None) -> dict:
    """The scores of linear heads on the frozen slots of a model.

    The heads are fitted to training scenes of the model, and scored on the test scenes.
    """
    if trained is None or not isinstance(trained.model, SlotModel):
        raise ValueError(f"--probe is for trained models with slots, and {options.what} is none")
    size, own = trained.model.config.image_size, trained.record["data"]
    scenes = EVALUATION_SETS[options.data or own]
    train = training_split(own, "train", size)
    train = train.subset(range(min(PROBED_SCENES, len(train))))
    test = scenes.load(size, options.root)
    return set_prediction.probe_slots(trained.model, train, test, options.seed, scenes.num_slots)


def describe_command(options: argparse.Namespace) -> str:
    """The command that computes these scores again. Folders of this machine are left out."""
    words = ["smm-tutorial", "evaluate", Path(options.what).name]
    for name, usual in DEFAULTS.items():
        if (value := getattr(options, name)) != usual:
            words.append(f"--{name.replace('_', '-')}")
            if value is not True:
                words.append("PATH" if name == "root" else str(value))
    return shlex.join(words + ["--keep"] * options.keep)
