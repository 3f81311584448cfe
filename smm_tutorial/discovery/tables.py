"""Tables of object discovery, made from the records in `data/results`. All are Markdown text."""

from collections.abc import Iterable

from smm_tutorial.discovery.ablations import ABLATIONS
from smm_tutorial.results import tables
from smm_tutorial.results.comparisons import find_number, read_groups
from smm_tutorial.results.records import find_scores, read_records
from smm_tutorial.results.titles import CONTESTANT_TITLES

SCORE_TITLES = {"fg_ari": "FG-ARI", "mbo": "mBO", "miou": "mIoU", "ari": "ARI with background"}
LIKELIHOOD_TITLES = {"nats_per_pixel": "nats per pixel", "squared_error": "squared error"}
FAULT_TITLES = {"split": "split objects", "merged": "merged objects", "missed": "missed objects"}
BASELINE_TITLES = {
    "discovery-pixels": "Gaussian mixture on raw pixels",
    "discovery-untrained": "SMM, untrained",
}
NO_COMPARISON = (
    "No comparison has been trained yet: `smm-tutorial train discovery --kind comparison "
    "--slots attention --seed 0 --keep`, and so on for every slot module and seed."
)


def list_scores(scores: dict) -> str:
    """Formats the means of `scores`: those of masks, or the likelihood of images without masks."""
    titles = SCORE_TITLES if "fg_ari" in scores else LIKELIHOOD_TITLES
    return ", ".join(f"{title} {scores[name]:.4g}" for name, title in titles.items())


def describe_images_without_masks(scores: dict) -> str:
    """Formats the scores of `score_likelihood`, with the number of images."""
    return f"{scores['images']:,} test images, which have no masks: {list_scores(scores)}"


def score_table(records: Iterable[dict]) -> str:
    """Makes a table with one row per model and data set on which the model was scored."""
    columns = {(name,): title for name, title in SCORE_TITLES.items()}
    return tables.score_table(records, columns, _name_model)


def showcase_table() -> str:
    """Makes the table of the baselines without training and of the runs with purpose `showcase`."""
    baselines = read_records(task="discovery", purpose="baseline")
    return score_table(baselines + read_records(task="discovery", purpose="showcase"))


def ablation_table() -> str:
    """Makes the table of the ablations: one row per run, in the order of `ABLATIONS`.

    The scores are those on the test split of the run's data.
    """
    columns = {(name,): title for name, title in SCORE_TITLES.items()}
    columns |= {("decoder_masks", "mbo"): "mBO of the decoder's masks"}
    rows = [["ablation", *columns.values(), "training"]]
    order = list(ABLATIONS)
    records = read_records(task="discovery", purpose="ablation")
    records.sort(key=lambda r: order.index(r["ablation"]) if r["ablation"] in order else len(order))
    for record in records:
        scores = find_scores(record, record["data"]) or {}
        values = [find_number(scores, place) for place in columns]
        cells = ["–" if value is None else f"{value:.3f}" for value in values]
        rows.append([record["ablation"], *cells, tables.training_cell(record)])
    return tables.markdown_table(rows)


def comparison_table() -> str:
    """Makes the table of the compared runs: one row per slot module and training data.

    Scores are means ± standard deviations over seeds. Split, merged and missed objects are shares
    of the visible objects. If there are no compared runs, the text says how to train them.
    """
    columns = {(name,): title for name, title in (SCORE_TITLES | FAULT_TITLES).items()}
    groups = read_groups("discovery")
    return tables.comparison_table(groups, columns) if groups else NO_COMPARISON


def by_objects_table(score: str = "fg_ari") -> str:
    """Makes a table with one row per number of visible objects, and one column per slot module.

    score: the score in the cells, on the test split.
    """
    return _class_table("objects in view", "by_objects", score)


def by_size_table() -> str:
    """Makes a table of the mean best overlap, with one row per class of object sizes.

    There is one column per slot module.
    """
    return _class_table("object covers", "by_size", "overlap")


def _class_table(title: str, part: str, score: str) -> str:
    """Makes a table with one row per class of images or objects, on the test split.

    title: head of the column of classes. part: the entry of the scores that holds the classes.
    """
    groups = read_groups("discovery")
    lines = {}
    for group in groups:
        protocol = group.setting.test_protocol
        for record in group.records:
            for name in (find_scores(record, *protocol) or {}).get(part, {}):
                lines[group.setting, protocol, (part, name, score), name] = None
    return tables.contestant_table(groups, title, list(lines))


def search_table() -> str:
    """Makes the table of the search for the learning rates."""
    records = read_records(task="discovery", purpose="search")
    return tables.search_table(records, {"fg_ari": "FG-ARI", "mbo": "mBO"})


def comparison_report() -> str:
    """Joins `comparison_table`, sentences about the differences, and tables for other data."""
    return tables.comparison_section("discovery", comparison_table())


def full_comparison_report() -> str:
    """Joins `comparison_report`, the scores by number and size of objects, and `search_table`."""
    if not read_groups("discovery"):
        return NO_COMPARISON
    parts = {
        "FG-ARI by objects in view": by_objects_table("fg_ari"),
        "mBO by objects in view": by_objects_table("mbo"),
        "Mean best overlap by the size of objects": by_size_table(),
        "The search for the learning rates": search_table(),
    }
    titled = [f"{title}:\n\n{table}" for title, table in parts.items()]
    return "\n\n".join([comparison_report(), *titled])


def _name_model(record: dict) -> str:
    if record["purpose"] == "baseline":
        return BASELINE_TITLES.get(record["name"], record["name"])
    slots = CONTESTANT_TITLES[record["contestant"]]
    return f"{slots}, {record['config']['image_size']} px, seed {record['training']['seed']}"
