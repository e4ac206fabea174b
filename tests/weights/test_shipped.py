"""The shipped weights: what the card says of them is so, and training starts from them."""

import hashlib
import re

import numpy as np
import pytest
from small_data import make_set, planned

import minifcn as mf
from minifcn.datasets.transforms import Preprocessing
from minifcn.errors import InputError
from minifcn.weights import checkpoint, open_weights, shipped

TRUNK = "vgg_quarter"


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    return make_set(tmp_path_factory.mktemp("sets") / "shapes", [("train", 4)])


def plan(data, command=""):
    return planned(f"--data {data} --model fcn32s {command}".split())[0]


def test_the_card_names_the_checksum_and_size():
    content = (shipped.folder() / f"{TRUNK}.safetensors").read_bytes()
    card = (shipped.folder() / "README.md").read_text(encoding="utf-8")
    assert hashlib.sha256(content).hexdigest() in card and f"{len(content):,} bytes" in card
    assert len(content) < 6_000_000


def test_the_card_s_accuracy_is_the_log_s_last_within_rounding_to_float16():
    card = (shipped.folder() / "README.md").read_text(encoding="utf-8")
    said = [float(x) for x in re.search(r"top-1 ([\d.]+) %, top-5 ([\d.]+) %", card).groups()]
    last = (shipped.folder() / f"{TRUNK}.csv").read_text().splitlines()[-1].split(",")
    np.testing.assert_allclose(said, [100 * float(x) for x in last[-2:]], atol=0.5)
    _, meta = checkpoint.load(shipped.folder() / f"{TRUNK}.safetensors")
    assert meta["validations"][-1]["top1"] == float(last[-2])
    assert said[0] >= 40


def test_the_whole_trunk_is_in_them(capsys):
    model = mf.models.fcn8s(11, TRUNK, "same")
    report = mf.load_weights(model, shipped.find_weights("vgg", TRUNK))
    assert report.skipped == ["fc8.bias", "fc8.weight"] and report.reinitialised == []
    assert {name.split("_")[0] for name in report.missing} == {"score", "upscore2.weight", "upscore", "upscore8.weight"}
    assert report.preprocessing == Preprocessing() and len(report.classes) == 100
    weights = [p.data for name, p in model.parameters().items() if name.startswith(("conv", "fc"))]
    assert all(np.isfinite(w).all() and w.any() for w in weights)


def test_training_starts_from_them_unless_told_otherwise(data, tmp_path):
    path = str(shipped.folder() / f"{TRUNK}.safetensors")
    assert plan(data).init == plan(data, "--init vgg").init == path
    assert plan(data, "--init scratch").init is None
    assert plan(data, "--trunk vgg16").init is None
    assert open_weights(path).format == "minifcn checkpoint"


def test_there_are_none_of_the_full_width(data):
    with pytest.raises(InputError, match=r"weights are shipped for vgg_quarter, not for vgg16. Give a file"):
        plan(data, "--init vgg --trunk vgg16")
