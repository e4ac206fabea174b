"""Names in any script: those that the font lacks stand as numbers, in every drawing; the confusion matrix."""

import warnings

import numpy as np
import pytest
from test_figures import PALETTE, picture, read

from minifcn import figures

LABELS = np.arange(6, dtype=np.uint8).reshape(2, 3) % 3
WRITERS = {
    "samples": lambda path, classes: figures.samples(path, [[picture(20, 30)]], ["x"], classes, PALETTE),
    "overlay": lambda path, classes: figures.save_overlay(path, picture(2, 3), LABELS, classes, PALETTE),
    "compare": lambda path, classes: figures.compare(path, [(picture(2, 3), LABELS, LABELS)], classes, PALETTE),
    "confusion": lambda path, classes: figures.confusion(path, np.arange(9).reshape(3, 3), classes),
}


@pytest.mark.parametrize("name", ["路", "सड़क", "ถนน", "도로", "\x01", "🚗", "car 車"])
@pytest.mark.parametrize("kind", WRITERS)
def test_a_name_that_the_font_lacks_is_the_number(tmp_path, kind, name):
    """Any two of them would be the same boxes."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # matplotlib warns of a missing glyph
        WRITERS[kind](tmp_path / "a.png", ["x", "y", name])
    WRITERS[kind](tmp_path / "b.png", ["x", "y", "class 2"])
    assert (tmp_path / "a.png").read_bytes() == (tmp_path / "b.png").read_bytes()


@pytest.mark.parametrize("name", ["дорога", "δρόμος", "carrer às", 'a "b" <c> & d', "$x", "$a_$"])
@pytest.mark.parametrize("kind", WRITERS)
def test_a_name_that_the_font_has_is_drawn(tmp_path, kind, name):
    WRITERS[kind](tmp_path / "a.png", ["x", "y", name])
    WRITERS[kind](tmp_path / "b.png", ["x", "y", "class 2"])
    assert (tmp_path / "a.png").read_bytes() != (tmp_path / "b.png").read_bytes()


@pytest.mark.parametrize("kind", WRITERS)
def test_a_name_of_two_lines_is_drawn_in_one(tmp_path, kind):
    WRITERS[kind](tmp_path / "a.png", ["x", "y", " traffic\n\tlight "])
    WRITERS[kind](tmp_path / "b.png", ["x", "y", "traffic light"])
    assert (tmp_path / "a.png").read_bytes() == (tmp_path / "b.png").read_bytes()


def test_names_that_run_leftwards_are_drawn_only_where_they_can_be(tmp_path):
    """matplotlib sets them the wrong way round; so does Pillow without Raqm."""
    for name in ("כביש", "سيارة"):
        assert figures._names(["x", name], leftwards=True) == ["x", name]
        assert figures._names(["x", name], leftwards=False) == ["x", "class 1"]
        WRITERS["confusion"](tmp_path / "a.png", ["x", "y", name])
        WRITERS["confusion"](tmp_path / "b.png", ["x", "y", "class 2"])
        assert (tmp_path / "a.png").read_bytes() == (tmp_path / "b.png").read_bytes()


# --- the confusion matrix ---


def cells(path, L):
    """The colours of the cells of a drawing without numbers, (L, L, 3): the frame's lines are its darkest pixels."""
    canvas = read(path)
    dark = (canvas < 60).all(2)
    columns, rows = np.flatnonzero(dark.mean(0) > 0.5), np.flatnonzero(dark.mean(1) > 0.5)
    at = [(np.arange(L) + 0.15) / L * (a[-1] - a[0]) + a[0] for a in (rows, columns)]  # beside the number
    return canvas[np.ix_(at[0].astype(int), at[1].astype(int))]


def test_rows_are_in_per_cent_of_the_true_class(tmp_path):
    counts = np.array([[30, 10, 0], [0, 0, 0], [0, 5000, 0]])
    figures.confusion(tmp_path / "a.png", counts, ["x", "y", "z"])
    lightness = cells(tmp_path / "a.png", 3).mean(2)
    order = [lightness[2, 1], lightness[0, 0], lightness[0, 1], lightness[0, 2]]  # 100, 75, 25, 0 %
    assert order == sorted(order) and len({*order}) == 4 and order[-1] > 245
    assert (lightness[1] == order[-1]).all()  # it does not occur
    figures.confusion(tmp_path / "b.png", counts * [[7], [1], [3]], ["x", "y", "z"])
    assert (tmp_path / "a.png").read_bytes() == (tmp_path / "b.png").read_bytes()


@pytest.mark.parametrize("L", [1, 2, 30, 255])
def test_any_number_of_classes_and_long_names(tmp_path, L):
    classes = [f"a class with quite a long name {c}" * 3 for c in range(L)]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        figures.confusion(tmp_path / "a.png", np.eye(L, dtype=int), classes)
    canvas = read(tmp_path / "a.png")
    assert 300 < min(canvas.shape[:2]) and max(canvas.shape[:2]) < 2500
    assert (canvas[[0, -1]] == 255).all() and (canvas[:, [0, -1]] == 255).all()  # nothing is cut off


@pytest.mark.parametrize("L, numbers", [(2, True), (35, True), (36, False)])
def test_cells_too_small_for_a_number_have_none(tmp_path, L, numbers):
    figures.confusion(tmp_path / "a.png", np.eye(L, dtype=int), [f"class {c}" for c in range(L)])
    canvas = read(tmp_path / "a.png")
    dark = (canvas < 60).all(2)
    rows, columns = (np.flatnonzero(dark.mean(axis) > 0.5)[[0, -1]] for axis in (1, 0))
    inside = canvas[rows[0] + 5 : rows[0] + (rows[1] - rows[0]) // L - 5, columns[0] + 5 : columns[1] - 5]
    assert (len(np.unique(inside.reshape(-1, 3), axis=0)) > 10) == numbers
