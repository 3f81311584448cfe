"""Tables for README, notebooks and terminal, made from the records in `data/results` and from nothing else."""

import io
import re
from collections.abc import Iterable
from pathlib import Path

import torch

from smm_tutorial import checkpoints, comparisons, datasets, experiments, paths, plotting
from smm_tutorial.comparisons import CONTESTANT_TITLES, DECISIVE, Group

SCORE_TITLES = {"fg_ari": "FG-ARI", "mbo": "mBO", "miou": "mIoU", "ari": "ARI with background"}
FAULT_TITLES = {"split": "split objects", "merged": "merged objects", "missed": "missed objects"}
BASELINE_TITLES = {"discovery-pixels": "Gaussian mixture on raw pixels", "discovery-untrained": "SMM, untrained"}
NO_COMPARISON = (
    "No comparison has been trained yet: `smm-tutorial train discovery --kind comparison --slots attention --seed 0 --keep`, "
    "and so on for every slot module and seed."
)


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


def variants_table() -> str:
    """The short runs with something left out, `complete` first."""
    records = [experiments.read_record(path.stem) for path in paths.results_dir().glob("variant-*.json")]
    order = list(experiments.VARIANTS)
    rows = [["variant", *SCORE_TITLES.values(), "mBO of the decoder's masks", "training"]]
    for record in sorted(records, key=lambda record: order.index(record["variant"])):
        (scores,) = record["scores"].values()
        values = [f"{scores[name]:.3f}" for name in SCORE_TITLES] + [f"{scores['decoder_masks']['mbo']:.3f}"]
        rows.append([record["variant"], *values, _training(record)])
    return markdown_table(rows)


def comparison_table() -> str:
    """One line for each slot module and data set that runs of `--kind comparison` were trained on; a line of text before any.

    Scores are means ± standard deviations over seeds; what is split, merged or missed are shares of the objects in view.
    """
    if not (found := _compared()):
        return NO_COMPARISON
    titles = SCORE_TITLES | FAULT_TITLES
    rows = [["slot module", "trained and scored on", *titles.values(), "seeds", "best seed", "training of each"]]
    for group in found:
        cells = [_cell(group, group.setting.test_label, (name,)) for name in titles]
        best = str(group.best["training"]["seed"])
        rows.append([group.title, str(group.setting), *cells, str(len(group.records)), best, _training_of_all(group)])
    return markdown_table(rows)


def shift_table(score: str = "fg_ari") -> str:
    """One line for each data set that compared models were scored on, one column for each slot module."""
    found = _compared()
    labels = {g.setting: list(dict.fromkeys(label for r in g.records for label in r["scores"])) for g in found}
    places = [(setting, label) for setting in labels for label in labels[setting]]
    return _by_contestant(found, "scored on", [(*place, (score,), place[1]) for place in places])


def by_objects_table(score: str = "fg_ari") -> str:
    """One line for each number of objects in view in the test split, one column for each slot module."""
    return _by_class("objects in view", "by_objects", score)


def by_size_table() -> str:
    """The mean best overlap of objects by the share of the image that they cover, one column for each slot module."""
    return _by_class("object covers", "by_size", "overlap")


def comparison_section() -> str:
    """The table of the comparison, what its differences say, and how each slot module does on other data."""
    table, found = comparison_table(), _compared()
    if not found:
        return table
    parts = [table, "\n".join(f"- {sentence}" for sentence in comparisons.difference_sentences(found))]
    if any(len(record["scores"]) > 1 for group in found for record in group.records):
        parts += [f"{title} on data of other kinds:\n\n{shift_table(score)}" for score, title in DECISIVE.items()]
    return "\n\n".join(part for part in parts if part)


def full_comparison() -> str:
    """`comparison_section`, and the scores by number and by size of objects."""
    if not _compared():
        return NO_COMPARISON
    by_objects = [f"{title} by objects in view:\n\n{by_objects_table(score)}" for score, title in DECISIVE.items()]
    by_size = f"Mean best overlap by the size of objects:\n\n{by_size_table()}"
    return "\n\n".join([comparison_section(), *by_objects, by_size])


def _compared() -> list[Group]:
    """The compared runs in `data/results`."""
    return comparisons.groups(experiments.read_record(path.stem) for path in paths.results_dir().glob("comparison-*.json"))


def _by_class(title: str, part: str, score: str) -> str:
    found = _compared()
    lines = []
    for setting in dict.fromkeys(group.setting for group in found):
        records = [record for group in found if group.setting == setting for record in group.records]
        classes = dict.fromkeys(c for record in records for c in record["scores"].get(setting.test_label, {}).get(part, {}))
        lines += [(setting, setting.test_label, (part, name, score), name) for name in classes]
    return _by_contestant(found, title, lines)


