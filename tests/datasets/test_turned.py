"""Pictures turned by EXIF beside labels that are not: sizes decide, also for the files whose size fits both ways."""

import numpy as np
import pytest
from own_set import checked, make
from PIL import Image

from minifcn.datasets import open_dataset
from minifcn.datasets.pictures import read_picture
from minifcn.errors import InputError

UPRIGHT = {  # what a viewer does to stored pixels
    2: lambda x: x[:, ::-1], 3: lambda x: x[::-1, ::-1], 4: lambda x: x[::-1], 5: lambda x: x.T,
    6: lambda x: x.T[:, ::-1], 7: lambda x: x.T[::-1, ::-1], 8: lambda x: x.T[::-1],
}  # fmt: skip
SQUARE = np.array([[0, 1], [1, 1]], np.uint8)
WIDE = np.array([[0, 1, 1], [1, 1, 1]], np.uint8)


def turn(root, name, orientation, extension="png", size=None, where="images"):
    """Give a picture an EXIF orientation."""
    path = next((root / where).glob(f"{name}.*"))
    exif = Image.Exif()
    exif[0x0112] = orientation
    with Image.open(path) as image:
        image = image.resize(size) if size else image.copy()
    path.unlink()
    image.save(path.with_suffix(f".{extension}"), exif=exif)


def labels_of(root, name):
    data = open_dataset(root, "train")
    return data[data.names.index(name)][1]


@pytest.mark.parametrize("extension", ["jpg", "png", "tif"])
@pytest.mark.parametrize("orientation", range(2, 9))
def test_a_square_follows_the_files_whose_size_decides(tmp_path, orientation, extension):
    make(tmp_path, {"a": SQUARE, "b": WIDE})
    turn(tmp_path, "a", orientation, extension)
    turn(tmp_path, "b", 6, extension)  # labels of the stored size
    np.testing.assert_array_equal(labels_of(tmp_path, "a"), UPRIGHT[orientation](SQUARE))
    np.testing.assert_array_equal(labels_of(tmp_path, "b"), UPRIGHT[6](WIDE))
    turn(tmp_path, "b", 6, extension, (2, 3))  # of the displayed size
    np.testing.assert_array_equal(labels_of(tmp_path, "a"), SQUARE)
    np.testing.assert_array_equal(labels_of(tmp_path, "b"), WIDE)


def test_turned_by_180_degrees(tmp_path):
    make(tmp_path, {"a": WIDE, "b": WIDE})
    turn(tmp_path, "a", 3)
    np.testing.assert_array_equal(labels_of(tmp_path, "a"), WIDE)
    turn(tmp_path, "b", 8)
    np.testing.assert_array_equal(labels_of(tmp_path, "a"), WIDE[::-1, ::-1])


def test_the_votes_of_other_splits_count(tmp_path):
    make(tmp_path, {"a": SQUARE, "v": WIDE})
    turn(tmp_path, "a", 3)
    turn(tmp_path, "v", 6)
    np.testing.assert_array_equal(labels_of(tmp_path, "a"), SQUARE[::-1, ::-1])


def test_what_was_assumed_is_said(tmp_path, capsys):
    make(tmp_path, {"a": SQUARE, "b": SQUARE, "c": WIDE, "d": WIDE, "e": WIDE})
    for name in "ab":
        turn(tmp_path, name, 3)
    start = "note: turned by EXIF: 2 pictures, the first: a.png; the labels are taken as drawn on the picture as it is"
    end = "(of the labels whose size tells {} are drawn as stored, {} as displayed)"
    status, out = checked(capsys, tmp_path)
    assert status == 0 and f"{start} displayed {end.format(0, 0)}" in out
    turn(tmp_path, "c", 6)
    turn(tmp_path, "d", 8)
    turn(tmp_path, "e", 6, size=(2, 3))
    assert f"{start} stored {end.format(2, 1)}" in checked(capsys, tmp_path)[1]
    turn(tmp_path, "c", 6, size=(2, 3))
    assert f"{start} displayed {end.format(1, 2)}" in checked(capsys, tmp_path)[1]


def test_labels_with_an_orientation_of_their_own_are_decided(tmp_path):
    make(tmp_path, {"a": SQUARE, "b": WIDE})
    turn(tmp_path, "b", 6)
    for where in ("images", "labels"):
        turn(tmp_path, "a", 3, where=where)
    np.testing.assert_array_equal(labels_of(tmp_path, "a"), SQUARE[::-1, ::-1])
    assert open_dataset(tmp_path, "train").notes == []


@pytest.mark.parametrize("orientation", range(5, 9))
def test_labels_that_are_upright_but_kept_an_orientation(tmp_path, orientation):
    make(tmp_path, {"a": WIDE})
    turn(tmp_path, "a", orientation, size=(2, 3))
    turn(tmp_path, "a", orientation, where="labels")
    np.testing.assert_array_equal(labels_of(tmp_path, "a"), WIDE)
    turn(tmp_path, "a", 1)  # upright too
    turn(tmp_path, "a", 1, size=(3, 2))
    np.testing.assert_array_equal(labels_of(tmp_path, "a"), WIDE)


def test_an_orientation_that_does_not_fit_either_way(tmp_path):
    make(tmp_path, {"a": WIDE})
    turn(tmp_path, "a", 6, size=(3, 4))
    turn(tmp_path, "a", 6, where="labels")
    with pytest.raises(InputError, match=r"a.png: 2 x 3 pixels \(width x height\), but its picture .*a.png has 4 x 3"):
        labels_of(tmp_path, "a")


def test_labels_with_an_orientation_of_their_own_have_no_vote(tmp_path):
    make(tmp_path, {"a": SQUARE, "b": WIDE})
    turn(tmp_path, "a", 3)
    for where in ("images", "labels"):
        turn(tmp_path, "b", 6, where=where)
    np.testing.assert_array_equal(labels_of(tmp_path, "a"), SQUARE)


def test_a_damaged_orientation_is_none(tmp_path):
    pixels = np.random.default_rng(0).integers(0, 256, (5, 7, 3), dtype=np.uint8)
    damaged = (b"Exif\0\0nonsense", b"Exif\0\0II*\0\xff\xff\xff\xff", b"II*\0\x08\0\0\0\xff\xff\x12\x01")
    for number, exif in enumerate(damaged):
        Image.fromarray(pixels).save(tmp_path / f"{number}.png", exif=exif)
        np.testing.assert_array_equal(read_picture(tmp_path / f"{number}.png"), pixels)


def test_any_damaged_byte_in_a_png_of_its_orientation(tmp_path):
    """Pillow refuses the whole file because of the checksum."""
    pixels, exif = np.random.default_rng(0).integers(0, 256, (5, 7, 3), dtype=np.uint8), Image.Exif()
    exif[0x0112] = 6
    Image.fromarray(pixels).save(tmp_path / "a.png", exif=exif)
    good = (tmp_path / "a.png").read_bytes()
    at = good.index(b"eXIf")
    for place in range(at + 4, at + 8 + int.from_bytes(good[at - 4 : at], "big")):
        (tmp_path / "a.png").write_bytes(good[:place] + bytes([good[place] ^ 85]) + good[place + 1 :])
        np.testing.assert_array_equal(read_picture(tmp_path / "a.png"), pixels)
