"""How long a notebook takes: `python -m smm_tutorial.exercises.minutes` writes it into the headers.

Reading is counted: words of prose, lines of code, figures and displayed formulas, each by a rate
below. A task says how long it takes. Running is measured by `make notebooks`, which keeps the
seconds of the last run per profile in `run_seconds.json` beside the sources. Nobody was timed; the
rates were chosen so that they give about the minutes that first readers reported.
"""

import json
import re
import sys
from dataclasses import dataclass
from pathlib import Path

import jupytext
from nbformat import NotebookNode

from smm_tutorial.course.notebooks import notebook_path, read_run_seconds, source_paths
from smm_tutorial.exercises.core import find_task
from smm_tutorial.files import write_atomically
from smm_tutorial.paths import repository_root

WORDS = 130  # per minute, in another language than one's own
CODE_LINES = 20  # per minute
MINUTES_PER_FIGURE = 0.5
MINUTES_PER_FORMULA = 1.0
ROUND_TO = 5  # minutes of reading
EXERCISE = re.compile(r"^@exercise\(\"([\w.]+)\"\)", re.MULTILINE)
FIGURE = re.compile(r"^\s*show\(", re.MULTILINE)
FORMULA = re.compile(r"\$\$.+?\$\$", re.DOTALL)
WORD = re.compile(r"\w+")
LINE = re.compile(r"^\*\*Minutes\.\*\* .*$", re.MULTILINE)
ROW = r"(\(notebooks/{stem}\.ipynb\) \|[^|]*\|)[^|]*\|[^|]*\|[^|]*\|"


@dataclass(frozen=True)
class Minutes:
    """Of a notebook. running: by profile, where it was measured."""

    reading: int
    exercises: int
    running: dict[str, float]

    @property
    def total(self) -> int:
        """With the run on a laptop: the sum of what is shown."""
        return self.reading + self.exercises + self.to_run("laptop")

    def to_run(self, profile: str) -> int:
        """Whole minutes, at least one; 0 where the run was not measured."""
        return max(1, round(self.running[profile])) if profile in self.running else 0

    def __str__(self) -> str:
        parts = [f"{self.reading} to read"]
        if self.exercises:
            parts.append(f"{self.exercises} for the exercises")
        for profile, name in {"laptop": "a laptop", "gpu": "a GPU"}.items():
            if profile in self.running:
                parts.append(f"{self.to_run(profile)} to run on {name}")
        return f"About {self.total}: {', '.join(parts)}."


def count_minutes(source: Path) -> Minutes:
    """How long the notebook made from a source takes."""
    notebook = jupytext.read(source)
    prose, code = _text(notebook, "markdown"), _text(notebook, "code", skip=1)
    lines = [line for line in code.splitlines() if line.strip() and line.strip()[0] != "#"]
    reading = len(WORD.findall(FORMULA.sub("", prose))) / WORDS + len(lines) / CODE_LINES
    reading += MINUTES_PER_FIGURE * len(FIGURE.findall(code))
    reading += MINUTES_PER_FORMULA * len(FORMULA.findall(prose))
    exercises = sum(find_task(name).minutes for name in EXERCISE.findall(code))
    seconds = read_run_seconds(source.parent).get(source.stem, {})
    running = {profile: value / 60 for profile, value in seconds.items()}
    return Minutes(max(ROUND_TO, _round(reading)), exercises, running)


def _text(notebook: NotebookNode, kind: str, skip: int = 0) -> str:
    """The cells of a kind, without the first few."""
    return "\n".join([cell.source for cell in notebook.cells if cell.cell_type == kind][skip:])


def _round(minutes: float) -> int:
    return ROUND_TO * round(minutes / ROUND_TO)


def fill_header(text: str, minutes: Minutes) -> str:
    """A notebook's first cell with its line about minutes brought up to date."""
    return LINE.sub(f"**Minutes.** {minutes}", text, count=1)


def fill_table(readme: str, stem: str, minutes: Minutes) -> str:
    """The README with the row of a notebook in its table brought up to date."""
    cells = f" {minutes.reading} | {minutes.exercises} | {minutes.to_run('laptop') or ''} |"
    return re.sub(ROW.format(stem=stem), rf"\g<1>{cells}", readme)


def main() -> None:
    """Writes the minutes into every source, every notebook and the README's table."""
    root = repository_root()
    if root is None:
        sys.exit("the notebooks are in the repository, not in the installed package: clone it")
    readme = (root / "README.md").read_text()
    for source in source_paths(root / "notebooks"):
        minutes = count_minutes(source)
        line = re.compile(LINE.pattern.replace(r"^\*\*", r"^# \*\*", 1), re.MULTILINE)
        text = line.sub(f"# **Minutes.** {minutes}", source.read_text(), count=1)
        write_atomically(source, text.encode())
        path = notebook_path(source)
        notebook = json.loads(path.read_text())
        first = notebook["cells"][0]
        header = fill_header("".join(first["source"]), minutes)
        first["source"] = header.splitlines(keepends=True)
        content = json.dumps(notebook, indent=1, ensure_ascii=False) + "\n"
        write_atomically(path, content.encode())
        readme = fill_table(readme, source.stem, minutes)
        print(f"{source.stem}: {minutes}")
    write_atomically(root / "README.md", readme.encode())


if __name__ == "__main__":
    main()
