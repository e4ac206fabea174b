"""Names and lines that are made to harm: they reach no terminal, and take no time that grows with their square."""

import json
import subprocess
import sys

import pytest
from helpers import less_than
from labelled_data import SQUARE, coco, labelme, opened, picture, shape, source_of, supervisely, thing, write_json
from own_set import checked, make
from small_data import fails, make_pictures, zipped

from minifcn import import_labels
from minifcn.datasets import open_dataset, survey
from minifcn.datasets.annotations import clean, corners, draw_shape, pictures_of_json
from minifcn.datasets.classes import read_classes, read_lines
from minifcn.datasets.classification import Pictures
from minifcn.datasets.labels import cleaned
from minifcn.errors import InputError
from minifcn.weights import metadata

ESCAPE = "\x1b]0;owned\x07"
LINES = {  # a megabyte each; before there was a bound, 10 KB of some took seconds
    "spaces": "a" + " " * 10**6 + "b",
    "commas": "a" + "," * 10**6 + "b",
    "colons": "a" + ":" * 10**6 + "b",
    "numbers": "a" + " 1" * 500_000 + " b",
    "digits": "a " + "1" * 10**6,
    "a value": "1" * 10**6 + " road",
    "a colour": "road " + "1" * 10**6 + " 2 3",
    "hashes": "#00ff00" + " ," * 500_000,
    "one word": "a" * 10**6,
}


def refusal(root):
    """What reading classes.txt ends with, in a process that is ended where it hangs."""
    code = "import sys, pathlib; from minifcn.datasets import classes; classes.read_classes(pathlib.Path(sys.argv[1]))"
    command = [sys.executable, "-c", code, str(root / "classes.txt")]
    last = subprocess.run(command, capture_output=True, text=True, timeout=60).stderr.splitlines()[-1]
    assert last.startswith(f"minifcn.errors.InputError: {root / 'classes.txt'}") and len(last) < 1000
    return last


@pytest.mark.parametrize("line", LINES)
def test_lines_of_a_megabyte(tmp_path, line):
    (tmp_path / "classes.txt").write_text(f"car\n{LINES[line]}")
    assert "classes.txt: unreadable text (line 2 has over 256 characters)" in refusal(tmp_path)


@pytest.mark.parametrize("line", LINES)
def test_lines_as_long_as_may_be_and_as_many(tmp_path, line):
    """300 of them are all that is looked at, each in milliseconds."""
    (tmp_path / "classes.txt").write_text((LINES[line][:255] + "\n") * 5000)
    assert "expected" in refusal(tmp_path)


def test_long_numbers(tmp_path):
    """Python converts up to 4,300 digits; a line has fewer."""
    for line in ("9" * 200 + " road", "road " + "9" * 200 + " 1 2"):
        (tmp_path / "classes.txt").write_text(f"{line}\ncar\n")
        with pytest.raises(InputError, match=r"classes.txt, line 1: expected"):
            read_classes(tmp_path / "classes.txt")
    (tmp_path / "classes.txt").write_text("road " + "9" * 200 + "\ncar\n")
    assert read_classes(tmp_path / "classes.txt").classes[1] == "car"


def test_names_that_a_checkpoint_takes(tmp_path):
    """Not one letter more, or a network is trained whose checkpoint is refused afterwards."""
    (tmp_path / "classes.txt").write_text(f"road\n{'x' * 256}\n")
    assert metadata.checked({"classes": read_classes(tmp_path / "classes.txt").classes})
    (tmp_path / "classes.txt").write_text(f"road\n{'x' * 257}\n")
    with pytest.raises(InputError, match="line 2 has over 256"):
        read_classes(tmp_path / "classes.txt")


