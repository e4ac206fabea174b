"""Labels in JSON: files that are not what they say are left out, with one line each."""

import json
import zlib

import numpy as np
import pytest
from helpers import less_than
from labelled_data import (
    FLAT,
    SQUARE,
    H,
    W,
    bitmap,
    coco,
    labelme,
    picture,
    png,
    shape,
    source_of,
    supervisely,
    text,
    thing,
    write_json,
)

from minifcn.datasets.annotations import draw_shape, pictures_of_json


@pytest.fixture
def raw(tmp_path):
    picture(tmp_path / "raw" / "a.jpg")
    return tmp_path / "raw"


def faults(raw):
    """What was left out, one line."""
    source = source_of(raw)
    _, _, items = pictures_of_json(source) or (None, None, [])
    for _, where, read in items:
        with source.leaving_out(where):
            read()
    [texts] = source.notes.values()
    assert source.faults == 1 and len(texts) == 1 and "\n" not in texts[0]
    return texts[0]


@pytest.mark.parametrize(
    "rle",
    [
        {"size": [H, W], "counts": [H * W - 1]},
        {"size": [H, W], "counts": [10**18, 5]},
        {"size": [H, W], "counts": [-5, H * W + 5]},
        {"size": [W, H], "counts": [H * W]},
        {"size": [10**9, 10**9], "counts": [10**18]},
        {"size": [H, W], "counts": "o" * 10**5},
        {"size": [H, W], "counts": ["many"]},
        {"size": [H, W], "counts": None},
        {"size": [H, W], "counts": []},
        {"size": [H, W], "counts": [0.5, H * W - 0.5]},
    ],
)
def test_bad_run_lengths(raw, rle):
    write_json(raw / "a.json", coco(thing(rle)))
    assert faults(raw).startswith(f"{raw / 'a.json'}: unreadable drawing (")


def test_bitmaps_that_are_bombs(raw):
    """Neither zlib's content nor a picture in it may be larger than the picture that it lies on."""
    bomb = {"data": text(zlib.compress(bytes(1 << 28))), "origin": [0, 0]}
    bombs = [{"geometryType": "bitmap", "classTitle": "cat", "bitmap": bomb}] * 20
    write_json(raw / "a.jpg.json", supervisely(*bombs))
    with less_than(2**24):
        assert "cannot identify image file" in faults(raw)
    write_json(raw / "a.jpg.json", supervisely(bitmap(np.zeros((9000, 9000), np.uint8), [0, 0])))
    with less_than(2**23):
        assert "a bitmap of 9000 x 9000 pixels is larger than its picture" in faults(raw)
    write_json(raw / "a.json", labelme(shape("b", SQUARE, "mask", mask=text(png(np.zeros((9000, 9000), np.uint8))))))
    (raw / "a.jpg.json").unlink()
    with less_than(2**23):
        assert "a bitmap of 9000 x 9000 pixels is larger than its picture" in faults(raw)


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (b"", "unreadable JSON file (Expecting value"),
        (b"\xff\xd8\xff", "unreadable JSON file"),
        (b"[" * 100_000, "unreadable JSON file (maximum recursion depth"),
        (json.dumps(labelme(shape("b", [["x", 1]] * 3))).encode(), "unreadable drawing (could not convert string"),
        (json.dumps(labelme(shape("b", [[1, float("nan")]] * 3))).encode(), "a corner is not a number"),
        (json.dumps(labelme(shape("b", [[1, 2], [3]] * 3))).encode(), "unreadable drawing ("),
        (json.dumps(labelme({"points": SQUARE})).encode(), "unreadable JSON file ('label')"),
        (json.dumps(labelme(imagePath="z.jpg")).encode(), "its picture 'z' is not in"),
        (json.dumps(labelme(imagePath=5)).encode(), "its picture '5' is not in"),
        (json.dumps({"shapes": 5}).encode(), "unreadable JSON file"),
        (json.dumps(coco(thing([FLAT], kind=8))).encode(), "unreadable JSON file (8)"),
        (json.dumps(coco(file_name=None)).encode(), "its picture 'none' is not in"),
        (json.dumps(coco(file_name="/")).encode(), "its picture '' is not in"),
        (json.dumps(coco(file_name="\0")).encode(), "its picture '\\x00' is not in"),
        (json.dumps(labelme(imageHeight=W, imageWidth=H)).encode(), "40 x 56 pixels (width x height), but its picture"),
        (json.dumps(labelme(imageHeight=10**9)).encode(), "this drawing has more than 89,478,485 pixels"),
        (json.dumps(labelme(imageHeight="40", imageWidth=[])).encode(), "unreadable drawing ("),
    ],
)
def test_one_line_for_a_bad_file(raw, content, expected):
    (raw / "a.json").write_bytes(content)
    line = faults(raw)
    assert expected in line and line.count("a.json") == 1


def test_two_pictures_that_fit_alike(raw):
    picture(raw / "x" / "b.jpg")
    picture(raw / "y" / "b.jpg")
    write_json(raw / "a.json", labelme(imagePath="b.jpg"))
    assert "b.jpg may be its picture; rename one" in faults(raw)


def test_other_json_is_no_format(raw):
    write_json(raw / "package.json", {"name": "x"})
    write_json(raw / "list.json", [1, 2])
    assert pictures_of_json(source_of(raw)) is None


def test_unknown_kinds_have_no_area():
    assert draw_shape("cuboid", SQUARE, (), H, W) is None
