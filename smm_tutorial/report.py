"""Tables for README, notebooks and terminal, made from the records in `data/results` and from nothing else."""

from collections.abc import Callable, Iterable

from smm_tutorial import experiments, paths

SCORE_TITLES = {"fg_ari": "FG-ARI", "mbo": "mBO", "miou": "mIoU", "ari": "ARI with background"}
MODEL_TITLES = {
    "discovery-pixels": "Gaussian mixture on raw pixels",
    "discovery-untrained": "SMM, untrained",
    "mixture": "SMM",
    "attention": "Slot Attention",
}


def markdown_table(rows: list[list[str]]) -> str:
    """Rows of cells, the first one the head, as a Markdown table."""
    head, *body = rows
    return "\n".join("| " + " | ".join(row) + " |" for row in [head, ["---"] * len(head), *body])


def score_table(records: Iterable[dict]) -> str:
    """One line for each model and data set that it was scored on."""
    rows = [["model", "scored on", "images", *SCORE_TITLES.values(), "training"]]
    for record in records:
        for label, scores in record["scores"].items():
            values = [f"{scores[name]:.3f}" for name in SCORE_TITLES]
            rows.append([_title(record), label, str(scores["images"]), *values, _training(record)])
    return markdown_table(rows)


def discovery_table() -> str:
    """Object discovery: what needs no training first, then every trained model."""
    names = sorted(path.stem for path in paths.results_dir().glob("discovery-*.json"))
    records = [experiments.read_record(name) for name in names]
    return score_table(sorted(records, key=lambda record: ("training" in record, record["name"])))


def _title(record: dict) -> str:
    if "training" not in record:
        return MODEL_TITLES[record["name"]]
    return f"{MODEL_TITLES[record['config']['slots']]}, {record['config']['image_size']} px, seed {record['training']['seed']}"


def _training(record: dict) -> str:
    if "training" not in record:
        return "none"
    hardware = record["provenance"]["hardware"]
    where = hardware["gpu"] or f"{hardware['cpus']} CPU cores"
    return f"{record['step']:,} steps, {record['minutes']:.0f} minutes, {where}"


#: Experiments that `smm-tutorial report` knows.
TABLES: dict[str, Callable[[], str]] = {"discovery": discovery_table}
