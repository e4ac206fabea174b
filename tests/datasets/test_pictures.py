"""Pictures and labels from files of every kind that users have. Expected pixels are made by NumPy alone."""

import struct
import warnings
import zlib

import numpy as np
import pytest
from PIL import Image

from minifcn.datasets.labels import LabelCoding, read_example
from minifcn.datasets.pictures import read_picture
from minifcn.errors import InputError

H, W = 5, 7
ENTRIES = ("road", "car", "tree")
COLOURS = np.array([(128, 64, 128), (0, 0, 142), (107, 142, 35)], np.uint8)


def random_bytes(*shape, seed=0):
    return np.random.default_rng(seed).integers(0, 256, shape, dtype=np.uint8)


def save(path, array, mode=None, **options):
    image = Image.fromarray(array)
    (image.convert(mode) if mode else image).save(path, **options)
    return path


def upright(a, value):
    """What a viewer does to the stored pixels (H, W, ...) for an EXIF orientation."""
    a = a.swapaxes(0, 1) if value >= 5 else a
    return {1: a, 2: a[:, ::-1], 3: a[::-1, ::-1], 4: a[::-1], 5: a, 6: a[:, ::-1], 7: a[::-1, ::-1], 8: a[::-1]}[value]


def orientation(value):
    exif = Image.Exif()
    exif[0x0112] = value
    return exif


def message(call, *args):
    with pytest.raises(InputError) as caught:
        call(*args)
    text = str(caught.value)
    assert "\n" not in text
    return text


def small_grey_png(path, values, bits):
    """Write values (H, W) as a grey PNG of 1, 2 or 4 bits by hand: Pillow writes none."""
    rows = []
    for row in values:
        text = "".join(f"{value:0{bits}b}" for value in row)
        text += "0" * (-len(text) % 8)
        rows.append(b"\0" + bytes(int(text[i : i + 8], 2) for i in range(0, len(text), 8)))
    header = struct.pack(">IIBBBBB", *values.shape[::-1], bits, 0, 0, 0, 0)
    chunks = [(b"IHDR", header), (b"IDAT", zlib.compress(b"".join(rows))), (b"IEND", b"")]
    data = b"".join(struct.pack(">I", len(d)) + t + d + struct.pack(">I", zlib.crc32(t + d)) for t, d in chunks)
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + data)
    return path


# --- pictures ---


@pytest.mark.parametrize("extension", ["png", "bmp", "tif", "ppm"])
def test_rgb_comes_back_as_it_was(tmp_path, extension):
    pixels = random_bytes(H, W, 3)
    read = read_picture(save(tmp_path / f"a.{extension}", pixels))
    assert read.dtype == np.uint8 and read.flags.c_contiguous
    np.testing.assert_array_equal(read, pixels)


def test_grey_is_repeated_and_bilevel_is_black_and_white(tmp_path):
    grey = random_bytes(H, W)
    np.testing.assert_array_equal(read_picture(save(tmp_path / "a.png", grey)), np.stack([grey] * 3, axis=2))
    bits = grey > 127
    np.testing.assert_array_equal(read_picture(save(tmp_path / "b.png", bits)), np.stack([bits * 255] * 3, axis=2))


def test_sixteen_bit_grey_is_scaled(tmp_path):
    values = np.array([[0, 257, 32896, 65535], [128, 129, 65406, 65407]], np.uint16)
    expected = np.array([[0, 1, 128, 255], [0, 1, 254, 255]])  # value / 257, rounded
    for extension in ("png", "tif"):
        read = read_picture(save(tmp_path / f"a.{extension}", values))
        np.testing.assert_array_equal(read, np.stack([expected] * 3, axis=2))


def test_paletted_picture_shows_its_colours(tmp_path):
    indices = random_bytes(H, W) % 3
    image = Image.fromarray(indices).convert("P")
    image.putpalette(COLOURS.tobytes())
    image.save(tmp_path / "a.png")
    np.testing.assert_array_equal(read_picture(tmp_path / "a.png"), COLOURS[indices])
    image.save(tmp_path / "b.png", transparency=1)
    seen = COLOURS.copy()
    seen[1] = 255
    np.testing.assert_array_equal(read_picture(tmp_path / "b.png"), seen[indices])


