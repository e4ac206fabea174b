"""Label pictures hold the labels, and the drawings every picture, pixel for pixel."""

import os
import subprocess
import sys

import numpy as np
import pytest
from PIL import Image

from minifcn import figures
from minifcn.datasets import voc

PALETTE = np.array([[0, 0, 0], [200, 30, 40], [10, 220, 50]], np.uint8)
CLASSES = ["ground", "car", "a$_$"]  # not to be taken for (wrong) mathematics


def read(path):
    with Image.open(path) as image:
        return np.asarray(image.convert("RGB"))


def picture(H, W, seed=0):
    return np.random.default_rng(seed).integers(0, 256, (H, W, 3), dtype=np.uint8)


def contains(canvas, x):
    """Whether the picture x stands somewhere on the canvas, unaltered."""
    H, W, _ = x.shape
    places = np.argwhere((canvas[: len(canvas) - H + 1, : canvas.shape[1] - W + 1] == x[0, 0]).all(2))
    return any(np.array_equal(canvas[top : top + H, left : left + W], x) for top, left in places)


# --- colours ---


@pytest.mark.parametrize("dtype", [np.uint8, np.int16, np.int64])
def test_colourise(dtype):
    labels = np.array([[0, 1, 255], [2, 2, 1]], dtype)
    expected = [[[0, 0, 0], [200, 30, 40], [224, 224, 192]], [[10, 220, 50], [10, 220, 50], [200, 30, 40]]]
    coloured = figures.colourise(labels, PALETTE)
    assert coloured.dtype == np.uint8
    np.testing.assert_array_equal(coloured, expected)


@pytest.mark.parametrize("L", [1, 3, 255])
def test_label_png_holds_the_labels_and_their_colours(tmp_path, L):
    rng = np.random.default_rng(L)
    labels = rng.integers(0, L, (13, 17)).astype(np.uint8)
    labels[rng.random(labels.shape) < 0.2] = 255
    palette = voc.palette(L)
    figures.save_label_png(tmp_path / "a.png", labels, palette)
    with Image.open(tmp_path / "a.png") as image:
        assert image.mode == "P"
        np.testing.assert_array_equal(np.asarray(image), labels)
    np.testing.assert_array_equal(read(tmp_path / "a.png"), figures.colourise(labels, palette))


@pytest.mark.parametrize(
    "labels, message",
    [
        (np.array([[0, 3]], np.uint8), "labels: expected 0 to 2, or 255 for void, received 3"),
        (np.array([[0, -1]]), "received -1"),
        (np.array([[0, 256]]), "received 256"),
    ],
)
def test_bad_labels(tmp_path, labels, message):
    with pytest.raises(ValueError, match=message):
        figures.colourise(labels, PALETTE)
    with pytest.raises(ValueError, match=message):
        figures.save_label_png(tmp_path / "a.png", labels, PALETTE)
    assert os.listdir(tmp_path) == []


# --- samples ---


def test_samples_hold_every_picture_at_a_whole_multiple_in_its_place(tmp_path):
    rng = np.random.default_rng(0)
    rows = [[picture(45, 50, i), *rng.integers(0, 3, (2, 45, 50), dtype=np.uint8)] for i in range(2)]
    figures.samples(tmp_path / "s.png", rows, ["picture", "truth", "32s\nJaccard 50.0"], CLASSES, PALETTE)
    canvas = read(tmp_path / "s.png")
    H, W = 360, 400  # 8 x 45, 8 x 50: 9 x 50 would be more than a column of 420
    # The margins: 16 on either side, 10 between columns and rows, two lines of titles of 26 each; a legend of one line.
    assert canvas.shape == (16 + 2 * 26 + 2 * (H + 10) + 28 + 16, 2 * 16 + 3 * W + 2 * 10, 3)
    assert (canvas[[0, -1]] == 255).all() and (canvas[:, [0, -1]] == 255).all()
    for r, (x, *labels) in enumerate(rows):
        drawn = [np.asarray(Image.fromarray(x).resize((W, H), Image.Resampling.BILINEAR))]
        drawn += [figures.colourise(y, PALETTE).repeat(8, 0).repeat(8, 1) for y in labels]
        for c, expected in enumerate(drawn):
            top, left = 68 + r * (H + 10), 16 + c * (W + 10)
            np.testing.assert_array_equal(canvas[top : top + H, left : left + W], expected)


def packed(colours):
    """Colours (..., 3) as one number each."""
    return colours.astype(int) @ (65536, 256, 1)


def swatch(colour):
    return np.full((14, 14, 3), colour, np.uint8)


