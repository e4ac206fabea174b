"""Training: what a run writes, what its numbers are, what it says; every expected number is worked out here."""

import csv
import json
import os
import subprocess
import sys

import numpy as np
import pytest
from helpers import assert_close, relative_error
from PIL import Image
from small_data import CLASSES, assert_same_run, assert_same_tensors, exit_status, fails, make_set, planned

from minifcn import train
from minifcn.autograd import Tensor, no_grad
from minifcn.models import AT_ONCE, MODELS
from minifcn.models.fcn import bilinear_weight
from minifcn.optim import SGD, clip_gradients, learning_rate
from minifcn.training import loop
from minifcn.training.loop import Run
from minifcn.training.segmentation import Segmentation
from minifcn.training.settings import SegmentationSettings
from minifcn.training.stage import open_run
from minifcn.weights import checkpoint, load_model

pytestmark = pytest.mark.usefixtures("tiny_trunk")

STAGE_FILES = [
    "best.safetensors",
    "config.json",
    "curves.png",
    "last.safetensors",
    "log.csv",
    "metrics.json",
    "samples.png",
]


class NoStop:
    requested = False


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    return make_set(tmp_path_factory.mktemp("sets") / "shapes")


@pytest.fixture(scope="module")
def chain(data, tmp_path_factory):
    """The main job on the tiny set: fcn32s, then fcn16s, three epochs each."""
    out = tmp_path_factory.mktemp("runs")
    assert train.main(chain_arguments(data, out)) == 0
    return out / "shapes"


def chain_arguments(data, out):
    options = "--trunk tiny --epochs 3 --batch 4 --lr 0.05 --warmup 2 --dropout 0.5 --seed 3"
    return f"--data {data} --out {out} {options}".split()


def train_run(folder, data, **settings):
    """Train without drawing; return the run."""
    folder.mkdir()
    defaults = {"model": "fcn32s", "steps": 6, "trunk": "tiny", "batch": 4, "dropout": 0.5, "lr": 0.05}
    defaults |= {"seed": 3, "val_every": 0, "warmup": 0, "clip": 0.0}
    run = open_run(Segmentation, folder, SegmentationSettings(data=data, **defaults | settings))
    run.train(NoStop)
    return run


def read_rows(path):
    with open(path, newline="") as file:
        return list(csv.DictReader(file))


def weights_of(path):
    return {name[6:]: x for name, x in checkpoint.load(path)[0].items() if name.startswith("model/")}


def losses(run):
    return np.array([row["loss"] for row in run.log])


# --- what a run writes ---


def test_every_file_of_a_chain_is_there(chain):
    assert sorted(p.name for p in chain.iterdir()) == ["config.json", "fcn16s", "fcn32s", "metrics.json", "samples.png"]
    for model in ("fcn32s", "fcn16s"):
        assert sorted(p.name for p in (chain / model).iterdir()) == STAGE_FILES
    for path in chain.rglob("*.png"):
        with Image.open(path) as image:
            assert len(np.unique(np.asarray(image.convert("L")))) > 20, f"{path} is blank"


def test_config_holds_the_settings(chain, data):
    config = json.loads((chain / "config.json").read_text())
    assert [stage["model"] for stage in config["stages"]] == ["fcn32s", "fcn16s"]
    for stage in config["stages"]:
        assert (stage["data"], stage["trunk"], stage["steps"], stage["lr"], stage["seed"]) == (data, "tiny", 9, 0.05, 3)
    assert config["machine"]["numpy"] == np.__version__ and config["machine"]["threads"] >= 1
    assert config["machine"]["cpu"]
    init = json.loads((chain / "fcn16s" / "config.json").read_text())["stages"][0]["init"]
    assert init == str(chain / "fcn32s" / "last.safetensors")


