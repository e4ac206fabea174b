"""Files named as pictures that are something else: one line, and none hangs, starts a program or fills memory."""

import io
import os
import re
from pathlib import Path

import numpy as np
import pytest
from helpers import less_than
from own_set import checked, make
from PIL import EpsImagePlugin, Image, ImageFile
from PIL.PngImagePlugin import PngInfo
from small_data import fails, make_pictures, zipped

import minifcn
from minifcn import import_labels
from minifcn.datasets import labels as labels_module
from minifcn.datasets import pictures
from minifcn.datasets.classes import read_classes
from minifcn.datasets.classification import Pictures
from minifcn.datasets.labels import LabelCoding
from minifcn.datasets.pictures import FORMATS, read_picture
from minifcn.errors import InputError

POSTSCRIPT = b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 8 8\n%%EndComments\n8 8 moveto showpage\n%%EOF\n"
ALLOWED = {"PNG", "JPEG", "MPO", "TIFF", "WEBP", "BMP", "GIF", "PPM"}


@pytest.fixture
def no_ghostscript(monkeypatch):
    """Neither the program nor the plugin that would start it is reached."""

    def reached(*_, **__):
        pytest.fail("PostScript was opened")

    monkeypatch.setattr(EpsImagePlugin, "Ghostscript", reached)
    monkeypatch.setattr(EpsImagePlugin.EpsImageFile, "_open", reached)


def test_every_call_of_pillows_open_names_its_formats():
    root = Path(minifcn.__file__).parent
    calls = [call for path in root.rglob("*.py") for call in re.findall(r"Image\.open\(.*", path.read_text())]
    assert len(calls) > 2 and all("formats=" in call for call in calls)


def test_the_formats_that_are_read(tmp_path):
    """MPO, which phones write, comes through JPEG's door."""
    Image.init()
    assert {*FORMATS} | {"MPO"} == ALLOWED
    pixels = np.full((8, 9, 3), 77, np.uint8)
    for kind in Image.SAVE.keys() - {"SPIDER"}:  # which takes .png for itself from then on
        path = tmp_path / f"{kind}.png"
        try:
            Image.fromarray(pixels).save(path, kind, **({"save_all": True} if kind == "MPO" else {}))
        except Exception:  # not all kinds take colours, or can be written here
            continue
        if kind in ALLOWED:
            assert read_picture(path).shape == (8, 9, 3), kind
        elif kind != "DIB":
            with pytest.raises(InputError, match=rf"{kind}.png: unreadable picture \(cannot identify"):
                read_picture(path)


def test_two_pictures_in_one_file_of_a_phone(tmp_path):
    first = Image.new("RGB", (6, 4), "red")
    first.save(tmp_path / "a.jpg", "MPO", save_all=True, append_images=[Image.new("RGB", (6, 4), "blue")])
    with Image.open(tmp_path / "a.jpg") as image:
        assert image.format == "MPO"
    assert read_picture(tmp_path / "a.jpg")[0, 0, 0] > 250


def test_postscript_is_never_opened(tmp_path, no_ghostscript, capsys):
    """As a picture, as labels, as a picture in a zip, in all commands."""
    root = make(tmp_path / "set", {"a": [[0, 1]], "b": [[1, 0]]}, extension="png")
    (root / "images" / "a.png").write_bytes(POSTSCRIPT)
    (root / "labels" / "b.png").write_bytes(POSTSCRIPT)
    status, out = checked(capsys, root)
    assert status == 1
    assert "a.png: unreadable picture (cannot identify image file); save or copy it again" in out
    assert "b.png: unreadable label picture (cannot identify image file)" in out
    raw = tmp_path / "raw"
    (raw / "masks").mkdir(parents=True)
    (raw / "a.png").write_bytes(POSTSCRIPT)
    (raw / "masks" / "a.png").write_bytes(POSTSCRIPT)
    assert "cannot identify image file" in fails(capsys, import_labels.main, raw, "--out", tmp_path / "out")
    classified = make_pictures(tmp_path / "classified")
    (classified / "train" / "blue" / "train_00.png").write_bytes(POSTSCRIPT)
    for where in (classified, zipped(classified, tmp_path / "classified.zip")):
        with pytest.raises(InputError, match=r"train_00.png: unreadable picture \(cannot identify"):
            Pictures(where, "train")[0]


