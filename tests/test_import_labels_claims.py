"""import_labels: a picture that two label files claim, splits by folders alone, and an end by SIGTERM."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from labelled_data import (
    NAMES,
    H,
    W,
    label_picture,
    labelme,
    labels_of,
    make_binary,
    make_coco,
    make_labelme,
    picture,
    shape,
    write_json,
)

from minifcn.import_labels import main

ROOT = Path(__file__).resolve().parents[1]
BOX = [[10, 5], [20, 5], [20, 15]]
BOX = [[10, 5], [20, 5], [20, 15]]


@pytest.fixture
def here(tmp_path, monkeypatch):
    """A folder to work in, of which commands run in a child process know, too."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    return tmp_path


def two_masks(raw):
    make_binary(raw)
    for folder in ("masks", "gt"):
        label_picture(raw / folder / "twice.png", labels_of(0, (("car", 255), ("tree", 0))))


def stale_path(raw):
    make_labelme(raw)
    for stem in ("twice", "other"):
        write_json(raw / f"{stem}.json", labelme(shape("car", BOX), imagePath="twice.jpg"))


def twice_in_one_file(raw):
    make_coco(raw)
    path = raw / "annotations" / "instances_val2017.json"
    document = json.loads(path.read_text())
    document["images"] += [{"id": i, "file_name": "twice.jpg", "height": H, "width": W} for i in (1, 2)]
    write_json(path, document)


@pytest.mark.parametrize(
    ("make", "first", "second"),
    [
        (two_masks, "gt/twice.png", "masks/twice.png"),
        (stale_path, "other.json", "twice.json"),
        (twice_in_one_file, "annotations/instances_val2017.json", "annotations/instances_val2017.json"),
    ],
)
def test_a_picture_with_labels_in_two_files_is_left_out(here, capfd, make, first, second):
    """Which of them is right, nobody knows."""
    make(here / "raw")
    picture(here / "raw" / "twice.jpg")
    assert main(["raw", "--out", "mydata"]) == 1
    text = f"raw/{first}: 'raw/twice.jpg' has labels in both 'raw/{first}' and 'raw/{second}'; take one of them out"
    assert f"\n2 notes, the first: {text}\n" in capfd.readouterr().out
    assert sorted(path.stem for path in (here / "mydata" / "labels").iterdir()) == list(NAMES)


def test_the_name_of_a_picture_is_no_split(here, capfd):
    make_labelme(here / "raw")
    for new, old in (("train1", NAMES[0]), ("val5", NAMES[1])):
        for path in (here / "raw").glob(f"{old}.*"):
            path.write_bytes(path.read_bytes().replace(old.encode(), new.encode()))
            path.rename(path.with_stem(new))
    assert main(["raw", "--out", "mydata"]) == 0
    assert "pictures   6 in no list\n" in capfd.readouterr().out and not (here / "mydata" / "train.txt").exists()


def test_what_was_left_out_is_told(here, capfd):
    make_coco(here / "raw")
    for name in ("x.jpg", "y.jpg", "masks/x.png"):
        picture(here / "raw" / name)
    (here / "raw" / "z.heic").write_bytes(b"x")
    assert main(["raw", "--out", "mydata"]) == 0
    out = capfd.readouterr().out
    assert "\nnote raw/masks/x.png: not used (.png)\n2 notes, the first: raw/x.jpg: no labels for this picture\n" in out
    assert "\nnote raw/z.heic: not used (.heic)\n" in out and ".json: not used" not in out


def test_sigterm_takes_the_unfinished_set_away(here):
    make_labelme(here / "raw")
    wait = "import runpy, time\nfrom minifcn import figures as f\nw = f.save_label_png\n"
    wait += "f.save_label_png = lambda *a: (w(*a), time.sleep(60))\n"
    wait += "runpy.run_module('minifcn.import_labels', {}, '__main__')"
    command = [sys.executable, "-c", wait, "raw", "--out", "mydata"]
    child = subprocess.Popen(command, stderr=subprocess.DEVNULL)
    while not list(here.glob(".*/mydata/labels/*.png")):
        assert child.poll() is None
        time.sleep(0.05)
    os.kill(child.pid, signal.SIGTERM)
    assert child.wait(60) == 143
    assert [path.name for path in here.iterdir()] == ["raw"]
