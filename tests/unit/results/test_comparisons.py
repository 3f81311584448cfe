"""Comparisons: what tables and sentences make of made-up records, whoever wins."""

from dataclasses import asdict

import pytest
from filelock import FileLock

from smm_tutorial import cli, discovery, paths, report, results
from smm_tutorial.discovery.tables import NO_COMPARISON
from smm_tutorial.files import LOCK_NAME
from smm_tutorial.results import comparisons, records
from smm_tutorial.results.comparisons import Spread
from smm_tutorial.results.tables import shift_table, training_cell

TEST, CROWD = "clevr6", "out-of-distribution-crowd"


def scores_of(value, set_name=TEST):
    return {
        "set": set_name,
        "starts": 1,
        "selection": "all",
        "fg_ari": value,
        "mbo": value - 0.2,
        "miou": max(value - 0.25, 0.0),
        "ari": value - 0.1,
        "background_iou": 0.9,
        "split": 0.05,
        "merged": 0.1,
        "missed": 0.02,
        "segments": 5.0,
        "images": 320,
        "by_objects": {
            "3": {"fg_ari": value + 0.01, "mbo": max(value - 0.1, 0.0)},
            "4": {"fg_ari": value - 0.01, "mbo": max(value - 0.3, 0.0)},
        },
        "by_size": {
            "below 1.25 %": {"objects": 9, "overlap": max(value - 0.4, 0.0)},
            "5 % and more": {"objects": 5, "overlap": value},
        },
    }


def record_of(slots, seed, value, *, validation=None, minutes=10.0, profile="ci", **scores):
    """The record of a run that reached that FG-ARI, and others on other data."""
    run = discovery.DiscoveryRun(slots, profile=profile, seed=seed, purpose="comparison")
    return {
        "version": 2,
        "name": run.name,
        "task": "discovery",
        "purpose": "comparison",
        "contestant": run.module,
        "command": "smm-tutorial train",
        "config": asdict(run.config),
        "training": asdict(run.training) | {"loss": asdict(run.loss)},
        "profile": run.profile,
        "data": run.data,
        "step": run.training.steps,
        "minutes": minutes,
        "scores": [scores_of(value)] + [scores_of(other, name) for name, other in scores.items()],
        "validation": [
            {"fg_ari": 0.99, "mbo": 0.5},
            {"fg_ari": value if validation is None else validation, "mbo": 0.5},
        ],
        "provenance": {"revision": "0123456789ab", "hardware": {"cpus": 2, "gpu": None}},
    }


def records_of(**values):
    return [
        record_of(slots.replace("_", "-"), seed, v)
        for slots, many in values.items()
        for seed, v in enumerate(many)
    ]


@pytest.fixture
def keep(tmp_path, monkeypatch):
    """An empty results folder and what fills it."""
    (tmp_path / "results").mkdir()
    monkeypatch.setenv("SMM_DATA", str(tmp_path))
    return lambda records: [results.write_record(record) for record in records]


def cells(table):
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in table.splitlines()]


def sentences(**values):
    return results.describe_differences(results.group_records(records_of(**values)))


def test_a_spread_is_the_standard_deviation_over_seeds():
    assert Spread.of([0.7, 0.8, 0.9]) == (pytest.approx(0.8), pytest.approx(0.1), 3)
    assert str(Spread.of([0.7, 0.8, 0.9])) == "0.800 ± 0.100" and str(Spread.of([0.5])) == "0.500"


WITHIN = "within the spread, neither is shown to be better"
AHEAD = "beyond the spread, in favour of "


@pytest.mark.parametrize(
    ("mixture", "attention", "difference", "verdict"),
    [
        ([0.80, 0.82, 0.84], [0.79, 0.81, 0.83], "+0.010 ± 0.028", WITHIN),
        ([0.90, 0.92, 0.94], [0.79, 0.81, 0.83], "+0.110 ± 0.028", AHEAD + "SMM"),
        ([0.60, 0.62, 0.64], [0.79, 0.81, 0.83], "-0.190 ± 0.028", AHEAD + "Slot Attention"),
        ([0.80, 0.80, 0.80], [0.80, 0.80, 0.80], "+0.000 ± 0.000", WITHIN),
        ([0.90, 0.50, 0.95], [0.60, 0.61, 0.62], "+0.173 ± 0.247", WITHIN),
    ],
)
def test_a_difference_is_held_against_the_spread(mixture, attention, difference, verdict):
    first, second = sentences(mixture=mixture, attention=attention)
    start = "SMM minus Slot Attention, FG-ARI on clevr6, test (clevr6, ci, 32 px): "
    assert first == start + f"{difference} (3 and 3 seeds): {verdict}."
    assert second == first.replace("FG-ARI", "mBO")  # it differs by a constant in these records


