"""What values in label files mean is decided by the set as a whole, and files that cannot be trusted are refused."""

import numpy as np
import pytest
from own_set import checked, make, paletted, read
from PIL import Image

from minifcn.datasets import labels, open_dataset
from minifcn.datasets.labels import LabelCoding
from minifcn.datasets.pictures import decode
from minifcn.errors import InputError

VOID = 255


# --- masks of 0 and one other value ---


@pytest.mark.parametrize("high", [255, 128, 3])
@pytest.mark.parametrize("classes", ["background\nobject\n", "background\nobject\nVoid\n", "b\nunlabeled\nobject\n"])
def test_a_set_of_0_and_one_other_value_is_a_mask(tmp_path, capsys, high, classes):
    make(tmp_path, {"a": [[0, 0, high], [high, 0, 0]], "b": [[0, 0]], "v": [[0, high], [0, 0]]}, classes)
    assert read(tmp_path) == {"a": [[0, 0, 1], [1, 0, 0]], "b": [[0, 0]]}
    assert read(tmp_path, "val") == {"v": [[0, 1], [0, 0]]}
    data = open_dataset(tmp_path, "val")
    assert data.values == [0, high]
    [note] = data.notes
    assert note.startswith(f"label files hold only 0 and {high}: taken as ") and note.endswith("'object'")
    status, out = checked(capsys, tmp_path)
    assert status == 0 and out.count(f"note: {note}") == 1


def test_255_is_void_where_any_file_of_any_split_has_a_1(tmp_path):
    make(tmp_path, {"a": [[0, 255]], "b": [[255, 0]], "v": [[0, 1]]})
    data = open_dataset(tmp_path, "train")
    assert read(tmp_path) == {"a": [[0, VOID]], "b": [[VOID, 0]]} and data.values == [0, 1] and data.notes == []


def test_no_mask_where_the_other_value_has_a_meaning_or_there_are_more_classes(tmp_path):
    make(tmp_path / "void", {"a": [[0, 2]]}, "background\nobject\nvoid\n")
    assert read(tmp_path / "void") == {"a": [[0, VOID]]}
    make(tmp_path / "three", {"a": [[0, 255]]}, "background\nobject\nthird\n")
    assert read(tmp_path / "three") == {"a": [[0, VOID]]}
    make(tmp_path / "void is 0", {"a": [[0, 255]]}, "void\nbackground\nobject\n")
    assert read(tmp_path / "void is 0") == {"a": [[VOID, VOID]]}


def test_a_third_value_is_named(tmp_path):
    make(tmp_path, {"a": [[0, 255]], "b": [[0, 254, 255]]})
    assert open_dataset(tmp_path, "train")[0][1].tolist() == [[0, VOID]]
    with pytest.raises(InputError, match=r"b.png: value 254 at 1 pixel, first at row 0, column 1: expected 0 to 1"):
        open_dataset(tmp_path, "train")[1]


def test_masks_in_every_mode(tmp_path):
    mask = np.array([[0, 255, 0]], np.uint8)
    images = {
        "grey": mask,
        "bits": Image.fromarray(mask > 0),
        "rgb": np.stack([mask] * 3, axis=2),
        "rgba": np.stack([mask, mask, mask, mask * 0 + 255], axis=2),
        "palette": paletted([[0, 255, 0]], [(0, 0, 0)] * 255 + [(255, 255, 255)]),
        "deep": Image.fromarray(mask.astype(np.uint16)),
    }
    for name, image in images.items():
        make(tmp_path / name, {"a": image})
        assert read(tmp_path / name) == {"a": [[0, 1, 0]]}, name
    make(tmp_path / "all", images)
    assert set(map(str, read(tmp_path / "all").values())) == {"[[0, 1, 0]]"}


def test_bits_by_a_coding_whose_second_class_is_255(tmp_path):
    """As predict --compare reads them for a network that learnt from masks of 0 and 255."""
    Image.fromarray(np.array([[False, True]])).save(tmp_path / "a.png")
    coding = LabelCoding(["background", *["void"] * 254, "object"])
    assert coding.read(tmp_path / "a.png")[0].tolist() == [[0, 1]]


def test_a_mask_of_16_bits_is_refused(tmp_path, capsys):
    make(tmp_path, {"a": Image.fromarray(np.array([[0, 65535]], np.uint16))})
    status, out = checked(capsys, tmp_path)
    assert status == 1 and "a.png: value 65535 at 1 pixel" in out and "save it with 8 bits, a mask as 0 and 255" in out


def test_bits_beside_values_of_0_and_1_are_0_and_1(tmp_path):
    make(tmp_path, {"a": Image.fromarray(np.array([[False, True]])), "b": [[0, 1]]})
    assert read(tmp_path) == {"a": [[0, 1]], "b": [[0, 1]]}
    assert open_dataset(tmp_path, "train").notes == []