def _by_contestant(found: list[Group], title: str, lines: list[tuple[comparisons.Setting, str, tuple[str, ...], str]]) -> str:
    """A column for each contestant; each line is a setting, the label of a data set, where the score is in it, and a name."""
    contestants = [name for name in CONTESTANT_TITLES if any(group.contestant == name for group in found)]
    by_place = {(group.setting, group.contestant): group for group in found}
    rows = [["trained on", title, *(CONTESTANT_TITLES[name] for name in contestants)]]
    for setting, label, place, name in lines:
        cells = [_cell(by_place.get((setting, contestant)), label, place) for contestant in contestants]
        rows.append([str(setting), name, *cells])
    return markdown_table(rows)


def _at(scores: dict, place: tuple[str, ...]) -> float | None:
    """The number at that place in nested scores, None where it is not there."""
    for key in place:
        if key not in scores:
            return None
        scores = scores[key]
    return scores


def _cell(group: Group | None, label: str, place: tuple[str, ...]) -> str:
    """Mean and spread over seeds of the score at a place in the scores on a data set; how many, where they are few."""
    spread = group and group.spread(label, lambda scores: _at(scores, place))
    if spread is None:
        return "–"
    if spread.seeds == 1:
        return f"{spread} (one seed)"
    return str(spread) if spread.seeds == len(group.records) else f"{spread} ({spread.seeds} of {len(group.records)} seeds)"


def _title(record: dict) -> str:
    if "training" not in record:
        return BASELINE_TITLES[record["name"]]
    slots = CONTESTANT_TITLES[record.get("contestant", record["config"]["slots"])]
    return f"{slots}, {record['config']['image_size']} px, seed {record['training']['seed']}"


def _training(record: dict) -> str:
    if "training" not in record:
        return "none"
    return f"{record['step']:,} steps, {record['minutes']:.0f} minutes, {_hardware(record)}"


def _training_of_all(group: Group) -> str:
    one, minutes = group.records[0], sum(record["minutes"] for record in group.records) / len(group.records)
    where = ", ".join(dict.fromkeys(_hardware(record) for record in group.records))
    return f"{one['step']:,} steps at rate {one['training']['learning_rate']:g}, {minutes:.0f} minutes, {where}"


def _hardware(record: dict) -> str:
    hardware = record["provenance"]["hardware"]
    return hardware["gpu"] or f"{hardware['cpus']} CPU cores"


#: What `smm-tutorial report` prints, by experiment.
EXPERIMENTS = {"discovery": discovery_table, "comparison": full_comparison}
#: What stands between the two comments of each experiment in the README.
README_PARTS = {"discovery": discovery_table, "comparison": comparison_section}
SHOWN_CHECKPOINT = "discovery-mixture-clevr6-laptop-48px-seed0"
SHOWN_SCENES = 4


def readme_with_table(readme: str) -> str:
    """The README with its tables as the records have them. Raises `ValueError` where it has no place for one."""
    for name, part in README_PARTS.items():
        comment = re.escape(f"<!-- {name} table: written by `smm-tutorial report {name} --keep` -->\n")
        place = re.compile(rf"(?<={comment}).*?(?=<!-- end -->)", re.DOTALL)
        if not place.search(readme):
            raise ValueError(f"README.md has lost the two comments that mark the place of the {name} table: put them back")
        readme = place.sub(lambda _, part=part: part() + "\n", readme)
    return readme


def keep(experiment: str) -> list[Path]:
    """Brings the README up to date with the records, and an experiment's picture with its checkpoint -> the files written."""
    readme = paths.repository_root() / "README.md"
    paths.write_atomically(readme, readme_with_table(readme.read_text(encoding="utf-8")).encode())
    return [readme, *([keep_picture()] if experiment == "discovery" else [])]


def keep_picture() -> Path:
    """The picture of what the shown checkpoint makes of some scenes -> the file."""
    model, _ = checkpoints.load(SHOWN_CHECKPOINT)
    images = datasets.load("clevr6", split="test", size=model.config.image_size).batch(slice(0, SHOWN_SCENES)).images
    with torch.no_grad():
        output = model(images, noise=model.start_noise(len(images), torch.Generator().manual_seed(0)))
    buffer, picture = io.BytesIO(), paths.results_dir() / "discovery.png"
    plotting.decomposition_figure(images, output).savefig(buffer, format="png", dpi=90, metadata={"Software": None})
    paths.write_atomically(picture, buffer.getvalue())
    return picture
