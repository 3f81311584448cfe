"""Outlines: what is drawn equals pycocotools, and nothing that its C code chokes on gets there."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from smm_tutorial.datasets.others.outlines import draw_masks

run_lengths = pytest.importorskip(
    "pycocotools.mask", reason="masks of COCO need the extra: pip install -e .[coco]"
)
HEIGHT, WIDTH = 100, 120
PIXELS = HEIGHT * WIDTH
SIZE = [HEIGHT, WIDTH]
NAN, INFINITY = float("nan"), float("inf")


def draw(*outlines):
    return draw_masks(list(outlines), HEIGHT, WIDTH)


def triangle(x=10, y=10):
    return [[x, y, 60, 10, 60, 60]]


@pytest.mark.parametrize("value", [NAN, INFINITY, -INFINITY, 1e30, -1e9, 1e308, 10**400])
@pytest.mark.parametrize("axis", ["x", "y"])
def test_a_coordinate_that_lies_nowhere_near_the_picture_is_refused(axis, value):
    with pytest.raises(ValueError, match="outline 2: a (coordinate is|point lies)"):
        draw(triangle(), triangle(**{axis: value}))


@pytest.mark.parametrize("value", [True, "10", None, [10], {}])
def test_a_coordinate_that_is_no_number_is_named(value):
    with pytest.raises(ValueError, match="outline 1: a coordinate is .* which is no number"):
        draw(triangle(value))


@pytest.mark.parametrize("count", [0, 1, 2, 4, 5, 7])
def test_a_polygon_has_pairs_of_at_least_three_points(count):
    with pytest.raises(
        ValueError, match=f"has {count} coordinates: it needs x and y of at least 3"
    ):
        draw([[5] * count])


@pytest.mark.parametrize("outline", ["?", 5, {}, [5] * 6, ["x"], [{"size": SIZE}], True])
def test_what_is_no_outline_is_named(outline):
    with pytest.raises(ValueError, match="outline 1: .*(is no outline|run lengths must be)"):
        draw(outline)


def test_edges_that_would_fill_the_memory_are_refused():
    with pytest.raises(ValueError, match="edges are 120,000,000 pixels long, more than"):
        draw([[0, 0, WIDTH, HEIGHT] * 500_000])


def test_polygons_may_leave_the_picture_by_its_longer_side():
    edge = [[-120, -120, 240, -120, 240, 220, -120, 220]]
    assert (draw(edge) == 1).all()
    assert (draw([[-0.3, -0.4, WIDTH + 0.4, 0, WIDTH, HEIGHT + 0.3, 0, HEIGHT]]) == 1).all()
    with pytest.raises(ValueError, match="a point lies 121 pixels beyond the picture of 100 x 120"):
        draw([[-121, 0, 60, 10, 60, 60]])


def test_an_outline_without_an_area_draws_nothing():
    assert not draw([[5.5, 5.5, 5.5, 5.5, 6.5, 5.5, 6.5, 5.5]]).any()


def test_objects_without_an_outline_keep_their_number():
    assert np.unique(draw(None, triangle(), [])).tolist() == [0, 2]


@pytest.mark.parametrize(
    "counts",
    [
        [10, 20],
        [PIXELS + 1],
        [-5, PIXELS + 5],
        [2**32 + PIXELS],
        [2**32, PIXELS - 2**32],
        [],
        "",
        "0",
    ],
)
def test_run_lengths_that_do_not_fill_the_picture_are_refused(counts):
    with pytest.raises(ValueError, match="do not fill an image of 100 x 120"):
        draw({"size": SIZE, "counts": counts})


@pytest.mark.parametrize("size", [[10**9, 10**9], [0, 0], [-100, -120], [120, 100], "ab", None])
def test_run_lengths_of_another_size_are_refused(size):
    with pytest.raises(ValueError, match="do not fill an image of 100 x 120"):
        draw({"size": size, "counts": [PIXELS]})


@pytest.mark.parametrize(
    "counts",
    [[float(PIXELS)], [PIXELS - 1, True], [[PIXELS]], None, 7, {}, "\0\xff?", "a", "o" * 9**6],
)
def test_what_is_no_run_lengths_is_refused(counts):
    with pytest.raises(ValueError, match="outline 1: .*run lengths"):
        draw({"size": SIZE, "counts": counts})


@settings(deadline=None, max_examples=60)
@given(st.text(st.characters(max_codepoint=130), max_size=40))
def test_no_text_of_run_lengths_does_harm(text):
    try:
        assert set(np.unique(draw({"size": SIZE, "counts": text}))) <= {0, 1}
    except ValueError as error:
        assert "run lengths" in str(error)


@settings(deadline=None, max_examples=40)
@given(st.integers(0, 2**32 - 1), st.integers(1, 40), st.integers(1, 40))
def test_every_form_of_an_outline_draws_the_same(seed, height, width):
    shown = np.random.default_rng(seed).integers(0, 4, (height, width)) == 0
    coded = run_lengths.encode(np.asfortranarray(shown.astype(np.uint8)))
    text = coded["counts"].decode()
    changes = np.flatnonzero(np.diff(np.concatenate([[0], shown.T.ravel(), [2]])))
    counts = np.diff(np.concatenate([[0], changes])).tolist()
    for form in (coded["counts"], text, counts):
        drawn = draw_masks([{"size": [height, width], "counts": form}], height, width)
        assert np.array_equal(drawn == 1, shown)


@settings(deadline=None, max_examples=40)
@given(st.lists(st.floats(-50, 170), min_size=6, max_size=30).filter(lambda xy: len(xy) % 2 == 0))
def test_polygons_are_drawn_as_pycocotools_draws_them(polygon):
    coded = run_lengths.merge(run_lengths.frPyObjects([polygon], HEIGHT, WIDTH))
    assert np.array_equal(draw([polygon]) == 1, run_lengths.decode(coded).astype(bool))


@pytest.mark.parametrize(
    "size", [(0, 5), (-3, 5), (10**9, 10**9), (5.0, 5), (True, 5), (None, 5), ("5", 5)]
)
def test_a_picture_of_an_impossible_size_is_refused(size):
    with pytest.raises(ValueError, match="an image cannot be"):
        draw_masks([triangle()], *size)


def test_numpys_whole_numbers_are_sizes():
    drawn = draw_masks([triangle()], np.int32(HEIGHT), np.uint8(WIDTH))
    assert np.array_equal(drawn, draw(triangle()))


def test_more_objects_than_a_byte_can_count_are_refused():
    assert draw(*[triangle()] * 255).max() == 255
    with pytest.raises(ValueError, match="256 objects, a mask holds at most 255: max_objects=255"):
        draw(*[triangle()] * 256)
