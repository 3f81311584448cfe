"""The results of the tier: a page, and an archive of records, logs and checkpoints."""

import io
import json
import tarfile
from pathlib import Path

from smm_tutorial.files import write_atomically
from smm_tutorial.gpu_tier.checks import Check
from smm_tutorial.results.provenance import provenance
from smm_tutorial.training.logs import read_log

GOOD_FG_ARI = 0.9
LOG = "log.jsonl"


def write_page(out: Path, checks: list[Check], scenes: str, runs: Path, plans: Path) -> None:
    """Writes `out/report.md`: the machine, the checks, the scenes, and one line per run."""
    made_by = provenance()
    hardware, versions = made_by["hardware"], made_by["versions"]
    lines = [
        "# GPU tier",
        "",
        f"{hardware['gpu'] or 'no GPU'}, {hardware['cpus']} cores; Python {versions['python']}, "
        f"torch {versions['torch']}, numpy {versions['numpy']}; revision {made_by['revision']}.",
        "",
        *(f"- {check.name}: {check.outcome}" for check in checks),
        f"- {scenes}",
        "",
        "| run | steps | minutes | images/s | peak MiB | scores |",
        "| --- | --- | --- | --- | --- | --- |",
        *(_describe(folder) for folder in sorted(runs.glob("*")) if folder.is_dir()),
        "",
        *(f"- {plan.stem}: {plan.read_text()}" for plan in sorted(plans.glob("*.json"))),
    ]
    for check in checks:
        if check.outcome != "passed" and check.output:
            lines += ["", f"## {check.name}", "", "```", check.output, "```"]
    write_atomically(out / "report.md", ("\n".join(lines) + "\n").encode())


def _describe(folder: Path) -> str:
    """The table row of a run, finished or not."""
    record = folder / f"{folder.name}.json"
    if not record.is_file():
        last = (read_log(folder) or [{"step": 0, "seconds": 0.0}])[-1]
        cells = (last["step"], round(last["seconds"] / 60, 1), "", "", "not finished")
    else:
        kept = json.loads(record.read_text())
        speed, memory = kept["images_per_s"], kept["peak_memory_mib"]
        cells = (kept["step"], kept["minutes"], round(speed), round(memory or 0), _scores(kept))
    return f"| {folder.name} | " + " | ".join(map(str, cells)) + " |"


def _scores(record: dict) -> str:
    first = record["scores"][0]
    if record["task"] == "set-prediction":
        scores = [f"AP@{name} {value:.3f}" for name, value in first["ap"].items()]
        scores += [f"{name} {value:.3f}" for name, value in first.get("binding", {}).items()]
        return ", ".join(scores)
    if record["task"] == "tokenizer":
        return f"PSNR {first['psnr']:.1f} dB, perplexity {first['perplexity']:.0f}"
    if record["task"] == "reconstruction":
        pictures = f"PSNR generated {first['generated']['psnr']:.1f} dB"
        return f"{first['nats']:.3f} nats per token, {pictures}, FG-ARI {first['fg_ari']:.3f}"
    reached = [e["seconds"] for e in record["validation"] if e["fg_ari"] >= GOOD_FG_ARI]
    when = f"; {GOOD_FG_ARI} after {reached[0] / 60:.1f} min" if reached else ""
    return f"FG-ARI {first['fg_ari']:.3f}, mBO {first['mbo']:.3f}{when}"


def write_archive(out: Path, runs: Path) -> None:
    """Writes `out/runs.tar`: the files worth keeping of every run, finished or not."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        for folder in sorted(runs.glob("*")):
            is_finished = (folder / f"{folder.name}.json").is_file()
            for file in sorted(folder.glob("*")):
                needed = file.stem == folder.name or file.name == LOG or not is_finished
                if file.is_file() and needed:
                    archive.add(file, f"{folder.name}/{file.name}", recursive=False)
    write_atomically(out / "runs.tar", buffer.getvalue())
