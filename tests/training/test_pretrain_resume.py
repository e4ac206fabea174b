"""Pretraining that is stopped or killed and resumed ends bit for bit as undisturbed; starts from other runs."""

import json
import random
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from resumed_runs import KILLER, MARKS, interrupt_from_outside, signal_in_step, steps_logged
from small_data import assert_same_run, assert_same_tensors, exit_status, fails, make_pictures, pretrain_planned, zipped

from minifcn import pretrain
from minifcn.models.classifier import VGGClassifier
from minifcn.training.classification import Classification
from minifcn.training.task import open_run
from minifcn.weights import checkpoint

# All that a resume could get wrong is on: momentum, dropout, augmentation, accumulation, schedule, batch averages.
OPTIONS = "--trunk tiny --size 32 --crop 28 --batch 3 --accumulate 2 --lr 0.05 --warmup 3 --dropout 0.5 --seed 5"
STEPS = 9  # three epochs

pytestmark = MARKS


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return make_pictures(tmp_path_factory.mktemp("sets") / "colours", "tiny")


@pytest.fixture(scope="module")
def data(folder):
    """A zip: what resumes reads from it anew."""
    return zipped(folder, folder.with_suffix(".zip"))


@pytest.fixture(scope="module")
def undisturbed(data, tmp_path_factory):
    out = tmp_path_factory.mktemp("undisturbed")
    assert pretrain.main(arguments(data, out)) == 0
    return out / "run"


def arguments(data, out, *more):
    given = ["--data", data, "--out", out, "--name", "run", *OPTIONS.split(), "--steps", STEPS, *more]
    return [str(argument) for argument in given]


def files_of(run):
    return {path: path.read_bytes() for path in run.iterdir()}


def assert_ended_alike(run, expected):
    assert_same_run(run, expected)
    (trunk, meta), (other, other_meta) = (checkpoint.load(f / "trunk.safetensors") for f in (run, expected))
    assert trunk.keys() == other.keys() and all(x.tobytes() == other[name].tobytes() for name, x in trunk.items())
    assert [{**v, "seconds": 0} for v in meta["validations"]] == [
        {**v, "seconds": 0} for v in other_meta["validations"]
    ]
    assert sorted(path.name for path in run.iterdir()) == sorted(path.name for path in expected.iterdir())


# --- stopped, killed ---


def test_what_a_checkpoint_holds(undisturbed):
    """What makes the tests below mean something: averages that have moved, and momentum of all that learns."""
    tensors, meta = checkpoint.load(undisturbed / "last.safetensors")
    start = VGGClassifier(3, "tiny", seed=5).parameters()
    for name, parameter in start.items():
        assert (tensors[f"model/{name}"] != parameter.data).any(), name
        assert parameter.requires_grad == (f"momentum/{name}" in tensors), name
        assert not parameter.requires_grad or tensors[f"momentum/{name}"].any(), name
    assert meta["step"] == STEPS and len(meta["validations"]) == 3


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM], ids=["Ctrl-C", "SIGTERM"])
@pytest.mark.parametrize("at", [2, 6], ids=["in an epoch", "at the end of one"])
def test_a_request_to_stop(number, at, data, undisturbed, tmp_path, monkeypatch, capsys):
    run = tmp_path / "run"
    with monkeypatch.context() as patch:
        signal_in_step(patch, number, at)
        assert exit_status(pretrain.main, *arguments(data, tmp_path)) == 130
    said = capsys.readouterr()
    assert f"stopped after step {at} of {STEPS}" in said.out and "Traceback" not in said.err
    assert said.out.rstrip().endswith(f"go on with: python -m minifcn.pretrain --resume {run}")
    assert checkpoint.load(run / "last.safetensors")[1]["step"] == at == steps_logged(run)
    assert not (run / "metrics.json").exists() and not (run / "trunk.safetensors").exists()
    assert pretrain.main(["--resume", str(run)]) == 0
    assert_ended_alike(run, undisturbed)


@pytest.mark.parametrize("save_seconds", [0, 1000], ids=["saving after every step", "saving after every epoch"])
def test_killed_at_many_moments(save_seconds, data, undisturbed, tmp_path):
    """By SIGKILL, early in a start, in steps, in saves of either checkpoint, in writing the trunk."""
    rng = random.Random(save_seconds)
    kills = [30, *range(1, 9), *(rng.randrange(8, 30) for _ in range(4))]
    start = json.dumps(arguments(data, tmp_path))
    killer = KILLER.replace("command, train", "command, pretrain as train")
    command = [sys.executable, "-c", killer, str(save_seconds), start, str(tmp_path / "run"), json.dumps(kills)]
    child = subprocess.run(command, capture_output=True, text=True, timeout=240)
    ends = [line.split()[1] for line in child.stdout.splitlines() if line.startswith("ended")]
    assert ends[-1] == "0", child.stdout + child.stderr
    assert ends.count("-9") >= 8
    assert_ended_alike(tmp_path / "run", undisturbed)


def test_ctrl_c_from_outside(data, tmp_path):
    said = interrupt_from_outside(f"pretrain --data {data} --size 32 --batch 6", tmp_path / "run")
    assert "vgg_quarter:" in said  # the progress bar


def test_resuming_a_finished_run_changes_nothing(undisturbed, capsys):
    before = files_of(undisturbed)
    assert pretrain.main(["--resume", str(undisturbed)]) == 0
    assert files_of(undisturbed) == before
    assert "held-out pictures: top-1" in capsys.readouterr().out


