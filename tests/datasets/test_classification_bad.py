"""Classified pictures that cannot be used: every message names the file, and the line, and the way out."""

import re
import struct
import zipfile

import numpy as np
import pytest
from PIL import Image
from small_data import make_pictures, zipped

from minifcn.datasets.classification import Pictures, open_pictures
from minifcn.errors import InputError

# --- layouts: each is spoilt in a folder, which is then packed or not ---


def lose_train(root):
    (root / "train").rename(root / "training")
    return r"{where}: expected train/CLASS/NAME.jpg, and val/ beside train/, at the top .*; found: training, val$"


def lose_everything(root):
    (root / "train").rename(root.parent / "elsewhere")
    (root / "val").rename(root.parent / "elsewhere too")
    (root / "notes.txt").write_text("x")
    return r"{where}: expected train/CLASS/NAME.jpg, and val/ beside train/, at the top .*; found: notes.txt$"


def two_sets(root):
    for name in ("one", "two"):
        make_pictures(root / "sets" / name)
    for name in ("train", "val"):
        (root / name).rename(root.parent / name)
    for name in ("one", "two"):
        (root / "sets" / name).rename(root / name)
    (root / "sets").rmdir()
    return r"{where}: expected train/CLASS/NAME.jpg, .* in one folder there; found: one/train, two/train$"


def flat_train(root):
    for path in list((root / "train").rglob("*.png")):
        path.rename(root / "train" / f"{path.parent.name}_{path.name}")
    for path in list((root / "train").iterdir()):
        if path.is_dir():
            path.rmdir()
    return r"{where}: no pictures in train/; expected train/CLASS/NAME.jpg$"


def flat_val(root):
    """As ImageNet's own archive unpacks."""
    for path in list((root / "val").rglob("*.png")):
        path.rename(root / "val" / f"{path.parent.name}_{path.name}")
    return r"{where}: no pictures in val/; expected val/CLASS/NAME.jpg; ImageNet's val must be sorted into such folders"


def no_pictures_of_a_class(root):
    for path in (root / "train" / "green").iterdir():
        path.rename(path.with_suffix(".txt"))
    return r"{where}: train/green holds no pictures \(.png, .jpg, .*\); add some, or remove the folder$"


def a_class_of_val_alone(root):
    (root / "val" / "red").rename(root / "val" / "rouge")
    return r"{where}: val/rouge is a class that train/ does not have; remove or rename it, or restore val/val_"


LAYOUTS = [lose_train, lose_everything, two_sets, flat_train, flat_val, no_pictures_of_a_class, a_class_of_val_alone]


@pytest.mark.parametrize("packed", [False, True], ids=["folder", "zip"])
@pytest.mark.parametrize("spoil", LAYOUTS)
def test_other_layouts(spoil, packed, tmp_path):
    root = make_pictures(tmp_path / "set")
    message = spoil(root)
    where = zipped(root, tmp_path / "set.zip", folders=False) if packed else root
    with pytest.raises(InputError, match=message.format(where=re.escape(str(where)))):
        open_pictures(where)


def test_an_empty_class_or_split(tmp_path):
    """Folders without any file: on the disk, and in zips that have entries for folders."""
    root = make_pictures(tmp_path / "set", counts=[("train", 1)])
    (root / "val").mkdir()
    for where in (root, zipped(root, tmp_path / "a.zip")):
        with pytest.raises(InputError, match=r"no pictures in val/; expected"):
            open_pictures(where)
    (root / "train" / "white").mkdir()
    for where in (root, zipped(root, tmp_path / "b.zip")):
        with pytest.raises(InputError, match=r"train/white holds no pictures"):
            Pictures(where, "train")


def test_a_folder_too_low_and_nothing_at_all(tmp_path):
    root = make_pictures(tmp_path / "set")
    with pytest.raises(InputError, match=r"train: expected train/CLASS/NAME.jpg, .*found: blue, green, red$"):
        open_pictures(root / "train")
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match=r"empty: expected train/CLASS/NAME.jpg, .*found: nothing$"):
        open_pictures(tmp_path / "empty")
    with zipfile.ZipFile(tmp_path / "dot.zip", "w") as archive:
        archive.writestr("./", "")  # as some programs list the folder that was packed
    with pytest.raises(InputError, match=r"dot.zip: expected train/CLASS/NAME.jpg, .*found: nothing$"):
        open_pictures(tmp_path / "dot.zip")
    for name in ("no", "no.zip"):
        with pytest.raises(InputError, match=rf"{name}: no such folder or zip; give the pictures .* with --data$"):
            open_pictures(tmp_path / name)


