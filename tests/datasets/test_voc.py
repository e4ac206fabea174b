"""PASCAL VOC in its exact layout, made small: classes, colours, splits, void, every accepted folder, every bad file."""

import shutil

import numpy as np
import pytest
from PIL import Image
from small_data import VOC_IDS, VOID, make_voc, save_voc_labels, voc_colours, voc_example

from minifcn import figures
from minifcn.check_data import main
from minifcn.datasets import has_split, list_splits, open_dataset, voc
from minifcn.errors import InputError

TRAIN = ["2007_000032", "2008_000008", "2011_003276"]
VAL = ["2007_000033", "2010_005991"]
LISTS = {"train": TRAIN, "val": VAL, "trainval": [*TRAIN, *VAL]}


@pytest.fixture
def root(tmp_path):
    return make_voc(tmp_path / "VOCdevkit" / "VOC2012", LISTS)


def stored(path):
    with Image.open(path) as image:
        return np.array(image)


def test_what_a_split_is(root):
    data = open_dataset(root, "train")
    assert (data.name, data.split, data.ignore_label, len(data)) == ("voc", "train", 255, 3)
    assert data.names == TRAIN
    assert open_dataset(str(root), "val").names == VAL
    assert len(data.classes) == len(set(data.classes)) == 21
    assert [data.classes[k] for k in (0, 1, 15, 20)] == ["background", "aeroplane", "person", "tvmonitor"]
    assert data.classes[1:] == sorted(data.classes[1:])  # VOC numbers its twenty objects in order of name


def test_colours_are_those_of_the_development_kit(root):
    np.testing.assert_array_equal(voc.palette(256), voc_colours())
    assert voc.palette(256).dtype == np.uint8 and voc.palette(1).tolist() == [[0, 0, 0]]
    assert tuple(voc.palette(256)[VOID]) == (224, 224, 192) == figures.VOID_COLOUR
    assert len({*map(tuple, voc.palette(256).tolist())}) == 256
    np.testing.assert_array_equal(open_dataset(root, "val").palette, voc_colours()[:21])


def test_pixels_and_void(root):
    data = open_dataset(root, "train")
    for i, name in enumerate(TRAIN):
        picture, labels = data[i]
        np.testing.assert_array_equal(picture, stored(root / "JPEGImages" / f"{name}.jpg"))
        np.testing.assert_array_equal(labels, voc_example(name)[1])
        assert labels.dtype == np.uint8 and {*np.unique(labels)} <= {*VOC_IDS, VOID} and (labels == VOID).any()
    assert {*np.unique(np.concatenate([data[i][1].ravel() for i in range(3)]))} == {*VOC_IDS, VOID}


def test_splits(root):
    assert list_splits(root) == ["train", "val"]
    (root / "ImageSets" / "Segmentation" / "test.txt").write_text("2008_000006\n")
    assert not has_split(root, "test")
    with pytest.raises(
        InputError, match=r"no split 'test'; there are: train, val\. Expected \(VOC\) .*test's labels are not"
    ):
        open_dataset(root, "test")
    (root / "ImageSets" / "Segmentation" / "val.txt").unlink()
    assert list_splits(root) == ["train"]
    with pytest.raises(InputError, match=r"no split 'val'; there are: train\. Expected \(VOC\) .*val.txt"):
        open_dataset(root, "val")


@pytest.mark.parametrize("text", ["{} \r\n{}\r\n", "\ufeff{}\n\n{}", "{} -1\n{}  1\n", "{}\t\n {}\n\n"])
def test_lists(root, text):
    (root / "ImageSets" / "Segmentation" / "val.txt").write_bytes(text.format(*VAL).encode())
    data = open_dataset(root, "val")
    assert data.names == VAL
    assert data[1][1].shape == voc_example(VAL[1])[1].shape


def test_an_empty_list(root):
    (root / "ImageSets" / "Segmentation" / "val.txt").write_text("\n")
    with pytest.raises(InputError, match=r"val.txt: the list is empty"):
        open_dataset(root, "val")


@pytest.mark.parametrize("below", ["", "VOCdevkit", "TrainVal/VOCdevkit"])
@pytest.mark.parametrize("year", ["VOC2011", "VOC2012"])
def test_every_folder_of_the_archive_is_accepted(tmp_path, below, year):
    root = make_voc(tmp_path / below / year, LISTS)
    (tmp_path / below / "results").mkdir()
    for folder in (root, *root.relative_to(tmp_path).parents):
        data = open_dataset(tmp_path / folder, "val")
        assert data.names == VAL and data[0][1].shape == voc_example(VAL[0])[1].shape


