"""What training asks of a set before it begins."""

import numpy as np
import pytest
from own_set import checked, make
from PIL import Image

from minifcn.datasets import open_dataset, survey
from minifcn.datasets.dataset import Dataset, hold_out, scaled, sided, thinned
from minifcn.errors import InputError

THREE = "background\ncar\ntree\n"


def problem(root, allow_absent=False):
    with pytest.raises(InputError) as caught:
        survey.check("mydata", [open_dataset(root, "train")], allow_absent)
    return str(caught.value)


def test_counts(tmp_path):
    make(tmp_path, {"a": [[0, 0, 1]], "b": [[255, 1], [1, 2]]}, THREE)
    found = open_dataset(tmp_path, "train").survey
    assert found.counts.dtype == np.int64 and found.counts.tolist() == [[2, 1, 0, 0], [0, 2, 1, 1]]
    assert found.pixels.tolist() == [2, 3, 1, 1] and found.occurs.tolist() == [1, 2, 1, 1]
    assert (found.shapes, found.errors, found.absent, found.only) == ([(1, 3), (2, 2)], [], [], None)
    assert found.largest(1) == (2, 2) and found.largest(2) == (2, 3)


def test_it_reads_each_file_once():
    reads = []

    def read(i):
        reads.append(i)
        return np.zeros((1, 2, 3), np.uint8), np.array([[0, 1]], np.uint8)

    data = Dataset("a", "train", ["x", "y"], np.zeros((2, 3), np.uint8), ["0", "1"], read)
    assert data.survey is data.survey and sorted(reads) == [0, 1]


def test_an_absent_class_in_train_is_refused_unless_allowed(tmp_path, capsys):
    make(tmp_path, {"a": [[0, 1]], "b": [[0, 1]], "v": [[0, 2]]}, THREE)
    text = problem(tmp_path)
    for part in ("train: in no picture: tree", "take their lines out of classes.txt", "add pictures", "--allow-absent"):
        assert part in text
    status, out = checked(capsys, tmp_path)
    assert status == 1 and "bad: train: in no picture: tree; take" in out and out.splitlines()[-1] == "1 bad"
    assert "note: val: in no picture: car" in out and "note: train:" not in out
    survey.check("mydata", [open_dataset(tmp_path, split) for split in ("train", "val")], True)
    assert capsys.readouterr().out == "note: train: in no picture: tree\nnote: val: in no picture: car\n"
    assert checked(capsys, tmp_path, "--allow-absent")[0] == 0


@pytest.mark.parametrize("first", ["background", "Background", "_background_", "BG", "other"])
def test_a_first_class_that_is_the_background_may_be_absent(tmp_path, first):
    make(tmp_path, {"a": [[2, 1]]}, f"{first}\ncar\ntree\n")
    survey.check("mydata", [open_dataset(tmp_path, "train")], False)
    make(tmp_path, {"a": [[0, 1]]}, f"car\ntree\n{first}\n")
    assert f"in no picture: {first}" in problem(tmp_path)


@pytest.mark.parametrize("labels, classes", [([[0, 0]], THREE), ([[1, 255]], THREE), ([[0, 255]], "crack\n")])
@pytest.mark.parametrize("allow_absent", [False, True])
def test_labels_of_one_class_are_refused(tmp_path, labels, classes, allow_absent):
    make(tmp_path, {"a": labels, "b": labels}, classes)
    name = classes.split("\n")[labels[0][0]]
    assert f"all labelled pixels are of one class, '{name}': nothing could be learnt" in problem(tmp_path, allow_absent)


def test_nothing_but_void_in_any_split_is_refused(tmp_path):
    make(tmp_path, {"a": [[0, 1, 2]], "v": [[255]]}, THREE)
    with pytest.raises(InputError, match="val: every pixel of the labels is void"):
        survey.check("mydata", [open_dataset(tmp_path, split) for split in ("train", "val")], False)


STRAY = {f"p{i}": [[0, 255, 255], [255, 255, 255]] for i in range(4)}


def test_a_stray_1_among_masks_of_0_and_255_is_refused(tmp_path, capsys):
    make(tmp_path, STRAY | {"p2": [[0, 0, 1]]})
    text = "1 at 1 pixels in 1 pictures, such as p2; 255 at 15 pixels in 3: the 1s make void of 255; if 255 is 'object'"
    assert text in problem(tmp_path)
    status, out = checked(capsys, tmp_path)
    assert status == 1 and f"bad: train: {text}, write 255 for 1; if it is void, give --allow-absent" in out
    survey.check("mydata", [open_dataset(tmp_path, "train")], True)


