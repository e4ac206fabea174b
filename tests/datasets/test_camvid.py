"""CamVid in SegNet's layout, made small; the real one where it stands beside the checkout."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from minifcn.datasets import has_split, list_splits, open_dataset
from minifcn.errors import InputError

REAL = Path(__file__).parents[3] / "shared" / "data" / "camvid"


@pytest.fixture
def root(tmp_path):
    rng = np.random.default_rng(0)
    for split, extension in (("train", "png"), ("val", "jpg")):
        for part in (split, f"{split}annot"):
            (tmp_path / part).mkdir()
        for i, (H, W) in enumerate([(6, 9), (7, 4), (5, 5)]):
            picture = rng.integers(0, 256, (H, W, 3), dtype=np.uint8)
            Image.fromarray(picture).save(tmp_path / split / f"000{2 - i}.{extension}")
            labels = rng.integers(0, 12, (H, W), dtype=np.uint8)
            Image.fromarray(labels).save(tmp_path / f"{split}annot" / f"000{2 - i}.png")
    return tmp_path


def test_what_a_split_is(root):
    data = open_dataset(root, "train")
    assert (data.name, data.split, data.ignore_label, len(data)) == ("camvid", "train", 255, 3)
    assert data.names == ["0000", "0001", "0002"]
    assert len(data.classes) == 11 and data.classes[0] == "sky" and data.classes[10] == "bicyclist"
    assert data.palette.shape == (11, 3) and data.palette.dtype == np.uint8
    assert len({tuple(colour) for colour in data.palette.tolist()}) == 11
    assert open_dataset(str(root), "val").names == data.names


def test_pixels_and_void(root):
    data = open_dataset(root, "train")
    for i, name in enumerate(data.names):
        picture, labels = data[i]
        with Image.open(root / "train" / f"{name}.png") as image:
            np.testing.assert_array_equal(picture, np.array(image))
        with Image.open(root / "trainannot" / f"{name}.png") as image:
            stored = np.array(image)
        assert (stored == 11).any()
        np.testing.assert_array_equal(labels, np.where(stored == 11, 255, stored))
        assert labels.dtype == np.uint8


def test_splits(root):
    assert list_splits(root) == ["train", "val"]
    assert has_split(root, "val") and not has_split(root, "test")
    with pytest.raises(InputError, match=r"no split 'test'; there are: train, val. .*test/ and testannot/"):
        open_dataset(root, "test")
    (root / "test").mkdir()  # alone it is no split
    assert not has_split(root, "test")
    (root / "testannot").mkdir()
    assert has_split(root, "test")
    with pytest.raises(InputError, match="test: no pictures"):
        open_dataset(root, "test")


def test_bad_files_are_named_on_reading(root):
    (root / "trainannot" / "0000.png").unlink()
    Image.fromarray(np.full((7, 4), 12, np.uint8)).save(root / "trainannot" / "0001.png")
    data = open_dataset(root, "train")
    with pytest.raises(InputError, match=r"trainannot.0000.png: this label picture is missing"):
        data[0]
    with pytest.raises(InputError, match=r"0001.png: value 12 at 28 pixels, .* expected 0 to 11 \(11 classes\)"):
        data[1]
    assert data[2][1].shape == (6, 9)


@pytest.mark.skipif(not REAL.is_dir(), reason="CamVid is not beside the checkout (../shared/data/camvid)")
def test_the_real_one():
    assert len(open_dataset(REAL, "train")) == 367
    data = open_dataset(REAL, "val")
    assert len(data) == 101
    picture, labels = data[50]
    assert picture.shape == (360, 480, 3) and labels.shape == (360, 480)
    assert set(np.unique(labels)) <= {*range(11), 255}