def test_lists_of_any_size_in_bounded_memory(tmp_path):
    with (tmp_path / "classes.txt").open("wb") as file:
        file.truncate(2**40)
    with less_than(2**20), pytest.raises(InputError, match=r"classes.txt: unreadable text \(over 16,777,216 bytes"):
        read_lines(tmp_path / "classes.txt")
    (tmp_path / "classes.txt").write_text("\n" * 2**21)
    with less_than(2**26), pytest.raises(InputError, match=r"classes.txt: 0 lines, expected 1 to 255"):
        read_classes(tmp_path / "classes.txt")


def test_cleaned():
    assert cleaned("می‌خواهم 交通　信号\u00a0é🐱\ta") == "میخواهم 交通 信号 é🐱\ta"
    assert cleaned(f"a{ESCAPE}b\u202ec\u2066\ud800d\u0085\u2028e") == "a]0;ownedbcd  e"


@pytest.mark.parametrize("name", ["classes.txt", "labelmap.txt", "class_dict.csv"])
def test_escapes_in_lists_of_classes(tmp_path, name):
    """Cleaned where that leaves a name; refused by line, shown escaped, where it does not."""
    (tmp_path / name).write_text(f"road\n\x07\n{'car' + chr(0x202E)} \u00a0park\nbus\x07\n", encoding="utf-8")
    assert read_classes(tmp_path / name).classes == ["road", "car  park", "bus"]
    (tmp_path / name).write_text(f"road\ncar {ESCAPE}\n")
    with pytest.raises(InputError, match="line 2: expected") as raised:
        read_classes(tmp_path / name)
    assert str(raised.value).isprintable()


def test_escapes_in_a_set_do_not_reach_the_terminal(tmp_path, capsys):
    root = make(tmp_path, {"a": [[0, 1]], "b": [[1, 0]]}, classes="back\x07ground\x1b\nob\x9bject\n")
    assert checked(capsys, root)[0] == 0
    assert all(c.isprintable() or c == "\n" for c in checked(capsys, root)[1])


def test_names_of_files_with_escapes_do_not_reach_the_terminal(tmp_path, capsys):
    """In what is bad, in what is noted, and in what train says before it starts."""
    odd = "o\x1bd\nd\u202e"
    root = make(tmp_path, {name: [[0, 1]] for name in ("a", "b", "c", odd)}, extension="png")
    (root / "train.txt").unlink()  # it has no name in two lines
    (root / f"{odd}.md").write_text("")
    survey.check(root, [open_dataset(root, "train")], True)
    out = capsys.readouterr().out
    assert out == r"note: not used: item o\x1bd\nd\u202e.md".replace("item ", f"item {root}/") + "\n"
    (root / "labels" / f"{odd}.png").write_text("")
    status, out = checked(capsys, root)
    assert status == 1 and r"o\x1bd\nd\u202e.md" in out and r"o\x1bd\nd\u202e.png: unreadable" in out
    assert all(c.isprintable() or c == "\n" for c in out)


def labelme_of(label):
    return labelme(shape(label, SQUARE))


def coco_of(label):
    return coco(thing([[10, 5, 20, 5, 20, 15]])) | {"categories": [{"id": 7, "name": label}]}


def supervisely_of(label):
    points = {"exterior": SQUARE, "interior": []}
    return supervisely({"classTitle": label, "geometryType": "polygon", "points": points})


FORMS = {"a.json": labelme_of, "coco.json": coco_of, "a.jpg.json": supervisely_of}


@pytest.mark.parametrize("file", FORMS)
def test_escapes_in_labels_of_json(tmp_path, file):
    picture(tmp_path / "raw" / "a.jpg")
    write_json(tmp_path / "raw" / file, FORMS[file](f"cat\n{ESCAPE}\u202e"))
    _, coding, [(_, _, read)] = pictures_of_json(source_of(tmp_path / "raw"))
    assert coding.classes == ["background", "cat 0 owned"] and (read()[1] == 1).any()


