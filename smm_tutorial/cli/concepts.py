"""`smm-tutorial concepts`: measure what the weights and the concepts of a trained model tell."""

import argparse

from smm_tutorial import concepts
from smm_tutorial.results.records import lock_results, write_record


def add_to(commands: argparse._SubParsersAction) -> None:
    """Adds the command `concepts`."""
    parser = commands.add_parser(
        "concepts", help="measure weights against areas, empty slots and counts of a model's slots"
    )
    parser.set_defaults(run=measure)
    parser.add_argument("what", metavar="MODEL", help="name or file of a model of object discovery")
    parser.add_argument(
        "--library",
        action="store_true",
        help="instead, cluster the slots of thousands of scenes to concepts, and score these",
    )
    parser.add_argument(
        "--compose",
        metavar="JUDGE",
        help="instead, compose scenes of the model's slots, and let this other model judge them",
    )
    parser.add_argument("--renders", metavar="PATH", help="also score Blender's renders here")
    parser.add_argument("--seed", type=int, default=0, help="of the slots' starts")
    parser.add_argument("--keep", action="store_true", help="put the record into data/results")


def measure(options: argparse.Namespace, command: str) -> None:
    if options.renders is not None and (options.library or options.compose):
        raise ValueError("only weights are measured on Blender's renders: leave out --renders")
    if options.library and options.compose:
        raise ValueError("--library and --compose are two measurements: leave out one")
    if options.library:
        record = concepts.measure_library(options.what, command, options.seed)
    elif options.compose:
        record = concepts.measure_compositions(options.what, options.compose, command, options.seed)
    else:
        record = concepts.measure_weights(options.what, command, options.renders, options.seed)
    if options.keep:
        with lock_results():
            print("record", write_record(record))
    print(concepts.score_table(record))
