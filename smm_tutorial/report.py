"""Tables for README, notebooks and terminal, made from the records in `data/results` and from nothing else."""

import io
import re
from collections.abc import Iterable
from pathlib import Path

import torch

from smm_tutorial import checkpoints, datasets, experiments, paths, plotting

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


def variants_table() -> str:
    """The short runs with one thing left out, `complete` first."""
    records = [experiments.read_record(path.stem) for path in paths.results_dir().glob("variant-*.json")]
    order = list(experiments.VARIANTS)
    rows = [["variant", *SCORE_TITLES.values(), "mBO of the decoder's masks", "training"]]
    for record in sorted(records, key=lambda record: order.index(record["variant"])):
        (scores,) = record["scores"].values()
        values = [f"{scores[name]:.3f}" for name in SCORE_TITLES] + [f"{scores['decoder_masks']['mbo']:.3f}"]
        rows.append([record["variant"], *values, _training(record)])
    return markdown_table(rows)


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


README_TABLE = re.compile(
    r"(?<=<!-- discovery table: written by `smm-tutorial report discovery --keep` -->\n).*?(?=<!-- end -->)", re.DOTALL
)
SHOWN_CHECKPOINT = "discovery-mixture-clevr6-laptop-seed0"
SHOWN_SCENES = 4


def readme_with_table(readme: str) -> str:
    """The README with the table of discovery as the records have it. Raises `ValueError` where it has no place for it."""
    if not README_TABLE.search(readme):
        raise ValueError("README.md has lost the two comments that mark the place of the discovery table: put them back")
    return README_TABLE.sub(lambda _: discovery_table() + "\n", readme)


def keep_discovery() -> list[Path]:
    """Brings README's table and picture up to date with records and checkpoint -> the files written."""
    model, _ = checkpoints.load(SHOWN_CHECKPOINT)
    images = datasets.load("clevr6", split="test", size=model.config.image_size).batch(slice(0, SHOWN_SCENES)).images
    with torch.no_grad():
        output = model(images, noise=model.start_noise(len(images), torch.Generator().manual_seed(0)))
    buffer = io.BytesIO()
    plotting.decomposition_figure(images, output).savefig(buffer, format="png", dpi=90, metadata={"Software": None})
    picture, readme = paths.results_dir() / "discovery.png", paths.repository_root() / "README.md"
    paths.write_atomically(picture, buffer.getvalue())
    paths.write_atomically(readme, readme_with_table(readme.read_text(encoding="utf-8")).encode())
    return [picture, readme]
