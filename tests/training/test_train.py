"""Training: what a run writes, and what the next network of a chain takes over; expected values by hand."""

import json
import os
import subprocess
import sys

import numpy as np
import pytest
from helpers import assert_close
from PIL import Image
from small_data import (
    CLASSES,
    NoStop,
    assert_same_run,
    losses,
    make_set,
    planned,
    read_rows,
    train_run,
)

from minifcn import train
from minifcn.autograd import no_grad
from minifcn.models import AT_ONCE, MODELS
from minifcn.models.fcn import bilinear_weight
from minifcn.training.segmentation import Segmentation
from minifcn.training.task import open_run
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


def weights_of(path):
    return {name[6:]: x for name, x in checkpoint.load(path)[0].items() if name.startswith("model/")}


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


def test_the_end_of_a_run_shows_every_class_of_val_and_test(data, tmp_path, undrawn, capsys):
    train.main(f"--data {data} --out {tmp_path} --model fcn32s --trunk tiny --steps 2 --lr 0".split())
    said = capsys.readouterr().out
    for split in ("val", "test"):
        table = said[said.index(f"fcn32s on the {split} split of shapes, 3 pictures") :]
        assert all(f"\n{name}" in table[: table.index("f.w. IU")] for name in CLASSES)
    last = next(line for line in said.splitlines() if line.startswith("fcn32s: test Jaccard"))
    assert " % - every pixel is predicted as " in last, "score layers of zeros, learning rate 0: one class"
    metrics = json.loads((tmp_path / "shapes" / "metrics.json").read_text())
    assert metrics["val"]["jaccard"] == metrics["validations"][-1]["jaccard"]


def test_a_score_on_labels_of_one_class_is_not_told(tmp_path, undrawn, capsys):
    data = make_set(tmp_path / "shapes", [("train", 4), ("val", 2)])
    for path in (tmp_path / "shapes" / "labels").glob("val*"):
        Image.fromarray(np.zeros((32, 40), np.uint8)).save(path)
    train.main(f"--data {data} --out {tmp_path / 'runs'} --model fcn32s --trunk tiny --steps 2".split())
    last = next(line for line in capsys.readouterr().out.splitlines() if line.startswith("fcn32s: val Jaccard"))
    assert "every labelled pixel is ground: the scores say nothing" in last and "%" not in last


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
from minifcn.training.task import open_run
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
    assert "the file's classes (3) are not those of four (4): new last layers" in out
    ours = weights_of(tmp_path / "run" / "last.safetensors")
    assert ours["score_fr.weight"].shape == (1, 1, 16, 4) and not ours["score_fr.weight"].any()
    np.testing.assert_array_equal(ours["fc7.weight"], weights_of(init)["fc7.weight"])


def test_other_classes_of_the_same_number_are_noted(chain, tmp_path, capsys):
    data = make_set(tmp_path / "other", [("train", 4)], classes=("lawn", "brick", "ball"))
    train_run(tmp_path / "run", data, init=str(chain / "fcn32s" / "last.safetensors"), lr=0.0, steps=1)
    assert "NOTE: the file's classes (3) are not those of other (3): kept its last layers" in capsys.readouterr().out


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


def test_dropout_is_on_with_new_masks_each_step(chain, data, tmp_path):
    """The same weights and all pictures in each step: only the masks can tell the losses apart."""
    common = {"init": str(chain / "fcn32s" / "last.safetensors"), "lr": 0.0, "batch": 12, "flip": False, "steps": 4}
    run = train_run(tmp_path / "a", data, **common)
    spread = np.diff(np.sort(losses(run)))
    assert spread.min() > 1e-5
    assert losses(train_run(tmp_path / "b", data, **common)).tolist() == losses(run).tolist()
    assert (losses(train_run(tmp_path / "c", data, **common | {"seed": 4})) != losses(run)).all()
