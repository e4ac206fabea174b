"""predict writes what the network says: values, colours, overlays; preprocessing and classes are the checkpoint's."""

import io

import numpy as np
import pytest
from commands import predict
from PIL import Image
from small_checkpoint import CAFFE, IMAGENET, PALETTE, assert_predicted, make_checkpoint
from small_data import CLASSES, draw, exit_status

from minifcn.figures import VOID_COLOUR, overlay

pytestmark = pytest.mark.usefixtures("tiny_trunk")


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    return make_checkpoint(tmp_path_factory.mktemp("checkpoint") / "best.safetensors")


def turned_by_exif(folder):
    picture = draw(3, 21, 34)[0]
    exif = Image.Exif()
    exif[0x0112] = 6  # the stored picture must be turned clockwise to be upright
    Image.fromarray(picture).save(folder / "phone.png", exif=exif)
    return folder / "phone.png", np.rot90(picture, -1)


def grey(folder):
    picture = draw(4, 40, 33)[0][..., 0]
    Image.fromarray(picture).save(folder / "grey.bmp")
    return folder / "grey.bmp", np.repeat(picture[..., None], 3, axis=2)


def transparent(folder):
    picture = draw(5, 19, 50)[0]
    alpha = np.full(picture.shape[:2], 255, np.uint8)
    alpha[:, :9] = 0
    Image.fromarray(np.dstack([picture, alpha])).save(folder / "logo.png")
    shown = picture.copy()
    shown[:, :9] = 255  # on white
    return folder / "logo.png", shown


def odd(folder):
    picture = draw(6, 37, 61)[0]
    Image.fromarray(picture).save(folder / "odd.tif")
    return folder / "odd.tif", picture


@pytest.mark.parametrize("make", [turned_by_exif, grey, transparent, odd])
def test_pictures_of_every_kind(make, path, tmp_path, capsys):
    source, shown = make(tmp_path)
    out = tmp_path / "deep" / "out"
    assert exit_status(predict.main, path, source, "--out", out) == 0
    mask, blend = out / f"{source.stem}.png", out / f"{source.stem}_overlay.png"
    assert sorted(out.iterdir()) == [mask, blend]
    with Image.open(mask) as image:
        assert image.mode == "P"
        colours = np.reshape(image.getpalette(), (256, 3))
        assert colours[:3].tolist() == PALETTE and tuple(colours[255]) == VOID_COLOUR
        labels = np.array(image)
    assert_predicted(labels, path, shown)
    with Image.open(blend) as image:
        assert image.mode == "RGB"
        (H, W), left = labels.shape, (image.width - labels.shape[1]) // 2  # the legend below may be wider
        drawn = np.array(image)[:H, left : left + W]
    np.testing.assert_array_equal(drawn, overlay(shown, labels, CLASSES, np.array(PALETTE, np.uint8)))
    line = capsys.readouterr().out
    assert line.startswith(f"{source}: ") and " s, " in line and line.rstrip().endswith(f"{mask}, {blend}")
    assert all((name in line) == (label in labels) for label, name in enumerate(CLASSES))


def test_the_smallest_picture(path, tmp_path):
    Image.fromarray(np.full((1, 1, 3), 9, np.uint8)).save(tmp_path / "dot.png")
    assert exit_status(predict.main, path, tmp_path / "dot.png", "--out", tmp_path / "out") == 0
    with Image.open(tmp_path / "out" / "dot.png") as image:
        assert image.size == (1, 1) and image.mode == "P"


def test_several_pictures_in_one_call(path, tmp_path, capsys):
    sources = [make(tmp_path)[0] for make in (grey, odd, transparent)]
    assert exit_status(predict.main, path, *sources, "--out", tmp_path / "out") == 0
    assert len(capsys.readouterr().out.splitlines()) == 3
    assert len(list((tmp_path / "out").iterdir())) == 6


def test_preprocessing_comes_from_the_checkpoint(tmp_path):
    picture = draw(8, 30, 44)[0]
    Image.fromarray(picture).save(tmp_path / "picture.png")
    found = {}
    for kind, preprocessing in (("imagenet", IMAGENET), ("caffe", CAFFE)):
        path = make_checkpoint(tmp_path / kind, preprocessing=preprocessing)
        assert exit_status(predict.main, path, tmp_path / "picture.png", "--out", tmp_path / f"{kind} out") == 0
        with Image.open(tmp_path / f"{kind} out" / "picture.png") as image:
            found[kind] = np.array(image)
        assert_predicted(found[kind], path, picture)
    assert (found["imagenet"] != found["caffe"]).any()


def test_names_that_the_terminal_cannot_show(tmp_path, monkeypatch):
    """Written out as escapes, rather than an error after all the work."""
    path = make_checkpoint(tmp_path / "best", classes=("水", "土", "火"))
    Image.fromarray(draw(8, 30, 44)[0]).save(tmp_path / "picture.png")
    said = io.TextIOWrapper(io.BytesIO(), encoding="ascii")
    monkeypatch.setattr("sys.stdout", said)
    assert exit_status(predict.main, path, tmp_path / "picture.png", "--out", tmp_path / "out") == 0
    said.seek(0)
    assert "\\u6c34" in said.read()
