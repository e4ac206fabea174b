"""check_data: every bad file is named, the counts are right, the exit statuses hold."""

import subprocess
import sys

import numpy as np
import pytest
from PIL import Image

from minifcn.check_data import main
from minifcn.errors import InputError


def save(root, name, labels, size=None):
    H, W = size or labels.shape
    Image.fromarray(np.zeros((H, W, 3), np.uint8)).save(root / "images" / f"{name}.png")
    Image.fromarray(labels).save(root / "labels" / f"{name}.png")


@pytest.fixture
def root(tmp_path):
    """Two pictures in train: 2 pixels of sky, 6 of road, none of car, 4 of void. One in val, all of it car."""
    (tmp_path / "images").mkdir()
    (tmp_path / "labels").mkdir()
    (tmp_path / "classes.txt").write_text("sky\nroad\ncar\n")
    save(tmp_path, "a", np.array([[0, 0, 1], [1, 1, 1]], np.uint8))
    save(tmp_path, "b", np.array([[2, 2], [2, 2], [2, 2], [2, 2]], np.uint8))
    save(tmp_path, "c", np.array([[255], [255], [255], [255], [1], [1]], np.uint8))
    return tmp_path


def rows(text):
    """The table as a dict from the first word of a line to the others; of two lines with the same word, the first."""
    return {line.split()[0]: " ".join(line.split()[1:]) for line in reversed(text.splitlines()) if line.strip()}


def test_good_set(root, capsys):
    assert main([str(root), "--allow-absent"]) == 0
    out = capsys.readouterr().out
    table = rows(out)
    assert table["train"] == "2 0 2 x 1 .. 6 x 3"
    assert "val 1 0 4 x 2" in " ".join(out.split())
    assert table["sky"] == "25.00 % 1 absent 0"
    assert table["road"] == "75.00 % 2 absent 0"
    assert table["car"] == "absent 0 100.00 % 1"
    assert table["void"] == "33.33 % 1 0 0"
    assert "note: train: in no picture: car" in out and "note: val: in no picture: sky, road" in out
    assert out.splitlines()[-1] == "all good"


def test_every_bad_file_and_value_is_named(root, capsys):
    save(root, "d", np.array([[0, 3, 7, 3]], np.uint8))
    save(root, "e", np.array([[0, 1]], np.uint8), size=(2, 1))
    save(root, "f", np.array([[0, 1]], np.uint8))
    (root / "labels" / "f.png").unlink()
    save(root, "g", np.array([[9, 1]], np.uint8))  # the second one of val
    broken = root / "images" / "a.png"
    broken.write_bytes(broken.read_bytes()[:40])
    assert main([str(root)]) == 1
    out = capsys.readouterr().out
    bad = [line for line in out.splitlines() if line.startswith("bad: ")]
    assert len(bad) == 5 and out.splitlines()[-1] == "5 bad"
    expected = [
        ("bad: train: ", "a.png: unreadable picture"),
        ("bad: train: ", "d.png: value 3 at 2 pixels, first at row 0, column 1; value 7 at 1 pixel"),
        ("bad: train: ", "e.png: 2 x 1 pixels"),
        ("bad: train: ", "f.png: this label picture is missing"),
        ("bad: val: ", "g.png: value 9 at 1 pixel, first at row 0, column 0"),
    ]
    for line, (start, part) in zip(bad, expected, strict=True):
        assert line.startswith(start) and part in line
    assert rows(out)["train"] == "1 4 6 x 1"  # only c is good


def test_a_split_that_cannot_be_opened_is_bad_and_the_others_are_checked(root, capsys):
    (root / "train.txt").write_text("a\nc\n")
    (root / "val.txt").write_text("b\nzebra\n")
    assert main([str(root)]) == 1
    out = capsys.readouterr().out
    assert "bad: val: " in out and "'zebra' (line 2)" in out
    assert "train 2 0 2 x 1 .. 6 x 3" in " ".join(out.split())


def test_notes(root, capsys):
    (root / "train.txt").write_text("a\nb\n")
    (root / "val.txt").write_text("b\nc\n")
    for name in "bc":
        save(root, name, np.array([[0, 255]], np.uint8))
    assert main([str(root), "--allow-absent"]) == 0
    assert "note: 1 names are in both train and val, such as b" in capsys.readouterr().out


def test_a_split_that_is_all_void_is_bad(root, capsys):
    save(root, "b", np.full((2, 3), 255, np.uint8))
    assert main([str(root), "--allow-absent"]) == 1
    out = capsys.readouterr().out
    assert "bad: val: every pixel of the labels is void" in out and out.splitlines()[-1] == "1 bad"


def test_no_split_to_train_on_is_noted(root, capsys):
    (root / "val.txt").write_text("a\nb\n")
    assert main([str(root)]) == 0
    assert "note: no split 'train', without which train does not start; there are: val" in capsys.readouterr().out


def test_one_picture_to_train_on_is_noted(root, capsys):
    (root / "train.txt").write_text("a\n")
    assert main([str(root), "--allow-absent"]) == 0
    assert "note: train: one picture, and train takes two at a time; add pictures, or give" in capsys.readouterr().out


def test_no_data_set(tmp_path):
    with pytest.raises(InputError, match="not the layout of a data set"):
        main([str(tmp_path)])


def test_pillows_warning_does_not_stand_before_the_message(root):
    (root / "images" / "a.png").unlink()
    Image.new("1", (1 << 14, 10_000)).save(root / "images" / "a.png")  # more than Pillow's limit, less than twice that
    command = [sys.executable, "-m", "minifcn.check_data", str(root), "--allow-absent"]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert "a.png: this picture has more than 89,478,485 pixels" in ended.stdout and "Warning" not in ended.stderr


def test_as_a_command(root):
    def run(*arguments):
        command = [sys.executable, "-m", "minifcn.check_data", *arguments]
        return subprocess.run(command, capture_output=True, text=True, timeout=60)

    missing = run(str(root / "none"))
    assert missing.returncode == 2
    assert missing.stderr.startswith("error: ") and missing.stderr.count("\n") == 1
    assert "none: no such folder" in missing.stderr
    save(root, "b", np.full((1, 2), 3, np.uint8))
    assert run(str(root)).returncode == 1
    assert len(run("--help").stdout.splitlines()) < 24
