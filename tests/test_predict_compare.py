"""Predictions carry the label values of the set that was learnt; --compare and --page show them beside the truth."""

import re
from pathlib import Path

import numpy as np
import pytest
from commands import predict
from PIL import Image
from small_checkpoint import PALETTE, make_checkpoint
from small_data import CLASSES, draw, exit_status, fails

from minifcn import figures, gallery
from minifcn.datasets.labels import LabelCoding
from minifcn.figures import VOID_COLOUR
from minifcn.training.evaluation import load
from minifcn.training.evaluation import predict as classes_of

pytestmark = pytest.mark.usefixtures("tiny_trunk")

VALUES = {  # the entries of a set's classes.txt -> the values of its classes
    ("void", *CLASSES): [1, 2, 3],
    ("ground", "void", "square", "disc"): [0, 2, 3],
    (*CLASSES, "void"): [0, 1, 2],
}


def make(folder, values=None, name="fcn8s", classes=CLASSES, title="best", **more):
    more |= {} if values is None else {"values": values}
    return make_checkpoint(folder / f"{title}.safetensors", name, classes=classes, **more)


def pictures(folder, count=2):
    """Pictures and their labels as class ids, 255 for void, of different sizes."""
    (folder / "images").mkdir()
    examples = [draw(i, 30, 40 + i) for i in range(count)]
    for i, (picture, _) in enumerate(examples):
        Image.fromarray(picture).save(folder / "images" / f"{i}.png")
    return examples


def write_labels(folder, examples, values, void=255):
    table = np.full(256, void, np.uint8)
    table[: len(values)] = values
    folder.mkdir()
    for i, (_, labels) in enumerate(examples):
        Image.fromarray(table[labels]).save(folder / f"{i}.png")


@pytest.mark.parametrize("entries, values", VALUES.items())
def test_predictions_have_the_values_of_the_set(entries, values, tmp_path):
    path, coding = make(tmp_path, values), LabelCoding(entries)
    examples = pictures(tmp_path)
    assert exit_status(predict.main, path, tmp_path / "images", "--out", tmp_path / "out") == 0
    for i, (picture, _) in enumerate(examples):
        expected = classes_of(load(path), picture)
        np.testing.assert_array_equal(coding.read(tmp_path / "out" / f"{i}.png")[0], expected)
        with Image.open(tmp_path / "out" / f"{i}.png") as mask:
            colours = np.reshape(mask.getpalette(), (256, 3))
            np.testing.assert_array_equal(np.array(mask), np.array(values)[expected])
        assert colours[values].tolist() == PALETTE and tuple(colours[255]) == VOID_COLOUR


def test_masks_of_0_and_another_value_stay_such(tmp_path):
    """As in the set: 255 is then a class, and its pixels are read as one."""
    pictures(tmp_path)
    for high in (255, 7):
        Image.fromarray(np.array([[0, high]], np.uint8)).save(tmp_path / "label.png")
        coding = LabelCoding(("ground", "crack"), files=[(tmp_path / "images" / "0.png", tmp_path / "label.png")])
        path = make(tmp_path, coding.values, classes=coding.classes, palette=PALETTE[:2])
        assert exit_status(predict.main, path, tmp_path / "images", "--out", tmp_path / "out") == 0
        with Image.open(tmp_path / "out" / "0.png") as mask, Image.open(tmp_path / "images" / "0.png") as picture:
            assert np.unique(mask).tolist() == [0, high]
            expected = classes_of(load(path), np.array(picture))
        np.testing.assert_array_equal(coding.read(tmp_path / "out" / "0.png")[0], expected)


def test_checkpoints_of_before_have_the_class_ids(tmp_path):
    masks = []
    for title, values in (("old", None), ("new", [0, 1, 2])):
        path = make(tmp_path, values, title=title)
        if not masks:
            pictures(tmp_path, 1)
        assert exit_status(predict.main, path, tmp_path / "images", "--out", tmp_path / title) == 0
        with Image.open(tmp_path / title / "0.png") as mask:
            masks.append((mask.getpalette(), np.array(mask).tolist()))
    assert masks[0] == masks[1]


# --- compare ---


