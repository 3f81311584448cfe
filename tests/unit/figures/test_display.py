"""Showing a figure: the picture, and the words that stand in for it."""

import base64
import io

import matplotlib.pyplot as plt
import numpy as np
import pytest
from PIL import Image

from smm_tutorial import figures
from smm_tutorial.figures import display
from smm_tutorial.figures.display import show

ALT = "A line that rises from left to right & ends at <one>."


@pytest.fixture
def figure():
    figure, axes = plt.subplots()
    axes.plot([0, 1], [0, 1])
    return figure


@pytest.fixture
def displayed(monkeypatch):
    """What a notebook would be sent: [(bundle, metadata)]."""
    sent = []
    monkeypatch.setattr(display, "get_ipython", lambda: object())
    monkeypatch.setattr(
        display, "display", lambda data, metadata=None, raw=False: sent.append((data, metadata))
    )
    return sent


def test_the_picture_carries_the_words_and_they_follow_it_folded(figure, displayed):
    show(figure, alt=ALT)

    (picture, metadata), (words, _) = displayed
    assert base64.b64decode(picture["image/png"]).startswith(b"\x89PNG")
    assert metadata == {"image/png": {"alt": ALT}}
    assert "rises from left to right &amp; ends at &lt;one&gt;." in words["text/html"]
    assert words["text/html"].startswith("<details>")


def test_a_figure_is_closed_once_it_is_shown(figure, displayed):
    show(figure, alt=ALT)

    assert not plt.fignum_exists(figure.number)


def test_the_same_figure_gives_the_same_bytes(figure):
    assert figures.png(figure, 60) == figures.png(figure, 60)


def test_line_breaks_in_the_words_are_not_kept(figure, displayed):
    show(figure, alt="A line that rises\n        from left to right.")

    assert displayed[0][1]["image/png"]["alt"] == "A line that rises from left to right."


def test_a_film_shows_every_frame_in_order_and_carries_its_words(displayed):
    frames = []
    for place in range(3):
        frame, axes = plt.subplots(figsize=(1, 1))
        axes.set(ylim=(-1, 3))
        axes.plot([0, 1], [place, place], lw=5, color="black")
        frames.append(frame)
    figures.show_film(frames, alt=ALT)
    (film, metadata), (words, _) = displayed
    with Image.open(io.BytesIO(base64.b64decode(film["image/gif"]))) as opened:
        pictures = []
        for index in range(opened.n_frames):
            opened.seek(index)
            pictures.append(np.asarray(opened.convert("L")))
    assert len(pictures) == 3 and abs(pictures[0].astype(int) - pictures[2]).max() > 100
    assert metadata == {"image/gif": {"alt": ALT}} and "rises from left" in words["text/html"]
    assert not any(plt.fignum_exists(frame.number) for frame in frames)
    with pytest.raises(ValueError, match="at least one frame"):
        figures.show_film([], alt=ALT)


def test_outside_a_notebook_the_words_are_printed(figure, capsys):
    show(figure, alt=ALT)

    assert capsys.readouterr().out == f"Figure: {ALT}\n"


def test_words_that_say_nothing_are_refused(figure):
    with pytest.raises(
        ValueError, match="alt must describe the figure in at least 20 characters, got 'A plot.'"
    ):
        show(figure, alt="A plot.")
