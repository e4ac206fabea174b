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
from labelled_data import (
    LAYOUTS,
    NAMES,
    H,
    W,
    coloured,
    contents,
    label_picture,
    labelme,
    labels_of,
    make_coco,
    make_cvat,
    make_labelme,
    picture,
    shape,
    write_json,
)
from PIL import Image, ImageOps
from small_data import exit_status, fails

from minifcn import import_labels
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
    assert "found      JSON of labelme\npictures   4 in no list\nclasses    background, car, tree\n" in out
    assert "2 notes, the first: raw/photo0.json: unreadable JSON file (Expecting value" in out
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
    assert "raw/photo0.jpg: no folder; give a folder, unpacked" in fails(
        capsys, main, "raw/photo0.jpg", "--out", "mydata"
    )
    assert "none: no folder; give a folder" in fails(capsys, main, "none", "--out", "mydata")
    assert contents(here) == before


def test_an_empty_folder_is_taken(here, capfd):
    make_labelme(here / "raw")
    (here / "mydata").mkdir()
    assert exit_status(main, "raw", "--out", "mydata") == 0
    assert len(list((here / "mydata" / "labels").iterdir())) == len(NAMES)


def test_a_failure_and_a_kill_leave_nothing_half(here, capsys, monkeypatch):
    make_labelme(here / "raw")

    def full(*_):
        raise OSError(28, "no space left")

    monkeypatch.setattr(import_labels, "save_label_png", full)
    assert exit_status(main, "raw", "--out", "mydata") == 2
    assert sorted(path.name for path in here.iterdir()) == ["raw"]
    wait = "from minifcn import import_labels as i\nimport time\nw = i.save_label_png\n"
    wait += "i.save_label_png = lambda *a: (w(*a), time.sleep(60))\ni.main(['raw', '--out', 'mydata'])"
    child = subprocess.Popen([sys.executable, "-c", wait], stderr=subprocess.DEVNULL)
    while not list(here.glob(".*/mydata/labels/*.png")):
        assert child.poll() is None
        time.sleep(0.05)
    os.kill(child.pid, signal.SIGKILL)
    child.wait()
    assert not (here / "mydata").exists()


def one(root, **more):
    """A labelme file of a.jpg with a car."""
    write_json(root / "a.json", labelme(shape("car", [[10, 5], [20, 5], [20, 15], [10, 15]])) | more)


@pytest.mark.parametrize(
    ("drawn_on", "orientation"), [*(("shown", i) for i in range(1, 9)), *(("stored", i) for i in range(5, 9))]
)
def test_pictures_that_exif_turns(here, capfd, drawn_on, orientation):
    """labelme shows pictures upright; other tools draw on the stored pixels. The size tells which, where it differs."""
    picture(here / "raw" / "b.jpg")
    one(here / "raw", imagePath="b.jpg", shapes=[])
    (here / "raw" / "a.json").rename(here / "raw" / "b.json")
    exif = Image.Exif()
    exif[0x0112] = orientation
    stored = np.zeros((H, W, 3), np.uint8)
    stored[5:16, 10:21] = 200
    Image.fromarray(stored).save(here / "raw" / "a.jpg", exif=exif, quality=95)
    with Image.open(here / "raw" / "a.jpg") as image:
        upright = ImageOps.exif_transpose(image)
    seen = np.asarray(upright)[..., 0] > 100 if drawn_on == "shown" else stored[..., 0] > 100
    rows, columns = np.nonzero(seen)
    ends = [[int(columns.min()), int(rows.min())], [int(columns.max()), int(rows.max())]]
    box = {"label": "car", "points": ends, "shape_type": "rectangle"}
    one(here / "raw", imageHeight=seen.shape[0], imageWidth=seen.shape[1], shapes=[box])
    assert main(["raw", "--out", "mydata"]) == 0
    [index] = [i for i, name in enumerate(open_dataset("mydata", "train").names) if name == "a"]
    shown, labels = open_dataset("mydata", "train")[index]
    assert shown.shape == np.asarray(upright).shape
    np.testing.assert_array_equal(labels == 1, shown[..., 0] > 100)


@pytest.mark.parametrize(
    ("head", "expected"),
    [
        ({"imageHeight": W, "imageWidth": H}, "40 x 56 pixels (width x height), but its picture raw/a.jpg has 56 x 40"),
        ({"imagePath": "/etc/passwd"}, "its picture 'passwd' is not in raw; put it there"),
        ({"imagePath": ".."}, "its picture '..' is not in raw; put it there"),
    ],
)
def test_files_that_cannot_be_used_are_one_line(here, capsys, head, expected):
    picture(here / "raw" / "a.jpg")
    picture(here / "z.jpg")
    one(here / "raw", **head)
    line = fails(capsys, main, "raw", "--out", "mydata")
    assert "raw: no picture could be used; note raw/a.json: " in line and expected in line and line.count("a.json") == 1
    assert sorted(path.name for path in here.iterdir()) == ["raw", "z.jpg"]


def test_equal_names_get_their_folders_and_those_that_stay_equal_a_mark(here, capfd):
    for folder, i in (("red", 0), ("blue", 1)):
        picture(here / "raw" / folder / "images" / "a.jpg", i)
        label_picture(here / "raw" / folder / "masks" / "a.png", labels_of(i))
    picture(here / "raw" / "images" / "red_images_a.jpg", 2)
    label_picture(here / "raw" / "masks" / "red_images_a.png", labels_of(2))
    assert main(["raw", "--out", "mydata"]) == 0
    made = {path.stem: path.read_bytes() for path in (here / "mydata" / "images").iterdir()}
    assert sorted(made) == ["blue_images_a", "red_images_a", "red_images_a_"]
    assert len(set(made.values())) == 3
    assert sorted(path.stem for path in (here / "mydata" / "labels").iterdir()) == sorted(made)


