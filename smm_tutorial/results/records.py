"""Records of runs: one JSON file each in `data/results`, read and written without torch.

A record of version 2 has these fields:

    version      2
    name         of the file, without `.json`
    task         "discovery" | "set-prediction"
    purpose      "showcase" (what the module can do) | "comparison" (contestants share everything
                 else) | "search" (for a learning rate) | "ablation" (something is left out) |
                 "baseline" (needs no training)
    contestant   which slot module, a key of `CONTESTANT_TITLES`
    command      that makes the run again
    model        the network's class; `config`: the network's options
    training     steps, learning rate, seed and so on; `loss` in it: the loss's options
    ablation     object discovery: what is left out; null for nothing
    scenes       set prediction: how many the training split has
    begun_with   set prediction: the trained model that gave encoder and slots; null for none
    profile      whose sizes the run takes
    data         what it was trained on, a key of `SET_TITLES[task]`
    step         steps done; `minutes`, `images_per_s`, `peak_memory_mib`: what they took
    scores       a list: an entry for each evaluation
    validation   a list: scores on the validation split while the run trained, oldest first
    provenance   revision of the code, hardware, versions

A baseline has no fields from `contestant` on but `config`, `scores` and `provenance`. An entry of
`scores` has these fields:

    set          the name that `smm-tutorial evaluate --data` takes, a key of `SET_TITLES[task]`
    images       how many there were
    starts       object discovery: how often the slots were started for each image
    selection    object discovery: which slots may own pixels, "all" | "bic"
    command      that made this entry, where the run's own did not
    ...          the scores, as `evaluate` of the task's room gives them

`Protocol` tells entries apart. `provenance.hardware` lacks `threads` in the oldest records, and
`processes` in those from before several of them were counted.
Benchmarks and the ray tracer's effects are records too: they have a version, a name, a command and
a provenance, no task, and scores of a form of their own.

Whatever is read or written is held against `results.schema` first: people edit these files.
"""

from __future__ import annotations

import json
import re
import reprlib
from contextlib import AbstractContextManager
from pathlib import Path
from typing import NamedTuple

from smm_tutorial import files, paths
from smm_tutorial.results.schema import NamesOf, OrNull, find_fault, find_record_fault, one_of
from smm_tutorial.results.titles import SET_TITLES

VERSION = 2
#: Task and purpose of a run by what version 1 calls its `kind`. Names of runs begin with it, too.
KINDS = {
    "discovery": ("discovery", "showcase"),
    "comparison": ("discovery", "comparison"),
    "search": ("discovery", "search"),
    "variant": ("discovery", "ablation"),
    "set-prediction": ("set-prediction", "showcase"),
    "set-comparison": ("set-prediction", "comparison"),
    "set-search": ("set-prediction", "search"),
}
#: How version 1 names scores: by the title of the data, and what is not one start with all slots.
VERSION_1_SCORES = re.compile(
    r"(?P<title>.+?)(, best of (?P<starts>\d+) starts)?(?P<bic>, slots by BIC)?"
)
#: What is read of a record of version 1 to make one of version 2, which is checked in its turn.
VERSION_1 = {"kind?": OrNull(one_of(KINDS)), "scores?": NamesOf({}), "config?": {}}
LOCK_PATIENCE = 60.0  # seconds that one process waits for another to keep a result


class RecordError(ValueError):
    """A record that is damaged, or that none of ours would be; names file and field."""


class Protocol(NamedTuple):
    """What a model was scored on, and how. Set prediction has one start and selects no slots."""

    set: str
    images: int | None = None  # None: any number
    starts: int = 1
    selection: str = "all"

    @classmethod
    def of(cls, scores: dict) -> Protocol:
        """The protocol of an entry of a record's `scores`."""
        return cls(**{field: scores[field] for field in cls._fields if field in scores})

    def title(self, task: str) -> str:
        """What tables call it."""
        title = SET_TITLES[task].get(self.set, self.set).format(images=self.images)
        title += f", best of {self.starts} starts" if self.starts > 1 else ""
        return title + (", slots by BIC" if self.selection == "bic" else "")


