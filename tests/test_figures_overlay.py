"""Overlays: tinted inside, drawn at borders, clear at the background; comparisons show what is wrong."""

import numpy as np
import pytest
from PIL import Image
from small_data import make_set

from minifcn import figures
from minifcn.datasets import open_dataset
from minifcn.training import segmentation

PALETTE = np.array([[0, 0, 0], [200, 30, 40], [10, 220, 50]], np.uint8)
CLASSES = ["ground", "car", "sign"]


def read(path):
    with Image.open(path) as image:
        return np.asarray(image.convert("RGB"))


def picture(H, W, seed=0):
    return np.random.default_rng(seed).integers(0, 256, (H, W, 3), dtype=np.uint8)


def blocks(H, W):
    """Class 0, in it a block of class 1, and a block of void, neither at the picture's edge."""
    labels = np.zeros((H, W), np.uint8)
    labels[H // 5 : H // 2, W // 5 : W // 2] = 1
    labels[3 * H // 5 : 4 * H // 5, 3 * W // 5 : 4 * W // 5] = 255
    return labels


def border_by_hand(labels, line):
    """Pixels with another class at most `line` above, below, left or right."""
    H, W = labels.shape
    found = np.zeros((H, W), bool)
    for y, x in np.ndindex(H, W):
        column, row = labels[max(0, y - line) : y + line + 1, x], labels[y, max(0, x - line) : x + line + 1]
        found[y, x] = (column != labels[y, x]).any() or (row != labels[y, x]).any()
    return found


def test_half_of_the_colour_inside():
    x = np.array([[[100, 100, 100], [255, 255, 255], [0, 0, 0]]], np.uint8)
    for label, expected in {
        0: [[50, 50, 50], [128, 128, 128], [0, 0, 0]],  # 127.5 rounds to the even 128
        1: [[150, 65, 70], [228, 142, 148], [100, 15, 20]],
        255: x[0],
    }.items():
        found = figures.overlay(x, np.full((1, 3), label, np.uint8), CLASSES, PALETTE)
        assert found.dtype == np.uint8
        np.testing.assert_array_equal(found[0], expected)


@pytest.mark.parametrize("H, W, line", [(40, 50, 1), (599, 20, 1), (601, 20, 2), (30, 1300, 3)])
@pytest.mark.parametrize("background", [False, True])
def test_borders_have_the_whole_colour_and_the_background_none(H, W, line, background):
    x, labels = picture(H, W), blocks(H, W)
    found = figures.overlay(x, labels, ["_Background_" if background else "back", "car", "sign"], PALETTE)
    border, clear = border_by_hand(labels, line), (labels == 255) | ((labels == 0) & background)
    assert (border & ~clear).any() and (~border & ~clear).any()
    np.testing.assert_array_equal(found[clear], x[clear])
    np.testing.assert_array_equal(found[border & ~clear], PALETTE[labels[border & ~clear]])
    inside = ~border & ~clear
    np.testing.assert_allclose(found[inside], (x[inside] + PALETTE[labels[inside]].astype(float)) / 2, atol=0.5)


# --- the file ---


def has_swatch(canvas, colour, size=14):
    """Whether a square of the colour stands somewhere on the canvas."""
    same = (canvas == colour).all(2).astype(int)
    sums = np.pad(same, ((1, 0), (1, 0))).cumsum(0).cumsum(1)
    return (sums[size:, size:] - sums[:-size, size:] - sums[size:, :-size] + sums[:-size, :-size] == size**2).any()


def test_the_legend_shows_the_classes_that_occur(tmp_path):
    x, labels = picture(200, 300), blocks(200, 300)
    figures.save_overlay(tmp_path / "a.png", x, labels, CLASSES, PALETTE)
    canvas = read(tmp_path / "a.png")
    assert canvas.shape == (200 + 28 + 16, 300, 3)
    np.testing.assert_array_equal(canvas[:200], figures.overlay(x, labels, CLASSES, PALETTE))
    assert [has_swatch(canvas[200:], colour) for colour in PALETTE] == [True, True, False]
    assert (canvas[[200, -1]] == 255).all()


def test_the_legend_of_a_background_is_white(tmp_path):
    x, labels = picture(200, 300), blocks(200, 300)
    classes = ["Background", "car", "sign"]
    figures.save_overlay(tmp_path / "a.png", x, labels, classes, PALETTE)
    canvas = read(tmp_path / "a.png")
    np.testing.assert_array_equal(canvas[:200], figures.overlay(x, labels, classes, PALETTE))
    assert not has_swatch(canvas[200:], PALETTE[0]) and has_swatch(canvas[200:], PALETTE[1])


@pytest.mark.parametrize("H, W, scale", [(1, 1, 1), (300, 20, 1), (30, 3000, 3), (2500, 900, 2.5)])
def test_the_legend_fits_pictures_of_any_size(tmp_path, H, W, scale):
    figures.save_overlay(tmp_path / "a.png", picture(H, W), np.ones((H, W), np.uint8), CLASSES, PALETTE)
    canvas = read(tmp_path / "a.png")
    left = (canvas.shape[1] - W) // 2
    np.testing.assert_array_equal(canvas[:H, left : left + W], read_overlay(H, W))
    assert canvas.shape[0] - H == round(28 * scale) + round(16 * scale)
    assert has_swatch(canvas[H:], PALETTE[1], round(16 * scale) - 2)
    assert (canvas[-1] == 255).all() and (W > 100 or (canvas[:H, [0, -1]] == 255).all())


def read_overlay(H, W):
    return figures.overlay(picture(H, W), np.ones((H, W), np.uint8), CLASSES, PALETTE)


def test_labels_without_any_class_have_no_legend_entry(tmp_path):
    figures.save_overlay(tmp_path / "a.png", picture(50, 90), np.full((50, 90), 255, np.uint8), CLASSES, PALETTE)
    canvas = read(tmp_path / "a.png")
    np.testing.assert_array_equal(canvas[:50], picture(50, 90))
    assert (canvas[50:] == 255).all()


def test_samples_of_a_run_leave_the_background_clear(tmp_path, monkeypatch):
    data, drawn = open_dataset(make_set(tmp_path / "shapes", classes=("background", "square", "disc")), "test"), []
    monkeypatch.setattr(segmentation, "predict", lambda model, x: np.zeros(x.shape[:2], np.uint8))
    monkeypatch.setattr(figures, "samples", lambda path, rows, *_: drawn.extend(rows))
    segmentation.draw_samples(tmp_path / "samples.png", data, {"FCN": None}, blend=True)
    for x, _, _, blend in drawn:
        np.testing.assert_array_equal(blend, x)
    assert len(drawn) == 3


# --- errors ---


def test_errors_are_red_and_void_is_grey():
    x, truth = picture(20, 30), blocks(20, 30)
    labels = np.where(truth == 255, 2, truth).astype(np.uint8)
    labels[0, :4] = 1
    found = figures.errors(x, truth, labels).astype(int)
    assert found[0, :4, 0].min() > 170 and found[0, :4, 1:].max() < 110
    assert (found[truth == 255] == figures.VOID_GREY).all()
    right = (truth == labels) & (truth != 255)
    np.testing.assert_array_equal(found[right], (100 + x[right].mean(1) / 2).astype(int)[:, None].repeat(3, 1))


def test_compare_puts_four_side_by_side_in_each_row(tmp_path, monkeypatch):
    x, truth = picture(20, 30), blocks(20, 30)
    labels = np.zeros_like(truth)
    drawn = []
    monkeypatch.setattr(figures, "samples", lambda *given, **_: drawn.append(given))
    figures.compare(tmp_path / "a.png", [(x, truth, labels), (x, labels, truth)], CLASSES, PALETTE)
    ((path, (cells, (_, *others)), titles, classes, palette),) = drawn
    assert (path, classes, palette is PALETTE) == (tmp_path / "a.png", CLASSES, True)
    for cell, expected in zip(cells, (x, truth, labels, figures.errors(x, truth, labels)), strict=True):
        np.testing.assert_array_equal(cell, expected)
    for cell, expected in zip(others, (labels, truth, figures.errors(x, labels, truth)), strict=True):
        np.testing.assert_array_equal(cell, expected)
    assert titles == ["picture", "truth", "prediction", "errors"]


def test_compare_where_nothing_is_labelled(tmp_path):
    void = np.full((20, 30), 255, np.uint8)
    figures.compare(tmp_path / "a.png", [(picture(20, 30), void, np.zeros_like(void))], CLASSES, PALETTE)
    assert read(tmp_path / "a.png").shape[1] == 2 * 16 + 4 * 330 + 3 * 10


@pytest.mark.parametrize("H", [1, 7, 8, 9, 30])
def test_bands_do_not_show(H, monkeypatch):
    """Borders at the seams of bands, and pictures of whole and of broken bands."""
    x, truth = picture(H, 50), np.arange(H, dtype=np.uint8)[:, None].repeat(50, 1) // 4 % 3
    labels = np.where(np.arange(50) < 20, truth, 1).astype(np.uint8)
    whole = figures.overlay(x, labels, CLASSES, PALETTE), figures.errors(x, truth, labels)
    monkeypatch.setattr(figures, "BAND", 8)
    np.testing.assert_array_equal(figures.overlay(x, labels, CLASSES, PALETTE), whole[0])
    np.testing.assert_array_equal(figures.errors(x, truth, labels), whole[1])


@pytest.mark.parametrize("H, W", [(1, 20_000), (20_000, 1)])
def test_the_legend_of_a_strip_is_no_bomb(H, W, tmp_path):
    """In letters for 20,000 pixels it made of a strip a picture of millions."""
    labels = np.zeros((H, W), np.uint8)
    figures.save_overlay(tmp_path / "a.png", np.zeros((H, W, 3), np.uint8), labels, ["road"], np.uint8([[9, 9, 9]]))
    with Image.open(tmp_path / "a.png") as image:
        assert image.width * image.height < 3_000_000