def test_damaged_metrics_and_a_lost_trunk_are_made_anew(undisturbed, tmp_path):
    run = Path(shutil.copytree(undisturbed, tmp_path / "run"))
    (run / "metrics.json").write_text("{")
    (run / "trunk.safetensors").unlink()
    assert pretrain.main(["--resume", str(run)]) == 0
    assert_ended_alike(run, undisturbed)
    assert json.loads((run / "metrics.json").read_text())["validations"]


def test_a_damaged_picture_stops_the_run_and_nothing_is_lost(folder, undisturbed, tmp_path, capsys):
    """It is named; once it is whole again, the run goes on to the end it would have had."""
    copy = Path(shutil.copytree(folder, tmp_path / "copy"))
    path = copy / "train" / "red" / "images" / "red_3.JPEG"
    whole = path.read_bytes()
    path.write_bytes(whole[:100])
    line = fails(capsys, pretrain.main, *arguments(copy, tmp_path))
    assert line.startswith(f"error: {path}: unreadable picture")
    path.write_bytes(whole)
    assert pretrain.main(["--resume", str(tmp_path / "run")]) == 0
    assert_ended_alike(tmp_path / "run", undisturbed)


# --- what is refused on resuming ---


@pytest.fixture
def stopped(data, tmp_path, monkeypatch):
    with monkeypatch.context() as patch:
        signal_in_step(patch, signal.SIGINT, 4)
        assert pretrain.main(arguments(data, tmp_path)) == 130
    return tmp_path / "run"


def test_other_settings_and_other_runs_are_refused(stopped, tmp_path, capsys):
    before, path = files_of(stopped), stopped / "config.json"
    config = json.loads(path.read_text())
    for name, value in {"lr": 0.1, "size": 40, "crop": 20, "seed": 1, "batch": 2, "dropout": 0.0}.items():
        path.write_text(json.dumps({**config, "stages": [{**config["stages"][0], name: value}]}))
        assert f"other settings or data: {name} " in fails(capsys, pretrain.main, "--resume", stopped)
    for stages in ([], config["stages"] * 2, [{**config["stages"][0], "colour": "red"}]):
        path.write_text(json.dumps({**config, "stages": stages}))
        assert f"{path}: not the configuration of a run" in fails(capsys, pretrain.main, "--resume", stopped)
    path.write_text(json.dumps({**config, "stages": [{**config["stages"][0], "model": "fcn32s"}]}))
    line = fails(capsys, pretrain.main, "--resume", stopped)
    assert f"{path}: not the configuration of a run of minifcn.pretrain (" in line and "begun by minifcn.train" in line
    assert line.endswith("; restore it, or resume with the command that began the run")
    path.write_bytes(before[path])
    assert files_of(stopped) == before
    assert f"{tmp_path}: no run here" in fails(capsys, pretrain.main, "--resume", tmp_path)


def test_pictures_that_are_gone_or_of_other_classes(stopped, tmp_path, capsys):
    config = json.loads((stopped / "config.json").read_text())
    before = files_of(stopped)
    others = make_pictures(tmp_path / "others", classes=("cyan", "magenta", "yellow"))
    gone = tmp_path / "no.zip"
    for where, complaint in ((gone, f"{gone}: no such"), (others, f"restore config.json and {others}")):
        config["stages"][0]["data"] = str(where)
        (stopped / "config.json").write_text(json.dumps(config))
        line = fails(capsys, pretrain.main, "--resume", stopped)
        assert complaint in line and ("other settings or data: classes " in line) == (where == others)
    (stopped / "config.json").write_bytes(before[stopped / "config.json"])
    assert files_of(stopped) == before


# --- starting from another run ---


@pytest.mark.parametrize("names", [("cyan", "magenta", "white", "yellow"), ("cyan", "magenta", "yellow")])
def test_a_start_from_another_run(names, undisturbed, tmp_path, capsys):
    """Everything but fc8, averages too; fc8 as well where there are as many classes. At lr 0 the end is the start."""
    data, init = make_pictures(tmp_path / "inks", classes=names), undisturbed / "last.safetensors"
    settings = pretrain_planned(arguments(data, tmp_path, "--init", init))
    run = open_run(Classification, tmp_path, settings)
    out = capsys.readouterr().out
    theirs = checkpoint.load(init)[0]
    for name, parameter in run.model.parameters().items():
        if name.startswith("fc8") and len(names) == 4:
            assert parameter.shape[-1] == 4 and not parameter.data.any()
        else:
            np.testing.assert_array_equal(parameter.data, theirs[f"model/{name}"], err_msg=name)
    if len(names) == 4:
        assert "REINITIALISED" in out and "the file's classes (3) are not those of inks (4): new last layers" in out
    else:
        assert "the file's classes (3) are not those of inks (3): kept its last layers all the same" in out
    assert run.step == 0 and not run.optimiser.momentum_buffers


def test_a_run_that_started_from_another_resumes_too(undisturbed, data, tmp_path, monkeypatch):
    """Without the file that it started from: the checkpoint has all."""
    path = Path(shutil.copy(undisturbed / "last.safetensors", tmp_path / "first.safetensors"))
    init = ("--init", path)
    assert pretrain.main(arguments(data, tmp_path / "whole", *init)) == 0
    with monkeypatch.context() as patch:
        signal_in_step(patch, signal.SIGINT, 5)
        assert pretrain.main(arguments(data, tmp_path / "halves", *init)) == 130
    path.unlink()
    assert pretrain.main(["--resume", str(tmp_path / "halves" / "run")]) == 0
    assert_same_tensors(
        tmp_path / "halves" / "run" / "last.safetensors", tmp_path / "whole" / "run" / "last.safetensors"
    )
