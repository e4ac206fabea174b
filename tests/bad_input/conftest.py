"""Data, and a run, that tests of bad input spoil copies of."""

import json
import shutil
from pathlib import Path

import pytest
from small_data import make_set
from spoiling import training

from minifcn import train
from minifcn.weights import checkpoint


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    return make_set(tmp_path_factory.mktemp("sets") / "shapes", [("train", 4), ("val", 2), ("test", 2)])


@pytest.fixture(scope="module")
def finished(data, tmp_path_factory):
    """A run of two steps that ended well; tests change copies of it."""
    out = tmp_path_factory.mktemp("runs")
    assert train.main(training(data, out, "--steps", "2")) == 0
    return out / "run"


@pytest.fixture
def run(finished, tmp_path):
    """A copy of the finished run, as if interrupted before its end: there is no metrics.json, and two steps remain."""
    folder = Path(shutil.copytree(finished, tmp_path / "runs" / "run"))
    (folder / "metrics.json").unlink()
    config = json.loads((folder / "config.json").read_text())
    config["stages"][0]["steps"] = 4
    (folder / "config.json").write_text(json.dumps(config))
    for name in ("last", "best"):
        tensors, meta = checkpoint.load(folder / f"{name}.safetensors")
        meta["settings"]["steps"] = 4
        checkpoint.save(folder / f"{name}.safetensors", tensors, meta)
    return folder


@pytest.fixture
def copy(data, tmp_path):
    """A copy of the data to spoil."""
    return Path(shutil.copytree(data, tmp_path / "spoilt"))
