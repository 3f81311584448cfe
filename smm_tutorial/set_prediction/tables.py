"""Tables of set prediction, made from the records in `data/results`."""

from collections.abc import Iterable

from smm_tutorial.results import tables
from smm_tutorial.results.comparisons import Spread, find_number, read_groups
from smm_tutorial.results.records import read_records
from smm_tutorial.results.titles import CONTESTANT_TITLES
from smm_tutorial.set_prediction.ablations import ABLATIONS
from smm_tutorial.set_prediction.recipe import SIZES
from smm_tutorial.set_prediction.scores import THRESHOLDS

NO_RUNS = "No run has been trained yet: `smm-tutorial train set-prediction --keep`."
NO_COMPARISON = (
    "No comparison has been trained yet: `smm-tutorial train set-prediction --kind set-comparison "
    "--slots attention --seed 0 --keep`, and so on for every slot module and seed."
)
NO_ABLATIONS = (
    "No ablation has been trained yet: `smm-tutorial train set-prediction --variant huber --keep`."
)
COLUMNS = {("ap", name): "AP" if name == "inf" else f"AP at {name}" for name in THRESHOLDS}
COLUMNS |= {("binding", "fg_ari"): "FG-ARI"}  # of the responsibilities


def score_table(records: Iterable[dict]) -> str:
    """One line per model and data set with scores, in percent.

    Images without masks have no FG-ARI.
    """
    return tables.score_table(records, COLUMNS, _name_model, ".1%")


def showcase_table() -> str:
    """Scores of all models trained as showcases. If there are none, a sentence that says so."""
    records = read_records(task="set-prediction", purpose="showcase")
    return score_table(records) if records else NO_RUNS


def comparison_table() -> str:
    """Scores of compared runs: one line per slot module and training data.

    AP and FG-ARI are from 0 to 1: means ± standard deviations over seeds. If there are no compared
    runs, returns a sentence that says so.
    """
    groups = read_groups("set-prediction")
    return tables.comparison_table(groups, COLUMNS) if groups else NO_COMPARISON


def ablation_table() -> str:
    """Scores of the ablations after training, on the validation scenes: one line per ablation.

    AP is from 0 to 1, and `FG-ARI` is that of the responsibilities: means ± standard deviations
    over seeds. The minutes are those of the quickest seed: others may have shared their machine.
    """
    columns = {"ap_inf": "AP", "ap_0.5": "AP at 0.5", "ap_0.25": "AP at 0.25", "fg_ari": "FG-ARI"}
    alike: dict[tuple, list[dict]] = {}
    for record in read_records(task="set-prediction", purpose="ablation"):
        alike.setdefault(_ablation_key(record), []).append(record)
    if not alike:
        return NO_ABLATIONS
    rows = [["ablation", *columns.values(), "seeds", "training of the quickest"]]
    for key in sorted(alike, key=_ablation_place):
        last = [record["validation"][-1] for record in alike[key]]
        found = [[find_number(entry, (name,)) for entry in last] for name in columns]
        cells = ["–" if None in values else str(Spread.of(values)) for values in found]
        quickest = min(alike[key], key=lambda record: record["minutes"])
        training = tables.training_cell(quickest)
        rows.append([_ablation_title(key), *cells, str(len(last)), training])
    return tables.markdown_table(rows)


def _ablation_key(record: dict) -> tuple:
    """The choices in which runs of one ablation agree: all but the seed."""
    begun = record.get("begun_with") is not None
    others = record["contestant"], record["data"], record["profile"], record["step"]
    return begun, record["ablation"], *others


def _ablation_place(key: tuple) -> tuple:
    """Sorts by beginning, then in the order of `ABLATIONS`, then by the other choices."""
    begun, name, *others = key
    known = list(ABLATIONS)
    return begun, known.index(name) if name in known else len(known), name, *others


def _ablation_title(key: tuple) -> str:
    begun, name, contestant, data, profile, _ = key
    title = f"{name}, begun with slots" if begun else name
    if contestant != "mixture":
        title += f", {CONTESTANT_TITLES[contestant]}"
    usual = data == SIZES[profile].data if profile in SIZES else False
    return title if usual and profile == "laptop" else f"{title}, {data}, {profile}"


def search_table() -> str:
    """Runs that tried other learning rates, beside compared runs of equal modules and seeds."""
    searched = read_records(task="set-prediction", purpose="search")
    compared = read_records(task="set-prediction", purpose="comparison")
    sought = {search_key(record) for record in searched}
    beside = [record for record in compared if search_key(record) in sought]
    return tables.search_table(searched + beside, {"ap_inf": "AP", "ap_0.5": "AP at 0.5"})


def search_key(record: dict) -> tuple[str, str, str, int]:
    """Slot module, data, profile and seed of a record.

    A search and the compared run that it tries to improve agree in these four.
    """
    return record["contestant"], record["data"], record["profile"], record["training"]["seed"]


def comparison_report() -> str:
    """`comparison_table`, its differences in words, and the scores of each slot module on other
    data.
    """
    return tables.comparison_section("set-prediction", comparison_table())


def _name_model(record: dict) -> str:
    title = f"{CONTESTANT_TITLES[record['contestant']]}, {record['config']['image_size']} px"
    weight, sizes = record["training"]["loss"]["coordinate_weight"], SIZES.get(record["profile"])
    if sizes is None or weight != sizes.coordinate_weight:
        title += f", coordinates x{weight:g}"
    if record.get("begun_with") is None:
        title += ", from random parameters"
    return f"{title}, seed {record['training']['seed']}"
