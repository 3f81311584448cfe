"""Tables of set prediction, made from the records in `data/results` and from nothing else."""

from smm_tutorial.results.comparisons import CONTESTANT_TITLES
from smm_tutorial.results.records import read_records
from smm_tutorial.results.tables import (
    cell,
    compared,
    comparison_section,
    markdown_table,
    search_table,
    training_cell,
    training_of_all_cell,
)
from smm_tutorial.set_prediction.scores import THRESHOLDS

NO_RUNS = "No run has been trained yet: `smm-tutorial train set-prediction --keep`."
NO_COMPARISON = (
    "No comparison has been trained yet: `smm-tutorial train set-prediction --kind set-comparison --slots attention --seed 0 "
    "--keep`, and so on for every slot module and seed."
)
PRECISION_TITLES = {name: "AP" if name == "inf" else f"AP at {name}" for name in THRESHOLDS}


def set_prediction_table() -> str:
    """One line for each trained model and data set that it was scored on; AP in percent."""
    records = read_records("set-prediction-*")
    return set_score_table(records) if records else NO_RUNS


def set_score_table(records: list[dict]) -> str:
    """One line for each record and data set."""
    rows = [["model", "scored on", "images", *PRECISION_TITLES.values(), "training"]]
    for record in records:
        title = f"{CONTESTANT_TITLES[record['contestant']]}, {record['config']['image_size']} px"
        if (weight := record["training"]["loss"]["coordinate_weight"]) != 1:
            title += f", coordinates x{weight:g}"
        for label, scores in record["scores"].items():
            values = [f"{scores['ap'][name]:.1%}" for name in THRESHOLDS]
            seeded = f"{title}, seed {record['training']['seed']}"
            rows.append([seeded, label, str(scores["images"]), *values, training_cell(record)])
    return markdown_table(rows)


def set_comparison_table() -> str:
    """One line for each slot module and data set that compared runs were trained on; AP from 0 to
    1, mean ± deviation.
    """
    if not (found := compared("set-comparison")):
        return NO_COMPARISON
    rows = [
        [
            "slot module",
            "trained and scored on",
            *PRECISION_TITLES.values(),
            "seeds",
            "best seed",
            "training of each",
        ]
    ]
    for group in found:
        cells = [cell(group, group.setting.test_label, ("ap", name)) for name in THRESHOLDS]
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


def set_comparison() -> str:
    """`set_comparison_table`, what its differences say, and how each slot module does on other
    data.
    """
    return comparison_section("set-comparison", set_comparison_table())


def set_search_table() -> str:
    """The search for a better learning rate, beside the compared runs of the same slot modules and
    seeds.
    """
    searched = read_records("set-search-*")
    sought = {started_as(record) for record in searched}
    beside = [
        record
        for group in compared("set-comparison")
        for record in group.records
        if started_as(record) in sought
    ]
    return search_table(searched + beside, {"ap_inf": "AP", "ap_0.5": "AP at 0.5"})


def started_as(record: dict) -> tuple[str, str, str, int]:
    """What a search shares with the compared run that it would better: slot module, data, profile,
    seed.
    """
    return record["contestant"], record["data"], record["profile"], record["training"]["seed"]