@pytest.mark.parametrize("given", [False, True])
def test_listed_classes_that_occur_nowhere_are_left_out_unless_the_list_was_given(here, capfd, given):
    make_cvat(here / "raw")
    path = here / "raw" / "labelmap.txt"
    path.write_text("bus:1,2,3::\n" + path.read_text().replace("bus:1,2,3::\n", ""))
    assert main(["raw", "--out", "mydata", *["--classes", str(path)] * given]) == given  # check_data misses the bus
    names = [line.split()[0] for line in (here / "mydata" / "classes.txt").read_text().splitlines()]
    assert names == ["bus"] * given + ["background", "tree", "car"]
    assert ("classes that occur nowhere, left out: bus" in capfd.readouterr().out) != given
    with Image.open(here / "mydata" / "labels" / "photo0.png") as image:
        np.testing.assert_array_equal(image, labels_of(0, (("car", 2), ("tree", 1))) + given)


def test_names_that_a_list_cannot_hold(here, capfd):
    make_coco(here / "raw")
    latin = os.fsencode(here / "raw" / "train2017" / "photo2.jpg")
    os.rename(latin, latin.replace(b"photo2", b"caf\xe9"))  # from a zip with another encoding
    hashed = here / "raw" / "train2017" / "photo0.jpg"
    hashed.rename(hashed.with_name("#1 .jpg"))
    path = here / "raw" / "annotations" / "instances_train2017.json"
    path.write_text(path.read_text().replace("photo0.jpg", "#1 .jpg").replace("photo2.jpg", "caf\\udce9.jpg"))
    for path in (here / "raw" / "train2017", here / "raw" / "annotations"):
        for file in sorted(path.iterdir()):
            if file.stem == "photo1":
                file.rename(file.with_name("日本\n<b>.jpg"))
            elif file.suffix == ".json":
                file.write_text(file.read_text().replace("photo1.jpg", "日本\\n<b>.jpg"), encoding="utf-8")
    assert main(["raw", "--out", "mydata"]) == 0
    assert {"日本_<b>", "_1_", "caf_"} <= set(open_dataset("mydata", "train").names)


def test_jpeg_masks_are_snapped_to_the_colours_that_the_user_names(here, capfd):
    for i, name in enumerate(NAMES[:3]):
        picture(here / "raw" / "images" / f"{name}.jpg", i)
        label_picture(here / "raw" / "masks" / f"{name}.jpg", coloured(i), quality=90)
    line = fails(capfd, main, "raw", "--out", "mydata")
    assert " pixels a picture, as JPEG and smoothed edges have; in " in line
    assert "mydata-colours.txt take out the colours that are no classes" in line
    (here / "mydata-colours.txt").write_text("ground 0 0 0\ncar 200 30 40\ntree 20 120 60\n")
    for wrong in ("-3", "nan"):
        assert f"--snap {wrong}: a distance in" in fails(capfd, main, "raw", "--out", "mydata", "--snap", wrong)
    assert main(["raw", "--out", "mydata", "--classes", "mydata-colours.txt", "--snap", "60"]) == 0
    out = capfd.readouterr().out
    assert "of the pixels snapped to a listed colour, up to 60 away; " in out and " % are farther off: void" in out
    labels = open_dataset("mydata", "train")[0][1]
    assert ((labels == labels_of(0)) | (labels == 255)).mean() > 0.97 and set(np.unique(labels)) >= {0, 1, 2}


def test_pictures_in_no_list_are_in_no_split(here, capfd):
    make_cvat(here / "raw")
    path = here / "raw" / "ImageSets" / "Segmentation" / "val.txt"
    path.write_text("JPEGImages/photo4.jpg SegmentationClass/photo4_class.png\n")
    main_list = here / "raw" / "ImageSets" / "Main" / "val.txt"
    main_list.parent.mkdir()
    main_list.write_text("photo5\n")
    assert main(["raw", "--out", "mydata"]) == 0
    assert open_dataset("mydata", "val").names == ["photo4"]
    out = capfd.readouterr().out
    assert "pictures   4 train, 1 val, 1 in no list\n" in out and "in no list, not used: picture" in out


def test_more_classes_than_a_byte_holds(here, capsys):
    picture(here / "raw" / "a.jpg")
    corner = [[0, 0], [3, 3], [0, 3]]
    one(here / "raw", shapes=[{"label": f"c{i}", "points": corner, "shape_type": "polygon"} for i in range(255)])
    assert "raw: 256 classes, expected 255 at most" in fails(capsys, main, "raw", "--out", "mydata")


@pytest.mark.parametrize(
    ("files", "expected"),
    [
        ((), "no labels among no file; put label pictures into masks/"),
        (("photos/a.jpg", "b.jpg"), "no labels among 2 .jpg"),
        (
            ("photos/a.jpg", "annotations.xml"),
            "export other labels as labelme or COCO JSON, or as CVAT's 'Segmentation mask'",
        ),
        (("a.txt", "photos/a.jpg"), "no labels among 1 .txt, 1 .jpg; unpack archives; export"),
        (("data.zip",), "no labels among 1 .zip; unpack archives"),
    ],
)
def test_a_folder_that_fits_nothing(here, capsys, files, expected):
    (here / "raw").mkdir()
    for name in files:
        picture(here / "raw" / name) if name.endswith("jpg") else (here / "raw" / name).write_text("1 2 3 4")
    line = fails(capsys, main, "raw", "--out", "mydata")
    assert expected in line and line.endswith("see data/README.md")
    assert not (here / "mydata").exists()
