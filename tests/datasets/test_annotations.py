"""Labels in JSON: every kind of shape, to the pixel, and run lengths."""

import numpy as np
import pytest
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

from minifcn.datasets.annotations import pictures_of_json, run_lengths, unpack
from minifcn.datasets.classes import read_classes
from minifcn.errors import InputError


@pytest.fixture
def raw(tmp_path):
    picture(tmp_path / "raw" / "a.jpg")
    return tmp_path / "raw"


def draw(raw, classes=None):
    """The classes, the labels of the only picture, and the source."""
    source = source_of(raw, classes)
    _, coding, [(_, _, read)] = pictures_of_json(source)
    return coding.classes, read()[1], source


def box(x0, y0, x1, y1, label=1, labels=None):
    labels = np.zeros((H, W), np.uint8) if labels is None else labels
    labels[y0 : y1 + 1, x0 : x1 + 1] = label
    return labels


# --- labelme ---


def test_labelme_shapes_lie_over_earlier_ones(raw):
    write_json(raw / "a.json", labelme(shape("b", SQUARE), shape("a", [[18, 12], [30, 20]], "rectangle", group_id=1)))
    names, labels, source = draw(raw)
    assert names == ["background", "a", "b"] and not source.notes
    np.testing.assert_array_equal(labels, box(18, 12, 30, 20, 1, box(10, 5, 20, 15, 2)))


def test_labelme_circle(raw):
    write_json(raw / "a.json", labelme(shape("b", [[30, 20], [30, 26]], "circle")))
    labels = draw(raw)[1]
    y, x = np.mgrid[:H, :W]
    away = np.hypot(x - 30, y - 20)
    assert labels[away < 5.5].all() and not labels[away > 7].any()


def test_labelme_mask(raw):
    mask = np.array([[1, 0, 1], [0, 1, 1]], np.uint8)
    write_json(raw / "a.json", labelme(shape("b", [[4, 7], [6, 8]], "mask", mask=text(png(mask)))))
    expected = np.zeros((H, W), np.uint8)
    expected[7:9, 4:7] = mask
    np.testing.assert_array_equal(draw(raw)[1], expected)


def test_labelme_ignore_is_void_and_background_the_first_class(raw):
    shapes = shape("b", SQUARE), shape("__ignore__", [[0, 0], [3, 2]], "rectangle")
    write_json(raw / "a.json", labelme(*shapes, shape("_background_", [[10, 5], [12, 7]], "rectangle")))
    names, labels, _ = draw(raw)
    assert names == ["background", "b"]
    expected = box(10, 5, 12, 7, 0, box(0, 0, 3, 2, 255, box(10, 5, 20, 15)))
    np.testing.assert_array_equal(labels, expected)


def test_shapes_without_an_area_are_left_out_aloud(raw):
    lines = shape("b", [[1, 1], [9, 9]], "line"), shape("b", [[1, 1]], "point"), shape("b", [[1, 1], [5, 5]])
    write_json(raw / "a.json", labelme(*lines, shape("b", [[1, 1], [2, 2], [3, 1]], "linestrip"), shape("b", SQUARE)))
    _, labels, source = draw(raw)
    np.testing.assert_array_equal(labels, box(10, 5, 20, 15))
    told = [text for texts in source.notes.values() for text in texts]
    assert len(told) == 4 and all("a shape without an area left out" in text for text in told)
    assert any("(linestrip)" in text for text in told) and source.faults == 0


def test_polygons_outside_of_the_picture_are_cut(raw):
    far = [[-1e30, -5], [1e30, -5], [1e30, 4], [-1e30, 4]]
    write_json(raw / "a.json", labelme(shape("b", far), shape("c", [[100, 100], [200, 100], [200, 200]])))
    np.testing.assert_array_equal(draw(raw)[1], box(0, 0, W - 1, 4))


@pytest.mark.parametrize(
    "path", ["..\\photos\\a.jpg", "C:\\Users\\me\\a.jpg", "/home/me/a.jpg", "A.png", "../../a.jpg"]
)
def test_pictures_are_found_by_their_names_in_the_source_only(raw, path):
    picture(raw.parent / "a.jpg")
    picture(raw.parent / "photos" / "a.jpg")
    write_json(raw / "a.json", labelme(shape("b", SQUARE), imagePath=path))
    _, _, [(found, _, _)] = pictures_of_json(source_of(raw))
    assert found == raw / "a.jpg"


def test_a_list_of_classes_gives_the_order_and_leaves_the_others_out(raw):
    (raw.parent / "names.txt").write_text("_background_\nz\nb\n")
    write_json(raw / "a.json", labelme(shape("b", SQUARE), shape("o'ther", [[0, 0], [3, 2]], "rectangle")))
    names, labels, source = draw(raw, raw.parent / "names.txt")
    assert names == ["background", "z", "b"]
    np.testing.assert_array_equal(labels, box(10, 5, 20, 15, 2))
    text = "left as background, since the list of classes does not have it: o'ther"
    assert source.told() == [f"note {raw}: {text}"]


