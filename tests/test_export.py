"""python -m minifcn.export: weights alone come back bit for bit, and nothing is overwritten by mistake.

weights/test_onnx_files.py has networks as ONNX graphs, test_export_torch.py weights for PyTorch.
"""

import json
import os
import sys

import numpy as np
import pytest
from safetensors import safe_open
from small_checkpoint import make_checkpoint
from small_data import draw, exit_status, fails

import minifcn as mf
from minifcn import export, inspect_weights
from minifcn.weights import checkpoint, open_weights, shipped

pytestmark = pytest.mark.usefixtures("tiny_trunk")


# --- weights alone ---


def test_weights_alone_come_back_bit_for_bit(tmp_path, capsys):
    """float16 and float32 beside each other, as stored; no momenta, no names of folders."""
    path = make_checkpoint(tmp_path / "run", settings={"data": "/home/someone/secret"}, values=[0, 1, 2])
    tensors, meta = checkpoint.load(path)
    tensors["model/fc6.weight"] = tensors["model/fc6.weight"].astype(np.float16)
    checkpoint.save(path, tensors | {"momentum/fc6.weight": np.ones(3, "f")}, meta)
    out = tmp_path / "out.safetensors"
    export.main([str(path), "--to", "safetensors", "--out", str(out)])
    found, kept = checkpoint.load(out)
    assert found.keys() == tensors.keys()
    for name, x in tensors.items():
        assert found[name].dtype == x.dtype and found[name].tobytes() == x.tobytes(), name
    assert kept == {name: value for name, value in meta.items() if name != "settings"}
    assert b"secret" not in out.read_bytes() and b"momentum" not in out.read_bytes()
    with safe_open(out, "np") as file:
        assert json.loads(file.metadata()["preprocessing"]) == meta["preprocessing"]
        assert json.loads(file.metadata()["classes"]) == meta["classes"]
    picture, _ = draw(1)
    said = capsys.readouterr().out.splitlines()[-1]
    again = eval(said.split("In Python: ")[1], {"minifcn": mf})
    np.testing.assert_array_equal(mf.predict(again, picture), mf.predict(mf.load(path), picture))


def test_the_shipped_weights_stay_small(tmp_path):
    export.main(["--model", "camvid", "--to", "safetensors", "--out", str(tmp_path / "out")])
    assert {x.stored.dtype for x in open_weights(tmp_path / "out").arrays} == {"float16"}
    there = shipped.find_model("camvid").stat().st_size
    assert abs((tmp_path / "out").stat().st_size - there) < 0.01 * there


# --- what it refuses, and what it says ---


def test_without_the_package_onnx(tmp_path, monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "onnx", None)
    monkeypatch.delitem(sys.modules, "minifcn.weights.onnx_files", raising=False)
    line = fails(capsys, export.main, "--model", "camvid", "--to", "onnx", "--out", tmp_path / "x.onnx")
    assert "needs the package onnx" in line and "pip install onnx" in line
    assert not list(tmp_path.iterdir())


def test_nothing_is_overwritten_unless_told(tmp_path, capsys):
    path = make_checkpoint(tmp_path / "last.safetensors")
    out, command = tmp_path / "out", [path, "--to", "torch", "--out", tmp_path / "out"]
    out.write_text("mine")
    assert "out: is there, and not made by minifcn; choose another --out, or add --overwrite" in fails(
        capsys, export.main, *command
    )
    assert out.read_text() == "mine"
    assert exit_status(export.main, *command, "--overwrite") == 0
    assert out.stat().st_size > 1000 and f"wrote {out}, " in capsys.readouterr().out
    assert sorted(x.name for x in tmp_path.iterdir()) == ["last.safetensors", "out"]


