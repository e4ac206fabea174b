"""Label pictures of any folder: what their values mean, which picture is theirs, and what is refused."""

import io
import struct
import zlib

import numpy as np
import pytest
from labelled_data import CAR, TREE, H, W, coloured, drawn, label_picture, labels_of, make, notes, opened, picture
from PIL import Image

from minifcn.datasets.sources import pictures_of_labels
from minifcn.errors import InputError

INDICES = [value for grey in range(256) for value in (grey, 255 - grey, 7 * grey % 256)]
LISTED = "background 0 0 0\ntree 20 120 60\ncar 200 30 40\n"


@pytest.fixture
def raw(tmp_path):
    (tmp_path / "raw").mkdir()
    return tmp_path / "raw"


@pytest.mark.parametrize("value", [1, 15, 255])
@pytest.mark.parametrize("form", ["grey", "rgb", "paletted"])
def test_two_values_are_background_and_object(raw, value, form):
    mask = labels_of(0, (("car", value), ("tree", 0)))
    image = np.repeat(mask[..., None], 3, axis=2) if form == "rgb" else mask
    make(raw, image, np.zeros_like(image), **({"palette": INDICES} if form == "paletted" else {}))
    source = opened(raw)
    coding, labels = drawn(source)
    assert coding.classes == ["background", "object"]
    np.testing.assert_array_equal(labels["images/0.jpg"], mask > 0)
    assert not labels["images/1.jpg"].any()
    text = f"label files hold only 0 and {value}: taken as 'background' and 'object'"
    assert coding.notes == [text] * (value != 1) and not notes(source)


