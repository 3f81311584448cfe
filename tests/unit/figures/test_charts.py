"""Charts: curves, logs and scores keep their names and values."""

import numpy as np

from smm_tutorial.figures.charts import curves_figure, log_figure, metrics_figure, seeds_figure


def test_curves_and_seeds_keep_their_names_and_values():
    x = np.arange(3.0)
    axis = curves_figure(
        x, {"up": x, "down": -x}, "x", "y", touching=[(1, 1)], marker=("here", 2.0)
    ).axes[0]
    assert axis.get_legend_handles_labels()[1] == ["up", "down", "here"]
    np.testing.assert_array_equal(axis.lines[1].get_ydata(), -x)

    axis = seeds_figure({"one": np.array([3.0, 1.0]), "two": np.array([2.0])}, "score").axes[0]
    assert [label.get_text() for label in axis.get_yticklabels()] == ["one", "two"]
    np.testing.assert_array_equal(axis.lines[0].get_xdata(), [1, 3])


def test_curves_have_the_points_of_the_log_that_hold_them():
    log = [
        {"step": 1, "loss": 3.0},
        {"step": 2, "loss": 2.0, "mbo": 0.1},
        {"step": 4, "loss": 1.0, "mbo": 0.3},
    ]
    figure = log_figure(log, {"loss": "Loss", "mbo": "mBO"})
    assert figure.axes[0].lines[0].get_xydata().tolist() == [[1, 3], [2, 2], [4, 1]]
    assert figure.axes[1].lines[0].get_xydata().tolist() == [[2, 0.1], [4, 0.3]]


def test_metrics_have_a_panel_each_and_every_model_a_line():
    figure = metrics_figure(
        {"FG-ARI": {"SMM": [0.1, 0.9], "Slot Attention": [0.2, 0.3]}}, [1, 2], "iterations", mark=2
    )
    lines = figure.axes[0].get_lines()
    assert [line.get_label() for line in lines[:2]] == ["SMM", "Slot Attention"]
    assert lines[0].get_ydata().tolist() == [0.1, 0.9]


def test_the_steps_of_a_long_run_do_not_touch():
    log = [{"step": step, "a": 0.5, "b": 0.5, "c": 0.5} for step in range(1_000, 32_001, 1_000)]
    figure = log_figure(log, {"a": "A", "b": "B", "c": "C"})
    figure.draw_without_rendering()
    for axis in figure.axes:
        boxes = [label.get_window_extent() for label in axis.get_xticklabels() if label.get_text()]
        ordered = sorted(boxes, key=lambda box: box.x0)
        assert len(ordered) >= 3
        assert all(
            left.x1 + 4 < right.x0 for left, right in zip(ordered, ordered[1:], strict=False)
        )
    assert "10,000" in [label.get_text() for label in figure.axes[0].get_xticklabels()]
