"""Tables of weights and concepts, made from the records in `data/results`. All are Markdown."""

from collections.abc import Iterator, Mapping

from smm_tutorial.results import tables
from smm_tutorial.results.comparisons import Spread, find_number
from smm_tutorial.results.records import read_records
from smm_tutorial.results.titles import CONTESTANT_TITLES, SET_TITLES

NO_WEIGHTS = "No weights have been measured yet: `smm-tutorial concepts MODEL --keep`."
NO_LIBRARY = "No library has been made yet: `smm-tutorial concepts MODEL --library --keep`."
NO_COMPOSED = (
    "No scenes have been composed yet: `smm-tutorial concepts MODEL --compose JUDGE --keep`."
)
SOURCE_TITLES = {
    "real": "real",
    "copied": "composed of real slots",
    "drawn": "composed of drawn slots",
}
PROPERTY_TITLES = {
    "color": "colour",
    "shape": "shape",
    "material": "material",
    "size": "size",
    "all": "all four",
}
METHOD_TITLES = {"weights": "small weight", "masks": "small mask", "bic": "no price paid (BIC)"}
COUNT_COLUMNS = {"accuracy": "right counts", "error": "mean error"}
EMPTY_COLUMNS = {"precision": "precision", "recall": "recall", "f1": "F1"}

#: Records of measurements by slot module and data of the training.
Groups = dict[tuple[str, str], list[dict]]


def read_measurements(measured: str = "weights") -> Groups:
    """Reads measurements by slot module and data of the training.

    measured: `weights`, `library` or `composed`.
    """
    groups: Groups = {}
    for record in read_records(measured=measured):
        groups.setdefault((record["contestant"], record["data"]), []).append(record)
    order = list(CONTESTANT_TITLES)
    return dict(sorted(groups.items(), key=lambda item: (item[0][1], order.index(item[0][0]))))


def _spread(records: list[dict], title: str, place: tuple[str, ...]) -> str:
    entries = [record["scores"].get(title, {}) for record in records]
    values = [find_number(entry, place) for entry in entries]
    values = [value for value in values if value is not None]
    return str(Spread.of(values)) if values else "–"


def _title_of(scores: Mapping) -> str:
    title = SET_TITLES["discovery"][scores["set"]].format(images=scores["images"])
    return f"{title}, {scores['num_slots']} slots"


def _list_sets(groups: Groups) -> Iterator[tuple[str, list[dict], str, str]]:
    """Lists all scored sets: title of the slot module, its records, key and title of the set."""
    for (contestant, _), records in groups.items():
        sets = {key: scores for record in records for key, scores in record["scores"].items()}
        for key, scores in sets.items():
            yield CONTESTANT_TITLES[contestant], records, key, _title_of(scores)


def score_table(record: dict) -> str:
    """The scores of one measurement: one row per set of scenes and method, or per library."""
    if record["measured"] == "composed":
        return composed_table([record])
    if record["measured"] == "library":
        rows = [["library of", "concepts", *(f"NMI, {name}" for name in PROPERTY_TITLES.values())]]
        for title, scores in record["scores"].items():
            found = scores["properties"]
            cells = [f"{found[name]['nmi']:.3f}" for name in PROPERTY_TITLES]
            rows.append([title, str(scores["concepts"]), *cells])
        return tables.markdown_table(rows)
    rows = [["scored on", "in a scene", "over all scenes", "a slot is empty if it has"]]
    rows[0] += [*EMPTY_COLUMNS.values(), *COUNT_COLUMNS.values()]
    for scores in record["scores"].values():
        correlations = [f"{scores['correlation'][one]:.3f}" for one in ("in_scenes", "pooled")]
        for method, name in METHOD_TITLES.items():
            found = scores["methods"][method]
            cells = [f"{found[one]:.3f}" for one in (*EMPTY_COLUMNS, *COUNT_COLUMNS)]
            rows.append([_title_of(scores), *correlations, name, *cells])
    return tables.markdown_table(rows)