def test_transparent_parts_show_white(tmp_path):
    rgba = np.array([[(10, 20, 30, 255), (10, 20, 30, 0), (0, 100, 200, 51)]], np.uint8)
    expected = [[(10, 20, 30), (255, 255, 255), (204, 224, 244)]]  # 51 is 1/5: 255 * 4/5 + colour / 5
    np.testing.assert_array_equal(read_picture(save(tmp_path / "a.png", rgba)), expected)
    la = np.array([[(10, 255), (10, 0), (100, 51)]], np.uint8)
    grey = read_picture(save(tmp_path / "b.png", la))
    np.testing.assert_array_equal(grey, [[(10,) * 3, (255,) * 3, (224,) * 3]])
    one_colour = save(tmp_path / "c.png", np.array([[(1, 2, 3), (4, 5, 6)]], np.uint8), transparency=(4, 5, 6))
    np.testing.assert_array_equal(read_picture(one_colour), [[(1, 2, 3), (255, 255, 255)]])


def test_cmyk_is_converted(tmp_path):
    inks = np.zeros((H, W, 4), np.uint8)
    inks[:2, :, 0] = 255  # cyan
    inks[2:, :, 3] = 255  # black
    Image.fromarray(inks, "CMYK").save(tmp_path / "a.tif")
    expected = np.zeros((H, W, 3), np.uint8)
    expected[:2] = (0, 255, 255)
    np.testing.assert_array_equal(read_picture(tmp_path / "a.tif"), expected)


@pytest.mark.parametrize("value", range(1, 9))
@pytest.mark.parametrize("extension", ["png", "tif"])
def test_exif_orientation_is_applied_once(tmp_path, value, extension):
    stored = random_bytes(H, W, 3)
    path = save(tmp_path / f"a.{extension}", stored, exif=orientation(value))
    np.testing.assert_array_equal(read_picture(path), upright(stored, value))


def test_unreadable_pictures_are_named(tmp_path):
    assert "none.png: this picture is missing" in message(read_picture, tmp_path / "none.png")
    (tmp_path / "text.jpg").write_text("not a picture")
    (tmp_path / "empty.png").write_bytes(b"")
    (tmp_path / "folder.png").mkdir()
    no_picture, no_file = "cannot identify image file", "a folder, pipe or device"
    for name, reason in (("text.jpg", no_picture), ("empty.png", no_picture), ("folder.png", no_file)):
        assert f"{name}: unreadable picture ({reason}); save" in message(read_picture, tmp_path / name)