def test_log_has_a_row_a_step_and_the_validation_of_each_epoch(chain):
    for model in ("fcn32s", "fcn16s"):
        rows = read_rows(chain / model / "log.csv")
        assert [int(row["step"]) for row in rows] == list(range(1, 10))
        assert [int(row["epoch"]) for row in rows] == [0, 0, 0, 1, 1, 1, 2, 2, 2]
        assert [int(row["step"]) for row in rows if row["val_jaccard"]] == [3, 6, 9]
        scores = [float(row["val_jaccard"]) for row in rows if row["val_jaccard"]]
        (_, best), (_, last) = (checkpoint.load(chain / model / f"{kind}.safetensors") for kind in ("best", "last"))
        assert last["step"] == 9 and best["step"] == 3 * (1 + int(np.argmax(scores)))
        assert best["best_score"] == last["best_score"] == max(scores)


def test_metrics_of_each_network(chain):
    both = json.loads((chain / "metrics.json").read_text())
    for model in ("fcn32s", "fcn16s"):
        metrics = json.loads((chain / model / "metrics.json").read_text())
        assert both[model] == metrics
        assert metrics["steps"] == 9 and metrics["train_seconds"] >= 0 and len(metrics["validations"]) == 3
        assert list(metrics["test"]["class_jaccard"]) == list(CLASSES)
        defined = [score for score in metrics["test"]["class_jaccard"].values() if score is not None]
        assert metrics["test"]["jaccard"] == pytest.approx(sum(defined) / len(defined))


def test_checkpoint_carries_what_other_commands_need(chain):
    tensors, meta = checkpoint.load(chain / "fcn16s" / "last.safetensors")
    assert meta["classes"] == list(CLASSES) and len(meta["palette"]) == 3
    assert meta["preprocessing"]["order"] == "RGB" and meta["seed"] == 3 and meta["epoch"] == 3
    assert meta["model"]["name"] == "fcn16s"
    learnt = {
        name for name, p in load_model(chain / "fcn16s" / "last.safetensors")[0].parameters().items() if p.requires_grad
    }
    assert {name[9:] for name in tensors if name.startswith("momentum/")} == learnt


def test_an_existing_run_is_never_overwritten_and_the_second_equals_it(chain, data, undrawn, capsys):
    before = {path: path.read_bytes() for path in chain.rglob("*") if path.is_file()}
    assert train.main(chain_arguments(data, chain.parent)) == 0
    second = chain.with_name("shapes-2")
    for model in ("fcn32s", "fcn16s"):
        assert_same_run(second / model, chain / model)
    assert before == {path: path.read_bytes() for path in chain.rglob("*") if path.is_file()}
    last_lines = capsys.readouterr().out.split("\nfcn32s: test Jaccard")[1]
    for name in ("config.json", "metrics.json", "samples.png", *(f"fcn16s/{name}" for name in STAGE_FILES)):
        assert str(second / name) in last_lines


def test_threads_do_not_change_a_bit(data, tmp_path):
    code = """
import pathlib, sys
from minifcn.training.stage import open_run
from minifcn.training.segmentation import Segmentation
from minifcn.training.settings import SegmentationSettings
class NoStop: requested = False
settings = SegmentationSettings(model="fcn32s", data=sys.argv[2], steps=3)
open_run(Segmentation, pathlib.Path(sys.argv[1]), settings).train(NoStop)
"""
    children = []
    for threads in ("1", "2", "5"):
        (tmp_path / threads).mkdir()
        command, environment = [sys.executable, "-c", code, str(tmp_path / threads), data], {"MINIFCN_THREADS": threads}
        children.append(subprocess.Popen(command, env=os.environ | environment, stderr=subprocess.PIPE))
    for child in children:
        errors = child.communicate(timeout=120)[1].decode()
        assert child.returncode == 0, errors
    assert_same_run(tmp_path / "1", tmp_path / "2")
    assert_same_run(tmp_path / "5", tmp_path / "2")


