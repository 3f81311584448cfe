"""`smm-tutorial report`: tables from the records in `data/results`."""

import argparse

from smm_tutorial import report
from smm_tutorial.fidelity.report import data_quality_table

#: Functions that make the printed text, by name.
TABLES = {**report.EXPERIMENTS, "data": data_quality_table}


def add_to(commands: argparse._SubParsersAction) -> None:
    """Adds the command `report`."""
    parser = commands.add_parser(
        "report", help="print the table of an experiment from data/results, as Markdown"
    )
    parser.set_defaults(run=print_report)
    parser.add_argument("experiment", choices=list(TABLES))
    parser.add_argument(
        "--keep", action="store_true", help="bring the README's tables and pictures up to date"
    )


def print_report(options: argparse.Namespace, command: str) -> None:
    print(TABLES[options.experiment]())
    if options.keep:
        print("written:", *report.keep(options.experiment))
