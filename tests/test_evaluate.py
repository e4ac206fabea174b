"""evaluate and predict say the same to the digit; each picture's score, the worst pictures, the confusion matrix."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from commands import evaluate, predict
from PIL import Image
from small_checkpoint import make_checkpoint
from small_data import CLASSES, draw, exit_status, fails, make_set

import minifcn as mf
from minifcn import figures
from minifcn.datasets import open_dataset
from minifcn.files import MARK
from minifcn.metrics import ConfusionMatrix
from minifcn.models import Widths
from minifcn.training import evaluation

pytestmark = pytest.mark.usefixtures("tiny_trunk")

SPLITS = [("train", 2), ("test", 2)]
VOID_FIRST = "void 0 0 0\nground 10 20 30\nsquare 200 100 0\ndisc 0 90 180\n"
GREYS = "ground 20 20 20\nsquare 130 130 130\ndisc 240 240 240\n"


def relabelled(folder, classes, values):
    """A set whose label files hold these values instead of the classes'."""
    data = Path(make_set(folder, SPLITS, sizes=[(64, 80), (50, 40)]))
    (data / "classes.txt").write_text(classes)
    for path in (data / "labels").iterdir():
        with Image.open(path) as image:
            labels = np.array(image)
        Image.fromarray(np.array(values, np.uint8)[np.where(labels == 255, 3, labels)]).save(path)
    return data


def camvid(folder):
    for split in ("train", "test"):
        picture, labels = draw(5, 800, 960)
        for kind, x in ((split, picture), (f"{split}annot", np.where(labels == 255, 11, labels + 3))):
            (folder / kind).mkdir(parents=True)
            Image.fromarray(x).save(folder / kind / "a.png")
    return folder


SETS = {  # the values of the three classes and of void
    "plain": lambda folder: relabelled(folder, "\n".join(CLASSES), [0, 1, 2, 255]),
    "void is value 0": lambda folder: relabelled(folder, VOID_FIRST, [1, 2, 3, 0]),
    "masks of 0 and 255": lambda folder: relabelled(folder, "ground\nthing\n", [0, 255, 255, 0]),
    "grey colours": lambda folder: relabelled(folder, GREYS, [20, 130, 240, 255]),
    "camvid": camvid,
}


@pytest.mark.parametrize("side", [None, 45, 0])
@pytest.mark.parametrize("kind", SETS)
def test_the_scores_are_those_of_the_files_of_predict(kind, side, tmp_path):
    """predict's PNGs, read as label files of the set itself, counted against its labels."""
    folder = SETS[kind](tmp_path / "set")
    data = open_dataset(folder, "test")
    if kind == "camvid":
        network, images, labels = ["--model", "camvid"], folder / "test", "testannot"
    else:
        meta = {"classes": data.classes, "values": data.values, "palette": data.palette.tolist(), "side": 30}
        network, images, labels = [make_checkpoint(tmp_path / "best.safetensors", **meta)], folder / "images", "labels"
    more = [] if side is None else ["--side", side]
    options = ["--data", folder, "--out", tmp_path / "scores.json", *more]
    assert exit_status(evaluate.main, *network, *options) == 0
    pictures = [images / f"{name}.png" for name in data.names]
    assert exit_status(predict.main, *network, *pictures, "--out", tmp_path / "out", *more) == 0

    shutil.copytree(folder, tmp_path / "predicted")
    for path in pictures:
        shutil.copy(tmp_path / "out" / path.name, tmp_path / "predicted" / labels / path.name)
    predicted, counts, each = open_dataset(tmp_path / "predicted", "test"), ConfusionMatrix(len(data.classes)), {}
    for i, name in enumerate(data.names):
        one = ConfusionMatrix(len(data.classes))
        one.update(data[i][1], predicted[i][1])
        counts.update(data[i][1], predicted[i][1])
        each[name] = one.jaccard()
    written = json.loads((tmp_path / "scores.json").read_text())
    assert written == {"software": MARK} | counts.details(data.classes) | {"pictures": each}
    assert np.trace(counts.counts) > 0 and set(np.unique(predicted[0][1])) <= set(range(len(data.classes)))


