"""The first cell of every notebook, on a machine with Python and packages but not this course."""

import os
import re
import shutil
import signal
import subprocess
import sys
import sysconfig
import venv
import zipfile
from pathlib import Path

import jupytext
import pytest

from tests.gates.project import TEMPLATE, VERSION
from tests.gates.rules import code_cells
from tests.shared import ROOT

pytestmark = pytest.mark.skipif(shutil.which("git") is None, reason="git is not installed")

LACKING = "smm-tutorial-toy"  # stands for a light dependency that the machine does not have


@pytest.fixture
def machine(tmp_path):
    """A fresh environment with this one's packages, but without this checkout and the toy."""
    folder = tmp_path / "machine"
    venv.create(folder)
    python = folder / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
    # Python does not follow path files of path files, so it does not see this checkout.
    own = said_by(python, "import sysconfig; print(sysconfig.get_path('purelib'))").strip()
    (Path(own) / "others.pth").write_text(sysconfig.get_path("purelib") + "\n")
    return python


def said_by(python, code):
    return subprocess.run([python, "-c", code], capture_output=True, text=True, check=True).stdout


def copy_library(folder):
    ignore = shutil.ignore_patterns("__pycache__")
    shutil.copytree(ROOT / "smm_tutorial", folder / "smm_tutorial", ignore=ignore)


@pytest.fixture
def repository(tmp_path):
    """A git repository of the library as it is, tagged with its version, that requires the toy."""
    folder = tmp_path / "repository"
    folder.mkdir()
    copy_library(folder)
    project = (ROOT / "pyproject.toml").read_text()
    with_toy = project.replace('"tqdm>=', f'"{LACKING}>=1.0",\n    "tqdm>=')
    (folder / "pyproject.toml").write_text(with_toy)
    git = ["git", "-C", folder, "-c", "user.name=test", "-c", "user.email=test@example.org"]
    for command in ("init -q", "add .", "commit -qm now", f"tag v{VERSION}"):
        subprocess.run([*git, *command.split()], check=True)
    return folder


@pytest.fixture
def package_index(tmp_path):
    """A folder from which pip can install the toy."""
    folder = tmp_path / "index"
    folder.mkdir()
    name = LACKING.replace("-", "_")
    metadata = f"Metadata-Version: 2.1\nName: {LACKING}\nVersion: 1.0\n"
    tags = "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
    with zipfile.ZipFile(folder / f"{name}-1.0-py3-none-any.whl", "w") as wheel:
        wheel.writestr(f"{name}.py", "value = 42\n")
        wheel.writestr(f"{name}-1.0.dist-info/METADATA", metadata)
        wheel.writestr(f"{name}-1.0.dist-info/WHEEL", tags)
        wheel.writestr(f"{name}-1.0.dist-info/RECORD", "")
    return folder


def first_cell():
    return code_cells(jupytext.read(TEMPLATE))[0][1].source


def run(python, code, folder, repository, package_index, programs=None):
    """Run code in `folder` with no way to any network, with these programs before the machine's."""
    ours = ("PIP_", "PYTHON")
    env = {name: value for name, value in os.environ.items() if not name.startswith(ours)}
    env["SMM_REPOSITORY"] = repository.as_uri()
    env["PIP_CONFIG_FILE"] = os.devnull
    env["PIP_NO_INDEX"] = "1"
    env["PIP_FIND_LINKS"] = str(package_index)
    if programs:
        env["PATH"] = f"{programs}{os.pathsep}{env['PATH']}"
    command = [python, "-c", code]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, env=env)


WHERE_THEY_ARE = """
from importlib.metadata import version
from importlib.util import find_spec
print([(find_spec(name).origin, version(name)) for name in ("numpy", "torch")])
"""
WHAT_CAME = f"""
import smm_tutorial, smm_tutorial_toy
print(smm_tutorial.__file__)
{WHERE_THEY_ARE}"""


def test_a_notebook_alone_fetches_the_course_and_leaves_torch_and_numpy_alone(
    machine, repository, package_index, tmp_path
):
    alone = tmp_path / "alone"
    alone.mkdir()
    before = run(machine, "import smm_tutorial", alone, repository, package_index)
    assert "No module named 'smm_tutorial'" in before.stderr

    done = run(machine, first_cell() + WHAT_CAME, alone, repository, package_index)

    assert done.returncode == 0, done.stderr
    said, course, numpy_and_torch = done.stdout.splitlines()
    assert said.startswith(f"Installing {LACKING}>=1.0; held as they are: ")
    assert course == str(alone / "smm-tutorial" / "smm_tutorial" / "__init__.py")
    assert numpy_and_torch == said_by(sys.executable, WHERE_THEY_ARE).strip()

    # A restarted kernel finds what was fetched: nothing is cloned or installed a second time.
    shutil.rmtree(repository)
    again = run(machine, first_cell() + WHAT_CAME, alone, repository, package_index)
    assert again.returncode == 0, again.stderr
    assert again.stdout.splitlines() == [course, numpy_and_torch]


def give_package(python, name, version, code=""):
    """Installs an empty package, which hides this machine's package of the same name."""
    folder = Path(said_by(python, "import sysconfig; print(sysconfig.get_path('purelib'))").strip())
    information = folder / f"{name}-{version}.dist-info"
    information.mkdir()
    information.joinpath("METADATA").write_text(
        f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n"
    )
    package = folder / name.replace(".", "/")
    package.mkdir(parents=True)
    package.joinpath("__init__.py").write_text(code)


COLAB_VERSIONS = {"torch": "2.11.0+cu126", "numpy": "2.0.2"}  # what Colab chose for its driver


