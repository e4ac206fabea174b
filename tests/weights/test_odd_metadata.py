"""Checkpoints whose metadata is odd, under a right checksum: no command raises anything but InputError."""

import json
import math
import shutil
from itertools import cycle
from pathlib import Path

import numpy as np
import pytest
from commands import evaluate, predict
from small_data import assert_one_error_line, exit_status, make_set

from minifcn import inspect_weights, train
from minifcn.errors import InputError
from minifcn.weights import checkpoint, open_weights

pytestmark = pytest.mark.usefixtures("tiny_trunk", "no_drawing")
DEEP = json.loads("[" * 500 + "]" * 500)
HUGE = "x" * 100_000
ODD = [None, -1, 0, 1, 300, 1e300, -1e300, 2**62, 10**400, math.nan, math.inf, "", HUGE, "a\x1b[2J\nb", "\ud800"]
ODD += [[], {}, [[]], [{}], [None], ["a"], [1e300] * 3, [HUGE] * 3, {"a": {"b": []}}, DEEP, True, False, "fcn8s"]


def places(value, path=()):
    """The ways to every value within a document, itself first. Of a list only its first and last entry are tried."""
    yield path
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, x in inner:
        if isinstance(value, dict) or key in (0, len(value) - 1):
            yield from places(x, (*path, key))


def changed(document, path, value):
    """The document with another value in that place, made anew along the way."""
    if not path:
        return value
    copy, (key, *rest) = document.copy(), path
    copy[key] = changed(document[key], rest, value)
    return copy


def variants(document):
    """Every third odd value in each place, so that each value is tried in every third."""
    for i, path in enumerate(places(document)):
        found = document
        for key in path:
            found = found[key]
        for value in ODD[i % 3 :: 3]:
            yield path, value
        if isinstance(found, list):  # of wrong lengths
            yield from ((path, value) for value in (found[1:], found + found[:1], found * 100))


def without(document):
    """The document without one of its entries, at any depth of dictionaries."""
    for key, value in document.items():
        yield key, {name: x for name, x in document.items() if name != key}
        if isinstance(value, dict):
            yield from (((key, inner), document | {key: x}) for inner, x in without(value))


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    return make_set(tmp_path_factory.mktemp("sets") / "shapes", [("train", 2), ("val", 1)], size=(20, 24))


@pytest.fixture(scope="module")
def finished(data, tmp_path_factory):
    """A run of two steps; as if it was interrupted before it was told complete."""
    out = tmp_path_factory.mktemp("runs")
    options = "--model fcn32s --trunk tiny --steps 2 --batch 1 --val-every 0.5 --init scratch --crop 16 16"
    assert train.main(f"--data {data} --out {out} --name run {options}".split()) == 0
    (out / "run" / "metrics.json").unlink()
    return out / "run"


class Commands:
    """What is run with each checkpoint. accepted: how often each of them did its work."""

    def __init__(self, run, data, folder):
        self.run, self.path, self.accepted = run, run / "last.safetensors", {}
        picture, out = Path(data) / "images" / "val00.png", folder / "out"
        compare = ["--compare", f"{data}/labels"]
        start = f"--data {data} --out {folder} --name new --model fcn32s --trunk tiny --steps 1 --batch 1 --init"
        self.calls = {
            "evaluate": lambda: evaluate.main([f"{self.path}", "--data", data, "--split", "val"]),
            "predict": lambda: predict.main([f"{self.path}", f"{picture}", "--out", f"{out}", *compare]),
            "inspect": lambda: inspect_weights.main([f"{self.path}"]),
            "init": lambda: train.main([*start.split(), f"{self.path}"]),
            "resume": lambda: train.main(["--resume", f"{run}"]),
        }
        self.turns, self.seen = cycle(self.calls), set()
        self.tensors, self.meta = checkpoint.load(self.path)
        self.log = (run / "log.csv").read_bytes()

    def try_all(self, meta, place, what, capsys):
        checkpoint.save(self.path, self.tensors, meta)
        shutil.copy(self.path, kept := self.path.with_name("kept"))
        names = [next(self.turns)]  # which all open it alike
        if self.tell("inspect", what, capsys) and place not in self.seen:
            self.seen.add(place)  # what is accepted, all of them work with
            names = [*self.calls]
        for name in names:
            self.tell(name, what, capsys)
            shutil.copy(kept, self.path)
            (self.run / "metrics.json").unlink(missing_ok=True)
            (self.run / "log.csv").write_bytes(self.log)

    def tell(self, name, what, capsys):
        """Run a command; return whether it did its work."""
        try:
            self.calls[name]()
            self.accepted[name] = self.accepted.get(name, 0) + 1
            return True
        except InputError as error:
            line = str(error)
            assert "\n" not in line and line.isprintable() and len(line) < 1000, (name, what)
            return False
        except Exception as error:
            raise AssertionError(f"{name}: {what}") from error
        finally:
            said = capsys.readouterr()
            assert "\x1b" not in said.out + said.err and HUGE not in said.out + said.err, (name, what)


