"""Folders of data that are shared: read-only, and with other systems' files among the data."""

import errno
import os
import shutil

import pytest

from smm_tutorial import cli, datasets, files, paths
from smm_tutorial.datasets.others import clevrtex
from smm_tutorial.datasets.others.clevr_download import download_clevr
from smm_tutorial.datasets.others.clevr_with_masks import download_clevr_with_masks
from smm_tutorial.datasets.others.clevrtex import download_clevrtex
from smm_tutorial.datasets.others.coco import download_coco
from smm_tutorial.datasets.others.shapestacks import download_shapestacks
from smm_tutorial.datasets.own import rendered
from smm_tutorial.datasets.own.rendering import Look
from smm_tutorial.datasets.picture_folders import find_pictures
from smm_tutorial.datasets.scene_images import DatasetError
from smm_tutorial.datasets.transfer import disk
from smm_tutorial.datasets.transfer.manifests import extend_manifest
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

COCO_FILES, COCO_IMAGES = coco_members(["1.jpg", "2.jpg"])
LISTS, IMAGES, LABELS = stack_members()
STACKS = {"meta": tarred(LISTS), "rgb": tarred(IMAGES), "iseg": tarred(LABELS)}
RECORDS = packed_records([tf_example(masked_scene(index)) for index in range(2)])
#: What a server holds, of which split two images are fetched, how, and how they are loaded.
DOWNLOADS = {
    "clevr": ({"url": clevr_archive(CLEVR_IMAGES)}, "train", download_clevr, {}),
    "clevr-with-masks": ({"url": RECORDS}, "train", download_clevr_with_masks, {"limit": 2}),
    "clevrtex": ({"full1": tarred(tex_members([0, 1]))}, "test", download_clevrtex, {}),
    "coco": (
        {"annotations": zipped(COCO_FILES), "val": zipped(COCO_IMAGES)},
        "val",
        download_coco,
        {"masks": False, "size": 8},
    ),
    "shapestacks": (STACKS, "train", download_shapestacks, {}),
}


@pytest.fixture
def read_only(monkeypatch):
    """Makes every disk refuse whatever would change it, as it does for root only when simulated."""

    def make_read_only(code):
        def refuse(*arguments, **options):
            raise OSError(code, os.strerror(code))

        real_open = os.open

        def open_to_read(path, flags, *arguments, **options):
            if flags & (os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC):
                refuse()
            return real_open(path, flags, *arguments, **options)

        real_mkdir = os.mkdir

        def mkdir(path, *arguments, **options):
            if not os.path.isdir(path):
                refuse()
            real_mkdir(path, *arguments, **options)

        for name in ("replace", "unlink", "rename", "rmdir"):
            monkeypatch.setattr(os, name, refuse)
        monkeypatch.setattr(os, "open", open_to_read)
        monkeypatch.setattr(os, "mkdir", mkdir)
        monkeypatch.setattr(os, "access", lambda path, mode: not mode & os.W_OK)
        monkeypatch.setattr(files, "write_atomically", refuse)
        full = shutil.disk_usage("/")._replace(free=0)  # as read-only disks say
        monkeypatch.setattr(shutil, "disk_usage", lambda path: full)

    return make_read_only


@pytest.mark.parametrize("code", [errno.EROFS, errno.EACCES])
@pytest.mark.parametrize("name", DOWNLOADS)
def test_what_is_there_is_served_from_a_folder_that_may_not_be_written(
    tmp_path, monkeypatch, read_only, name, code
):
    monkeypatch.setattr(clevrtex, "TOTALS", {"full": 20, "camo": 20, "outd": 3})
    held, split, download, options = DOWNLOADS[name]
    with FileServer(held) as server:
        urls = {path: server.url(path) for path in held}
        place = urls if "url" in held else {"urls": urls}

        def get(count):
            return download(split, count, tmp_path, patience=IMPATIENT, **place)

        before = datasets.load(name, split=split, root=get(2), **options)
        (next(tmp_path.rglob(".lock"))).unlink()
        server.asked.clear()
        read_only(code)
        after = datasets.load(name, split=split, root=get(2), **options)
        assert (after.images == before.images).all() and not server.asked


def test_what_is_missing_from_such_a_folder_names_the_way_out(tmp_path, read_only):
    read_only(errno.EROFS)
    with FileServer({"clevr.zip": clevr_archive(CLEVR_IMAGES)}) as server:
        with pytest.raises(DatasetError, match=r"cannot write .*Read-only.*a folder of your own"):
            download_clevr("train", 2, tmp_path / "new", server.url("clevr.zip"), IMPATIENT)


