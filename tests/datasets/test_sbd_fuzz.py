"""Whatever bytes a label file of SBD has: labels, or one line that names it; in little time and memory."""

import struct
import zlib

import numpy as np
import pytest
import scipy.io
from helpers import less_than
from PIL import Image
from small_data import make_sbd, save_sbd_labels

from minifcn.datasets import matlab, open_dataset
from minifcn.datasets.voc import SBD
from minifcn.errors import InputError

NAME = "2008_000002"
HEADER = b"MATLAB 5.0 MAT-file".ljust(124) + b"\0\1IM"
EXTREMES = (0, 1, 5, 14, 15, 0x10001, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF)


@pytest.fixture
def path(tmp_path):
    root = make_sbd(tmp_path, {"train": [NAME]})
    save_sbd_labels(root / "cls" / f"{NAME}.mat", np.kron(np.eye(3, dtype=np.uint8), np.ones((4, 5), np.uint8)))
    Image.new("RGB", (15, 12)).save(root / "img" / f"{NAME}.jpg")
    return root / "cls" / f"{NAME}.mat"


def packed(content):
    """A file with one compressed variable."""
    stream = zlib.compress(content, 1)
    return HEADER + struct.pack("<2I", 15, len(stream)) + stream


def mutated(content, rng):
    """Some bytes changed, tags set to extremes, a piece cut out or doubled."""
    content, kind = bytearray(content), rng.integers(4)
    at = int(rng.integers(len(content) // 8)) * 8
    if kind == 0:
        for place in rng.integers(len(content), size=rng.integers(1, 5)):
            content[place] = rng.integers(256)
    elif kind == 1:
        for word in rng.integers(len(content) // 4, size=rng.integers(1, 4)):
            struct.pack_into("<I", content, 4 * word, rng.choice(EXTREMES))
    elif kind == 2:
        del content[at : at + 8 * int(rng.integers(1, 40))]
    else:
        content[at:at] = content[at : at + 8 * int(rng.integers(1, 40))]
    return bytes(content)


@pytest.mark.parametrize("compressed", [False, True], ids=["tags", "inside zlib"])
def test_two_thousand_damaged_files(path, compressed):
    content = zlib.decompress(path.read_bytes()[136:])
    rng, good, refused = np.random.default_rng(16), 0, 0
    with less_than(2**23):
        for _ in range(1000):
            damaged = mutated(content, rng)
            path.write_bytes(packed(damaged) if compressed else HEADER + damaged)
            try:
                labels, _ = SBD.coding.read(path)
                good += labels.dtype == np.uint8 and {*labels.flat} <= {*range(21), 255}
            except InputError as error:
                assert str(error).startswith(f"{path}: ") and "\n" not in str(error)
                refused += 1
    assert good + refused == 1000 and good > 100 and refused > 300


def element(kind, content):
    return struct.pack("<2I", kind, len(content)) + content + bytes(-len(content) % 8)


def matrix(kind, sizes, content):
    head = element(6, struct.pack("<2I", kind, 0)) + element(5, struct.pack(f"<{len(sizes)}i", *sizes))
    return element(14, head + element(1, b"GTcls") + content)


def fields(length, names, content):
    return matrix(2, (1, 1), element(5, struct.pack("<i", length)) + element(1, names) + content)


EMPTY = struct.pack("<2I", 14, 0)
BOMBS = {  # what a megabyte or less of file unpacks to
    "empty cells": matrix(1, (4_000_000, 1), EMPTY * 4_000_000),
    "names of fields": fields(1, bytes(30_000_000), b""),
    "fields without a name": fields(8, bytes(8 * 1_000_000), EMPTY * 1_000_000),
    "a text": fields(8, b"x".ljust(8, b"\0"), element(14, b"")) + matrix(4, (1, 1), element(16, b"\xff" * 30_000_000)),
    "nested cells": matrix(1, (1000, 1), matrix(1, (1000, 1), EMPTY * 1000) * 1000),
}


@pytest.mark.parametrize("bomb", BOMBS)
def test_bombs(path, bomb):
    path.write_bytes(packed(BOMBS[bomb]))
    assert path.stat().st_size < 2**20
    with less_than(2**28), pytest.raises(InputError, match=rf"{NAME}.mat: unreadable label file \("):
        open_dataset(path.parents[1], "train")[0]


def test_many_variables_share_the_bound(path):
    """Each alone is small enough."""
    stream = zlib.compress(element(5, bytes(2**24)), 9)
    path.write_bytes(HEADER + (struct.pack("<2I", 15, len(stream)) + stream) * 50)
    with less_than(2**26), pytest.raises(InputError, match="make no sense"):
        open_dataset(path.parents[1], "train")[0]


def test_a_file_that_is_far_too_large_is_not_read(path):
    with path.open("wb") as file:
        file.truncate(2**40)  # of zeros, which take no room on the disk
    with (
        less_than(2**23),
        pytest.raises(InputError, match=rf"{NAME}.mat: unreadable label file \(over 33,554,432 bytes"),
    ):
        open_dataset(path.parents[1], "train")[0]


def test_labels_far_from_the_pictures_size_in_bounded_memory(path):
    """Bytes with a sign, of which none is a class: the worst case of what is not refused at once."""
    scipy.io.savemat(path, {"GTcls": {"Segmentation": np.full((2500, 3000), -1, np.int8)}}, do_compression=True)
    with less_than(2**28), pytest.raises(InputError, match="value -1 at 7500000 pixels, first at row 0, column 0"):
        open_dataset(path.parents[1], "train")[0]


def test_the_largest_real_files_are_far_below_the_bounds():
    """VGG-16 of MatConvNet: 37 layers, and names and descriptions of 1,000 classes, each a matrix of four elements."""
    assert 4 * (37 * 20 + 2 * 1000) < matlab.ELEMENTS / 8
