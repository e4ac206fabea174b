"""Options are declared once: help, defaults and checks follow from the fields, and a run is built before its folder."""

import json
import re
import subprocess
import sys
from dataclasses import MISSING, fields
from pathlib import Path

import numpy as np
import pytest
from small_data import fails, make_pictures, make_set, planned

from minifcn import pretrain, train
from minifcn.models import MODELS
from minifcn.training import classification, segmentation
from minifcn.training.settings import ClassificationSettings, Options, SegmentationSettings, TrainOptions
from minifcn.weights import checkpoint

pytestmark = pytest.mark.usefixtures("tiny_trunk", "no_drawing")
KINDS = {train: (SegmentationSettings, TrainOptions), pretrain: (ClassificationSettings, Options)}


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    return make_set(tmp_path_factory.mktemp("sets") / "shapes", [("train", 4), ("val", 2), ("test", 2)])


def arguments(data, out, *more):
    command = f"--data {data} --out {out} --name run --trunk tiny --model fcn32s --steps 1 --warmup 0"
    return [*command.split(), *map(str, more)]


# --- help ---


def helps(command, capsys, *argv):
    with pytest.raises(SystemExit) as ended:
        command.main(list(argv))
    assert ended.value.code == 0
    return capsys.readouterr().out


@pytest.mark.parametrize("command", [train, pretrain])
def test_help_shows_ten_options_and_help_all_the_rest(command, capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "100")
    short, everything = helps(command, capsys, "--help"), helps(command, capsys, "--help-all")
    for text in (short, everything):
        assert len(text.splitlines()) <= 50 and max(map(len, text.splitlines())) <= 100
    names = [set(re.findall(r"^ +(--[a-z-]+)", text, re.MULTILINE)) - {"--help-all"} for text in (short, everything)]
    assert len(names[0]) == 10 and names[0] < names[1]
    declared = [f for kind in KINDS[command] for f in fields(kind) if f.metadata.get("help")]
    assert names[1] == {f"--{f.name.replace('_', '-')}" for f in declared}


@pytest.mark.parametrize("command", [train, pretrain])
def test_help_tells_each_default(command, capsys):
    text = " ".join(helps(command, capsys, "--help-all").split())
    said = dict(re.findall(r" --([a-z-]+) [A-Z{](.*?)(?= --[a-z-]+ [A-Z{]|$)", text))
    for f in (f for kind in KINDS[command] for f in fields(kind) if f.metadata.get("help")):
        if not isinstance(f.default, bool | tuple) and f.default not in (None, MISSING, 112):  # --crop: 7/8 of --size
            shown = f"{f.default:g}" if isinstance(f.default, float) else str(f.default)
            assert re.search(rf"\(default: {re.escape(shown)}(\.0)?[);]", said[f.name.replace("_", "-")]), f.name


def test_the_package_lists_its_commands():
    child = subprocess.run([sys.executable, "-m", "minifcn"], capture_output=True, text=True, timeout=60)
    assert child.returncode == 0 and child.stderr == ""
    listed = re.findall(r"^python -m minifcn\.(\w+) +\S", child.stdout, re.MULTILINE)
    package = Path(train.__file__).parent
    commands = {path.stem for path in package.glob("[a-z]*.py") if '__name__ == "__main__"' in path.read_text()}
    assert sorted(listed) == sorted(commands)


# --- from a command line to settings ---


def test_values_reach_the_settings_with_their_types(data):
    given = "--pad 100 --skip-scale 0.5 2 --crop 16 24 --val-every 0.5 --no-flip --low-memory --batch 1"
    [s] = planned(arguments(data, "runs", *given.split()))
    assert (s.pad, s.skip_scale, s.crop, s.val_every) == (100, (0.5, 2.0), (16, 24), 0.5)
    assert (s.flip, s.low_memory, s.balance, s.batch, s.clip) == (False, True, False, 1, 0.0)
    [s] = planned(["--data", data, "--model", "fcn32s", "--steps", "1"])
    assert all(getattr(s, f.name) == f.default for f in fields(s) if f.name not in ("data", "model", "steps", "init"))


# --- config.json ---


@pytest.fixture
def config(data, tmp_path):
    """The config.json of a run that wrote no checkpoint yet, and a function that changes it."""
    assert train.main(arguments(data, tmp_path)) == 0
    folder = tmp_path / "run"
    for path in folder.iterdir():
        if path.name != "config.json":
            path.unlink()
    path = folder / "config.json"
    content = json.loads(path.read_text())

    def change(**values):
        path.write_text(json.dumps(content | {"stages": [content["stages"][0] | values]}))
        return path

    return change


