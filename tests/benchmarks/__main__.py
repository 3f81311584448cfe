"""Runs every benchmark and prints one table: `make bench`, or `python -m tests.benchmarks slots` for one of them.

Each `bench_*.py` here has a function `measure()` that yields `{"name", "value", "unit", "bar"}`. Values are ratios within
this run, so they say something on any machine; run it while nothing else runs. Each file has a process of its own: what
one leaves in the allocator's hands would speed up or slow down the next. Exits with 1 if a bar is missed.
"""

import importlib
import operator
import subprocess
import sys
from pathlib import Path

COMPARISONS = {"<=": operator.le, ">=": operator.ge}


def main(chosen: list[str]) -> int:
    names = sorted(path.stem for path in Path(__file__).parent.glob("bench_*.py"))
    names = [name for name in names if not chosen or name.removeprefix("bench_") in chosen]
    if not names:
        print(f"no benchmark named {', '.join(chosen)}")
        return 2
    if len(names) > 1:
        commands = [[sys.executable, "-m", "tests.benchmarks", name.removeprefix("bench_")] for name in names]
        return max(subprocess.run(command).returncode for command in commands)
    missed = 0
    for row in importlib.import_module(f"tests.benchmarks.{names[0]}").measure():
        comparison, bar = row["bar"].split()
        holds = COMPARISONS[comparison](row["value"], float(bar))
        missed += not holds
        verdict = f"{row['bar']:>8}  {'holds' if holds else 'MISSED'}"
        print(f"{row['name']:<76} {row['value']:>8.2f} {row['unit']:<16} {verdict}", flush=True)
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
