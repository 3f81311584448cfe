"""What a terminal or a pipe makes of the output: few signs, no reader, no room."""

import io
import os
import sys

import pytest

from smm_tutorial import cli


def run_on(encoding, arguments, monkeypatch):
    """Status and output of a command on a console of that encoding."""
    console = io.TextIOWrapper(io.BytesIO(), encoding=encoding)
    for name in ("stdout", "stderr"):
        monkeypatch.setattr(sys, name, console)
    status = cli.main(arguments)
    console.flush()
    return status, console.buffer.getvalue().decode(encoding)


@pytest.mark.parametrize("encoding", ["ascii", "latin-1", "cp437"])
def test_every_console_gets_its_table(encoding, monkeypatch):
    report = ["report", "comparison"]
    _, full = run_on("utf-8", report, monkeypatch)
    assert "±" in full and "–" in full
    status, shown = run_on(encoding, report, monkeypatch)
    assert status == 0
    assert spell_plainly(shown) == spell_plainly(full)


def spell_plainly(text):
    return text.replace("±", "+-").replace("–", "-")


def test_signs_without_plain_letters_are_shown_as_codes(monkeypatch):
    status, shown = run_on("ascii", ["evaluate", "réseau \U0001f642 \udcff"], monkeypatch)
    assert status == 1 and r"there is no checkpoint 'r\xe9seau \U0001f642 \udcff'" in shown


def open_for_errors(tmp_path, monkeypatch):
    """A file that takes what goes to the error output, each line at once."""
    file = open(tmp_path / "errors", "w+", buffering=1)
    monkeypatch.setattr(sys, "stderr", file)
    return file


def test_a_pipe_that_nobody_reads_ends_the_command_quietly(tmp_path, monkeypatch):
    reader, writer = os.pipe()
    os.close(reader)
    with open(writer, "w") as output, open_for_errors(tmp_path, monkeypatch) as errors:
        monkeypatch.setattr(sys, "stdout", output)
        assert cli.main(["report", "set-comparison"]) == 141
    # Closing the output has raised nothing: what it still held is gone.
    assert os.path.getsize(errors.name) == 0


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="no /dev/full on this system")
def test_a_full_disk_is_one_line(tmp_path, monkeypatch):
    monkeypatch.setattr(sys, "stdout", open("/dev/full", "w"))
    with open_for_errors(tmp_path, monkeypatch) as errors:
        assert cli.main(["report", "set-comparison"]) == 1
        errors.seek(0)
        assert errors.read() == "smm-tutorial: [Errno 28] No space left on device\n"


def test_without_a_console_the_command_still_runs(monkeypatch):
    monkeypatch.setattr(sys, "stdout", None)
    assert cli.main(["report", "set-comparison"]) == 0