def test_two_years_side_by_side(root):
    unpacked = root.parents[1]
    make_voc(unpacked / "TrainVal" / "VOCdevkit" / "VOC2011", {"train": VAL, "val": TRAIN})
    with pytest.raises(InputError, match=r"holds VOCdevkit.VOC2012 and TrainVal.VOCdevkit.VOC2011; give the folder of"):
        open_dataset(unpacked, "val")
    assert open_dataset(unpacked / "TrainVal", "val").names == TRAIN
    assert open_dataset(unpacked / "VOCdevkit", "val").names == VAL
    make_voc(root / "VOC2011", {"val": TRAIN})
    assert open_dataset(root, "val").names == VAL


@pytest.mark.parametrize("part", ["JPEGImages", "SegmentationClass", "ImageSets"])
def test_half_of_it_is_another_layout(root, part):
    """The archive of the test pictures has no SegmentationClass."""
    shutil.rmtree(root / part)
    with pytest.raises(InputError) as caught:
        open_dataset(root, "train")
    for words in ("not the layout of a data set; found Ann", "nearest is (VOC) JPEGImages/", f"missing: {part}:"):
        assert words in str(caught.value)


def test_bad_files_are_named_on_reading(root):
    (root / "JPEGImages" / f"{TRAIN[0]}.jpg").unlink()
    (root / "SegmentationClass" / f"{TRAIN[1]}.png").unlink()
    path = root / "SegmentationClass" / f"{TRAIN[2]}.png"
    data = open_dataset(root, "train")
    with pytest.raises(InputError, match=rf"JPEGImages.{TRAIN[0]}.jpg: this picture is missing"):
        data[0]
    with pytest.raises(InputError, match=rf"SegmentationClass.{TRAIN[1]}.png: this label picture is missing"):
        data[1]
    labels = data[2][1]
    labels[2, 3] = 21
    save_voc_labels(path, labels)
    with pytest.raises(InputError, match=rf"{TRAIN[2]}.png: value 21 at 1 pixel, first at row 2, column 3: expected 0"):
        data[2]
    save_voc_labels(path, voc_example(TRAIN[2])[1][:-1])
    with pytest.raises(InputError, match=rf"{TRAIN[2]}.png: \d+ x \d+ pixels \(width x height\), but its picture"):
        data[2]


def test_a_palette_in_another_order_is_refused(root):
    """As optimisers of PNG files leave it: fewer and smaller numbers, the same colours."""
    colours = voc_colours()
    colours[1], colours[15] = colours[15], colours[1]
    path = root / "SegmentationClass" / f"{VAL[0]}.png"
    save_voc_labels(path, np.where(voc_example(VAL[0])[1] == 0, 15, 0).astype(np.uint8), colours)
    with pytest.raises(InputError, match=rf"{VAL[0]}.png: index 15 is 'person' but has the colour of 'aeroplane'"):
        open_dataset(root, "val")[0]


def test_grey_and_rgb_labels_are_read_too(root):
    """As tools that convert VOC leave them. RGB has no void: VOC's cream is the colour of no class."""
    path = root / "SegmentationClass" / f"{VAL[0]}.png"
    labels = voc_example(VAL[0])[1]
    Image.fromarray(labels).save(path)
    np.testing.assert_array_equal(open_dataset(root, "val")[0][1], labels)
    labels[labels == VOID] = 0
    Image.fromarray(np.array(voc_colours(), np.uint8)[labels]).save(path)
    np.testing.assert_array_equal(open_dataset(root, "val")[0][1], labels)


def test_check_data(root, capsys):
    assert main([str(root.parent), "--allow-absent"]) == 0
    out = capsys.readouterr().out
    lines = {line.split()[0]: line.split()[1:] for line in reversed(out.splitlines()) if line}
    assert lines["train"][:2] == ["3", "0"] and lines["val"][:2] == ["2", "0"]
    assert lines["sheep"] == ["absent", "0", "absent", "0"] and lines["person"][0] != "absent"
    assert out.splitlines()[-1] == "all good"
    (root / "SegmentationClass" / f"{VAL[1]}.png").write_bytes(b"nothing")
    assert main([str(root.parent), "--allow-absent"]) == 1
    assert f"{VAL[1]}.png: unreadable label picture" in capsys.readouterr().out
