"""Lists of classes in the forms that people have: read as what they mean, or refused by name."""

import pytest

from minifcn.datasets.classes import find_classes, read_classes
from minifcn.errors import InputError

COLOURS = {"road": (128, 64, 128), "traffic light": (250, 10, 0), "straße": (0, 0, 7)}
LINES = {
    "name first": ["road 128 64 128", "traffic light #fa0a00", "straße 0, 0, 7"],
    "colour first": ["128 64 128 road", "#fa0a00 traffic light", "0,0,7,straße"],
    "class_dict.csv": ["name,r,g,b", "road,128,64,128", "traffic light, 250, 10, 0", "straße,0,0,7"],
    "another header": ["Red;Green;Blue;Class", "128;64;128;road", "250;10;0;traffic light", "0;0;7;straße"],
    "labelmap.txt": ["# label:color_rgb", "road:128,64,128::", "traffic light:250,10,0:a,b:c", "straße:0,0,7::"],
    "numbered": ["0 road 128 64 128", "1: traffic light #fa0a00", "2,straße,0,0,7"],
    "number and colour first": ["0 128 64 128 road", "1 250 10 0 traffic light", "2 0 0 7 straße"],
}


def classes_of(path, lines):
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return read_classes(path)


@pytest.mark.parametrize("form", LINES)
def test_forms_with_colours(tmp_path, form):
    coding = classes_of(tmp_path / "classes.txt", LINES[form])
    assert coding.classes == list(COLOURS) and [tuple(c) for c in coding.palette.tolist()] == list(COLOURS.values())


@pytest.mark.parametrize("form", ["{}", "{i} {}", "{i}: {}", "{i}\t{}", "{i},{}", "{i}. {}", "{i}) {}", "{i}={}"])
def test_forms_without_colours(tmp_path, form):
    names = ["road", "traffic light", "Straße 2", "3D object", "a-b", "“<i>”"]
    coding = classes_of(tmp_path / "classes.txt", [form.format(name, i=i) for i, name in enumerate(names)])
    assert coding.classes == names and coding.colours is None


@pytest.mark.parametrize(
    "lines, bad",
    [
        (["1 road", "2 car"], 1),  # counted from 1
        (["0 road", "2 car"], 2),
        (["0 road", "car"], 2),
        (["road", "1 car"], 2),
        (["{"], 1),
        (['["road", "car"]'], 1),
        (["names:", "  - road"], 1),
        (["- road", "- car"], 1),
        (["names: [road, car]"], 1),
        (["nc: 2"], 1),
        (["road,car"], 1),
        (["id,name,colour", "0,road,red"], 1),
        (["road,128,64,128", "car,1,2"], 2),
        (["road 128 64 128", "64 128"], 2),
        (["road:128,64,128::", "car::"], 2),
        (["road 1", "car 2"], 1),
        (["road 128 64 128 255", "void 0 0 0 0"], 1),  # RGBA
        (["name,r,g,b,a", "road,1,1,1,255", "void,0,0,0,0"], 2),
        (["road (128 64 128)", "car (1 2 3)"], 1),
        (["road 12 13", "car 1 2"], 1),
        (["road = 128 64 128"], 1),
        (["road|128|64|128"], 1),
        (["road #fff", "car #000"], 1),
        (["road # the first", "car"], 1),
        (["// all of them", "road"], 1),
        (["* road", "* car"], 1),
        (["'road'", "'car'"], 1),
        (['"road"', '"car"'], 1),
        (['0 0 0 0 0 0 0 "Clear Label"', '1 255 0 0 1 1 1 "Label 1"'], 1),
        (["name", "road"], 1),
        (["Class", "road"], 1),
        (["name id", "road 0"], 1),
    ],
)
def test_other_tables_are_refused_by_line(tmp_path, lines, bad):
    with pytest.raises(InputError, match=rf"classes.txt, line {bad}: expected a .*, received .*; correct the line"):
        classes_of(tmp_path / "classes.txt", lines)


@pytest.mark.parametrize("name", ["Void", "VOID", "__ignore__", "ignore", "Unlabeled", "unlabelled"])
def test_void_in_any_case_is_no_class(tmp_path, name):
    coding = classes_of(tmp_path / "classes.txt", ["road", name, "background"])
    assert coding.classes == ["road", "background"] and coding.values == [0, 2]


@pytest.mark.parametrize("form", ["{} {}", "{}: {}", "{}\t{}", "{}={}"])
def test_values_after_the_names(tmp_path, form):
    lines = [form.format(name, i) for i, name in enumerate(["background", "traffic light", "void"])]
    coding = classes_of(tmp_path / "classes.txt", lines)
    assert coding.entries == ["background", "traffic light", "void"] and coding.values == [0, 1]


@pytest.mark.parametrize(
    "lines",
    [
        ["lane 0", "lane 1"],
        ["route 66", "highway 5"],
        ["road 0", "car"],
        ["bottle", "label"],
        ["Straße 2"],
        ["🐱", "C#"],
    ],
)
def test_numbers_that_are_part_of_a_name(tmp_path, lines):
    assert classes_of(tmp_path / "classes.txt", lines).classes == lines


def test_a_colour_after_a_name_that_ends_in_a_number(tmp_path):
    coding = classes_of(tmp_path / "classes.txt", ["lane 0 0 0 0", "lane 1 0 0 255"])
    assert coding.classes == ["lane 0", "lane 1"] and coding.palette.tolist() == [[0, 0, 0], [0, 0, 255]]


def test_two_names_of_void(tmp_path):
    coding = classes_of(tmp_path / "classes.txt", ["unlabeled", "road", "void"])
    assert coding.classes == ["road"] and coding.values == [1]


def test_the_first_line_of_labelme_has_no_value(tmp_path):
    coding = classes_of(tmp_path / "classes.txt", ["__ignore__", "_background_", "cat"])
    assert coding.classes == ["_background_", "cat"] and coding.values == [0, 1]
    coding = classes_of(tmp_path / "classes.txt", ["__ignore__ 0 0 0", "_background_ 0 0 1"])  # with colours it has one
    assert coding.classes == ["_background_"] and coding.values == [1]


def test_a_colour_that_looks_like_a_comment(tmp_path):
    coding = classes_of(tmp_path / "classes.txt", ["# all of them", "#0000ff sky", "#00ff00 grass"])
    assert coding.classes == ["sky", "grass"] and coding.palette.tolist() == [[0, 0, 255], [0, 255, 0]]


def test_where_the_list_is(tmp_path):
    inner = tmp_path / "inner"
    inner.mkdir()
    assert find_classes(tmp_path, inner) is None
    for path in (inner / "class_dict.csv", inner / "labelmap.txt", inner / "classes.txt", tmp_path / "class_dict.csv"):
        path.touch()
        assert find_classes(tmp_path, inner) == path
