"""Compared runs in numbers: seeds of one slot module, their mean and spread, and what a difference
between two says.

Runs of one setting share data, profile and image size. They must share everything else too but the
slot module, its learning rate and the seed; records that do not are refused, not averaged.
"""

from __future__ import annotations

import statistics
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import NamedTuple

from smm_tutorial.datasets.named_sets import EVALUATION_SETS, SET_EVALUATION_SETS

#: Every contestant, in the order of tables.
CONTESTANT_TITLES = {
    "attention": "Slot Attention",
    "attention-wide": "Slot Attention, slots twice as wide",
    "mixture-reduced": "SMM, slots reduced",
    "mixture": "SMM",
}
#: What each contestant is held against: Slot Attention as it is, and with as many numbers in a
#: slot.
BASELINES = {
    "attention-wide": ("attention",),
    "mixture-reduced": ("attention",),
    "mixture": ("attention", "attention-wide"),
}
OWN_CHOICES = {"slots", "slot_options", "slot_dim"}  # of a network's config, what a contestant is
LEAST_SEEDS = 3  # of each: two values say next to nothing about their spread


class Task(NamedTuple):
    """What is compared.

    decisive: where the scores lie that decide, and what tables call them. choosing: the score on
    the validation split that chooses the best seed.
    """

    decisive: dict[tuple[str, ...], str]
    choosing: str


#: By the kind of the records.
TASKS = {
    "comparison": Task({("fg_ari",): "FG-ARI", ("mbo",): "mBO"}, "fg_ari"),
    "set-comparison": Task(
        {
            ("ap", "inf"): "AP without a limit",
            ("ap", "0.5"): "AP at 0.5",
            ("ap", "0.25"): "AP at 0.25",
        },
        "ap_inf",
    ),
}


class Setting(NamedTuple):
    """What the runs of one comparison share."""

    data: str
    profile: str
    image_size: int

    @property
    def test_label(self) -> str:
        """What records call the test split of the data."""
        return (SET_EVALUATION_SETS | EVALUATION_SETS)[self.data].label

    def __str__(self) -> str:
        return f"{self.data}, {self.profile}, {self.image_size} px"


class Spread(NamedTuple):
    """Mean and standard deviation over seeds; a single one has no deviation."""

    mean: float
    deviation: float | None
    seeds: int

    @classmethod
    def of(cls, values: list[float]) -> Spread:
        return cls(
            statistics.fmean(values),
            statistics.stdev(values) if len(values) > 1 else None,
            len(values),
        )

    def __str__(self) -> str:
        return f"{self.mean:.3f}" + ("" if self.deviation is None else f" ± {self.deviation:.3f}")


@dataclass(frozen=True)
class Group:
    """All seeds of one contestant in one setting, by seed."""

    contestant: str
    setting: Setting
    records: tuple[dict, ...]

    @property
    def title(self) -> str:
        return CONTESTANT_TITLES[self.contestant]

    @property
    def task(self) -> Task:
        return TASKS[self.records[0]["kind"]]

    def spread(self, label: str, read: Callable[[dict], float | None]) -> Spread | None:
        """Over the seeds that were scored on the data of that label; None where none was.

        read: finds the number in the scores of one record, or None where it is not there.
        """
        values = [
            read(record["scores"][label]) for record in self.records if label in record["scores"]
        ]
        values = [value for value in values if value is not None]
        return Spread.of(values) if values else None

    @property
    def best(self) -> dict:
        """The record of the best seed on the validation split, at the end: the test split chooses
        nothing.
        """
        return max(self.records, key=lambda record: record["validation"][-1][self.task.choosing])


def groups(records: Iterable[dict]) -> list[Group]:
    """The records of compared runs of one task, by setting, then by contestant in the order of
    `CONTESTANT_TITLES`.

    Raises `ValueError` for two records of one setting that differ in more than slot module,
    learning rate and seed.
    """
    gathered: dict[tuple[Setting, str], list[dict]] = {}
    for record in records:
        setting = Setting(record["data"], record["profile"], record["config"]["image_size"])
        gathered.setdefault((setting, record["contestant"]), []).append(record)
    order = list(CONTESTANT_TITLES)
    found = [
        Group(
            contestant,
            setting,
            tuple(
                sorted(gathered[setting, contestant], key=lambda record: record["training"]["seed"])
            ),
        )
        for setting, contestant in sorted(gathered, key=lambda key: (key[0], order.index(key[1])))
    ]
    first: dict[Setting, dict] = {}
    for group in found:
        for record in group.records:
            _check_alike(
                first.setdefault(group.setting, record),
                record,
                OWN_CHOICES,
                {"seed", "learning_rate"},
            )
            _check_alike(group.records[0], record, set(), {"seed"})
    return found


def _check_alike(
    one: dict, other: dict, free_in_config: set[str], free_in_training: set[str]
) -> None:
    """Raises `ValueError` where two runs differ in what is not free."""
    differ = [("steps done", one["step"], other["step"])] if one["step"] != other["step"] else []
    for part, free in (("config", free_in_config), ("training", free_in_training)):
        keys = sorted((one[part].keys() | other[part].keys()) - free)
        differ += [
            (key, a, b) for key in keys if (a := one[part].get(key)) != (b := other[part].get(key))
        ]
    if differ:
        what = "; ".join(f"{key}: {a} and {b}" for key, a, b in differ)
        raise ValueError(
            f"{one['name']} and {other['name']} are not comparable, they differ in {what}: train both alike, or take one of "
            "them out of data/results"
        )


def at(scores: dict, place: tuple[str, ...]) -> float | None:
    """The number at that place in nested scores, None where it is not there."""
    for key in place:
        if key not in scores:
            return None
        scores = scores[key]
    return scores


def difference_sentence(ours: Group, baseline: Group, place: tuple[str, ...]) -> str:
    """Whether two contestants differ by more than their seeds do, in words. place: a key of the
    task's `decisive`.

    The spread of the difference is the root of the sum of both variances over seeds: how far one
    run of each may lie apart by luck. That is a yardstick, no test of significance.
    """
    label = ours.setting.test_label
    ours_spread, base = (
        group.spread(label, lambda scores: at(scores, place)) for group in (ours, baseline)
    )
    what = f"{ours.title} minus {baseline.title}, {ours.task.decisive[place]} on {label} ({ours.setting})"
    if ours_spread is None or base is None:
        return f"{what}: not scored yet."
    difference = ours_spread.mean - base.mean
    seeds = f"{ours_spread.seeds} and {base.seeds} seeds"
    if min(ours_spread.seeds, base.seeds) < LEAST_SEEDS:
        return f"{what}: {difference:+.3f} ({seeds}): nothing is shown before both have {LEAST_SEEDS} seeds."
    spread = (ours_spread.deviation**2 + base.deviation**2) ** 0.5
    if abs(difference) <= spread:
        verdict = "within the spread, neither is shown to be better"
    else:
        verdict = f"beyond the spread, in favour of {(ours if difference > 0 else baseline).title}"
    return f"{what}: {difference:+.3f} ± {spread:.3f} ({seeds}): {verdict}."


def difference_sentences(found: list[Group]) -> list[str]:
    """Every contestant against its `BASELINES` in its own setting, by each of the scores that
    decide.
    """
    by_place = {(group.setting, group.contestant): group for group in found}
    return [
        difference_sentence(group, by_place[group.setting, baseline], place)
        for group in found
        for baseline in BASELINES.get(group.contestant, ())
        if (group.setting, baseline) in by_place
        for place in group.task.decisive
    ]