def find_scores(
    record: dict, set_name: str, images: int | None = None, starts: int = 1, selection: str = "all"
) -> dict | None:
    """The entry of a record's `scores` by that `Protocol`; None where there is none."""
    for scores in record["scores"]:
        found = Protocol.of(scores)
        if found == Protocol(set_name, images or found.images, starts, selection):
            return scores
    return None


def add_scores(record: dict, scores: dict) -> None:
    """Puts an entry into a record's `scores`, in place of an earlier one by the same `Protocol`."""
    protocols = [Protocol.of(entry) for entry in record["scores"]]
    if (protocol := Protocol.of(scores)) in protocols:
        record["scores"][protocols.index(protocol)] = scores
    else:
        record["scores"].append(scores)


def read_record(name: str) -> dict:
    """The record of that name in `data/results`, as version 2.

    Raises `FileNotFoundError` that lists the known ones, `ForeignNameError` for a name that leads
    elsewhere, and `RecordError` for a damaged file or a later version.
    """
    path = record_file(name)
    if not path.exists():
        known = ", ".join(file.stem for file in _record_files()) or "none"
        raise FileNotFoundError(
            f"there is no result {name!r} in {paths.results_dir()}; known: {known}"
        )
    return _read(path)


def read_records(**fields: str) -> list[dict]:
    """The records in `data/results` that have these fields, e.g. `task="discovery"`, by name.

    Raises `RecordError` as `read_record` does.
    """
    records = [_read(path) for path in _record_files()]
    return [r for r in records if all(r.get(key) == value for key, value in fields.items())]


def record_file(name: str, folder: Path | None = None) -> Path:
    """Where the record of that name lies in a folder, `data/results` if not given.

    Raises `ForeignNameError` for a name that does not name a file there.
    """
    folder = folder or paths.results_dir()
    return files.join_name(folder, f"{files.check_plain_name(name)}.json")


def _record_files() -> list[Path]:
    """All in `data/results`; hidden files of other systems are none."""
    return sorted(paths.results_dir().glob("[!.]*.json"))


def _read(path: Path) -> dict:
    try:
        record = files.read_json(path)
    except (files.JsonError, OSError) as error:
        raise RecordError(_describe_fault(str(path), str(error))) from error
    if isinstance(record, dict) and record.get("name") not in (path.stem, None):
        fault = f"name must be {path.stem!r} as the file's, got {reprlib.repr(record['name'])}"
        raise RecordError(_describe_fault(str(path), fault))
    return upgrade_record(record, str(path))


def _describe_fault(source: str, fault: str) -> str:
    return (
        f"{source} is damaged, or no record of a result ({fault}): get it anew (git checkout, "
        "for a committed one), or take it out of the folder and make it again"
    )


def write_record(record: dict, folder: Path | None = None) -> Path:
    """Writes `NAME.json`, as version 2, to `folder` (`data/results` if not given), atomically.

    Raises `RecordError` for what could not be read again.
    """
    record = upgrade_record(record)
    path = record_file(record["name"], folder)
    files.write_atomically(path, (json.dumps(record, indent=2) + "\n").encode())
    return path


def lock_results() -> AbstractContextManager[None]:
    """One process at a time reads a record in `data/results` to write it anew."""
    return files.lock_folder(paths.results_dir(), "keeping results in", LOCK_PATIENCE)


def keep_record(record: dict) -> Path:
    """Writes a run's record to `data/results`. Scores of the same run that are there stay."""
    record = upgrade_record(record)
    path = record_file(record["name"])
    with lock_results():
        if path.exists() and not _differences(record, kept := _read(path)):
            added, record = record["scores"], record | {"scores": kept["scores"]}
            for scores in added:
                add_scores(record, scores)
        return write_record(record)


def keep_scores(record: dict, scores: dict) -> tuple[dict, Path]:
    """Puts an entry into the record in `data/results` of the same run -> that record, its file.

    Entries that other processes have put there in the meantime stay. Raises as `read_kept_record`.
    """
    with lock_results():
        kept = read_kept_record(record)
        add_scores(kept, scores)
        return kept, write_record(kept)


