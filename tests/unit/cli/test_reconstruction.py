"""Image reconstruction from the command line: train, evaluate, report, and what makes no sense."""

from dataclasses import asdict

import pytest

from smm_tutorial import checkpoints, cli, reconstruction, results
from tests.toys import toy_scenes

TOKENIZER = "tokenizer-clevr6-ci-seed0"
NAME = "reconstruction-mixture-clevr6-ci-steps2-seed0"
TRAIN = "train reconstruction --profile ci --steps 2".split()


@pytest.fixture
def trained(toy_data):
    assert cli.main("train tokenizer --profile ci --keep".split()) == 0
    return toy_data


def test_train_evaluate_and_report(trained, capsys):
    tokenizer, record = checkpoints.load(TOKENIZER)
    assert record["command"] == "smm-tutorial train tokenizer --profile ci --keep"
    assert record["task"] == "tokenizer" and "contestant" not in record
    (scores,) = record["scores"]
    expected = reconstruction.evaluate_tokenizer(tokenizer, toy_scenes(size=32))
    assert scores == {"set": "clevr6"} | expected

    assert cli.main([*TRAIN, "--keep"]) == 0
    assert "nats per token, FG-ARI" in capsys.readouterr().out
    model, record = checkpoints.load(NAME)
    assert record["config"] == asdict(model.config) and record["step"] == 2
    assert (record["tokenizer"], record["begun_with"]) == (TOKENIZER, None)
    (scores,) = record["scores"]
    assert scores == {"set": "clevr6"} | reconstruction.evaluate(model, toy_scenes(size=32))

    for what in (TOKENIZER, NAME):
        assert cli.main(["evaluate", what, "--data", "clevr-mirror", "--keep"]) == 0
        kept = results.read_record(what)["scores"]
        assert [entry["set"] for entry in kept] == ["clevr6", "clevr-mirror"]
        assert kept[1]["command"] == f"smm-tutorial evaluate {what} --data clevr-mirror --keep"
    capsys.readouterr()
    for table, head in (("tokenizer", "PSNR in dB"), ("reconstruction", "PSNR, generated")):
        assert cli.main(["report", table]) == 0
        first, _, *rows = capsys.readouterr().out.splitlines()
        assert head in first and len(rows) == 2
    assert rows[0].startswith("| SMM, 32 px, seed 0 | clevr6, test | 12 |")


def test_comparisons_and_ablations_have_tables(trained, capsys):
    comparison = ["--kind", "reconstruction-comparison", "--keep"]
    for slots in ("mixture", "attention"):
        for seed in range(3):
            choice = ["--slots", slots, "--seed", str(seed)]
            assert cli.main([*TRAIN, *comparison, *choice]) == 0
    for name in ("no-slots", "complete"):
        assert cli.main([*TRAIN, "--variant", name, "--keep"]) == 0
    capsys.readouterr()
    assert cli.main(["report", "reconstruction-comparison"]) == 0
    out = capsys.readouterr().out
    assert "SMM minus Slot Attention, PSNR of generated pictures on clevr6, test" in out
    assert "The finding (clevr6, ci, 32 px):" in out
    assert cli.main(["report", "reconstruction-ablations"]) == 0
    *_, complete, without = capsys.readouterr().out.splitlines()
    assert complete.startswith("| complete | ") and without.startswith("| no-slots | ")


def test_without_runs_the_tables_say_how_to_train(data_folder, capsys):
    for name in ("tokenizer", "reconstruction", "reconstruction-comparison"):
        assert cli.main(["report", name]) == 0
        assert "has been trained yet: `smm-tutorial train" in capsys.readouterr().out
    assert cli.main(["report", "reconstruction-ablations"]) == 0
    assert "No ablation has been trained yet" in capsys.readouterr().out
    assert cli.main(["report", "reconstruction-distances"]) == 0
    assert "No distances have been measured yet" in capsys.readouterr().out


def test_distances_to_real_pictures_are_kept_and_told(trained, capsys):
    assert cli.main([*TRAIN, "--keep"]) == 0
    assert cli.main(["evaluate", NAME, "--distances", "--keep"]) == 0
    (scores,) = results.read_record(NAME)["scores"]
    assert scores["command"] == f"smm-tutorial evaluate {NAME} --distances --keep"
    distances = scores["distances"]
    assert distances["features"] == "EfficientNetLite0"
    assert distances["generated"]["frechet"] > 0
    capsys.readouterr()
    assert cli.main(["report", "reconstruction-distances"]) == 0
    head, _, *rows = capsys.readouterr().out.splitlines()
    assert "kernel x 1000 (EfficientNetLite0)" in head and len(rows) == 3


def test_what_makes_no_sense_is_refused_in_a_sentence(trained, capsys):
    def refusal(command):
        assert cli.main(command.split()) == 1
        return capsys.readouterr().err

    assert "--starts is for other tasks" in refusal(f"evaluate {TOKENIZER} --starts 3")
    assert "--num-slots is for other tasks" in refusal(f"evaluate {TOKENIZER} --num-slots 3")
    told = refusal(f"evaluate {TOKENIZER} --distances")
    assert "distances are of generated pictures, and a tokenizer generates none" in told
    assert "and tokenizer-clevr6-ci-seed0 is none" in refusal(f"evaluate {TOKENIZER} --probe")
    told = refusal("evaluate untrained --distances")
    assert "--distances is for models that rebuild images from tokens" in told
    told = refusal("train reconstruction --profile ci --size 40 --steps 2")
    assert "there is no checkpoint 'tokenizer-clevr6-ci-40px-seed0'" in told
    told = refusal(f"evaluate {TOKENIZER} --data coco --root somewhere")
    assert "data must be one of" in told
    both = "--variant no-slots --kind reconstruction-comparison"
    assert "exclude each other" in refusal(f"train reconstruction --profile ci {both}")
    with pytest.raises(SystemExit):
        cli.main("train tokenizer --slots mixture".split())