def test_texts_in_a_png_are_unpacked_to_a_bound(tmp_path):
    """Pillow's own bound, a megabyte each, holds in the chunks of texts and of colour profiles."""
    texts = PngInfo()
    texts.add_text("a", "x" * 2**26, zip=True)
    path = tmp_path / "a.png"
    Image.new("RGB", (4, 4)).save(path, pnginfo=texts)
    with less_than(2**24), pytest.raises(InputError, match=r"a.png: unreadable picture \(.*too large"):
        read_picture(path)
    Image.new("RGB", (4, 4)).save(path, icc_profile=bytes(2**26))
    with less_than(2**24), pytest.raises(InputError, match=r"a.png: unreadable picture \(.*too large"):
        read_picture(path)


# --- pipes and devices ---

posix = pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no pipes with names here")


@posix
@pytest.mark.parametrize("kind", ["pipe", "device"])
@pytest.mark.parametrize("where", ["images/a.jpg", "labels/a.png", "classes.txt", "train.txt"])
def test_what_is_no_regular_file_is_not_waited_for(tmp_path, where, kind, capsys):
    """Missing, or one line; never read: nothing would come out of a pipe, and no end of a device."""
    root = make(tmp_path, {"a": [[0, 1]], "b": [[1, 0]]})
    (root / where).unlink()
    if kind == "pipe":
        os.mkfifo(root / where)
    else:
        (root / where).symlink_to("/dev/zero")
    try:
        status, out = checked(capsys, root)
        assert where.split("/")[-1] in out and status == (where != "train.txt")  # not there as a list: a note
    except InputError as error:
        assert where.split("/")[-1] in str(error) and "\n" not in str(error)


@posix
def test_pipes_in_every_other_place(tmp_path):
    os.mkfifo(tmp_path / "a.png")
    for read in (read_picture, LabelCoding(["a"]).read, read_classes):
        with pytest.raises(InputError, match=r"a.png: unreadable .* \(a folder, pipe or device\)"):
            read(tmp_path / "a.png")
    coding = LabelCoding(["a", "b"], files=[(tmp_path / "a.png", tmp_path / "a.png")])
    assert coding.drawn_as_stored is False  # both open files of the set to decide
    root = make_pictures(tmp_path / "set")
    (root / "train" / "blue" / "train_00.png").unlink()
    os.mkfifo(root / "train" / "blue" / "train_00.png")
    with pytest.raises(InputError, match=r"train_00.png: unreadable file \(a folder, pipe or device\)"):
        Pictures(root, "train")[0]


# --- memory ---


def test_too_little_memory_names_the_file_and_the_others_are_checked(tmp_path, capsys, monkeypatch):
    root, load = make(tmp_path, {name: [[0, 1]] for name in "abcd"}), ImageFile.ImageFile.load

    def fail_at_a(image):
        if "a.jpg" in str(image.filename):
            raise MemoryError
        return load(image)

    monkeypatch.setattr(ImageFile.ImageFile, "load", fail_at_a)
    status, out = checked(capsys, root)
    assert status == 1
    told = "this picture has more than 89,478,485 pixels, or too many for the memory; scale it"
    assert f"bad: train: {root / 'images' / 'a.jpg'}: {told}" in out
    assert out.splitlines()[-1] == "1 bad"


def test_too_little_memory_after_decoding(tmp_path, capsys, monkeypatch):
    root, pixels_of = make(tmp_path, {name: [[0, 1]] for name in "abcd"}), pictures.pixels_of

    def fail_at_b(path, image):
        if path.name == "b.jpg":
            raise MemoryError
        return pixels_of(path, image)

    monkeypatch.setattr(labels_module, "pixels_of", fail_at_b)
    status, out = checked(capsys, root)
    assert status == 1 and out.splitlines()[-1] == "1 bad"
    assert "bad: train: b: too little memory for this picture; scale it down or cut it into parts" in out


def test_pictures_that_are_too_large_are_not_made_again_without_exif(tmp_path):
    """A file of nothing that Pillow knows, without an end as far as memory goes."""
    with (tmp_path / "a.png").open("wb") as file:
        file.truncate(2**40)
    with less_than(2**23), pytest.raises(InputError, match=r"a.png: unreadable picture \(over 268,435,456 bytes"):
        read_picture(tmp_path / "a.png")


def test_a_wrong_value_all_over_a_large_file(tmp_path):
    """Where each value is first costs no index of every pixel."""
    Image.fromarray(np.full((4000, 4000), 7, np.uint8)).save(tmp_path / "a.png")
    with less_than(10 * 4000 * 4000), pytest.raises(InputError, match="value 7 at 16000000 pixels, first at row 0"):
        LabelCoding(["a", "b"]).read(tmp_path / "a.png")