def test_a_set_of_0_and_1_is_known_from_its_first_file(tmp_path, monkeypatch):
    make(tmp_path, {"a": [[0, 0]], "b": [[0, 1]], **{f"c{i}": [[0, 1]] for i in range(5)}})
    opened = []
    monkeypatch.setattr(labels, "decode", lambda path, what: opened.append(path.name) or decode(path, what))
    open_dataset(tmp_path, "train")
    assert opened == ["a.png", "b.png"]


def test_pictures_in_no_list_have_no_say(tmp_path):
    make(tmp_path, {"a": [[0, 255]], "b": [[0, 1]]})
    (tmp_path / "train.txt").write_text("a\n")
    assert read(tmp_path) == {"a": [[0, 1]]}


def test_files_that_cannot_be_read_do_not_stop_the_decision(tmp_path, capsys):
    make(tmp_path, {"a": [[0, 255]], "b": [[0, 255]], "c": [[0, 255]]})
    (tmp_path / "labels" / "b.png").write_bytes(b"nothing")
    (tmp_path / "labels" / "c.png").unlink()
    assert open_dataset(tmp_path, "train")[0][1].tolist() == [[0, 1]]
    status, out = checked(capsys, tmp_path)
    assert status == 1 and "b.png: unreadable" in out and "c.png: this label picture is missing" in out


def test_a_label_file_that_is_too_large_does_not_stop_the_decision(tmp_path, monkeypatch):
    make(tmp_path, {"a": [[0, 255]], "b": np.zeros((9, 9))})
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 20)
    data = open_dataset(tmp_path, "train")
    assert data[0][1].tolist() == [[0, 1]]
    with pytest.raises(InputError, match=r"b.jpg: this picture has more than 20 pixels"):
        data[1]


def test_a_palette_of_greys_goes_by_grey_colours_too(tmp_path):
    ramp = Image.fromarray(np.array([[0, 128]], np.uint8)).convert("P")
    make(tmp_path, {"a": [[0, 128]], "b": ramp}, "background 0 0 0\nobject 128 128 128\n")
    assert read(tmp_path) == {"a": [[0, 1]], "b": [[0, 1]]}


def test_a_changed_file_is_seen(tmp_path):
    make(tmp_path, {"a": [[0, 255]]})
    assert read(tmp_path) == {"a": [[0, 1]]}
    make(tmp_path, {"a": [[0, 255]], "b": [[0, 1]]})
    assert read(tmp_path) == {"a": [[0, VOID]], "b": [[0, 1]]}


# --- grey values that are colours ---

GREYS = "road 128 128 128\ncar 255 0 0\nnothing 0 0 0\n"


def test_grey_files_go_by_grey_colours(tmp_path):
    make(tmp_path, {"a": [[0, 128]], "b": [[0, 0]], "v": [[128, 128]]}, GREYS)
    assert read(tmp_path) == {"a": [[2, 0]], "b": [[2, 2]]} and read(tmp_path, "val") == {"v": [[0, 0]]}
    assert "grey colours, not as their numbers" in open_dataset(tmp_path, "val").notes[0]


def test_values_of_the_files_are_the_greys(tmp_path):
    make(tmp_path, {"a": [[0, 255, 128]]}, "white 255 255 255\nblack 0 0 0\nvoid 128 128 128\n")
    assert read(tmp_path) == {"a": [[1, 0, VOID]]} and open_dataset(tmp_path, "train").values == [255, 0]


def test_white_first_in_two_classes_and_bits(tmp_path):
    """255 is the object by its colour, though a mask of two classes would have it as the second one."""
    images = {"a": [[0, 255]], "b": Image.fromarray(np.array([[True, False]]))}
    make(tmp_path, images, "object 255 255 255\nbackground 0 0 0\n")
    assert read(tmp_path) == {"a": [[1, 0]], "b": [[0, 1]]}


def test_grey_files_beside_rgb_files_go_by_colour(tmp_path):
    """A black mask that a tool saved as grey: 0 is the colour black there, the third class, not the first."""
    coloured = np.array([[(255, 0, 0), (0, 0, 0)]], np.uint8)
    make(tmp_path, {"a": coloured, "b": [[0, 0]]}, GREYS)
    assert read(tmp_path) == {"a": [[1, 2]], "b": [[2, 2]]}


def test_grey_files_beside_paletted_ones_hold_numbers(tmp_path):
    make(tmp_path, {"a": paletted([[0, 1]], [(128, 128, 128), (255, 0, 0)]), "b": [[0, 0]]}, GREYS)
    assert read(tmp_path) == {"a": [[0, 1]], "b": [[0, 0]]}


