"""Measure how close the ray tracer is to Blender, and what each of its effects contributes.

`python -m smm_tutorial.fidelity` reads a folder of renders made with CLEVR's original assets
(images/, masks/ and scenes.json with cameras and lamps). It renders the same scenes and compares
the images. The ambient light was fitted on the scenes with even numbers, so the scores are those of
the other scenes. `--fit` repeats the fit and prints the coefficients.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence

from smm_tutorial.fidelity.effects import FITTED_ON, measure_effects
from smm_tutorial.fidelity.recognition import measure_recognition
from smm_tutorial.fidelity.renders import HEIGHT, SAMPLES, WIDTH, read_renders
from smm_tutorial.fidelity.report import RECORD, effects_table
from smm_tutorial.results.provenance import provenance
from smm_tutorial.results.records import write_record
from smm_tutorial.scenes.fitting import fit_ambient


def main(arguments: Sequence[str] | None = None) -> None:
    """The command line: measure, and write the record."""
    parser = argparse.ArgumentParser(
        prog="python -m smm_tutorial.fidelity", description=__doc__.splitlines()[0]
    )
    add = parser.add_argument
    add("--root", required=True, help="folder of Blender renders: images/, masks/, scenes.json")
    add("--keep", action="store_true", help=f"write data/results/{RECORD}.json")
    add("--weights", help="the authors' e725.pth: adds what their network reads from the pictures")
    add("--fit", action="store_true", help="fit the ambient light anew, print its coefficients")
    options = parser.parse_args(arguments)
    made_by = provenance()  # of the code that is loaded now
    renders = read_renders(options.root)
    if options.fit:
        print(fit_ambient(*renders.subset(FITTED_ON)))
        return
    record = {
        "name": RECORD,
        "command": "python -m smm_tutorial.fidelity --root PATH --keep",
        "data": f"{len(renders.scenes)} scenes rendered with CLEVR's assets in Blender, "
        "320 x 240 pixels, halved",
        "size": [HEIGHT, WIDTH],
        "samples": SAMPLES,
        "fitted_on": "scenes with even numbers, counted from 0",
        "scores": dict(measure_effects(renders)),
        "provenance": made_by,
    }
    if options.weights:
        record["command"] = "python -m smm_tutorial.fidelity --root PATH --weights PATH --keep"
        record["recognition"] = measure_recognition(renders, options.weights)
    print(effects_table(record))
    for pictures, scores in record.get("recognition", {}).items():
        listed = ", ".join(f"{name} {score}" for name, score in scores.items())
        print(f"released weights on {pictures}: AP {listed}")
    if options.keep:
        print(f"written: {write_record(record).name}")


if __name__ == "__main__":
    main()
