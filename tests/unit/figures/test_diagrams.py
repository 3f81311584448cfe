"""Diagrams of the slot modules: boxes and shapes have names, and nothing leaves the paper."""

import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg

from smm_tutorial.figures.diagrams import slot_attention_diagram, slot_mixture_diagram

WORDS = {
    slot_attention_diagram: ["inputs", "keys", "values", "queries", "softmax over slots", "GRU"],
    slot_mixture_diagram: [
        "E-step",
        "M-step",
        "weights (K)",
        "variances of values",
        "GRU",
        "old means",
    ],
}


@pytest.mark.parametrize("draw", WORDS)
def test_a_diagram_names_its_parts_and_the_shapes_between(draw):
    text = "\n".join(drawn.get_text() for drawn in draw().axes[0].texts)
    for word in [*WORDS[draw], "(N, D_in)", "(N, D)", "(K, D)", "(N, K)"]:
        assert word in text


@pytest.mark.parametrize("draw", WORDS)
def test_all_texts_lie_on_the_paper(draw):
    figure = draw()
    renderer = FigureCanvasAgg(figure).get_renderer()
    for text in figure.axes[0].texts:
        box = text.get_window_extent(renderer)
        assert 0 <= box.x0 and box.x1 <= figure.bbox.width, text.get_text()
        assert 0 <= box.y0 and box.y1 <= figure.bbox.height, text.get_text()


def test_old_weights_and_variances_go_into_the_e_step_and_new_ones_leave():
    drawn = [text.get_text() for text in slot_mixture_diagram().axes[0].texts]

    assert "weights (K), variances (K, D)" in drawn
    assert "new weights,\nmeans,\nvariances" in drawn
