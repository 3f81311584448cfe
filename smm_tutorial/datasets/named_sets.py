"""What models are trained and scored on, by name: tables for object discovery, then for set
prediction.

Everything is seen at the size that a model takes. Scenes that are rendered here are rendered when
first asked for.
"""

import os
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from smm_tutorial import datasets
from smm_tutorial.datasets import SceneImages
from smm_tutorial.datasets.scene_images import joined
from smm_tutorial.scenes.camera import OFFICIAL_WINDOW

#: What a run can be trained on: the embedded packs, and variants of `datasets.rendered`.
TRAINING_DATA = ("clevr6", "clevr-tex", "clevr-mirror", "cogent-a")
#: How many scenes each split of a rendered variant has: as many as the packs.
RENDERED_COUNTS = {"train": 3520, "val": 320, "test": 320}
OFFICIAL_LIMIT = 320  # images of each split of CLEVR as released
MOST_OBJECTS = 10  # that a scene has by CLEVR's rules
CROWD = 16  # objects, at most
STACKED = 9  # objects, at most


def training_split(name: str, split: str, size: int) -> SceneImages:
    """A split (`train`, `val`, `test`) of something in `TRAINING_DATA`. Raises `ValueError` for
    anything else.
    """
    if name not in TRAINING_DATA:
        raise ValueError(f"no run trains on {name!r}: known are {', '.join(TRAINING_DATA)}")
    if name == "clevr6":
        return datasets.load(name, split=split, size=size)
    return _rendered(name, split, size, workers=(os.cpu_count() or 1) if split == "train" else 1)


def _rendered(variant: str, split: str, size: int, workers: int = 1) -> SceneImages:
    return datasets.load(
        "rendered",
        split=split,
        size=size,
        variant=variant,
        count=RENDERED_COUNTS[split],
        workers=workers,
    )


def _blender(size: int, root: str | Path, **bounds: int) -> SceneImages:
    """A folder of renders made with CLEVR's own assets, in the papers' crop."""
    return datasets.load(
        "clevr-renders", split="train", size=size, root=root, crop="paper", **bounds
    )


def _released(size: int, root: str | Path) -> SceneImages:
    """CLEVR's own images of which records are there, val before train, in the papers' crop, with
    masks made from the records.

    No model here is trained on any of them.
    """
    options = {
        "root": root,
        "crop": "paper",
        "masks": True,
        "limit": OFFICIAL_LIMIT,
        "incomplete": "skip",
    }
    parts = [
        datasets.load("clevr", split=split, size=size, **options) for split in ("val", "train")
    ]
    return replace(joined(parts), split="val and train")


@dataclass(frozen=True)
class EvaluationSet:
    """Scenes with masks that results are about.

    label: what records and tables call it; `{images}` in it becomes the number of images.
    read: `read(size)`, or `read(size, root)` where `root` says what folder is needed.
    num_slots: enough for its scenes; None, as many as the model has.
    """

    label: str
    read: Callable[..., SceneImages]
    num_slots: int | None = None
    root: str = ""

    def load(self, size: int, root: str | Path | None = None) -> SceneImages:
        """The scenes. Raises `ValueError` where a folder is needed and not given, or given and not
        needed.
        """
        if self.root and root is None:
            raise ValueError(f"{self.label_of('some')} needs {self.root}: --root PATH")
        if root is not None and not self.root:
            raise ValueError(
                f"{self.label_of('some')} comes with the course and is not read from a folder: leave out --root"
            )
        return self.read(size, root) if self.root else self.read(size)

    def label_of(self, images: int | str) -> str:
        """The label of a set of so many images."""
        return self.label.format(images=images)


