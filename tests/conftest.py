"""What tests share: figures without a screen, the same examples in every run, a Ctrl-C that works.

A shell starts background jobs with Ctrl-C ignored, and so are their children. Tests of interrupts
must not depend on that.
"""

import os
import signal

import matplotlib
import pytest
from hypothesis import settings

from smm_tutorial import datasets
from tests import toys
from tests.pretended_device import (
    PretendedDevice,
    Refusal,
    is_refused_in_a_test,
    let_fabric_find_it,
)
from tests.toys import toy_scenes

signal.signal(signal.SIGINT, signal.default_int_handler)
matplotlib.use("Agg")
settings.register_profile("course", deadline=None, derandomize=True)
settings.load_profile("course")


@pytest.fixture
def data_folder(tmp_path, monkeypatch):
    """An empty data folder that the library takes for its own."""
    for name in ("packs", "checkpoints", "results"):
        (tmp_path / name).mkdir()
    monkeypatch.setenv("SMM_DATA", str(tmp_path))
    return tmp_path


@pytest.fixture
def toy_data(data_folder, monkeypatch):
    """An own data folder, and toy scenes with masks in place of every data set."""
    monkeypatch.setattr(
        datasets, "load", lambda name, split, size, **options: toy_scenes(size=size)
    )
    return data_folder


@pytest.fixture
def toy_sets(data_folder, monkeypatch):
    """An own data folder, and random images with records in place of every data set."""
    monkeypatch.setattr(
        datasets, "load", lambda name, split, size, **options: toys.toy_sets(size=size)
    )
    return data_folder


# SMM_PRETENDED_DEVICE=mps runs the tests on a GPU of Apple, pretended on the CPU.
if os.environ.get("SMM_PRETENDED_DEVICE") == "mps":
    PretendedDevice(by_default=True).__enter__()
    let_fabric_find_it()

    @pytest.hookimpl(wrapper=True)
    def pytest_pyfunc_call(pyfuncitem):
        if cpu := pyfuncitem.get_closest_marker("needs_cpu"):
            pytest.skip(f"needs the CPU: {cpu.args[0]}")
        try:
            return (yield)
        except Refusal as refusal:
            if is_refused_in_a_test(refusal.__traceback__):
                pytest.skip(f"the test itself asks for more than the device has: {refusal}")
            raise