# --- Tiny ImageNet's list ---

LISTED = "line 3: expected a picture in val/images/, listed once, a tab, and a class in train/, received "


@pytest.mark.parametrize("packed", [False, True], ids=["folder", "zip"])
@pytest.mark.parametrize(("line", "complaint"), [
    (b"val_9.JPEG\tred\t0\t0\t3\t3", LISTED + r"'val_9.JPEG\\tred.*'; correct the line$"),
    (b"val_2.JPEG\twhite\t0\t0\t3\t3", LISTED + r"'val_2.JPEG\\twhite.*'; correct the line$"),
    (b"val_2.JPEG", LISTED + r"'val_2.JPEG'; correct the line$"),
    (b"val_2.JPEG red 0 0 3 3", LISTED + r"'val_2.JPEG red 0 0 3 3'; correct the line$"),
    (b"val_0.JPEG\tblue\t0\t0\t3\t3", LISTED + r"'val_0.JPEG\\tblue.*'; correct the line$"),
    (b"val_0.JPEG\tred\t0\t0\t3\t3", LISTED + r"'val_0.JPEG\\tred.*'; correct the line$"),
    (b"val_2.JPEG\tr\xffd\t0\t0\t3\t3", LISTED + "'val_2.JPEG.*r\ufffdd.*'; correct the line$"),
], ids=["no picture", "no class", "cut", "no tabs", "twice", "twice in other classes", "no text"])  # fmt: skip
def test_lines(line, complaint, packed, tmp_path):
    root = make_pictures(tmp_path / "tiny", "tiny")
    path = root / "val" / "val_annotations.txt"
    lines = path.read_bytes().splitlines()
    path.write_bytes(b"\n".join([*lines[:2], line, *lines[3:]]))
    where = zipped(root, tmp_path / "tiny.zip", "t/") if packed else root
    named = re.escape(str(where / "t" / "val" / "val_annotations.txt" if packed else path))
    with pytest.raises(InputError, match=f"^{named}[,:] {complaint}"):
        Pictures(where, "val")


def test_without_the_list(tmp_path):
    root = make_pictures(tmp_path / "tiny", "tiny")
    (root / "val" / "val_annotations.txt").unlink()
    with pytest.raises(
        InputError, match=r"val/images is a class that train/ does not have; .*, or restore val/val_annotations.txt$"
    ):
        open_pictures(root)


# --- files ---


def test_bad_pictures(tmp_path):
    root = make_pictures(tmp_path / "set")
    path = root / "train" / "blue" / "train_00.png"
    path.write_bytes(path.read_bytes()[:300])
    (root / "train" / "blue" / "train_01.png").write_text("no picture")
    for where in (root, zipped(root, tmp_path / "set.zip")):
        data = Pictures(where, "train")
        for i in (0, 1):
            named = re.escape(str(where / "train" / "blue" / f"train_0{i}.png"))
            with pytest.raises(InputError, match=f"^{named}: unreadable picture"):
                data[i]
        assert data[2][1] == 0
    data = Pictures(root, "train")
    path.unlink()
    with pytest.raises(InputError, match=r"train_00.png: this file is missing; add the file"):
        data[0]


