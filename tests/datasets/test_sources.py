"""Label pictures of any folder: what their values mean, which picture is theirs, and what is refused."""

import io
import struct
import zlib

import numpy as np
import pytest
from labelled_data import CAR, TREE, H, W, coloured, label_picture, labels_of, picture
from PIL import Image

from minifcn.datasets.sources import Source, pictures_of_labels
from minifcn.errors import InputError

INDICES = [value for grey in range(256) for value in (grey, 255 - grey, 7 * grey % 256)]
LISTED = "background 0 0 0\ntree 20 120 60\ncar 200 30 40\n"


@pytest.fixture
def raw(tmp_path):
    (tmp_path / "raw").mkdir()
    return tmp_path / "raw"


def opened(raw, classes=None, snap=None):
    """A source, with a list of this text."""
    path = raw.parent / "names.txt"
    if classes is not None:
        path.write_text(classes, encoding="utf-8")
    return Source(raw, path if classes is not None else None, snap, raw.parent / "mydata-colours.txt")


def drawn(source):
    """What is found: the classes, and the labels of each picture by its path in the source."""
    _, classes, items = pictures_of_labels(source)
    return classes, {str(item.picture.relative_to(source.folder)): item.draw(*item.size) for item in items}


def notes(source):
    return [text for texts in source.notes.values() for text in texts]


def make(raw, *values, **options):
    """images/0.jpg ... with masks of these values."""
    for i, mask in enumerate(values):
        picture(raw / "images" / f"{i}.jpg", i)
        label_picture(raw / "masks" / f"{i}.png", mask, **options)


@pytest.mark.parametrize("value", [1, 15, 255])
@pytest.mark.parametrize("form", ["grey", "rgb", "paletted"])
def test_two_values_are_background_and_object(raw, value, form):
    mask = labels_of(0, (("car", value), ("tree", 0)))
    image = np.repeat(mask[..., None], 3, axis=2) if form == "rgb" else mask
    make(raw, image, np.zeros_like(image), **({"palette": INDICES} if form == "paletted" else {}))
    source = opened(raw)
    classes, labels = drawn(source)
    assert classes == {"background": None, "object": None}
    np.testing.assert_array_equal(labels["images/0.jpg"], mask > 0)
    assert not labels["images/1.jpg"].any()
    assert len(notes(source)) == (value != 1)
    assert value == 1 or f"labels of 0 and {value} {value} {value}: background and object" in notes(source)[0]