@pytest.mark.parametrize("values", [None, [1, 2, 3], [5, 7, 200], [0, 1, 255]])
@pytest.mark.parametrize("one", [False, True])
def test_compare(values, one, tmp_path, monkeypatch, capsys):
    """The truth is read with the values of the set; what is no class there is void."""
    drawn, path, examples = [], make(tmp_path, values), pictures(tmp_path)
    write_labels(tmp_path / "labels", examples, values or [0, 1, 2], void=9)
    monkeypatch.setattr(figures, "compare", lambda path, examples, *rest: drawn.append((*examples[0], *rest)))
    given = [tmp_path / "images" / "1.png", "--compare", tmp_path / "labels" / "1.png"]
    given = given if one else [tmp_path / "images", "--compare", tmp_path / "labels"]
    assert exit_status(predict.main, path, *given, "--out", tmp_path / "out") == 0
    assert len(drawn) == 1 if one else 2
    for (picture, labels), (seen, truth, found, classes, palette, _) in zip(examples[one:], drawn, strict=True):
        np.testing.assert_array_equal(seen, picture)
        np.testing.assert_array_equal(truth, labels)
        np.testing.assert_array_equal(found, classes_of(load(path), picture))
        assert classes == list(CLASSES) and palette.tolist() == PALETTE
    assert str(tmp_path / "out" / "1_compare.png") in capsys.readouterr().out


def test_classes_whose_names_say_void_stay_classes(tmp_path, monkeypatch):
    """In checkpoints of before they may be."""
    drawn, path, examples = [], make(tmp_path, classes=("Unlabeled", "void", "disc")), pictures(tmp_path)
    write_labels(tmp_path / "labels", examples, [0, 1, 2])
    monkeypatch.setattr(figures, "compare", lambda path, examples, *_: drawn.append(examples[0][1]))
    given = [tmp_path / "images", "--compare", tmp_path / "labels", "--out", tmp_path / "out"]
    assert exit_status(predict.main, path, *given) == 0
    for (_, labels), truth in zip(examples, drawn, strict=True):
        np.testing.assert_array_equal(truth, labels)


def test_rgb_labels_are_read_by_the_colours_of_the_classes(tmp_path, monkeypatch):
    drawn, path, examples = [], make(tmp_path, [0, 2, 3]), pictures(tmp_path)
    (tmp_path / "labels").mkdir()
    for i, (_, labels) in enumerate(examples):
        Image.fromarray(np.array(PALETTE, np.uint8)[labels % 3]).save(tmp_path / "labels" / f"{i}.png")
    monkeypatch.setattr(figures, "compare", lambda path, examples, *_: drawn.append(examples[0][1]))
    given = [tmp_path / "images", "--compare", tmp_path / "labels", "--out", tmp_path / "out"]
    assert exit_status(predict.main, path, *given) == 0
    for (_, labels), truth in zip(examples, drawn, strict=True):
        np.testing.assert_array_equal(truth, labels % 3)


def test_labels_of_turned_pictures_are_read_as_all_of_them_say(tmp_path, monkeypatch):
    """As the set's own are: where the size tells nothing, those whose size tells decide."""
    drawn, path, exif = [], make(tmp_path), Image.Exif()
    (tmp_path / "images").mkdir()
    for i, (H, W) in enumerate([(32, 32), (30, 40)]):
        picture, labels = draw(i, H, W)
        exif[0x0112] = 6  # the stored picture must be turned clockwise to be upright
        Image.fromarray(picture).save(tmp_path / "images" / f"{i}.png", exif=exif)
        write = tmp_path / "labels" / f"{i}.png"
        write.parent.mkdir(exist_ok=True)
        Image.fromarray(labels).save(write)
        drawn.append(np.rot90(labels, -1))
    seen = []
    monkeypatch.setattr(figures, "compare", lambda path, examples, *_: seen.append(examples[0][1]))
    given = [tmp_path / "images", "--compare", tmp_path / "labels", "--out", tmp_path / "out"]
    assert exit_status(predict.main, path, *given) == 0
    for expected, truth in zip(drawn, seen, strict=True):
        np.testing.assert_array_equal(truth, expected)