@pytest.mark.parametrize(
    ("label", "name"),
    [
        ("a\n\u2028b", "a b"),
        ("# a", "a"),
        ("", "class"),
        (5, "class 5"),
        ("2 wheels", "class 2 wheels"),
        ("tree, big: {old}", "tree big old"),
        ("- a", "a"),
        ("* 'a' = \"b\" | c ##d", "'a' \"b\" c d"),
        ("// lane 1 2", "lane 1_2"),
        ("lane 2", "lane 2"),
    ],
)
def test_names_are_read_again_from_the_list(raw, label, name):
    write_json(raw / "a.json", labelme(shape(label, SQUARE)))
    names = draw(raw)[0]
    assert names == ["background", name]
    (raw / "classes.txt").write_text("".join(f"{name} {i} 0 0\n" for i, name in enumerate(names)), encoding="utf-8")
    assert read_classes(raw / "classes.txt").classes == names


def test_names_in_any_script(raw):
    write_json(raw / "a.json", labelme(shape("猫 \n<B>", SQUARE), shape('# "x"', [[0, 0], [3, 2]], "rectangle")))
    names, labels, source = draw(raw)
    assert names == ["background", '"x"', "猫 <B>"] and not source.notes
    np.testing.assert_array_equal(labels, box(0, 0, 3, 2, 1, box(10, 5, 20, 15, 2)))


def test_the_whole_name_counts_before_the_folder(raw):
    picture(raw / "photos" / "a.png")
    write_json(raw / "a.json", labelme(shape("b", SQUARE), imagePath="a.png"))
    _, _, [(found, _, _)] = pictures_of_json(source_of(raw))
    assert found == raw / "photos" / "a.png"


# --- COCO ---


def test_coco_smaller_areas_lie_over_larger_ones_and_crowds_below_all(raw):
    crowd = {"size": [H, W], "counts": [0, 2 * H, H * W - 2 * H]}  # the two columns at the left
    small = thing([[0, 4, 4, 4, 4, 8, 0, 8], [30, 30, 34, 30, 34, 34, 30, 34]], 90, area=40)
    write_json(
        raw / "a.json", coco(small, thing(crowd, 7, 900, crowd=1), thing([[0, 0, 12, 0, 12, 12, 0, 12]], 7, 144))
    )
    names, labels, _ = draw(raw)
    assert names == ["background", "cat", "dog"]
    expected = box(0, 0, 12, 12, 1, box(0, 0, 1, H - 1, 255))
    np.testing.assert_array_equal(labels, box(30, 30, 34, 34, 2, box(0, 4, 4, 8, 2, expected)))


@pytest.mark.parametrize("val", ["brush", "polygon"])
def test_crowds_are_objects_where_all_files_have_nothing_else(raw, val):
    """As CVAT writes what a brush painted. An area may be null."""
    run = {"size": [H, W], "counts": [0, 2 * H, H * W - 2 * H]}
    picture(raw / "b.jpg")
    write_json(raw / "train.json", coco(thing(run, 90, area=None, crowd=1), thing(run, 90, crowd=1)))
    write_json(
        raw / "val.json", coco(thing(run if val == "brush" else [FLAT], crowd=val == "brush"), file_name="b.jpg")
    )
    source = source_of(raw)
    labels = [read()[1] for _, _, read in pictures_of_json(source)[2]]
    np.testing.assert_array_equal(labels[0], box(0, 0, 1, H - 1, 2 if val == "brush" else 255))
    np.testing.assert_array_equal(labels[1], box(0, 0, 1, H - 1) if val == "brush" else box(10, 5, 20, 15))
    what = "3 crowds (iscrowd) are objects: there is nothing else" if val == "brush" else "2 crowds (iscrowd) are void"
    assert source.told()[0].startswith(f"note {raw}: {what}")


@pytest.mark.parametrize("form", ["polygon", "run lengths", "packed", "damaged"])
def test_annotations_that_tell_no_area_lie_by_their_boxes(raw, form):
    large = {"size": [H, W], "counts": [0, 30 * H, H * W - 30 * H]}
    large = large | {"counts": "0`U1`P1"} if form == "packed" else large
    large = [[0, 0, 29, 0, 29, H - 1, 0, H - 1]] if form == "polygon" else large
    outline = [[1, 2, "x"]] if form == "damaged" else large
    small, large = thing([FLAT], 90), thing(outline)
    del large["area"]
    large["bbox"] = [0, 0, 30, H]
    write_json(raw / "a.json", coco(small, large))
    source = source_of(raw)
    [(_, _, read)] = pictures_of_json(source)[2]
    if form == "damaged":
        with pytest.raises(InputError, match="unreadable drawing"):
            read()
    else:
        np.testing.assert_array_equal(read()[1], box(10, 5, 20, 15, 2, box(0, 0, 29, H - 1)))


