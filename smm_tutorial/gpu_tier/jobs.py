"""The jobs of the tier: one process per module and seed, `python -m smm_tutorial.gpu_tier.jobs`.

Half of the jobs train object discovery, and then set prediction, which starts from the encoder and
slots that object discovery has learned. The others train object discovery, and then image
reconstruction with slots of its own. One of them also trains the tokenizer for both.
"""

import argparse
import json
import sys
import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

from smm_tutorial import discovery, reconstruction, set_prediction
from smm_tutorial.experiments.run import save_run
from smm_tutorial.files import write_atomically
from smm_tutorial.gpu_tier.scenes import wait_for_scenes
from smm_tutorial.reconstruction import tokenizers

WARM_STEPS = 12  # before the speed is measured: compilers and caches
MEASURED_SECONDS = 7.0
MOST_MEASURED = 400  # steps
PATIENCE = 60.0  # seconds that a run waits for the others before it measures its speed
RESERVED = 25.0  # seconds for the last evaluation
SAFETY = 0.92  # share of the steps that would fit: other runs may slow a run down later
ROUND_TO = 50  # steps
EVALUATIONS = 10  # number of evaluations in a run, on the validation scenes
DISCOVERY_SHARE = 0.4  # share of the time
TOKENIZER_SHARE = 0.5  # share of the time after which the tokenizer is trained
REBUILT = "clevr6"  # the data of image reconstruction; nothing has to be rendered for it
TOKENIZER_FILE = "tokenizer"  # in the work folder: where the trained tokenizer lies


@dataclass(frozen=True)
class Job:
    """The work of one process: slot module, seed, and the task after object discovery."""

    module: str
    seed: int
    then: Literal["set-prediction", "reconstruction"]

    @property
    def name(self) -> str:
        return f"{self.module}-seed{self.seed}"


#: All jobs, the most important first.
JOBS = (
    Job("mixture", 0, "set-prediction"),
    Job("attention", 0, "set-prediction"),
    Job("mixture", 1, "reconstruction"),
    Job("attention", 1, "reconstruction"),
)


#: The tasks of `smm-tutorial train`, by the class of their runs.
TASKS = {
    discovery.DiscoveryRun: "discovery",
    set_prediction.SetPredictionRun: "set-prediction",
    reconstruction.TokenizerRun: "tokenizer",
    reconstruction.ReconstructionRun: "reconstruction",
}


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
    together = sum(other.then == job.then for other in JOBS)
    beside = replace(place, jobs=min(place.jobs, together))
    if job.then == "set-prediction":
        predict_sets(job, profile, beside, trained)
    else:
        rebuild_pictures(job, profile, beside, began)
    (place.work / "done").mkdir(exist_ok=True)
    (place.work / "done" / job.name).touch()


def predict_sets(job: Job, profile: str, place: Place, trained: Path) -> None:
    """Trains set prediction, which begins with a checkpoint of object discovery."""
    data = wait_for_scenes(place.work, place.until)
    usual = set_prediction.SIZES[profile].scenes
    run = set_prediction.SetPredictionRun(
        module=job.module,
        profile=profile,
        seed=job.seed,
        scenes=None if len(data) == usual else len(data),
        begin_with=str(trained),
    )
    do_run(set_prediction, run, place, data=data)


def rebuild_pictures(job: Job, profile: str, place: Place, began: float) -> None:
    """Trains image reconstruction; the first job of this kind also trains the tokenizer.

    began: when the job began, as `time.time()` counts.
    """
    told = place.work / TOKENIZER_FILE
    if job == next(other for other in JOBS if other.then == job.then):
        until = began + TOKENIZER_SHARE * (place.until - began)
        run = reconstruction.TokenizerRun(data=REBUILT, profile=profile)
        checkpoint = do_run(tokenizers, run, replace(place, until=until, jobs=1))
        write_atomically(told, str(checkpoint).encode())
    while not told.is_file():
        if time.time() > place.until:
            raise TimeoutError("no tokenizer was trained in time, so no picture can be rebuilt")
        time.sleep(0.2)
    run = reconstruction.ReconstructionRun(
        job.module, REBUILT, profile, job.seed, tokenizer=told.read_text()
    )
    do_run(reconstruction, run, place)


def do_run(task: Any, run: Any, place: Place, **given: Any) -> Path:
    """Trains a run with as many steps as fit into the time, saves it, and returns its checkpoint.

    A trial run beside the other runs decides the number of steps. A restarted run keeps this
    number.

    task: what has the functions `train` and `train_and_record`, such as the package `discovery`.
    given: arguments of `task.train` besides the run.
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
    task = TASKS[type(run)]
    parts = ["smm-tutorial train", task]
    parts += [f"--slots {run.module}"] if run.module else []
    parts.append(f"--profile {run.profile}")
    if task == "set-prediction":
        parts += [f"--scenes {run.scenes}"] if run.scenes else []
        parts.append(f"--begin-with {Path(run.begin_with).stem}")
    if task in ("tokenizer", "reconstruction"):
        parts.append(f"--data {run.data}")
    if task == "reconstruction":
        parts.append(f"--tokenizer {Path(run.tokenizer).stem}")
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
