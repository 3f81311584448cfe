"""The faces of figures and widgets: a name means one thing wherever it is imported from."""

import importlib
import inspect
import pkgutil
from collections import defaultdict

import pytest
from matplotlib.figure import Figure

from smm_tutorial import figures, widgets


@pytest.mark.parametrize("room", [figures, widgets], ids=["figures", "widgets"])
def test_a_public_name_is_defined_in_one_file_and_the_face_takes_it_from_there(room):
    homes = defaultdict(set)
    for info in pkgutil.iter_modules(room.__path__, f"{room.__name__}."):
        module = importlib.import_module(info.name)
        for name, value in vars(module).items():
            if getattr(value, "__module__", None) == info.name and not name.startswith("_"):
                homes[name].add(info.name)
    assert not {name: found for name, found in homes.items() if len(found) > 1}
    assert room.__all__ == sorted(set(room.__all__))
    for name in room.__all__:
        for home in homes[name]:
            assert getattr(room, name) is getattr(importlib.import_module(home), name)


def test_every_figure_of_the_face_promises_a_figure():
    functions = [getattr(figures, name) for name in figures.__all__ if name.endswith("_figure")]
    assert len(functions) > 30
    for function in functions:
        assert inspect.signature(function, eval_str=True).return_annotation is Figure
