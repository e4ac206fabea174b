"""Classified pictures: both layouts, from folders and zips, and all that lies about in them.

test_classification_bad.py has what is refused, test_classification_crops.py what becomes of the pictures.
"""

import os
import shutil
import sys
import time
import zipfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from small_data import COLOUR_CLASSES, class_picture, make_pictures, zipped

from minifcn.datasets import classification
from minifcn.datasets.classification import Pictures, open_pictures, title
from minifcn.errors import InputError

REAL = Path(__file__).parents[3] / "shared" / "data" / "tiny-imagenet-100.zip"


@pytest.fixture(params=["folder", "zip", "zip without entries for folders"])
def pack(request, tmp_path):
    """Bring a folder into the form of the test: itself, or a zip."""
    if request.param == "folder":
        return lambda folder, inside="": folder
    folders = request.param == "zip"
    return lambda folder, inside="": zipped(folder, tmp_path / "packed.zip", inside, folders)


def examples(data):
    return {name: (data[i][1], data[i][0]) for i, name in enumerate(data.names)}


def stored(path):
    with Image.open(path) as image:
        return np.array(image)


def save(path, picture, **options):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(picture).save(path, **options)


# --- layouts ---


def test_a_folder_a_class(tmp_path, pack):
    root = make_pictures(tmp_path / "colours")
    train, val = open_pictures(pack(root))
    assert train.classes == val.classes == ["blue", "green", "red"]
    assert (train.split, len(train), val.split, len(val)) == ("train", 18, "val", 6)
    assert train.names == [f"train/{name}/train_{i:02}.png" for name in COLOUR_CLASSES for i in range(6)]
    assert val.names == [f"val/{name}/val_{i:02}.png" for name in COLOUR_CLASSES for i in range(2)]
    for data, first in ((train, 0), (val, 1000)):
        for k in range(len(data)):
            label, i = divmod(k, len(data) // 3)
            picture, found = data[k]
            assert found == label and isinstance(found, int) and picture.dtype == np.uint8
            np.testing.assert_array_equal(picture, class_picture(label, first + i, (30, 36)))


def test_tiny_imagenet(tmp_path, pack):
    root = make_pictures(tmp_path / "tiny", "tiny")
    train, val = open_pictures(pack(root, "tiny-imagenet-3/"))
    assert train.names == [f"train/{name}/images/{name}_{i}.JPEG" for name in COLOUR_CLASSES for i in range(6)]
    expected = [f"val/images/val_{3 * i + label}.JPEG" for label in range(3) for i in range(2)]
    assert val.names == expected and val.classes == ["blue", "green", "red"]
    assert [val[i][1] for i in range(6)] == [0, 0, 1, 1, 2, 2]
    for data in (train, val):
        for name, (_, picture) in examples(data).items():
            np.testing.assert_array_equal(picture, stored(root / name))


@pytest.mark.parametrize("layout", ["imagenet", "tiny"])
def test_one_folder_above_and_beside_others(layout, tmp_path, pack):
    """Given DIR/.. where DIR/train is meant, with other folders there; and zips with a root or without."""
    root = make_pictures(tmp_path / "above" / "set", layout)
    inner = [examples(data) for data in open_pictures(root)]
    (tmp_path / "above" / "notes" / "deep" / "train").mkdir(parents=True)
    (tmp_path / "above" / "notes" / "readme.txt").write_text("x")
    outer = [examples(data) for data in open_pictures(pack(tmp_path / "above"))]
    for one, other in zip(inner, outer, strict=True):
        assert list(one) == list(other)
        for name, (label, picture) in one.items():
            assert other[name][0] == label and np.array_equal(other[name][1], picture)


def test_what_lies_about_is_left_aside(tmp_path, pack):
    root = make_pictures(tmp_path / "above" / "tiny", "tiny")
    before = [data.names for data in open_pictures(root)]
    picture = class_picture(0, 5, (8, 8))
    for name in (
        *("__MACOSX/tiny/train/blue/images/._blue_0.JPEG", "__MACOSX/train/blue/x.png", ".git/train/blue/x.png"),
        *("tiny/train/blue/images/._blue_0.JPEG", "tiny/train/.ipynb_checkpoints/x.png", "tiny/.cache/train/x/x.png"),
        *("tiny/test/images/test_0.JPEG", "tiny/val/images/not_listed.JPEG", "tiny/valid/blue/x.png"),
    ):
        save(tmp_path / "above" / name, picture)
    for name in (".DS_Store", "tiny/.DS_Store", "tiny/train/.DS_Store", "tiny/train/blue/.DS_Store"):
        (tmp_path / "above" / name).write_bytes(b"\0\0\0\1Bud1")
    for name in ("wnids.txt", "train/readme.txt", "train/blue/blue_boxes.txt", "train/blue/images/Thumbs.db"):
        (tmp_path / "above" / "tiny" / name).write_text("x")
    assert [data.names for data in open_pictures(pack(tmp_path / "above"))] == before
    assert [data.names for data in open_pictures(pack(root))] == before


def test_classes_may_be_called_train_and_val(tmp_path, pack):
    root = make_pictures(tmp_path / "vehicles", classes=("boat", "train", "val"))
    for folder in (root, root.parent):
        train, val = open_pictures(pack(folder))
        assert train.classes == ["boat", "train", "val"] and (len(train), len(val)) == (18, 6)


def test_extensions_sizes_and_deeper_folders(tmp_path, pack):
    root = tmp_path / "set"
    for i, name in enumerate(("a/1.JPG", "a/2.PnG", "a/3.jpeg", "b/4.bmp", "b/sub/folder/5.WEBP", "b/6.x.tif")):
        save(root / "train" / name, class_picture(i, i, (5 + i, 11 - i)))
    data = Pictures(pack(root), "train")
    assert data.names == [f"train/{name}" for name in ("a/1.JPG", "a/2.PnG", "a/3.jpeg", "b/4.bmp", "b/6.x.tif",
                                                       "b/sub/folder/5.WEBP")]  # fmt: skip
    assert [data[i][0].shape for i in range(6)] == [(5 + i, 11 - i, 3) for i in (0, 1, 2, 3, 5, 4)]
    assert [data[i][1] for i in range(6)] == [0, 0, 0, 1, 1, 1]


def test_every_mode_becomes_rgb(tmp_path, pack):
    """Some of ImageNet's pictures are grey, some CMYK, one is a PNG."""
    root, grey = tmp_path / "set", np.full((4, 6), 77, np.uint8)
    save(root / "train" / "a" / "grey.jpeg", grey)
    with Image.new("CMYK", (6, 4), (255, 0, 255, 0)) as image:
        image.save(root / "train" / "a" / "cmyk.jpg", quality=100)
    save(root / "train" / "a" / "rgba.png", np.full((4, 6, 4), (10, 20, 30, 0), np.uint8))
    save(root / "train" / "a" / "deep.png", np.full((4, 6), 257 * 77, np.uint16))
    with Image.fromarray(np.full((4, 6, 3), (1, 200, 3), np.uint8)).quantize(4) as image:
        image.save(root / "train" / "a" / "palette.gif")
    found = {Path(name).stem: picture for name, (_, picture) in examples(Pictures(pack(root), "train")).items()}
    for name, colour in (("grey", 77), ("rgba", 255), ("deep", 77), ("palette", (1, 200, 3)), ("cmyk", (0, 255, 0))):
        assert found[name].shape == (4, 6, 3) and found[name].dtype == np.uint8
        assert abs(found[name].astype(int) - colour).max() <= 2, name


@pytest.mark.skipif(sys.platform == "win32", reason="links take rights there")
def test_links_are_followed(tmp_path):
    root = make_pictures(tmp_path / "disk" / "set")
    (tmp_path / "links" / "val").mkdir(parents=True)
    (tmp_path / "links" / "train").symlink_to(root / "train")
    (tmp_path / "links" / "val" / "red").symlink_to(root / "val" / "red")
    train, val = open_pictures(tmp_path / "links")
    assert train.names == Pictures(root, "train").names
    assert val.names == ["val/red/val_00.png", "val/red/val_01.png"] and val[0][1] == 2


def test_without_val_nothing_is_held_out(tmp_path, pack):
    where = pack(make_pictures(tmp_path / "set", counts=[("train", 3)]))
    train, val = open_pictures(where)
    assert len(train) == 9 and val is None
    with pytest.raises(InputError, match=r"no pictures in val/; expected val/CLASS/NAME.jpg"):
        Pictures(where, "val")


def test_val_may_have_fewer_classes(tmp_path, pack):
    root = make_pictures(tmp_path / "set")
    shutil.rmtree(root / "val" / "blue")
    (root / "val" / "red" / "val_00.png").unlink()
    train, val = open_pictures(pack(root))
    assert val.classes == train.classes == ["blue", "green", "red"]
    assert [val[i][1] for i in range(len(val))] == [1, 1, 2]


def test_a_set_is_called_after_its_folder_or_zip(tmp_path, monkeypatch):
    root = make_pictures(tmp_path / "pictures.2012", counts=[("train", 1)])
    archive = zipped(root, tmp_path / "tiny.v2.zip")
    assert title(root) == Pictures(root, "train").name == "pictures.2012"
    assert title(str(archive)) == Pictures(str(archive), "train").name == "tiny.v2"
    monkeypatch.chdir(root)
    assert title(".") == Pictures(".", "train").name == "pictures.2012"


def test_a_zip_is_read_by_one_thread_at_a_time(tmp_path, monkeypatch):
    """Validation begins while training pictures are read ahead: two splits of one archive, two threads."""
    inside, at_once, read = [], [], classification._unpack

    def slow_read(archive, name, longest):
        inside.append(name)
        time.sleep(0.02)
        at_once.append(len(inside))
        inside.remove(name)
        return read(archive, name, longest)

    monkeypatch.setattr(classification, "_unpack", slow_read)
    splits = open_pictures(zipped(make_pictures(tmp_path / "set"), tmp_path / "set.zip"))
    with ThreadPoolExecutor(2) as pool:
        for task in [pool.submit(lambda data=data: [data[i] for i in range(4)]) for data in splits]:
            task.result()
    assert at_once == [1] * 8


# --- Tiny ImageNet's list ---


@pytest.mark.parametrize("change", [
    lambda text: text.replace("\n", "\r\n"),
    lambda text: "\ufeff" + text,
    lambda text: "\n\n" + text.replace("\n", "\n\n") + "  \n",
    lambda text: "".join(f"{line.split()[0]}\t{line.split()[1]}\n" for line in text.splitlines()),
], ids=["CRLF", "byte order mark", "empty lines", "no boxes"])  # fmt: skip
def test_lists(change, tmp_path, pack):
    root = make_pictures(tmp_path / "tiny", "tiny")
    expected = examples(Pictures(root, "val"))
    path = root / "val" / "val_annotations.txt"
    path.write_bytes(change(path.read_text()).encode())
    found = examples(Pictures(pack(root), "val"))
    assert [(name, label) for name, (label, _) in found.items()] == [(k, v[0]) for k, v in expected.items()]


def test_the_order_of_the_list_is_kept_within_a_class(tmp_path):
    root = make_pictures(tmp_path / "tiny", "tiny")
    path = root / "val" / "val_annotations.txt"
    path.write_text("".join(reversed(path.read_text().splitlines(keepends=True))))
    assert Pictures(root, "val").names == [f"val/images/val_{k}.JPEG" for k in (3, 0, 4, 1, 5, 2)]


def test_val_sorted_into_folders_with_the_list_left_behind(tmp_path, pack):
    """As scripts leave it: val/WNID/NAME or val/WNID/images/NAME."""
    root = make_pictures(tmp_path / "tiny", "tiny")
    for k in range(6):
        target = root / "val" / COLOUR_CLASSES[k % 3] / ("images" if k < 3 else "") / f"val_{k}.JPEG"
        target.parent.mkdir(parents=True, exist_ok=True)
        (root / "val" / "images" / f"val_{k}.JPEG").rename(target)
    (root / "val" / "images").rmdir()
    data = Pictures(pack(root), "val")
    assert [data[i][1] for i in range(6)] == [0, 0, 1, 1, 2, 2]


# --- the real one ---


@pytest.mark.skipif(not REAL.is_file(), reason="no Tiny ImageNet beside the checkout (../shared/data)")
def test_the_real_one():
    train, val = open_pictures(REAL)
    assert (len(train), len(val), len(train.classes)) == (50_000, 5_000, 100)
    for data, each in ((train, 500), (val, 50)):
        labels = [label for _, label in data._examples]
        assert np.bincount(labels).tolist() == [each] * 100
        for i in range(0, len(data), len(data) // 40):
            assert data[i][0].shape == (64, 64, 3) and data[i][1] == labels[i]
    assert os.path.basename(train.names[501]).startswith(train.classes[1])
    with zipfile.ZipFile(REAL) as archive:
        text = archive.read("tiny-imagenet-100/val/val_annotations.txt").decode()
    expected = {f"val/images/{line.split()[0]}": line.split()[1] for line in text.splitlines()}
    assert {name: val.classes[label] for name, (_, label) in zip(val.names, val._examples, strict=True)} == expected
