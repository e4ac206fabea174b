"""SBD in its exact layout, made small, and every way in which a .mat file can be wrong."""

import struct
import tracemalloc
import zlib

import numpy as np
import pytest
import scipy.io
from PIL import Image
from small_data import VOC_IDS, VOID, make_sbd, save_sbd_labels, voc_colours, voc_example

from minifcn.check_data import main
from minifcn.datasets import has_split, list_splits, open_dataset
from minifcn.errors import InputError

TRAIN = ["2008_000002", "2008_000003", "2011_003276"]
VAL = ["2008_000051", "2010_005991"]


@pytest.fixture
def root(tmp_path):
    return make_sbd(tmp_path / "benchmark_RELEASE" / "dataset", {"train": TRAIN, "val": VAL})


def without_void(name):
    labels = voc_example(name)[1]
    return np.where(labels == VOID, 0, labels)


def test_the_small_files_nest_as_the_real_ones(root):
    """What readers of SBD rely on: mat["GTcls"][0]["Segmentation"][0] and ["Boundaries"][0][k][0], a sparse matrix."""
    struct = scipy.io.loadmat(root / "cls" / f"{TRAIN[0]}.mat")["GTcls"]
    assert struct.shape == (1, 1) and set(struct.dtype.names) == {"Boundaries", "Segmentation", "CategoriesPresent"}
    labels = struct[0]["Segmentation"][0]
    assert labels.dtype == np.uint8
    np.testing.assert_array_equal(labels, without_void(TRAIN[0]))
    assert struct[0]["Boundaries"][0][0][0].toarray().shape == labels.shape


def test_what_a_split_is(root):
    data = open_dataset(root, "train")
    assert (data.name, data.split, data.ignore_label, len(data)) == ("sbd", "train", 255, 3)
    assert data.names == TRAIN and open_dataset(str(root), "val").names == VAL
    assert len(data.classes) == 21 and [data.classes[k] for k in (0, 15, 20)] == ["background", "person", "tvmonitor"]
    np.testing.assert_array_equal(data.palette, voc_colours()[:21])


def test_pixels(root):
    data = open_dataset(root, "train")
    for i, name in enumerate(TRAIN):
        picture, labels = data[i]
        with Image.open(root / "img" / f"{name}.jpg") as image:
            np.testing.assert_array_equal(picture, np.array(image))
        np.testing.assert_array_equal(labels, without_void(name))
        assert labels.dtype == np.uint8
    assert {*np.unique(np.concatenate([data[i][1].ravel() for i in range(3)]))} == {*VOC_IDS}


def test_splits(root):
    assert list_splits(root) == ["train", "val"] and not has_split(root, "test")
    with pytest.raises(InputError, match=r"no split 'test'; there are: train, val\."):
        open_dataset(root, "test")
    (root / "train.txt").unlink()
    assert list_splits(root) == ["val"]
    with pytest.raises(
        InputError, match=r"no split 'train'; there are: val\. Expected \(SBD\) img/, cls/ and train.txt"
    ):
        open_dataset(root, "train")


def test_every_folder_of_the_archive_is_accepted(root, tmp_path):
    for folder in (root, root.parent, tmp_path):
        data = open_dataset(folder, "val")
        assert data.names == VAL and data[1][1].shape == voc_example(VAL[1])[1].shape


def test_two_of_it_side_by_side(root, tmp_path):
    make_sbd(tmp_path / "dataset", {"train": VAL, "val": TRAIN})
    with pytest.raises(InputError, match=r"holds dataset and benchmark_RELEASE.dataset; give the folder of one"):
        open_dataset(tmp_path, "val")
    assert open_dataset(tmp_path / "dataset", "val").names == TRAIN
    assert open_dataset(tmp_path / "benchmark_RELEASE", "val").names == VAL


def test_lists_may_have_blanks(root):
    (root / "val.txt").write_bytes("{} \r\n{}\r\n".format(*VAL).encode())
    assert open_dataset(root, "val").names == VAL


