"""Tables of object discovery, made from the records in `data/results`."""

from collections.abc import Iterable

from smm_tutorial.discovery.ablations import ABLATIONS
from smm_tutorial.results.comparisons import CONTESTANT_TITLES
from smm_tutorial.results.records import read_records
from smm_tutorial.results.tables import (
    by_contestant,
    cell,
    compared,
    comparison_section,
    markdown_table,
    search_table,
    training_cell,
    training_of_all_cell,
)

SCORE_TITLES = {"fg_ari": "FG-ARI", "mbo": "mBO", "miou": "mIoU", "ari": "ARI with background"}
FAULT_TITLES = {"split": "split objects", "merged": "merged objects", "missed": "missed objects"}
BASELINE_TITLES = {
    "discovery-pixels": "Gaussian mixture on raw pixels",
    "discovery-untrained": "SMM, untrained",
}
NO_COMPARISON = (
    "No comparison has been trained yet: `smm-tutorial train discovery --kind comparison --slots attention --seed 0 --keep`, "
    "and so on for every slot module and seed."
)


def score_table(records: Iterable[dict]) -> str:
    """One line for each model and data set that it was scored on."""
    rows = [["model", "scored on", "images", *SCORE_TITLES.values(), "training"]]
    for record in records:
        for label, scores in record["scores"].items():
            values = [f"{scores[name]:.3f}" for name in SCORE_TITLES]
            rows.append(
                [_title(record), label, str(scores["images"]), *values, training_cell(record)]
            )
    return markdown_table(rows)


def discovery_table() -> str:
    """Object discovery: what needs no training first, then every trained model."""
    return score_table(
        sorted(
            read_records("discovery-*"), key=lambda record: ("training" in record, record["name"])
        )
    )


def variants_table() -> str:
    """The short runs with something left out, `complete` first."""
    order = list(ABLATIONS)
    rows = [["variant", *SCORE_TITLES.values(), "mBO of the decoder's masks", "training"]]
    for record in sorted(
        read_records("variant-*"), key=lambda record: order.index(record["variant"])
    ):
        (scores,) = record["scores"].values()
        values = [f"{scores[name]:.3f}" for name in SCORE_TITLES] + [
            f"{scores['decoder_masks']['mbo']:.3f}"
        ]
        rows.append([record["variant"], *values, training_cell(record)])
    return markdown_table(rows)


def comparison_table() -> str:
    """One line for each slot module and data set that runs of `--kind comparison` were trained on;
    a line of text before any.

    Scores are means ± standard deviations over seeds; what is split, merged or missed are shares of
    the objects in view.
    """
    if not (found := compared("comparison")):
        return NO_COMPARISON
    titles = SCORE_TITLES | FAULT_TITLES
    rows = [
        [
            "slot module",
            "trained and scored on",
            *titles.values(),
            "seeds",
            "best seed",
            "training of each",
        ]
    ]
    for group in found:
        cells = [cell(group, group.setting.test_label, (name,)) for name in titles]
        best = str(group.best["training"]["seed"])
        rows.append(
            [
                group.title,
                str(group.setting),
                *cells,
                str(len(group.records)),
                best,
                training_of_all_cell(group),
            ]
        )
    return markdown_table(rows)


def by_objects_table(score: str = "fg_ari") -> str:
    """One line for each number of objects in view in the test split, one column for each slot
    module.
    """
    return _by_class("objects in view", "by_objects", score)


def by_size_table() -> str:
    """The mean best overlap of objects by the share of the image that they cover, one column for
    each slot module.
    """
    return _by_class("object covers", "by_size", "overlap")


def comparison() -> str:
    """`comparison_table`, what its differences say, and how each slot module does on other data."""
    return comparison_section("comparison", comparison_table())


def full_comparison() -> str:
    """`comparison`, the scores by number and by size of objects, and the search for the learning
    rates.
    """
    if not compared("comparison"):
        return NO_COMPARISON
    tables = {
        "FG-ARI by objects in view": by_objects_table("fg_ari"),
        "mBO by objects in view": by_objects_table("mbo"),
        "Mean best overlap by the size of objects": by_size_table(),
        "The search for the learning rates": search_table(
            read_records("search-*"), {"fg_ari": "FG-ARI", "mbo": "mBO"}
        ),
    }
    return "\n\n".join([comparison(), *(f"{title}:\n\n{table}" for title, table in tables.items())])


def _by_class(title: str, part: str, score: str) -> str:
    found = compared("comparison")
    lines = []
    for setting in dict.fromkeys(group.setting for group in found):
        records = [
            record for group in found if group.setting == setting for record in group.records
        ]
        classes = dict.fromkeys(
            c
            for record in records
            for c in record["scores"].get(setting.test_label, {}).get(part, {})
        )
        lines += [(setting, setting.test_label, (part, name, score), name) for name in classes]
    return by_contestant(found, title, lines)


def _title(record: dict) -> str:
    if "training" not in record:
        return BASELINE_TITLES[record["name"]]
    slots = CONTESTANT_TITLES[record.get("contestant", record["config"]["slots"])]
    return f"{slots}, {record['config']['image_size']} px, seed {record['training']['seed']}"
