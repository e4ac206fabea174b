"""Everything in a set's folder is used or named; own classes in the layouts of others; what mends a folder."""

import shutil

import numpy as np
import pytest
from own_set import checked, make, paletted, read
from PIL import Image

from minifcn.datasets import list_splits, open_dataset
from minifcn.errors import InputError

LABELS = {"a": [[0, 1]], "b": [[1, 0]], "c": [[0, 1]]}


def error(root, split="train"):
    with pytest.raises(InputError) as caught:
        open_dataset(root, split)
    assert "\n" not in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize("extension", ["jfif", "jpe", "JPE", "JPEG", "TIF"])
def test_rarer_names_of_known_formats_are_read(tmp_path, extension):
    make(tmp_path, LABELS)
    path = tmp_path / "images" / "b.jpg"
    Image.new("RGB", (2, 1)).save(path, "TIFF" if extension == "TIF" else "JPEG")
    path.rename(path.with_suffix(f".{extension}"))
    assert list(read(tmp_path)) == ["a", "b", "c"] and open_dataset(tmp_path, "train").notes == []


@pytest.mark.parametrize("extension", ["jp2", "tga", "avif", "heic", "psd"])
def test_a_picture_of_another_kind_with_labels_is_refused(tmp_path, extension):
    make(tmp_path, LABELS)
    for name in "bc":
        (tmp_path / "images" / f"{name}.jpg").rename(tmp_path / "images" / f"{name}.{extension}")
    (tmp_path / "train.txt").unlink()
    text = error(tmp_path)
    assert f"2 pictures, the first: {tmp_path / 'images'}" in text and f"b.{extension}: files of a kind" in text
    assert f"(.{extension})" in text and "convert them to PNG or JPEG" in text


def test_what_is_not_used_is_named(tmp_path, capsys):
    make(tmp_path, LABELS)
    for name in ("notes.md", "images/a.xcf", "labels/a.json", "images/.hidden", "Thumbs.db", "labels/desktop.ini"):
        (tmp_path / name).touch()
    (tmp_path / "masks").mkdir()
    for name in ("x", "y"):
        shutil.copy(tmp_path / "labels" / "a.png", tmp_path / "labels" / f"{name}.png")
    shutil.copy(tmp_path / "images" / "a.jpg", tmp_path / "images" / "z.jpg")
    status, out = checked(capsys, tmp_path)
    assert status == 0
    assert [line for line in out.splitlines() if line.startswith("note: ")] == [
        f"note: without a picture, not used: 2 label files, the first: {tmp_path / 'labels' / 'x.png'}",
        f"note: not used: file {tmp_path / 'images' / 'a.xcf'}",
        f"note: not used: file {tmp_path / 'labels' / 'a.json'}",
        f"note: in no list, not used: picture {tmp_path / 'images' / 'z.jpg'}",
        f"note: not used: 2 items, the first: {tmp_path / 'masks'}",
    ]


@pytest.mark.parametrize("folder", ["images", "labels"])
def test_folders_within_folders_are_explained(tmp_path, folder):
    make(tmp_path, LABELS)
    inner = tmp_path / folder / "train"
    inner.mkdir()
    next((tmp_path / folder).glob("b.*")).rename(next((tmp_path / folder).glob("b.*")).parent / "train" / "b.png")
    text = error(tmp_path)
    assert f"{inner}: pictures in a folder of their own" in text and "train.txt, val.txt, test.txt" in text


@pytest.mark.parametrize(
    "name, wanted",
    [
        *(("Train.txt", "train"), ("training.txt", "train"), ("valid.txt", "val"), ("validation.txt", "val")),
        *(("val.csv", "val"), ("TEST.lst", "test"), ("test_list.txt", "test"), ("val", "val")),
    ],
)
def test_lists_named_almost_right(tmp_path, name, wanted):
    make(tmp_path, LABELS)
    (tmp_path / "train.txt").unlink()
    (tmp_path / name).write_text("a\n")
    assert f"{name}: a list of pictures, one name a line, must be called {wanted}.txt; rename it" in error(tmp_path)


def test_labels_that_differ_in_the_case_of_their_extension(tmp_path):
    make(tmp_path, LABELS)
    shutil.copy(tmp_path / "labels" / "a.png", tmp_path / "labels" / "a.PNG")
    assert "a.PNG and a.png differ only in extension" in error(tmp_path)


@pytest.mark.parametrize("there", ["b_mask.png", "b-mask.png", "b_L.png", "b_gt.png", "B.png", "b.tif", "b.json"])
def test_a_label_under_another_name_is_named(tmp_path, there):
    make(tmp_path, LABELS)
    (tmp_path / "labels" / "b.png").rename(tmp_path / "labels" / there)
    (tmp_path / "labels" / "bb.png").touch()
    with pytest.raises(InputError) as caught:
        open_dataset(tmp_path, "train")[1]
    assert "b.png: this label picture is missing; there is " in str(caught.value)
    assert f"{there}: rename it, or convert it (python -m minifcn.import_labels); else add" in str(caught.value)


def test_a_json_beside_the_picture_is_named(tmp_path):
    make(tmp_path, LABELS)
    (tmp_path / "labels" / "b.png").unlink()
    (tmp_path / "images" / "b.json").touch()
    with pytest.raises(InputError, match=r"there is images.b.json: rename it, or convert it"):
        open_dataset(tmp_path, "train")[1]


