"""What every notebook must keep to: a rule returns what is wrong with a notebook, in words."""

import ast
import re
from collections.abc import Callable

from nbformat import NotebookNode

from smm_tutorial.exercises.minutes import EXERCISE

LONGEST_CELL = 25  # lines
MOST_MODULES = 12
LEAST_EXERCISES = 3
SHORTEST_ALT = 20  # characters
IMAGE_TYPES = ("image/png", "image/jpeg", "image/svg+xml", "image/gif")
WIDGET_VIEW = "application/vnd.jupyter.widget-view+json"
HEADER_PARTS = {
    "a title": r"\A# \d\d · \S",
    "what you will do": r"^\*\*What you will do\.\*\* \S",
    "what you will be able to do": r"^\*\*What you will be able to do\.\*\* \S",
    "what you need": r"^\*\*What you need\.\*\* \S",
    "minutes": r"^\*\*Minutes\.\*\* About \d+: \d+ to read.*\.$",
}
LAST_SECTIONS = ("## Summary", "## Further reading")
MARKDOWN_IMAGE = re.compile(r"!\[([^\]]*)\]\(")
HTML_IMAGE = re.compile(r"<img\b[^>]*>", re.IGNORECASE)
HTML_ALT = re.compile(r"""\balt=(["'])(.*?)\1""", re.IGNORECASE | re.DOTALL)

#: The library's modules whose names stay, beside the rooms' faces.
STABLE_MODULES = ("smm_tutorial.scenes.masks", "smm_tutorial.scenes.raytrace")
#: Whose files a notebook may import from, since they are its subject.
SUBJECTS = {"04_clevr_scenes": "smm_tutorial.scenes"}

Rule = Callable[[NotebookNode, str], list[str]]


def code_cells(notebook: NotebookNode) -> list[tuple[int, NotebookNode]]:
    """Code cells that hold code, with their numbers among all cells, from 1."""
    cells = enumerate(notebook.cells, start=1)
    return [(n, cell) for n, cell in cells if cell.cell_type == "code" and cell.source.strip()]


def markdown(notebook: NotebookNode) -> str:
    """All prose, one cell after the other."""
    return "\n\n".join(cell.source for cell in notebook.cells if cell.cell_type == "markdown")


def imported_modules(notebook: NotebookNode) -> list[tuple[int, str]]:
    """The library's modules that code cells import, with the cells' numbers.

    The first code cell is left out: it is the same in every notebook and fetches the library.
    """
    found = []
    for number, cell in code_cells(notebook)[1:]:
        for node in ast.walk(ast.parse(cell.source)):
            if isinstance(node, ast.ImportFrom) and node.module == "smm_tutorial":
                found += [(number, f"smm_tutorial.{alias.name}") for alias in node.names]
            elif isinstance(node, ast.ImportFrom):
                found.append((number, node.module))
            elif isinstance(node, ast.Import):
                found += [(number, alias.name) for alias in node.names]
    return [(number, name) for number, name in found if name.split(".")[0] == "smm_tutorial"]


def imports_from_faces(notebook: NotebookNode, name: str) -> list[str]:
    """Notebooks import rooms, `smm_tutorial.<room>`, and no files inside rooms."""
    return [
        f"cell {number} imports {module}: import from the room's face, {face}"
        for number, module in imported_modules(notebook)
        if (face := ".".join(module.split(".")[:2])) != module
        and face != SUBJECTS.get(name)
        and module not in STABLE_MODULES
    ]


def imports_few_modules(notebook: NotebookNode, name: str) -> list[str]:
    """A reader meets at most twelve modules of the library in a notebook."""
    modules = sorted({module for _, module in imported_modules(notebook)})
    if len(modules) <= MOST_MODULES:
        return []
    return [f"it imports {len(modules)} modules, more than {MOST_MODULES}: {', '.join(modules)}"]


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
    state = ["metadata.widgets is there: run `make notebooks`"]
    return (state if "widgets" in notebook.metadata else []) + [
        f"cell {number} holds a widget view: run `make notebooks`"
        for number, cell in code_cells(notebook)
        for output in cell.outputs
        if WIDGET_VIEW in output.get("data", {})
    ]