@pytest.mark.parametrize("file", FORMS)
def test_labels_of_any_kind_and_length(tmp_path, file):
    """What comes out is a class or a note, whatever stands for a name; with a list of classes, too."""
    picture(tmp_path / "raw" / "a.jpg")
    for label in (None, 5, [], {}, "x" * 10**6, [[[["deep"]]]], "\x00", "\ud800", True, 1e400):
        write_json(tmp_path / "raw" / file, FORMS[file](label))
        _, coding, items = pictures_of_json(source_of(tmp_path / "raw"))
        assert all(0 < len(name) <= 206 and name.isprintable() for name in coding.classes) and len(items) == 1
        assert pictures_of_json(opened(tmp_path / "raw", "cat\n"))[1].classes == ["background", "cat"]


@pytest.mark.parametrize("depth", [800, 930, 960, 980, 990, 100_000])
@pytest.mark.parametrize("where", ["label", "points", "imagePath", "imageHeight", "shape_type"])
def test_deep_json(tmp_path, where, depth, capsys):
    """Nested beyond Python's recursion, or just below it, so that only what comes after reading is too deep."""
    picture(tmp_path / "raw" / "a.jpg")
    picture(tmp_path / "raw" / "b.jpg")
    write_json(tmp_path / "raw" / "b.json", labelme(shape("cat", SQUARE), imagePath="b.jpg"))
    inside, around = ({where: "HERE"}, {}) if where in shape("cat", []) else ({}, {where: "HERE"})
    document = json.dumps(labelme(shape("cat", SQUARE) | inside) | around)
    (tmp_path / "raw" / "a.json").write_text(document.replace('"HERE"', "[" * depth + "]" * depth))
    assert import_labels.main([str(tmp_path / "raw"), "--out", str(tmp_path / "out")]) in (0, 1)
    assert (tmp_path / "out" / "labels" / "b.png").exists()
    assert all(len(line) < 6000 for line in capsys.readouterr().out.splitlines())


def test_names_of_files_with_escapes_in_the_importers_notes(tmp_path, capfd):
    picture(tmp_path / "raw" / f"a{ESCAPE.replace('/', '')}.jpg")
    picture(tmp_path / "raw" / "b.jpg")
    write_json(tmp_path / "raw" / "b.json", labelme(shape("cat", [[1, 2]], f"ki{ESCAPE}nd"), imagePath="b.jpg"))
    assert import_labels.main([str(tmp_path / "raw"), "--out", str(tmp_path / "o\x1bu\nt")]) in (0, 1)
    told = capfd.readouterr().out
    assert "no labels for this picture" in told and "a shape without an area" in told
    assert all(c.isprintable() or c == "\n" for c in told)


@pytest.mark.parametrize("name", ["gr\x1b[31meen", "gr\neen", "gr\u202eeen"])
def test_folders_as_classes(tmp_path, name, capsys):
    root = make_pictures(tmp_path / "set")
    (root / "train" / "green").rename(root / "train" / name)
    for where in (root, zipped(root, tmp_path / "a.zip")):
        with pytest.raises(InputError, match="is a name that cannot be shown; rename the folder") as raised:
            Pictures(where, "train")
        assert str(raised.value).isprintable()


def test_cleaning_leaves_good_names_alone():
    for name in ("Straße", "traffic light", "人", "C#", "naïve café"):
        assert clean(name) == name


def test_no_class_left(tmp_path, capsys):
    picture(tmp_path / "raw" / "a.jpg")
    (tmp_path / "raw" / "classes.txt").write_text("\x07\n\x1b\n")
    assert "0 lines, expected 1 to 255" in fails(capsys, import_labels.main, tmp_path / "raw", "--out", tmp_path / "o")


def test_a_circle_larger_than_all_maps_takes_no_time():
    """Pillow took half a minute for one with a radius of a million, and takes milliseconds for 100,000."""
    assert abs(corners([[2**63, 20], [-1e300, 20]])).max() == 1e5
    assert draw_shape("circle", [[2**63, 20], [25, 20]], (), 40, 56).shape == (40, 56)
