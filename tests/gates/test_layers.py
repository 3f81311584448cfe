"""The house's plan: who may import whom, and where tests lie."""

import ast
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.shared import ROOT

LIBRARY = ROOT / "smm_tutorial"
PICTURES = ("figures/", "widgets/", "fidelity/report.py")  # where matplotlib may be imported

#: Imports inside functions, by file, with their reasons.
LOCAL_IMPORTS = {
    ("checkpoints.py", "importlib"): "a checkpoint names its model, which lies on a floor above",
    ("course/launch.py", "jupyterlab"): "an extra: the message says how to install it",
    ("datasets/others/outlines.py", "pycocotools"): "an extra: only masks of COCO need it",
    ("exercises/core.py", "importlib"): "tasks are found by the names of their files",
    ("training/logs.py", "importlib"): "an extra: only TensorBoard's log needs it",
}


def imports_of(node, inside_function=False):
    """The imports of a syntax tree: (module, whether inside a function); a call counts as one."""
    if isinstance(node, ast.Import):
        yield from ((alias.name, inside_function) for alias in node.names)
    elif isinstance(node, ast.ImportFrom):
        yield node.module or ".", inside_function
    elif isinstance(node, ast.Call) and ast.unparse(node.func) == "importlib.import_module":
        yield "importlib", inside_function
    elif isinstance(node, ast.Call) and ast.unparse(node.func) == "__import__":
        yield "__import__", inside_function
    inside_function |= isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda)
    for child in ast.iter_child_nodes(node):
        yield from imports_of(child, inside_function)


def imports_below(library):
    """All imports of a library: (file, top-level package of the module, whether local)."""
    for path in sorted(library.rglob("*.py")):
        file = path.relative_to(library).as_posix()
        for module, is_local in imports_of(ast.parse(path.read_text(encoding="utf-8"))):
            yield file, module.split(".")[0], is_local


def find_local_imports(library):
    return {(file, package) for file, package, is_local in imports_below(library) if is_local}


def find_drawing_files(library):
    """The files that import matplotlib and are none of `PICTURES`."""
    drawing = {file for file, package, _ in imports_below(library) if package == "matplotlib"}
    return sorted(file for file in drawing if not file.startswith(PICTURES))


def find_stray_tests(tests, library):
    """Folders and files of unit tests that have no folder or module of the same name."""
    paths = [path.relative_to(tests) for path in sorted(tests.rglob("*.py"))]
    folders = {path.parent for path in paths} - {Path(".")}
    stray = [folder.as_posix() for folder in folders if not (library / folder).is_dir()]
    modules = [path.name for path in paths if path.parent == Path(".")]
    return sorted(
        stray + [name for name in modules if not (library / name.removeprefix("test_")).is_file()]
    )


def check_floors(folder):
    """What import-linter says of the library in `folder`, by the contract of its pyproject.toml."""
    command = "from importlinter.cli import lint_imports_command; lint_imports_command()"
    run = [sys.executable, "-c", command, "--no-cache"]
    return subprocess.run(run, cwd=folder, capture_output=True, text=True, encoding="utf-8")


def list_modules(code):
    """The modules that a fresh Python has loaded after `code`."""
    code += "\nimport sys; print('\\n'.join(sys.modules))"
    run = [sys.executable, "-c", code]
    done = subprocess.run(run, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return set(done.stdout.splitlines())


def test_rooms_import_only_from_the_floors_below():
    found = check_floors(ROOT)

    assert found.returncode == 0, found.stdout + found.stderr


def test_matplotlib_is_imported_only_where_pictures_are_made():
    assert find_drawing_files(LIBRARY) == []


def test_imports_inside_functions_are_listed_with_a_reason():
    assert find_local_imports(LIBRARY) == LOCAL_IMPORTS.keys()


def test_results_are_read_without_torch():
    loaded = list_modules("""
from smm_tutorial import paths, results

name = min(path.stem for path in paths.results_dir().glob("*.json"))
assert results.read_record(name)["name"] == name
""")

    assert "smm_tutorial.results" in loaded
    assert "torch" not in loaded


def test_unit_tests_lie_in_the_folders_of_what_they_test():
    assert find_stray_tests(ROOT / "tests" / "unit", LIBRARY) == []


# the checks themselves


@pytest.fixture(scope="module")
def house(tmp_path_factory):
    """A copy of the library with its contract."""
    folder = tmp_path_factory.mktemp("house")
    shutil.copy(ROOT / "pyproject.toml", folder)
    shutil.copytree(
        LIBRARY, folder / "smm_tutorial", ignore=shutil.ignore_patterns("__pycache__", "_data")
    )
    return folder


@pytest.mark.parametrize(
    ("file", "line", "words"),
    [
        ("metrics/new.py", "from smm_tutorial.figures import palette", "metrics"),
        ("metrics/new.py", "def f():\n    import smm_tutorial.slots.base", "metrics"),
        ("discovery/new.py", "import smm_tutorial.set_prediction.loss", "discovery"),
        ("attic/__init__.py", "", "attic"),
    ],
    ids=["upwards", "upwards inside a function", "on the same floor", "a room without a floor"],
)
def test_a_fault_in_the_floors_is_found(house, file, line, words):
    path = house / "smm_tutorial" / file
    path.parent.mkdir(exist_ok=True)
    path.write_text(line + "\n")
    try:
        found = check_floors(house)
    finally:
        path.unlink()
        if path.name == "__init__.py":
            path.parent.rmdir()

    assert found.returncode == 1
    assert f"smm_tutorial.{words}" in found.stdout


def test_the_copy_itself_has_no_fault(house):
    assert check_floors(house).returncode == 0


def test_imports_are_found_wherever_they_stand(tmp_path):
    (tmp_path / "figures").mkdir()
    (tmp_path / "figures" / "plots.py").write_text("import matplotlib.pyplot as plt\n")
    (tmp_path / "top.py").write_text("from matplotlib.figure import Figure\n")
    (tmp_path / "local.py").write_text("def f():\n    if True:\n        import matplotlib\n")
    (tmp_path / "lazy.py").write_text("f = lambda n: importlib.import_module(n)\n")
    (tmp_path / "method.py").write_text("class A:\n    def f(self):\n        from a.b import c\n")

    assert find_drawing_files(tmp_path) == ["local.py", "top.py"]
    assert find_local_imports(tmp_path) == {
        ("lazy.py", "importlib"),
        ("local.py", "matplotlib"),
        ("method.py", "a"),
    }


def test_loaded_modules_are_seen():
    assert "torch" in list_modules("import smm_tutorial.slots")


def test_a_stray_test_is_found(tmp_path):
    for name in ("library/slots/attention.py", "library/paths.py", "library/data/own/packs.py"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    good = ["slots/test_any.py", "data/own/test_packs.py", "test_paths.py"]
    stray = ["slot/test_any.py", "own/test_packs.py", "test_path.py"]
    for name in good + stray:
        (tmp_path / "tests" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "tests" / name).touch()

    found = find_stray_tests(tmp_path / "tests", tmp_path / "library")

    assert found == ["own", "slot", "test_path.py"]