def test_data_in_the_current_folder(data, tmp_path, undrawn, monkeypatch):
    monkeypatch.chdir(data)
    [settings] = planned(["--data", ".", "--model", "fcn32s"])
    assert settings.data == data
    assert train.main(f"--data . --out {tmp_path} --model fcn32s --trunk tiny --steps 1 --val-every 0".split()) == 0
    assert [path.name for path in tmp_path.iterdir()] == ["shapes"]


# --- from one network to the next ---


def test_16s_starts_from_the_weights_of_the_32s(chain, data, tmp_path):
    """At lr 0 the end is the start: layers in common are the 32s', the skip starts at zero and bilinear."""
    init = str(chain / "fcn32s" / "last.safetensors")
    train_run(tmp_path / "run", data, model="fcn16s", init=init, lr=0.0, steps=2)
    ours, theirs = weights_of(tmp_path / "run" / "last.safetensors"), weights_of(init)
    common = ours.keys() & theirs.keys()
    assert common == theirs.keys() - {"upscore32.weight"}
    for name in common:
        np.testing.assert_array_equal(ours[name], theirs[name], err_msg=name)
    untrained = MODELS["fcn32s"](3, "tiny", "same", seed=3).parameters()
    assert all(
        (ours[f"{name}.weight"] != untrained[f"{name}.weight"].data).any() for name in ("conv1_1", "fc7", "score_fr")
    )
    assert not ours["score_pool4.weight"].any() and not ours["score_pool4.bias"].any()
    np.testing.assert_array_equal(ours["upscore2.weight"], bilinear_weight(2, 3, np.float32))


def test_the_second_of_a_chain_is_that_network_started_by_hand(chain, data, tmp_path):
    arguments = [*chain_arguments(data, tmp_path), "--model", "fcn16s"]
    [settings] = planned([*arguments, "--init", str(chain / "fcn32s" / "last.safetensors")])
    open_run(Segmentation, tmp_path, settings).train(NoStop)
    assert_same_run(tmp_path, chain / "fcn16s")


def test_another_class_count_starts_the_score_layers_anew_and_says_so(chain, tmp_path, capsys):
    data = make_set(tmp_path / "four", [("train", 4)], classes=(*CLASSES, "triangle"))
    init = chain / "fcn32s" / "last.safetensors"
    train_run(tmp_path / "run", data, init=str(init), lr=0.0, steps=1)
    out = capsys.readouterr().out
    assert "REINITIALISED" in out and "score_fr" in out
    assert "the file has 3 classes, four has 4: new score layers" in out
    ours = weights_of(tmp_path / "run" / "last.safetensors")
    assert ours["score_fr.weight"].shape == (1, 1, 16, 4) and not ours["score_fr.weight"].any()
    np.testing.assert_array_equal(ours["fc7.weight"], weights_of(init)["fc7.weight"])


def test_other_classes_of_the_same_number_are_noted(chain, tmp_path, capsys):
    data = make_set(tmp_path / "other", [("train", 4)], classes=("lawn", "brick", "ball"))
    train_run(tmp_path / "run", data, init=str(chain / "fcn32s" / "last.safetensors"), lr=0.0, steps=1)
    assert "NOTE: the file's classes are others (ground, square, disc)" in capsys.readouterr().out


def test_preprocessing_comes_with_the_weights(chain, data, tmp_path):
    tensors, meta = checkpoint.load(chain / "fcn32s" / "last.safetensors")
    meta["preprocessing"] = {"order": "BGR", "mean": [104.0, 117.0, 123.0], "std": [1.0, 1.0, 1.0]}
    checkpoint.save(tmp_path / "caffe.safetensors", tensors, meta)
    train_run(tmp_path / "run", data, init=str(tmp_path / "caffe.safetensors"), lr=0.0, steps=1)
    assert checkpoint.load(tmp_path / "run" / "last.safetensors")[1]["preprocessing"] == meta["preprocessing"]


