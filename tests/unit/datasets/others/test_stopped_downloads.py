"""A download that is killed anywhere is gone on with, to the same files as one that was not."""

import pytest

from smm_tutorial import datasets
from smm_tutorial.datasets.others import clevrtex
from smm_tutorial.datasets.others.clevr_download import download_clevr
from smm_tutorial.datasets.others.clevr_with_masks import download_clevr_with_masks
from smm_tutorial.datasets.others.clevrtex import download_clevrtex
from smm_tutorial.datasets.others.coco import download_coco
from smm_tutorial.datasets.others.shapestacks import download_shapestacks
from smm_tutorial.datasets.transfer import remote_file, resumable_file
from tests.official import (
    CLEVR_IMAGES,
    clevr_archive,
    coco_members,
    masked_scene,
    packed_records,
    stack_members,
    tex_members,
    tf_example,
)
from tests.servers import IMPATIENT, FileServer, tarred, zipped
from tests.stopped import Stopped, stop_after

RECORDS = packed_records([tf_example(masked_scene(index)) for index in range(2)])


def tex_archives():
    pairs = {part: [4 * part - 4, 4 * part - 3] for part in range(1, 6)}
    return {f"full{part}": tarred(tex_members(indices)) for part, indices in pairs.items()}


def coco_archives():
    annotations, images = coco_members(["1.jpg", "2.jpg", "3.jpg"])
    return {"annotations": zipped(annotations, packed=True), "val": zipped(images)}


def stack_archives():
    return dict(zip(("meta", "rgb", "iseg"), map(tarred, stack_members()), strict=True))


#: What a server holds, how many images are fetched of which split, and how.
DOWNLOADS = {
    "clevr": (lambda: {"clevr.zip": clevr_archive(CLEVR_IMAGES)}, "train", 4, download_clevr),
    "clevr-with-masks": (lambda: {"records": RECORDS}, "train", 2, download_clevr_with_masks),
    "clevrtex": (tex_archives, "train", 3, download_clevrtex),
    "coco": (coco_archives, "val", 3, download_coco),
    "shapestacks": (stack_archives, "train", 2, download_shapestacks),
}


def contents(folder):
    """What a download brought, by its path; of an archive's beginning, that there is one."""
    files = [path for path in folder.rglob("*") if path.is_file() and path.name != ".lock"]
    return {
        path.relative_to(folder).as_posix(): path.parent.name == "archives" or path.read_bytes()
        for path in files
    }


@pytest.fixture
def small_steps(monkeypatch):
    """Few pieces, of which each is a step."""
    monkeypatch.setattr(clevrtex, "TOTALS", {"full": 20, "camo": 20, "outd": 3})
    for module in (remote_file, resumable_file):
        monkeypatch.setattr(module, "PIECE", 400_000)
    monkeypatch.setattr("os.fsync", lambda descriptor: None)


@pytest.mark.parametrize("name", DOWNLOADS)
def test_a_download_killed_between_any_two_changes_is_gone_on_with(
    small_steps, tmp_path, monkeypatch, name
):
    make_archives, split, count, download = DOWNLOADS[name]
    with FileServer(make_archives()) as server:

        def get(folder):
            urls = {path: server.url(path) for path in server.files}
            place = {"url": next(iter(urls.values()))} if len(urls) == 1 else {"urls": urls}
            return download(split, count, folder, patience=IMPATIENT, **place)

        with monkeypatch.context() as patch:
            count_changes = stop_after(10**6, patch)
            root = get(tmp_path / "whole")
        options = {"masks": False} if name == "coco" else {}
        assert len(datasets.load(name, split=split, root=root, size=16, **options)) >= count
        assert (changes := count_changes()) >= 3
        for step in range(changes):
            folder = tmp_path / str(step)
            with monkeypatch.context() as patch, pytest.raises(Stopped):
                stop_after(step, patch)
                get(folder)
            get(folder)
            assert contents(folder) == contents(tmp_path / "whole"), step


@pytest.mark.parametrize("more", [1, 2, 7])
def test_a_download_of_clevr_killed_while_it_adds_images_is_gone_on_with(
    small_steps, tmp_path, monkeypatch, more
):
    """Whatever is asked for next, what is there loads."""
    with FileServer({"clevr.zip": clevr_archive(CLEVR_IMAGES)}) as server:

        def get(folder, count):
            return download_clevr("train", count, folder, server.url("clevr.zip"), IMPATIENT)

        with monkeypatch.context() as patch:
            get(tmp_path / "whole", 3)
            count_changes = stop_after(10**6, patch)
            get(tmp_path / "whole", 5)
        for step in range(count_changes()):
            folder = tmp_path / str(step)
            get(folder, 3)
            with monkeypatch.context() as patch, pytest.raises(Stopped):
                stop_after(step, patch)
                get(folder, 5)
            assert len(datasets.load("clevr", root=get(folder, more), size=16)) >= more, step


def test_a_download_of_clevr_whose_manifest_was_deleted_is_gone_on_with(tmp_path):
    with FileServer({"clevr.zip": clevr_archive(CLEVR_IMAGES)}) as server:

        def get(count):
            return download_clevr("train", count, tmp_path, server.url("clevr.zip"), IMPATIENT)

        whole = contents(get(3))
        (tmp_path / "CLEVR_v1.0/manifest.json").unlink()
        assert contents(get(1)) == whole
        assert len(datasets.load("clevr", root=tmp_path, size=16)) == 3
