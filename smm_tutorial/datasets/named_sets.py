"""Data sets by name, for training and scoring: scenes with masks for object discovery, scenes with
records for set prediction.

All images are loaded at the size of the model. Scenes of "rendered" are rendered at their first
use.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

from smm_tutorial import datasets
from smm_tutorial.datasets import SceneImages
from smm_tutorial.datasets.own.rendering import available_processes
from smm_tutorial.datasets.scene_images import check_split, join_scenes
from smm_tutorial.scenes.camera import OFFICIAL_WINDOW

#: Data sets for training object discovery: the embedded packs, and variants of
#: `datasets.rendered`. `clevr6-whole` shows CLEVR's whole frame, as set prediction sees it.
TRAINING_DATA = ("clevr6", "clevr-tex", "clevr-mirror", "cogent-a", "clevr6-whole", "stacks")
#: Data sets for training set prediction: variants of `datasets.rendered` that show CLEVR's whole
#: frame.
SET_DATA = ("clevr6-whole", "clevr-whole")
#: Number of scenes in each split of a rendered variant, as in the packs.
RENDERED_COUNTS = {"train": 3520, "val": 320, "test": 320}
OFFICIAL_LIMIT = 320  # images of each split of the released CLEVR
MOST_OBJECTS = 10  # that a scene has by CLEVR's rules
FEW_OBJECTS = 6  # at most, in `clevr6` and `clevr6-whole`
CROWD = 16  # objects, at most
STACKED = 9  # objects, at most


def training_split(name: str, split: str, size: int) -> SceneImages:
    """A split (`train`, `val`, `test`) of a data set in `TRAINING_DATA`.

    Raises `ValueError` for another name.
    """
    if name not in TRAINING_DATA:
        raise ValueError(f"no run trains on {name!r}: known are {', '.join(TRAINING_DATA)}")
    if name == "clevr6":
        return datasets.load(name, split=split, size=size)
    return _rendered(name, split, size)


def set_split(name: str, split: str, size: int, count: int) -> SceneImages:
    """The first `count` scenes, with records, of a split (`train`, `val`, `test`) in `SET_DATA`.

    The whole frame of 3:2 is squeezed into a square, as in the papers. Raises `ValueError` for
    another name.
    """
    if name not in SET_DATA:
        raise ValueError(f"no set is learned from {name!r}: known are {', '.join(SET_DATA)}")
    return _rendered(name, split, size, count)


def _rendered(variant: str, split: str, size: int, count: int | None = None) -> SceneImages:
    check_split(variant, split, RENDERED_COUNTS)
    count = RENDERED_COUNTS[split] if count is None else count
    workers = available_processes() if split == "train" else 1
    return datasets.load(
        "rendered", split=split, size=size, variant=variant, count=count, workers=workers
    )


def _blender(size: int, root: str | Path, **options: Any) -> SceneImages:
    """A folder of renders made with CLEVR's own assets."""
    return datasets.load("clevr-renders", split="train", size=size, root=root, **options)


def _released(size: int, root: str | Path, **options: Any) -> SceneImages:
    """CLEVR's own images that have records, `val` before `train`.

    No model of this course is trained on these images.
    """
    options |= {"root": root, "limit": OFFICIAL_LIMIT, "incomplete": "skip"}
    parts = [
        datasets.load("clevr", split=split, size=size, **options) for split in ("val", "train")
    ]
    return replace(join_scenes(parts), split="val and train")


@dataclass(frozen=True)
class EvaluationSet:
    """A set of scenes on which models are scored.

    name: as in `smm-tutorial evaluate --data` and in records. read: `read(size)`, or `read(size,
    root)` if `root` is not empty. root: describes the folder that is needed. num_slots: enough
    slots for these scenes; None for as many as the model has.
    """

    name: str
    read: Callable[..., SceneImages]
    num_slots: int | None = None
    root: str = ""

    def load(self, size: int, root: str | Path | None = None) -> SceneImages:
        """The scenes. Raises `ValueError` if a needed folder is missing, or an unneeded folder is
        given.
        """
        if self.root and root is None:
            raise ValueError(f"{self.name} needs {self.root}: --root PATH")
        if root is not None and not self.root:
            raise ValueError(
                f"{self.name} comes with the course and is not read from a folder: leave out --root"
            )
        return self.read(size, root) if self.root else self.read(size)


def _by_name(*sets: EvaluationSet) -> dict[str, EvaluationSet]:
    return {scenes.name: scenes for scenes in sets}


_RENDERS = "the folder of the renders"
_CLEVR = "the folder of CLEVR_v1.0"
_CLEVR_SLOTS = MOST_OBJECTS + 1
_PAPER = {"crop": "paper"}
_FEW = {"max_objects": FEW_OBJECTS}
_OWN_SLOTS = {"stacks": STACKED + 1}  # where a model's own number may be too small
_CROWD = "out-of-distribution-crowd"
_PAIRS = "out-of-distribution-pairs"
#: Data sets for scoring object discovery: scenes with masks, in the papers' crop.
EVALUATION_SETS = _by_name(
    *(
        EvaluationSet(name, partial(training_split, name, "test"), _OWN_SLOTS.get(name))
        for name in TRAINING_DATA
    ),
    EvaluationSet("clevr7-10", partial(_rendered, "clevr7-10", "test"), _CLEVR_SLOTS),
    EvaluationSet("clevr-renders", partial(_blender, **_PAPER, **_FEW), None, _RENDERS),
    EvaluationSet(
        "clevr-renders-7-10",
        partial(_blender, **_PAPER, min_objects=FEW_OBJECTS + 1),
        _CLEVR_SLOTS,
        _RENDERS,
    ),
    EvaluationSet("clevr-official", partial(_released, **_PAPER, masks=True), _CLEVR_SLOTS, _CLEVR),
    EvaluationSet(_CROWD, partial(_rendered, _CROWD, "test"), CROWD + 1),
    EvaluationSet(_PAIRS, partial(_rendered, _PAIRS, "test")),
)
#: Data sets for scoring set prediction: scenes with records, in CLEVR's whole frame. The 4:3 frame
#: of the renders is cropped to the part that CLEVR's own images show.
SET_EVALUATION_SETS = _by_name(
    *(EvaluationSet(name, partial(_rendered, name, "test")) for name in SET_DATA),
    EvaluationSet("clevr-renders", partial(_blender, crop=OFFICIAL_WINDOW, **_FEW), None, _RENDERS),
    EvaluationSet("clevr-official", partial(_released, **_FEW), None, _CLEVR),
)