@pytest.mark.parametrize("model", [*MODELS])
def test_no_network_starts_dead(model, data, tmp_path):
    """Only score layers start at zero. After one step they have moved, after two so has every learnt array."""
    before = {name: p.data.copy() for name, p in MODELS[model](3, "tiny", "same", seed=3).parameters().items()}
    for name, w in before.items():
        if name.startswith(("conv", "fc")) and name.endswith(".weight"):
            fan_in = w.shape[0] * w.shape[1] * w.shape[2]
            assert w.std() == pytest.approx((2 / fan_in) ** 0.5, rel=0.3), name
        assert w.any() or name.startswith("score") or name.endswith(".bias"), name
    run = train_run(tmp_path / "run", data, model=model, steps=2, weight_decay=0.0)
    for name, p in run.model.parameters().items():
        assert (p.data != before[name]).any() == p.requires_grad, name


def test_skip_scales_of_8s_at_once_reach_the_network(data, tmp_path):
    arguments = f"--data {data} --model fcn8s --trunk tiny --lr 0.05 --steps 4 --val-every 0 --skip-scale 0.01 0.0001"
    [settings] = planned(arguments.split())
    open_run(Segmentation, tmp_path, settings).train(NoStop)
    scaled, meta = load_model(tmp_path / "last.safetensors")
    assert meta["model"]["skip_scale"] == [0.01, 0.0001] == list(AT_ONCE)
    # The scale may as well stand in the weights of the skips' score layers.
    plain = MODELS["fcn8s"](3, "tiny", "same")
    rng = np.random.default_rng(0)
    for name, p in scaled.parameters().items():
        if name.startswith("score_pool") and name.endswith(".weight"):
            p.data[...] = rng.standard_normal(p.shape) * 100
        plain.parameters()[name].data[...] = p.data
    for pool, scale in (("pool4", 0.01), ("pool3", 0.0001)):
        plain.parameters()[f"score_{pool}.weight"].data *= np.float32(scale)
    x = rng.standard_normal((1, 32, 40, 3)).astype(np.float32)
    with no_grad():
        assert_close(scaled.eval()(x).data, plain.eval()(x).data)


# --- the numbers of a step ---


@pytest.mark.parametrize("balance", [False, True])
def test_accumulating_two_batches_of_two_equals_one_of_four(balance, data, tmp_path):
    """The loss is divided by the labelled weight of the whole group, though the pictures' void shares differ."""
    common = {"steps": 7, "balance": balance, "flip": True, "warmup": 2, "clip": 5.0}
    four = train_run(tmp_path / "four", data, batch=4, **common)
    two = train_run(tmp_path / "two", data, batch=2, accumulate=2, **common)
    labelled = [(four.task.train_set[i][1] != 255).mean() for i in range(12)]
    assert min(labelled) < 0.6 and max(labelled) > 0.9
    np.testing.assert_allclose(losses(two), losses(four), rtol=1e-4)
    start = MODELS["fcn32s"](3, "tiny", "same", seed=3).parameters()
    for name, p in four.model.parameters().items():
        if p.requires_grad:
            moved, expected = two.model.parameters()[name].data - start[name].data, p.data - start[name].data
            assert relative_error(moved, expected) < 1e-3, name


def test_the_first_loss_is_the_logarithm_of_the_classes(data, tmp_path):
    """Score layers start at zero, so all classes are equally likely, whatever the pictures, weights and void."""
    for name, settings in (("plain", {}), ("balanced", {"balance": True}), ("grouped", {"batch": 2, "accumulate": 2})):
        run = train_run(tmp_path / name, data, steps=1, **settings)
        assert losses(run)[0] == pytest.approx(np.log(3), rel=1e-5)


