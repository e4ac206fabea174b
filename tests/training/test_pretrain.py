"""Pretraining: what a run writes, what an FCN takes over from it, what it says."""

import json

import numpy as np
import pytest
from commands import predict
from PIL import Image
from small_data import COLOUR_CLASSES, class_picture, fails, make_pictures, make_set, pretrain_planned, read_rows

import minifcn as mf
from minifcn import pretrain, train
from minifcn.autograd import Tensor, no_grad
from minifcn.datasets.classification import Pictures
from minifcn.datasets.transforms import Preprocessing
from minifcn.errors import InputError
from minifcn.models.classifier import VGGClassifier
from minifcn.weights import checkpoint

pytestmark = pytest.mark.usefixtures("tiny_trunk")

FILES = ["best.safetensors", "config.json", "curves.png", "last.safetensors", "log.csv", "metrics.json"]
FILES += ["trunk.safetensors"]


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    return make_pictures(tmp_path_factory.mktemp("sets") / "colours")


@pytest.fixture(scope="module")
def finished(data, tmp_path_factory):
    """Twenty epochs of two steps, drawn, and what the command said."""
    out = tmp_path_factory.mktemp("runs")
    with pytest.MonkeyPatch.context() as patch:
        said = []
        patch.setattr("builtins.print", lambda *text, **_: said.append(" ".join(map(str, text))))
        assert pretrain.main(arguments(data, out, "--epochs", 20, "--batch", 9, "--val-every", 4)) == 0
    return out / "colours", "\n".join(said)


def arguments(data, out, *more):
    options = "--trunk tiny --size 32 --crop 28 --batch 4 --warmup 2 --seed 1"
    return ["--data", str(data), "--out", str(out), *options.split(), *map(str, more)]


# --- what a run writes ---


def test_a_classifier_is_no_fcn(finished, tmp_path, capsys):
    """Its trunk may become one's; in training its weights are not yet those of a plain VGG."""
    last, trunk = finished[0] / "last.safetensors", finished[0] / "trunk.safetensors"
    picture = tmp_path / "picture.png"
    Image.fromarray(np.zeros((32, 32, 3), np.uint8)).save(picture)
    for path in (last, trunk):
        line = fails(capsys, predict.main, path, picture, "--out", tmp_path / "out")
        assert str(path) in line and "describes no FCN" in line and "(of a classifier: of trunk.safetensors)" in line
    fcn = mf.models.fcn32s(3, "tiny", "same")
    with pytest.raises(InputError, match=rf"{last}: a classifier in training; give the trunk.safetensors"):
        mf.load_weights(fcn, last)


def test_every_file_is_there_and_named(finished):
    run, said = finished
    assert sorted(path.name for path in run.iterdir()) == FILES
    assert all(str(run / name) in said.split("wrote ")[1] for name in FILES)
    with Image.open(run / "curves.png") as image:
        assert len(np.unique(np.asarray(image.convert("L")))) > 20
    config = json.loads((run / "config.json").read_text())
    [stage] = config["stages"]
    assert (stage["trunk"], stage["steps"], stage["size"], stage["crop"]) == ("tiny", 40, 32, 28)
    assert config["machine"]["numpy"] == np.__version__