def test_the_format_that_was_left_out_is_named(raw):
    write_json(raw / "coco.json", coco(thing([FLAT]), file_name="a.jpg"))
    for name in "bc":
        picture(raw / f"{name}.jpg")
        write_json(raw / f"{name}.json", labelme(shape("b", SQUARE), imagePath=f"{name}.jpg"))
    source = source_of(raw)
    assert pictures_of_json(source)[0] == "JSON of labelme"
    assert source.told() == [f"note {raw}/coco.json: JSON of another format than labelme, left out"]


def test_a_picture_without_annotations_is_background_and_unknown_categories_are_left_out(raw):
    write_json(raw / "a.json", coco())
    names, labels, _ = draw(raw)
    assert names == ["background"] and not labels.any()


def test_boxes_alone_have_no_area(raw):
    write_json(raw / "a.json", coco(thing([]), thing([FLAT])))
    _, labels, source = draw(raw)
    np.testing.assert_array_equal(labels, box(10, 5, 20, 15))
    assert list(source.notes.values()) == [[f"{raw / 'a.json'}: a shape without an area left out (polygon)"]]


def test_run_lengths_go_down_the_columns():
    expected = np.array([[0, 1, 0], [0, 1, 0], [1, 0, 0], [1, 0, 0]], bool)
    np.testing.assert_array_equal(run_lengths({"size": [4, 3], "counts": [2, 4, 6]}, 4, 3), expected)
    np.testing.assert_array_equal(run_lengths({"size": [4, 3], "counts": "246"}, 4, 3), expected)


@pytest.mark.parametrize(
    ("packed", "counts"),
    [
        ("0", [0]),
        ("246", [2, 4, 6]),
        ("2400", [2, 4, 0, 4]),  # the fourth on: the difference to the one two before
        ("24N0", [2, 4, -2, 4]),  # a negative number
        ("P10n1", [32, 0, 62]),  # numbers of two letters
        ("PP1", [1024]),
        ("512NO2", [5, 1, 2, -1, 1, 1]),
    ],
)
def test_packed_run_lengths(packed, counts):
    assert unpack(packed) == counts


def test_packed_run_lengths_that_never_end():
    with pytest.raises(ValueError, match="more than 60 bits"):
        unpack("o" * 14)


def test_packed_run_lengths_as_pycocotools_writes_them():
    """A disc and two pixels in the corner; the text is that of pycocotools.mask.encode."""
    y, x = np.mgrid[:9, :13]
    expected = (x - 6) ** 2 + (y - 4) ** 2 < 17
    expected[7:, 0] = True
    np.testing.assert_array_equal(run_lengths({"size": [9, 13], "counts": "72=OI4M2O0O20N101N3L`0"}, 9, 13), expected)


def test_instances_are_taken_before_key_points_of_the_same_pictures(raw):
    write_json(raw / "instances_train2017.json", coco(thing([FLAT])))
    write_json(raw / "person_keypoints_train2017.json", coco(thing([FLAT])))
    assert draw(raw)[0] == ["background", "cat"]


# --- Supervisely ---


def test_supervisely_polygon_with_a_hole_and_rectangle(raw):
    hole = [[13, 8], [16, 8], [16, 12], [13, 12]]
    ring = {"geometryType": "polygon", "classTitle": "cat", "points": {"exterior": SQUARE, "interior": [hole]}}
    small = {"geometryType": "rectangle", "classTitle": "bus", "points": {"exterior": [[1, 2], [3, 4]], "interior": []}}
    write_json(raw / "ds" / "ann" / "a.jpg.json", supervisely(ring, small))
    names, labels, _ = draw(raw)
    assert names == ["background", "bus", "cat"]
    np.testing.assert_array_equal(labels, box(1, 2, 3, 4, 1, box(13, 8, 16, 12, 0, box(10, 5, 20, 15, 2))))


def test_supervisely_bitmaps_opaque_and_transparent(raw):
    grey = np.array([[255, 0], [255, 255], [0, 255]], np.uint8)
    clear = np.zeros((3, 2, 4), np.uint8)
    clear[..., 3] = grey
    write_json(raw / "a.jpg.json", supervisely(bitmap(grey, [50, 3]), bitmap(clear, [W - 1, H - 2])))
    expected = np.zeros((H, W), np.uint8)
    expected[3:6, 50:52] = grey > 0
    expected[H - 2 :, W - 1] = [1, 1]  # the rest lies outside of the picture
    np.testing.assert_array_equal(draw(raw)[1], expected)


@pytest.mark.parametrize("name", ["images/a.jpg", "train2017/a.jpg", "x/y/a.jpg", "images\\a.jpg"])
def test_folders_that_coco_names_and_the_picture_lacks(tmp_path, name):
    picture(tmp_path / "raw" / "a.jpg")
    write_json(tmp_path / "raw" / "annotations" / "instances_train.json", coco(thing([FLAT]), file_name=name))
    _, _, [(found, _, read)] = pictures_of_json(source_of(tmp_path / "raw"))
    assert found == tmp_path / "raw" / "a.jpg" and (read()[1] == 1).any()