def has_a_full_header(notebook: NotebookNode, name: str) -> list[str]:
    """The first cell says what the notebook is and what it takes."""
    first = notebook.cells[:1]
    header = first[0].source if first and first[0].cell_type == "markdown" else ""
    number = re.match(r"# (\d\d) ", header)
    if number and not name.startswith(number[1]):
        return [f"the title says {number[1]}, the file's name {name}"]
    parts = HEADER_PARTS.items()
    missing = [part for part, pattern in parts if not re.search(pattern, header, re.MULTILINE)]
    return [f"the header lacks {part}" for part in missing]


def closes_well(notebook: NotebookNode, name: str) -> list[str]:
    """A summary, then further reading with a sentence on each entry."""
    text = markdown(notebook)
    places = [text.find(f"{heading}\n") for heading in LAST_SECTIONS]
    if min(places) < 0 or places[0] > places[1]:
        return [f"it does not close with the sections {' and '.join(LAST_SECTIONS)}"]
    entries = re.findall(r"^- .*(?:\n  .*)*", text[places[1] :], re.MULTILINE)
    rests = {entry: re.sub(r"\[[^\]]*\]\([^)]*\)", "", entry) for entry in entries}
    bare = [entry for entry in entries if len(rests[entry]) < SHORTEST_ALT]
    problems = [f"further reading says nothing about {entry!r}" for entry in bare]
    return problems if entries else ["further reading is empty"]


def has_exercises(notebook: NotebookNode, name: str) -> list[str]:
    """At least three, and a question before a result. 00_welcome needs none: it is a preview."""
    if name.startswith("00_"):
        return []
    found = [match for _, cell in code_cells(notebook) for match in EXERCISE.findall(cell.source)]
    problems = []
    if len(set(found)) < LEAST_EXERCISES:
        problems.append(f"it has {len(set(found))} exercises, not three: {found}")
    if "**Predict first.**" not in markdown(notebook):
        problems.append("it never asks to predict first")
    return problems


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
        f"cell {number} has {lines} lines, more than {LONGEST_CELL}: one idea a cell"
        for number, cell in enumerate(notebook.cells, start=1)
        if (lines := len(cell.source.splitlines())) > LONGEST_CELL
    ]


def describes_its_figures(notebook: NotebookNode, name: str) -> list[str]:
    """Every image has alt text: those that cells make, and those that prose embeds."""
    problems = []
    for number, cell in code_cells(notebook):
        for output in cell.outputs:
            data = output.get("data", {})
            metadata = output.get("metadata", {})
            alts = [metadata.get(kind, {}).get("alt", "") for kind in IMAGE_TYPES if kind in data]
            if any(len(alt) < SHORTEST_ALT for alt in alts):
                remedy = "use show(figure, alt=...)"
                problems.append(f"cell {number} makes an image without alt text: {remedy}")
            undescribed = undescribed_images(data.get("text/html", ""))
            problems += [f"cell {number}: {problem}" for problem in undescribed]
    return problems + undescribed_images(markdown(notebook))


def undescribed_images(text: str) -> list[str]:
    """Images in Markdown or HTML whose alt text is missing or empty."""
    images = MARKDOWN_IMAGE.finditer(text)
    problems = [f"an image without alt text: {match[0]}..." for match in images if not match[1]]
    for tag in HTML_IMAGE.findall(text):
        alt = HTML_ALT.search(tag)
        if alt is None or not alt[2].strip():
            problems.append(f"an image without alt text: {tag[:60]}...")
    return problems


#: Rules that a source must keep to, before it is executed.
SOURCE_RULES: tuple[Rule, ...] = (imports_from_faces, imports_few_modules)
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