def test_two_values_without_0_are_two_classes(raw):
    make(raw, labels_of(0) // 2 * 4 + 3)
    coding, labels = drawn(opened(raw))
    assert coding.classes == ["class 3", "class 7"]
    np.testing.assert_array_equal(labels["images/0.jpg"], labels_of(0) // 2)


def test_two_values_take_the_two_names_of_a_list(raw):
    make(raw, labels_of(0, (("car", 255), ("tree", 0))))
    coding, labels = drawn(opened(raw, "ground\nunlabeled\ncrack\n"))
    assert coding.classes == ["ground", "crack"]
    np.testing.assert_array_equal(labels["images/0.jpg"], labels_of(0, (("car", 1), ("tree", 0))))


def test_black_and_one_colour_are_background_and_object(raw):
    mask = coloured(0) * (labels_of(0) == 1)[..., None]
    make(raw, mask)
    coding, labels = drawn(opened(raw))
    assert coding.classes == ["background", "object"] and coding.palette.tolist() == [[0, 0, 0], [*CAR]]
    np.testing.assert_array_equal(labels["images/0.jpg"], labels_of(0, (("car", 1), ("tree", 0))))


def test_ids_with_void_and_without_a_list(raw):
    mask = labels_of(0, (("car", 4), ("tree", 255)))
    mask[0] = 1
    make(raw, mask)
    source = opened(raw)
    coding, labels = drawn(source)
    assert coding.classes == ["class 0", "class 1", "class 4"]  # by their values
    expected = labels_of(0, (("car", 2), ("tree", 255)))
    expected[0] = 1
    np.testing.assert_array_equal(labels["images/0.jpg"], expected)
    assert "put yours into the new classes.txt" in notes(source)[0]


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
    coding, labels = drawn(opened(raw))
    assert coding.classes == ["class 0"] and (labels["images/0.jpg"] == 255).all()


def test_notes_are_in_groups_of_one_line_each(raw):
    source = opened(raw)
    for name in ("a\nb", "c"):
        source.note(raw / name, f"value {len(name)} of '{name}'")
    assert list(source.notes.values()) == [[f"{raw}/a b: value 3 of 'a b'", f"{raw}/c: value 1 of 'c'"]]


def test_255_is_void_where_there_are_other_greys(raw):
    make(raw, labels_of(0, (("car", 128), ("tree", 255))))
    coding, labels = drawn(opened(raw))
    assert coding.classes == ["class 0", "class 128"]
    np.testing.assert_array_equal(labels["images/0.jpg"], labels_of(0, (("car", 1), ("tree", 255))))


@pytest.mark.parametrize("palette", [None, INDICES])
def test_a_list_of_names_is_of_values_or_indices(raw, palette):
    make(raw, labels_of(0, (("car", 2), ("tree", 255))), palette=palette)
    (raw / "classes.txt").write_text("sky\nnever\ncar\n")
    coding, labels = drawn(opened(raw))
    assert coding.classes == ["sky", "never", "car"]
    np.testing.assert_array_equal(labels["images/0.jpg"], labels_of(0, (("car", 2), ("tree", 255))))


def test_a_value_without_a_class_is_a_fault(raw):
    make(raw, labels_of(0), labels_of(1, (("car", 7), ("tree", 1))))
    _, [(_, _, good), (_, _, bad)] = pictures_of_labels(opened(raw, "sky\ntree\ncar\n"))[1:]
    good()
    with pytest.raises(InputError, match=r"1.png: value 7 at 273 pixels, .*names.txt, which must list all values"):
        bad()


def test_colours_and_indices_beside_a_list_and_a_palette_in_another_order(raw):
    make(raw, coloured(0))
    for i, palette in enumerate((["0", "tree", "car"], ["tree", "0", "car"]), 1):
        picture(raw / "images" / f"{i}.jpg", i)
        mask = labels_of(i, (("car", 2), ("tree", 1)))
        colours = {"0": (0, 0, 0), "tree": TREE, "car": CAR}
        label_picture(raw / "masks" / f"{i}.png", mask, palette=[colours[name] for name in palette])
    coding, [*good, (_, _, bad)] = pictures_of_labels(opened(raw, LISTED))[1:]
    assert coding.classes == ["background", "tree", "car"] and coding.palette.tolist() == [[0, 0, 0], [*TREE], [*CAR]]
    for i, (_, _, read) in enumerate(good):
        np.testing.assert_array_equal(read()[1], labels_of(i, (("car", 2), ("tree", 1))))
    with pytest.raises(InputError, match=r"2.png: index 0 is 'background' but has the colour of 'tree'"):
        bad()


def test_palettes_that_disagree_are_named(raw):
    for i, palette in enumerate(([(0, 0, 0), CAR, TREE], [(0, 0, 0), TREE, CAR])):
        picture(raw / "images" / f"{i}.jpg", i)
        label_picture(raw / "masks" / f"{i}.png", labels_of(i), palette=palette)
    for listed in (None, "background\ntree\ncar\n"):
        with pytest.raises(InputError, match=r"1.png: index 1 has the colour .*: which class is it\?"):
            drawn(opened(raw, listed))


def test_grey_ids_beside_a_list_with_colours(raw):
    make(raw, labels_of(0))
    coding, labels = drawn(opened(raw, LISTED))
    assert coding.palette[1].tolist() == [*TREE]
    np.testing.assert_array_equal(labels["images/0.jpg"], labels_of(0))


def test_grey_colours_in_grey_pictures(raw):
    make(raw, labels_of(0, (("car", 128), ("tree", 64))))
    _, labels = drawn(opened(raw, "background 0 0 0\ncar 128 128 128\ntree 64 64 64\n"))
    np.testing.assert_array_equal(labels["images/0.jpg"], labels_of(0))


def test_void_colours(raw):
    make(raw, coloured(0))
    coding, labels = drawn(opened(raw, "Unlabeled 0 0 0\ntree 20 120 60\ncar 200 30 40\n"))
    assert coding.classes == ["tree", "car"]
    np.testing.assert_array_equal(labels["images/0.jpg"], np.array([255, 1, 0])[labels_of(0)])


# --- noise ---


def smoothed(i):
    image = Image.fromarray(coloured(i)).resize((2 * W, 2 * H), Image.Resampling.BICUBIC)
    return np.asarray(image.resize((W, H), Image.Resampling.BILINEAR))


def test_smoothed_edges_are_refused_and_their_colours_listed(raw):
    make(raw, smoothed(0), smoothed(1))
    with pytest.raises(
        InputError, match=r"colours, \d+ of fewer than 9 pixels a picture, as JPEG and smoothed edges have"
    ) as error:
        drawn(opened(raw))
    ask = raw.parent / "mydata-colours.txt"
    assert f"--classes {ask} --snap 60" in str(error.value)
    lines = ask.read_text().splitlines()
    assert lines[0].endswith(" pixels in 2 pictures") and lines[1] == "class 0 0 0 0"
    assert lines[3] == "class 1 200 30 40"
    assert "was there before" not in str(error.value)
    ask.write_text("mine")
    with pytest.raises(InputError, match="; it was there before: delete it first if it is of other labels"):
        drawn(opened(raw))
    assert ask.read_text() == "mine"


def test_colours_where_a_list_has_none_are_refused(raw):
    make(raw, coloured(0))
    with pytest.raises(
        InputError, match=r"an RGB label picture, but the classes have no colours; .* give each class a"
    ):
        drawn(opened(raw, "background\ntree\ncar\n"))


def test_snapping_is_bounded_and_counted(raw):
    mask = coloured(0)
    mask[0, :4], mask[1, :2] = (203, 34, 40), (0, 0, 255)  # 5 from car; far from all
    make(raw, mask)
    source = opened(raw, LISTED, snap=5)
    coding, labels = drawn(source)
    labels = labels["images/0.jpg"]
    expected = labels_of(0, (("car", 2), ("tree", 1)))
    expected[0, :4], expected[1, :2] = 2, 255
    np.testing.assert_array_equal(labels, expected)
    text = "0.18 % of the pixels snapped to a listed colour, up to 5 away; 0.09 % are farther off: void"
    assert coding.notes == [text]
    assert (drawn(opened(raw, LISTED, snap=4.9))[1]["images/0.jpg"][0, :4] == 255).all()


@pytest.mark.parametrize(("kind", "name"), [("JPEG", "jpg"), ("JPEG", "png"), ("WEBP", "webp"), ("TIFF", "tif")])
def test_lossy_labels_are_refused_by_their_content(raw, kind, name):
    make(raw, coloured(0))
    (raw / "masks" / "0.png").unlink()
    options = {"compression": "jpeg"} if kind == "TIFF" else {}
    Image.fromarray(coloured(0)).save(raw / "masks" / f"0.{name}", format=kind, quality=95, **options)
    with pytest.raises(InputError, match=rf"0.{name}: labels in a {kind} file, which blurs their values; export them"):
        drawn(opened(raw, LISTED))
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
    _, [(_, _, good), (_, _, bad)] = pictures_of_labels(opened(raw))[1:]
    np.testing.assert_array_equal(good()[1], labels_of(0))
    with pytest.raises(InputError, match=r"1.png: (unreadable label picture|value 300)"):
        bad()
