"""Open the course in JupyterLab: `python -m smm_tutorial.course.launch`; further options go to
JupyterLab.
"""

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
    """JupyterLab's options for serving the checkout in `folder`, opened on the first notebook.

    A taken port is JupyterLab's own business: it moves on to the next. On Linux without a display
    there is no browser to open, so the address is printed instead. Jupyter refuses to serve as the
    superuser unless it is told to. Jupytext's part of the server is left out: it would write a
    learner's answers into the notebook's source, and refuse to open a notebook that is newer than
    it.
    """
    chosen = [
        f"--ServerApp.root_dir={folder}",
        f"--LabApp.default_url=/lab/tree/{WELCOME}",
        "--ServerApp.jpserver_extensions={'jupyterlab_jupytext': False}",
        "--log-level=WARN",
    ]
    has_display = (
        not platform.startswith("linux")
        or environment.get("DISPLAY")
        or environment.get("WAYLAND_DISPLAY")
    )
    if not has_display:
        chosen.append("--no-browser")
    if is_superuser:
        chosen.append("--allow-root")
    return chosen


def main(arguments: list[str]) -> None:
    """Serve until the reader stops it.

    Raises:
        SystemExit: there are no notebooks to open, or JupyterLab is not installed.
    """
    parser = argparse.ArgumentParser(
        prog="python -m smm_tutorial.course.launch", description=__doc__
    )
    parser.add_argument(
        "--folder",
        type=Path,
        default=repository_root(),
        help="what to serve (default: the checkout)",
    )
    chosen, further = parser.parse_known_args(arguments)
    if chosen.folder is None:
        sys.exit(
            "the notebooks are not in the installed package: clone the repository and run `make course` there"
        )
    if not (chosen.folder / WELCOME).is_file():
        sys.exit(f"{chosen.folder} holds no {WELCOME}: is this the whole repository?")
    try:
        from jupyterlab.labapp import LabApp
    except ImportError:
        sys.exit(
            "JupyterLab is not installed: python -m pip install -c constraints.txt -e '.[notebooks]'"
        )

    is_superuser = hasattr(os, "geteuid") and os.geteuid() == 0
    LabApp.launch_instance(
        [*options(chosen.folder.resolve(), sys.platform, os.environ, is_superuser), *further]
    )


if __name__ == "__main__":
    main(sys.argv[1:])