def test_what_decoders_say_is_cut(tmp_path):
    """A message may repeat a file's content, and was searched in a time that grows with its square."""
    with pytest.raises(InputError) as raised, pictures.reading(tmp_path / "a.json", "JSON file"):
        raise KeyError(" '" * 10**6)
    assert len(str(raised.value)) < 6000


def test_a_file_in_memory_is_opened_without_damaged_exif(tmp_path):
    """As a file on the disk is."""
    stream = io.BytesIO()
    exif = Image.Exif()
    exif[0x0112] = 3
    Image.new("RGB", (4, 3), "red").save(stream, "PNG", exif=exif)
    content = bytearray(stream.getvalue())
    content[content.index(b"eXIf") + 4] ^= 85  # its checksum is wrong now
    assert read_picture("a.png", io.BytesIO(content)).shape == (3, 4, 3)


@pytest.mark.parametrize("mode", ["L", "RGB", "RGBA", "P", "LA", "CMYK", "I;16"])
def test_bytes_a_pixel(tmp_path, mode):
    """The decoded picture, of at most 4 (which Pillow has, unseen here), and 3 of RGB, and little more."""
    H, W = 3001, 2000
    grey = Image.new("I;16" if mode == "I;16" else "L", (W, H), 7)
    grey.convert(mode).save(tmp_path / ("a.jpg" if mode == "CMYK" else "a.png"))
    with less_than(8 * H * W + 2**24):
        assert read_picture(next(tmp_path.iterdir())).shape == (H, W, 3)


def test_rows_converted_piece_by_piece_are_those_of_the_whole():
    """Of every mode, at heights around that of a piece."""
    rng = np.random.default_rng(0)
    for H in (1, 255, 256, 257, 520):
        image = Image.fromarray(rng.integers(0, 256, (H, 9, 4), np.uint8), "RGBA")
        whole = Image.alpha_composite(Image.new("RGBA", image.size, "white"), image).convert("RGB")
        np.testing.assert_array_equal(pictures.pixels_of("a", image), whole)
        for mode in ("RGB", "L", "1", "CMYK", "YCbCr", "HSV"):
            other = image.convert("RGB").convert(mode)
            np.testing.assert_array_equal(pictures.pixels_of("a", other), other.convert("RGB"))
        values = rng.integers(0, 65536, (H, 9), np.uint16)
        expected = ((values.astype(int) * 255 + 32767) // 65535)[..., None].repeat(3, axis=2)
        np.testing.assert_array_equal(pictures.pixels_of("a", Image.fromarray(values)), expected)


@pytest.mark.parametrize("right", [True, False])
@pytest.mark.parametrize("mode", ["L", "P", "RGB"])
def test_bytes_a_pixel_of_labels(tmp_path, mode, right):
    """Grey, paletted, by colours; good, or wrong everywhere."""
    H, W = 3001, 2000
    Image.new("L", (W, H), 1 if right else 7).convert(mode).save(tmp_path / "a.png")
    coding = LabelCoding(["a", "b"], [(0, 0, 0), (1, 1, 1)]) if mode == "RGB" else LabelCoding(["a", "b"])
    with less_than(24 * H * W + 2**24):
        if right:
            assert (coding.read(tmp_path / "a.png")[0] == 1).all()
        else:
            with pytest.raises(InputError, match=f"at {H * W} pixels, first at row 0, column 0"):
                coding.read(tmp_path / "a.png")


def test_a_large_webp_is_refused_before_it_is_decoded(tmp_path, monkeypatch):
    """Pillow would hold four copies of it."""
    Image.new("RGB", (6000, 6000)).save(tmp_path / "a.webp", "WEBP", quality=1, method=0)
    monkeypatch.setattr(ImageFile.ImageFile, "load", lambda _: pytest.fail("decoded"))
    with pytest.raises(InputError, match=r"a.webp: unreadable picture \(WebP of more than 33,554,432 pixels, .*PNG"):
        read_picture(tmp_path / "a.webp")


def test_a_picture_with_a_palette_that_is_missing(tmp_path):
    """A damaged TIFF may have indices and no palette: Pillow's own question about transparency breaks down there."""
    image = Image.new("P", (4, 3))
    image.palette = None
    assert pictures.pixels_of("a.tif", image).shape == (3, 4, 3)
