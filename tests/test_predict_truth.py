"""What label files mean to --compare: what they meant to the data set that was learnt, or to the list beside them."""

from pathlib import Path

import numpy as np
import pytest
from commands import predict
from PIL import Image
from small_checkpoint import PALETTE, make_checkpoint
from small_data import draw, exit_status, fails, make_set

from minifcn import train
from minifcn.datasets import open_dataset

pytestmark = pytest.mark.usefixtures("tiny_trunk")


@pytest.fixture
def two_class(tmp_path):
    """A network of two classes, a photograph and its mask of 0 and 255."""
    path = make_checkpoint(tmp_path / "two", classes=("background", "object"), palette=PALETTE[:2])
    picture, labels = draw(3, 40, 52)
    for folder in ("photos", "masks"):
        (tmp_path / folder).mkdir()
    Image.fromarray(picture).save(tmp_path / "photos" / "a.png")
    Image.fromarray(np.where(labels == 1, 255, 0).astype(np.uint8)).save(tmp_path / "masks" / "a.png")
    return tmp_path, path, labels == 1


def test_masks_of_0_and_255_are_compared_as_they_are_learnt(two_class, monkeypatch, capsys):
    folder, path, inside = two_class
    shown = []
    monkeypatch.setattr(predict.figures, "compare", lambda path, rows, *_: shown.extend(rows))
    given = (folder / "photos", "--compare", folder / "masks", "--out", folder / "out")
    assert exit_status(predict.main, path, *given) == 0
    np.testing.assert_array_equal(shown[0][1], inside.astype(np.uint8))
    assert "note: " in capsys.readouterr().err


def test_a_list_of_classes_beside_the_labels_counts(two_class, capsys):
    """Its order may be another than the network's: then the values would mean something else."""
    folder, path, _ = two_class
    (folder / "classes.txt").write_text("object\nbackground\n")
    given = (folder / "photos", "--compare", folder / "masks", "--out", folder / "out")
    line = fails(capsys, predict.main, path, *given)
    assert "classes.txt has 2 classes (object, background)" in line and "trained on 2 classes (background, obj" in line
    (folder / "classes.txt").write_text("background\nobject\n")
    assert exit_status(predict.main, path, *given) == 0


GREYS = "road 128 128 128\nbg 0 0 0\n"  # do not ascend
RGB = "bg 10 20 30\nobj 200 100 50\nvoid 0 0 0\n"


@pytest.mark.parametrize(
    "listed, kind", [(GREYS, "grey"), (RGB, "colours"), ("bg\nobj\n", "bits"), ("bg\nobj\n", "mask")]
)
def test_any_kind_of_label_file_is_compared_and_written_as_it_was_learnt(listed, kind, tmp_path, undrawn, monkeypatch):
    """Trained for two steps, then: truth as the data set has it, and PNGs that read back as what was predicted."""
    data = Path(make_set(tmp_path / "set", [("train", 3), ("val", 2)], classes=("a", "b")))
    (data / "classes.txt").write_text(listed)
    for path in (data / "labels").iterdir():
        ids = np.array(Image.open(path)) == 1
        if kind == "colours":
            image = np.array([(10, 20, 30), (200, 100, 50)], np.uint8)[ids.astype(int)]
            image[:2] = 0  # void
        else:
            image = {"grey": np.where(ids, 0, 128).astype(np.uint8), "bits": ids}.get(kind, ids * np.uint8(255))
        Image.fromarray(image).save(path)
    run = f"--data {data} --out {tmp_path} --name run --model fcn32s --trunk tiny --steps 2 --lr 0.5 --allow-absent"
    assert exit_status(train.main, *run.split()) == 0
    (data / "classes.txt").rename(data / "moved.txt")  # the checkpoint knows
    rows = []
    monkeypatch.setattr(predict.figures, "compare", lambda path, shown, *_: rows.extend(shown))
    given = (data / "images", "--compare", data / "labels", "--out", tmp_path / "out")
    assert exit_status(predict.main, tmp_path / "run" / "last.safetensors", *given) == 0
    (data / "moved.txt").rename(data / "classes.txt")
    examples = [open_dataset(data, split)[i][1] for split, count in (("train", 3), ("val", 2)) for i in range(count)]
    assert len(rows) == 5
    for (_, truth, _), expected in zip(rows, examples, strict=True):
        np.testing.assert_array_equal(truth, expected)
    for path in (data / "labels").iterdir():
        Image.open(tmp_path / "out" / path.name).save(path)  # as if predictions were labels
    again = [open_dataset(data, split)[i][1] for split, count in (("train", 3), ("val", 2)) for i in range(count)]
    for (_, _, found), read in zip(rows, again, strict=True):
        np.testing.assert_array_equal(found, read)


def test_the_whole_folder_of_labels_says_what_one_file_means(two_class, monkeypatch):
    """A file of 0 and 255 alone would be a mask; beside one of 0, 1 and 255 its 255 is void."""
    folder, path, inside = two_class
    Image.fromarray(np.arange(12, dtype=np.uint8).reshape(3, 4) % 2).save(folder / "masks" / "other.png")
    shown = []
    monkeypatch.setattr(predict.figures, "compare", lambda path, rows, *_: shown.extend(rows))
    given = (folder / "photos" / "a.png", "--compare", folder / "masks", "--out", folder / "out")
    assert exit_status(predict.main, path, *given) == 0
    np.testing.assert_array_equal(shown[0][1], np.where(inside, 255, 0))
