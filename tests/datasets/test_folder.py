"""A user's own folder: the layout, the list of classes, the lists of splits, and every mistake in them."""

import numpy as np
import pytest
from PIL import Image

from minifcn.datasets import has_split, list_splits, open_dataset, toytown
from minifcn.datasets.classes import read_classes
from minifcn.datasets.pictures import list_pictures
from minifcn.errors import InputError

PLAIN = "sky\ntraffic light\nroad\n"
COLOURED = "# id = line\n\nsky 0 0 255\ntraffic light #fa0a00\nvoid 0,0,0\nroad 128 64 128\n"


def make(root, names=("a", "b", "c", "d", "e", "f", "g"), classes=PLAIN):
    (root / "images").mkdir(parents=True)
    (root / "labels").mkdir()
    (root / "classes.txt").write_text(classes)
    rng = np.random.default_rng(3)
    for i, name in enumerate(names):
        H, W = 4 + i, 9 - i
        Image.fromarray(rng.integers(0, 256, (H, W, 3), dtype=np.uint8)).save(root / "images" / f"{name}.png")
        Image.fromarray(rng.integers(0, 3, (H, W), dtype=np.uint8)).save(root / "labels" / f"{name}.png")
    return root


def stored(path):
    with Image.open(path) as image:
        return np.array(image)


def test_what_a_split_is(tmp_path):
    root = make(tmp_path / "mine")
    data = open_dataset(root, "train")
    assert (data.name, data.split, data.ignore_label) == ("mine", "train", 255)
    assert data.classes == ["sky", "traffic light", "road"]
    np.testing.assert_array_equal(data.palette, [(230, 159, 0), (86, 180, 233), (0, 158, 115)])  # Okabe and Ito's
    for i, name in enumerate(data.names):
        picture, labels = data[i]
        np.testing.assert_array_equal(picture, stored(root / "images" / f"{name}.png"))
        np.testing.assert_array_equal(labels, stored(root / "labels" / f"{name}.png"))


def test_split_without_lists(tmp_path):
    make(tmp_path)
    assert list_splits(tmp_path) == ["train", "val"]
    assert open_dataset(tmp_path, "val").names == ["b", "g"]
    assert open_dataset(tmp_path, "train").names == ["a", "c", "d", "e", "f"]
    with pytest.raises(InputError, match=r"no split 'test'; there are: train, val.* test.txt"):
        open_dataset(tmp_path, "test")


def test_split_of_two_and_of_one(tmp_path):
    two, one = make(tmp_path / "two", "xy"), make(tmp_path / "one", "x")
    assert open_dataset(two, "train").names == ["x"] and open_dataset(two, "val").names == ["y"]
    assert open_dataset(one, "train").names == ["x"]
    with pytest.raises(InputError, match="too few for train and val"):
        open_dataset(one, "val")


def test_split_lists(tmp_path):
    make(tmp_path)
    (tmp_path / "train.txt").write_text("g\n\n  b.png \n")
    (tmp_path / "test.txt").write_text("\ufeffa\r\nc\r\n", encoding="utf-8")
    assert list_splits(tmp_path) == ["train", "test"]
    assert not has_split(tmp_path, "val")
    data = open_dataset(tmp_path, "train")
    assert data.names == ["g", "b"]
    assert data[0][0].shape == (10, 3, 3) and data[1][0].shape == (5, 8, 3)
    assert open_dataset(tmp_path, "test").names == ["a", "c"]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (
            "a\nnone\nb\nnada\n",
            r"train.txt: expected names .*images, .*, received 'none' \(line 2\), 'nada' \(line 4\);",
        ),
        ("a\nb\na\n", r"train.txt: expected .* each once, received 'a' \(line 3\); correct"),
        ("\n", "train.txt: expected names .*, received none; correct the list"),
    ],
)
def test_bad_lists(tmp_path, text, expected):
    make(tmp_path)
    (tmp_path / "train.txt").write_text(text)
    with pytest.raises(InputError, match=expected):
        open_dataset(tmp_path, "train")