def test_every_epoch_shows_each_picture_once_in_an_order_of_its_own(data, tmp_path, monkeypatch):
    seen, real = [], Run.train_step

    def spy(run, group):
        seen.append([x.tobytes() for batch, _ in group for x in batch])
        return real(run, group)

    monkeypatch.setattr(Run, "train_step", spy)
    train_run(tmp_path / "run", data, steps=9, batch=2, accumulate=2, flip=False, lr=0.0)
    epochs = [[x for group in seen[k : k + 3] for x in group] for k in (0, 3, 6)]
    assert all(len(set(epoch)) == 12 for epoch in epochs) and len({frozenset(epoch) for epoch in epochs}) == 1
    assert len({tuple(epoch) for epoch in epochs}) == 3
    seen.clear()
    train_run(tmp_path / "flipped", data, steps=9, batch=2, accumulate=2, flip=True, lr=0.0)
    flipped = [{x for group in seen[k : k + 3] for x in group} & set(epochs[0]) for k in (0, 3, 6)]
    assert all(0 < len(kept) < 12 for kept in flipped) and len({frozenset(kept) for kept in flipped}) == 3


def test_dropout_is_on_with_new_masks_each_step(chain, data, tmp_path):
    """The same weights and all pictures in each step: only the masks can tell the losses apart."""
    common = {"init": str(chain / "fcn32s" / "last.safetensors"), "lr": 0.0, "batch": 12, "flip": False, "steps": 4}
    run = train_run(tmp_path / "a", data, **common)
    spread = np.diff(np.sort(losses(run)))
    assert spread.min() > 1e-5
    assert losses(train_run(tmp_path / "b", data, **common)).tolist() == losses(run).tolist()
    assert (losses(train_run(tmp_path / "c", data, **common | {"seed": 4})) != losses(run)).all()


@pytest.fixture(scope="module")
def full_data(tmp_path_factory):
    """A set without void."""
    root = tmp_path_factory.mktemp("full")
    data = make_set(root / "shapes", [("train", 8)])
    for path in (root / "shapes" / "labels").iterdir():
        with Image.open(path) as image:
            labels = np.array(image)
        labels[labels == 255] = 0
        Image.fromarray(labels).save(path)
    return data


def test_a_sum_with_its_default_lr_trains_as_a_mean_with_its_own(full_data, tmp_path):
    """The defaults are bound to the reduction: lr to lr / pixels. Weight decay has no such factor, so it is off."""
    runs = {}
    for reduction in ("mean", "sum"):
        arguments = f"--data {full_data} --model fcn32s --trunk tiny --batch 4 --steps 8 --warmup 0 --val-every 0"
        arguments += f" --reduction {reduction} --weight-decay 0"
        [settings] = planned(arguments.split())
        folder = tmp_path / reduction
        folder.mkdir()
        runs[reduction] = open_run(Segmentation, folder, settings)
        runs[reduction].train(NoStop)
    assert runs["mean"].settings.lr == 0.01
    assert runs["sum"].settings.lr == pytest.approx(0.01 / (4 * 32 * 40))
    np.testing.assert_allclose(losses(runs["sum"]), losses(runs["mean"]) * 4 * 32 * 40, rtol=1e-4)
    assert losses(runs["mean"])[-1] < losses(runs["mean"])[0]


def test_default_lr_of_a_sum_counts_crop_and_group(data):
    arguments = f"--data {data} --model fcn32s --reduction sum --batch 2 --accumulate 3 --crop 16 24".split()
    [settings] = planned(arguments)
    assert settings.lr == pytest.approx(0.01 / (2 * 3 * 16 * 24))


def test_low_memory_ends_with_the_same_weights(data, tmp_path):
    plain = train_run(tmp_path / "plain", data, clip=0.0)
    low = train_run(tmp_path / "low", data, clip=0.0, low_memory=True)
    for name, p in plain.model.parameters().items():
        assert np.array_equal(p.data, low.model.parameters()[name].data), name
    assert list(losses(plain)) == list(losses(low))
    arguments = f"--data {data} --model fcn32s --low-memory".split()
    [settings] = planned(arguments)
    assert settings.low_memory and settings.clip == 0


