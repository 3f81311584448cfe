"""Names from archives, annotations and manifests: none leads a download or a deletion astray."""

import ast
import json
import os
import re
from pathlib import Path

import pytest

from smm_tutorial import datasets
from smm_tutorial.datasets.others.clevrtex import download_clevrtex
from smm_tutorial.datasets.others.coco import download_coco
from smm_tutorial.datasets.others.shapestacks import download_shapestacks
from smm_tutorial.datasets.scene_images import DatasetError
from smm_tutorial.datasets.transfer import disk
from smm_tutorial.datasets.transfer.manifests import (
    discard_files,
    entry_of,
    extend_manifest,
    find_damaged_files,
    read_manifest,
)
from smm_tutorial.datasets.transfer.names import FileNames, UntrustedError
from smm_tutorial.files import DRAFT_SUFFIX
from tests.official import tex_members
from tests.servers import IMPATIENT, FileServer, tarred, zipped

PACKAGE = Path(datasets.__file__).parent
HOSTILE = [
    "../{x}",
    "../../{x}",
    "../../../../../../../../../{outside}/{x}",
    "/{x}",
    "{outside}/{x}",
    "/{outside}/{x}",
    "a/../../{x}",
    "a//../{x}",
    "./../{x}",
    "..\\..\\{x}",
    "C:\\{x}",
    "\\\\host\\share\\{x}",
    "a\\{x}",
    "a\n/{x}",
    "a\t{x}",
    ".. /{x}",
    "a//{x}",
]
RESERVED = [
    "manifest.json",
    "MANIFEST.JSON",
    ".lock",
    "archives/x",
    ".fetching/x",
    "manife\u017ft.json",
]


def coco_files(name):
    """The archives of COCO with one image of this name."""
    image = {"id": 1, "file_name": name, "license": 1, "height": 8, "width": 8}
    licence = {"id": 1, "name": "l", "url": "u"}
    content = {"categories": [], "licenses": [licence], "annotations": [], "images": [image]}
    annotations = {"annotations/instances_val2017.json": json.dumps(content).encode()}
    return {"annotations": zipped(annotations), "val": zipped({f"val2017/{name}": b"evil"})}


def tex_files(name):
    rest = {f"full{part}": tarred({}) for part in (1, 3, 4, 5)}
    return {"full2": tarred({f"clevrtex_full/{name}": b"evil"}), **rest}


def stack_files(name):
    meta = tarred({"splits/default/train.txt": b"env_a\n", f"splits/{name}": b"evil"})
    return {"meta": meta, "rgb": tarred({}), "iseg": tarred({})}


def get_coco(folder, urls):
    return download_coco("val", 1, folder, urls, IMPATIENT)


def get_tex(folder, urls):
    return download_clevrtex("train", 1, folder, urls=urls, patience=IMPATIENT)


def get_stacks(folder, urls):
    return download_shapestacks("train", 1, folder, urls, IMPATIENT)


#: How a name gets in: a download, what a server holds, and what the file is called there.
WAYS = {
    "annotations and zip": (get_coco, coco_files, "evil.jpg"),
    "tar": (get_tex, tex_files, "CLEVRTEX_full_000004.png"),
    "tar of lists": (get_stacks, stack_files, "evil.txt"),
}


