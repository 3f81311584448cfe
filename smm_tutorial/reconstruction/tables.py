"""Tables of image reconstruction, made from the records in `data/results`. All are Markdown."""

from collections.abc import Iterable

from smm_tutorial.reconstruction.ablations import ABLATIONS
from smm_tutorial.results import tables
from smm_tutorial.results.comparisons import find_number, read_groups
from smm_tutorial.results.records import Protocol, find_scores, read_records
from smm_tutorial.results.titles import CONTESTANT_TITLES

NO_TOKENIZERS = "No tokenizer has been trained yet: `smm-tutorial train tokenizer --keep`."
NO_RUNS = "No run has been trained yet: `smm-tutorial train reconstruction --keep`."
NO_COMPARISON = (
    "No comparison has been trained yet: `smm-tutorial train reconstruction --kind "
    "reconstruction-comparison --slots attention --seed 0 --keep`, and so on for every slot module "
    "and seed."
)
NO_ABLATIONS = (
    "No ablation has been trained yet: `smm-tutorial train reconstruction --variant complete "
    "--keep`."
)
NO_DISTANCES = (
    "No distances have been measured yet: `smm-tutorial evaluate NAME --distances --keep`."
)
#: The titles of the compared pictures. Each is compared with other real pictures.
DISTANCE_TITLES = {
    "real": "real",
    "tokenizer": "painted from their own tokens",
    "generated": "generated from slots",
}
TOKENIZER_COLUMNS = {
    ("psnr",): "PSNR in dB",
    ("squared_error",): "squared error",
    ("perplexity",): "perplexity of the codes",
    ("dead_codes",): "dead codes",
}
COLUMNS = {
    ("nats",): "nats per token",
    ("teacher_forced", "psnr"): "PSNR, teacher forced",
    ("generated", "psnr"): "PSNR, generated",
    ("generated", "squared_error"): "squared error, generated",
    ("fg_ari",): "FG-ARI",
    ("mbo",): "mBO",
    ("probe", "ap", "inf"): "AP of linear heads",
}


def tokenizer_table() -> str:
    """Scores of all trained tokenizers: one row per tokenizer and data set."""
    records = read_records(task="tokenizer")
    if not records:
        return NO_TOKENIZERS
    return tables.score_table(records, TOKENIZER_COLUMNS, _name_tokenizer, ".4g")


def score_table(records: Iterable[dict]) -> str:
    """One row per model and data set with scores. The models are networks, or tokenizers."""
    records = list(records)
    if any(record["task"] == "tokenizer" for record in records):
        return tables.score_table(records, TOKENIZER_COLUMNS, _name_tokenizer, ".4g")
    return tables.score_table(records, COLUMNS, _name_model, ".4g")


def showcase_table() -> str:
    """Scores of all networks with the purpose `showcase`, or a sentence if there are none."""
    records = read_records(task="reconstruction", purpose="showcase")
    return score_table(records) if records else NO_RUNS


def distance_table() -> str:
    """Distances of generated pictures from real ones: one row per network and kind of pictures.

    All rows come from one feature network, which the head of the table names. The kernel distance
    is multiplied by 1,000.
    """
    records = read_records(task="reconstruction", purpose="showcase")
    found = [
        (record, scores)
        for record in records
        for scores in record["scores"]
        if "distances" in scores
    ]
    if not found:
        return NO_DISTANCES
    networks = sorted({scores["distances"]["features"] for _, scores in found})
    parts = []
    for network in networks:
        rows = [["model", "scored on", "pictures", f"kernel x 1000 ({network})", "Fréchet"]]
        for record, scores in found:
            distances = scores["distances"]
            if distances["features"] != network:
                continue
            scored_on = Protocol.of(scores).title(record["task"])
            for kind, title in DISTANCE_TITLES.items():
                cells = [
                    f"{1000 * distances[kind]['kernel']:.1f}",
                    f"{distances[kind]['frechet']:.0f}",
                ]
                rows.append([_name_model(record), scored_on, title, *cells])
        parts.append(tables.markdown_table(rows))
    return "\n\n".join(parts)


def ablation_table() -> str:
    """Scores of the ablations on the test split: one row per run, long runs first."""
    records = read_records(task="reconstruction", purpose="ablation")
    if not records:
        return NO_ABLATIONS
    order = list(ABLATIONS)

    def place(record: dict) -> tuple[int, int]:
        name = record["ablation"]
        return -record["step"], order.index(name) if name in order else len(order)

    records.sort(key=place)
    rows = [["ablation", *COLUMNS.values(), "training"]]
    for record in records:
        scores = find_scores(record, record["data"]) or {}
        values = [find_number(scores, place) for place in COLUMNS]
        cells = ["–" if value is None else f"{value:.4g}" for value in values]
        rows.append([record["ablation"], *cells, tables.training_cell(record)])
    return tables.markdown_table(rows)


def comparison_table() -> str:
    """Scores of compared runs: means ± standard deviations over seeds, one row per slot module."""
    groups = read_groups("reconstruction")
    return tables.comparison_table(groups, COLUMNS) if groups else NO_COMPARISON


def search_table() -> str:
    """Makes the table of the search for the learning rates."""
    records = read_records(task="reconstruction", purpose="search")
    return tables.search_table(records, {"nats": "nats per token", "fg_ari": "FG-ARI"})


def comparison_report() -> str:
    """`comparison_table`, its differences in words, and the scores on other data."""
    return tables.comparison_section("reconstruction", comparison_table())


def full_comparison_report() -> str:
    """Joins `comparison_report` and `search_table`."""
    if not read_groups("reconstruction"):
        return NO_COMPARISON
    searched = f"The search for the learning rates:\n\n{search_table()}"
    return f"{comparison_report()}\n\n{searched}"


def _name_tokenizer(record: dict) -> str:
    config = record["config"]
    title = f"{config['num_codes']} codes, {config['image_size']} px"
    if record.get("ablation") == "random-codes":
        title += ", from random codes"
    return f"{title}, seed {record['training']['seed']}"


def _name_model(record: dict) -> str:
    title = f"{CONTESTANT_TITLES[record['contestant']]}, {record['config']['image_size']} px"
    if record.get("begun_with") is not None:
        title += ", frozen slots of discovery"
    return f"{title}, seed {record['training']['seed']}"