def test_the_name_of_its_file_moves_no_cursor(tmp_path, capsys):
    (tmp_path / "esc\x1b[31m").mkdir()
    path = make_checkpoint(tmp_path / "esc\x1b[31m" / "last")
    assert exit_status(export.main, path, "--to", "torch", "--out", tmp_path / "esc\x1b[31m" / "out") == 0
    assert exit_status(inspect_weights.main, path) == 0
    said = capsys.readouterr().out
    assert "\x1b" not in said and said.count("esc\\x1b[31m") >= 2


@pytest.mark.parametrize("to", export.FORMATS)
def test_an_export_is_made_again(to, tmp_path, capsys):
    """It bears the mark, however much there is to say; a checkpoint of a run does not."""
    if to == "onnx":
        pytest.importorskip("onnx")
    classes = [f"a class with the long name {i}" for i in range(255)]
    path = make_checkpoint(tmp_path / "last", classes=classes, palette=[[1, 2, 3]] * 255)
    for _ in range(2):
        assert exit_status(export.main, path, "--to", to, "--out", tmp_path / "out") == 0
    other = make_checkpoint(tmp_path / "other")
    assert "other: is there" in fails(capsys, export.main, path, "--to", to, "--out", other)


@pytest.mark.parametrize("to", export.FORMATS)
@pytest.mark.parametrize("link", [None, os.symlink, os.link])
def test_never_over_the_checkpoint(to, link, tmp_path, capsys):
    path = make_checkpoint(tmp_path / "last.safetensors")
    before, out = path.read_bytes(), path
    if link:
        out = tmp_path / "link"
        link(path, out)
    for more in ([], ["--overwrite"]):
        line = fails(capsys, export.main, path, "--to", to, "--out", out, *more)
        assert f"{out}: would overwrite {path}, which is read" in line
    assert path.read_bytes() == before


@pytest.mark.parametrize("to", ["torch", "safetensors"])
def test_a_write_that_fails_leaves_what_was_there(to, tmp_path, monkeypatch, capsys):
    path, out = make_checkpoint(tmp_path / "last.safetensors"), tmp_path / "out"
    out.write_text("mine")

    def full(file):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    assert "No space left" in fails(capsys, export.main, path, "--to", to, "--out", out, "--overwrite")
    assert out.read_text() == "mine" and sorted(x.name for x in tmp_path.iterdir()) == ["last.safetensors", "out"]


@pytest.mark.parametrize(
    "argv, message",
    [
        (["nowhere", "--to", "torch"], "nowhere: cannot be read"),
        (["last", "--to", "torch", "--labels"], "--labels: expected with --to onnx alone, received --to torch"),
        (["last", "--to", "torch", "--out", "missing/out"], "missing/"),
        (["last", "--to", "torch", "--out", "."], "not a regular file"),
        (["--model", "coco", "--to", "torch"], "--model coco: shipped are camvid, voc"),
        (["trunk", "--to", "torch"], "describes no FCN with its classes"),
    ],
)
def test_bad_input_is_one_line(argv, message, tmp_path, monkeypatch, capsys):
    make_checkpoint(tmp_path / "last")
    checkpoint.save(tmp_path / "trunk", {"model/conv1_1.weight": np.zeros((3, 3, 3, 4), "f")}, {})
    monkeypatch.chdir(tmp_path)
    assert message in fails(capsys, export.main, *argv)
    assert sorted(x.name for x in tmp_path.iterdir()) == ["last", "trunk"]


@pytest.mark.parametrize("argv", [["--to", "torch"], ["last", "--model", "camvid", "--to", "torch"], ["last"]])
def test_one_network_and_one_format(argv, capsys):
    assert exit_status(export.main, *argv) == 2
    assert "error: " in capsys.readouterr().err


def test_the_file_is_named_after_the_checkpoint(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    make_checkpoint(tmp_path / "last.safetensors")
    for to in ("torch", "safetensors"):
        assert exit_status(export.main, "last.safetensors", "--to", to) == 0
    names = {x.name for x in tmp_path.iterdir()}
    assert names == {"last.safetensors", "last_torch.safetensors", "last_weights.safetensors"}