def test_log_and_metrics(finished):
    run, said = finished
    rows = read_rows(run / "log.csv")
    assert list(rows[0]) == ["step", "epoch", "lr", "loss", "val_top1", "val_top5", "val_loss"]
    assert [int(row["step"]) for row in rows] == list(range(1, 41))
    assert [int(row["epoch"]) for row in rows] == [k // 2 for k in range(40)]
    scored = [row for row in rows if row["val_top1"]]
    assert [int(row["step"]) for row in scored] == [8, 16, 24, 32, 40]
    metrics = json.loads((run / "metrics.json").read_text())
    assert (metrics["model"], metrics["steps"]) == ("tiny", 40)
    for row, validation in zip(scored, metrics["validations"], strict=True):
        assert float(row["val_top1"]) == validation["top1"] and int(row["step"]) == validation["step"]
        assert float(row["val_top5"]) == validation["top5"] == 1  # of three classes
    (_, best), (_, last) = (checkpoint.load(run / f"{kind}.safetensors") for kind in ("best", "last"))
    scores = [validation["top1"] for validation in metrics["validations"]]
    assert last["step"] == 40 and best["step"] == 8 * (1 + int(np.argmax(scores)))
    assert best["best_score"] == last["best_score"] == max(scores)
    assert f"held-out pictures: top-1 {100 * scores[-1]:.1f} %, top-5 100.0 %" in said
    assert last["classes"] == list(COLOUR_CLASSES)


def test_it_learns_colours(finished):
    """Three classes of as many held-out pictures: a third would be chance."""
    run, _ = finished
    losses = [float(row["loss"]) for row in read_rows(run / "log.csv")]
    assert losses[0] == pytest.approx(np.log(3), rel=1e-5)  # fc8 starts at zero
    assert np.mean(losses[-8:]) < 0.3 * losses[0]
    assert json.loads((run / "metrics.json").read_text())["validations"][-1]["top1"] > 0.5


def test_the_last_score_is_that_of_the_network_in_the_checkpoint(finished, data):
    run, _ = finished
    tensors, meta = checkpoint.load(run / "last.safetensors")
    model = VGGClassifier(3, "tiny")
    for name, parameter in model.parameters().items():
        parameter.data[...] = tensors[f"model/{name}"]
    model.eval()
    val, right = Pictures(data, "val"), 0
    for i in range(len(val)):
        with Image.open(data / val.names[i]) as image:  # 30 x 36, so 32 x 38
            picture = np.array(image.resize((38, 32), Image.Resampling.BILINEAR))[:, 3:35]
        with no_grad():
            scores = model(Preprocessing().apply(picture)[None]).data.ravel()
        right += int(np.argmax(scores)) == COLOUR_CLASSES.index(val.names[i].split("/")[1])
    assert meta["validations"][-1]["top1"] == pytest.approx(right / 6)


# --- the trunk ---


def test_the_trunk_is_folded_in_float16(finished):
    run, _ = finished
    tensors, meta = checkpoint.load(run / "trunk.safetensors")
    last = {name: x.astype(np.float64) for name, x in checkpoint.load(run / "last.safetensors")[0].items()}
    layers = {name[6:-5] for name in last if name.startswith("model/") and name.endswith(".mean")}
    assert len(layers) == 15
    expected = {f"model/{name}.{part}" for name in (*layers, "fc8") for part in ("weight", "bias")}
    assert tensors.keys() == expected
    for name in layers:
        w, b, mean, var = (last[f"model/{name}.{part}"] for part in ("weight", "bias", "mean", "var"))
        for part, whole in (("weight", w / np.sqrt(var + 1e-5)), ("bias", b - mean / np.sqrt(var + 1e-5))):
            x = tensors[f"model/{name}.{part}"]
            assert x.dtype == np.float16
            np.testing.assert_allclose(x, whole, rtol=1e-3, atol=1e-4 * abs(whole).max())
    assert meta["classes"] == list(COLOUR_CLASSES) and meta["model"]["trunk"] == "tiny"
    assert meta["validations"][-1]["top1"] == json.loads((run / "metrics.json").read_text())["validations"][-1]["top1"]


def test_an_fcn_takes_the_trunk_over(finished):
    """It then computes, but for rounding, what the classifier did."""
    run, _ = finished
    fcn = mf.models.fcn16s(4, "tiny", "same")
    report = mf.load_weights(fcn, run / "trunk.safetensors")
    assert report.skipped == ["fc8.bias", "fc8.weight"] and not report.reinitialised
    expected = ["score_fr.weight", "score_fr.bias", "score_pool4.weight", "score_pool4.bias", "upscore2.weight"]
    assert report.missing == [*expected, "upscore16.weight"] and len(report.loaded) == 30
    assert report.preprocessing == Preprocessing() and report.classes == list(COLOUR_CLASSES)
    tensors, classifier = checkpoint.load(run / "last.safetensors")[0], VGGClassifier(3, "tiny")
    for name, parameter in classifier.parameters().items():
        parameter.data[...] = tensors[f"model/{name}"]
    x = Tensor(Preprocessing().apply(class_picture(1, 0, (32, 45)))[None])
    with no_grad():
        for ours, theirs in zip(fcn.eval().features(x), classifier.eval().features(x), strict=True):
            assert theirs.data.any() and abs(ours.data - theirs.data).max() < 0.01 * abs(theirs.data).max()


def test_train_starts_from_it_as_the_last_line_says(finished, tmp_path, undrawn, capsys):
    run, said = finished
    shapes = make_set(tmp_path / "shapes", [("train", 2)])
    command = said.splitlines()[-1].partition("python -m minifcn.train ")[2]
    assert command == f"--init {run / 'trunk.safetensors'} --trunk tiny"
    more = f"--data {shapes} --out {tmp_path} --name run --model fcn32s --steps 1 --lr 0"
    assert train.main(f"{command} {more}".split()) == 0
    assert "30 arrays: conv1_1" in capsys.readouterr().out
    ours, _ = checkpoint.load(tmp_path / "run" / "last.safetensors")
    for name, x in checkpoint.load(run / "trunk.safetensors")[0].items():
        if "fc8" not in name:
            np.testing.assert_array_equal(ours[name], x.astype(np.float32), err_msg=name)


# --- what it says ---


def test_the_lines_before_the_first_step(finished, data):
    _, said = finished
    assert "tiny (tiny, fc 16): " in said and "lr 0.05 (poly) on the mean of the losses" in said
    assert "colours: 18 training pictures, 3 classes; 40 steps of 9 = 20.0 epochs" in said
    assert "shorter side 32, crops of 28 x 28; 6 held out" in said


def test_without_val_there_is_no_score(tmp_path, undrawn, capsys):
    data = make_pictures(tmp_path / "set", counts=[("train", 4)])
    assert pretrain.main(arguments(data, tmp_path, "--steps", 2, "--name", "run")) == 0
    out = capsys.readouterr().out
    assert "12 training pictures, 3 classes" in out and "no val/, so none held out" in out
    assert f"{data} has no val/: nothing was held out, so there is no score" in out
    assert sorted(path.name for path in (tmp_path / "run").iterdir()) == [name for name in FILES if "best" not in name]
    assert [row["val_top1"] for row in read_rows(tmp_path / "run" / "log.csv")] == ["", ""]
    assert json.loads((tmp_path / "run" / "metrics.json").read_text())["validations"] == []


def test_defaults(data):
    settings = pretrain_planned(["--data", str(data), "--batch", "4"])
    assert (settings.size, settings.crop, settings.steps) == (128, 112, 10 * 4)
    settings = pretrain_planned(["--data", str(data), "--batch", "4", "--size", "1"])
    assert (settings.size, settings.crop) == (1, 1)
    settings = pretrain_planned(["--data", str(data), "--batch", "4", "--accumulate", "2"])
    assert settings.steps == 10 * 2
