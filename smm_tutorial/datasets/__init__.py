"""Data sets of scenes, in memory: `load(name, split=..., size=...)` gives `SceneImages`.

Wrong arguments raise ValueError; files that are missing, damaged or contradictory raise `DatasetError`, which names the
file and the way out.
"""

from __future__ import annotations

import inspect
from typing import Any

from smm_tutorial.datasets.clevr import load_clevr
from smm_tutorial.datasets.clevr6 import load_clevr6
from smm_tutorial.datasets.clevr_renders import load_clevr_renders
from smm_tutorial.datasets.resizing import Size
from smm_tutorial.datasets.scene_images import Batch, DatasetError, SceneImages

__all__ = ["LOADERS", "Batch", "DatasetError", "SceneImages", "load"]

LOADERS = {"clevr6": load_clevr6, "clevr": load_clevr, "clevr-renders": load_clevr_renders}
"""The data sets by name. Each loader's docstring tells its options."""


def load(name: str, split: str = "train", size: Size | None = None, **options: Any) -> SceneImages:
    """The data set `name`, in memory.

    Args:
        name: "clevr6" (embedded, the default of the course), "clevr" (CLEVR v1.0 on your disk), "clevr-renders".
        split: which part, e.g. "train", "val", "test".
        size: height and width in pixels, one number for a square; None keeps the data set's own.
        options: of that data set, e.g. root, crop, masks, limit, min_objects, max_objects; see its loader in `LOADERS`.

    Raises:
        ValueError: an unknown name, split or option.
        DatasetError: a file is missing, damaged or contradicts another.
    """
    if name not in LOADERS:
        raise ValueError(f"unknown data set {name!r}: known are {', '.join(LOADERS)}")
    loader = LOADERS[name]
    parameters = inspect.signature(loader).parameters
    if unknown := sorted(set(options) - set(parameters)):
        known = [option for option in parameters if option not in ("split", "size")]
        raise ValueError(f"data set {name!r} has no option {', '.join(unknown)}: known are {', '.join(known)}")
    if missing := [option for option, p in parameters.items() if p.default is p.empty and option not in options]:
        raise ValueError(f"data set {name!r} needs {', '.join(missing)}, e.g. {missing[0]}=\"path/to/folder\"")
    return loader(split=split, size=size, **options)
