"""Install the packages that the course needs and this machine lacks, for example on Colab.

This module uses only the standard library, since nothing else may be installed yet. The installed
versions of torch and numpy stay: a hosted machine chose them for its driver.
"""

import importlib
import re
import subprocess
import sys
import tempfile
import tomllib
from importlib import metadata
from pathlib import Path

LEFT_ALONE = ("torch", "numpy")
PROJECT_FILE = Path(__file__).resolve().parents[2] / "pyproject.toml"


def install_missing(project_file: Path = PROJECT_FILE) -> None:
    """Install those requirements of `project_file` that are missing or too old.

    Without a project file nothing is installed: pip has installed the library with its
    requirements.

    Raises:
        RuntimeError: torch or numpy is too old, or pip could not install something.
    """
    if not project_file.is_file():
        return
    needed = unmet_requirements(project_file)
    if not needed:
        return

    held = {name: version for name in LEFT_ALONE if (version := installed_version(name))}
    too_old = [requirement for requirement in needed if name_and_bound(requirement)[0] in held]
    if too_old:
        raise RuntimeError(
            f"the course needs {', '.join(too_old)}, but this machine has {held}: choose a newer "
            "runtime. They are not upgraded from here, since that can break what the machine was "
            "set up for."
        )

    print(f"Installing {', '.join(needed)}; held as they are: {held or 'nothing'}")
    with tempfile.TemporaryDirectory() as folder:
        constraints = Path(folder) / "held.txt"
        constraints.write_text("".join(f"{name}=={version}\n" for name, version in held.items()))
        pip = [sys.executable, "-m", "pip", "install", "--quiet"]
        if subprocess.run([*pip, "--constraint", str(constraints), *needed]).returncode:
            raise RuntimeError(
                f"pip could not install {needed}: read its message above; is there a network?"
            )
    importlib.invalidate_caches()


def unmet_requirements(project_file: Path) -> list[str]:
    """The requirements, such as `tqdm>=4.66`, that are missing or older than their bound."""
    project = tomllib.loads(project_file.read_text(encoding="utf-8"))["project"]
    return [line for line in project["dependencies"] if not is_met(*name_and_bound(line))]


def is_met(name: str, bound: str) -> bool:
    """Whether `name` is installed in version `bound` or newer."""
    version = installed_version(name)
    return version is not None and release(version) >= release(bound)


def installed_version(name: str) -> str | None:
    """The installed version, such as `2.6.0+cu124`, or None."""
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None


def name_and_bound(requirement: str) -> tuple[str, str]:
    """Split `torch>=2.3` into its two halves; the project states only lower bounds."""
    name, bound = requirement.split(">=")
    return name.strip(), bound.strip()


def release(version: str) -> tuple[int, ...]:
    """The version as a tuple of numbers, without local or pre-release parts: `2.6.0+cu124` is (2,
    6, 0).
    """
    return tuple(int(number) for number in re.match(r"\d+(\.\d+)*", version).group().split("."))