def test_labels_that_lack_or_do_not_fit(tmp_path, capsys):
    path, examples = make(tmp_path), pictures(tmp_path, 3)
    write_labels(tmp_path / "labels", examples, [0, 1, 2])
    given = [path, tmp_path / "images", "--out", tmp_path / "out", "--compare"]
    assert "no label file such as" in fails(capsys, predict.main, *given, tmp_path / "nowhere")
    assert "or the only one" in fails(capsys, predict.main, *given, tmp_path / "labels" / "1.png")
    assert not (tmp_path / "out").exists()
    (tmp_path / "labels" / "0.png").unlink()
    Image.fromarray(examples[0][1]).save(tmp_path / "labels" / "2.png")  # of another size
    assert exit_status(predict.main, *given, tmp_path / "labels") == 1
    err = capsys.readouterr().err.splitlines()
    assert err[0] == f"not compared: 1 pictures without a label file in {tmp_path / 'labels'}"
    assert err[1].startswith(f"error: {tmp_path / 'images' / '2.png'}: {tmp_path / 'labels' / '2.png'}: 40 x 30 pixels")
    assert sorted(p.name for p in (tmp_path / "out").iterdir()) == [
        "0.png", "0_overlay.png", "1.png", "1_compare.png", "1_overlay.png",
    ]  # fmt: skip


# --- the page ---


def test_page(tmp_path, monkeypatch, capsys):
    """Every network's labels of every picture, the main one's last; masks on disk are those of the main one."""
    written = {}

    def write(path, entries, classes, palette):
        written[path] = list(entries), classes, palette.tolist()
        path.write_text("")

    monkeypatch.setattr(gallery, "write", write)
    paths = [make(tmp_path, name=name, title=name) for name in ("fcn32s", "fcn16s", "fcn8s")]
    examples = pictures(tmp_path)
    write_labels(tmp_path / "labels", examples[:1], [0, 1, 2])
    given = [paths[2], tmp_path / "images", "--out", tmp_path / "out"]
    for path in (paths[2], *paths[:2]):  # also the main one, by mistake
        given += ["--also", path]
    assert exit_status(predict.main, *given, "--page", "--compare", tmp_path / "labels") == 0
    [(page, (entries, classes, palette))] = written.items()
    assert page == tmp_path / "out" / "gallery.html" and classes == list(CLASSES) and palette == PALETTE
    assert capsys.readouterr().out.splitlines()[-1] == f"wrote {page}"
    for i, ((picture, labels), (name, seen, found, truth)) in enumerate(zip(examples, entries, strict=True)):
        assert name == f"{i}.png" and list(found) == list(map(str, paths))
        np.testing.assert_array_equal(seen, picture)
        for path in paths:
            np.testing.assert_array_equal(found[str(path)], classes_of(load(path), picture))
        with Image.open(tmp_path / "out" / f"{i}.png") as mask:
            np.testing.assert_array_equal(np.array(mask), found[str(paths[2])])
        assert (i == 1 and truth is None) or (truth == labels).all()


def test_the_real_page_and_a_network_beside(tmp_path):
    path, examples = make(tmp_path), pictures(tmp_path)
    write_labels(tmp_path / "labels", examples, [0, 1, 2])
    given = [path, tmp_path / "images", "--page", "--compare", tmp_path / "labels", "--out", tmp_path / "out"]
    assert exit_status(predict.main, *given) == 0
    page = (tmp_path / "out" / "gallery.html").read_text(encoding="utf-8")
    assert len(re.findall("<article", page)) == 2 and all(name in page for name in CLASSES)
    with Image.open(tmp_path / "out" / "1_compare.png") as drawn:
        assert drawn.width > 4 * 40


def test_other_networks_must_know_the_same_classes(tmp_path, capsys):
    path, other = make(tmp_path), make(tmp_path, classes=("ground", "square", "ball"), title="other")
    pictures(tmp_path)
    line = fails(capsys, predict.main, path, tmp_path / "images", "--also", other, "--out", tmp_path / "out")
    assert line.startswith(f"error: {other}: trained on 3 classes (ground, square, ball), but {path} has 3 classes (")
    assert "camvid" in fails(capsys, predict.main, path, tmp_path / "images", "--also", "camvid")
    assert not Path(tmp_path / "out").exists()
