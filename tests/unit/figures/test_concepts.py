"""Figures of concepts: every concept has its row, objects stand where they were put."""

import pytest
import torch

from smm_tutorial.figures import composed_figure, library_page_figure, weights_figure


def test_a_library_page_has_a_row_per_concept():
    rows = [[torch.rand(3, 8, 8) for _ in range(count)] for count in (4, 2)]
    figure = library_page_figure(["red cube", "blue ball"], rows)
    shown = [len(axis.images) for axis in figure.axes]
    assert shown == [1, 1, 1, 1, 1, 1, 0, 0]
    assert [figure.axes[0].get_ylabel(), figure.axes[4].get_ylabel()] == ["red cube", "blue ball"]


def test_marks_stand_where_objects_shall_stand():
    centres = torch.tensor([[0.25, 0.5], [0.75, 1.0]])
    figure = composed_figure(torch.rand(3, 16, 16), centres, ["a", "b"])
    plain, marked = figure.axes
    assert not plain.lines and len(marked.lines) == 2
    assert [line.get_xydata()[0].tolist() for line in marked.lines] == [[7.5, 3.5], [15.5, 11.5]]
    assert [text.get_text() for text in marked.texts] == ["0: a", "1: b"]


def test_the_line_is_the_share_of_the_picture():
    areas = {"SMM": torch.tensor([10, 40]), "SA": torch.tensor([20, 30])}
    weights = {"SMM": torch.tensor([0.1, 0.4]), "SA": torch.tensor([0.2, 0.3])}
    figure = weights_figure(areas, weights, pixels=200)
    for axis, name in zip(figure.axes, areas, strict=True):
        points, line = axis.lines
        assert points.get_xydata()[:, 1].tolist() == pytest.approx(weights[name].tolist())
        assert line.get_xydata().tolist() == [[0, 0], [40, 0.2]] and axis.get_title() == name
