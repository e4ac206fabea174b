"""Files that are no checkpoint, or another's: one clear line that names the file; what is there stays."""

import shutil
from pathlib import Path

import numpy as np
import pytest
from commands import evaluate, predict
from PIL import Image
from small_data import CLASSES, fails, make_set
from spoiling import bytes_below, training

from minifcn import train
from minifcn.models import MODELS
from minifcn.weights import checkpoint

pytestmark = pytest.mark.usefixtures("tiny_trunk", "no_drawing")


@pytest.fixture
def bad_checkpoints(finished, tmp_path):
    """name -> a file that is no usable checkpoint, and what the line must say."""
    folder = tmp_path / "bad"
    folder.mkdir()
    whole = (finished / "last.safetensors").read_bytes()
    tensors, meta = checkpoint.load(finished / "last.safetensors")
    half = {name: x[..., ::2] for name, x in tensors.items()}
    (folder / "short").write_bytes(whole[:-100])
    (folder / "flipped").write_bytes(whole[:-100] + bytes([whole[-100] ^ 1]) + whole[-99:])
    (folder / "empty").write_bytes(b"")
    Image.fromarray(np.zeros((4, 4), np.uint8)).save(folder / "picture", format="PNG")
    (folder / "folder").mkdir()
    checkpoint.save(folder / "narrower", half, meta)
    checkpoint.save(folder / "bare", tensors, {})
    checkpoint.save(folder / "unknown", tensors, {**meta, "model": {**meta["model"], "name": "segnet"}})
    return {
        folder / "short": "truncated",
        folder / "flipped": "checksum",
        folder / "empty": "is empty",
        folder / "picture": "not a weight file of any known kind",
        folder / "folder": "is a folder",
        folder / "nowhere": "No such file",
        folder / "narrower": "none of its weights fit",
        folder / "bare": "describes no FCN",
        folder / "unknown": "describes no FCN",
    }


def test_bad_checkpoints_in_evaluate_and_predict(bad_checkpoints, data, tmp_path, capsys):
    picture = Path(data) / "images" / "test00.png"
    for path, complaint in bad_checkpoints.items():
        line = fails(capsys, evaluate.main, path, "--data", data)
        assert str(path) in line and complaint in line
        line = fails(capsys, predict.main, path, picture, "--out", tmp_path / "out")
        assert str(path) in line and complaint in line
    assert not (tmp_path / "out").exists()


def test_bad_checkpoints_to_start_from(bad_checkpoints, data, tmp_path, capsys):
    others = {"bare": "says nothing of its"}
    for path, complaint in bad_checkpoints.items():
        if path.name == "unknown":  # weights are weights: another network's may serve
            continue
        line = fails(capsys, train.main, *training(data, tmp_path / "runs"), "--init", path)
        assert str(path) in line and others.get(path.name, complaint) in line


def test_bad_checkpoints_to_resume_from(bad_checkpoints, run, capsys):
    """Whatever stands in the place of last.safetensors stays as it is, and so does best.safetensors."""
    last = run / "last.safetensors"
    for path in bad_checkpoints:
        if not path.is_file() or path.name == "unknown":
            continue
        shutil.copy(path, last)
        before = bytes_below(run)
        assert str(last) in fails(capsys, train.main, "--resume", run), path.name
        assert bytes_below(run) == before


def test_weights_of_another_trunk(finished, data, tmp_path, capsys):
    """Only score_fr.bias and the upsampling, whose sizes are those of the classes, would fit."""
    init = finished / "last.safetensors"
    arguments = [*training(data, tmp_path / "runs"), "--trunk", "vgg_quarter", "--init", init]
    assert f"{init}: none of its weights fit" in fails(capsys, train.main, *arguments)


def test_a_checkpoint_of_other_classes_cannot_be_scored(finished, tmp_path, capsys):
    path = finished / "best.safetensors"
    for classes in ((*CLASSES, "triangle"), ("ground", "square", "ball"), ("square", "ground", "disc")):
        data = make_set(tmp_path / "-".join(classes), [("test", 1)], classes=classes)
        line = fails(capsys, evaluate.main, path, "--data", data)
        assert f"{path}: trained on 3 classes (ground, square, disc), but --data {data} has" in line
        assert ", ".join(classes) in line


def test_networks_of_the_shapes_that_a_checkpoint_names(finished):
    """What makes the tests above mean something: the run's own checkpoint is good."""
    tensors, meta = checkpoint.load(finished / "last.safetensors")
    own = MODELS["fcn32s"](3, "tiny", "same").parameters()
    assert {name: tensors[f"model/{name}"].shape for name in own} == {name: p.shape for name, p in own.items()}
    assert meta["step"] == 2
