"""What every notebook must keep to: a rule takes a notebook and its name and returns what is wrong,
in words.
"""

import re
from collections.abc import Callable

from nbformat import NotebookNode

LONGEST_CELL = 25  # lines
LEAST_EXERCISES = 3
SHORTEST_ALT = 20  # characters
IMAGE_TYPES = ("image/png", "image/jpeg", "image/svg+xml", "image/gif")
WIDGET_VIEW = "application/vnd.jupyter.widget-view+json"
HEADER_PARTS = {
    "a title": r"\A# \d\d · \S",
    "what you will do": r"^\*\*What you will do\.\*\* \S",
    "what you will be able to do": r"^\*\*What you will be able to do\.\*\* \S",
    "what you need": r"^\*\*What you need\.\*\* \S",
    "minutes on laptop and GPU": r"^\*\*Minutes\.\*\* Laptop [\d.]+, GPU [\d.]+\.",
}
LAST_SECTIONS = ("## Summary", "## Further reading")
EXERCISE = re.compile(r"^@exercise\(\"([\w.]+)\"\)", re.MULTILINE)
MARKDOWN_IMAGE = re.compile(r"!\[([^\]]*)\]\(")
HTML_IMAGE = re.compile(r"<img\b[^>]*>", re.IGNORECASE)
HTML_ALT = re.compile(r"""\balt=(["'])(.*?)\1""", re.IGNORECASE | re.DOTALL)

Rule = Callable[[NotebookNode, str], list[str]]


def code_cells(notebook: NotebookNode) -> list[tuple[int, NotebookNode]]:
    """Code cells that hold code, with their numbers among all cells, from 1."""
    cells = enumerate(notebook.cells, start=1)
    return [
        (number, cell) for number, cell in cells if cell.cell_type == "code" and cell.source.strip()
    ]


def markdown(notebook: NotebookNode) -> str:
    """All prose, one cell after the other."""
    return "\n\n".join(cell.source for cell in notebook.cells if cell.cell_type == "markdown")


def is_executed_in_order(notebook: NotebookNode, name: str) -> list[str]:
    """Counts 1, 2, 3, ...: made by one run from top to bottom in a fresh kernel."""
    counts = [cell.execution_count for _, cell in code_cells(notebook)]
    wanted = list(range(1, len(counts) + 1))
    return [] if counts == wanted else [f"execution counts are {counts}: run `make notebooks`"]


def has_outputs(notebook: NotebookNode, name: str) -> list[str]:
    """A reader on a code host sees results; a cell that only defines or asserts may stay silent."""
    if any(cell.outputs for _, cell in code_cells(notebook)):
        return []
    return ["no cell has an output: run `make notebooks`"]


def has_no_error(notebook: NotebookNode, name: str) -> list[str]:
    """No traceback is published."""
    return [
        f"cell {number} ends in {output.ename}: {output.evalue}"
        for number, cell in code_cells(notebook)
        for output in cell.outputs
        if output.output_type == "error"
    ]


def has_no_noise(notebook: NotebookNode, name: str) -> list[str]:
    """Warnings and progress bars differ from run to run and teach nothing."""
    return [
        f"cell {number} writes to stderr: {output.text.strip()[:80]!r}"
        for number, cell in code_cells(notebook)
        for output in cell.outputs
        if output.output_type == "stream" and output.name == "stderr"
    ]


def has_no_widget_state(notebook: NotebookNode, name: str) -> list[str]:
    """Widget state breaks rendering on code hosts, and a view without it shows nothing."""
    problems = (
        ["metadata.widgets is there: run `make notebooks`"]
        if "widgets" in notebook.metadata
        else []
    )
    return problems + [
        f"cell {number} holds a widget view: run `make notebooks`"
        for number, cell in code_cells(notebook)
        for output in cell.outputs
        if WIDGET_VIEW in output.get("data", {})
    ]