def correlation_table() -> str:
    """How well weights tell areas: one row per slot module and set of scenes."""
    groups = read_measurements()
    if not groups:
        return NO_WEIGHTS
    rows = [["slot module", "scored on", "in a scene", "over all scenes", "empty slots", "seeds"]]
    places = [("correlation", "in_scenes"), ("correlation", "pooled"), ("empty",)]
    for module, records, key, title in _list_sets(groups):
        cells = [_spread(records, key, place) for place in places]
        rows.append([module, title, *cells, str(len(records))])
    return tables.markdown_table(rows)


def empty_table() -> str:
    """How well each method finds empty slots: one row per slot module, set and method."""
    return _method_table(EMPTY_COLUMNS)


def count_table() -> str:
    """How well each method counts objects: one row per slot module, set and method."""
    return _method_table(COUNT_COLUMNS)


def library_table(score: str = "nmi") -> str:
    """How well concepts agree with properties: one row per slot module and kind of library.

    score: `nmi` or `purity`. The last row of each module is chance: the same concepts in random
    order.
    """
    groups = read_measurements("library")
    if not groups:
        return NO_LIBRARY
    rows = [["slot module", "library of", "concepts", *PROPERTY_TITLES.values(), "seeds"]]
    for (contestant, _), records in groups.items():
        kinds = list(dict.fromkeys(kind for record in records for kind in record["scores"]))
        places = [(kind, score) for kind in kinds] + [(kinds[-1], f"chance_{score}")]
        for kind, name in places:
            counts = [str(record["scores"][kind]["concepts"]) for record in records]
            cells = [_spread(records, kind, ("properties", one, name)) for one in PROPERTY_TITLES]
            title = kind if name == score else f"{kind}, in random order"
            row = [CONTESTANT_TITLES[contestant], title, ", ".join(counts)]
            rows.append([*row, *cells, str(len(records))])
    return tables.markdown_table(rows)


def composed_table(records: list[dict] | None = None) -> str:
    """What the judge finds in composed scenes: one row per slot module and kind of pictures.

    records: of composed scenes; by default all. In rows of real pictures, the judge's own slots
    hold the objects, so nothing must be found. The kernel distance is multiplied by 1,000.
    """
    groups = read_measurements("composed")
    if records is not None:
        groups = {(records[0]["contestant"], records[0]["data"]): records}
    if not groups:
        return NO_COMPOSED
    networks = {one["features"] for records in groups.values() for one in records}
    titles = [title for name, title in PROPERTY_TITLES.items() if name != "all"]
    rows = [["slot module", "pictures", "found", *titles, "diversity"]]
    rows[0] += [f"kernel x 1000 ({', '.join(sorted(networks))})", "seeds"]
    for (contestant, _), found in groups.items():
        for source, title in SOURCE_TITLES.items():
            cells = [
                _spread(found, source, ("judged", name))
                for name in ("found", *PROPERTY_TITLES)
                if name != "all"
            ]
            cells.append(_spread(found, source, ("diversity",)))
            kernels = [1000 * one["scores"][source]["kernel"] for one in found]
            row = [CONTESTANT_TITLES[contestant], title, *cells]
            rows.append([*row, str(Spread.of(kernels)), str(len(found))])
    return tables.markdown_table(rows)


def _method_table(columns: Mapping[str, str]) -> str:
    groups = read_measurements()
    if not groups:
        return NO_WEIGHTS
    rows = [["slot module", "scored on", "a slot is empty if it has", *columns.values(), "seeds"]]
    for module, records, key, title in _list_sets(groups):
        for method, name in METHOD_TITLES.items():
            cells = [_spread(records, key, ("methods", method, score)) for score in columns]
            rows.append([module, title, name, *cells, str(len(records))])
    return tables.markdown_table(rows)


def report() -> str:
    """Joins all tables of this room."""
    if not any(read_measurements(kind) for kind in ("weights", "library", "composed")):
        return NO_WEIGHTS
    parts = {
        "Correlation of the weights of slots with the visible areas of their objects": (
            correlation_table()
        ),
        "Empty slots": empty_table(),
        "Counts of objects": count_table(),
        "Normalised mutual information of concepts and properties": library_table(),
        "Purity of concepts": library_table("purity"),
        "Composed scenes, and what another model finds in them": composed_table(),
    }
    return "\n\n".join(f"{title}:\n\n{table}" for title, table in parts.items())
