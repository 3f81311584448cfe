"""Names from outside stay in their folder; one process at a time works in one."""

import errno
import fcntl
import os
import subprocess
import sys
import time

import pytest

from smm_tutorial import files
from smm_tutorial.files import (
    FolderBusyError,
    ForeignNameError,
    JsonError,
    check_name,
    join_name,
    lock_folder,
    parse_json,
    read_json,
)

LEAVING = [
    "../x",
    "a/../../x",
    "..",
    ".",
    "",
    "/etc/x",
    "//etc/x",
    "a//b",
    "a/",
    "./a",
    "C:/x",
    "C:x",
    "a\\..\\..\\x",
    "\\\\host\\share\\x",
    ".. /x",
    "... ",
    "a/.. /x",
    "a\0b",
    "a\nb",
    "a\ud800b",
    "a/" + 128 * "ü",
    None,
    3,
    b"a",
]
HOLDER = """
import sys, time
from pathlib import Path
from smm_tutorial.files import lock_folder
with lock_folder(Path(sys.argv[1]), "working in"):
    print("held", flush=True)
    time.sleep(60)
"""


@pytest.mark.parametrize("name", LEAVING, ids=repr)
def test_a_name_that_leaves_its_folder_is_refused(tmp_path, name):
    for check in (check_name, lambda name: join_name(tmp_path, name)):
        with pytest.raises(ForeignNameError):
            check(name)


@pytest.mark.parametrize("name", ["a", "a/b.png", ".hidden", "a..b/c", "Ünï 1.png", "a/b:c"])
def test_a_name_below_its_folder_is_joined(tmp_path, name):
    assert join_name(tmp_path, name) == tmp_path / name


def test_a_link_that_leads_out_is_refused_for_writing_and_followed_for_reading(tmp_path):
    folder = tmp_path / "data"
    folder.mkdir()
    (folder / "out").symlink_to(tmp_path)
    (folder / "in").symlink_to(folder)
    with pytest.raises(ForeignNameError, match="link"):
        join_name(folder, "out/x")
    assert join_name(folder, "in/x") == folder / "in/x"
    assert check_name("out/x") == "out/x"


def test_a_folder_that_is_a_link_itself_is_as_good(tmp_path):
    (tmp_path / "true").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "true")
    assert join_name(tmp_path / "link", "x") == tmp_path / "link/x"


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-32"])
def test_json_is_read_in_every_encoding_that_programs_write(tmp_path, encoding):
    path = tmp_path / "x.json"
    path.write_bytes('{"ü": [1, 2.5, null]}'.encode(encoding))
    assert read_json(path) == {"ü": [1, 2.5, None]}


def test_json_text_may_begin_with_a_byte_order_mark():
    assert parse_json("\ufeff[1]", "a note") == parse_json("[1]", "a note") == [1]


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"{",
        b"[1] 2",
        b"\xff\xfe[",
        b'"\xe9"',
        b"\xef\xbb\xbf",
        b"[" * 100_000,
        b'{"a":' * 100_000,
        b"[" + b"9" * 5_000 + b"]",
        b"\0" * 8,
    ],
    ids=lambda content: f"{content[:6]!r} x {len(content)}",
)
def test_what_is_no_json_is_one_kind_of_error_that_names_the_source(tmp_path, content):
    path = tmp_path / "x.json"
    path.write_bytes(content)
    with pytest.raises(JsonError, match="x.json is "):
        read_json(path)
    with pytest.raises(JsonError, match="a member is "):
        parse_json(content, "a member")


def hold(folder):
    process = subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(folder)], stdout=subprocess.PIPE, text=True
    )
    assert process.stdout.readline() == "held\n"
    return process


def test_a_busy_folder_is_an_error_that_names_it_and_a_killed_owner_lets_go(tmp_path, capsys):
    process = hold(tmp_path)
    try:
        with pytest.raises(FolderBusyError, match=str(tmp_path)):
            with lock_folder(tmp_path, "working in"):
                pass
        assert capsys.readouterr().out == ""  # no patience, no word of waiting
        before = time.monotonic()
        with pytest.raises(FolderBusyError, match="working in"):
            with lock_folder(tmp_path, "working in", patience=0.3):
                pass
        assert time.monotonic() - before >= 0.3
        assert "waiting for it, at most 0 s" in capsys.readouterr().out
    finally:
        process.kill()
        process.wait()
    (tmp_path / "deep").mkdir()
    (tmp_path / f"deep/.x.1{files.DRAFT_SUFFIX}").touch()
    (tmp_path / "deep/x.part").touch()  # of another program
    with lock_folder(tmp_path, "working in"):
        assert [path.name for path in (tmp_path / "deep").iterdir()] == ["x.part"]


@pytest.mark.parametrize("code", ["ENOLCK", "EOPNOTSUPP", "ENOSYS"])
@pytest.mark.parametrize("copied", [False, True], ids=["new", "copied"])
def test_where_there_are_no_locks_a_warning_says_so_and_work_goes_on(
    tmp_path, monkeypatch, code, copied
):
    def refuse(descriptor, operation):
        raise OSError(getattr(errno, code), "as such file systems answer")

    if copied:  # as a copy of the folder brings it along
        (tmp_path / files.LOCK_NAME).touch()
    monkeypatch.setattr(fcntl, "flock", refuse)
    done = []
    with pytest.warns(UserWarning, match="without file locks"), lock_folder(tmp_path, "working in"):
        done.append(True)
    assert done


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may write")
def test_a_read_only_folder_is_used_without_a_lock(tmp_path):
    tmp_path.chmod(0o500)
    with lock_folder(tmp_path, "reading"):
        pass
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("code", ["EROFS", "EACCES"])
def test_a_folder_on_a_read_only_disk_is_used_without_a_lock(tmp_path, monkeypatch, code):
    def refuse(self, *arguments, **options):
        raise OSError(getattr(errno, code), "as such disks answer")

    monkeypatch.setattr(files.FileLock, "acquire", refuse)
    done = []
    with lock_folder(tmp_path, "reading"):
        done.append(True)
    assert done


def test_an_error_inside_is_not_taken_for_a_missing_lock(tmp_path):
    with pytest.raises(PermissionError), lock_folder(tmp_path, "working in"):
        raise PermissionError(errno.EACCES, "of the work")
    with lock_folder(tmp_path, "working in"):  # and the lock is free again
        pass