@pytest.mark.parametrize("mixture", [[0.9], [0.899, 0.901]])
def test_one_or_two_seeds_show_nothing(mixture):
    first, _ = sentences(mixture=mixture, attention=[0.5, 0.6, 0.7])
    assert first.endswith(
        f"+0.300 ({len(mixture)} and 3 seeds): nothing is shown before both have 3 seeds."
    )


def test_every_contestant_is_held_against_slot_attention_and_smm_against_its_wider_slots_too():
    found = sentences(
        mixture=[0.9, 0.8],
        mixture_reduced=[0.8, 0.7],
        attention_wide=[0.7, 0.6],
        attention=[0.6, 0.5],
    )
    wide = "Slot Attention, slots twice as wide"
    pairs = [
        (wide, "Slot Attention"),
        ("SMM, slots reduced", "Slot Attention"),
        ("SMM", "Slot Attention"),
        ("SMM", wide),
    ]
    expected = [
        f"{ours} minus {baseline}, {score} on"
        for ours, baseline in pairs
        for score in ("FG-ARI", "mBO")
    ]
    assert [line[: len(start)] for line, start in zip(found, expected, strict=True)] == expected
    assert sentences(mixture=[0.9, 0.8]) == []


@pytest.mark.parametrize(
    ("fg_ari", "mbo", "finding"),
    [
        (0.0, 0.0, "neither SMM nor Slot Attention is shown to be better in FG-ARI and mBO"),
        (0.2, 0.2, "SMM is ahead of Slot Attention in FG-ARI and mBO"),
        (-0.2, -0.2, "Slot Attention is ahead of SMM in FG-ARI and mBO"),
        (
            0.2,
            0.0,
            "SMM is ahead of Slot Attention in FG-ARI; "
            "neither SMM nor Slot Attention is shown to be better in mBO",
        ),
        (
            -0.2,
            0.2,
            "Slot Attention is ahead of SMM in FG-ARI; SMM is ahead of Slot Attention in mBO",
        ),
    ],
)
def test_the_finding_is_one_sentence_for_each_setting(fg_ari, mbo, finding):
    found = records_of(attention=(0.5, 0.6, 0.55), mixture=(0.5, 0.6, 0.55))
    for record in found[3:]:
        record["scores"][0]["fg_ari"] += fg_ari
        record["scores"][0]["mbo"] += mbo
    told = comparisons.describe_finding(comparisons.group_records(found))
    assert told == [f"The finding (clevr6, ci, 32 px): {finding}."]


def test_without_three_seeds_of_both_or_without_a_score_there_is_no_finding():
    two = records_of(attention=(0.5, 0.6, 0.55), mixture=(0.5, 0.6))
    assert comparisons.describe_finding(comparisons.group_records(two)) == []
    alone = records_of(attention_wide=(0.5, 0.6, 0.55), mixture=(0.5, 0.6, 0.55))
    assert comparisons.describe_finding(comparisons.group_records(alone)) == []
    unscored = records_of(attention=(0.5, 0.6, 0.55), mixture=(0.5, 0.6, 0.55))
    for record in unscored[3:]:
        del record["scores"][0]["mbo"]
    assert comparisons.describe_finding(comparisons.group_records(unscored)) == []


def test_settings_are_not_mixed():
    records = records_of(mixture=[0.9, 0.8], attention=[0.7, 0.6]) + [
        record_of("mixture", 0, 0.1, profile="laptop")
    ]
    found = results.group_records(records)
    assert [(group.contestant, group.setting.profile, len(group.records)) for group in found] == [
        ("attention", "ci", 2),
        ("mixture", "ci", 2),
        ("mixture", "laptop", 1),
    ]
    assert len(results.describe_differences(found)) == 2


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda r: r["training"].update(batch_size=9), "differ in batch_size: 8 and 9"),
        (lambda r: r["training"].update(loss={}), "differ in loss:"),
        (lambda r: r["config"].update(num_iterations=1), "differ in num_iterations: 4 and 1"),
        (lambda r: r.update(step=7), "differ in steps done: 20 and 7"),
    ],
)
def test_unlike_runs_are_refused_by_name(change, message):
    records = records_of(attention=[0.7], mixture=[0.9])
    change(records[1])
    both = "comparison-attention-clevr6-ci-seed0 and comparison-mixture-clevr6-ci-seed0"
    with pytest.raises(ValueError, match=f"{both} are not comparable, they {message}"):
        results.group_records(records)


