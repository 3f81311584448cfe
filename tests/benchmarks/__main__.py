"""Run benchmarks and print one table: `make bench`, or `python -m tests.benchmarks slots` for one.

Each `bench_*.py` here has a function `measure()` that yields `{"name", "value", "unit", "bar"}`.
Values are ratios within this run, so they hold on other machines too; run nothing else meanwhile.
Each file runs in a process of its own, since memory that one file allocated changes the speed of
the next. The exit status is 1 if a bar is missed. `--keep` also writes the values to
`data/results/benchmark-NAME.json`.
"""

import importlib
import subprocess
import sys
from pathlib import Path

from smm_tutorial import results
from smm_tutorial.fidelity.report import Row
from smm_tutorial.results.provenance import provenance


def main(arguments: list[str]) -> int:
    keep = "--keep" in arguments
    chosen = [name for name in arguments if name != "--keep"]
    names = sorted(path.stem for path in Path(__file__).parent.glob("bench_*.py"))
    names = [name for name in names if not chosen or name.removeprefix("bench_") in chosen]
    if not names:
        print(f"no benchmark named {', '.join(chosen)}")
        return 2
    if len(names) > 1:
        options = ["--keep"] if keep else []
        program = [sys.executable, "-m", "tests.benchmarks"]
        commands = [[*program, name.removeprefix("bench_"), *options] for name in names]
        return max(subprocess.run(command).returncode for command in commands)
    (name,) = names
    made_by = provenance()
    scores = {}
    for measured in importlib.import_module(f"tests.benchmarks.{name}").measure():
        row = Row(**measured)
        scores[row.name] = {"value": round(row.value, 3), "unit": row.unit, "bar": row.bar}
        verdict = f"{row.bar:>8}  {'holds' if row.holds else 'MISSED'}"
        print(f"{row.name:<76} {row.value:>8.2f} {row.unit:<16} {verdict}", flush=True)
    if keep:
        name = name.removeprefix("bench_")
        record = {
            "name": f"benchmark-{name}",
            "command": f"python -m tests.benchmarks {name} --keep",
            "scores": scores,
            "provenance": made_by,
        }
        print(f"written: {results.write_record(record).name}")
    return 0 if all(Row(title, **measured).holds for title, measured in scores.items()) else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
