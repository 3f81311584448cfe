"""Markdown tables for every task: scores of runs, compared runs, and the time of their training."""

from collections.abc import Callable, Iterable, Mapping

from smm_tutorial.results.comparisons import (
    CRITERIA,
    Group,
    Place,
    Setting,
    describe_differences,
    describe_finding,
    find_number,
    index_groups,
    read_groups,
)
from smm_tutorial.results.records import Protocol
from smm_tutorial.results.titles import CONTESTANT_TITLES


def markdown_table(rows: list[list[str]]) -> str:
    """Formats rows of cells as a Markdown table. The first row is the head."""
    head, *body = rows
    return "\n".join("| " + " | ".join(row) + " |" for row in [head, ["---"] * len(head), *body])


def score_table(
    records: Iterable[dict],
    columns: Mapping[Place, str],
    name_model: Callable[[dict], str],
    number_format: str = ".3f",
) -> str:
    """Makes a table with one row per record and evaluation.

    Args:
        records: records of one task.
        columns: the titles of the columns, by the places of the scores in an entry.
        name_model: makes the model's title from its record.
        number_format: the format of the scores.
    """
    rows = [["model", "scored on", "images", *columns.values(), "training"]]
    for record in records:
        for scores in record["scores"]:
            scored_on = Protocol.of(scores).title(record["task"])
            numbers = [find_number(scores, place) for place in columns]
            cells = ["–" if one is None else format(one, number_format) for one in numbers]
            model = [name_model(record), scored_on, str(scores["images"])]
            rows.append([*model, *cells, training_cell(record)])
    return markdown_table(rows)


def comparison_table(groups: list[Group], columns: Mapping[Place, str]) -> str:
    """Makes a table with one row per contestant and setting: means ± deviations over seeds.

    The scores are those on the test split of the setting's data. columns: the titles of the
    columns, by the places of the scores.
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
    """Joins a table of the compared runs, the finding, all differences, and tables for other data.

    task: the task of the runs. table: the table of the compared runs.
    """
    groups = read_groups(task)
    differences = "\n".join(f"- {sentence}" for sentence in describe_differences(groups))
    parts = [table, "\n".join(describe_finding(groups)), differences]
    if any(len(record["scores"]) > 1 for group in groups for record in group.records):
        parts += [
            f"{title} on data of other kinds:\n\n{shift_table(groups, place)}"
            for place, title in CRITERIA[task].decisive.items()
        ]
    return "\n\n".join(part for part in parts if part)


def shift_table(groups: list[Group], place: Place) -> str:
    """Makes a table with one row per protocol of the evaluations, and one column per contestant.

    place: the place of the score in the cells.
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
    """Makes a table with one column per contestant.

    title: head of the column with the names of the rows. lines: for each row its setting, the
    protocol, the place of the score, and the name of the row.
    """
    present = {group.contestant for group in groups}
    contestants = [name for name in CONTESTANT_TITLES if name in present]
    found = index_groups(groups)
    rows = [["trained on", title, *(CONTESTANT_TITLES[name] for name in contestants)]]
    for setting, protocol, place, name in lines:
        of_setting = [found.get((setting, contestant)) for contestant in contestants]
        cells = [spread_cell(group, protocol, place) for group in of_setting]
        rows.append([str(setting), name, *cells])
    return markdown_table(rows)


def spread_cell(group: Group | None, protocol: Protocol, place: Place) -> str:
    """Formats mean and spread of a score over seeds, or a dash without scores.

    The cell also names the number of seeds if there is one seed, or if some seeds lack the score.
    """
    spread = group and group.spread(protocol, place)
    if spread is None:
        return "–"
    if spread.seeds == 1:
        return f"{spread} (one seed)"
    if spread.seeds == len(group.records):
        return str(spread)
    return f"{spread} ({spread.seeds} of {len(group.records)} seeds)"


def search_table(records: Iterable[dict], scores: Mapping[str, str]) -> str:
    """Makes the table of a search for learning rates, with scores on the validation split.

    records: runs with the purpose `search`. scores: the titles of the scores, by their names in the
    log.
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
    """Formats the steps, the time and the hardware of a run's training. On GPUs, also its speed."""
    if record["purpose"] == "baseline":
        return "none"
    took = count_minutes(record["minutes"])
    cell = f"{record['step']:,} steps, {took}, {describe_hardware(record)}"
    if not record["provenance"]["hardware"]["gpu"]:
        return cell
    memory = record["peak_memory_mib"]
    return f"{cell}, {record['images_per_s']:,.0f} images/s, {memory:,.0f} MiB of GPU memory"


def mean_training_cell(group: Group) -> str:
    """Formats steps, learning rate, mean time per seed and hardware of a group's training."""
    one = group.records[0]
    minutes = sum(record["minutes"] for record in group.records) / len(group.records)
    hardware = ", ".join(dict.fromkeys(describe_hardware(record) for record in group.records))
    rate = f"{one['training']['learning_rate']:g}"
    return f"{one['step']:,} steps at rate {rate}, {count_minutes(minutes)}, {hardware}"


def count_minutes(minutes: float) -> str:
    """Formats a time in whole minutes, at least one minute."""
    whole = max(1, round(minutes))
    return f"{whole} minute{'' if whole == 1 else 's'}"


def describe_hardware(record: dict) -> str:
    """Formats the hardware of a run: its GPUs, or its threads on the CPU.

    The oldest records hold only the number of CPU cores.
    """
    hardware = record["provenance"]["hardware"]
    processes = hardware.get("processes", 1)
    if hardware["gpu"]:
        return hardware["gpu"] if processes == 1 else f"{processes} x {hardware['gpu']}"
    if (threads := hardware.get("threads")) is None:
        return f"{hardware['cpus']} CPU cores"
    threads *= processes
    return f"{threads} CPU thread{'' if threads == 1 else 's'}"