def contents(folder):
    """Every file below a folder with its content, links as links."""
    return {
        path.relative_to(folder).as_posix(): os.readlink(path)
        if path.is_symlink()
        else path.read_bytes()
        for path in folder.rglob("*")
        if path.is_symlink() or path.is_file()
    }


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("pattern", HOSTILE, ids=ascii)
def test_no_download_writes_outside_its_folder_whatever_a_server_calls_its_files(
    tmp_path, way, pattern
):
    get, make_files, usual = WAYS[way]
    folder, outside = tmp_path / "course/downloads/set", tmp_path / "home"
    outside.mkdir()
    (outside / usual).write_bytes(b"mine")
    name = pattern.format(outside=outside.as_posix(), x=usual)
    with FileServer(make_files(name)) as server:
        urls = {path: server.url(path) for path in server.files}
        with pytest.raises(DatasetError) as raised:
            get(folder, urls)
    refused = re.match(r"(\S+) is not to be trusted: .*official address", str(raised.value))
    if refused:
        annotations = str(folder / "annotations/instances_val2017.json")
        assert refused[1] in [annotations, *urls.values()]
        assert not list(folder.rglob("archives/*"))
    else:  # such a name is none that the data set has: the member is passed over
        assert "expected 1: ask for no more" in str(raised.value)
    inside = {name for name in contents(tmp_path) if name.startswith("course/downloads/set/")}
    assert contents(tmp_path).keys() - inside == {f"home/{usual}"}
    assert (outside / usual).read_bytes() == b"mine"
    assert b"evil" not in {contents(tmp_path)[name] for name in inside}


@pytest.mark.parametrize("link", ["val2017", "annotations"])
def test_a_link_in_the_folder_leads_no_download_out(tmp_path, link):
    folder, outside = tmp_path / "set", tmp_path / "home"
    folder.mkdir(), outside.mkdir()
    (folder / link).symlink_to(outside)
    with FileServer(coco_files("1.jpg")) as server:
        with pytest.raises(DatasetError, match="a link in .* leads out of it; remove the link"):
            get_coco(folder, {path: server.url(path) for path in server.files})
    assert not list(outside.iterdir())


def test_a_link_leads_neither_an_archives_beginning_nor_a_move_out(tmp_path):
    folder, outside = tmp_path / "set", tmp_path / "home"
    (folder / "clevrtex_full").mkdir(parents=True), outside.mkdir()
    (folder / "clevrtex_full/archives").symlink_to(outside)
    with FileServer({"full2": tarred(tex_members([4]))}) as server:
        with pytest.raises(DatasetError, match="a link in"):
            get_tex(folder, {"full2": server.url("full2")})
    disk.write_file(folder / "from", "images/x", b"x")
    (folder / "images").symlink_to(outside)
    with pytest.raises(DatasetError, match="a link in"):
        disk.move_file(folder / "from", "images/x", folder)
    assert not list(outside.iterdir())


@pytest.mark.parametrize("name", ["", ".", "..", "a%2f", "x?y=/../z"])
def test_an_address_names_no_file_outside(tmp_path, name):
    with pytest.raises(DatasetError):
        get_tex(tmp_path / "set", {"full2": f"http://127.0.0.1:1/a/{name}"})
    assert not [path for path in tmp_path.rglob("*") if path.name in ("x", "y", "z")]


@pytest.mark.parametrize("pattern", HOSTILE, ids=ascii)
def test_a_manifest_that_names_what_lies_outside_is_refused_and_deletes_nothing(tmp_path, pattern):
    folder, outside = tmp_path / "downloads/set", tmp_path / "home"
    folder.mkdir(parents=True), outside.mkdir()
    (outside / "x").write_bytes(b"mine")
    name = pattern.format(outside=outside.as_posix(), x="x")
    manifest = json.dumps({"files": {name: [1, 1]}})
    (folder / "manifest.json").write_text(manifest)
    for use in (read_manifest, find_damaged_files, lambda folder: discard_files(folder, [name])):
        with pytest.raises(DatasetError, match=r"manifest\.json is not to be trusted"):
            use(folder)
    assert contents(tmp_path) == {
        "home/x": b"mine",
        "downloads/set/manifest.json": manifest.encode(),
    }


@pytest.mark.parametrize("name", [*RESERVED, f"images/x{DRAFT_SUFFIX}"], ids=ascii)
def test_no_file_takes_a_name_of_the_download_itself(tmp_path, name):
    with pytest.raises(UntrustedError, match="names are for the download itself"):
        extend_manifest(tmp_path, {name: (1, 1)})
    assert not list(tmp_path.iterdir())
    (tmp_path / "manifest.json").write_text(json.dumps({"files": {name: [1, 1]}}))
    with pytest.raises(DatasetError, match=r"manifest\.json has a file"):
        find_damaged_files(tmp_path)