def test_legend_shows_every_class_and_void_only_if_a_label_picture_has_it(tmp_path):
    x = np.full((20, 30, 3), figures.VOID_COLOUR, np.uint8)  # in a picture it is a colour as any other
    labels = np.zeros((20, 30), np.uint8)
    figures.samples(tmp_path / "a.png", [[x, labels]], ["x", "y"], CLASSES, PALETTE)
    legend = read(tmp_path / "a.png")[-44:]
    for colour in PALETTE:
        assert contains(legend, swatch(colour))
    assert not contains(legend, swatch(figures.VOID_COLOUR))
    labels[3, 4] = 255
    figures.samples(tmp_path / "b.png", [[x, labels]], ["x", "y"], CLASSES, PALETTE)
    assert contains(read(tmp_path / "b.png")[-44:], swatch(figures.VOID_COLOUR))


def test_void_is_shown_as_a_last_class_would_be(tmp_path):
    labels = np.random.default_rng(0).integers(0, 2, (20, 30), dtype=np.uint8)
    figures.samples(tmp_path / "a.png", [[labels * 255]], ["x"], ["road"], PALETTE[1:2])
    palette = np.array([PALETTE[1], figures.VOID_COLOUR], np.uint8)
    figures.samples(tmp_path / "b.png", [[labels]], ["x"], ["road", "void"], palette)
    assert (tmp_path / "a.png").read_bytes() == (tmp_path / "b.png").read_bytes()


def test_a_picture_in_the_colours_of_the_classes_is_a_picture(tmp_path):
    x = PALETTE[np.random.default_rng(0).integers(0, 3, (20, 30))]
    figures.samples(tmp_path / "a.png", [[x]], ["x"], CLASSES, PALETTE)
    assert contains(read(tmp_path / "a.png"), np.asarray(Image.fromarray(x).resize((420, 280), Image.BILINEAR)))


def test_titles_stay_above_their_column(tmp_path):
    figures.samples(tmp_path / "a.png", [[picture(20, 30)] * 2], ["long " * 40, ""], CLASSES, PALETTE)
    head = read(tmp_path / "a.png")[:40]
    left, right = head[:, : 16 + 420], head[:, 16 + 420 :]
    assert (left < 128).any() and (right == 255).all()


def test_letters_of_other_alphabets(tmp_path):
    """A font that lacks them draws the same box for each."""
    for name in ("ж", "ю", "ß", "ü"):
        figures.samples(tmp_path / f"{name}.png", [[picture(20, 30)]], ["x"], [name], PALETTE[:1])
    assert len({path.read_bytes() for path in tmp_path.iterdir()}) == 4


@pytest.mark.parametrize("L", [1, 60])
def test_samples_of_many_sizes_and_class_counts(tmp_path, L):
    """Tiny, wide, tall and large pictures; a legend of many lines; a name wider than the pictures."""
    rows = [[picture(1, 1), picture(3, 200)], [picture(200, 3), picture(700, 900)]]
    classes = [f"class {c}" for c in range(L - 1)] + ["a class with quite a long name " * 4]
    palette = voc.palette(L + 1)[1:]
    figures.samples(tmp_path / "s.png", rows, ["a", "a title that does not fit over its column " * 3], classes, palette)
    canvas = read(tmp_path / "s.png")
    assert (canvas[[0, -1]] == 255).all() and (canvas[:, [0, -1]] == 255).all()  # nothing is cut off
    counts = np.bincount(packed(canvas).ravel(), minlength=2**24)
    assert (counts[packed(palette)] >= 14 * 14).all()


@pytest.mark.parametrize(
    "rows, titles, classes",
    [
        ([[picture(2, 2)]], ["a", "b"], CLASSES),
        ([[picture(2, 2)] * 2, [picture(2, 2)]], ["a", "b"], CLASSES),
        ([[np.full((2, 2), 3, np.uint8)]], ["a"], CLASSES),
        ([[picture(2, 2)]], ["a"], ["one"]),
    ],
)
def test_samples_that_do_not_fit_together(tmp_path, rows, titles, classes):
    with pytest.raises(ValueError):
        figures.samples(tmp_path / "s.png", rows, titles, classes, PALETTE)
    assert os.listdir(tmp_path) == []


# --- curves ---


def training_log(T=300):
    rng = np.random.default_rng(0)
    rows = [{"step": step, "loss": loss, "lr": 1e-3} for step, loss in enumerate(2 * rng.random(T) + 0.5)]
    for step, score in ((100, 0.2), (200, 0.5), (299, 0.4)):
        rows[step]["val"] = score
    return rows


def count_like(path, colour):
    return int((np.abs(read(path).astype(int) - colour).max(2) < 12).sum())