@pytest.fixture
def scored(tmp_path, monkeypatch):
    """A folder with a checkpoint and a set of three pictures, of which the middle one has no label. It is worked in."""
    make_checkpoint(tmp_path / "best.safetensors", "fcn32s")
    make_set(tmp_path / "shapes", [("test", 3)])
    Image.fromarray(np.full((32, 40), 255, np.uint8)).save(tmp_path / "shapes" / "labels" / "test01.png")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_the_file_has_counts_and_each_pictures_score(scored):
    assert exit_status(evaluate.main, "best.safetensors", "--data", "shapes", "--out", "a.json") == 0
    written, data = json.loads(Path("a.json").read_text()), open_dataset("shapes", "test")
    assert list(written["pictures"]) == data.names and list(written["class_jaccard"]) == data.classes
    assert written["pictures"]["test01"] is None and 0 < written["pictures"]["test00"] < 1
    assert np.shape(written["confusion"]) == (3, 3) and np.sum(written["confusion"]) == sum(
        (data[i][1] != 255).sum() for i in range(3)
    )
    assert sorted(path.name for path in scored.iterdir()) == ["a.json", "best.safetensors", "shapes"]


@pytest.mark.parametrize("count", [1, 2, 9])
def test_the_worst_pictures_are_drawn(count, scored, monkeypatch, capsys):
    """The worst first, the one without a label last; truth, and what the network says at the side that is asked for."""
    drawn, data, model = [], open_dataset("shapes", "test"), evaluation.load("best.safetensors")
    monkeypatch.setattr(figures, "compare", lambda *given: drawn.append(given))
    options = ["--out", "a.json", "--worst", count, "--side", 20]
    assert exit_status(evaluate.main, "best.safetensors", "--data", "shapes", *options) == 0
    scores = json.loads(Path("a.json").read_text())["pictures"]
    order = sorted(range(3), key=lambda i: scores[data.names[i]] or 2)[:count]
    [(path, examples, classes, palette)] = drawn
    assert path == Path("a_worst.png") and classes == list(CLASSES) and (palette == data.palette).all()
    for i, found in zip(order, examples, strict=True):
        for x, expected in zip(found, (*data[i], evaluation.predict(model, data[i][0], 20)), strict=True):
            np.testing.assert_array_equal(x, expected)
    named = [line.split()[-1] for line in capsys.readouterr().out.splitlines() if " %  " in line]
    assert [name for name in named if name in data.names] == [data.names[i] for i in order]


@pytest.mark.parametrize("out, stem", [([], "scores"), (["--out", "deep/a.b.json"], "deep/a.b")])
def test_the_drawings_lie_beside_the_scores(out, stem, scored, capsys):
    Path("deep").mkdir()
    assert exit_status(evaluate.main, "best.safetensors", "--data", "shapes", "--worst", 2, *out) == 0
    worst, matrix = Path(f"{stem}_worst.png"), Path(f"{stem}_confusion.png")
    assert capsys.readouterr().out.splitlines()[-1] == f"wrote {worst}, {matrix}"
    with Image.open(worst) as image, Image.open(matrix) as counts:
        assert image.width > 4 * 180 and image.height > 2 * 200 and counts.width > 300
        seen = np.asarray(image.convert("RGB")).reshape(-1, 3)
    assert (seen == open_dataset("shapes", "test").palette[0]).all(1).any()
    assert Path(f"{stem}.json").exists() == bool(out)


def test_a_side_below_none_is_refused(scored, capsys):
    line = fails(capsys, evaluate.main, "best.safetensors", "--data", "shapes", "--side", -1)
    assert line == "error: --side: expected 0 or more, received -1"


def test_a_network_that_has_diverged_warns_of_nothing(tmp_path):
    """Its scores overflow; pytest makes every warning an error."""
    model = mf.models.fcn32s(2, Widths((2, 3, 2, 3, 2), 8), "same", seed=1)
    for parameter in model.parameters().values():
        parameter.data[...] = 1e30
    with np.errstate(all="warn"):
        assert mf.predict(model, np.full((40, 50, 3), 255, np.uint8)).shape == (40, 50)
