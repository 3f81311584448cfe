"""Records of runs: read and written, without torch."""

import json
from pathlib import Path

from smm_tutorial import paths


def kept_beside(record: dict) -> dict:
    """The record in `data/results` of the same run, with the scores that are there; the record
    itself where there is none.

    Raises `ValueError` where `data/results` holds the record of another run by the same name.
    """
    if not (paths.results_dir() / f"{record['name']}.json").is_file():
        return record
    kept = read_record(record["name"])
    if differ := _differences(record, kept):
        raise ValueError(
            f"data/results/{record['name']}.json is of a run with another {', '.join(differ)}: scores of two runs do not "
            "go into one record; keep the new run's record first (smm-tutorial train ... --keep), or delete the old one"
        )
    return kept


def keep_record(record: dict) -> Path:
    """Writes a run's record to `data/results`; where it is there already, scores on other data stay
    in it.
    """
    path = paths.results_dir() / f"{record['name']}.json"
    kept = read_record(record["name"]) if path.is_file() else {}
    earlier = {} if _differences(record, kept) else kept["scores"]
    return write_record(record | {"scores": earlier | record["scores"]})


def _differences(record: dict, kept: dict) -> list[str]:
    """What shows that two records by the same name are of different runs."""
    return [
        key
        for key in ("config", "training", "step", "validation")
        if record.get(key) != kept.get(key)
    ]


def write_record(record: dict, folder: Path | None = None) -> Path:
    """Writes `NAME.json` to `folder` (`data/results` if not given), atomically."""
    path = (folder or paths.results_dir()) / f"{record['name']}.json"
    paths.write_atomically(path, (json.dumps(record, indent=2) + "\n").encode())
    return path


def read_record(name: str) -> dict:
    """A committed result record. Raises `FileNotFoundError` that lists the known ones."""
    path = paths.results_dir() / f"{name}.json"
    if not path.is_file():
        known = ", ".join(sorted(p.stem for p in paths.results_dir().glob("*.json"))) or "none"
        raise FileNotFoundError(
            f"there is no result {name!r} in {paths.results_dir()}; known: {known}"
        )
    return json.loads(path.read_text(encoding="utf-8"))


def read_records(pattern: str) -> list[dict]:
    """The records in `data/results` whose names match, by name."""
    return [read_record(path.stem) for path in sorted(paths.results_dir().glob(f"{pattern}.json"))]
