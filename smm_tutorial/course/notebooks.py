"""Make the notebooks that people open from the sources that people review: `make notebooks`.

    python -m smm_tutorial.course.notebooks                        update, execute and write all
    python -m smm_tutorial.course.notebooks 05_object_discovery    only that one
    python -m smm_tutorial.course.notebooks --check                which differ from their sources?

The notebooks run on the profile in `SMM_PROFILE`. If it is not set, the hardware decides.
"""

import argparse
import json
import sys
import time
from pathlib import Path

import jupytext
import nbformat
from jupytext.combine import combine_inputs_with_outputs
from nbclient import NotebookClient
from nbformat import NotebookNode

from smm_tutorial.files import read_json, write_atomically
from smm_tutorial.paths import repository_root
from smm_tutorial.profiles import current_profile

SOURCES = "[0-9][0-9]_*.py"
CELL_TIMEOUT = 3600  # seconds; a cell that trains on a laptop may need many minutes
RUN_SECONDS = "run_seconds.json"  # in the folder of the sources; keys: notebook, then profile
WIDGET_VIEW = "application/vnd.jupyter.widget-view+json"


def source_paths(folder: Path) -> list[Path]:
    """The numbered sources in `folder/source`, in order."""
    return sorted((folder / "source").glob(SOURCES))


def notebook_path(source: Path) -> Path:
    """`notebooks/source/01_x.py` makes `notebooks/01_x.ipynb`."""
    return source.parent.parent / f"{source.stem}.ipynb"


def differences(source: Path) -> list[str]:
    """The differences between a notebook and its source in types, texts and tags of cells, in
    words.
    """
    path = notebook_path(source)
    if not path.is_file():
        return [f"{path.name} is missing: run `make notebooks`"]
    wanted, found = jupytext.read(source).cells, jupytext.read(path).cells
    problems = []
    if len(wanted) != len(found):
        problems.append(f"{path.name} has {len(found)} cells, its source {len(wanted)}")
    for number, (one, other) in enumerate(zip(wanted, found, strict=False), start=1):
        in_source, in_notebook = _compared_parts(one), _compared_parts(other)
        problems += [
            f"{path.name}, cell {number}: the {part} is not that of its source"
            for part in in_source
            if in_source[part] != in_notebook[part]
        ]
    return problems


def _compared_parts(cell: NotebookNode) -> dict[str, str | list[str]]:
    tags = sorted(cell.metadata.get("tags", []))
    return {"type": cell.cell_type, "text": cell.source.rstrip("\n"), "tags": tags}


def make(source: Path) -> Path:
    """Update a notebook from its source, execute it in its own folder, and write it.

    Unchanged cells keep their ids. If a cell fails, the old notebook stays as it was.

    Raises:
        nbclient.exceptions.CellExecutionError: a cell raised; the message shows the cell and its
        traceback.
    """
    path = notebook_path(source)
    notebook = jupytext.read(source)
    if path.is_file():
        old = nbformat.read(path, as_version=4)
        notebook = combine_inputs_with_outputs(notebook, old, fmt="py:percent")
    client = NotebookClient(
        notebook,
        timeout=CELL_TIMEOUT,
        kernel_name="python3",
        record_timing=False,
        resources={"metadata": {"path": str(path.parent)}},
    )
    client.execute()
    write_atomically(path, (nbformat.writes(tidy_notebook(notebook)) + "\n").encode())
    return path


def read_run_seconds(folder: Path) -> dict[str, dict[str, float]]:
    """How long notebooks took to run: seconds by name, then by profile."""
    path = folder / RUN_SECONDS
    return read_json(path) if path.is_file() else {}


def keep_run_seconds(source: Path, seconds: float) -> None:
    """Saves how long a notebook ran on the current profile."""
    kept = read_run_seconds(source.parent)
    kept.setdefault(source.stem, {})[current_profile().name] = round(seconds)
    content = json.dumps(dict(sorted(kept.items())), indent=1) + "\n"
    write_atomically(source.parent / RUN_SECONDS, content.encode())


def tidy_notebook(notebook: NotebookNode) -> NotebookNode:
    """A copy of the notebook without parts that differ between machines or break code hosts.

    Code hosts cannot show widgets: widget state and views are removed, and the static figure beside
    every widget stays. The versions of Python and JupyterLab are removed too.
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
            outputs = [out for out in cell.outputs if WIDGET_VIEW not in out.get("data", {})]
            cell.outputs = _join_neighbouring_texts(outputs)
    return tidy


def _join_neighbouring_texts(outputs: list[NotebookNode]) -> list[NotebookNode]:
    """Joins printed texts that follow each other. A text stays on its side of a figure.

    nbclient can join texts, too (`coalesce_streams`). But it puts all texts of a cell in one place.
    """
    joined: list[NotebookNode] = []
    for output in outputs:
        last = joined[-1] if joined else {}
        if output.output_type == "stream" and last.get("name") == output.name:
            last["text"] += output.text
        else:
            joined.append(output)
    return joined


def choose_sources(folder: Path, names: list[str]) -> list[Path]:
    """The sources of the named notebooks, or all of them. SystemExit if a name is unknown."""
    sources = {source.stem: source for source in source_paths(folder)}
    unknown = [name for name in names if name not in sources]
    if unknown:
        sys.exit(f"no source for {', '.join(unknown)}; there are: {', '.join(sources) or 'none'}")
    return [sources[name] for name in names] or list(sources.values())


def main(arguments: list[str]) -> int:
    """Make or check notebooks; the exit status is 1 if a notebook differs from its source."""
    prog = "python -m smm_tutorial.course.notebooks"
    parser = argparse.ArgumentParser(prog=prog, description=__doc__.split("\n")[0])
    parser.add_argument("names", nargs="*", help="such as 05_object_discovery (default: all)")
    help_ = "only say which notebooks differ from their sources"
    parser.add_argument("--check", action="store_true", help=help_)
    options = parser.parse_args(arguments)
    root = repository_root()
    if root is None:
        sys.exit("the notebooks are in the repository, not in the installed package: clone it")

    sources = choose_sources(root / "notebooks", options.names)
    if options.check:
        problems = [problem for source in sources for problem in differences(source)]
        print("\n".join(problems) or f"{len(sources)} notebooks are in step with their sources")
        return int(bool(problems))
    for source in sources:
        started = time.perf_counter()
        path = make(source)
        seconds = time.perf_counter() - started
        keep_run_seconds(source, seconds)
        print(f"{path.name}: {seconds:.0f} s, {path.stat().st_size / 1e6:.2f} MB", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