@pytest.mark.parametrize("other", ["A.PNG", "\u00e4/b".upper(), "a\u0308/b"], ids=ascii)
def test_names_of_one_file_on_other_systems_are_refused(other):
    names = FileNames("http://h/x.zip", ["a.png", "\u00e4/b"])
    assert names.check("a.png") == "a.png"  # the same file once more
    with pytest.raises(UntrustedError, match=r"http://h/x\.zip .*one file on Windows"):
        names.check(other)


def test_images_that_differ_only_by_case_are_not_fetched_over_each_other(tmp_path):
    members = {f"clevrtex_full/{part}/CLEVRTEX_full_000004.png": b"x" for part in ("a", "A")}
    png = next(content for name, content in tex_members([4]).items() if name.endswith("4.png"))
    with FileServer({"full2": tarred(dict.fromkeys(members, png))}) as server:
        with pytest.raises(DatasetError, match="one file on Windows and macOS"):
            get_tex(tmp_path, {"full2": server.url("full2")})


def test_only_files_of_the_manifest_inside_the_folder_are_deleted(tmp_path):
    folder, outside = tmp_path / "set", tmp_path / "home"
    outside.mkdir()
    (outside / "x").write_bytes(b"mine")
    for name in ("a/1", "a/2", "archives/x.unpacked"):
        disk.write_file(folder, name, b"content")
    (folder / "a/own").write_bytes(b"mine")
    (folder / "a/own.unpacked").write_bytes(b"mine")
    extend_manifest(folder, {name: entry_of(b"content") for name in ("a/1", "a/2", "link/x")})
    (folder / "link").symlink_to(outside)
    discard_files(folder, ["a/1", "a/own"])
    assert sorted(contents(folder)) == ["a/2", "a/own", "a/own.unpacked", "link", "manifest.json"]
    assert "a/1" not in read_manifest(folder)
    with pytest.raises(DatasetError, match="a link in"):
        discard_files(folder, ["link/x"])
    assert (outside / "x").read_bytes() == b"mine"


def test_a_file_that_cannot_be_deleted_is_named(tmp_path):
    extend_manifest(tmp_path, {"a": (1, 1)})
    (tmp_path / "a").mkdir()
    assert find_damaged_files(tmp_path) == ["a"]
    with pytest.raises(DatasetError, match=r"cannot delete .*/a .*by hand"):
        discard_files(tmp_path, ["a"])


CHANGES = {"unlink", "rmdir", "write_bytes", "write_text", "rename", "symlink_to", "hardlink_to"}
CHANGES |= {"extract", "extractall", "write_atomically", "rmtree", "move", "copyfile", "copytree"}
#: Who else may change the disk, and how: a path that the caller chose, or beside it.
MAY_CHANGE = {
    "transfer/resumable_file.py": {"unlink", "open"},
    "own/packs.py": {"write_atomically"},
    "make_packs.py": {"write_atomically"},
}


def find_changes(path):
    """Names of the calls in a module that write, move or delete files."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if not isinstance(node, ast.Call):
            continue
        name = getattr(node.func, "attr", getattr(node.func, "id", ""))
        texts = [a.value for a in node.args if isinstance(a, ast.Constant)]
        opens = name == "open" and any(set("wax+") & set(str(text)) for text in texts)
        moves = name == "replace" and len(node.args) == 1 and not node.keywords
        if name in CHANGES or opens or moves:
            yield name


def test_only_the_functions_that_take_folder_and_name_change_the_disk():
    found = {}
    for path in PACKAGE.rglob("*.py"):
        name = path.relative_to(PACKAGE).as_posix()
        if changes := set(find_changes(path)) - MAY_CHANGE.get(name, set()):
            found[name] = changes
    assert found == {"transfer/disk.py": {"unlink", "replace", "write_atomically"}}
