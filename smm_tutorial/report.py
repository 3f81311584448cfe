"""README's tables and picture. Every number comes from the records in `data/results`."""

import io
import re
from pathlib import Path

import torch

from smm_tutorial import checkpoints, datasets, figures, paths
from smm_tutorial.concepts import tables as concept_tables
from smm_tutorial.discovery import tables as discovery_tables
from smm_tutorial.files import write_atomically
from smm_tutorial.reconstruction import tables as reconstruction_tables
from smm_tutorial.results.records import lock_results
from smm_tutorial.set_prediction import tables as set_prediction_tables

#: The tables that `smm-tutorial report` prints, by name.
EXPERIMENTS = {
    "discovery": discovery_tables.showcase_table,
    "comparison": discovery_tables.full_comparison_report,
    "set-prediction": set_prediction_tables.showcase_table,
    "set-comparison": set_prediction_tables.comparison_report,
    "tokenizer": reconstruction_tables.tokenizer_table,
    "reconstruction": reconstruction_tables.showcase_table,
    "reconstruction-comparison": reconstruction_tables.full_comparison_report,
    "reconstruction-ablations": reconstruction_tables.ablation_table,
    "reconstruction-distances": reconstruction_tables.distance_table,
    "concepts": concept_tables.report,
}
#: The tables in the README. Two comments with the table's name mark its place.
README_PARTS = {
    "discovery": discovery_tables.showcase_table,
    "comparison": discovery_tables.comparison_report,
    "set-prediction": set_prediction_tables.showcase_table,
    "set-comparison": set_prediction_tables.comparison_report,
}
SHOWN_CHECKPOINT = "discovery-mixture-clevr6-laptop-48px-seed0"
SHOWN_SCENES = 4


def fill_readme(readme: str) -> str:
    """The text of the README with its tables made anew from the records.

    Raises `ValueError` if the README has lost the place of a table.
    """
    for name, part in README_PARTS.items():
        comment = re.escape(
            f"<!-- {name} table: written by `smm-tutorial report {name} --keep` -->\n"
        )
        place = re.compile(rf"(?<={comment}).*?(?=<!-- end -->)", re.DOTALL)
        if not place.search(readme):
            raise ValueError(
                "README.md has lost the two comments that mark the place of the "
                f"{name} table: put them back"
            )
        readme = place.sub(lambda _, part=part: part() + "\n", readme, count=1)
    return readme


def keep(experiment: str) -> list[Path]:
    """Updates the README's tables and returns the files written.

    For `discovery`, the README's picture is drawn again too, from the shown checkpoint.

    Raises `ValueError` if the course is installed without its README, or if the README has lost the
    place of a table.
    """
    root = paths.repository_root()
    if root is None:
        raise ValueError("only a checkout of the course has a README to bring up to date")
    readme = root / "README.md"
    with lock_results():
        write_atomically(readme, fill_readme(readme.read_text(encoding="utf-8")).encode())
    return [readme, keep_picture()] if experiment == "discovery" else [readme]


def keep_picture() -> Path:
    """Draws some test scenes as the shown checkpoint decomposes them; returns the file."""
    model, _ = checkpoints.load(SHOWN_CHECKPOINT)
    scenes = datasets.load("clevr6", split="test", size=model.config.image_size)
    images = scenes.batch(slice(0, SHOWN_SCENES)).images
    noise = model.start_noise(len(images), torch.Generator().manual_seed(0))
    with torch.no_grad():
        output = model(images, noise=noise)
    buffer = io.BytesIO()
    figure = figures.decomposition_figure(images, output)
    figure.savefig(buffer, format="png", dpi=90, metadata={"Software": None})
    picture = paths.results_dir() / "discovery.png"
    write_atomically(picture, buffer.getvalue())
    return picture
