"""Rows of pictures: every picture stands under its name, and nothing is left open."""

import matplotlib.pyplot as plt
import numpy as np

from smm_tutorial.figures.pictures import picture_rows_figure, pictures_figure


def test_every_picture_stands_under_its_name_and_nothing_else_is_drawn():
    figure = pictures_figure(
        [("one", np.zeros((4, 6))), ("one", np.ones((4, 6, 3))), ("two", np.zeros((4, 6)))],
        columns=2,
    )

    assert [axis.get_title() for axis in figure.axes] == ["one", "one", "two", ""]
    assert [len(axis.images) for axis in figure.axes] == [1, 1, 1, 0]
    assert not any(axis.axison for axis in figure.axes)


def test_figure_functions_leave_no_figure_open():
    before = plt.get_fignums()
    picture_rows_figure([[np.zeros((2, 2, 3))]], ["one"], "title")
    pictures_figure([("one", np.zeros((2, 2, 3)))], columns=1)
    assert plt.get_fignums() == before