@pytest.mark.parametrize("name, value", [
    ("lr", "0.1"), ("lr", -1), ("lr", None), ("lr", True), ("batch", 2.5), ("batch", 0), ("seed", "x"), ("flip", 1),
    ("trunk", "alexnet"), ("trunk", 3), ("pad", 99), ("crop", [3]), ("crop", 5), ("crop", [8, -8]), ("model", "segnet"),
    ("skip_scale", [1.0, "x"]), ("momentum", 1.0), ("dropout", 1), ("schedule", "cosine"), ("data", 4), ("init", 5),
    ("colour", "red"),
])  # fmt: skip
def test_a_damaged_configuration_is_named(name, value, config, capsys):
    path = config(**{name: value})
    line = fails(capsys, train.main, "--resume", path.parent)
    assert (
        line.startswith(f"error: {path}: not the configuration of a run of minifcn.train (") and "; restore it" in line
    )
    assert name.replace("_", "-") in line.replace("_", "-")
    assert [entry.name for entry in path.parent.iterdir()] == ["config.json"]


def test_a_whole_configuration_resumes(config, data):
    """What makes the test above mean something; also with what an older version did not write."""
    path = config()
    content = json.loads(path.read_text())
    for name in ("scale", "fraction", "held_out"):
        del content["stages"][0][name]
    path.write_text(json.dumps(content))
    assert train.main(["--resume", str(path.parent)]) == 0


def test_a_batch_of_more_pictures_than_there_are_is_refused_in_a_resumed_run_too(config, capsys):
    path = config(batch=5)
    assert "--batch 5 x --accumulate 1 is more than the 4 training" in fails(
        capsys, train.main, "--resume", path.parent
    )


@pytest.mark.parametrize("error", [KeyError, TypeError, ValueError])
def test_a_bug_in_a_network_is_not_said_to_be_a_bad_configuration(error, config, monkeypatch):
    def broken(*_, **__):
        raise error("a bug")

    path = config()
    monkeypatch.setitem(MODELS, "fcn32s", broken)
    with pytest.raises(error, match="a bug"):
        train.main(["--resume", str(path.parent)])


# --- built before its folder ---


def counted(monkeypatch, module, name):
    calls, real = [], getattr(module, name)

    def spy(*positional, **named):
        calls.append(positional)
        return real(*positional, **named)

    monkeypatch.setattr(module, name, spy)
    return calls


def test_data_and_weights_are_opened_once(data, tmp_path, monkeypatch):
    splits = counted(monkeypatch, segmentation, "open_dataset")
    weights = [counted(monkeypatch, module, "open_weights") for module in (train, sys.modules["minifcn.weights"])]
    assert train.main(arguments(data, tmp_path, "--trunk", "vgg_quarter")) == 0
    assert sorted(split for _, split in splits) == ["test", "train", "val"]
    assert [len(calls) for calls in weights] == [1, 0]


def test_pictures_and_weights_of_pretraining_are_opened_once(tmp_path, monkeypatch):
    data = make_pictures(tmp_path / "colours")
    options = f"--data {data} --out {tmp_path} --trunk tiny --size 32 --batch 4 --steps 1".split()
    assert pretrain.main([*options, "--name", "first"]) == 0
    opened = [counted(monkeypatch, module, "open_pictures") for module in (pretrain, classification.pictures)]
    weights = [counted(monkeypatch, module, "open_weights") for module in (pretrain, sys.modules["minifcn.weights"])]
    assert pretrain.main([*options, "--init", str(tmp_path / "first" / "last.safetensors")]) == 0
    assert [len(calls) for calls in (*opened, *weights)] == [1, 0, 1, 0]


def test_a_network_that_cannot_be_built_leaves_no_folder(data, tmp_path, capsys, monkeypatch):
    """Weights that turn out bad only when they are read, and labels only when classes are counted."""
    assert train.main(arguments(data, tmp_path)) == 0
    tensors, meta = checkpoint.load(tmp_path / "run" / "last.safetensors")
    tensors["model/fc7.bias"][3] = np.nan
    checkpoint.save(tmp_path / "nan.safetensors", tensors, meta)
    line = fails(capsys, train.main, *arguments(data, tmp_path / "runs", "--init", tmp_path / "nan.safetensors"))
    assert "fc7.bias holds NaN" in line

    def uncountable(_):
        raise OSError(5, "Input/output error", "labels.png")

    monkeypatch.setattr(segmentation, "median_frequency_weights", uncountable)
    assert "labels.png" in fails(capsys, train.main, *arguments(data, tmp_path / "runs", "--balance"))
    assert not (tmp_path / "runs").exists()
