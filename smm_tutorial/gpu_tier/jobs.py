"""The jobs of the tier: one process per module and seed, `python -m smm_tutorial.gpu_tier.jobs`.

A job trains object discovery. Some jobs then train set prediction, which starts from the encoder
and slots that object discovery has learned.
"""

import argparse
import json
import sys
import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from smm_tutorial import discovery, set_prediction
from smm_tutorial.experiments.run import save_run
from smm_tutorial.gpu_tier.scenes import wait_for_scenes

WARM_STEPS = 12  # before the speed is measured: compilers and caches
MEASURED_SECONDS = 7.0
MOST_MEASURED = 400  # steps
PATIENCE = 60.0  # seconds that a run waits for the others before it measures its speed
RESERVED = 25.0  # seconds for the last evaluation
SAFETY = 0.92  # share of the steps that would fit: other runs may slow a run down later
ROUND_TO = 50  # steps
EVALUATIONS = 10  # number of evaluations in a run, on the validation scenes
DISCOVERY_SHARE = 0.4  # share of the time, if set prediction follows


@dataclass(frozen=True)
class Job:
    """The work of one process: slot module, seed, and whether set prediction follows."""

    module: str
    seed: int
    predicts_sets: bool

    @property
    def name(self) -> str:
        return f"{self.module}-seed{self.seed}"


#: All jobs, the most important first.
JOBS = (
    Job("mixture", 0, True),
    Job("attention", 0, True),
    Job("mixture", 1, False),
    Job("attention", 1, False),
)


@dataclass(frozen=True)
class Place:
    """The folder in which the jobs work, their end (a `time.time()`) and their number."""

    work: Path
    until: float
    jobs: int


def do_job(job: Job, profile: str, place: Place) -> None:
    """Trains all runs of a job. Each run stays in its own folder."""
    began = time.time()
    until = began + DISCOVERY_SHARE * (place.until - began)
    run = discovery.DiscoveryRun(module=job.module, profile=profile, seed=job.seed)
    trained = do_run(discovery, run, replace(place, until=until))
    if job.predicts_sets:
        data = wait_for_scenes(place.work, place.until)
        usual = set_prediction.SIZES[profile].scenes
        run = set_prediction.SetPredictionRun(
            module=job.module,
            profile=profile,
            seed=job.seed,
            scenes=None if len(data) == usual else len(data),
            begin_with=str(trained),
        )
        together = sum(other.predicts_sets for other in JOBS)
        do_run(set_prediction, run, replace(place, jobs=min(place.jobs, together)), data=data)
    (place.work / "done").mkdir(exist_ok=True)
    (place.work / "done" / job.name).touch()


def do_run(task: Any, run: Any, place: Place, **given: Any) -> Path:
    """Trains a run with as many steps as fit into the time, saves it, and returns its checkpoint.

    A trial run beside the other runs decides the number of steps. A restarted run keeps this
    number.

    task: the package, `discovery` or `set_prediction`. given: arguments of `task.train` besides the
    run.
    """
    plan = place.work / "plans" / f"{run.name}.json"
    if not plan.is_file():
        plan.parent.mkdir(parents=True, exist_ok=True)
        plan.write_text(json.dumps(_plan_steps(task, run, place, given)))
    run = replace(run, steps=json.loads(plan.read_text())["steps"])
    every = max(1, run.steps // EVALUATIONS)
    engine = {"progress": False, "evaluate_every": every, "save_every": every}
    model, record = task.train_and_record(run, command_of(run), **engine, **given)
    checkpoint, _ = save_run(model, record, keep=None)
    return checkpoint


def _plan_steps(task: Any, run: Any, place: Place, given: dict) -> dict:
    """The number of steps of a run, with the measured speed and the seconds left."""
    started = time.time()
    _, warm = task.train(replace(run, steps=WARM_STEPS), progress=False, **given)
    print(f"{run.name}: {WARM_STEPS} steps in {time.time() - started:.0f} s", flush=True)
    _meet(place.work / "ready" / type(run).__name__, run.name, place)
    steps = int(MEASURED_SECONDS * warm.step / max(warm.seconds, 1e-3))
    steps = min(MOST_MEASURED, max(2 * WARM_STEPS, steps))
    _, trial = task.train(replace(run, steps=steps), progress=False, **given)
    speed, left = trial.step / trial.seconds, place.until - time.time()
    chosen = {"steps": count_steps(speed, left), "steps_per_s": round(speed, 2), "s": round(left)}
    print(f"{run.name}: {chosen}", flush=True)
    return chosen


def count_steps(steps_per_second: float, seconds: float) -> int:
    """How many steps fit into the seconds: a multiple of `ROUND_TO`, and at least `ROUND_TO`."""
    fitting = int(SAFETY * steps_per_second * (seconds - RESERVED))
    return max(ROUND_TO, fitting // ROUND_TO * ROUND_TO)


def _meet(folder: Path, name: str, place: Place) -> None:
    """Waits until all jobs are ready, so that each job measures its speed while the others work."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / name).touch()
    until = min(time.time() + PATIENCE, place.until)
    while len(list(folder.iterdir())) < place.jobs and time.time() < until:
        time.sleep(0.2)


def command_of(run: Any) -> str:
    """The command that repeats a run. It renders the scenes on the CPU instead of a GPU."""
    task = "discovery" if isinstance(run, discovery.DiscoveryRun) else "set-prediction"
    parts = ["smm-tutorial train", task, f"--slots {run.module}", f"--profile {run.profile}"]
    if task == "set-prediction":
        parts += [f"--scenes {run.scenes}"] if run.scenes else []
        parts.append(f"--begin-with {Path(run.begin_with).stem}")
    return " ".join([*parts, f"--steps {run.steps}", f"--seed {run.seed}"])


def main(arguments: list[str]) -> None:
    parser = argparse.ArgumentParser(prog="python -m smm_tutorial.gpu_tier.jobs")
    parser.add_argument("job", choices=[job.name for job in JOBS])
    parser.add_argument("--profile", default="gpu")
    parser.add_argument("--work", type=Path, required=True)
    parser.add_argument("--until", type=float, required=True)
    parser.add_argument("--jobs", type=int, default=1, help="that run at the same time")
    options = parser.parse_args(arguments)
    job = next(job for job in JOBS if job.name == options.job)
    do_job(job, options.profile, Place(options.work, options.until, options.jobs))


if __name__ == "__main__":
    main(sys.argv[1:])
