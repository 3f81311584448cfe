"""Data sets of scenes, in memory: `load(name, split=..., size=...)` gives `SceneImages`.

`own` holds what this library renders ("clevr6", "rendered"), `others` what others made and `fetch`
downloads (by way of `transfer`). `scene_images` is what each becomes; `image_files` reads folders,
`cropping` cuts and resizes. `named_sets` are the sets that models are trained and scored on, and
`point_sets` the points in the plane of notebooks 02 and 03.

Wrong arguments raise ValueError; files that are missing, damaged or contradictory raise
`DatasetError`, which names the file and the way out.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from smm_tutorial.arguments import show_value
from smm_tutorial.datasets.cropping import Size
from smm_tutorial.datasets.others.clevr import load_clevr
from smm_tutorial.datasets.others.clevr_download import download_clevr
from smm_tutorial.datasets.others.clevr_renders import load_clevr_renders
from smm_tutorial.datasets.others.clevr_with_masks import (
    download_clevr_with_masks,
    load_clevr_with_masks,
)
from smm_tutorial.datasets.others.clevrtex import download_clevrtex, load_clevrtex
from smm_tutorial.datasets.others.coco import download_coco, load_coco
from smm_tutorial.datasets.others.shapestacks import download_shapestacks, load_shapestacks
from smm_tutorial.datasets.others.sources import SOURCES
from smm_tutorial.datasets.own.clevr6 import load_clevr6
from smm_tutorial.datasets.own.rendered import RENDERED_VARIANTS, load_rendered
from smm_tutorial.datasets.own_pictures import FolderSurvey, load_folder, survey_folder
from smm_tutorial.datasets.point_sets import (
    CLOUD_KINDS,
    STICK_TILT,
    draw_points,
    stick_map,
    stick_sets,
    two_clouds,
)
from smm_tutorial.datasets.scene_images import Batch, DatasetError, SceneImages

__all__ = [
    "CLOUD_KINDS",
    "DOWNLOADS",
    "LOADERS",
    "RENDERED_VARIANTS",
    "SOURCES",
    "STICK_TILT",
    "Batch",
    "DatasetError",
    "FolderSurvey",
    "SceneImages",
    "draw_points",
    "fetch",
    "load",
    "stick_map",
    "stick_sets",
    "survey_folder",
    "two_clouds",
]

#: The data sets by name. Each loader's docstring tells its options.
LOADERS = {
    "clevr6": load_clevr6,
    "rendered": load_rendered,
    "clevr": load_clevr,
    "clevr-with-masks": load_clevr_with_masks,
    "clevrtex": load_clevrtex,
    "shapestacks": load_shapestacks,
    "coco": load_coco,
    "clevr-renders": load_clevr_renders,
    "folder": load_folder,
}

#: What fetches the first images of a data set of others from its official address.
DOWNLOADS = {
    "clevr": download_clevr,
    "clevr-with-masks": download_clevr_with_masks,
    "clevrtex": download_clevrtex,
    "shapestacks": download_shapestacks,
    "coco": download_coco,
}


def load(name: str, split: str = "train", size: Size | None = None, **options: Any) -> SceneImages:
    """The data set `name`, in memory.

    Args:
        name: "clevr6" (embedded, the default of the course), "rendered" (made on this machine), the
            data sets of others that `fetch` fetches ("clevr", "clevr-with-masks", "clevrtex",
            "shapestacks", "coco"), "clevr-renders" (a folder of renders with masks), or "folder"
            (any folder of pictures).
        split: which part, e.g. "train", "val", "test".
        size: height and width in pixels, one number for a square; None keeps the data set's own.
        options: of that data set, e.g. root, crop, masks, limit, min_objects, max_objects; see its
            loader in `LOADERS`.

    Raises:
        ValueError: an unknown name, split or option.
        DatasetError: a file is missing, damaged or contradicts another.
    """
    loader = _find_function(name, LOADERS, "data set", options)
    options = {"split": split, "size": size, **options}
    return loader(**{option: _as_plain(value) for option, value in options.items()})


def fetch(name: str, **options: Any) -> Path:
    """Fetches a data set's first images into the course's downloads, where `load` finds them.

    Args:
        name: a key of `DOWNLOADS`.
        options: split, count, folder and others; see the function in `DOWNLOADS`.

    Returns:
        What to pass to `load` as root; not needed where folder was left out.

    Raises:
        ValueError: an unknown name, split or option.
        DatasetError: the server fails, what arrives is damaged, or the disk is full.
    """
    download = _find_function(name, DOWNLOADS, "download", options)
    return download(**{option: _as_plain(value) for option, value in options.items()})


def _as_plain(value: Any) -> Any:
    """A numpy number, or those in a tuple or list, as Python's: provenance is written as JSON."""
    if isinstance(value, np.generic):
        return value.item()
    if type(value) in (tuple, list):
        return type(value)(_as_plain(item) for item in value)
    return value


def _find_function(
    name: str, functions: dict[str, Callable[..., Any]], what: str, options: dict[str, Any]
) -> Callable[..., Any]:
    """The function of that name, checked to take these options."""
    if not isinstance(name, str) or name not in functions:
        raise ValueError(f"unknown {what} {show_value(name)}: known are {', '.join(functions)}")
    parameters = inspect.signature(functions[name]).parameters
    if unknown := sorted(set(options) - set(parameters)):
        known = [option for option in parameters if option not in ("split", "size")]
        raise ValueError(
            f"data set {name!r} has no option {', '.join(unknown)}: known are {', '.join(known)}"
        )
    required = [option for option, p in parameters.items() if p.default is p.empty]
    if missing := [option for option in required if option not in options]:
        raise ValueError(
            f'data set {name!r} needs {", ".join(missing)}, e.g. {missing[0]}="path/to/folder"'
        )
    return functions[name]
