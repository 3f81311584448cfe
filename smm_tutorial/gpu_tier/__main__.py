"""`python -m smm_tutorial.gpu_tier --minutes 9 --out DIR`: see the package."""

import argparse
import os
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import torch

from smm_tutorial import paths, set_prediction
from smm_tutorial.datasets.own.rendering import available_processes
from smm_tutorial.gpu_tier import report
from smm_tutorial.gpu_tier.checks import run_checks
from smm_tutorial.gpu_tier.jobs import JOBS
from smm_tutorial.gpu_tier.scenes import render_scenes
from smm_tutorial.set_prediction.recipe import VALIDATION_SCENES

CHECKS_SHARE = 0.5  # share of the time for tests and notebooks, at most; runs train meanwhile
SCENES_SHARE = 0.35  # share of the time for rendering
#: With so many free cores, the CPU renders. Processes that render on the GPU take turns with the
#: runs: then four runs made 10 steps of object discovery a second each, and two runs alone 41.
ENOUGH_CORES = 6
ENDING = 12.0  # seconds that runs get to save their state
POLL = 1.0  # seconds


def main(arguments: list[str]) -> int:
    """Check this machine, train all jobs and write the report.

    Returns the exit status: 1 if a check or a run failed, else 0.
    """
    options = _read_options(arguments)
    begun = time.time()
    until = begun + 60 * options.minutes - 2 * ENDING
    options.out.mkdir(parents=True, exist_ok=True)
    work = (options.work or paths.written_data() / "gpu_tier").resolve()
    work.mkdir(parents=True, exist_ok=True)
    os.environ["SMM_DATA"] = str(work)  # runs and renders lie there
    profile = "ci" if options.smoke else "gpu"
    sizes = set_prediction.SIZES[profile]
    seconds = 60 * options.minutes
    with ThreadPoolExecutor(1) as pool:
        jobs = [job for job in JOBS if not (work / "done" / job.name).is_file()]
        running = {job.name: _start(job.name, len(jobs), profile, work, until) for job in jobs}
        free = max(1, available_processes() - len(jobs))
        on_gpu = torch.cuda.is_available() and free < ENOUGH_CORES
        how = {"device": "cuda" if on_gpu else "cpu", "workers": free}
        room = SCENES_SHARE * seconds
        count = render_scenes(work, sizes.data, sizes.image_size, sizes.scenes, room, **how)
        scenes = f"{count} training scenes of {sizes.data} after {time.time() - begun:.0f} s"
        print(scenes, flush=True)
        _render_held_out(sizes.data, free)
        checking = None if options.no_checks else pool.submit(run_checks, CHECKS_SHARE * seconds)
        checks, failed = [], []
        while running:
            time.sleep(POLL)
            ended = [name for name, process in running.items() if process.poll() is not None]
            for name in ended:
                if running.pop(name).returncode != 0:
                    failed.append(name)
            if checking and checking.done() and not checks:
                checks = checking.result()
                ended.append("checks")
            if ended:
                print(f"{time.time() - begun:.0f} s: {', '.join(ended)} ended", flush=True)
                _write_report(options.out, checks, scenes, work)
            if time.time() > until + ENDING / 2:
                failed += _stop(running)
                break
        checks = checking.result() if checking else checks
    _write_report(options.out, checks, scenes, work)
    print((options.out / "report.md").read_text())
    for name in failed:
        print(f"{name} did not end well: {work / 'logs' / name}.txt says why")
        print("\n".join((work / "logs" / f"{name}.txt").read_text().splitlines()[-8:]))
    return int(bool(failed) or any(check.outcome != "passed" for check in checks))


def _read_options(arguments: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m smm_tutorial.gpu_tier", description=__doc__)
    parser.add_argument("--minutes", type=float, default=9.0, help="for everything (default: 9)")
    parser.add_argument("--out", type=Path, required=True, help="for the page and the archive")
    parser.add_argument("--work", type=Path, help="where runs go on from (default: in the data)")
    parser.add_argument("--smoke", action="store_true", help="the smallest sizes, to try it")
    parser.add_argument("--no-checks", action="store_true", help="no tests and no notebooks")
    options = parser.parse_args(arguments)
    if options.minutes < 1:
        parser.error(f"--minutes must be at least 1, got {options.minutes:g}")
    return options


def _render_held_out(variant: str, workers: int) -> None:
    """Renders the validation and test scenes of a variant on the CPU.

    The CPU gives the same bytes on every machine, so scores can be compared.
    """
    for split in ("val", "test"):
        command = [sys.executable, "-m", "smm_tutorial.cli", "data", "render", variant]
        command += ["--split", split, "--count", str(VALIDATION_SCENES)]
        subprocess.run([*command, "--workers", str(workers)], check=True)


def _start(name: str, jobs: int, profile: str, work: Path, until: float) -> subprocess.Popen:
    """Starts a job as a process of one thread. The process writes its output to a log.

    until: when the job must end, as `time.time()` counts.
    """
    (work / "logs").mkdir(exist_ok=True)
    command = [sys.executable, "-m", "smm_tutorial.gpu_tier.jobs", name]
    command += ["--profile", profile, "--work", str(work), "--until", str(until)]
    command += ["--jobs", str(jobs)]
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    with (work / "logs" / f"{name}.txt").open("ab") as log:
        return subprocess.Popen(command, stdout=log, stderr=subprocess.STDOUT, env=environment)


def _stop(running: dict[str, subprocess.Popen]) -> list[str]:
    """Ends the runs that are late and returns their names. A run saves its state before it ends."""
    for process in running.values():
        process.send_signal(signal.SIGINT)
    for process in running.values():
        try:
            process.wait(ENDING)
        except subprocess.TimeoutExpired:
            process.kill()
    return list(running)


def _write_report(out: Path, checks: list, scenes: str, work: Path) -> None:
    report.write_page(out, checks, scenes, work / "runs", work / "plans")
    report.write_archive(out, work / "runs")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