def test_on_colab_its_own_torch_and_numpy_stay(machine, repository, package_index, tmp_path):
    content = tmp_path / "content"
    content.mkdir()
    for name, version in COLAB_VERSIONS.items():
        give_package(machine, name, version, f"__version__ = {version!r}")
    give_package(machine, "google.colab", "1.0.0")
    code = """
import google.colab, numpy, torch
from importlib.metadata import version
print([(name, module.__version__, version(name)) for name, module in
       (("torch", torch), ("numpy", numpy))])
import smm_tutorial_toy
"""
    done = run(machine, first_cell() + code, content, repository, package_index)

    assert done.returncode == 0, done.stderr
    said, versions = done.stdout.splitlines()
    assert said == f"Installing {LACKING}>=1.0; held as they are: {COLAB_VERSIONS}"
    assert versions == str([(name, version, version) for name, version in COLAB_VERSIONS.items()])
    assert (content / "smm-tutorial" / "smm_tutorial").is_dir()


def test_without_git_the_missing_program_is_named(machine, repository, package_index, tmp_path):
    alone, programs = tmp_path / "alone", tmp_path / "programs"
    alone.mkdir()
    programs.mkdir()
    (programs / "python").symlink_to(machine)
    code = f"import os\nos.environ['PATH'] = {str(programs)!r}\n{first_cell()}"
    done = run(machine, code, alone, repository, package_index)

    assert done.returncode != 0
    assert "No such file or directory: 'git'" in done.stderr
    assert not any(alone.iterdir())


def test_a_course_installed_with_pip_needs_no_repository(machine, package_index, tmp_path):
    pytest.importorskip("hatchling", reason="builds the wheel")
    wheels, alone = tmp_path / "wheels", tmp_path / "alone"
    alone.mkdir()
    pip = [sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check"]
    build = [*pip, "wheel", "--no-deps", "--no-build-isolation", "--wheel-dir", wheels, ROOT]
    subprocess.run(build, check=True)
    (wheel,) = wheels.glob("smm_tutorial-*.whl")
    subprocess.run([*pip, "--python", machine, "install", "--no-deps", wheel], check=True)
    code = """
import smm_tutorial
from smm_tutorial import checkpoints, datasets
print(smm_tutorial.__file__)
print(len(datasets.load("clevr6", split="test", size=48)))
print(checkpoints.load("discovery-mixture-clevr6-laptop-48px-seed0").record["model"])
"""
    done = run(machine, first_cell() + code, alone, tmp_path / "nowhere", package_index)

    assert done.returncode == 0, done.stderr
    place, count, model = done.stdout.splitlines()
    assert Path(place).is_relative_to(machine.parent.parent)
    assert (count, model) == ("320", "ObjectDiscovery")
    assert not any(alone.iterdir())


def test_inside_a_checkout_that_is_not_installed_it_is_found_and_nothing_is_fetched(
    machine, package_index, tmp_path
):
    folder = tmp_path / "checkout"
    (folder / "notebooks").mkdir(parents=True)
    copy_library(folder)
    shutil.copy(ROOT / "pyproject.toml", folder)

    code = first_cell() + "\nimport smm_tutorial\nprint(smm_tutorial.__file__)"
    done = run(machine, code, folder / "notebooks", tmp_path / "nowhere", package_index)

    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == str(folder / "smm_tutorial" / "__init__.py")


def test_without_a_way_to_the_repository_the_failure_says_so(machine, package_index, tmp_path):
    alone = tmp_path / "alone"
    alone.mkdir()

    done = run(machine, first_cell(), alone, tmp_path / "nowhere", package_index)

    assert done.returncode != 0
    for words in ("git", "clone", (tmp_path / "nowhere").as_uri()):
        assert words in done.stderr


KILLED_GIT = """#!/bin/sh
for folder; do :; done
mkdir -p "$folder/smm_tutorial"
touch "$folder/smm_tutorial/__init__.py" "$folder/smm_tutorial/paths.py"
kill -9 $PPID
"""


@pytest.mark.skipif(os.name == "nt", reason="a shell script stands for git")
def test_a_clone_that_was_killed_half_way_is_made_afresh(
    machine, repository, package_index, tmp_path
):
    alone, programs = tmp_path / "alone", tmp_path / "programs"
    alone.mkdir()
    programs.mkdir()
    (programs / "git").write_text(KILLED_GIT)
    (programs / "git").chmod(0o755)
    killed = run(machine, first_cell(), alone, repository, package_index, programs)
    assert killed.returncode == -signal.SIGKILL

    done = run(machine, first_cell() + WHAT_CAME, alone, repository, package_index)

    assert done.returncode == 0, done.stderr
    assert str(alone / "smm-tutorial" / "smm_tutorial" / "__init__.py") in done.stdout


def test_half_a_copy_is_not_taken_for_whole(machine, repository, package_index, tmp_path):
    half = tmp_path / "smm-tutorial" / "smm_tutorial"
    half.mkdir(parents=True)
    for name in ("__init__.py", "paths.py"):
        shutil.copy(ROOT / "smm_tutorial" / name, half)

    done = run(machine, first_cell(), tmp_path, repository, package_index)

    assert done.returncode != 0
    assert f"delete {half.parent}: half a copy of the course" in done.stderr


def test_the_file_that_tells_a_whole_copy_is_the_one_that_git_writes_last():
    (last,) = re.findall(r'\(p / "(.*)"\)', first_cell())
    files = subprocess.run(
        ["git", "-C", ROOT, "ls-files", "smm_tutorial"], capture_output=True, text=True, check=True
    )
    assert files.stdout.splitlines()[-1] == last
