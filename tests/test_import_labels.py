"""import_labels: five layouts from the raw folder to masks as data/README.md says; the source stays as it is."""

import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from labelled_data import LAYOUTS, NAMES, H, W, contents, labels_of, make_labelme, picture
from PIL import Image
from small_data import exit_status, fails

from minifcn.datasets import list_splits, open_dataset
from minifcn.import_labels import main

ROOT = Path(__file__).resolve().parents[1]
PAGE = (ROOT / "data" / "README.md").read_text(encoding="utf-8")
SECTION = PAGE.split("## Labels as people have them\n")[1].split("\n## ")[0]
BLOCKS = re.findall(r"(?:^    python .+\n)+", SECTION, re.MULTILINE)
EXPECTED = {  # the ids of what the pictures show
    "rgb": (("car", 2), ("tree", 1)),  # in the order of the colours
    "binary": (("car", 1), ("tree", 0)),
    "labelme": (("car", 1), ("tree", 2)),
    "coco": (("car", 1), ("tree", 2)),
    "cvat": (("car", 2), ("tree", 1)),  # in the order of labelmap.txt
}


@pytest.fixture
def here(tmp_path, monkeypatch):
    """A folder to work in, of which commands run in a child process know, too."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    return tmp_path


def test_the_page_has_the_five_layouts_in_at_most_three_commands():
    assert [block.split("import_labels ")[1].split()[0] for block in BLOCKS] == list(LAYOUTS)
    assert all(block.count("python -m") <= 3 for block in BLOCKS)


@pytest.mark.parametrize("block", BLOCKS, ids=list(LAYOUTS))
def test_from_the_raw_folder_to_masks_as_the_page_says(block, here):
    name = block.split("import_labels ")[1].split()[0]
    LAYOUTS[name](here / name)
    before = contents(here / name)
    picture(here / "photo.jpg", 3)
    for line in block.splitlines():
        command = line.split("#")[0].split()
        command[:1] = [sys.executable]
        command += ["--steps", "2"] * ("minifcn.train" in command)
        done = subprocess.run(command, capture_output=True, text=True, timeout=300)
        assert done.returncode == 0, f"{line}\n{done.stdout}{done.stderr}"
    assert contents(here / name) == before
    with Image.open("masks/photo.png") as mask:
        assert mask.size == (W, H)
    data = [open_dataset("mydata", split) for split in list_splits("mydata")]
    assert sorted(name for split in data for name in split.names) == list(NAMES)
    for split in data:
        for i, name in enumerate(split.names):
            np.testing.assert_array_equal(split[i][1], labels_of(NAMES.index(name), EXPECTED[block.split()[3]]))
            copied = Path("mydata/images", f"{name}.jpg")
            assert copied.read_bytes() in [content for content, _ in before.values()]
    if block.split()[3] in ("coco", "cvat"):
        assert [split.names for split in data] == [list(NAMES[:4]), list(NAMES[4:])]


def test_what_was_done_is_told(here, capfd):
    make_labelme(here / "raw")
    picture(here / "raw" / "alone.jpg")
    for name in NAMES[:2]:
        (here / "raw" / f"{name}.json").write_text('{"shapes": [')
    assert main(["raw", "--out", "mydata"]) == 1
    out = capfd.readouterr().out
    assert "found      labelme JSON\npictures   4 in no split\nclasses    background, car, tree\n" in out
    assert "2 times, the first: raw/photo0.json: unreadable JSON file (Expecting value" in out
    assert "python -m minifcn.check_data mydata" in out and out.endswith("all good\n")
    assert not list(here.glob(".*"))


def test_check_data_decides_the_status(here, capfd):
    make_labelme(here / "raw")
    for name in NAMES[1:]:
        (here / "raw" / f"{name}.json").unlink()
    assert main(["raw", "--out", "mydata"]) == 1  # one picture is too few for train and val
    assert "too few for train and val" in capfd.readouterr().out


def test_out_is_not_overwritten_and_source_not_written_into(here, capsys):
    make_labelme(here / "raw")
    (here / "full").mkdir()
    (here / "full" / "note.txt").write_text("mine")
    before = contents(here)
    assert "full: is there already; choose another --out" in fails(capsys, main, "raw", "--out", "full")
    assert "lies in raw, which stays as it is" in fails(capsys, main, "raw", "--out", "raw/mydata")
    assert "raw/photo0.jpg: unpack it; give a folder" in fails(capsys, main, "raw/photo0.jpg", "--out", "mydata")
    assert "none: no such folder" in fails(capsys, main, "none", "--out", "mydata")
    assert contents(here) == before


def test_an_empty_folder_is_taken(here, capfd):
    make_labelme(here / "raw")
    (here / "mydata").mkdir()
    assert exit_status(main, "raw", "--out", "mydata") == 0
    assert len(list((here / "mydata" / "labels").iterdir())) == len(NAMES)


def test_a_failure_and_a_kill_leave_nothing_half(here, capsys, monkeypatch):
    make_labelme(here / "raw")
    monkeypatch.setattr("minifcn.import_labels.save_label_png", lambda *_: (_ for _ in ()).throw(OSError(28, "full")))
    assert exit_status(main, "raw", "--out", "mydata") == 2
    assert sorted(path.name for path in here.iterdir()) == ["raw"]
    wait = "from minifcn import import_labels as i\nimport time\nw = i.write_pair\n"
    wait += "i.write_pair = lambda *a: (w(*a), time.sleep(60))\ni.main(['raw', '--out', 'mydata'])"
    child = subprocess.Popen([sys.executable, "-c", wait], stderr=subprocess.DEVNULL)
    while not list(here.glob(".*/labels/*.png")):
        assert child.poll() is None
        time.sleep(0.05)
    os.kill(child.pid, signal.SIGKILL)
    child.wait()
    assert not (here / "mydata").exists()


@pytest.mark.parametrize(
    ("files", "expected"),
    [
        ((), "no labels among no file: put the labels into masks/"),
        (("photos/a.jpg", "b.jpg"), "no labels among 2 .jpg"),
        (("photos/a.jpg", "annotations.xml"), "export again as CVAT's 'Segmentation mask' or as COCO"),
        (("photos/a.jpg", "a.txt"), "export as COCO; text files are not read"),
        (("data.zip",), "unpack the zip first"),
    ],
)
def test_a_folder_that_fits_nothing(here, capsys, files, expected):
    (here / "raw").mkdir()
    for name in files:
        picture(here / "raw" / name) if name.endswith("jpg") else (here / "raw" / name).write_text("1 2 3 4")
    line = fails(capsys, main, "raw", "--out", "mydata")
    assert expected in line.replace("; put", ": put") and line.endswith("see data/README.md")
    assert not (here / "mydata").exists()
