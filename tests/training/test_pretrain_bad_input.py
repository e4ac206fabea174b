"""Pretraining and bad input: exit status 2, one line that names the file or the value, nothing written."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from small_data import fails, make_pictures, make_set, pretrain_planned, zipped

from minifcn import pretrain, train

pytestmark = pytest.mark.usefixtures("tiny_trunk", "no_drawing")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return make_pictures(tmp_path_factory.mktemp("sets") / "colours", "tiny")


@pytest.fixture(scope="module")
def data(folder):
    return zipped(folder, folder.with_suffix(".zip"))


def arguments(data, out, *more):
    options = "--trunk tiny --size 32 --crop 28 --batch 3 --accumulate 2 --steps 2"
    return ["--data", str(data), "--out", str(out), *options.split(), *map(str, more)]


def test_starts_that_are_refused(data, tmp_path, capsys):
    """A folded trunk has no averages any more, an FCN never had: normalised, they would be others."""
    assert pretrain.main(arguments(data, tmp_path, "--name", "run")) == 0
    shapes = make_set(tmp_path / "shapes", [("train", 2)])
    assert train.main(f"--data {shapes} --out {tmp_path} --name fcn --model fcn32s --trunk tiny --steps 1".split()) == 0
    (tmp_path / "text").write_text("no weights")
    for init, complaint in (
        (tmp_path / "run" / "trunk.safetensors", "not a classifier in training; give the last.safetensors of a run"),
        (tmp_path / "fcn" / "last.safetensors", "not a classifier in training; give the last.safetensors of a run"),
        (tmp_path / "text", "not a weight file of any known kind"),
        (tmp_path / "no.safetensors", "No such file"),
    ):
        line = fails(capsys, pretrain.main, *arguments(data, tmp_path / "runs", "--init", init))
        assert line.startswith(f"error: {init}: ") and complaint in line
    assert not (tmp_path / "runs").exists()
    wider = ("--init", tmp_path / "run" / "last.safetensors", "--trunk", "vgg_quarter")
    assert "none of its weights fit" in fails(capsys, pretrain.main, *arguments(data, tmp_path / "runs", *wider))


# --- the command line ---


@pytest.mark.parametrize(("options", "named"), [
    ("--crop 0", "--crop: expected more than 0, received 0"),
    ("--crop 33", "--crop: expected 1 to 32, the --size, received 33"),
    ("--size 0", "--size: expected more than 0, received 0"),
    ("--size -5", "--size: expected more than 0, received -5"),
    ("--batch 19", "more than the 18 training pictures"),
    ("--batch 10", "more than the 18 training pictures"),  # twice, as accumulated
    ("--batch 0", "--batch: expected more than 0, received 0"),
    ("--batch 1 --accumulate 1", "--batch 1: with --crop 28 fc6 has one place"),
    ("--epochs 0", "--epochs: expected more than 0, received 0"),
    ("--epochs nan", "--epochs"),
    ("--epochs 5", "--steps 2 and --epochs 5: leave one of them out"),
    ("--steps 0", "--steps: expected more than 0, received 0"),
    ("--lr -1", "--lr: expected 0 or more, received -1"),
    ("--clip nan", "--clip"),
    ("--momentum 1", "--momentum"),
    ("--dropout 1", "--dropout"),
    ("--seed -1", "--seed"),
    ("--data nowhere", "nowhere: no such folder or zip; give the pictures to train on with --data"),
])  # fmt: skip
def test_values_out_of_range(options, named, data, tmp_path, capsys):
    line = fails(capsys, pretrain.main, *arguments(data, tmp_path / "runs", *options.split()))
    assert named in line
    assert not (tmp_path / "runs").exists()  # nothing is written before all is checked


def test_one_picture_at_a_time_where_fc6_has_more_places(data, tmp_path):
    command = arguments(data, tmp_path, "--batch", "1", "--size", "40", "--crop", "33")
    assert pretrain_planned(command).batch == 1


def test_bad_pictures_are_told_before_anything_is_written(folder, tmp_path, capsys):
    copy = Path(shutil.copytree(folder, tmp_path / "copy"))
    (copy / "val" / "val_annotations.txt").write_text("val_0.JPEG\twhite\n")
    line = fails(capsys, pretrain.main, *arguments(copy, tmp_path / "runs"))
    start = f"error: {copy / 'val' / 'val_annotations.txt'}, line 1: expected a picture in val/images/"
    assert line.startswith(start) and line.endswith(r"received 'val_0.JPEG\twhite'; correct the line")
    shutil.copy(folder / "val" / "val_annotations.txt", copy / "val" / "val_annotations.txt")
    for path in (copy / "train" / "blue" / "images" / "blue_0.JPEG", copy / "val" / "images" / "val_0.JPEG"):
        whole = path.read_bytes()
        path.write_bytes(whole[:50])
        assert f"{path}: unreadable" in fails(capsys, pretrain.main, *arguments(copy, tmp_path / "runs"))
        path.write_bytes(whole)
    (tmp_path / "bad.zip").write_text("no zip")
    assert "bad.zip: unreadable zip" in fails(
        capsys, pretrain.main, *arguments(tmp_path / "bad.zip", tmp_path / "runs")
    )
    assert not (tmp_path / "runs").exists()


@pytest.mark.parametrize("more", ["", "--data nowhere", "--resume nowhere"])
def test_real_processes(more, tmp_path):
    command = [sys.executable, "-m", "minifcn.pretrain", *more.split()]
    child = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, timeout=60)
    assert child.returncode == 2
    assert child.stderr.startswith("error: nowhere" if more else "error: --data: give a folder or zip")
    assert child.stderr.count("\n") == 1 and child.stdout == "" and list(tmp_path.iterdir()) == []
