"""The schema of records: it checks the fields of records, because people edit records by hand.

A schema looks like the record itself:

    {"step": COUNT, "gpu?": TEXT}    an object with these fields; "?" marks an optional field
    ListOf(COUNT, least=1)           a list of at least one count
    NamesOf(COUNT)                   an object whose values are counts, with any names
    OrNull(TEXT)                     null or a text
    (NamesOf(COUNT), {"all": SHARE}) a value that fits all of these schemas

The schema lists only fields that a table or a figure reads. Other fields may hold any value.
"""

from __future__ import annotations

import re
import reprlib
from collections.abc import Callable, Collection
from typing import Any, NamedTuple

from smm_tutorial.results.titles import CONTESTANT_TITLES, SET_TITLES

MOST = 2**63  # the largest size of any number


class Kind(NamedTuple):
    """The schema of a value without fields. words: a description of valid values, for messages."""

    words: str
    fits: Callable[[Any], bool]


class ListOf(NamedTuple):
    schema: Schema
    least: int = 0


class NamesOf(NamedTuple):
    schema: Schema


class OrNull(NamedTuple):
    schema: Schema


class Depending(NamedTuple):
    """Chooses a schema for an object. field: a field's name. present: the schema with this field.

    absent: the schema for an object without this field.
    """

    field: str
    present: Schema
    absent: Schema


#: In a plain tuple of schemas, all schemas must fit the value.
Schema = Kind | ListOf | NamesOf | OrNull | Depending | dict | tuple


def number(low: float, high: float) -> Kind:
    def fits(value: Any) -> bool:
        return type(value) in (int, float) and low <= value <= high

    return Kind(f"a number from {low:g} to {high:g}", fits)


def whole(low: int) -> Kind:
    words = f"a whole number, {low} or more" if low > -MOST else "a whole number"
    return Kind(words, lambda value: type(value) is int and low <= value <= MOST)


def one_of(names: Collection[str]) -> Kind:
    words = f"one of {', '.join(map(repr, names))}"
    return Kind(words, lambda value: isinstance(value, str) and value in names)


def matching(pattern: str, words: str) -> Kind:
    return Kind(words, lambda value: isinstance(value, str) and bool(re.fullmatch(pattern, value)))


TEXT = Kind("text on one line", lambda value: isinstance(value, str) and value.isprintable())
ANYTHING = Kind("anything", lambda value: True)
SHARE = number(0, 1)
INDEX = number(-1, 1)  # a Rand index, adjusted for chance
NUMBER = number(-MOST, MOST)
COUNT = whole(0)