def test_contestants_may_have_learning_rates_of_their_own_but_seeds_of_one_may_not():
    records = records_of(attention=[0.7, 0.6], mixture=[0.9, 0.8])
    for record in records[:2]:
        record["training"]["learning_rate"] = 5e-4
    assert len(results.group_records(records)) == 2
    records[0]["training"]["learning_rate"] = 1e-3
    with pytest.raises(ValueError, match="differ in learning_rate: 0.001 and 0.0005"):
        results.group_records(records)


def test_the_table_has_a_line_for_each_slot_module(keep):
    records = records_of(mixture=[0.8, 0.9], attention=[0.7, 0.8, 0.9], mixture_reduced=[0.6])
    # seed 0 is chosen, though seed 1 tests better
    records[0] |= {"minutes": 20.0, "validation": [{"fg_ari": 0.95, "mbo": 0.5}]}
    keep(records)
    head, _, *rows = cells(discovery.comparison_table())
    assert [row[0] for row in rows] == ["Slot Attention", "SMM, slots reduced", "SMM"]
    attention, reduced, mixture = (dict(zip(head, row, strict=True)) for row in rows)
    assert attention["FG-ARI"] == "0.800 ± 0.100" and attention["split objects"] == "0.050 ± 0.000"
    assert (attention["seeds"], attention["best seed"]) == ("3", "2")
    assert reduced["FG-ARI"] == "0.600 (one seed)"
    assert mixture["best seed"] == "0" and mixture["trained and scored on"] == "clevr6, ci, 32 px"
    assert mixture["training of each"] == "20 steps at rate 0.0016, 15 minutes, 2 CPU cores"


def test_shifts_have_a_line_for_each_data_set_and_a_gap_where_nothing_was_scored(keep):
    records = [record_of("attention", 0, 0.7), record_of("attention", 1, 0.8, stacks=0.2)]
    records += [
        record_of("mixture", 0, 0.9, **{CROWD: 0.5}),
        record_of("mixture", 1, 0.8, **{CROWD: 0.4}),
    ]
    records += [record_of("mixture-reduced", seed, 0.8, **{CROWD: 0.3}) for seed in (0, 1)]
    records += [record_of("mixture-reduced", 2, 0.8)]
    keep(records)
    head, _, *rows = cells(shift_table(results.read_groups("discovery"), ("fg_ari",)))
    assert head == ["trained on", "scored on", "Slot Attention", "SMM, slots reduced", "SMM"]
    assert rows == [
        ["clevr6, ci, 32 px", "clevr6, test", "0.750 ± 0.071", "0.800 ± 0.000", "0.850 ± 0.071"],
        ["clevr6, ci, 32 px", "stacks", "0.200 (one seed)", "–", "–"],
        ["clevr6, ci, 32 px", CROWD, "–", "0.300 ± 0.000 (2 of 3 seeds)", "0.450 ± 0.071"],
    ]
    assert cells(shift_table(results.read_groups("discovery"), ("mbo",)))[-1][-1] == "0.250 ± 0.071"


def test_scores_by_number_and_by_size_of_objects(keep):
    keep(records_of(attention=[0.7, 0.8], mixture=[0.9]))
    assert cells(discovery.by_objects_table())[2:] == [
        ["clevr6, ci, 32 px", "3", "0.760 ± 0.071", "0.910 (one seed)"],
        ["clevr6, ci, 32 px", "4", "0.740 ± 0.071", "0.890 (one seed)"],
    ]
    assert cells(discovery.by_size_table())[2:] == [
        ["clevr6, ci, 32 px", "below 1.25 %", "0.350 ± 0.071", "0.500 (one seed)"],
        ["clevr6, ci, 32 px", "5 % and more", "0.750 ± 0.071", "0.900 (one seed)"],
    ]