def test_learning_rates_by_hand(data, tmp_path):
    # 0.1 (1 - k/6)^0.9, during two steps of warm-up times 1/2 and 1
    expected = [0.05, 0.0848661, 0.0694251, 0.0535887, 0.0372041, 0.0199372]
    run = train_run(tmp_path / "poly", data, lr=0.1, schedule="poly", warmup=2)
    np.testing.assert_allclose([row["lr"] for row in run.log], expected, rtol=1e-5)
    run = train_run(tmp_path / "constant", data, lr=0.1, schedule="constant", warmup=4)
    np.testing.assert_allclose([row["lr"] for row in run.log], [0.025, 0.05, 0.075, 0.1, 0.1, 0.1])
    assert learning_rate(0, 0.1, "poly", 10) == 0.1 and learning_rate(5, 0.1, "constant", 10) == 0.1
    with pytest.raises(ValueError, match="schedule: expected 'constant' or 'poly', received 'cosine'"):
        learning_rate(0, 0.1, "cosine", 10)


def test_clipping_by_hand():
    def with_gradients():
        parameters = {"a": Tensor(np.zeros(1)), "b": Tensor(np.zeros((1, 2))), "c": Tensor(np.zeros(2))}
        parameters["a"].grad, parameters["b"].grad = np.array([3.0]), np.array([[0.0, -4.0]])  # c has none
        return parameters

    parameters = with_gradients()
    assert clip_gradients(parameters, 1.0) == 5.0
    np.testing.assert_allclose(parameters["a"].grad, [0.6])
    np.testing.assert_allclose(parameters["b"].grad, [[0.0, -0.8]])
    parameters = with_gradients()
    assert clip_gradients(parameters, 5.1) == 5.0
    np.testing.assert_array_equal(parameters["b"].grad, [[0.0, -4.0]])


def test_a_step_of_training_is_clipped(data, tmp_path):
    """Without momentum and decay a step is -lr times the gradient (twice that for biases), whose norm is the limit."""
    start = MODELS["fcn32s"](3, "tiny", "same", seed=3).parameters()
    run = train_run(tmp_path / "run", data, steps=1, clip=0.01, momentum=0.0, weight_decay=0.0, lr=0.5)
    total = 0.0
    for name, p in run.model.parameters().items():
        gradient = (start[name].data - p.data).astype(np.float64) / (1.0 if name.endswith(".bias") else 0.5)
        total += (gradient**2).sum()
    assert total**0.5 == pytest.approx(0.01, rel=1e-3)


# --- what it says ---


def test_the_lines_before_the_first_step(data, tmp_path, undrawn, capsys):
    arguments = (
        f"--data {data} --out {tmp_path} --model fcn32s --trunk tiny --steps 6 --lr 0.02 --reduction sum --batch 2"
    )
    assert exit_status(train.main, *arguments.split(), "--accumulate", "2", "--clip", "0") == 0
    out = capsys.readouterr().out
    assert "lr 0.02 (poly) on the sum of the pixels' losses" in out
    assert "memory, estimated: 0.0" in out and "for batches of 2 x 32 x 40" in out
    assert "12 training pictures, 3 classes; 6 steps of 4 = 2.0 epochs" in out
    assert "fcn32s on the test split of shapes, 3 pictures" in out and "mean accuracy" in out


def test_a_loss_that_does_not_move_is_told_once(tmp_path, capsys):
    data = make_set(tmp_path / "small", [("train", 4)], size=(16, 20))
    run = train_run(tmp_path / "still", data, lr=0.0, steps=80, batch=1, schedule="constant")
    warnings = [line for line in capsys.readouterr().out.splitlines() if "WARNING" in line]
    assert len(warnings) == 1 and "the loss has not moved in 40 steps" in warnings[0]
    assert "lr 0 on a mean loss" in warnings[0]

    class Bar:
        write = staticmethod(print)

    run.step = 40
    for last, warned in ((0.98, False), (0.995, True), (1.5, True)):  # of the first twenty steps' mean
        run.log = [{"loss": 2.0}] * 20 + [{"loss": 2.0 * last}] * 20
        run.watch(Bar)
        assert ("WARNING" in capsys.readouterr().out) == warned