@pytest.mark.parametrize("part", ["img", "cls"])
def test_half_of_it_is_another_layout(root, part):
    (root / part).rename(root / "elsewhere")
    with pytest.raises(InputError, match=r"not the layout of a data set.*\(SBD\) img/, cls/ and train.txt, val.txt"):
        open_dataset(root, "train")


def test_missing_files_are_named_on_reading(root):
    (root / "img" / f"{TRAIN[0]}.jpg").unlink()
    (root / "cls" / f"{TRAIN[1]}.mat").unlink()
    data = open_dataset(root, "train")
    with pytest.raises(InputError, match=rf"img.{TRAIN[0]}.jpg: this picture is missing"):
        data[0]
    with pytest.raises(InputError, match=rf"cls.{TRAIN[1]}.mat: this label file is missing; add the file"):
        data[1]
    assert data[2][1].shape == voc_example(TRAIN[2])[1].shape


@pytest.mark.parametrize("kept", [0, 1, 60, 127, 128, 131, 140, 0.5, 0.9, -1])
def test_truncated_files(root, kept):
    path = root / "cls" / f"{TRAIN[0]}.mat"
    content = path.read_bytes()
    path.write_bytes(content[: kept if isinstance(kept, int) else int(kept * len(content))])
    with pytest.raises(InputError, match=rf"{TRAIN[0]}.mat: unreadable label file \(.*\); unpack it again$"):
        open_dataset(root, "train")[0]


def test_a_changed_byte_anywhere_in_the_data(root):
    path = root / "cls" / f"{TRAIN[0]}.mat"
    content, data = bytearray(path.read_bytes()), open_dataset(root, "train")
    for place in range(136, len(content), 7):
        content[place] ^= 0x20
        path.write_bytes(content)
        with pytest.raises(InputError, match=rf"{TRAIN[0]}.mat: unreadable label file \(truncated or damaged"):
            data[0]
        content[place] ^= 0x20


def test_damage_that_hides_the_checksum(root):
    """Where the compressed data do not come to their end, scipy takes them as they are."""
    path = root / "cls" / f"{TRAIN[0]}.mat"
    content = path.read_bytes()
    packer = zlib.compressobj()
    endless = packer.compress(zlib.decompress(content[136:])) + packer.flush(zlib.Z_SYNC_FLUSH)
    path.write_bytes(content[:128] + struct.pack("<2I", 15, len(endless)) + endless)
    np.testing.assert_array_equal(scipy.io.loadmat(path)["GTcls"][0]["Segmentation"][0], without_void(TRAIN[0]))
    with pytest.raises(InputError, match=rf"{TRAIN[0]}.mat: unreadable label file \(truncated or damaged"):
        open_dataset(root, "train")[0]


@pytest.mark.parametrize("content", [b"a text\n" * 100, b"\x89HDF\r\n\x1a\n" + bytes(600), bytes(1000)])
def test_files_that_are_no_mat_files(root, content):
    (root / "cls" / f"{TRAIN[0]}.mat").write_bytes(content)
    with pytest.raises(InputError, match=rf"cls.{TRAIN[0]}.mat: unreadable label file \(not a MATLAB file"):
        open_dataset(root, "train")[0]


def test_the_labels_of_instances_are_no_labels_of_classes(root):
    (root / "inst" / f"{TRAIN[0]}.mat").replace(root / "cls" / f"{TRAIN[0]}.mat")
    with pytest.raises(
        InputError,
        match=rf"{TRAIN[0]}.mat: unreadable label file \(expected integers .*, received object",
    ):
        open_dataset(root, "train")[0]


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (lambda labels: labels[:-1], r"\d+ x \d+ pixels \(width x height\), but its picture .*.jpg has"),
        (lambda labels: labels.T.copy(), r"\d+ x \d+ pixels \(width x height\), but its picture .*.jpg has"),
        (
            lambda labels: np.stack([labels] * 3, axis=2),
            r"unreadable .*integers \(H, W\) as Segmentation, received uint8 \(\d+, \d+, 3\)",
        ),
        (lambda labels: labels / 2, r"unreadable .*integers \(H, W\) as .*, received float64 \(\d+, \d+\)"),
        (
            lambda labels: np.where(labels == 15, 21, labels),
            r"value 21 at \d+ pixels?, first at row .*: expected 0 to 20",
        ),
        (
            lambda labels: labels.astype(np.int16) - 1,
            r"value -1 at \d+ pixels, first at row 0, column 0: expected 0 to 20",
        ),
    ],
)
def test_wrong_labels(root, change, expected):
    save_sbd_labels(root / "cls" / f"{TRAIN[0]}.mat", change(without_void(TRAIN[0])))
    with pytest.raises(InputError, match=rf"cls.{TRAIN[0]}.mat: {expected}"):
        open_dataset(root, "train")[0]


