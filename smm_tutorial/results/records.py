"""Records of runs: one JSON file each in `data/results`, read and written without torch.

A record of version 2 has these fields:

    version      2
    name         the name of the file, without `.json`
    task         "discovery" | "set-prediction" | "tokenizer" | "reconstruction"
    purpose      "showcase" (shows what the module can do) | "comparison" (contestants share
                 everything else) | "search" (for a learning rate) | "ablation" (leaves out a part
                 of the recipe) | "baseline" (has no training)
    contestant   the slot module, a key of `CONTESTANT_TITLES`; a tokenizer has none
    command      the command that repeats the run
    model        the class of the network; `config`: the options of the network
    training     steps, learning rate, seed and so on; its field `loss`: the options of the loss
    ablation     the name of the ablation; null or missing for other purposes
    scenes       set prediction: the number of scenes in the training split
    begun_with   the trained model that gave encoder and slots, or null
    tokenizer    reconstruction: the trained tokenizer
    profile      the profile that decides the sizes
    data         the training data, a key of `SET_TITLES[task]`
    step         steps done; `minutes`, `images_per_s`, `peak_memory_mib`: time, speed and memory
    scores       a list: one entry per evaluation
    validation   a list: scores on the validation split during the training, oldest first
    by_iterations  set prediction: a list of scores on the validation split after the training, one
                 entry per number of `iterations`
    provenance   revision of the code, hardware, versions

After `purpose`, a baseline has only the fields `config`, `scores` and `provenance`. An entry of
`scores` has these fields:

    set          the data, as `smm-tutorial evaluate --data` names them, a key of `SET_TITLES[task]`
    images       the number of images
    starts       object discovery: the number of starts of the slots per image
    selection    object discovery: which slots may own pixels, "all" | "bic"
    iterations   the number of iterations of the slot module, if it differs from the training's
    command      the command that made this entry, if the run did not make it
    ...          the scores that `evaluate` in the task's room returns

A `Protocol` identifies an entry. In the oldest records, `provenance.hardware` has no `threads`.
Records from before runs with several processes have no `processes` there. Benchmarks and the ray
tracer's effects are records too. They have version, name, command and provenance, but no task, and
their scores have another form.

People may edit these files. So every record is checked by `results.schema` after it is read, and
before it is written.
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
#: Task and purpose of a run by its `kind` in version 1. Names of runs begin with the kind, too.
KINDS = {
    "discovery": ("discovery", "showcase"),
    "comparison": ("discovery", "comparison"),
    "search": ("discovery", "search"),
    "variant": ("discovery", "ablation"),
    "set-prediction": ("set-prediction", "showcase"),
    "set-comparison": ("set-prediction", "comparison"),
    "set-search": ("set-prediction", "search"),
    "set-variant": ("set-prediction", "ablation"),
}
#: The name of an entry of scores in version 1: the title of the data, then the number of starts and
#: the selection of slots, unless these are one start and all slots.
VERSION_1_SCORES = re.compile(
    r"(?P<title>.+?)(, best of (?P<starts>\d+) starts)?(?P<bic>, slots by BIC)?"
)
#: The fields of version 1 that must be valid for an upgrade to version 2. The upgraded record is
#: checked, too.
VERSION_1 = {"kind?": OrNull(one_of(KINDS)), "scores?": NamesOf({}), "config?": {}}
LOCK_PATIENCE = 60.0  # seconds that a process waits while another process writes a result


class RecordError(ValueError):
    """A record is damaged or has an invalid field. The message names the file and the field."""


class Protocol(NamedTuple):
    """The data and the method of an evaluation. Set prediction has one start, and all slots."""

    set: str
    images: int | None = None  # None: any number
    starts: int = 1
    selection: str = "all"
    iterations: int | None = None  # None: as many as in training
    slots: int | None = None  # None: as many as the model has

    @classmethod
    def of(cls, scores: dict) -> Protocol:
        """Reads the protocol of an entry of a record's `scores`."""
        return cls(**{field: scores[field] for field in cls._fields if field in scores})

    def title(self, task: str) -> str:
        """Makes the title of the protocol in tables."""
        title = SET_TITLES[task].get(self.set, self.set).format(images=self.images)
        title += f", best of {self.starts} starts" if self.starts > 1 else ""
        title += f", {self.iterations} iterations" if self.iterations else ""
        title += f", {self.slots} slots" if self.slots else ""
        return title + (", slots by BIC" if self.selection == "bic" else "")


def find_scores(
    record: dict,
    set_name: str,
    images: int | None = None,
    starts: int = 1,
    selection: str = "all",
    iterations: int | None = None,
    slots: int | None = None,
) -> dict | None:
    """Finds the entry of a record's `scores` with this `Protocol`; None if there is no such entry.

    set_name: a key of `SET_TITLES[task]`. images: the number of images; None for any number.
    starts, selection, iterations, slots: see `Protocol`.
    """
    for scores in record["scores"]:
        found = Protocol.of(scores)
        wanted = set_name, images or found.images, starts, selection, iterations, slots
        if found == Protocol(*wanted):
            return scores
    return None