@pytest.mark.parametrize("extension", ["png", "jpg", "tif", "bmp"])
def test_truncated_picture_is_named(tmp_path, extension):
    whole = save(tmp_path / f"whole.{extension}", random_bytes(60, 50, 3)).read_bytes()
    path = tmp_path / f"cut.{extension}"
    path.write_bytes(whole[: len(whole) * 2 // 3])
    assert f"cut.{extension}: unreadable picture" in message(read_picture, path)


@pytest.mark.parametrize("limit", [34, 20, 5])  # of 35 pixels: Pillow warns of the first two, and raises at the last
@pytest.mark.parametrize("action", ["error", "ignore"])
def test_decompression_bomb_is_named(tmp_path, monkeypatch, limit, action):
    path = save(tmp_path / "huge.png", random_bytes(H, W, 3))
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", limit)
    with warnings.catch_warnings():
        warnings.simplefilter(action)
        assert f"huge.png: this picture has more than {limit} pixels" in message(read_picture, path)


def test_values_that_no_picture_has_are_refused(tmp_path):
    path = save(tmp_path / "float.tif", np.ones((H, W), np.float32))
    assert "float.tif: grey values float32 from 1.0 to 1.0, expected integers" in message(read_picture, path)
    path = save(tmp_path / "int.tif", np.array([[-3, 70000]], np.int32))
    assert "int.tif: grey values int32 from -3 to 70000, expected integers from 0" in message(read_picture, path)


# --- labels ---


def label_values(seed=1):
    values = random_bytes(H, W, seed=seed) % 3
    values[0, :3] = 0, 1, 2
    values[4, 6] = 255
    return values


@pytest.mark.parametrize("mode", ["L", "P", "I;16"])
def test_index_labels(tmp_path, mode):
    values = label_values()
    array = values.astype(np.uint16) if mode == "I;16" else values
    path = save(tmp_path / "a.png", array, "P" if mode == "P" else None)
    with Image.open(path) as image:
        assert image.mode == mode
    labels = LabelCoding(ENTRIES).read(path)[0]
    assert labels.dtype == np.uint8
    np.testing.assert_array_equal(labels, values)


@pytest.mark.parametrize("bits", [1, 2, 4])
def test_grey_labels_of_few_bits(tmp_path, bits):
    values = random_bytes(H, W) % 2**bits
    values[0, 0] = 2**bits - 1
    labels = LabelCoding([f"c{i}" for i in range(16)]).read(small_grey_png(tmp_path / "a.png", values, bits))[0]
    np.testing.assert_array_equal(labels, values)


def test_rgb_labels_go_by_colour(tmp_path):
    values = random_bytes(H, W) % 3
    coding = LabelCoding(ENTRIES, COLOURS)
    np.testing.assert_array_equal(coding.read(save(tmp_path / "a.png", COLOURS[values]))[0], values)
    opaque = np.dstack([COLOURS[values], np.full((H, W), 255, np.uint8)])
    np.testing.assert_array_equal(coding.read(save(tmp_path / "b.png", opaque))[0], values)


@pytest.mark.parametrize("place", [0, 1, 3])
def test_void_entry_is_no_class(tmp_path, place):
    entries = list(ENTRIES)
    entries.insert(place, "void")
    colours = np.insert(COLOURS, place, (224, 224, 192), axis=0)
    coding = LabelCoding(entries, colours)
    assert coding.classes == list(ENTRIES)
    ids = label_values()  # what is wanted, 255 for void
    in_file = np.array([entries.index(name) for name in ENTRIES], np.uint8)[np.where(ids == 255, 0, ids)]
    in_file[ids == 255] = place
    np.testing.assert_array_equal(coding.read(save(tmp_path / "a.png", in_file))[0], ids)
    np.testing.assert_array_equal(coding.read(save(tmp_path / "b.png", colours[in_file]))[0], ids)
    in_file[ids == 255] = 255
    np.testing.assert_array_equal(coding.read(save(tmp_path / "c.png", in_file))[0], ids)


def test_value_out_of_range_names_file_value_count_and_place(tmp_path):
    values = np.zeros((H, W), np.uint8)
    values[1, 4] = values[3, 2] = 3
    values[2, 5] = 200
    text = message(LabelCoding(ENTRIES, remedy="fix it").read, save(tmp_path / "bad.png", values))
    assert "bad.png: value 3 at 2 pixels, first at row 1, column 4; value 200 at 1 pixel, first at row 2, col" in text
    assert "expected 0 to 2 (3 classes), or 255 for void; fix it" in text
    text = message(LabelCoding(ENTRIES).read, save(tmp_path / "b.png", np.arange(35, dtype=np.uint8).reshape(H, W)))
    assert "value 12 at" in text and "value 13 at" not in text and "and 22 more values" in text  # 3 .. 34 are bad


def test_sixteen_bit_labels_are_checked_before_they_are_narrowed(tmp_path):
    values = np.zeros((H, W), np.uint16)
    values[0, 1], values[2, 3] = 256, 65535
    text = message(LabelCoding(ENTRIES).read, save(tmp_path / "bad.png", values))
    assert "value 256 at 1 pixel, first at row 0, column 1; value 65535 at 1 pixel" in text


def test_colour_of_no_class_names_file_colour_count_and_place(tmp_path):
    pixels = COLOURS[np.zeros((H, W), int)]
    pixels[2, 3:5] = (1, 2, 3)
    text = message(LabelCoding(ENTRIES, COLOURS).read, save(tmp_path / "bad.png", pixels))
    assert "bad.png: colour (1, 2, 3) at 2 pixels, first at row 2, column 3" in text
    pixels[:] = 255  # beyond the greatest known colour
    text = message(LabelCoding(ENTRIES, COLOURS).read, save(tmp_path / "bad.png", pixels))
    assert "colour (255, 255, 255) at 35 pixels" in text


def test_rgb_labels_without_colours_are_refused(tmp_path):
    path = save(tmp_path / "bad.png", random_bytes(H, W, 3))
    assert "bad.png: an RGB label picture, but the classes have no c" in message(LabelCoding(ENTRIES).read, path)


def test_labels_of_other_kinds_are_refused(tmp_path):
    transparent = np.zeros((H, W, 4), np.uint8)
    transparent[1:, :, 3] = 255
    text = message(LabelCoding(ENTRIES, COLOURS).read, save(tmp_path / "clear.png", transparent))
    assert "clear.png: a label picture cannot be of mode RGBA; save it as a paletted or grey PNG without trans" in text
    text = message(LabelCoding(ENTRIES).read, save(tmp_path / "float.tif", np.zeros((H, W), np.float32)))
    assert "float.tif: a label picture cannot be of mode F" in text


def test_palette_in_another_order_than_the_classes_is_refused(tmp_path):
    values = label_values()
    image = Image.fromarray(values).convert("P")
    image.putpalette(COLOURS[[0, 2, 1]].tobytes() + bytes(252 * 3) + b"\xff" * 3)  # void is white
    image.save(tmp_path / "bad.png")
    text = message(LabelCoding(ENTRIES, COLOURS).read, tmp_path / "bad.png")
    assert "bad.png: index 1 is 'car' but has the colour of 'tree'" in text
    image.putpalette(random_bytes(256, 3).tobytes())  # colours of nothing: only the index counts
    image.save(tmp_path / "good.png")
    np.testing.assert_array_equal(LabelCoding(ENTRIES, COLOURS).read(tmp_path / "good.png")[0], values)


# --- a picture and its labels ---


def test_sizes_must_agree(tmp_path):
    picture = save(tmp_path / "a.png", random_bytes(H, W, 3))
    labels = save(tmp_path / "a_labels.png", np.zeros((W, H), np.uint8))
    text = message(read_example, picture, labels, LabelCoding(ENTRIES))
    assert "a_labels.png: 5 x 7 pixels" in text and "a.png has 7 x 5" in text


@pytest.mark.parametrize("value", [5, 6, 7, 8])
def test_labels_of_the_stored_size_are_turned_with_the_picture(tmp_path, value):
    ids = random_bytes(H, W) % 3
    picture = save(tmp_path / "a.png", np.stack([ids] * 3, axis=2), exif=orientation(value))
    pixels, labels = read_example(picture, save(tmp_path / "l.png", ids), LabelCoding(ENTRIES))
    assert pixels.shape == (W, H, 3)
    np.testing.assert_array_equal(labels, upright(ids, value))
    np.testing.assert_array_equal(labels, pixels[..., 0])


@pytest.mark.parametrize("value", [3, 6])
def test_labels_of_the_displayed_size_stay(tmp_path, value):
    pixels = random_bytes(H, W, 3)
    ids = upright(random_bytes(H, W, seed=4) % 3, value)
    picture = save(tmp_path / "a.png", pixels, exif=orientation(value))
    _, labels = read_example(picture, save(tmp_path / "l.png", np.ascontiguousarray(ids)), LabelCoding(ENTRIES))
    np.testing.assert_array_equal(labels, ids)