def read_kept_record(record: dict) -> dict:
    """The record in `data/results` of the same run, with the scores that are there; the given one,
    as version 2, where there is none.

    Raises `ValueError` where `data/results` holds the record of another run by the same name, and
    `RecordError` where either is damaged.
    """
    record = upgrade_record(record)
    if "task" not in record:
        fault = "task is missing: only models of a task are scored"
        raise RecordError(_describe_fault(f"the record {record['name']}", fault))
    path = record_file(record["name"])
    if not path.exists():
        return record
    kept = _read(path)
    if differ := _differences(record, kept):
        raise ValueError(
            f"{path} is of a run with another {', '.join(differ)}: "
            "scores of two runs do not go into one record; keep the new run's record first "
            "(smm-tutorial train ... --keep), or delete the old one"
        )
    return kept


def _differences(record: dict, kept: dict) -> list[str]:
    """What shows that two records by the same name are of different runs."""
    keys = ("training", "step", "validation")
    differ = [key for key in keys if record.get(key) != kept.get(key)]
    one, other = record.get("config", {}), kept.get("config", {})
    shared = one.keys() & other.keys()  # an option that came later is missing in older records
    if any(one[name] != other[name] for name in shared):
        differ.insert(0, "config")
    return differ


def upgrade_record(record: dict, source: str | None = None) -> dict:
    """A record of any version as one of version 2, checked. The given one stays as it is.

    source: where it comes from, for messages. Version 1 has a `kind` for task and purpose (the
    oldest records have it in their name alone), calls an ablation `variant`, and keys the scores by
    sentences.

    Raises `RecordError` that names source and field for a later version, and for what neither
    version has.
    """
    if not isinstance(record, dict):
        fault = f"it must be an object, got {reprlib.repr(record)}"
        raise RecordError(_describe_fault(source or "the record", fault))
    try:
        name = files.check_plain_name(record.get("name"))
    except files.ForeignNameError as error:
        raise RecordError(_describe_fault(source or "the record", f"name: {error}")) from error
    source = source or f"the record {name}"
    version = record.get("version", 1)
    if type(version) is not int or version not in (1, VERSION):
        raise RecordError(
            f"{source} has version {reprlib.repr(version)}, but this smm_tutorial knows 1 and 2: "
            "bring the course up to date"
        )
    upgraded = record if version == VERSION else _upgrade_version_1(record, source)
    if fault := find_record_fault(upgraded):
        raise RecordError(_describe_fault(source, fault))
    return upgraded


def _upgrade_version_1(record: dict, source: str) -> dict:
    """A record of version 1 as one of version 2, not checked yet."""
    fault = "version is missing" if "task" in record else find_fault(record, VERSION_1)
    if fault:
        raise RecordError(_describe_fault(source, fault))
    name = record["name"]
    kind = record.get("kind") or next((k for k in KINDS if name.startswith(f"{k}-")), None)
    if kind is None:  # a benchmark, or the ray tracer's effects
        return {"version": VERSION} | record | {"version": VERSION}
    task, purpose = KINDS[kind]
    fields = {"variant": "ablation"}
    rest = {fields.get(key, key): value for key, value in record.items() if key != "kind"}
    head = {"version": VERSION, "name": name, "task": task, "purpose": purpose}
    if "training" not in record:
        head["purpose"] = "baseline"
    elif "contestant" not in record:
        head["contestant"] = record.get("config", {}).get("slots")
    scores = [
        _upgrade_protocol(sentence, task, source) | entry
        for sentence, entry in record.get("scores", {}).items()
    ]
    return head | rest | {"version": VERSION, "scores": scores}


def _upgrade_protocol(sentence: str, task: str, source: str) -> dict:
    """The fields of version 2 for a sentence, which keys an entry of `scores` in version 1."""
    found = VERSION_1_SCORES.fullmatch(sentence)
    title = found["title"] if found else ""
    for set_name, known in SET_TITLES[task].items():
        if re.fullmatch(re.escape(known).replace(r"\{images\}", r"\d+"), title):
            if task == "set-prediction":
                return {"set": set_name}
            selection = "bic" if found["bic"] else "all"
            return {"set": set_name, "starts": int(found["starts"] or 1), "selection": selection}
    fault = f"scores on unknown data, {reprlib.repr(sentence)}"
    raise RecordError(_describe_fault(source, fault))
