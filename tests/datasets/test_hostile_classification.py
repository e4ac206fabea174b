"""Folders and zips of classified pictures that are made to harm: bombs, odd entries, links without end."""

import io
import os
import subprocess
import sys
import zipfile

import numpy as np
import pytest
from helpers import less_than
from PIL import Image
from small_data import make_pictures, zipped

from minifcn.datasets.classification import LARGEST, Pictures, open_pictures
from minifcn.errors import InputError


def add(path, name, content, method=zipfile.ZIP_DEFLATED):
    with zipfile.ZipFile(path, "a", method) as archive:
        archive.writestr(name, content)


@pytest.fixture
def tiny(tmp_path):
    return make_pictures(tmp_path / "tiny", "tiny")


def test_a_member_that_is_a_bomb(tmp_path, tiny):
    """A gigabyte that says so is not unpacked at all."""
    where = zipped(tiny, tmp_path / "a.zip")
    with zipfile.ZipFile(where, "a", zipfile.ZIP_DEFLATED) as archive, archive.open("train/blue/a.png", "w") as file:
        for _ in range(64):
            file.write(bytes(2**24))
    assert where.stat().st_size < 2**21
    data = Pictures(where, "train")
    [index] = [i for i, name in enumerate(data.names) if name.endswith("a.png")]
    with (
        less_than(2**22),
        pytest.raises(
            InputError, match=r"a.png: unreadable file \(1,073,741,824 bytes .* expected at most 67,108,864, .*\); copy"
        ),
    ):
        data[index]


def test_a_member_that_lies_about_its_size(tmp_path, tiny):
    """What it says is what is unpacked of it, not all that is in it."""
    where = tmp_path / "a.zip"
    zipped(tiny, where)
    with zipfile.ZipFile(where, "a", zipfile.ZIP_DEFLATED) as archive, archive.open("train/blue/a.png", "w") as file:
        for _ in range(16):
            file.write(bytes(2**24))
    content = where.read_bytes()
    assert content.count((2**28).to_bytes(4, "little")) >= 1
    where.write_bytes(content.replace((2**28).to_bytes(4, "little"), (1000).to_bytes(4, "little")))
    data = Pictures(where, "train")
    [index] = [i for i, name in enumerate(data.names) if name.endswith("a.png")]
    with less_than(2**22), pytest.raises(InputError, match=r"a.png: unreadable file \(Bad CRC-32"):
        data[index]


@pytest.mark.parametrize("method", [zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_methods_that_unpack_without_a_bound(tmp_path, tiny, method):
    where = zipped(tiny, tmp_path / "a.zip")
    add(where, "train/blue/a.png", bytes(2**26), method)
    assert where.stat().st_size < 2**20
    data = Pictures(where, "train")
    [index] = [i for i, name in enumerate(data.names) if name.endswith("a.png")]
    with (
        less_than(2**22),
        pytest.raises(InputError, match=r" bytes packed by method 1[24], expected .* stored or deflated\); copy the"),
    ):
        data[index]


@pytest.mark.parametrize("packed", [False, True], ids=["folder", "zip"])
def test_a_list_that_is_a_bomb(tmp_path, tiny, packed):
    """A list has a line for each picture in val/images, so it cannot be longer than so many lines."""
    path = tiny / "val" / "val_annotations.txt"
    path.write_bytes(path.read_bytes() + b"\n" * 2**24)
    where = zipped(tiny, tmp_path / "a.zip") if packed else tiny
    with less_than(2**22), pytest.raises(InputError, match=r"val_annotations.txt: unreadable file \(.*6,000"):
        Pictures(where, "val")


def test_a_file_without_end_in_a_folder(tmp_path):
    root = make_pictures(tmp_path / "set")
    with (root / "train" / "blue" / "train_00.png").open("wb") as file:
        file.truncate(2**40)
    with less_than(2**22), pytest.raises(InputError, match=r"train_00.png: unreadable file \(over 67,108,864 bytes"):
        Pictures(root, "train")[0]


def test_pictures_of_usual_kinds_are_far_below_the_bound(tmp_path):
    """One of 16 million pixels of noise, stored as they are."""
    stream = io.BytesIO()
    Image.fromarray(np.random.default_rng(0).integers(0, 256, (4000, 4000, 3), np.uint8)).save(stream, "BMP")
    assert len(stream.getvalue()) < LARGEST
    where = zipped(make_pictures(tmp_path / "set"), tmp_path / "a.zip")
    add(where, "train/blue/a.bmp", stream.getvalue())
    assert Pictures(where, "train")[0][0].shape == (4000, 4000, 3)


@pytest.mark.parametrize("name", [".", "", "/", "./", "//", "train/.", "train/./", "..", "../train/x/a.png"])
def test_odd_entries(tmp_path, name):
    root = make_pictures(tmp_path / "set")
    below = [zipped(root, tmp_path / "b.zip", "inner/")] * (not name.startswith("train"))  # which would be another top
    for path in (zipped(root, tmp_path / "a.zip"), *below):
        entry = zipfile.ZipInfo("x")
        entry.filename = name
        add(path, entry, b"")
        train, val = open_pictures(path)
        assert len(train) == 18 and len(val) == 6 and train.names[0] == "train/blue/train_00.png"
        assert train[0][0].shape == (30, 36, 3)


@pytest.mark.parametrize("name", [".", "", "..", "train", "train/.", "train/x", "\0", "train/\0/a.png"])
def test_archives_of_odd_entries_alone(tmp_path, name):
    entry = zipfile.ZipInfo("x")
    entry.filename = name
    add(tmp_path / "a.zip", entry, b"")
    with pytest.raises(InputError, match=r"a.zip"):
        open_pictures(tmp_path / "a.zip")[0][0]


def test_links_that_lead_back_up(tmp_path):
    """To any folder around them, or to each other: refused where they are, in a process that is ended if it hangs."""
    for number, (link, target) in enumerate([
        ("train/blue/up", "../.."), ("train/up", ".."), ("train/blue/self", "."), ("val/red/around", "../../.."),
    ]):  # fmt: skip
        root = make_pictures(tmp_path / f"{number}" / "set")
        (root / link).symlink_to(target, target_is_directory=True)
        code = "import sys; from minifcn.datasets.classification import open_pictures; open_pictures(sys.argv[1])"
        command = [sys.executable, "-c", code, str(root)]
        child = subprocess.run(command, capture_output=True, text=True, timeout=60)
        last = child.stderr.splitlines()[-1]
        assert (
            last.endswith("a link to a folder that it lies in, so without end; remove it") and str(root / link) in last
        )


def test_links_to_each_other(tmp_path):
    root = make_pictures(tmp_path / "set")
    for one, other in (("blue", "red"), ("red", "blue")):
        (root / "train" / one / "more").symlink_to(root / "train" / other, target_is_directory=True)
    with pytest.raises(InputError, match="a link to a folder that it lies in"):
        open_pictures(root)


def test_links_that_end(tmp_path):
    """Classes and splits that lie elsewhere, one even twice, are what people have."""
    root = make_pictures(tmp_path / "set", counts=[("train", 3)])
    (root / "train" / "blue").rename(tmp_path / "elsewhere")
    (root / "train" / "blue").symlink_to(tmp_path / "elsewhere", target_is_directory=True)
    (root / "val").symlink_to(root / "train", target_is_directory=True)
    os.symlink(tmp_path / "set", tmp_path / "link", target_is_directory=True)
    for where in (root, tmp_path / "link"):
        train, val = open_pictures(where)
        assert len(train) == len(val) == 9