PROTOCOL = {
    "images": whole(1),
    "starts?": whole(1),
    "selection?": one_of(("all", "bic")),
    "iterations?": whole(1),
    "slots?": whole(1),
    "command?": TEXT,
}
APS = dict.fromkeys(("inf", "1", "0.5", "0.25", "0.125", "0.0625"), SHARE)
PROBE = {"ap": APS, "held": SHARE, "images": whole(1)}  # of linear heads on frozen slots
DISCOVERY_SCORES = PROTOCOL | {
    "set": one_of(SET_TITLES["discovery"]),
    "starts": whole(1),
    "selection": one_of(("all", "bic")),
    "fg_ari": INDEX,
    "mbo": SHARE,
    "miou": SHARE,
    "ari": INDEX,
    "split?": SHARE,
    "merged?": SHARE,
    "missed?": SHARE,
    "by_objects?": NamesOf({"fg_ari?": INDEX, "mbo?": SHARE}),
    "by_size?": NamesOf({"overlap?": SHARE}),
    "decoder_masks?": {"mbo?": SHARE},
    "probe?": PROBE,
}
#: The scores of images without masks.
LIKELIHOOD = {"nats_per_pixel": NUMBER, "squared_error": number(0, MOST)}
DISCOVERY_ENTRY = Depending(
    "nats_per_pixel",
    PROTOCOL | {"set": one_of(SET_TITLES["discovery"])} | LIKELIHOOD,
    DISCOVERY_SCORES,
)
SET_SCORES = PROTOCOL | {"set": one_of(SET_TITLES["set-prediction"]), "ap": APS}
PROVENANCE = {
    "hardware": {
        "cpus": OrNull(COUNT),
        "gpu": OrNull(TEXT),
        "threads?": whole(1),
        "processes?": whole(1),
    }
}
RUN = {
    "command": TEXT,
    "contestant": one_of(CONTESTANT_TITLES),
    "config": {"image_size": whole(1)},
    "training": {"seed": whole(-MOST), "learning_rate": number(0, MOST)},
    "profile": TEXT,
    "step": COUNT,
    "minutes": number(0, MOST),
    "provenance": PROVENANCE,
}
DISCOVERY_RUN = RUN | {
    "data": one_of(SET_TITLES["discovery"]),
    "ablation?": OrNull(TEXT),
    "scores": ListOf(DISCOVERY_ENTRY),
    "validation": ListOf(
        Depending("nats_per_pixel", LIKELIHOOD, {"fg_ari": INDEX, "mbo": SHARE}), least=1
    ),
}
SET_RUN = RUN | {
    "training": RUN["training"] | {"loss": {"coordinate_weight": number(0, MOST)}},
    "data": one_of(SET_TITLES["set-prediction"]),
    "scores": ListOf(SET_SCORES),
    "validation": ListOf({"ap_inf": SHARE, "ap_0.5": SHARE}, least=1),
    "begun_with?": OrNull(TEXT),
    "by_iterations?": ListOf({"iterations": whole(1), "ap_inf": SHARE, "ap_0.5": SHARE}),
}
PICTURES = {"squared_error": number(0, MOST), "psnr": NUMBER}  # psnr in dB
DISTANCES = {"kernel": NUMBER, "frechet": NUMBER}
RECONSTRUCTION_SCORES = PROTOCOL | {
    "set": one_of(SET_TITLES["reconstruction"]),
    "nats": number(0, MOST),
    "right": SHARE,
    "teacher_forced": PICTURES,
    "generated?": PICTURES,
    "generated_tokens?": ListOf(TEXT),  # of the first images
    "tokenizer": PICTURES,
    "fg_ari?": INDEX,
    "mbo?": SHARE,
    "probe?": PROBE,
    "distances?": dict.fromkeys(("generated", "tokenizer", "real"), DISTANCES) | {"features": TEXT},
}
RECONSTRUCTION_RUN = RUN | {
    "data": one_of(SET_TITLES["reconstruction"]),
    "tokenizer": TEXT,
    "ablation?": OrNull(TEXT),
    "begun_with?": OrNull(TEXT),
    "scores": ListOf(RECONSTRUCTION_SCORES),
    "validation": ListOf({"nats": number(0, MOST), "fg_ari?": INDEX}, least=1),
}
TOKENIZER_SCORES = PICTURES | {"perplexity": number(0, MOST), "dead_codes": COUNT}
TOKENIZER_RUN = {key: schema for key, schema in RUN.items() if key != "contestant"} | {
    "data": one_of(SET_TITLES["reconstruction"]),
    "ablation?": OrNull(TEXT),
    "scores": ListOf(PROTOCOL | {"set": one_of(SET_TITLES["reconstruction"])} | TOKENIZER_SCORES),
    "validation": ListOf({"psnr": NUMBER, "perplexity": number(0, MOST)}, least=1),
}
#: The schemas of runs by task and purpose.
RUNS = {
    "discovery": {
        "showcase": DISCOVERY_RUN,
        "comparison": DISCOVERY_RUN,
        "search": DISCOVERY_RUN,
        "ablation": DISCOVERY_RUN | {"ablation": TEXT},
        "baseline": {"scores": ListOf(DISCOVERY_ENTRY), "provenance": PROVENANCE},
    },
    "set-prediction": {
        "showcase": SET_RUN,
        "comparison": SET_RUN,
        "search": SET_RUN,
        "ablation": SET_RUN
        | {
            "ablation": TEXT,
            "validation": ListOf(
                {"ap_inf": SHARE, "ap_0.5": SHARE, "ap_0.25?": SHARE, "fg_ari?": INDEX}, least=1
            ),
        },
    },
    "tokenizer": {
        "showcase": TOKENIZER_RUN,
        "search": TOKENIZER_RUN,
        "ablation": TOKENIZER_RUN | {"ablation": TEXT},
    },
    "reconstruction": {
        "showcase": RECONSTRUCTION_RUN,
        "comparison": RECONSTRUCTION_RUN,
        "search": RECONSTRUCTION_RUN,
        "ablation": RECONSTRUCTION_RUN | {"ablation": TEXT},
    },
}

