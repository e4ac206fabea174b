"""What training says: before the first step, of a loss that does not move or is not finite, without splits."""

import json
import subprocess
import sys

import numpy as np
import pytest
from small_data import exit_status, fails, make_set, read_rows, train_run

from minifcn import train
from minifcn.training import loop
from minifcn.weights import checkpoint

pytestmark = pytest.mark.usefixtures("tiny_trunk")


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    return make_set(tmp_path_factory.mktemp("sets") / "shapes")


def test_the_lines_before_the_first_step(data, tmp_path, undrawn, capsys):
    arguments = (
        f"--data {data} --out {tmp_path} --model fcn32s --trunk tiny --steps 6 --lr 2e-5 --reduction sum --batch 2"
    )
    assert exit_status(train.main, *arguments.split(), "--accumulate", "2", "--clip", "0") == 0
    out = capsys.readouterr().out
    assert "lr 2e-05 (poly) on the sum of the losses" in out
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
        write, format_dict = staticmethod(print), {"elapsed": 1}

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
    monkeypatch.setattr(loop.optim, "learning_rate", lambda step, *_: 0.01 if step < 4 else 1e38)
    command = f"--data {data} --out {tmp_path} --name run --model fcn32s --trunk tiny --batch 4 --epochs 4"
    line = fails(capsys, train.main, *command.split())
    assert "loss" in line and "--lr" in line
    tensors, meta = checkpoint.load(tmp_path / "run" / "last.safetensors")
    assert meta["step"] == 3
    assert all(np.isfinite(x).all() for x in tensors.values())
    assert [int(row["step"]) for row in read_rows(tmp_path / "run" / "log.csv")][:3] == [1, 2, 3]