_RENDERS, _CLEVR = "the folder of the renders", "the folder of CLEVR_v1.0"
_CLEVR_SLOTS = MOST_OBJECTS + 1
#: Every set by the name that `smm-tutorial evaluate --data` takes.
EVALUATION_SETS = {
    "clevr6": EvaluationSet("clevr6, test", partial(training_split, "clevr6", "test")),
    "clevr7-10": EvaluationSet(
        "7 to 10 objects", partial(_rendered, "clevr7-10", "test"), _CLEVR_SLOTS
    ),
    "clevr-renders": EvaluationSet(
        "CLEVR in Blender, at most 6 objects", partial(_blender, max_objects=6), None, _RENDERS
    ),
    "clevr-renders-7-10": EvaluationSet(
        "CLEVR in Blender, 7 to 10 objects",
        partial(_blender, min_objects=7),
        _CLEVR_SLOTS,
        _RENDERS,
    ),
    "clevr-official": EvaluationSet(
        "CLEVR as released ({images} images)", _released, _CLEVR_SLOTS, _CLEVR
    ),
    "clevr-tex": EvaluationSet("clevr-tex, test", partial(training_split, "clevr-tex", "test")),
    "clevr-mirror": EvaluationSet(
        "clevr-mirror, test", partial(training_split, "clevr-mirror", "test")
    ),
    "cogent-a": EvaluationSet("cogent-a, test", partial(training_split, "cogent-a", "test")),
    "stacks": EvaluationSet("stacks", partial(_rendered, "stacks", "test"), STACKED + 1),
    "out-of-distribution-crowd": EvaluationSet(
        "out-of-distribution-crowd",
        partial(_rendered, "out-of-distribution-crowd", "test"),
        CROWD + 1,
    ),
    "out-of-distribution-pairs": EvaluationSet(
        "out-of-distribution-pairs", partial(_rendered, "out-of-distribution-pairs", "test")
    ),
}


#: What a run of set prediction can be trained on: variants of `datasets.rendered` that show CLEVR's
#: whole frame.
SET_DATA = ("clevr6-whole", "clevr-whole")
FEW_OBJECTS = 6  # at most, in `clevr6-whole`


def set_split(name: str, split: str, size: int, count: int) -> SceneImages:
    """So many scenes of a split (`train`, `val`, `test`) of something in `SET_DATA`, with records.

    The whole frame of 3:2 is squeezed into a square, as the papers do. Raises `ValueError` for
    anything else.
    """
    if name not in SET_DATA:
        raise ValueError(f"no set is learned from {name!r}: known are {', '.join(SET_DATA)}")
    workers = (os.cpu_count() or 1) if split == "train" else 1
    return datasets.load(
        "rendered", split=split, size=size, variant=name, count=count, workers=workers
    )


def _test_sets(name: str, size: int) -> SceneImages:
    return set_split(name, "test", size, RENDERED_COUNTS["test"])


def _blender_sets(size: int, root: str | Path) -> SceneImages:
    """The part of the renders' 4:3 frame that CLEVR's own images show."""
    return datasets.load(
        "clevr-renders",
        split="train",
        size=size,
        root=root,
        crop=OFFICIAL_WINDOW,
        max_objects=FEW_OBJECTS,
    )


def _released_sets(size: int, root: str | Path) -> SceneImages:
    options = {
        "root": root,
        "limit": OFFICIAL_LIMIT,
        "incomplete": "skip",
        "max_objects": FEW_OBJECTS,
    }
    parts = [
        datasets.load("clevr", split=split, size=size, **options) for split in ("val", "train")
    ]
    return replace(joined(parts), split="val and train")


#: Scenes with records that set predictors are scored on, by the name that `smm-tutorial evaluate
#: --data` takes.
SET_EVALUATION_SETS = {
    name: EvaluationSet(f"{name}, test", partial(_test_sets, name)) for name in SET_DATA
} | {
    "clevr-renders": EvaluationSet(
        "CLEVR in Blender, at most 6 objects", _blender_sets, None, _RENDERS
    ),
    "clevr-official": EvaluationSet(
        "CLEVR as released ({images} images, at most 6 objects)", _released_sets, None, _CLEVR
    ),
}
