"""Statistics of the compared runs: mean and spread over seeds, and differences between contestants.

Runs of one setting share task, data, profile and image size. They may differ only in the slot
module, its learning rate and the seed. If they differ in anything else, `group_records` raises
`ValueError`.
"""

from __future__ import annotations

import statistics
from collections.abc import Iterable
from dataclasses import dataclass
from typing import NamedTuple

from smm_tutorial.results.records import Protocol, find_scores, read_records
from smm_tutorial.results.titles import CONTESTANT_TITLES

#: The contestants with which each contestant is compared: Slot Attention, and Slot Attention with
#: as many numbers per slot.
HELD_AGAINST = {
    "attention-wide": ("attention",),
    "mixture-reduced": ("attention",),
    "mixture-fixed": ("attention",),
    "mixture": ("attention", "attention-wide", "mixture-fixed"),
}
OWN_CHOICES = {"slots", "slot_options", "slot_dim"}  # fields of a network's config per contestant
LEAST_SEEDS = 3  # of each contestant: two values say almost nothing about their spread

#: The keys that lead to a number in nested scores, from the outermost key on.
Place = tuple[str, ...]


class Criteria(NamedTuple):
    """The scores that compare contestants.

    decisive: the scores that decide, with their titles in tables, by their place. choosing: the
    score on the validation split that chooses the best seed.
    """

    decisive: dict[Place, str]
    choosing: str


#: The criteria by task.
CRITERIA = {
    "discovery": Criteria({("fg_ari",): "FG-ARI", ("mbo",): "mBO"}, "fg_ari"),
    "set-prediction": Criteria(
        {
            ("ap", "inf"): "AP without a threshold",
            ("ap", "0.5"): "AP at 0.5",
            ("ap", "0.25"): "AP at 0.25",
        },
        "ap_inf",
    ),
    "reconstruction": Criteria(
        {
            ("generated", "psnr"): "PSNR of generated pictures",
            ("teacher_forced", "psnr"): "PSNR, teacher forced",
            ("fg_ari",): "FG-ARI",
        },
        "teacher_forced_psnr",
    ),
}


class Setting(NamedTuple):
    """The settings that all runs of a comparison share. image_size: pixels per side."""

    task: str
    data: str
    profile: str
    image_size: int

    @property
    def test_protocol(self) -> Protocol:
        """The protocol of the comparison: one start, all slots, test split of the data."""
        return Protocol(self.data)

    def __str__(self) -> str:
        return f"{self.data}, {self.profile}, {self.image_size} px"


class Spread(NamedTuple):
    """Mean and standard deviation over seeds. A single seed has no deviation (None)."""

    mean: float
    deviation: float | None
    seeds: int

    @classmethod
    def of(cls, values: list[float]) -> Spread:
        deviation = statistics.stdev(values) if len(values) > 1 else None
        return cls(statistics.fmean(values), deviation, len(values))

    def __str__(self) -> str:
        return f"{self.mean:.3f}" + ("" if self.deviation is None else f" ± {self.deviation:.3f}")


@dataclass(frozen=True)
class Group:
    """All runs of one contestant in one setting, in the order of their seeds."""

    contestant: str
    setting: Setting
    records: tuple[dict, ...]

    @property
    def title(self) -> str:
        return CONTESTANT_TITLES[self.contestant]

    def spread(self, protocol: Protocol, place: Place) -> Spread | None:
        """Computes mean and deviation of a score over the seeds that have this score.

        protocol: how the models were scored. place: the place of the score. Returns None if no seed
        has this score.
        """
        entries = [find_scores(record, *protocol) for record in self.records]
        values = [find_number(scores or {}, place) for scores in entries]
        values = [value for value in values if value is not None]
        return Spread.of(values) if values else None

    @property
    def best(self) -> dict:
        """The record of the best seed: it has the best last score on the validation split.

        The test split does not choose the seed.
        """
        score = CRITERIA[self.setting.task].choosing
        return max(self.records, key=lambda record: record["validation"][-1][score])


def read_groups(task: str) -> list[Group]:
    """Reads the compared runs of a task from `data/results`, and groups them by contestant.

    Raises `ValueError` as `group_records`.
    """
    return group_records(read_records(task=task, purpose="comparison"))


def group_records(records: Iterable[dict]) -> list[Group]:
    """Groups the records of compared runs by setting and contestant.

    The groups are sorted by setting, then by contestant in the order of `CONTESTANT_TITLES`.

    Raises `ValueError` if two records of one setting differ in more than the slot module, the
    learning rate and the seed.
    """
    gathered: dict[tuple[Setting, str], list[dict]] = {}
    for record in records:
        size = record["config"]["image_size"]
        setting = Setting(record["task"], record["data"], record["profile"], size)
        gathered.setdefault((setting, record["contestant"]), []).append(record)
    order = list(CONTESTANT_TITLES)
    groups = []
    for setting, contestant in sorted(gathered, key=lambda key: (key[0], order.index(key[1]))):
        seeds = sorted(gathered[setting, contestant], key=lambda r: r["training"]["seed"])
        groups.append(Group(contestant, setting, tuple(seeds)))
    first: dict[Setting, dict] = {}
    for group in groups:
        for record in group.records:
            one = first.setdefault(group.setting, record)
            _check_alike(one, record, OWN_CHOICES, {"seed", "learning_rate"})
            _check_alike(group.records[0], record, set(), {"seed"})
    return groups


