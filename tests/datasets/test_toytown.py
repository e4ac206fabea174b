"""toytown: drawn the same every time, labelled in range, cached so that neither a kill nor damage goes unnoticed."""

import os
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from minifcn.datasets import toytown
from minifcn.datasets.toytown import SPLITS, THIN, WIDE, Toytown, default_root
from minifcn.datasets.toytown.scene import draw_scene
from minifcn.errors import InputError


@pytest.fixture(scope="module")
def scenes():
    return [draw_scene(0, 0, index) for index in range(16)]


@pytest.fixture
def small(monkeypatch):
    """Splits small enough to draw in a test."""
    for split, count in {"train": 3, "val": 2, "test": 2}.items():
        monkeypatch.setitem(SPLITS, split, count)


def test_a_scene_is_drawn_the_same_again(scenes):
    for first, again in zip(scenes[5], draw_scene(0, 0, 5), strict=True):
        np.testing.assert_array_equal(first, again)


def test_seed_split_and_index_each_change_the_scene(scenes):
    for key in ((1, 0, 5), (0, 1, 5), (0, 0, 6)):
        assert np.mean(draw_scene(*key)[0] != scenes[5][0]) > 0.5


def test_shapes_dtypes_and_label_values(scenes):
    for picture, labels in scenes:
        assert picture.shape == (160, 192, 3) and picture.dtype == np.uint8
        assert labels.shape == (160, 192) and labels.dtype == np.uint8
        assert set(np.unique(labels)) <= {*range(9), 255}


def test_every_class_occurs_and_void_stays_a_border(scenes):
    labels = np.stack([labels for _, labels in scenes])
    present = [(labels == k).any(axis=(1, 2)).mean() for k in range(9)]
    assert min(present) >= 0.6, dict(zip(toytown.CLASSES, present, strict=True))
    assert 0.005 < (labels == 255).mean() < 0.08


def test_labels_lie_on_what_is_drawn(scenes):
    """Colours change more where the class changes than elsewhere. Labels moved by 6 pixels lose most of that."""

    def edge_ratio(shift):
        across, elsewhere = [], []
        for picture, labels in scenes:
            step = np.abs(np.diff(picture.astype(float), axis=1)).sum(axis=2)[:, 8:-8]
            moved = np.roll(labels, shift, axis=1)
            border = (moved[:, 1:] == 255)[:, 8:-8]
            across.append(step[border])
            elsewhere.append(step[~border])
        return np.concatenate(across).mean() / np.concatenate(elsewhere).mean()

    assert edge_ratio(0) > 1.35 * max(edge_ratio(6), edge_ratio(-6))


def test_thin_and_wide_share_out_the_classes():
    assert sorted(THIN + WIDE) == sorted(toytown.CLASSES)
    assert len(np.unique(toytown.PALETTE, axis=0)) == len(toytown.CLASSES)


def test_cached_pictures_equal_drawn_ones(small, tmp_path):
    data = Toytown("val", seed=3, root=tmp_path)
    assert len(data) == 2 and data.names == ["val_000", "val_001"]
    for again in (data, Toytown("val", seed=3, root=tmp_path)):
        for cached, drawn in zip(again[1], draw_scene(3, 1, 1), strict=True):
            np.testing.assert_array_equal(cached, drawn)


def test_label_files_show_the_classes_in_their_colours_and_void_in_white(small, tmp_path):
    with Image.open(Toytown("val", root=tmp_path).folder / "labels" / "val_000.png") as image:
        colours = np.array(image.getpalette()).reshape(256, 3)
    np.testing.assert_array_equal(colours[:9], toytown.PALETTE)
    assert (colours[255] == 255).all() and not colours[9:255].any()


def test_an_interrupted_cache_is_completed_and_not_redrawn(small, tmp_path):
    data = Toytown("train", root=tmp_path)
    before = [data[i] for i in range(3)]
    kept = data.folder / "pictures" / "train_000.png"
    stamp = kept.stat().st_mtime_ns
    (data.folder / "labels" / "train_001.png").unlink()  # killed between a picture and its labels
    for kind in ("pictures", "labels"):
        (data.folder / kind / "train_002.png").unlink()
    again = Toytown("train", root=tmp_path)
    for i in range(3):
        for a, b in zip(before[i], again[i], strict=True):
            np.testing.assert_array_equal(a, b)
    assert kept.stat().st_mtime_ns == stamp
    assert not list(data.folder.rglob("*.tmp"))