def test_curves_draw_what_is_in_the_log(tmp_path):
    loss, jaccard = (0x1F, 0x4E, 0x79), (0xB2, 0x54, 0x1A)
    figures.curves(tmp_path / "a.png", training_log(), "val", "Jaccard")
    assert read(tmp_path / "a.png").shape == (910, 1040, 3)
    assert count_like(tmp_path / "a.png", loss) > 1000 and count_like(tmp_path / "a.png", jaccard) > 1000
    figures.curves(tmp_path / "b.png", training_log(), "no such", "Jaccard")
    assert count_like(tmp_path / "b.png", loss) > 1000 and count_like(tmp_path / "b.png", jaccard) == 0
    with_loss = [row | ({"val_loss": 4.0 + row["val"]} if "val" in row else {}) for row in training_log()]
    figures.curves(tmp_path / "c.png", with_loss, "no such", "Jaccard")  # above all of training's, and yet inside
    assert count_like(tmp_path / "c.png", loss) > 1000 and count_like(tmp_path / "c.png", jaccard) > 1000


@pytest.mark.parametrize(
    "log",
    [
        [],
        [{"step": 1, "loss": 0.7, "lr": 0.1, "val": float("nan")}],
        [{"step": i, "loss": loss, "lr": 0} for i, loss in enumerate((float("nan"), float("inf"), None), 1)],
        [{"step": i, "loss": 0, "lr": 1e-14, "val": score, "val_loss": score} for i, score in ((5, None), (6, 0.0))],
    ],
)
def test_curves_of_odd_logs(tmp_path, log):
    figures.curves(tmp_path / "c.png", log, "val", "Jaccard")
    assert os.listdir(tmp_path) == ["c.png"]


def test_smoothed():
    values = np.array([4.0, 8.0, np.nan, 2.0])
    # weights, from the newest back: 1, 3/4, 9/16
    expected = [4, (8 + 3 / 4 * 4) / (7 / 4), (8 + 3 / 4 * 4) / (7 / 4), (2 + 3 / 4 * 8 + 9 / 16 * 4) / (37 / 16)]
    np.testing.assert_allclose(figures.smoothed(values, 4), expected, rtol=1e-12)
    np.testing.assert_array_equal(figures.smoothed(values, 1), [4, 8, 8, 2])
    assert np.isnan(figures.smoothed(np.array([np.nan, np.inf]), 5)).all()


# --- files and matplotlib ---


def writers():
    x, labels = picture(2, 2), np.zeros((2, 2), np.uint8)
    return {
        "samples": lambda path: figures.samples(path, [[x]], ["a"], CLASSES, PALETTE),
        "compare": lambda path: figures.compare(path, [(x, labels, labels)], CLASSES, PALETTE),
        "overlay": lambda path: figures.save_overlay(path, x, labels, CLASSES, PALETTE),
        "confusion": lambda path: figures.confusion(path, np.ones((3, 3), int), CLASSES),
        "curves": lambda path: figures.curves(path, training_log(), "val", "Jaccard"),
        "label": lambda path: figures.save_label_png(path, labels, PALETTE),
    }


@pytest.mark.parametrize("name", writers())
def test_failed_write_names_the_file_and_keeps_the_old_one(tmp_path, monkeypatch, name):
    (tmp_path / "a.png").write_text("old")
    write = writers()[name]

    def full_disk(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "replace", full_disk)
    with pytest.raises(OSError, match="No space left") as caught:
        write(tmp_path / "a.png")
    assert caught.value.filename == str(tmp_path / "a.png")
    assert os.listdir(tmp_path) == ["a.png"] and (tmp_path / "a.png").read_text() == "old"
    with pytest.raises(FileNotFoundError) as caught:
        write(tmp_path / "no" / "a.png")
    assert caught.value.filename == str(tmp_path / "no" / "a.png")


@pytest.mark.parametrize("name", writers())
def test_the_same_input_gives_the_same_file(tmp_path, name):
    for file in ("a.png", "b.png"):
        writers()[name](tmp_path / file)
    assert (tmp_path / "a.png").read_bytes() == (tmp_path / "b.png").read_bytes()


def test_matplotlib_is_imported_lazily_and_pyplot_never(tmp_path):
    source = """
import sys
from minifcn import figures
assert "matplotlib" not in sys.modules
figures.curves(sys.argv[1], [{"step": 1, "loss": 1, "lr": 1}, {"step": 2, "loss": 2, "lr": 1}], "val", "Jaccard")
assert "matplotlib.figure" in sys.modules and "matplotlib.pyplot" not in sys.modules
"""
    subprocess.run([sys.executable, "-c", source, str(tmp_path / "c.png")], check=True, timeout=60)