def test_without_records_one_line_says_so(keep, capsys):
    for table in ("comparison_table", "comparison_report", "full_comparison_report"):
        assert getattr(discovery, table)() == NO_COMPARISON
    assert len(NO_COMPARISON.splitlines()) == 1
    assert cli.main(["report", "comparison"]) == 0
    assert capsys.readouterr().out.strip() == NO_COMPARISON


def test_the_readme_takes_the_tables_between_its_comments(keep):
    frame = "<!-- {0} table: written by `smm-tutorial report {0} --keep` -->\nold\n<!-- end -->\n"
    others = "".join(frame.format(name) for name in report.README_PARTS if name != "comparison")
    others = others.replace("old\n", "", 1)  # an empty place
    readme = "before\n" + others + "between\n" + frame.format("comparison") + "after\n"
    keep(records_of(attention=[0.7, 0.8], mixture=[0.9, 0.8]))
    written = report.fill_readme(readme)
    assert report.fill_readme(written) == written and "old" not in written
    outside = ["before", "between", "after"]
    assert [line for line in written.splitlines() if line in outside] == outside
    place = written.split("between")[1]
    assert discovery.comparison_table() in place and "- SMM minus Slot Attention, mBO" in place
    assert "on data of other kinds" not in place  # nothing was scored on other data
    with pytest.raises(
        ValueError, match="lost the two comments that mark the place of the comparison table"
    ):
        report.fill_readme(others)


def test_the_readme_waits_for_others_that_keep_results(keep, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(paths, "repository_root", lambda: tmp_path)
    monkeypatch.setattr(records, "LOCK_PATIENCE", 0.0)
    with FileLock(tmp_path / "results" / LOCK_NAME):
        assert cli.main(["report", "comparison", "--keep"]) == 1
    assert "another process is keeping results in" in capsys.readouterr().err


def test_without_a_checkout_there_is_no_readme_to_keep(keep, monkeypatch, capsys):
    monkeypatch.setattr(paths, "repository_root", lambda: None)
    assert cli.main(["report", "comparison", "--keep"]) == 1
    assert "only a checkout of the course has a README" in capsys.readouterr().err


def test_the_whole_report_from_the_command_line(keep, capsys):
    keep([record_of("attention", 0, 0.7), record_of("mixture", 0, 0.9, **{CROWD: 0.5})])
    assert cli.main(["report", "comparison"]) == 0
    out = capsys.readouterr().out
    for part in (
        discovery.comparison_report(),
        shift_table(results.read_groups("discovery"), ("mbo",)),
        discovery.by_objects_table(),
        discovery.by_size_table(),
    ):
        assert part in out


@pytest.mark.parametrize("task", ["discovery", "set-prediction"])
def test_committed_records_of_comparisons_are_alike(task):
    assert results.read_groups(task)


@pytest.mark.parametrize(
    ("hardware", "text"),
    [
        ({"cpus": 8, "threads": 2, "processes": 3, "gpu": None}, "6 CPU threads"),
        ({"cpus": 8, "threads": 2, "processes": 2, "gpu": "T4"}, "2 x T4"),
        ({"cpus": 8, "threads": 1, "gpu": None}, "1 CPU thread"),
        ({"cpus": 8, "threads": 4, "gpu": None}, "4 CPU threads"),
        ({"cpus": 8, "threads": 4, "gpu": "H100"}, "H100"),
        ({"cpus": 8, "gpu": None}, "8 CPU cores"),
    ],
)
def test_hardware_is_what_a_run_used_and_cores_where_a_record_tells_no_more(hardware, text):
    assert results.describe_hardware({"provenance": {"hardware": hardware}}) == text


def test_a_run_on_a_gpu_says_its_speed_and_its_memory():
    hardware = {"cpus": 8, "threads": 4, "gpu": "H100"}
    record = {"purpose": "showcase", "minutes": 1.2, "step": 1500, "images_per_s": 1733.2}
    record |= {"peak_memory_mib": 689.6, "provenance": {"hardware": hardware}}
    said = training_cell(record)
    assert said == "1,500 steps, 1 minute, H100, 1,733 images/s, 690 MiB of GPU memory"
    hardware["gpu"] = None
    assert training_cell(record) == "1,500 steps, 1 minute, 4 CPU threads"