def test_other_integers_and_255(root):
    """The real files hold uint8 and no 255; converted ones may, and then it is void."""
    labels = voc_example(TRAIN[0])[1]
    save_sbd_labels(root / "cls" / f"{TRAIN[0]}.mat", labels.astype(np.int32))
    found = open_dataset(root, "train")[0][1]
    np.testing.assert_array_equal(found, labels)
    assert found.dtype == np.uint8


@pytest.mark.parametrize("compressed", [False, True])
def test_the_same_labels_as_scipy_reads(root, compressed):
    """Of pictures of SBD's size, whose boundaries are sparse matrices with thousands of entries."""
    rng, path = np.random.default_rng(0), root / "cls" / f"{TRAIN[0]}.mat"
    labels = np.kron(rng.integers(0, 21, (25, 21), np.uint8), np.ones((15, 24), np.uint8))  # (375, 504)
    save_sbd_labels(path, labels)
    if not compressed:
        scipy.io.savemat(path, {"GTcls": scipy.io.loadmat(path)["GTcls"]})
    Image.new("RGB", (504, 375)).save(root / "img" / f"{TRAIN[0]}.jpg")
    found = open_dataset(root, "train")[0][1]
    np.testing.assert_array_equal(found, scipy.io.loadmat(path)["GTcls"][0]["Segmentation"][0])
    np.testing.assert_array_equal(found, labels)


def test_a_bomb_is_refused_long_before_it_is_unpacked(root):
    """A label file may have 32 MiB when decompressed, however small it is; a gigabyte of zeros has one here."""
    path = root / "cls" / f"{TRAIN[0]}.mat"
    packer = zlib.compressobj(9)
    packed = packer.compress(struct.pack("<2I", 14, 2**30)) + b"".join(packer.compress(bytes(2**24)) for _ in range(64))
    packed += packer.flush()
    path.write_bytes(b"MATLAB 5.0 MAT-file".ljust(124) + b"\0\1IM" + struct.pack("<2I", 15, len(packed)) + packed)
    tracemalloc.start()
    try:
        with pytest.raises(InputError, match=rf"{TRAIN[0]}.mat: unreadable label file .*make no sense"):
            open_dataset(root, "train")[0]
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 2**27


def test_large_label_pictures_that_shrink_to_nothing(root):
    """A converted one of 20 million equal pixels has 20 kB as a file."""
    path = root / "cls" / f"{TRAIN[0]}.mat"
    scipy.io.savemat(path, {"GTcls": {"Segmentation": np.ones((4000, 5000), np.uint8)}}, do_compression=True)
    assert path.stat().st_size < 2**15
    Image.new("RGB", (5000, 4000)).save(root / "img" / f"{TRAIN[0]}.jpg")
    labels = open_dataset(root, "train")[0][1]
    assert labels.shape == (4000, 5000) and (labels == 1).all()


def test_check_data(root, capsys):
    assert main([str(root), "--allow-absent"]) == 0
    capsys.readouterr()
    (root / "cls" / f"{VAL[1]}.mat").write_bytes(b"nothing")
    assert main([str(root), "--allow-absent"]) == 1
    out = capsys.readouterr().out
    assert f"bad: val: {root / 'cls' / VAL[1]}.mat: unreadable label file" in out and out.splitlines()[-1] == "1 bad"
