"""Tables for README, notebooks and terminal, made from the records in `data/results` and from
nothing else.
"""

import io
import re
from pathlib import Path

import torch

from smm_tutorial import checkpoints, datasets, figures, paths
from smm_tutorial.discovery.tables import comparison, discovery_table, full_comparison
from smm_tutorial.set_prediction.tables import set_comparison, set_prediction_table

#: What `smm-tutorial report` prints, by experiment.
EXPERIMENTS = {
    "discovery": discovery_table,
    "comparison": full_comparison,
    "set-prediction": set_prediction_table,
    "set-comparison": set_comparison,
}
#: What stands between the two comments of each experiment in the README.
README_PARTS = EXPERIMENTS | {"comparison": comparison}
SHOWN_CHECKPOINT = "discovery-mixture-clevr6-laptop-48px-seed0"
SHOWN_SCENES = 4


def readme_with_table(readme: str) -> str:
    """The README with its tables as the records have them. Raises `ValueError` where it has no
    place for one.
    """
    for name, part in README_PARTS.items():
        comment = re.escape(
            f"<!-- {name} table: written by `smm-tutorial report {name} --keep` -->\n"
        )
        place = re.compile(rf"(?<={comment}).*?(?=<!-- end -->)", re.DOTALL)
        if not place.search(readme):
            raise ValueError(
                f"README.md has lost the two comments that mark the place of the {name} table: put them back"
            )
        readme = place.sub(lambda _, part=part: part() + "\n", readme, count=1)
    return readme


def keep(experiment: str) -> list[Path]:
    """Brings the README up to date with the records, and an experiment's picture with its
    checkpoint -> the files written.
    """
    readme = paths.repository_root() / "README.md"
    paths.write_atomically(readme, readme_with_table(readme.read_text(encoding="utf-8")).encode())
    return [readme, *([keep_picture()] if experiment == "discovery" else [])]


def keep_picture() -> Path:
    """The picture of what the shown checkpoint makes of some scenes -> the file."""
    model, _ = checkpoints.load(SHOWN_CHECKPOINT)
    images = (
        datasets.load("clevr6", split="test", size=model.config.image_size)
        .batch(slice(0, SHOWN_SCENES))
        .images
    )
    with torch.no_grad():
        output = model(
            images, noise=model.start_noise(len(images), torch.Generator().manual_seed(0))
        )
    buffer, picture = io.BytesIO(), paths.results_dir() / "discovery.png"
    figures.decomposition_figure(images, output).savefig(
        buffer, format="png", dpi=90, metadata={"Software": None}
    )
    paths.write_atomically(picture, buffer.getvalue())
    return picture