def test_two_values_without_0_are_two_classes(raw):
    make(raw, labels_of(0) // 2 * 4 + 3)
    classes, labels = drawn(opened(raw))
    assert list(classes) == ["class 3", "class 7"]
    np.testing.assert_array_equal(labels["images/0.jpg"], labels_of(0) // 2)


def test_two_values_take_the_two_names_of_a_list(raw):
    make(raw, labels_of(0, (("car", 255), ("tree", 0))))
    classes, labels = drawn(opened(raw, "ground\nunlabeled\ncrack\n"))
    assert list(classes) == ["ground", "crack"]
    np.testing.assert_array_equal(labels["images/0.jpg"], labels_of(0, (("car", 1), ("tree", 0))))


def test_black_and_one_colour_are_background_and_object(raw):
    mask = coloured(0) * (labels_of(0) == 1)[..., None]
    make(raw, mask)
    classes, labels = drawn(opened(raw))
    assert classes == {"background": 0, "object": 0xC81E28}
    np.testing.assert_array_equal(labels["images/0.jpg"], labels_of(0, (("car", 1), ("tree", 0))))


def test_ids_with_void_and_without_a_list(raw):
    mask = labels_of(0, (("car", 4), ("tree", 255)))
    mask[0] = 1
    make(raw, mask)
    source = opened(raw)
    classes, labels = drawn(source)
    assert classes == {"class 0": None, "class 1": None, "class 4": None}  # by their values
    expected = labels_of(0, (("car", 2), ("tree", 255)))
    expected[0] = 1
    np.testing.assert_array_equal(labels["images/0.jpg"], expected)
    assert "replace the names" in notes(source)[0]


def test_grey_pictures_of_4_bits_hold_small_values(raw):
    """Pillow writes none, and stretches what it reads to 0 .. 255."""
    make(raw, labels_of(0))
    values = labels_of(0)
    rows = b"".join(b"\0" + bytes(values[y, ::2] << 4 | values[y, 1::2]) for y in range(H))
    chunks = [(b"IHDR", struct.pack(">IIBBBBB", W, H, 4, 0, 0, 0, 0)), (b"IDAT", zlib.compress(rows)), (b"IEND", b"")]
    data = [struct.pack(">I", len(c)) + kind + c + struct.pack(">I", zlib.crc32(kind + c)) for kind, c in chunks]
    (raw / "masks" / "0.png").write_bytes(b"\x89PNG\r\n\x1a\n" + b"".join(data))
    np.testing.assert_array_equal(drawn(opened(raw, "a\nb\nc\n"))[1]["images/0.jpg"], values)


def test_all_void(raw):
    make(raw, np.full((H, W), 255, np.uint8))
    classes, labels = drawn(opened(raw))
    assert not classes and (labels["images/0.jpg"] == 255).all()


def test_notes_are_in_groups_of_one_line_each(raw):
    source = opened(raw)
    for name in ("a\nb", "c"):
        source.note(raw / name, f"value {len(name)} of '{name}'")
    assert list(source.notes.values()) == [[f"{raw}/a b: value 3 of 'a b'", f"{raw}/c: value 1 of 'c'"]]


def test_greys_that_are_no_ids_are_classes_to_255(raw):
    make(raw, labels_of(0, (("car", 128), ("tree", 255))))
    classes, labels = drawn(opened(raw))
    assert len(classes) == 3
    np.testing.assert_array_equal(labels["images/0.jpg"], labels_of(0))


@pytest.mark.parametrize("palette", [None, INDICES])
def test_a_list_of_names_is_of_values_or_indices(raw, palette):
    make(raw, labels_of(0, (("car", 2), ("tree", 255))), palette=palette)
    (raw / "classes.txt").write_text("sky\nnever\ncar\n")
    source = opened(raw)
    classes, labels = drawn(source)
    assert list(classes) == ["sky", "car"] and "classes that occur nowhere, left out: never" in notes(source)[0]
    np.testing.assert_array_equal(labels["images/0.jpg"], labels_of(0, (("car", 1), ("tree", 255))))
    assert list(drawn(opened(raw, "sky\nnever\ncar\n"))[0]) == ["sky", "never", "car"]  # asked for, kept


def test_a_value_without_a_class_is_a_fault(raw):
    make(raw, labels_of(0), labels_of(1, (("car", 7), ("tree", 1))))
    source = opened(raw, "sky\ntree\ncar\n")
    _, _, items = pictures_of_labels(source)
    items[0].draw(H, W)
    with pytest.raises(InputError, match=r"1.png: colour 7 7 7 at 273 pixels is no class; list it in .*names.txt"):
        items[1].draw(H, W)


def test_colours_count_whatever_the_palettes_order(raw):
    plain, turned = [(0, 0, 0), CAR, TREE], [TREE, (0, 0, 0), CAR]
    make(raw, coloured(0))
    for i, (palette, order) in enumerate(((plain, [0, 1, 2]), (turned, [1, 2, 0])), 1):
        picture(raw / "images" / f"{i}.jpg", i)
        label_picture(raw / "masks" / f"{i}.png", np.array(order, np.uint8)[labels_of(i)], palette=palette)
    classes, labels = drawn(opened(raw, LISTED))
    assert classes == {"background": 0, "tree": 0x14783C, "car": 0xC81E28}
    for i in range(3):
        np.testing.assert_array_equal(labels[f"images/{i}.jpg"], labels_of(i, (("car", 2), ("tree", 1))))


def test_palettes_that_disagree_are_named_where_indices_count(raw):
    for i, palette in enumerate(([(0, 0, 0), CAR, TREE], [(0, 0, 0), TREE, CAR])):
        picture(raw / "images" / f"{i}.jpg", i)
        label_picture(raw / "masks" / f"{i}.png", labels_of(i), palette=palette)
    source = opened(raw, "background\ntree\ncar\n")
    drawn(source)
    assert notes(source) == [f"{raw}/masks/1.png: its palette gives 1 another colour than files before; save it as RGB"]


def test_grey_ids_beside_a_list_with_colours(raw):
    make(raw, labels_of(0))
    classes, labels = drawn(opened(raw, LISTED))
    assert classes["tree"] == 0x14783C
    np.testing.assert_array_equal(labels["images/0.jpg"], labels_of(0))


def test_grey_colours_in_grey_pictures(raw):
    make(raw, labels_of(0, (("car", 128), ("tree", 64))))
    _, labels = drawn(opened(raw, "background 0 0 0\ncar 128 128 128\ntree 64 64 64\n"))
    np.testing.assert_array_equal(labels["images/0.jpg"], labels_of(0))


def test_void_and_merged_colours(raw):
    make(raw, coloured(0))
    classes, labels = drawn(opened(raw, "Unlabeled 0 0 0\nthing 20 120 60\nthing 200 30 40\n"))
    assert list(classes) == ["thing"]
    np.testing.assert_array_equal(labels["images/0.jpg"], np.where(labels_of(0) > 0, 0, 255))


# --- noise ---


def smoothed(i):
    image = Image.fromarray(coloured(i)).resize((2 * W, 2 * H), Image.Resampling.BICUBIC)
    return np.asarray(image.resize((W, H), Image.Resampling.BILINEAR))


def test_smoothed_edges_are_refused_and_their_colours_listed(raw):
    make(raw, smoothed(0), smoothed(1))
    with pytest.raises(
        InputError, match=r"colours, \d+ of fewer than 9 pixels a picture, as at smoothed edges"
    ) as error:
        drawn(opened(raw))
    ask = raw.parent / "mydata-colours.txt"
    assert f"--classes {ask} --snap 60" in str(error.value)
    lines = ask.read_text().splitlines()
    assert lines[0].endswith(" pixels in 2 pictures") and lines[1] == "class 0 0 0 0"
    assert lines[3] == "class 1 200 30 40"
    ask.write_text("mine")
    with pytest.raises(InputError):
        drawn(opened(raw))
    assert ask.read_text() == "mine"


def test_colours_where_a_list_has_none_are_asked_for(raw):
    make(raw, coloured(0))
    with pytest.raises(InputError, match=r"the labels have colours, and .*names.txt has none"):
        drawn(opened(raw, "background\ntree\ncar\n"))


def test_snapping_is_bounded_and_counted(raw):
    mask = coloured(0)
    mask[0, :4], mask[1, :2] = (203, 34, 40), (0, 0, 255)  # 5 from car; far from all
    make(raw, mask)
    source = opened(raw, LISTED, snap=5)
    labels = drawn(source)[1]["images/0.jpg"]
    expected = labels_of(0, (("car", 2), ("tree", 1)))
    expected[0, :4], expected[1, :2] = 2, 255
    np.testing.assert_array_equal(labels, expected)
    text = "0.18 % of the pixels snapped to a listed colour, by up to 5; 0.09 % are farther than 5 off: void"
    assert notes(source) == [f"{raw}: {text}"]
    assert (drawn(opened(raw, LISTED, snap=4.9))[1]["images/0.jpg"][0, :4] == 255).all()


@pytest.mark.parametrize(("kind", "name"), [("JPEG", "jpg"), ("JPEG", "png"), ("WEBP", "webp"), ("TIFF", "tif")])
def test_lossy_labels_are_refused_by_their_content(raw, kind, name):
    make(raw, coloured(0))
    (raw / "masks" / "0.png").unlink()
    options = {"compression": "jpeg"} if kind == "TIFF" else {}
    Image.fromarray(coloured(0)).save(raw / "masks" / f"0.{name}", format=kind, quality=95, **options)
    source = opened(raw, LISTED)
    assert pictures_of_labels(source) is None and source.faults == 1
    assert f"0.{name}: {kind} by its content, which blurs the values of labels; export PNG" in notes(source)[0]
    labels = drawn(opened(raw, LISTED, snap=90))[1]["images/0.jpg"]
    inside = np.zeros((H, W), bool)
    inside[10:19, 13:28] = True
    assert (labels[inside] == 2).all() and (labels[0] == 0).all()


@pytest.mark.parametrize("size", [(3, 4), (W, H)])
def test_damaged_label_pictures_are_faults(raw, size):
    make(raw, labels_of(0), labels_of(1))
    stream = io.BytesIO()
    Image.new("I;16", size, 300).save(stream, format="PNG")
    (raw / "masks" / "1.png").write_bytes(stream.getvalue() if size == (W, H) else b"\x89PNG")
    source = opened(raw)
    assert list(drawn(source)[1]) == ["images/0.jpg"] and source.faults == 1
