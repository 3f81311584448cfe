"""Data sets of others, and one's own folders, split for training.

All take the first images of one official split. Every tenth of them is for testing and the one
before it for validation, as in `own_pictures`; training never sees those.
"""

from dataclasses import dataclass, replace
from typing import Any

from smm_tutorial import datasets
from smm_tutorial.arguments import show_value
from smm_tutorial.datasets.own_pictures import HELD_OUT_EVERY, SPLITS, split_indices
from smm_tutorial.datasets.scene_images import DatasetError, SceneImages, check_split

#: What the loader of each is told: the square that is cut from its images, its official split where
#: that is not `train`, and that masks are wanted for scores.
FOREIGN_SETS: dict[str, dict[str, Any]] = {
    "clevr": {"crop": "paper", "masks": True, "incomplete": "skip"},
    "clevr-with-masks": {"crop": "paper"},
    "clevrtex": {"crop": "paper"},
    "shapestacks": {"crop": "paper"},
    "coco": {"crop": "centre", "split": "val", "incomplete": "skip"},
    "folder": {"crop": "centre"},
}
FOLDER = "folder"
#: The sets whose records have CLEVR's form. So set prediction can be trained on them.
SETS_WITH_RECORDS = ("clevr",)


@dataclass(frozen=True)
class ForeignSet:
    """Which images of a data set of others.

    name: a key of `FOREIGN_SETS`. root: its folder; None looks in the course's downloads. limit: at
    most so many images, those held out included. max_objects: only images with at most so many
    objects.

    Raises `ValueError` for an unknown name, a folder without `root`, and `max_objects` of a folder,
    whose pictures have no records.
    """

    name: str
    root: str | None = None
    limit: int | None = None
    max_objects: int | None = None

    def __post_init__(self):
        if self.name not in FOREIGN_SETS:
            known = ", ".join(FOREIGN_SETS)
            raise ValueError(f"unknown data {show_value(self.name)}: known are {known}")
        if self.name == FOLDER and self.root is None:
            raise ValueError("data='folder' needs root, the folder of the pictures: --root PATH")
        if self.name == FOLDER and self.max_objects is not None:
            raise ValueError(
                "max_objects needs scene records, and the pictures of a folder have none: leave "
                "it out"
            )

    def load(self, split: str, size: int, *, whole_frame: bool = False) -> SceneImages:
        """The images of `train`, `val` or `test`, square, with masks where the data set has some.

        whole_frame: the whole image is squeezed into the square, without masks, as for set
        prediction. By default the papers' crop is cut out.

        Raises `DatasetError` where files are missing or damaged, with the command that fetches
        them, and `ValueError` where no image is left.
        """
        check_split(self.name, split, SPLITS)
        options = {"split": "train"} | FOREIGN_SETS[self.name]
        options |= {"size": size, "root": self.root}
        if whole_frame:
            options |= {"crop": None, "masks": False}
        if self.name == FOLDER:
            return datasets.load(FOLDER, **options | {"split": split, "limit": self.limit})
        if self.max_objects is not None:
            options["max_objects"] = self.max_objects
        try:
            data = datasets.load(self.name, **options | {"limit": self.limit})
        except DatasetError as error:
            raise DatasetError(f"{error} (data={self.name!r})") from error
        return hold_out(data, split)


def hold_out(data: SceneImages, split: str) -> SceneImages:
    """The part of a data set for `train`, `val` or `test`; all of it where it is too small.

    Provenance says which, in `held_out_every`; 0 where every split has all images.
    """
    part = data.subset(split_indices(len(data), split))
    held_out_every = 0 if len(data) < HELD_OUT_EVERY else HELD_OUT_EVERY
    provenance = dict(data.provenance) | {"held_out_every": held_out_every}
    return replace(part, split=split, provenance=provenance)