def add_scores(record: dict, scores: dict) -> None:
    """Adds an entry to a record's `scores`, or replaces an entry with the same `Protocol`."""
    protocols = [Protocol.of(entry) for entry in record["scores"]]
    if (protocol := Protocol.of(scores)) in protocols:
        record["scores"][protocols.index(protocol)] = scores
    else:
        record["scores"].append(scores)


def read_record(name: str) -> dict:
    """Reads a record from `data/results` by its name, and converts it to version 2.

    Raises:
        FileNotFoundError: there is no such record. The message lists the known records.
        ForeignNameError: the name does not name a file in the folder.
        RecordError: the file is damaged, or of a later version.
    """
    path = record_file(name)
    if not path.exists():
        known = ", ".join(file.stem for file in _record_files()) or "none"
        raise FileNotFoundError(
            f"there is no result {name!r} in {paths.results_dir()}; known: {known}"
        )
    return _read(path)


def read_records(**fields: str) -> list[dict]:
    """Reads the records in `data/results` whose fields have these values, sorted by name.

    For example, `read_records(task="discovery")` returns all records of object discovery.

    Raises `RecordError` as `read_record`.
    """
    records = [_read(path) for path in _record_files()]
    return [r for r in records if all(r.get(key) == value for key, value in fields.items())]


def record_file(name: str, folder: Path | None = None) -> Path:
    """Returns the path of a record's file in a folder, by default in `data/results`.

    Raises `ForeignNameError` if the name does not name a file in the folder.
    """
    folder = folder or paths.results_dir()
    return files.join_name(folder, f"{files.check_plain_name(name)}.json")


def _record_files() -> list[Path]:
    """Lists the files of all records in `data/results`. Hidden files are not records."""
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
    """Writes a record as version 2 to `NAME.json`, atomically -> the path of the file.

    folder: by default `data/results`. Raises `RecordError` if the record is not valid.
    """
    record = upgrade_record(record)
    path = record_file(record["name"], folder)
    files.write_atomically(path, (json.dumps(record, indent=2) + "\n").encode())
    return path


def lock_results() -> AbstractContextManager[None]:
    """Lets one process at a time change records in `data/results`, inside the `with` block."""
    return files.lock_folder(paths.results_dir(), "keeping results in", LOCK_PATIENCE)


def keep_record(record: dict) -> Path:
    """Writes the record of a run to `data/results` -> the path of the file.

    If the file already holds a record of the same run, its scores are kept.

    Raises `RecordError` if a record is not valid.
    """
    record = upgrade_record(record)
    path = record_file(record["name"])
    with lock_results():
        if path.exists() and not _differences(record, kept := _read(path)):
            added, record = record["scores"], record | {"scores": kept["scores"]}
            for scores in added:
                add_scores(record, scores)
        return write_record(record)


def keep_scores(record: dict, scores: dict) -> tuple[dict, Path]:
    """Adds an entry of scores to a run's record in `data/results` -> the new record and its file.

    Entries that other processes added in the meantime are kept. Raises as `read_kept_record`.
    """
    with lock_results():
        kept = read_kept_record(record)
        add_scores(kept, scores)
        return kept, write_record(kept)


def read_kept_record(record: dict) -> dict:
    """Reads the record of the same run from `data/results`, with all its scores.

    If `data/results` has no such record, returns the given record as version 2.

    Raises `ValueError` if `data/results` holds the record of another run with the same name, and
    `RecordError` if one of the two records is not valid.
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
    """Lists the fields that differ, if two records with the same name are of different runs."""
    keys = ("training", "step", "validation")
    differ = [key for key in keys if record.get(key) != kept.get(key)]
    one, other = record.get("config", {}), kept.get("config", {})
    shared = one.keys() & other.keys()  # older records lack options that were added later
    if any(one[name] != other[name] for name in shared):
        differ.insert(0, "config")
    return differ


def upgrade_record(record: dict, source: str | None = None) -> dict:
    """Converts a record of version 1 or 2 to version 2, and checks it. The given record stays.

    Version 1 differs in three ways. Its field `kind` stands for task and purpose; in the oldest
    records, only the name contains the kind. It calls an ablation `variant`. Its scores have
    sentences as keys.

    source: the origin of the record, for messages.

    Raises `RecordError` for a later version, and for an invalid field. The message names the source
    and the field.
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
    """Converts a record of version 1 to version 2. The result is not yet checked."""
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
    """Reads the protocol's fields of version 2 from a sentence, the key of scores in version 1."""
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
