"""Make the notebooks that people open from the sources that people review: `make notebooks`.

    python -m smm_tutorial.course.notebooks                    # every notebook: update, execute,
    write python -m smm_tutorial.course.notebooks 05_object_discovery    # only that one
    python -m smm_tutorial.course.notebooks --check            # which pairs are out of step; writes
    nothing

They run on the profile that `SMM_PROFILE` names, else on the machine's own.
"""

import argparse
import sys
import time
from pathlib import Path

import jupytext
import nbformat
from jupytext.combine import combine_inputs_with_outputs
from nbclient import NotebookClient
from nbformat import NotebookNode

from smm_tutorial.paths import repository_root, write_atomically

SOURCES = "[0-9][0-9]_*.py"
CELL_TIMEOUT = 3600  # seconds; a notebook that trains on a laptop may need minutes in one cell
WIDGET_VIEW = "application/vnd.jupyter.widget-view+json"


def source_paths(folder: Path) -> list[Path]:
    """The numbered sources in `folder/source`, in order."""
    return sorted((folder / "source").glob(SOURCES))


def notebook_path(source: Path) -> Path:
    """`notebooks/source/01_x.py` makes `notebooks/01_x.ipynb`."""
    return source.parent.parent / f"{source.stem}.ipynb"


def differences(source: Path) -> list[str]:
    """Where a notebook says something else than its source, by cell type, text and tags; empty when
    in step.
    """
    path = notebook_path(source)
    if not path.is_file():
        return [f"{path.name} is missing: run `make notebooks`"]
    wanted, found = jupytext.read(source).cells, jupytext.read(path).cells
    problems = []
    if len(wanted) != len(found):
        problems.append(f"{path.name} has {len(found)} cells, its source {len(wanted)}")
    for number, (one, other) in enumerate(zip(wanted, found, strict=False), start=1):
        for part, in_source, in_notebook in zip(
            ("type", "text", "tags"), _said(one), _said(other), strict=True
        ):
            if in_source != in_notebook:
                problems.append(f"{path.name}, cell {number}: the {part} is not that of its source")
    return problems


def make(source: Path) -> Path:
    """Update a notebook from its source, execute it in its own folder, and write it in one step.

    Cells that stay keep their ids. The old notebook is untouched when a cell fails.

    Raises:
        nbclient.exceptions.CellExecutionError: a cell raised; the message shows the cell and its
        traceback.
    """
    path = notebook_path(source)
    notebook = jupytext.read(source)
    if path.is_file():
        notebook = combine_inputs_with_outputs(
            notebook, nbformat.read(path, as_version=4), fmt="py:percent"
        )
    client = NotebookClient(
        notebook,
        timeout=CELL_TIMEOUT,
        kernel_name="python3",
        record_timing=False,
        coalesce_streams=True,
        resources={"metadata": {"path": str(path.parent)}},
    )
    client.execute()
    write_atomically(path, (nbformat.writes(tidied(notebook)) + "\n").encode())
    return path


def tidied(notebook: NotebookNode) -> NotebookNode:
    """The notebook without what differs between machines or breaks its display on code hosts.

    Widget state breaks rendering there, and a widget's view is nothing without it: both go, and the
    static figure that accompanies every widget stays. Python's and JupyterLab's versions go too.
    """
    tidy = nbformat.from_dict(notebook)
    tidy.metadata = nbformat.from_dict(
        {
            "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
            "language_info": {"name": "python"},
        }
    )
    for cell in tidy.cells:
        tags = cell.metadata.get("tags")
        cell.metadata = nbformat.from_dict({"tags": tags} if tags else {})
        if cell.cell_type == "code":
            cell.outputs = [
                output for output in cell.outputs if WIDGET_VIEW not in output.get("data", {})
            ]
    return tidy


def chosen_sources(folder: Path, names: list[str]) -> list[Path]:
    """The sources of the named notebooks, or all of them.

    Raises:
        SystemExit: a name is not among them.
    """
    sources = {source.stem: source for source in source_paths(folder)}
    unknown = [name for name in names if name not in sources]
    if unknown:
        sys.exit(f"no source for {', '.join(unknown)}; there are: {', '.join(sources) or 'none'}")
    return [sources[name] for name in names] or list(sources.values())


def _said(cell: NotebookNode) -> tuple[str, str, list[str]]:
    return cell.cell_type, cell.source.rstrip("\n"), sorted(cell.metadata.get("tags", []))


def main(arguments: list[str]) -> int:
    """Make or check notebooks; the exit status is 1 when a pair is out of step."""
    parser = argparse.ArgumentParser(
        prog="python -m smm_tutorial.course.notebooks", description=__doc__.split("\n")[0]
    )
    parser.add_argument(
        "names", nargs="*", help="as in 05_object_discovery; all of them when none is named"
    )
    parser.add_argument(
        "--check",
        action="store_true",
        help="only say which notebooks are not those of their sources",
    )
    options = parser.parse_args(arguments)
    root = repository_root()
    if root is None:
        sys.exit("the notebooks are in the repository, not in the installed package: clone it")

    sources = chosen_sources(root / "notebooks", options.names)
    if options.check:
        problems = [problem for source in sources for problem in differences(source)]
        print("\n".join(problems) or f"{len(sources)} notebooks are in step with their sources")
        return int(bool(problems))
    for source in sources:
        started = time.perf_counter()
        path = make(source)
        print(
            f"{path.name}: {time.perf_counter() - started:.0f} s, {path.stat().st_size / 1e6:.2f} MB",
            flush=True,
        )
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
