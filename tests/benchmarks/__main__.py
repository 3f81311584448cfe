"""Runs every benchmark and prints one table: `make bench`, or `python -m tests.benchmarks slots`
for one of them.

Each `bench_*.py` here has a function `measure()` that yields `{"name", "value", "unit", "bar"}`.
Values are ratios within this run, so they say something on any machine; run it while nothing else
runs. Each file has a process of its own: what one leaves in the allocator's hands would speed up or
slow down the next. Exits with 1 if a bar is missed. With `--keep`, also writes what was measured to
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
    chosen, keep = [name for name in arguments if name != "--keep"], "--keep" in arguments
    names = sorted(path.stem for path in Path(__file__).parent.glob("bench_*.py"))
    names = [name for name in names if not chosen or name.removeprefix("bench_") in chosen]
    if not names:
        print(f"no benchmark named {', '.join(chosen)}")
        return 2
    if len(names) > 1:
        options = ["--keep"] if keep else []
        commands = [
            [sys.executable, "-m", "tests.benchmarks", name.removeprefix("bench_"), *options]
            for name in names
        ]
        return max(subprocess.run(command).returncode for command in commands)
    (name,) = names
    made_by, scores = provenance(), {}
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
        }
        print(
            f"written: {results.write_record(record | {'scores': scores, 'provenance': made_by}).name}"
        )
    return 0 if all(Row(title, **measured).holds for title, measured in scores.items()) else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