def test_numbers_stay_numbers(tmp_path):
    make(tmp_path, {"a": [[0, 1, 2, 255]], "b": [[0, 0]]}, GREYS)
    assert read(tmp_path) == {"a": [[0, 1, 2, VOID]], "b": [[0, 0]]}
    assert open_dataset(tmp_path, "train").notes == []


def test_a_grey_that_is_listed_is_not_advised_to_be_listed(tmp_path):
    make(tmp_path, {"a": [[0, 128]], "b": [[1, 1]]}, GREYS)
    with pytest.raises(InputError, match=r"a.png: value 128") as caught:
        open_dataset(tmp_path, "train")[0]
    assert "list its class" not in str(caught.value) and "must list all values or all colours" in str(caught.value)


# --- palettes ---

RED, GREEN, BLACK = (255, 0, 0), (0, 255, 0), (0, 0, 0)


def test_palettes_that_disagree_are_named_with_both_files(tmp_path, capsys):
    good, turned = paletted([[0, 1]], [BLACK, RED]), paletted([[0, 1]], [RED, BLACK])
    make(tmp_path, {"a": good, "b": good, "c": turned})
    status, out = checked(capsys, tmp_path)
    first, other = (tmp_path / "labels" / name for name in ("a.png", "c.png"))
    assert status == 1 and f"{other}: index 0 has the colour (255, 0, 0), in {first} (0, 0, 0)" in out


def test_palettes_of_two_splits_disagree(tmp_path, capsys):
    make(tmp_path, {"a": paletted([[0, 1]], [BLACK, RED]), "v": paletted([[0, 1]], [RED, BLACK])})
    status, out = checked(capsys, tmp_path)
    assert status == 1 and "bad: val: " in out and "v.png: index 0 has the colour" in out


def test_one_file_in_one_colour_alone(tmp_path, capsys):
    """Pillow's quantize writes a palette of the colours that are used: here index 0 is red, elsewhere black."""
    mask = Image.fromarray(np.full((3, 4, 3), RED, np.uint8)).quantize(2)
    make(tmp_path, {"a": paletted([[0, 1]], [BLACK, RED]), "b": mask})
    status, out = checked(capsys, tmp_path)
    assert status == 1 and "b.png: index 0 has the colour (255, 0, 0)" in out


def test_a_palette_of_black_alone(tmp_path, capsys):
    make(tmp_path, {"a": paletted([[0, 0]], [BLACK]), "b": paletted([[0, 1]], [RED, BLACK])})
    status, out = checked(capsys, tmp_path)
    assert status == 1 and "b.png: index 0 has the colour (255, 0, 0)" in out


def test_palettes_that_agree_where_they_are_used(tmp_path, capsys):
    ramp = Image.fromarray(np.array([[0, 1, 1]], np.uint8)).convert("P")  # greys, which nobody chose
    long, short = paletted([[0, 1, 255]], [BLACK, RED, GREEN] * 85 + [GREEN]), paletted([[0, 0, 1]], [BLACK, RED])
    make(tmp_path, {"a": ramp, "b": long, "c": short, "v": ramp})
    assert checked(capsys, tmp_path)[0] == 0
    assert read(tmp_path) == {"a": [[0, 1, 1]], "b": [[0, 1, VOID]], "c": [[0, 0, 1]]}


# --- compression with loss ---


def refused(path):
    with pytest.raises(InputError) as caught:
        LabelCoding(["a", "b"]).read(path)
    return str(caught.value)


@pytest.mark.parametrize("kind", ["JPEG", "WEBP"])
def test_lossy_files_under_the_name_png_are_refused(tmp_path, kind):
    Image.fromarray(np.zeros((16, 16), np.uint8)).convert("RGB").save(tmp_path / "a.png", kind)
    expected = f"a.png: labels in a {kind} file, which blurs their values; export them again as PNG, or: python"
    assert expected in refused(tmp_path / "a.png")


def test_tiff_by_its_compression(tmp_path):
    image = Image.fromarray(np.eye(16, dtype=np.uint8))
    image.save(tmp_path / "a.png", "TIFF", compression="jpeg")
    assert "labels in a TIFF file" in refused(tmp_path / "a.png")
    for compression in ("raw", "tiff_lzw", "tiff_adobe_deflate", "packbits"):
        image.save(tmp_path / "b.png", "TIFF", compression=compression)
        np.testing.assert_array_equal(LabelCoding(["a", "b"]).read(tmp_path / "b.png")[0], np.eye(16))


def test_other_lossless_files_under_the_name_png(tmp_path):
    for kind in ("BMP", "GIF", "PPM"):
        Image.fromarray(np.eye(16, dtype=np.uint8)).save(tmp_path / "a.png", kind)
        np.testing.assert_array_equal(LabelCoding(["a", "b"]).read(tmp_path / "a.png")[0], np.eye(16))
