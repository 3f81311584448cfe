"""Tables of image reconstruction, made from the records in `data/results`. All are Markdown."""

from collections.abc import Iterable

from smm_tutorial.reconstruction.ablations import ABLATIONS
from smm_tutorial.results import tables
from smm_tutorial.results.comparisons import find_number, read_groups
from smm_tutorial.results.records import find_scores, read_records
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


def ablation_table() -> str:
    """Scores of the ablations on the test split: one row per run, in the order of `ABLATIONS`."""
    records = read_records(task="reconstruction", purpose="ablation")
    if not records:
        return NO_ABLATIONS
    order = list(ABLATIONS)
    records.sort(key=lambda r: order.index(r["ablation"]) if r["ablation"] in order else len(order))
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


def comparison_report() -> str:
    """`comparison_table`, its differences in words, and the scores on other data."""
    return tables.comparison_section("reconstruction", comparison_table())


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