# --- own classes in the layout of others ---


def camvid(root, names=("train", "val")):
    for split in names:
        for folder in (split, f"{split}annot"):
            (root / folder).mkdir(parents=True)
        Image.new("RGB", (2, 1)).save(root / split / "a.png")
        Image.fromarray(np.array([[0, 255]], np.uint8)).save(root / f"{split}annot" / "a.png")
    return root


def voc(root, colours=((0, 0, 0), (250, 50, 80)), extension="jpg"):
    for folder in ("JPEGImages", "SegmentationClass", "ImageSets/Segmentation"):
        (root / folder).mkdir(parents=True)
    for split, names in (("train", "ab"), ("val", "c"), ("test", "d")):
        (root / "ImageSets" / "Segmentation" / f"{split}.txt").write_text("\n".join(names))
        for name in names:
            Image.new("RGB", (2, 1)).save(root / "JPEGImages" / f"{name}.{extension}")
            paletted([[0, 1]], colours).save(root / "SegmentationClass" / f"{name}.png")
    return root


@pytest.mark.parametrize(
    "file, text", [("classes.txt", "ground\ncrack\n"), ("class_dict.csv", "ground,0,0,0\ncrack,9,9,9\n")]
)
def test_own_classes_in_camvids_layout(tmp_path, file, text):
    camvid(tmp_path / "mine")
    (tmp_path / "mine" / file).write_text(text)
    data = open_dataset(tmp_path / "mine", "train")
    assert (data.name, data.classes) == ("mine", ["ground", "crack"])
    assert data[0][1].tolist() == [[0, 1]] and data.values == [0, 255]


def test_what_is_not_used_in_camvids_layout(tmp_path):
    camvid(tmp_path)
    (tmp_path / "test").mkdir()
    (tmp_path / "valannot" / "b.png").touch()
    assert list_splits(tmp_path) == ["train", "val"]
    alone = f"without a picture, not used: label file {tmp_path / 'valannot' / 'b.png'}"
    for split in ("train", "val"):
        assert open_dataset(tmp_path, split).notes == [alone, f"not used: item {tmp_path / 'test'}"]
    (tmp_path / "val" / "b.jp2").touch()
    assert "b.jp2: files of a kind that is not read (.jp2)" in error(tmp_path, "val")


def test_palettes_of_two_splits_disagree_in_camvids_layout(tmp_path, capsys):
    camvid(tmp_path)
    (tmp_path / "classes.txt").write_text("ground\ncrack\n")
    for split, colours in (("train", [(0, 0, 0), (255, 0, 0)]), ("val", [(255, 0, 0), (0, 0, 0)])):
        paletted([[0, 1]], colours).save(tmp_path / f"{split}annot" / "a.png")
    (tmp_path / "valannot" / "b.png").touch()
    status, out = checked(capsys, tmp_path)
    assert status == 1 and "index 0 has the colour (255, 0, 0), in " in out


@pytest.mark.parametrize("place", ["", "VOC2012"])
def test_own_classes_in_vocs_layout(tmp_path, place):
    root = voc(tmp_path / "VOC2012")
    (tmp_path / place / "labelmap.txt").write_text(
        "# label:color_rgb:parts:actions\nbackground:0,0,0::\ncrack:250,50,80::\n"
    )
    assert list_splits(tmp_path) == ["train", "val", "test"]
    data = open_dataset(tmp_path, "train")
    assert (data.classes, data.palette.tolist()) == (["background", "crack"], [[0, 0, 0], [250, 50, 80]])
    assert read(tmp_path) == {"a": [[0, 1]], "b": [[0, 1]]}
    shutil.copy(root / "SegmentationClass" / "a.png", root / "SegmentationClass" / "z.png")
    assert open_dataset(tmp_path, "train").notes == [f"not used: item {root / 'SegmentationClass' / 'z.png'}"]


def test_vocs_own_classes_stay(tmp_path):
    assert open_dataset(voc(tmp_path, ((0, 0, 0), (128, 0, 0))), "train").classes[1] == "aeroplane"


# --- folders that are no data set ---


@pytest.mark.parametrize(
    "entries, words",
    [
        (["Images/", "labels/", "classes.txt"], "missing: images: rename Images to images"),
        (["images/", "labels/"], "missing: classes.txt: write the names of the classes into it"),
        (["images/", "masks/"], "missing: labels, classes.txt: python -m minifcn.import_labels"),
        (["JPEGImages/", "SegmentationClass/", "labelmap.txt"], "nearest is (VOC)"),
        (["photo.jpg", "photo.json"], "found photo.jpg, photo.json; nearest is images/"),
    ],
)
def test_one_short_message_says_what_mends_a_folder(tmp_path, entries, words):
    for name in entries:
        (tmp_path / name).mkdir() if name.endswith("/") else (tmp_path / name).touch()
    text = error(tmp_path)
    assert words in text and "data/README.md" in text and len(text) - len(str(tmp_path)) * 2 < 400


def test_the_folder_above_a_set(tmp_path):
    make(tmp_path / "mine", LABELS)
    assert f"but {tmp_path / 'mine'} is one: give that folder" in error(tmp_path)