PIXELS = dict.fromkeys(("image", "ground", "rubber", "metal"), NUMBER)  # in dB
EFFECT = {"held out": PIXELS, "costs": PIXELS, "mask_overlap": SHARE, "changed": NamesOf(ANYTHING)}
COMPLETE = PIXELS | {"colour_shift": NUMBER, "images": COUNT}
RECOGNITION = dict.fromkeys(("0.5", "0.25", "0.125"), SHARE) | {"images": COUNT}
EMPTY_SLOTS = dict.fromkeys(("precision", "recall", "f1", "accuracy"), SHARE)
WEIGHT_SCORES = {
    "set": one_of(SET_TITLES["discovery"]),
    "images": whole(1),
    "num_slots": whole(1),
    "empty": SHARE,
    "correlation": {"pooled": INDEX, "in_scenes": INDEX, "slots": COUNT, "scenes": COUNT},
    "methods": NamesOf(EMPTY_SLOTS | {"error": number(0, MOST)}),
}
CONCEPTS = dict.fromkeys(("purity", "nmi", "chance_purity", "chance_nmi"), SHARE)
LIBRARY_SCORES = {
    "concepts": whole(1),
    "fitted_slots": whole(1),
    "scored_slots": whole(1),
    "properties": NamesOf(CONCEPTS),
}
COMPOSED_SCORES = {
    "judged": NamesOf(SHARE),
    "diversity": number(0, MOST),
    "kernel": NUMBER,
    "pictures": whole(1),
}
MEASUREMENT = {
    "measured": TEXT,
    "command": TEXT,
    "measured_model": TEXT,
    "contestant": one_of(CONTESTANT_TITLES),
    "data": one_of(SET_TITLES["discovery"]),
    "training": {"seed": whole(-MOST)},
    "trained_slots": whole(1),
    "provenance": PROVENANCE,
}
#: The schemas of records without a task, by the beginning of their names.
OTHERS = {
    "concepts-weights-": MEASUREMENT | {"scores": NamesOf(WEIGHT_SCORES)},
    "concepts-library-": MEASUREMENT | {"scores": NamesOf(LIBRARY_SCORES)},
    "concepts-composed-": MEASUREMENT
    | {"judge": TEXT, "features": TEXT, "scores": NamesOf(COMPOSED_SCORES)},
    "benchmark-": {
        "scores": NamesOf(
            {
                "value": NUMBER,
                "unit": TEXT,
                "bar": OrNull(matching(r"[<>]= \d+(\.\d+)?", "a bar such as '>= 36'")),
            }
        )
    },
    "raytracer-effects": {
        "scores": (NamesOf(EFFECT), {"all effects": {"held out": COMPLETE, "all": COMPLETE}}),
        "recognition?": NamesOf(RECOGNITION),
    },
}


def find_record_fault(record: dict) -> str | None:
    """Describes the first fault in a record of version 2, in words. Returns None without a fault.

    The record's name must already be checked.
    """
    if "task" in record or "purpose" in record:
        if fault := find_fault(record, {"task": one_of(RUNS)}):
            return fault
        runs = RUNS[record["task"]]
        fault = find_fault(record, {"purpose": one_of(runs)})
        return fault or find_fault(record, runs[record["purpose"]])
    for beginning, schema in OTHERS.items():
        if record["name"].startswith(beginning):
            return find_fault(record, schema)
    return None


def find_fault(value: Any, schema: Schema, field: str = "") -> str | None:
    """Describes the first field of a value that does not fit the schema, in words.

    field: the place of the value in the record, such as `scores[0].ap`. Returns None if all fields
    fit.
    """
    match schema:
        case Kind(words, fits):
            return None if fits(value) else _say(field, words, value)
        case OrNull(inner):
            return None if value is None else find_fault(value, inner, field)
        case Depending(name, present, absent):
            has_it = isinstance(value, dict) and name in value
            return find_fault(value, present if has_it else absent, field)
        case ListOf(inner, least):
            if not isinstance(value, list) or len(value) < least:
                return _say(field, "a list" + (f" of at least {least}" if least else ""), value)
            parts = [(f"{field}[{index}]", part, inner) for index, part in enumerate(value)]
        case NamesOf(inner):
            if not isinstance(value, dict) or not all(map(TEXT.fits, value)):
                return _say(field, "an object, its names on one line each", value)
            parts = [(f"{field}.{name}", part, inner) for name, part in value.items()]
        case dict():
            if not isinstance(value, dict):
                return _say(field, "an object", value)
            parts = []
            for name, inner in schema.items():
                optional, name = name.endswith("?"), name.removesuffix("?")
                place = f"{field}.{name}" if field else name
                if name in value:
                    parts.append((place, value[name], inner))
                elif not optional and name not in value:
                    return f"{place} is missing"
        case _:
            parts = [(field, value, inner) for inner in schema]
    faults = (find_fault(part, inner, place) for place, part, inner in parts)
    return next(filter(None, faults), None)


def _say(field: str, words: str, value: Any) -> str:
    return f"{field} must be {words}, got {reprlib.repr(value)}"
