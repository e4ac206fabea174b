"""evaluate counts what predict predicts; both take preprocessing, classes and colours from the checkpoint."""

import io
import json
from pathlib import Path

import numpy as np
import pytest
from commands import evaluate, predict
from helpers import randomise
from PIL import Image
from small_data import CLASSES, draw, exit_status, make_set

from minifcn.autograd import no_grad
from minifcn.figures import VOID_COLOUR, overlay
from minifcn.models import MODELS
from minifcn.training import evaluation
from minifcn.weights import checkpoint, load_model

pytestmark = pytest.mark.usefixtures("tiny_trunk")

PALETTE = [[10, 20, 30], [200, 100, 0], [0, 90, 180]]
IMAGENET = {"order": "RGB", "mean": [123.675, 116.28, 103.53], "std": [58.395, 57.12, 57.375]}
CAFFE = {"order": "BGR", "mean": [104.0, 117.0, 123.0], "std": [1.0, 2.0, 4.0]}


def make_checkpoint(path, name="fcn8s", preprocessing=IMAGENET, classes=CLASSES):
    """A network of random weights that tells pixels apart: all classes are predicted somewhere."""
    model = MODELS[name](len(classes), "tiny", "same", seed=1)
    randomise(model, seed=2, last_upscore=False)
    spec = {"name": name, "num_classes": len(classes), "trunk": "tiny", "pad": "same"}
    meta = {"model": spec, "classes": list(classes), "palette": PALETTE, "preprocessing": preprocessing, "step": 7}
    checkpoint.save(path, {f"model/{name}": p.data for name, p in model.parameters().items()}, meta)
    return path


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    return make_checkpoint(tmp_path_factory.mktemp("checkpoint") / "best.safetensors")


def classes_by_hand(path, picture):
    """Preprocess, run, take the class of the highest score: the definition, in double precision where it is cheap."""
    model, meta = load_model(path)
    p = meta["preprocessing"]
    pixels = picture[..., ::-1] if p["order"] == "BGR" else picture
    x = ((pixels.astype(np.float64) - p["mean"]) / p["std"]).astype(np.float32)
    with no_grad():
        scores = model.eval()(x[None]).data[0]  # (H, W, L)
    return scores.argmax(axis=2), np.sort(scores, axis=2)


def assert_predicted(found, path, picture):
    """The classes are those worked out by hand, but for pixels whose best two scores are equal to rounding."""
    expected, scores = classes_by_hand(path, picture)
    clear = scores[..., -1] - scores[..., -2] > 1e-4
    assert clear.mean() > 0.99 and len(np.unique(expected)) > 1, "the test's own network says too little"
    assert found.shape == expected.shape
    np.testing.assert_array_equal(found[clear], expected[clear])


# --- predict ---


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
        np.testing.assert_array_equal(np.array(image), overlay(shown, labels, np.array(PALETTE, np.uint8)))
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


# --- evaluate ---


def counted_by_hand(path, data, split):
    """The four scores and the Jaccard of each class from pixel counts, without a confusion matrix."""
    hits, true, predicted = np.zeros((3, 3), np.int64)
    for name in (Path(data) / f"{split}.txt").read_text().split():
        with Image.open(Path(data) / "images" / f"{name}.png") as image:
            picture = np.array(image)
        with Image.open(Path(data) / "labels" / f"{name}.png") as image:
            labels = np.array(image)
        found = classes_by_hand(path, picture)[0]
        for label in range(3):
            hits[label] += ((labels == label) & (found == label)).sum()
            true[label] += (labels == label).sum()
            predicted[label] += ((labels != 255) & (found == label)).sum()
    union = true + predicted - hits
    jaccard = [h / u if u else None for h, u in zip(hits, union, strict=True)]
    defined = [j for j in jaccard if j is not None]
    accuracies = [h / t for h, t in zip(hits, true, strict=True) if t]
    return jaccard, {
        "jaccard": sum(defined) / len(defined),
        "pixel_accuracy": hits.sum() / true.sum(),
        "mean_accuracy": sum(accuracies) / len(accuracies),
        "frequency_weighted_jaccard": sum(t * (j or 0) for t, j in zip(true, jaccard, strict=True)) / true.sum(),
    }


@pytest.mark.parametrize("preprocessing", [IMAGENET, CAFFE])
@pytest.mark.parametrize("sizes", [[(32, 40)], [(33, 41), (20, 50), (47, 29)]])
def test_scores_and_table(sizes, preprocessing, tmp_path, capsys):
    """Also on sets of mixed sizes, where nothing may be padded."""
    path = make_checkpoint(tmp_path / "best", preprocessing=preprocessing)
    data = make_set(tmp_path / "shapes", [("train", 1), ("val", 1), ("test", 4)], sizes=sizes)
    out = tmp_path / "scores.json"
    assert exit_status(evaluate.main, path, "--data", data, "--split", "test", "--out", out) == 0
    jaccard, scores = counted_by_hand(path, data, "test")
    written = json.loads(out.read_text())
    for name, score in scores.items():
        assert written[name] == pytest.approx(score, abs=1e-3), name
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "fcn8s of step 7 on shapes test, 4 pictures" and lines[-1] == f"wrote {out}"
    table = dict(line.rsplit(maxsplit=1) for line in lines[1:-1] if not line.startswith("---"))
    for name, score in zip(CLASSES, jaccard, strict=True):
        assert float(table[name]) == pytest.approx(100 * score, abs=0.15)
    assert float(table["Jaccard (mean IU)"]) == pytest.approx(100 * scores["jaccard"], abs=0.15)
    assert float(table["f.w. IU"]) == pytest.approx(100 * scores["frequency_weighted_jaccard"], abs=0.15)


def test_split_is_the_one_asked_for(path, tmp_path, capsys):
    data = make_set(tmp_path / "shapes", [("train", 2), ("val", 3), ("test", 1)])
    for split, count in (("train", 2), ("val", 3), ("test", 1)):
        evaluate.main([str(path), "--data", data, "--split", split])
        assert f"on shapes {split}, {count} pictures" in capsys.readouterr().out


def test_a_class_that_does_not_occur_is_absent(tmp_path, capsys):
    """A network that never predicts class 2, on labels without it."""
    path = make_checkpoint(tmp_path / "best", "fcn32s")
    tensors, meta = checkpoint.load(path)
    tensors["model/score_fr.bias"][2] = -1e4
    checkpoint.save(path, tensors, meta)
    data = make_set(tmp_path / "shapes", [("test", 1)])
    for label in (Path(data) / "labels").iterdir():
        Image.fromarray(np.arange(32 * 40, dtype=np.uint8).reshape(32, 40) % 2).save(label)
    evaluate.main([str(path), "--data", data])
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[-1] for line in lines if line.startswith("disc")] == ["absent"]


def test_predict_and_evaluate_agree_with_the_network_in_training_mode_too(path):
    """Dropout is off, whatever mode the network was left in, and nothing is recorded."""
    model, _ = load_model(path)
    x = np.random.default_rng(0).standard_normal((2, 32, 40, 3)).astype(np.float32)
    first = evaluation.classify(model.train(), x)
    np.testing.assert_array_equal(first, evaluation.classify(model.eval(), x))
    assert first.dtype == np.uint8 and first.shape == (2, 32, 40)
