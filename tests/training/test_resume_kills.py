"""A run that is killed at any moment and resumed ends bit for bit like one that was left alone."""

import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time

import pytest
from resumed_runs import (
    KILLER,
    MARKS,
    arguments,
    interrupt_from_outside,
    signal_in_step,
    steps_logged,
    train_all,
    two_sizes,
)
from small_data import assert_same_run, exit_status

from minifcn import train
from minifcn.errors import InputError
from minifcn.training.folder import Log, read_log
from minifcn.training.segmentation import Segmentation
from minifcn.weights import checkpoint

pytestmark = MARKS


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    return two_sizes(tmp_path_factory)


@pytest.fixture(scope="module")
def undisturbed(data, tmp_path_factory):
    """fcn32s, then fcn16s, three epochs of three steps each."""
    return train_all(data, tmp_path_factory.mktemp("undisturbed"))


# --- SIGKILL ---


@pytest.mark.parametrize("save_seconds", [0, 1000], ids=["saving after every step", "saving after every epoch"])
def test_killed_at_many_moments(save_seconds, data, undisturbed, tmp_path):
    """The chain, killed more than a dozen times: early in a start, in steps, in saves, in either network."""
    rng = random.Random(7 + save_seconds)
    kills = [40, *range(1, 12), *(rng.randrange(8, 40) for _ in range(10))]  # each event of a start and of a save
    start = json.dumps(arguments(data, tmp_path))
    command = [sys.executable, "-c", KILLER, str(save_seconds), start, str(tmp_path / "run"), json.dumps(kills)]
    child = subprocess.run(command, capture_output=True, text=True, timeout=240)
    ends = [line.split()[1:] for line in child.stdout.splitlines() if line.startswith("ended")]
    assert ends[-1] == ["0", "True"], child.stdout + child.stderr
    assert sum(status == "-9" for status, _ in ends) >= 9
    assert ["-9", "True"] in ends  # some of them in the second network
    for model in ("fcn32s", "fcn16s"):
        assert_same_run(tmp_path / "run" / model, undisturbed / model)
    names = [path.relative_to(tmp_path / "run") for path in sorted((tmp_path / "run").rglob("*"))]
    assert names == [path.relative_to(undisturbed) for path in sorted(undisturbed.rglob("*"))]  # no litter


def test_killed_from_outside(data, tmp_path):
    """The real command, killed by another process after a random while."""
    options = ["--model", "fcn32s", "--batch", "2", "--accumulate", "2", "--steps", "6", "--seed", "2"]
    command = [sys.executable, "-m", "minifcn.train"]
    start = [*command, "--data", data, "--out", str(tmp_path), *options]
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    whole = subprocess.Popen([*start, "--name", "whole"], **quiet)
    run, rng = tmp_path / "killed", random.Random(1)
    child = subprocess.Popen([*start, "--name", "killed"], **quiet)
    while not (run / "last.safetensors").exists() and child.poll() is None:
        time.sleep(0.01)
    time.sleep(rng.uniform(0, 0.15))
    child.kill()
    child.wait()
    subprocess.run([*command, "--resume", str(run)], check=True, timeout=120, **quiet)
    assert whole.wait(timeout=120) == 0
    assert_same_run(run, tmp_path / "whole")


def test_rows_of_the_log_are_never_lost_while_it_is_opened(tmp_path, monkeypatch):
    """Resuming writes log.csv anew, without the rows after the checkpoint: it must be the old one or the new one."""
    rows = [{"step": k, "epoch": 0, "lr": 0.1, "loss": 1 / k} for k in range(1, 6)]
    Log(tmp_path / "log.csv", rows, Segmentation.scores)
    assert read_log(tmp_path / "log.csv", 5, Segmentation.scores) == rows

    def killed(*_):
        raise KeyboardInterrupt

    for name in ("fsync", "replace"):
        with monkeypatch.context() as patch:
            patch.setattr(os, name, killed)
            with pytest.raises(KeyboardInterrupt):
                Log(tmp_path / "log.csv", rows[:4], Segmentation.scores)
        assert read_log(tmp_path / "log.csv", 5, Segmentation.scores) == rows
    Log(tmp_path / "log.csv", rows[:4], Segmentation.scores)
    assert read_log(tmp_path / "log.csv", 4, Segmentation.scores) == rows[:4]
    with pytest.raises(InputError, match="expected the rows of steps 1 to 5"):
        read_log(tmp_path / "log.csv", 5, Segmentation.scores)


def test_half_a_row_at_the_end_of_the_log_is_dropped(tmp_path):
    rows = [{"step": k, "epoch": 0, "lr": 0.1, "loss": 0.1 + 0.2} for k in range(1, 4)]
    Log(tmp_path / "log.csv", rows, Segmentation.scores)
    whole = (tmp_path / "log.csv").read_bytes()
    for cut in range(len(whole) - 1, len(whole) - 12, -1):
        (tmp_path / "log.csv").write_bytes(whole[:cut])
        assert read_log(tmp_path / "log.csv", 2, Segmentation.scores) == rows[:2]


# --- Ctrl-C ---


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM], ids=["Ctrl-C", "SIGTERM"])
@pytest.mark.parametrize("at", [5, 14], ids=["in the first network", "in the second network"])
def test_a_request_to_stop(number, at, data, undisturbed, tmp_path, monkeypatch, capsys):
    handlers = signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)
    with monkeypatch.context() as patch:
        signal_in_step(patch, number, at)
        assert exit_status(train.main, *arguments(data, tmp_path)) == 130
    assert (signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)) == handlers
    run = tmp_path / "run"
    stage, step = ("fcn32s", at) if at <= 9 else ("fcn16s", at - 9)
    said = capsys.readouterr()
    assert f"stopped after step {step} of 9" in said.out and "Traceback" not in said.err
    assert said.out.rstrip().endswith(f"--resume {run}")
    assert checkpoint.load(run / stage / "last.safetensors")[1]["step"] == step == steps_logged(run / stage)
    assert train.main(["--resume", str(run)]) == 0
    for model in ("fcn32s", "fcn16s"):
        assert_same_run(run / model, undisturbed / model)


def test_ctrl_c_from_outside(data, tmp_path):
    interrupt_from_outside(f"train --data {data} --model fcn32s", tmp_path / "run")


# --- a finished run ---


def test_resuming_a_finished_run_changes_nothing(undisturbed, capsys):
    drawn = undisturbed / "samples.png"  # drawn again, from the same networks
    before = {path: path.read_bytes() for path in undisturbed.rglob("*") if path.is_file()}
    assert train.main(["--resume", str(undisturbed)]) == 0
    after = {path: path.read_bytes() for path in undisturbed.rglob("*") if path.is_file()}
    assert after == before, [path for path in after if after[path] != before.get(path)]
    out = capsys.readouterr().out
    assert "fcn32s: test Jaccard" in out and f"look at {drawn}" in out


@pytest.mark.parametrize(
    "content",
    ['{"model": "x"}', '"model"', '["model"]', '{"model": "x", "summary": null}', "[" * 100_000],
)
def test_damaged_metrics_are_written_anew(content, undisturbed, tmp_path):
    """What is left of metrics.json never ends in a traceback: the run's end is made again."""
    run = tmp_path / "run"
    shutil.copytree(undisturbed, run)
    whole = json.loads((run / "fcn16s" / "metrics.json").read_text())
    (run / "fcn16s" / "metrics.json").write_text(content)
    assert train.main(["--resume", str(run)]) == 0
    assert json.loads((run / "fcn16s" / "metrics.json").read_text())["test"] == whole["test"]
