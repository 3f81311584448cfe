"""Manifests: what a download brought, read back as it was written or refused by name."""

import json

import pytest

from smm_tutorial.datasets.scene_images import DatasetError
from smm_tutorial.datasets.transfer import disk
from smm_tutorial.datasets.transfer.manifests import (
    entry_of,
    extend_manifest,
    find_damaged_files,
    is_whole,
    read_manifest,
)


def test_a_manifest_tells_which_files_are_damaged(tmp_path):
    for name in ("a/1", "a/2", "a/3"):
        disk.write_file(tmp_path, name, b"content")
        extend_manifest(tmp_path, {name: entry_of(b"content")})
    assert find_damaged_files(tmp_path) == []
    (tmp_path / "a/2").write_bytes(b"another")
    (tmp_path / "a/3").unlink()
    assert find_damaged_files(tmp_path) == ["a/2", "a/3"]
    assert list(read_manifest(tmp_path)) == ["a/1", "a/2", "a/3"]


def test_a_manifest_may_begin_with_a_byte_order_mark(tmp_path):
    (tmp_path / "manifest.json").write_text('{"files": {"a": [1, 2]}}', encoding="utf-8-sig")
    assert read_manifest(tmp_path) == {"a": (1, 2)}


ODD = ["", "{", "[]", "3", "null", '"files"', "[" * 100_000, '{"a":' * 100_000, "9" * 5_000, "\0"]
ODD += ["{}", '{"files": []}', '{"files": 3}', '{"files": null}']
ENTRIES = [None, 3, "ab", {}, [], [1], [1, 2, 3], ["1", "2"], [1.0, 2], [-1, 2], [True, 2], [[], 1]]
ODD += [json.dumps({"files": {"a": entry}}) for entry in ENTRIES]
ODD += ['{"files": {"a": [NaN, 1]}}', '{"files": {"a": [1e400, 1]}}']


@pytest.mark.parametrize("content", ODD, ids=lambda content: f"{content[:30]!r}")
def test_a_manifest_of_any_other_form_is_one_error_that_says_what_to_do(tmp_path, content):
    (tmp_path / "manifest.json").write_text(content)
    for use in (read_manifest, find_damaged_files, lambda folder: extend_manifest(folder, {})):
        with pytest.raises(
            DatasetError, match=r"manifest\.json is damaged .*: delete it and download again"
        ):
            use(tmp_path)


def test_a_manifest_that_is_a_folder_is_named(tmp_path):
    (tmp_path / "manifest.json").mkdir()
    with pytest.raises(DatasetError, match=r"cannot read .*manifest\.json .*delete it"):
        read_manifest(tmp_path)


def test_what_is_no_file_is_not_whole(tmp_path):
    (tmp_path / "folder").mkdir()
    (tmp_path / "link").symlink_to("link")  # to itself
    for name in ("folder", "link", "absent", "absent/deep"):
        assert not is_whole(tmp_path / name, (0, 0))
