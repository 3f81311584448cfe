"""Grids of panels."""

import pytest

from smm_tutorial.figures.layout import panel_grid


@pytest.mark.parametrize(
    ("count", "columns", "shape"), [(5, 3, (2, 3)), (2, 3, (1, 2)), (4, 2, (2, 2))]
)
def test_panels_fill_rows_of_at_most_so_many_columns_and_the_rest_stays_empty(
    count, columns, shape
):
    figure, axes = panel_grid(count, columns, 2.0, 1.5)
    rows, across = shape
    assert axes == figure.axes[:count] and len(figure.axes) == rows * across
    assert tuple(figure.get_size_inches()) == (2.0 * across, 1.5 * rows)
    assert [axis for axis in figure.axes if not axis.axison] == figure.axes[count:]