def test_classes_with_colours(tmp_path):
    make(tmp_path, names="a", classes=COLOURED)
    data = open_dataset(tmp_path, "train")
    assert data.classes == ["sky", "traffic light", "road"]
    np.testing.assert_array_equal(data.palette, [(0, 0, 255), (250, 10, 0), (128, 64, 128)])
    values = np.array([[0, 1, 2, 3, 255]], np.uint8)
    Image.fromarray(np.zeros((1, 5, 3), np.uint8)).save(tmp_path / "images" / "a.png")
    Image.fromarray(values).save(tmp_path / "labels" / "a.png")
    np.testing.assert_array_equal(data[0][1], [[0, 1, 255, 2, 255]])
    colours = np.array([[(128, 64, 128), (0, 0, 0), (0, 0, 255), (250, 10, 0), (0, 0, 255)]], np.uint8)
    Image.fromarray(colours).save(tmp_path / "labels" / "a.png")
    np.testing.assert_array_equal(data[0][1], [[2, 255, 0, 1, 0]])


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", "0 lines, expected 1 to 255"),
        ("void\n", "1 lines, expected 1 to 255, at least one a class"),
        ("".join(f"c{i}\n" for i in range(256)), "256 lines, expected 1 to 255"),
        ("sky\nroad\nsky\n", "line 3: expected a new name, .* received 'sky'; correct"),
        ("sky 1 2 3\nroad\n", "line 2: expected .* if the other lines have colours, .* received 'road'"),
        ("sky 1 2 3\nroad 1 2 3\n", "line 2: expected .* a new one .* received 'road 1 2 3'"),
        ("sky 1 2 256\n", "line 1: expected .* three numbers from 0 to 255, received 'sky 1 2 256'"),
        ("sky\nroad 1 2 3\n", "line 2: expected .* if the other lines have colours, .* received 'road 1 2 3'"),
    ],
)
def test_bad_classes(tmp_path, text, expected):
    (tmp_path / "classes.txt").write_text(text)
    with pytest.raises(InputError, match=expected) as caught:
        read_classes(tmp_path / "classes.txt")
    assert "classes.txt" in str(caught.value)


def test_classes_in_another_encoding(tmp_path):
    (tmp_path / "classes.txt").write_bytes("straße\n".encode("latin-1"))
    with pytest.raises(InputError, match=r"classes.txt: unreadable text \(.*utf-8.*\); save it as plain UTF-8 text"):
        read_classes(tmp_path / "classes.txt")


def test_bad_labels_are_named_on_reading(tmp_path):
    make(tmp_path)
    labels = tmp_path / "labels"
    (labels / "a.png").unlink()
    (labels / "c.png").rename(labels / "c.jpg")
    Image.fromarray(np.full((7, 6), 3, np.uint8)).save(labels / "d.png")
    Image.fromarray(np.zeros((3, 3), np.uint8)).save(labels / "e.png")
    Image.fromarray(np.full((9, 4, 3), (0, 0, 1), np.uint8)).save(labels / "f.png")
    data = open_dataset(tmp_path, "train")
    expected = [
        r"labels.a.png: this label picture is missing; add",
        r"labels.c.png: this label picture is missing; there is labels.c.jpg: rename it",
        r"labels.d.png: value 3 at 42 pixels, first at row 0, column 0: expected 0 to 2 .*classes.txt, which must list",
        r"labels.e.png: 3 x 3 pixels .* 5 x 8",
        r"labels.f.png: an RGB label picture.*give each class a colour",
    ]
    for i, pattern in enumerate(expected):
        with pytest.raises(InputError, match=pattern):
            data[i]


def test_labels_with_a_capital_extension(tmp_path):
    make(tmp_path)
    (tmp_path / "labels" / "a.png").rename(tmp_path / "labels" / "a.PNG")
    assert open_dataset(tmp_path, "train")[0][1].shape == (4, 9)


def test_which_files_are_pictures(tmp_path):
    for name in ("b.JPG", "a.png", "c.1.tiff", ".hidden.png", "notes.txt"):
        (tmp_path / name).touch()
    (tmp_path / "folder.png").mkdir()
    found, others = list_pictures(tmp_path)
    assert list(found) == ["a", "b", "c.1"] and [path.name for path in others] == ["folder.png", "notes.txt"]
    (tmp_path / "a.jpg").touch()
    with pytest.raises(InputError, match=r"a.jpg and a.png differ only in extension"):
        list_pictures(tmp_path)


def test_no_pictures(tmp_path):
    make(tmp_path, names="")
    with pytest.raises(InputError, match="images: no pictures"):
        open_dataset(tmp_path, "train")


def test_toytown_is_opened_by_its_name(tmp_path, monkeypatch):
    monkeypatch.setenv("MINIFCN_CACHE", str(tmp_path))
    monkeypatch.setattr(toytown, "SPLITS", {"train": 2, "val": 1})
    assert list_splits("toytown") == ["train", "val"] and not has_split("toytown", "test")
    data = open_dataset("toytown", "train")
    assert (data.name, data.split, len(data)) == ("toytown", "train", 2)
    with pytest.raises(InputError, match="toytown has the splits train, val"):
        open_dataset("toytown", "test")


def test_unknown_layouts(tmp_path):
    with pytest.raises(InputError, match="nowhere: no such folder"):
        open_dataset(tmp_path / "nowhere", "train")
    with pytest.raises(InputError, match=r"found nothing; nearest is images/, labels/ and classes.txt"):
        open_dataset(tmp_path, "train")
    (tmp_path / "images").mkdir()
    (tmp_path / "masks").mkdir()
    with pytest.raises(InputError) as caught:
        has_split(tmp_path, "train")
    for words in ("found images/, masks/; nearest is images/", "missing: labels, classes.txt: python -m minifcn."):
        assert words in str(caught.value)