def test_what_is_no_zip(tmp_path):
    whole = zipped(make_pictures(tmp_path / "set"), tmp_path / "set.zip").read_bytes()
    for content in (b"", b"a text", whole[:-30], whole[: len(whole) // 2]):
        (tmp_path / "bad.zip").write_bytes(content)
        with pytest.raises(InputError, match=r"bad.zip: unreadable zip \(.*\); copy it again, or give a folder$"):
            open_pictures(tmp_path / "bad.zip")


def stored_zip(path, count=3):
    """A zip of pictures that are not compressed; return it and where each entry's data begins."""
    rng, starts = np.random.default_rng(0), {}
    with zipfile.ZipFile(path, "w") as archive:
        for i in range(count):
            with archive.open(f"train/a/{i}.bmp", "w") as file:
                Image.fromarray(rng.integers(0, 256, (5, 6, 3), dtype=np.uint8)).save(file, "BMP")
        for info in archive.infolist():
            starts[info.filename] = info.header_offset + 30 + len(info.filename)
    return path, starts


def test_a_damaged_entry(tmp_path):
    """Its CRC-32 tells, though it would still be a picture."""
    path, starts = stored_zip(tmp_path / "set.zip")
    whole = bytearray(path.read_bytes())
    whole[starts["train/a/1.bmp"] + 100] ^= 1
    path.write_bytes(whole)
    data = Pictures(path, "train")
    assert data[0][0].shape == data[2][0].shape == (5, 6, 3)
    with pytest.raises(InputError, match=r"set.zip.train.a.1.bmp: unreadable file \(Bad CRC-32.*\); copy the archiv"):
        data[1]


def patch_headers(path, name, local, central, value):
    """Write a 16-bit number at these offsets into both headers that a zip has of an entry."""
    content, found = bytearray(path.read_bytes()), 0
    for signature, length, offset in ((b"PK\3\4", 30, local), (b"PK\1\2", 46, central)):
        for match in re.finditer(re.escape(signature), bytes(content)):
            if content[match.start() + length :].startswith(name.encode()):
                struct.pack_into("<H", content, match.start() + offset, value)
                found += 1
    assert found == 2
    path.write_bytes(content)


def test_an_encrypted_entry(tmp_path):
    path, _ = stored_zip(tmp_path / "set.zip")
    patch_headers(path, "train/a/1.bmp", 6, 8, 1)  # bit 0 of the flags
    data = Pictures(path, "train")
    with pytest.raises(
        InputError,
        match=r"set.zip.train.a.1.bmp: unreadable file \(.*is encrypted.*\); .*unpack it and give the folder$",
    ):
        data[1]


def test_an_entry_packed_in_another_way(tmp_path):
    """Windows packs archives of more than 2 GB with Deflate64, method 9."""
    path, _ = stored_zip(tmp_path / "set.zip")
    patch_headers(path, "train/a/1.bmp", 8, 10, 9)
    data = Pictures(path, "train")
    with pytest.raises(
        InputError,
        match=r"1.bmp: unreadable file \(.* method 9, .*stored or deflated\); .*unpack it and give the folder$",
    ):
        data[1]


def test_an_entry_that_is_there_twice_counts_once(tmp_path):
    """As archives are that were added to: the last one holds."""
    path, _ = stored_zip(tmp_path / "set.zip")
    first = Pictures(path, "train")[1][0]
    with zipfile.ZipFile(path, "a") as archive, pytest.warns(UserWarning, match="Duplicate name"):
        with archive.open("train/a/1.bmp", "w") as file:
            Image.fromarray(255 - first).save(file, "BMP")
    data = Pictures(path, "train")
    assert len(data) == 3
    np.testing.assert_array_equal(data[1][0], 255 - first)


def test_names_that_begin_with_a_dot_and_a_slash(tmp_path):
    for start in ("./", "/", "./set/"):
        path = zipped(make_pictures(tmp_path / "set"), tmp_path / "set.zip", start)
        train, val = open_pictures(path)
        assert train.names[0] == "train/blue/train_00.png" and len(train) == 18 and len(val) == 6
        assert train[17][1] == 2
        with zipfile.ZipFile(path, "a") as archive:
            archive.writestr(f"{start}train/blue/a.png", "no picture")
        with pytest.raises(InputError, match=rf"^{re.escape(str(path))}.*train.blue.a.png: unreadable"):
            Pictures(path, "train")[0]


def test_damage_of_every_kind_is_told(tmp_path):
    """Whatever byte is wrong: the archive is named, and no other kind of error comes out."""
    path, _ = stored_zip(tmp_path / "set.zip", 2)
    packed = tmp_path / "packed.zip"
    with zipfile.ZipFile(path) as archive, zipfile.ZipFile(packed, "w", zipfile.ZIP_LZMA) as copy:
        for name in archive.namelist():
            copy.writestr(name, archive.read(name))
    rng, told = np.random.default_rng(0), 0
    for where in (path, packed):
        whole = where.read_bytes()
        for k in range(150):
            content = bytearray(whole[: rng.integers(len(whole))] if k % 5 == 0 else whole)
            for _ in range(k % 3 if content else 0):
                content[rng.integers(len(content))] = rng.integers(256)
            where.write_bytes(content)
            try:
                data = Pictures(where, "train")
                for i in range(len(data)):
                    data[i]
            except InputError as error:
                told += 1
                assert str(error).startswith(str(where))
    assert told > 150