def shown(value):
    return json.dumps(value)[:80]


@pytest.mark.filterwarnings("default")
def test_odd_metadata_is_told_in_one_line(finished, data, tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("os.fsync", lambda _: None)  # thousands of them
    commands = Commands(finished, data, tmp_path)
    commands.try_all(commands.meta, "all", "as it is", capsys)
    assert set(commands.accepted) == set(commands.calls), "what is not odd must work"
    for path, value in variants(commands.meta):
        if path[:1] != ("settings",) or len(path) == 1 or path[1] in ("trunk", "crop"):  # the others are alike
            commands.try_all(changed(commands.meta, path, value), path, f"{path} = {shown(value)}", capsys)
    for name, meta in without(commands.meta):
        commands.try_all(meta, name, f"without {name}", capsys)
    assert commands.accepted["evaluate"] > 10 and commands.accepted["resume"] > 10
    checkpoint.save(commands.path, commands.tensors, commands.meta)


def test_momenta_of_another_network(finished, data, tmp_path, capsys):
    commands = Commands(finished, data, tmp_path)
    for name, x in (
        ("momentum/fc7.bias", np.zeros(2, "f")),
        ("momentum/fc7.bias", commands.tensors["momentum/fc7.bias"].astype(int)),
        ("momentum/fc9.bias", np.zeros(2, "f")),
        ("momentum/fc\x1b.bias", np.zeros(2, "f")),
    ):
        checkpoint.save(commands.path, commands.tensors | {name: x}, commands.meta)
        with pytest.raises(InputError, match=r"last.safetensors: momentum/fc.* is not of its network; restore it"):
            commands.calls["resume"]()
    checkpoint.save(commands.path, commands.tensors, commands.meta)


@pytest.mark.parametrize("name", ["config.json", "metrics.json"])
def test_deep_json_in_a_run_s_folder(name, finished, data, tmp_path):
    run = Path(shutil.copytree(finished, tmp_path / "run"))
    (run / name).write_text('{"stages":' + "[" * 100_000)
    if name == "config.json":
        with pytest.raises(InputError, match=r"config.json: not the configuration of a run"):
            train.main(["--resume", str(run)])
    else:
        assert train.main(["--resume", str(run)]) == 0  # as if it were not there
        assert json.loads((run / "metrics.json").read_text())["steps"] == 2


@pytest.mark.filterwarnings("default")
@pytest.mark.parametrize("value", [value for value in ODD if value is not HUGE], ids=lambda x: json.dumps(x)[:30])
@pytest.mark.parametrize("name", ["lr", "steps", "seed", "crop", "skip_scale", "init", "batch", "trunk", "clip"])
def test_odd_settings_in_config(name, value, finished, tmp_path, capsys):
    run = Path(shutil.copytree(finished, tmp_path / "run"))
    config = json.loads((run / "config.json").read_text())
    config["stages"][0][name] = value
    (run / "config.json").write_text(json.dumps(config))
    if exit_status(train.main, "--resume", run) == 2:
        assert assert_one_error_line(capsys.readouterr().err).isprintable()


def test_class_names_are_one_line_but_may_be_in_any_script(finished, tmp_path):
    tensors, meta = checkpoint.load(finished / "last.safetensors")
    path = tmp_path / "a"
    for names in (["Straße", "car park", "\u0645\u06cc\u200c\u062e\u0648"], ["空", "路", "🚗"]):
        checkpoint.save(path, tensors, meta | {"classes": names})
        assert open_weights(path).classes == names
    for bad in ("a\nb", "\x1b[31m", "\x7f", "\x9b2J", "\u2028", "\ud800"):
        checkpoint.save(path, tensors, meta | {"classes": ["a", "b", bad]})
        with pytest.raises(InputError, match="its classes cannot be"):
            open_weights(path)
