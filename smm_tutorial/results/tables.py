"""Tables of every task, as Markdown: scores of runs, compared runs by contestant, how long training
took.
"""

from collections.abc import Callable, Iterable, Mapping

from smm_tutorial.results.comparisons import (
    CRITERIA,
    Group,
    Place,
    Setting,
    describe_differences,
    find_number,
    read_groups,
)
from smm_tutorial.results.records import Protocol
from smm_tutorial.results.titles import CONTESTANT_TITLES


def markdown_table(rows: list[list[str]]) -> str:
    """Rows of cells, the first one the head, as a Markdown table."""
    head, *body = rows
    return "\n".join("| " + " | ".join(row) + " |" for row in [head, ["---"] * len(head), *body])


def score_table(
    records: Iterable[dict],
    columns: Mapping[Place, str],
    name_model: Callable[[dict], str],
    number_format: str = ".3f",
) -> str:
    """One line for each entry of each record's scores. columns: titles, by places in an entry."""
    rows = [["model", "scored on", "images", *columns.values(), "training"]]
    for record in records:
        for scores in record["scores"]:
            scored_on = Protocol.of(scores).title(record["task"])
            cells = [format(find_number(scores, place), number_format) for place in columns]
            model = [name_model(record), scored_on, str(scores["images"])]
            rows.append([*model, *cells, training_cell(record)])
    return markdown_table(rows)


def comparison_table(groups: list[Group], columns: Mapping[Place, str]) -> str:
    """One line for each contestant and setting: means ± standard deviations over seeds.

    columns: titles, by places in the scores on the setting's own test split.
    """
    head = ["slot module", "trained and scored on", *columns.values()]
    rows = [[*head, "seeds", "best seed", "training of each"]]
    for group in groups:
        cells = [spread_cell(group, group.setting.test_protocol, place) for place in columns]
        seeds = [str(len(group.records)), str(group.best["training"]["seed"])]
        training = mean_training_cell(group)
        rows.append([group.title, str(group.setting), *cells, *seeds, training])
    return markdown_table(rows)


def comparison_section(task: str, table: str) -> str:
    """A table of the compared runs, what their differences say, and how each contestant does on
    other data.
    """
    groups = read_groups(task)
    parts = [table, "\n".join(f"- {sentence}" for sentence in describe_differences(groups))]
    if any(len(record["scores"]) > 1 for group in groups for record in group.records):
        parts += [
            f"{title} on data of other kinds:\n\n{shift_table(groups, place)}"
            for place, title in CRITERIA[task].decisive.items()
        ]
    return "\n\n".join(part for part in parts if part)


def shift_table(groups: list[Group], place: Place) -> str:
    """One line for each protocol that compared models were scored by, one column for each
    contestant.
    """
    lines = dict.fromkeys(
        (group.setting, protocol := Protocol.of(scores), place, protocol.title(record["task"]))
        for group in groups
        for record in group.records
        for scores in record["scores"]
    )
    return contestant_table(groups, "scored on", list(lines))


def contestant_table(
    groups: list[Group], title: str, lines: list[tuple[Setting, Protocol, Place, str]]
) -> str:
    """One column for each contestant. A line is a setting, a protocol, the score's place, and the
    line's name.
    """
    present = {group.contestant for group in groups}
    contestants = [name for name in CONTESTANT_TITLES if name in present]
    found = {(group.setting, group.contestant): group for group in groups}
    rows = [["trained on", title, *(CONTESTANT_TITLES[name] for name in contestants)]]
    for setting, protocol, place, name in lines:
        of_setting = [found.get((setting, contestant)) for contestant in contestants]
        cells = [spread_cell(group, protocol, place) for group in of_setting]
        rows.append([str(setting), name, *cells])
    return markdown_table(rows)


def spread_cell(group: Group | None, protocol: Protocol, place: Place) -> str:
    """Mean and spread over seeds of one score; how many seeds, where they are few or not all."""
    spread = group and group.spread(protocol, place)
    if spread is None:
        return "–"
    if spread.seeds == 1:
        return f"{spread} (one seed)"
    if spread.seeds == len(group.records):
        return str(spread)
    return f"{spread} ({spread.seeds} of {len(group.records)} seeds)"


def search_table(records: Iterable[dict], scores: Mapping[str, str]) -> str:
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
        cells = [f"{last[name]:.3f}" for name in scores]
        rows.append([*chosen, *cells, str(training["seed"]), training_cell(record)])
    return markdown_table(rows)


def training_cell(record: dict) -> str:
    """How long a run took, and on what."""
    if record["purpose"] == "baseline":
        return "none"
    took = count_minutes(record["minutes"])
    return f"{record['step']:,} steps, {took}, {describe_hardware(record)}"


def mean_training_cell(group: Group) -> str:
    """How long each seed took on average, at which learning rate, and on what."""
    one = group.records[0]
    minutes = sum(record["minutes"] for record in group.records) / len(group.records)
    hardware = ", ".join(dict.fromkeys(describe_hardware(record) for record in group.records))
    rate = f"{one['training']['learning_rate']:g}"
    return f"{one['step']:,} steps at rate {rate}, {count_minutes(minutes)}, {hardware}"


def count_minutes(minutes: float) -> str:
    """Whole minutes in words, at least one."""
    whole = max(1, round(minutes))
    return f"{whole} minute{'' if whole == 1 else 's'}"


def describe_hardware(record: dict) -> str:
    """What a run used: GPUs, or threads of the CPU; the oldest records tell the cores alone."""
    hardware = record["provenance"]["hardware"]
    processes = hardware.get("processes", 1)
    if hardware["gpu"]:
        return hardware["gpu"] if processes == 1 else f"{processes} x {hardware['gpu']}"
    if (threads := hardware.get("threads")) is None:
        return f"{hardware['cpus']} CPU cores"
    threads *= processes
    return f"{threads} CPU thread{'' if threads == 1 else 's'}"
