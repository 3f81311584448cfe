"""What the tables of every experiment share: Markdown, compared runs by contestant, how long
training took.
"""

from collections.abc import Mapping

from smm_tutorial.results.comparisons import (
    CONTESTANT_TITLES,
    TASKS,
    Group,
    Setting,
    at,
    difference_sentences,
    groups,
)
from smm_tutorial.results.records import read_records


def markdown_table(rows: list[list[str]]) -> str:
    """Rows of cells, the first one the head, as a Markdown table."""
    head, *body = rows
    return "\n".join("| " + " | ".join(row) + " |" for row in [head, ["---"] * len(head), *body])


def compared(kind: str) -> list[Group]:
    """The compared runs in `data/results`, of a key of `comparisons.TASKS`."""
    return groups(read_records(f"{kind}-*"))


def comparison_section(kind: str, table: str) -> str:
    """A table of the compared runs, what its differences say, and how each slot module does on
    other data.
    """
    found = compared(kind)
    parts = [table, "\n".join(f"- {sentence}" for sentence in difference_sentences(found))]
    if any(len(record["scores"]) > 1 for group in found for record in group.records):
        decisive = TASKS[kind].decisive.items()
        parts += [
            f"{title} on data of other kinds:\n\n{shift_table(kind, place)}"
            for place, title in decisive
        ]
    return "\n\n".join(part for part in parts if part)


def shift_table(kind: str, place: tuple[str, ...]) -> str:
    """One line for each data set that compared models were scored on, one column for each slot
    module.
    """
    found = compared(kind)
    places = dict.fromkeys(
        (g.setting, label) for g in found for record in g.records for label in record["scores"]
    )
    return by_contestant(
        found, "scored on", [(setting, label, place, label) for setting, label in places]
    )


def by_contestant(
    found: list[Group], title: str, lines: list[tuple[Setting, str, tuple[str, ...], str]]
) -> str:
    """A column for each contestant; each line is a setting, the label of a data set, where the
    score is in it, and a name.
    """
    contestants = [
        name for name in CONTESTANT_TITLES if any(group.contestant == name for group in found)
    ]
    by_place = {(group.setting, group.contestant): group for group in found}
    rows = [["trained on", title, *(CONTESTANT_TITLES[name] for name in contestants)]]
    for setting, label, place, name in lines:
        cells = [
            cell(by_place.get((setting, contestant)), label, place) for contestant in contestants
        ]
        rows.append([str(setting), name, *cells])
    return markdown_table(rows)


def cell(group: Group | None, label: str, place: tuple[str, ...]) -> str:
    """Mean and spread over seeds of the score at a place in the scores on a data set; how many,
    where they are few.
    """
    spread = group and group.spread(label, lambda scores: at(scores, place))
    if spread is None:
        return "–"
    if spread.seeds == 1:
        return f"{spread} (one seed)"
    return (
        str(spread)
        if spread.seeds == len(group.records)
        else f"{spread} ({spread.seeds} of {len(group.records)} seeds)"
    )


def search_table(records: list[dict], scores: Mapping[str, str]) -> str:
    """Scores on the validation split by learning rate, of runs that seek the best. scores: titles,
    by the names in the log.
    """
    titles = (f"{title}, validation" for title in scores.values())
    rows = [["slot module", "learning rate", *titles, "seed", "training"]]
    order = list(CONTESTANT_TITLES)
    for record in sorted(
        records, key=lambda r: (order.index(r["contestant"]), r["training"]["learning_rate"])
    ):
        last, training = record["validation"][-1], record["training"]
        chosen = [CONTESTANT_TITLES[record["contestant"]], f"{training['learning_rate']:g}"]
        rows.append(
            [
                *chosen,
                *(f"{last[name]:.3f}" for name in scores),
                str(training["seed"]),
                training_cell(record),
            ]
        )
    return markdown_table(rows)


def training_cell(record: dict) -> str:
    """How long a run took, and where."""
    if "training" not in record:
        return "none"
    return f"{record['step']:,} steps, {record['minutes']:.0f} minutes, {hardware_cell(record)}"


def training_of_all_cell(group: Group) -> str:
    """How long each seed took on average, at which learning rate, and where."""
    one, minutes = (
        group.records[0],
        sum(record["minutes"] for record in group.records) / len(group.records),
    )
    where = ", ".join(dict.fromkeys(hardware_cell(record) for record in group.records))
    return f"{one['step']:,} steps at rate {one['training']['learning_rate']:g}, {minutes:.0f} minutes, {where}"


def hardware_cell(record: dict) -> str:
    """The GPU, or how many cores."""
    hardware = record["provenance"]["hardware"]
    return hardware["gpu"] or f"{hardware['cpus']} CPU cores"
