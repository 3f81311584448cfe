"""Making notebooks: what of an executed notebook is kept."""

from nbformat.v4 import new_code_cell, new_notebook, new_output

from smm_tutorial.course.notebooks import tidy_notebook


def test_printed_texts_stay_on_their_side_of_a_figure():
    def text(words):
        return new_output("stream", name="stdout", text=words)

    figure = new_output("display_data", data={"image/png": "aGk="})
    warning = new_output("stream", name="stderr", text="careful\n")
    outputs = [text("a\n"), text("b\n"), figure, text("c\n"), warning, text("d\n")]
    cell = new_code_cell("run()", outputs=outputs)
    kept = tidy_notebook(new_notebook(cells=[cell])).cells[0].outputs
    shown = [output.get("text", output.output_type) for output in kept]
    assert shown == ["a\nb\n", "display_data", "c\n", "careful\n", "d\n"]
