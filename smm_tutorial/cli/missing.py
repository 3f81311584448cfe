"""Asks whether images that a command needs, and that are not here, shall be downloaded."""

import re
import sys

from smm_tutorial import datasets, paths
from smm_tutorial.cli.data import FOLDERS
from smm_tutorial.datasets.transfer.manifests import read_manifest
from smm_tutorial.training.processes import read_processes

#: The names of the images that training reads, below the folders of a download.
IMAGES = {
    "clevr": r"images/train/CLEVR_train_\d+\.png",
    "clevrtex": r"(.*/)?CLEVRTEX_full_\d+\.png",
    "shapestacks": r"(.*/)?rgb-[^/]*\.png",
    "coco": r"(.*/)?val2017/\d+\.jpg",
}


def fetch_missing(name: str, root: str | None, limit: int | None, agreed: bool) -> None:
    """Downloads the first `limit` images of a data set, if they are not here and the user agrees.

    It does nothing for data sets that are not in `IMAGES`, for a folder that the user names
    (`root`), and without a limit, because whole data sets have many gigabytes.

    agreed: whether the user has agreed already (`--yes`). Else the user is asked in the terminal.

    Raises:
        DatasetError: nobody can be asked, the user says no, the download fails, or `torchrun`
            started several processes. Each of them would ask and download.
    """
    if name not in IMAGES or root is not None or limit is None:
        return
    here = count_images_here(name)
    if here >= limit:
        return
    source = datasets.SOURCES[name]
    command = f"`smm-tutorial data download {name} --count {limit}`"
    if read_processes() is not None:
        raise datasets.DatasetError(
            f"{here:,} of {limit:,} images of {name} are here, and processes of torchrun cannot "
            f"share a download: run {command} first"
        )
    print(
        f"{source.title}: {here:,} of {limit:,} images are here. A download brings "
        f"{source.fetches}. Licence: {source.licence}."
    )
    if not agreed:
        if not sys.stdin.isatty():
            raise datasets.DatasetError(
                f"{here:,} of {limit:,} images of {name} are here, and nobody can be asked: repeat "
                f"with --yes to download the others, or run {command}"
            )
        answer = input("Download the others now? [y/N] ")
        if answer.strip().lower() not in ("y", "yes"):
            raise datasets.DatasetError(
                f"nothing was downloaded. To do it later, run {command}; to use the {here:,} "
                "images that are here, choose a smaller --limit"
            )
    datasets.fetch(name, count=limit)


def count_images_here(name: str) -> int:
    """Counts the complete images of a data set in the course's downloads, by its manifests."""
    manifests = (read_manifest(paths.downloads_dir() / folder) for folder in FOLDERS[name])
    return sum(
        re.fullmatch(IMAGES[name], file) is not None for manifest in manifests for file in manifest
    )