def _check_alike(
    one: dict, other: dict, free_in_config: set[str], free_in_training: set[str]
) -> None:
    """Raises `ValueError` if two runs differ in a setting that must be equal.

    free_in_config, free_in_training: names of settings that may differ.
    """
    if one is other:
        return  # NaN in an option would differ from itself
    differ = [("steps done", one["step"], other["step"])] if one["step"] != other["step"] else []
    for part, free in (("config", free_in_config), ("training", free_in_training)):
        keys = sorted((one[part].keys() | other[part].keys()) - free)
        pairs = ((key, one[part].get(key), other[part].get(key)) for key in keys)
        differ += [(key, a, b) for key, a, b in pairs if a != b]
    if differ:
        what = "; ".join(f"{key}: {a} and {b}" for key, a, b in differ)
        raise ValueError(
            f"{one['name']} and {other['name']} are not comparable, they differ in {what}: train "
            "both alike, or take one of them out of data/results"
        )


def find_number(scores: dict, place: Place) -> float | None:
    """Finds the number at a place in nested scores. Returns None if the number is missing."""
    for key in place:
        if key not in scores:
            return None
        scores = scores[key]
    return scores


def index_groups(groups: Iterable[Group]) -> dict[tuple[Setting, str], Group]:
    """Makes a dictionary of groups by setting and contestant."""
    return {(group.setting, group.contestant): group for group in groups}


class Difference(NamedTuple):
    """The difference of two contestants' means over seeds.

    spread: the root of the sum of both variances over seeds; None if one of them has fewer than
    `LEAST_SEEDS` seeds. seeds: how many seeds each has.
    """

    mean: float
    spread: float | None
    seeds: tuple[int, int]

    @classmethod
    def between(cls, ours: Group, other: Group, place: Place) -> Difference | None:
        """Computes the difference of a score on the test split of the setting's data.

        place: the place of the score. Returns None if one of both has no such score.
        """
        spreads = [group.spread(ours.setting.test_protocol, place) for group in (ours, other)]
        if None in spreads:
            return None
        mean, seeds = spreads[0].mean - spreads[1].mean, tuple(one.seeds for one in spreads)
        if min(seeds) < LEAST_SEEDS:
            return cls(mean, None, seeds)
        return cls(mean, sum(one.deviation**2 for one in spreads) ** 0.5, seeds)

    @property
    def is_shown(self) -> bool:
        """Whether the means differ by more than the spread."""
        return self.spread is not None and abs(self.mean) > self.spread


def describe_difference(ours: Group, other: Group, place: Place) -> str:
    """Says in a sentence whether two contestants differ by more than the spread over seeds.

    The spread of the difference is the root of the sum of both variances over seeds. Single runs of
    both contestants may lie so far apart by chance. This is a rough measure, not a test of
    significance.

    place: the place of the score, a key of the task's `decisive`.
    """
    task, protocol = ours.setting.task, ours.setting.test_protocol
    what = (
        f"{ours.title} minus {other.title}, {CRITERIA[task].decisive[place]} "
        f"on {protocol.title(task)} ({ours.setting})"
    )
    difference = Difference.between(ours, other, place)
    if difference is None:
        return f"{what}: not scored yet."
    what += f": {difference.mean:+.3f}"
    seeds = "({} and {} seeds)".format(*difference.seeds)
    if difference.spread is None:
        return f"{what} {seeds}: nothing is shown before both have {LEAST_SEEDS} seeds."
    if not difference.is_shown:
        verdict = "within the spread, neither is shown to be better"
    else:
        verdict = (
            f"beyond the spread, in favour of {(ours if difference.mean > 0 else other).title}"
        )
    return f"{what} ± {difference.spread:.3f} {seeds}: {verdict}."


def describe_differences(groups: list[Group]) -> list[str]:
    """Compares contestants of the same setting -> one sentence per pair and decisive score.

    `HELD_AGAINST` lists the pairs.
    """
    found = index_groups(groups)
    return [
        describe_difference(group, found[group.setting, other], place)
        for group in groups
        for other in HELD_AGAINST.get(group.contestant, ())
        if (group.setting, other) in found
        for place in CRITERIA[group.setting.task].decisive
    ]


def describe_finding(groups: list[Group]) -> list[str]:
    """Says in one sentence per setting how SMM compares with Slot Attention.

    The sentence names the decisive scores in which a module is ahead by more than the spread, and
    those in which neither is shown to be better. A setting has no sentence if a score is missing,
    or if a module has fewer than `LEAST_SEEDS` seeds.
    """
    found = index_groups(groups)
    return [
        sentence
        for (setting, contestant), group in found.items()
        if contestant == "mixture" and (setting, "attention") in found
        if (sentence := _find_in_short(group, found[setting, "attention"]))
    ]


def _find_in_short(ours: Group, other: Group) -> str | None:
    ahead: dict[str, list[str]] = {}
    for place, title in CRITERIA[ours.setting.task].decisive.items():
        difference = Difference.between(ours, other, place)
        if difference is None or difference.spread is None:
            return None
        first, second = (ours, other) if difference.mean > 0 else (other, ours)
        verdict = f"neither {ours.title} nor {other.title} is shown to be better"
        if difference.is_shown:
            verdict = f"{first.title} is ahead of {second.title}"
        ahead.setdefault(verdict, []).append(title)
    parts = [f"{verdict} in {_list_words(titles)}" for verdict, titles in ahead.items()]
    return f"The finding ({ours.setting}): {'; '.join(parts)}."


def _list_words(words: list[str]) -> str:
    return " and ".join(filter(None, [", ".join(words[:-1]), words[-1]]))