@pytest.mark.parametrize("splits", [("train", "val"), ("train",)])
def test_a_set_without_test_or_val_split_is_no_error(splits, tmp_path, undrawn, capsys):
    data = make_set(tmp_path / "shapes", [(split, 4) for split in splits])
    arguments = f"--data {data} --out {tmp_path} --name run --model fcn32s --trunk tiny --batch 4 --steps 2 --warmup 0"
    arguments = arguments.split()
    assert exit_status(train.main, *arguments) == 0
    out = capsys.readouterr().out
    assert f"{data} has no test split" in out
    metrics = json.loads((tmp_path / "run" / "metrics.json").read_text())
    assert "test" not in metrics and len(metrics["validations"]) == 2 * ("val" in splits)
    assert (tmp_path / "run" / "best.safetensors").exists() == ("val" in splits)
    assert ("val Jaccard not measured" in out) == ("val" not in splits)


def test_nan_stops_with_advice_and_nothing_else(data, tmp_path):
    """In a process of its own: overflow warnings on the way there would be errors here, and noise there."""
    command = f"-m minifcn.train --data {data} --out {tmp_path} --name run --model fcn32s --lr 1e25 --warmup 0 --clip 0"
    child = subprocess.run([sys.executable, *command.split()], capture_output=True, text=True, timeout=120)
    assert child.returncode == 2, child.stderr
    lines = [line for line in child.stderr.replace("\r", "\n").split("\n") if line and not line.startswith("fcn32s:")]
    assert len(lines) == 1, child.stderr
    assert lines[0].startswith("error: the loss is ") and "with lr 1e+25 on a mean loss" in lines[0]
    assert "lower --lr" in lines[0] and str(tmp_path / "run") in lines[0]


@pytest.mark.filterwarnings("ignore:.*encountered:RuntimeWarning")
def test_nan_keeps_the_last_good_checkpoint(data, tmp_path, monkeypatch, capsys):
    """Three steps make an epoch and a checkpoint; the fifth then blows the weights up."""
    monkeypatch.setattr(loop, "learning_rate", lambda step, *_: 0.01 if step < 4 else 1e38)
    command = f"--data {data} --out {tmp_path} --name run --model fcn32s --trunk tiny --batch 4 --epochs 4"
    line = fails(capsys, train.main, *command.split())
    assert "loss" in line and "--lr" in line
    tensors, meta = checkpoint.load(tmp_path / "run" / "last.safetensors")
    assert meta["step"] == 3
    assert all(np.isfinite(x).all() for x in tensors.values())
    assert [int(row["step"]) for row in read_rows(tmp_path / "run" / "log.csv")][:3] == [1, 2, 3]


def test_help_fits_a_screen(monkeypatch):
    monkeypatch.setenv("COLUMNS", "100")
    text = train.parser().format_help()
    assert len(text.splitlines()) <= 50
    assert max(map(len, text.splitlines())) <= 100


def test_weight_and_bias_rates_are_the_references():
    """Biases learn twice as fast and do not decay: g = 1, lambda = 0.1, lr = 0.5: a weight 2 loses 0.6, a bias 1."""
    parameters = {"a.weight": Tensor(np.full(1, 2.0), True), "a.bias": Tensor(np.full(1, 2.0), True)}
    for p in parameters.values():
        p.grad = np.ones(1)
    SGD(parameters, 0.5, 0.9, 0.1, bias_lr=2.0, bias_decay=False).step()
    np.testing.assert_allclose([p.data[0] for p in parameters.values()], [1.4, 1.0])


def test_same_seed_same_start_other_seed_another(data, tmp_path):
    a = train_run(tmp_path / "a", data, steps=2)
    b = train_run(tmp_path / "b", data, steps=2)
    c = train_run(tmp_path / "c", data, steps=2, seed=4)
    assert_same_tensors(a.last, b.last)
    assert losses(a).tolist() == losses(b).tolist() and losses(a)[1] != losses(c)[1]
