"""Measured weights: from a model's name to a record and its tables."""

import json

import pytest

from smm_tutorial import cli, concepts, results
from smm_tutorial.concepts import measurements
from smm_tutorial.results.records import RecordError, write_record

NAME = "discovery-mixture-clevr6-ci-steps2-seed0"


@pytest.fixture
def model(toy_data, monkeypatch):
    """The name of a model that was trained for two steps. Only its own scenes are scored."""
    monkeypatch.setattr(measurements, "OTHER_SETS", ())
    command = "train discovery --profile ci --steps 2 --keep checkpoint"
    assert cli.main(command.split()) == 0
    return NAME


def test_a_measurement_is_a_record_and_can_be_repeated(model, data_folder, capsys):
    for _ in range(2):
        assert cli.main(["concepts", model, "--keep"]) == 0
    record = results.read_record(concepts.name_measurement(model))
    assert record["command"] == f"smm-tutorial concepts {model} --keep"
    assert record["measured_model"] == model and record["contestant"] == "mixture"
    expected = [f"clevr6, {count} slots" for count in concepts.SLOT_COUNTS]
    assert list(record["scores"]) == expected
    for scores, count in zip(record["scores"].values(), concepts.SLOT_COUNTS, strict=True):
        assert scores["num_slots"] == count and scores["methods"].keys() == concepts.METHODS.keys()
    printed = capsys.readouterr().out
    assert concepts.score_table(record) in printed


def test_tables_hold_the_spread_over_seeds(model, data_folder):
    assert concepts.report() == concepts.correlation_table()
    assert "No weights have been measured yet" in concepts.report()
    record = concepts.measure_weights(model, "smm-tutorial", slot_counts=(7,))
    for seed, f1 in ((0, 0.5), (1, 0.7)):
        changed = json.loads(json.dumps(record))
        changed["name"] += f"-{seed}"
        changed["scores"]["clevr6, 7 slots"]["methods"]["weights"]["f1"] = f1
        changed["scores"]["clevr6, 7 slots"]["methods"]["weights"]["accuracy"] = 0.25
        write_record(changed)
    assert "| SMM | clevr6, test, 7 slots | small weight |" in concepts.empty_table()
    assert "0.600 ± 0.141 | 2 |" in concepts.empty_table()
    assert "0.250 ± 0.000" in concepts.count_table()
    for table in (concepts.correlation_table(), concepts.empty_table(), concepts.count_table()):
        assert table in concepts.report()


def test_a_damaged_measurement_is_refused(model, data_folder):
    record = concepts.measure_weights(model, "smm-tutorial", slot_counts=(7,))
    record["scores"]["clevr6, 7 slots"]["methods"]["weights"]["f1"] = 2
    with pytest.raises(RecordError, match="f1 must be a number from 0 to 1"):
        write_record(record)


def test_other_models_are_refused(toy_data, capsys):
    assert cli.main("train tokenizer --profile ci --steps 2 --keep checkpoint".split()) == 0
    assert cli.main(["concepts", "tokenizer-clevr6-ci-steps2-seed0"]) == 1
    assert "is a Tokenizer: weights are measured on a model of object" in capsys.readouterr().err


def test_libraries_are_made_of_means_and_of_means_with_variances(tmp_path, monkeypatch):
    """On scenes of the course: made-up scenes have no records."""
    monkeypatch.setenv("SMM_PROFILE", "ci")
    record = concepts.measure_library(
        "comparison-mixture-clevr6-laptop-48px-seed0",
        "smm-tutorial",
        count=40,
        concept_counts=(2, 4),
    )
    kinds = ["mean, as they are", "mean, place removed"]
    kinds += [kind.replace("mean,", "mean and variance,") for kind in kinds]
    assert list(record["scores"]) == kinds
    for scores in record["scores"].values():
        assert scores["concepts"] in (2, 4) and scores["fitted_slots"] > 100
        assert scores["properties"].keys() == {"color", "shape", "material", "size", "all"}
    assert "| mean, place removed |" in concepts.score_table(record)


def test_composed_scenes_are_judged_by_another_model():
    names = [f"comparison-mixture-clevr6-laptop-48px-seed{seed}" for seed in (0, 1)]
    record = concepts.measure_compositions(
        *names, "smm-tutorial", count=40, concept_counts=(4,), pictures=12
    )
    assert record["judge"] == names[1] and record["measured_model"] == names[0]
    assert record["name"] == f"concepts-composed-{names[0]}"
    assert {scores["pictures"] for scores in record["scores"].values()} == {12}
    for source in ("copied", "drawn"):
        assert 0 < record["scores"][source]["judged"]["found"] <= 1
    assert "| SMM | composed of drawn slots |" in concepts.score_table(record)
    with pytest.raises(ValueError, match="would judge its own pictures"):
        concepts.measure_compositions(names[0], names[0])


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--library", "--renders", "folder"], "leave out --renders"),
        (["--library", "--compose", "other"], "leave out one"),
    ],
)
def test_options_that_contradict_each_other_are_refused(options, message, capsys):
    assert cli.main(["concepts", "some", *options]) == 1
    assert message in capsys.readouterr().err
