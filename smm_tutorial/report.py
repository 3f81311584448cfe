"""Tables for README, notebooks and terminal, made from the records in `data/results` and from nothing else."""

import io
import re
from collections.abc import Iterable
from pathlib import Path

import torch

from smm_tutorial import checkpoints, datasets, experiments, paths, plotting
from smm_tutorial.comparisons import CONTESTANT_TITLES
from smm_tutorial.set_report import set_comparison, set_prediction_table
from smm_tutorial.tables import (
    by_contestant,
    cell,
    compared,
    comparison_section,
    markdown_table,
    read_records,
    search_table,
    training_cell,
    training_of_all_cell,
)

SCORE_TITLES = {"fg_ari": "FG-ARI", "mbo": "mBO", "miou": "mIoU", "ari": "ARI with background"}
FAULT_TITLES = {"split": "split objects", "merged": "merged objects", "missed": "missed objects"}
BASELINE_TITLES = {"discovery-pixels": "Gaussian mixture on raw pixels", "discovery-untrained": "SMM, untrained"}
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
            rows.append([_title(record), label, str(scores["images"]), *values, training_cell(record)])
    return markdown_table(rows)


def discovery_table() -> str:
    """Object discovery: what needs no training first, then every trained model."""
    return score_table(sorted(read_records("discovery-*"), key=lambda record: ("training" in record, record["name"])))


def variants_table() -> str:
    """The short runs with something left out, `complete` first."""
    order = list(experiments.VARIANTS)
    rows = [["variant", *SCORE_TITLES.values(), "mBO of the decoder's masks", "training"]]
    for record in sorted(read_records("variant-*"), key=lambda record: order.index(record["variant"])):
        (scores,) = record["scores"].values()
        values = [f"{scores[name]:.3f}" for name in SCORE_TITLES] + [f"{scores['decoder_masks']['mbo']:.3f}"]
        rows.append([record["variant"], *values, training_cell(record)])
    return markdown_table(rows)


def comparison_table() -> str:
    """One line for each slot module and data set that runs of `--kind comparison` were trained on; a line of text before any.

    Scores are means ± standard deviations over seeds; what is split, merged or missed are shares of the objects in view.
    """
    if not (found := compared("comparison")):
        return NO_COMPARISON
    titles = SCORE_TITLES | FAULT_TITLES
    rows = [["slot module", "trained and scored on", *titles.values(), "seeds", "best seed", "training of each"]]
    for group in found:
        cells = [cell(group, group.setting.test_label, (name,)) for name in titles]
        best = str(group.best["training"]["seed"])
        rows.append([group.title, str(group.setting), *cells, str(len(group.records)), best, training_of_all_cell(group)])
    return markdown_table(rows)


def by_objects_table(score: str = "fg_ari") -> str:
    """One line for each number of objects in view in the test split, one column for each slot module."""
    return _by_class("objects in view", "by_objects", score)


def by_size_table() -> str:
    """The mean best overlap of objects by the share of the image that they cover, one column for each slot module."""
    return _by_class("object covers", "by_size", "overlap")


def comparison() -> str:
    """`comparison_table`, what its differences say, and how each slot module does on other data."""
    return comparison_section("comparison", comparison_table())


def full_comparison() -> str:
    """`comparison`, the scores by number and by size of objects, and the search for the learning rates."""
    if not compared("comparison"):
        return NO_COMPARISON
    tables = {
        "FG-ARI by objects in view": by_objects_table("fg_ari"), "mBO by objects in view": by_objects_table("mbo"),
        "Mean best overlap by the size of objects": by_size_table(),
        "The search for the learning rates": search_table(read_records("search-*"), {"fg_ari": "FG-ARI", "mbo": "mBO"}),
    }  # fmt: skip
    return "\n\n".join([comparison(), *(f"{title}:\n\n{table}" for title, table in tables.items())])


def _by_class(title: str, part: str, score: str) -> str:
    found = compared("comparison")
    lines = []
    for setting in dict.fromkeys(group.setting for group in found):
        records = [record for group in found if group.setting == setting for record in group.records]
        classes = dict.fromkeys(c for record in records for c in record["scores"].get(setting.test_label, {}).get(part, {}))
        lines += [(setting, setting.test_label, (part, name, score), name) for name in classes]
    return by_contestant(found, title, lines)


def _title(record: dict) -> str:
    if "training" not in record:
        return BASELINE_TITLES[record["name"]]
    slots = CONTESTANT_TITLES[record.get("contestant", record["config"]["slots"])]
    return f"{slots}, {record['config']['image_size']} px, seed {record['training']['seed']}"


#: What `smm-tutorial report` prints, by experiment.
EXPERIMENTS = {
    "discovery": discovery_table, "comparison": full_comparison, "set-prediction": set_prediction_table,
    "set-comparison": set_comparison,
}  # fmt: skip
#: What stands between the two comments of each experiment in the README.
README_PARTS = EXPERIMENTS | {"comparison": comparison}
SHOWN_CHECKPOINT = "discovery-mixture-clevr6-laptop-48px-seed0"
SHOWN_SCENES = 4


def readme_with_table(readme: str) -> str:
    """The README with its tables as the records have them. Raises `ValueError` where it has no place for one."""
    for name, part in README_PARTS.items():
        comment = re.escape(f"<!-- {name} table: written by `smm-tutorial report {name} --keep` -->\n")
        place = re.compile(rf"(?<={comment}).*?(?=<!-- end -->)", re.DOTALL)
        if not place.search(readme):
            raise ValueError(f"README.md has lost the two comments that mark the place of the {name} table: put them back")
        readme = place.sub(lambda _, part=part: part() + "\n", readme, count=1)
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