def has_a_full_header(notebook: NotebookNode, name: str) -> list[str]:
    """The first cell says what the notebook is and what it takes."""
    header = (
        notebook.cells[0].source
        if notebook.cells and notebook.cells[0].cell_type == "markdown"
        else ""
    )
    missing = [
        part
        for part, pattern in HEADER_PARTS.items()
        if not re.search(pattern, header, re.MULTILINE)
    ]
    number = re.match(r"# (\d\d) ", header)
    if number and not name.startswith(number[1]):
        return [f"the title says {number[1]}, the file's name {name}"]
    return [f"the header lacks {part}" for part in missing]


def closes_well(notebook: NotebookNode, name: str) -> list[str]:
    """A summary, then further reading with a sentence on each entry."""
    text = markdown(notebook)
    places = [text.find(f"{heading}\n") for heading in LAST_SECTIONS]
    if min(places) < 0 or places[0] > places[1]:
        return [f"it does not close with the sections {' and '.join(LAST_SECTIONS)}"]
    entries = re.findall(r"^- .*(?:\n  .*)*", text[places[1] :], re.MULTILINE)
    bare = [
        entry for entry in entries if len(re.sub(r"\[[^\]]*\]\([^)]*\)", "", entry)) < SHORTEST_ALT
    ]
    problems = [f"further reading says nothing about {entry!r}" for entry in bare]
    return problems if entries else ["further reading is empty"]


def has_exercises(notebook: NotebookNode, name: str) -> list[str]:
    """At least three, and a question before a result; 00_welcome only shows what is to come, and
    has none.
    """
    if name.startswith("00_"):
        return []
    found = [match for _, cell in code_cells(notebook) for match in EXERCISE.findall(cell.source)]
    problems = (
        []
        if len(set(found)) >= LEAST_EXERCISES
        else [f"it has {len(set(found))} exercises, not three: {found}"]
    )
    return (
        problems
        if "**Predict first.**" in markdown(notebook)
        else [*problems, "it never asks to predict first"]
    )


def leaves_exercises_open(notebook: NotebookNode, name: str) -> list[str]:
    """What is committed has no exercise done, and still ran to its end."""
    return [
        f"cell {number}: an exercise is done or wrong; only its stub belongs here"
        for number, cell in code_cells(notebook)
        if EXERCISE.search(cell.source)
        and not any(
            "[To do]" in output.get("data", {}).get("text/plain", "") for output in cell.outputs
        )
    ]


def has_short_cells(notebook: NotebookNode, name: str) -> list[str]:
    """No cell over 25 lines."""
    return [
        f"cell {number} has {len(cell.source.splitlines())} lines, more than {LONGEST_CELL}: one idea a cell"
        for number, cell in enumerate(notebook.cells, start=1)
        if len(cell.source.splitlines()) > LONGEST_CELL
    ]


def describes_its_figures(notebook: NotebookNode, name: str) -> list[str]:
    """Every image has alt text: those that cells make, and those that prose embeds."""
    problems = []
    for number, cell in code_cells(notebook):
        for output in cell.outputs:
            data, metadata = output.get("data", {}), output.get("metadata", {})
            for kind in IMAGE_TYPES:
                if kind in data and len(metadata.get(kind, {}).get("alt", "")) < SHORTEST_ALT:
                    problems.append(
                        f"cell {number} makes an image without alt text: use show(figure, alt=...)"
                    )
            problems += [
                f"cell {number}: {problem}"
                for problem in undescribed_images(data.get("text/html", ""))
            ]
    return problems + undescribed_images(markdown(notebook))


def undescribed_images(text: str) -> list[str]:
    """Images in Markdown or HTML whose alt text is missing or empty."""
    problems = [
        f"an image without alt text: {match[0]}..."
        for match in MARKDOWN_IMAGE.finditer(text)
        if not match[1]
    ]
    for tag in HTML_IMAGE.findall(text):
        alt = HTML_ALT.search(tag)
        if alt is None or not alt[2].strip():
            problems.append(f"an image without alt text: {tag[:60]}...")
    return problems


RULES: tuple[Rule, ...] = (
    is_executed_in_order,
    has_outputs,
    has_no_error,
    has_no_noise,
    has_no_widget_state,
    has_a_full_header,
    closes_well,
    has_exercises,
    leaves_exercises_open,
    has_short_cells,
    describes_its_figures,
)