@pytest.mark.parametrize(
    ("labels", "classes"),
    [
        (STRAY | {"p2": [[0, 1, 1]]}, "background\nobject\n"),  # 15 pixels of void, 2 of the object
        ({name: [*rows, [0, 1, 255]] for name, rows in STRAY.items()}, "background\nobject\n"),  # in the same pictures
        (STRAY | {"p2": [[0, 1, 2]]}, "background\nobject\nthird\n"),
        ({name: [[0, 2, 2]] * 8 for name in STRAY} | {"p2": [[0, 0, 1]]}, "background\nobject\nvoid\n"),
    ],
)
def test_void_beside_a_class_that_is_rare(tmp_path, labels, classes):
    make(tmp_path, labels, classes)
    survey.check("mydata", [open_dataset(tmp_path, "train")], False)


def test_a_class_that_is_lost_by_scaling_is_not_blamed_on_the_files(tmp_path):
    labels = np.zeros((40, 40))
    labels[3, 3] = 1
    for classes in ("background\nobject\n", "road\nobject\nthird\n"):
        make(tmp_path, {"a": labels, "b": labels + 2 * (classes[0] == "r") * (np.arange(40) > 20)}, classes)
        data = sided(open_dataset(tmp_path, "train"), 4)
        with pytest.raises(InputError, match=r"give a larger --side than 4") as caught:
            survey.check("mydata", [data], False)
        assert "must hold another value" not in str(caught.value)


def test_equal_faults_are_grouped(tmp_path, capsys):
    make(tmp_path, {f"{i}": [[0, 1, 2 + 3 * (i < 7)]] for i in range(9)}, THREE)
    for name in ("7", "8"):
        (tmp_path / "labels" / f"{name}.png").rename(tmp_path / "labels" / f"{name}_mask.png")
    labels = tmp_path / "labels"
    text = problem(tmp_path)
    assert f"train: 7 files, the first: {labels / '0.png'}: value 5 at 1 pixel" in text and text.count("value 5") == 1
    assert f"train: 2 files, the first: {labels / '7.png'}: this label picture is missing" in text
    status, out = checked(capsys, tmp_path)
    assert status == 1 and out.count("bad: train: ") == 2 and out.splitlines()[-1] == "2 bad"
    assert "train              0     9  -" in out


def test_one_bad_file_comes_first_in_the_message(tmp_path):
    make(tmp_path, {"a": [[0, 1, 2]], "b": [[0, 1, 5]]}, THREE)
    assert problem(tmp_path).startswith(f"{tmp_path / 'labels' / 'b.png'}: value 5 at 1 pixel")


def test_drawn_sets_are_not_read():
    def read(i):
        raise AssertionError

    survey.check("mydata", [Dataset("t", "train", ["x"], np.zeros((1, 3), np.uint8), ["0"], read, drawn=True)], False)


def test_views_keep_what_is_known(tmp_path):
    make(tmp_path, {f"{i}": [[0, 255]] for i in range(4)})
    data = open_dataset(tmp_path, "train")
    for view in (*hold_out(data), scaled(data, 2), thinned(data, 0.5)):
        assert view.values == [0, 255] and view.notes == data.notes != [] and not view.drawn


@pytest.mark.parametrize(
    "values, noted", [([(0, 1), (0, 255)], True), ([(0, 1, 255), (0, 255)], False), ([(0, 1)] * 2, False)]
)
def test_two_habits_in_one_set_are_noted(values, noted, tmp_path, capsys):
    root = tmp_path / "mine"
    for part in ("images", "labels"):
        (root / part).mkdir(parents=True)
    (root / "classes.txt").write_text("ground\ncrack\n")
    (root / "train.txt").write_text("a\nb\n")
    for name, found in zip("ab", values, strict=True):
        Image.fromarray(np.zeros((6, 9, 3), np.uint8)).save(root / "images" / f"{name}.png")
        Image.fromarray(np.resize(np.array(found, np.uint8), (6, 9))).save(root / "labels" / f"{name}.png")
    survey.check(root, [open_dataset(root, "train")], True)
    assert ("never both: is 255 'crack' there?" in capsys.readouterr().out) == noted