def test_renders_are_served_from_such_a_folder(tmp_path, monkeypatch, read_only):
    monkeypatch.setitem(rendered.RENDERED_VARIANTS, "clevr", Look(3, 10, 12, 16, samples=1))
    monkeypatch.setattr(rendered, "CHUNK", 2)
    before = datasets.load("rendered", folder=tmp_path, count=2)
    (next(tmp_path.rglob(".lock"))).unlink()
    read_only(errno.EROFS)
    assert (datasets.load("rendered", folder=tmp_path, count=2).images == before.images).all()
    chunk = next(tmp_path.rglob("*.zip"))
    with open(chunk, "ab") as file:
        file.write(b"damage")
    with pytest.warns(UserWarning, match="damaged"):
        with pytest.raises(DatasetError, match=r"cannot delete .*\.zip .*delete it by hand"):
            datasets.load("rendered", folder=tmp_path, count=2)


def test_a_folder_is_locked_where_it_can_be_and_its_disk_is_named_where_not(tmp_path, monkeypatch):
    monkeypatch.setattr(files.FileLock, "acquire", refuse_with(errno.ENOSPC))
    with pytest.raises(DatasetError, match=r"cannot write .*No space left.*free some space"):
        with disk.lock_folder(tmp_path):
            pass
    monkeypatch.setattr(files.FileLock, "acquire", refuse_with(errno.ENOLCK))
    done = []
    with pytest.warns(UserWarning, match="without file locks.*or choose a folder on a local disk"):
        with disk.lock_folder(tmp_path):
            done.append(True)
    assert done


def refuse_with(code):
    def refuse(*arguments, **options):
        raise OSError(code, os.strerror(code))

    return refuse


HIDDEN = ["._{name}", ".{name}", ".hidden/{name}", "__MACOSX/{name}", "@eaDir/{name}"]
OTHERS = [".DS_Store", "Thumbs.db", "desktop.ini"]


@pytest.mark.parametrize("folded", ["", "a/b"])
def test_pictures_are_found_and_hidden_files_are_not(tmp_path, folded):
    folder = tmp_path / ".cache" / "data"  # the folder itself may lie in a hidden one
    wanted = folder / folded / "1.png"
    for name in ["1.png", *OTHERS, *(pattern.format(name="1.png") for pattern in HIDDEN)]:
        (folder / folded / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / folded / name).touch()
    assert find_pictures(folder, "**/*.png") == [wanted]


@pytest.mark.parametrize("name", ["clevr", "clevrtex", "shapestacks"])
def test_hidden_files_of_other_systems_are_nobodys_data(tmp_path, monkeypatch, name):
    monkeypatch.setattr(clevrtex, "TOTALS", {"full": 10, "camo": 10, "outd": 2})
    members = {
        "clevr": {f"CLEVR_v1.0/{path}": content for path, content in CLEVR_IMAGES.items()},
        "clevrtex": tex_members([0]),
        "shapestacks": {**LISTS, **IMAGES, **LABELS},
    }[name]
    for path, content in members.items():
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_bytes(content)
    before = datasets.load(name, split="test", root=tmp_path)
    for path in [tmp_path / path for path in members if path.endswith((".png", ".map"))]:
        for pattern in [*HIDDEN, *OTHERS]:
            hidden = path.parent / pattern.format(name=path.name)
            hidden.parent.mkdir(exist_ok=True)
            hidden.write_bytes(b"\0\5\26\7\0\2\0\0Mac OS X")
    after = datasets.load(name, split="test", root=tmp_path)
    assert after.filenames == before.filenames and (after.images == before.images).all()


def test_files_of_ones_own_beside_the_pictures_are_passed_over(tmp_path, monkeypatch):
    monkeypatch.setattr(clevrtex, "TOTALS", {"full": 10, "camo": 10, "outd": 2})
    for path, content in tex_members([0]).items():
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_bytes(content)
    (tmp_path / "clevrtex_full/CLEVRTEX_full_mosaic.png").write_bytes(b"mine")
    assert len(datasets.load("clevrtex", split="test", root=tmp_path)) == 1
    names = ["0/CLEVRTEX_full_000000", "my"]
    entries = {f"{n}{suffix}": (1, 1) for n in names for suffix in clevrtex.SUFFIXES}
    extend_manifest(tmp_path / "clevrtex_full", entries)
    assert len(datasets.load("clevrtex", split="test", root=tmp_path)) == 1


def test_verify_names_no_hidden_file_as_damaged(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(paths, "downloads_dir", lambda: tmp_path)
    extend_manifest(tmp_path / "coco", {})
    place = tmp_path / "rendered" / "clevr-v1"
    place.mkdir(parents=True)
    for name in ("._train-seed0-000000-0123456789abcdef.zip", "my-notes.zip", "a-b-c.zip"):
        (place / name).write_bytes(b"mine")
    (tmp_path / "rendered/my-thesis.zip").write_bytes(b"mine")
    assert cli.main(["data", "verify", "--delete"]) == 0
    assert len(list(tmp_path.rglob("*.zip"))) == 4