def test_a_kill_while_writing_leaves_no_file_under_the_final_name(small, tmp_path, monkeypatch):
    def die(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(toytown.os, "replace", die)
    with pytest.raises(KeyboardInterrupt):
        Toytown("val", root=tmp_path)
    assert not list(tmp_path.rglob("*.png"))
    monkeypatch.undo()


def test_another_version_of_the_drawing_has_its_own_cache(small, tmp_path, monkeypatch):
    old = Toytown("val", root=tmp_path)
    monkeypatch.setattr(toytown, "VERSION", "v0")
    assert Toytown("val", root=tmp_path).folder != old.folder


@pytest.mark.parametrize("kind", ["pictures", "labels"])
def test_a_truncated_file_is_named_with_the_way_out(small, tmp_path, kind):
    data = Toytown("val", root=tmp_path)
    path = data.folder / kind / "val_001.png"
    path.write_bytes(path.read_bytes()[:400])
    with pytest.raises(InputError, match=r"val_001\.png.*delete the folder"):
        data[1]
    data[0]


def test_an_unknown_split_names_those_there_are(tmp_path):
    with pytest.raises(InputError, match="train, val, test, received 'trian'"):
        Toytown("trian", root=tmp_path)


def test_where_the_cache_is(monkeypatch, tmp_path):
    monkeypatch.delenv("MINIFCN_CACHE", raising=False)
    checkout = Path(toytown.__file__).resolve().parents[3]
    assert default_root() == checkout / "data" / "toytown"
    monkeypatch.setattr(toytown, "__file__", str(tmp_path / "site-packages" / "minifcn" / "datasets" / "toytown.py"))
    monkeypatch.setattr(toytown.sys, "platform", "linux")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
    assert default_root() == tmp_path / "xdg" / "minifcn" / "toytown"
    monkeypatch.setenv("MINIFCN_CACHE", str(tmp_path / "mine"))
    assert default_root() == tmp_path / "mine" / "toytown"


def test_a_folder_that_cannot_be_written_names_the_variable_that_moves_the_cache(tmp_path, monkeypatch):
    (tmp_path / "file").write_text("")  # nobody, the owner of all files included, can make a folder in it
    monkeypatch.setenv("MINIFCN_CACHE", str(tmp_path / "file"))
    with pytest.raises(InputError) as raised:
        Toytown("val")
    folder = tmp_path / "file" / "toytown" / toytown.VERSION / "seed0" / "val"
    assert str(raised.value) == f"{folder}: Not a directory; set MINIFCN_CACHE to another folder"


@pytest.mark.parametrize("error", [OSError(28, "No space left on device"), OSError("encoder error -2")])
def test_a_full_disk_while_drawing(tmp_path, monkeypatch, error):
    def fail(*_, **__):
        raise error

    monkeypatch.setattr(Image.Image, "save", fail)
    with pytest.raises(
        InputError, match=r"seed0.val: .*(No space|encoder error).*; set MINIFCN_CACHE to another folder"
    ):
        Toytown("val", root=tmp_path)


def alive(pid):
    """Whether a process of Linux runs: it is there, and is no zombie that nobody has asked about."""
    stat = Path(f"/proc/{pid}/stat")
    with suppress(OSError):
        return stat.read_text().rpartition(")")[2].split()[0] != "Z"
    return False


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="looks processes up as Linux has them")
def test_the_second_process_does_not_outlive_the_first(tmp_path):
    """kill -9 while both draw."""
    code = "from minifcn.datasets import toytown; toytown.os.cpu_count = lambda: 2; toytown.Toytown('train')"
    environment = os.environ | {"MINIFCN_CACHE": str(tmp_path)}
    with subprocess.Popen([sys.executable, "-c", code], env=environment, stderr=subprocess.DEVNULL) as first:
        children, until = Path(f"/proc/{first.pid}/task/{first.pid}/children"), time.monotonic() + 60
        folder = tmp_path / "toytown" / toytown.VERSION / "seed0" / "train" / "labels"
        while not (folder / "train_599.png").exists():  # the helper begins with the last one
            assert time.monotonic() < until
            time.sleep(0.05)
        [helper] = map(int, children.read_text().split())
        assert alive(helper)
        first.kill()
    until = time.monotonic() + 60
    while alive(helper):
        assert time.monotonic() < until
        time.sleep(0.05)
    assert len(list(folder.iterdir())) < 600  # it did not draw to its end
    assert not list(tmp_path.rglob(f"*.{helper}.tmp"))
