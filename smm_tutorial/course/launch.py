"""Open the course in JupyterLab: `python -m smm_tutorial.course.launch [JupyterLab's options]`."""

import argparse
import os
import sys
from collections.abc import Mapping
from pathlib import Path

from smm_tutorial.paths import repository_root

WELCOME = "notebooks/00_welcome.ipynb"


def options(
    folder: Path, platform: str, environment: Mapping[str, str], is_superuser: bool
) -> list[str]:
    """JupyterLab's options to serve the checkout in `folder` and open the first notebook.

    On Linux without a display, JupyterLab prints its address and opens no browser. For the
    superuser, JupyterLab starts only with the option `--allow-root`.
    """
    chosen = [
        f"--ServerApp.root_dir={folder}",
        f"--LabApp.default_url=/lab/tree/{WELCOME}",
        "--log-level=WARN",
    ]
    has_display = environment.get("DISPLAY") or environment.get("WAYLAND_DISPLAY")
    if platform.startswith("linux") and not has_display:
        chosen.append("--no-browser")
    if is_superuser:
        chosen.append("--allow-root")
    return chosen


def main(arguments: list[str]) -> None:
    """Run JupyterLab until the reader stops it.

    Raises:
        SystemExit: there are no notebooks to open, or JupyterLab is not installed.
    """
    prog = "python -m smm_tutorial.course.launch"
    parser = argparse.ArgumentParser(prog=prog, description=__doc__)
    help_ = "what to serve (default: the checkout)"
    parser.add_argument("--folder", type=Path, default=repository_root(), help=help_)
    chosen, further = parser.parse_known_args(arguments)
    if chosen.folder is None:
        sys.exit(
            "the notebooks are not in the installed package: clone the repository and run "
            "`make course` there"
        )
    if not (chosen.folder / WELCOME).is_file():
        sys.exit(f"{chosen.folder} holds no {WELCOME}: is this the whole repository?")
    try:
        from jupyterlab.labapp import LabApp
    except ImportError:
        sys.exit(
            "JupyterLab is not installed: "
            "python -m pip install -c constraints.txt -e '.[notebooks]'"
        )

    is_superuser = hasattr(os, "geteuid") and os.geteuid() == 0
    ours = options(chosen.folder.resolve(), sys.platform, os.environ, is_superuser)
    LabApp.launch_instance([*ours, *further])


if __name__ == "__main__":
    main(sys.argv[1:])
