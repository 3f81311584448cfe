"""What is written to a full disk, and what is not even begun."""

import errno
import os

import pytest

from smm_tutorial import paths
from smm_tutorial.datasets.scene_images import DatasetError
from smm_tutorial.datasets.transfer import disk


def test_a_full_disk_leaves_the_old_file_or_none(tmp_path, monkeypatch):
    (tmp_path / "old").write_bytes(b"old")

    def full(descriptor):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(paths.os, "fsync", full)
    for name in ("old", "new"):
        with pytest.raises(
            DatasetError, match=f"cannot write .*{name} .*free some space, or set SMM_DATA"
        ):
            disk.write_file(tmp_path, name, b"fresh")
    assert [path.name for path in tmp_path.iterdir()] == ["old"] and (
        tmp_path / "old"
    ).read_bytes() == b"old"


def test_a_download_that_cannot_fit_is_not_begun(tmp_path):
    disk.check_free_space(tmp_path, 1000)
    with pytest.raises(DatasetError, match="GB free and the download needs 1000000.00 GB"):
        disk.check_free_space(tmp_path, 10**15)
