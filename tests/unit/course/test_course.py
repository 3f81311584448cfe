"""Starting the course: JupyterLab's options, and what a notebook on another machine installs."""

import sys
from pathlib import Path

import pytest

from smm_tutorial.course import dependencies
from smm_tutorial.course.dependencies import install_missing, release, unmet_requirements
from smm_tutorial.course.launch import main, options

HERE = Path("course")


@pytest.mark.parametrize(
    ("platform", "environment", "opens_a_browser"),
    [
        ("linux", {}, False),
        ("linux", {"DISPLAY": ":0"}, True),
        ("linux", {"WAYLAND_DISPLAY": "wayland-0"}, True),
        ("darwin", {}, True),
        ("win32", {}, True),
    ],
)
def test_a_browser_is_opened_only_where_there_is_a_display(platform, environment, opens_a_browser):
    chosen = options(HERE, platform, environment, is_superuser=False)
    assert ("--no-browser" not in chosen) == opens_a_browser


def test_the_superuser_may_serve_and_nobody_else_is_let_off():
    assert "--allow-root" in options(HERE, "linux", {}, is_superuser=True)
    assert "--allow-root" not in options(HERE, "linux", {}, is_superuser=False)


def test_a_folder_without_notebooks_is_refused(tmp_path):
    with pytest.raises(SystemExit, match="holds no notebooks/00_welcome.ipynb"):
        main(["--folder", str(tmp_path)])


# dependencies


@pytest.fixture
def project(tmp_path):
    def write(*requirements):
        path = tmp_path / "pyproject.toml"
        path.write_text(f"[project]\ndependencies = {list(requirements)}\n")
        return path

    return write


@pytest.fixture
def pip(monkeypatch):
    """Stands in for pip: records (requirements, constraints) of every installation."""
    calls = []

    def run(command):
        constraints, *requirements = command[command.index("--constraint") + 1 :]
        calls.append((requirements, Path(constraints).read_text().split()))
        return type("Done", (), {"returncode": 0})

    monkeypatch.setattr(dependencies.subprocess, "run", run)
    return calls


def pretend(monkeypatch, **versions):
    monkeypatch.setattr(dependencies, "installed_version", versions.get)


@pytest.mark.parametrize(
    ("version", "numbers"),
    [("2.6.0+cu124", (2, 6, 0)), ("2.10.0a0", (2, 10, 0)), ("1.26", (1, 26)), ("4.0rc1", (4, 0))],
)
def test_the_release_of_a_version(version, numbers):
    assert release(version) == numbers


def test_what_is_missing_or_too_old_is_unmet(project, monkeypatch):
    pretend(monkeypatch, torch="2.6.0+cu124", scipy="1.10.0", tqdm="4.9")

    unmet = unmet_requirements(project("torch>=2.3", "scipy>=1.8", "tqdm>=4.66", "lightning>=2.3"))

    assert unmet == ["tqdm>=4.66", "lightning>=2.3"]


def test_only_what_is_unmet_is_installed_and_torch_and_numpy_are_held(project, pip, monkeypatch):
    pretend(monkeypatch, torch="2.6.0+cu124", numpy="2.0.2")

    install_missing(project("torch>=2.3", "numpy>=1.26", "lightning>=2.3"))

    assert pip == [(["lightning>=2.3"], ["torch==2.6.0+cu124", "numpy==2.0.2"])]


def test_nothing_is_run_where_nothing_is_unmet(project, pip, monkeypatch, capsys):
    pretend(monkeypatch, torch="2.6.0")

    install_missing(project("torch>=2.3"))

    assert pip == [] and capsys.readouterr().out == ""


def test_a_torch_that_is_too_old_is_never_upgraded(project, pip, monkeypatch):
    pretend(monkeypatch, torch="2.1.0", numpy="1.26.4")

    message = r"needs torch>=2.3, but this machine has .*2\.1\.0.*choose a newer runtime"
    with pytest.raises(RuntimeError, match=message):
        install_missing(project("torch>=2.3", "numpy>=1.26", "lightning>=2.3"))
    assert pip == []


def test_a_failing_installation_is_an_error(project, monkeypatch):
    failed = type("Failed", (), {"returncode": 1})
    monkeypatch.setattr(dependencies.subprocess, "run", lambda command: failed)

    with pytest.raises(RuntimeError, match="pip could not install"):
        install_missing(project("no-such-package-anywhere>=1.0"))


def test_this_environment_meets_the_projects_own_requirements():
    assert unmet_requirements(dependencies.PROJECT_FILE) == []


def test_the_module_needs_nothing_but_the_standard_library():
    lines = Path(dependencies.__file__).read_text().splitlines()
    imports = [line for line in lines if line.startswith(("import ", "from "))]
    names = {line.split()[1].split(".")[0] for line in imports}

    assert names and names <= sys.stdlib_module_names
