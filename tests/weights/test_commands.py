"""Weight files of other people on the command line: what train, evaluate and predict make of them and say."""

import numpy as np
import pytest
from commands import evaluate
from safetensors.numpy import save_file
from small_data import TINY, assert_one_error_line, exit_status, fails, make_set

from minifcn import train
from minifcn.models.vgg import CONVS
from minifcn.weights import checkpoint
from minifcn.weights.names import FEATURES

pytestmark = pytest.mark.usefixtures("tiny_trunk")


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    return make_set(tmp_path_factory.mktemp("sets") / "shapes", [("train", 4)])


@pytest.fixture
def vgg():
    """A tiny VGG-16 under torchvision's names, (K,C,KH,KW)."""
    rng, channels, arrays = np.random.default_rng(0), 3, {}
    widths = [TINY.blocks[block] for block, convs in enumerate(CONVS) for _ in range(convs)]
    for number, width in zip(FEATURES, widths, strict=True):
        arrays[f"features.{number}.weight"] = rng.standard_normal((width, channels, 3, 3)).astype("f")
        arrays[f"features.{number}.bias"], channels = np.zeros(width, "f"), width
    for number, shape in ((0, (TINY.fc, channels * 49)), (3, (TINY.fc, TINY.fc)), (6, (10, TINY.fc))):
        arrays[f"classifier.{number}.weight"] = rng.standard_normal(shape).astype("f")
        arrays[f"classifier.{number}.bias"] = np.zeros(shape[0], "f")
    return arrays


def start(data, out, path, trunk="tiny"):
    return f"--data {data} --out {out} --name run --model fcn32s --trunk {trunk} --steps 1 --init {path}".split()


def test_a_run_says_what_it_took_and_how_pictures_are_preprocessed(data, vgg, tmp_path, capsys):
    save_file(vgg, tmp_path / "vgg")
    assert train.main(start(data, tmp_path, tmp_path / "vgg")) == 0
    said = capsys.readouterr().out
    assert "loaded                                   30 arrays: conv1_1, conv1_2, conv2_1 ... fc6, fc7" in said
    assert "skipped (not in this network)            2 arrays: classifier.6" in said
    assert "preprocessing: RGB of 0..255, minus 123.675 116.28 103.53, divided by 58.395 57.12 57.375" in said
    _, meta = checkpoint.load(tmp_path / "run" / "last.safetensors")
    assert meta["preprocessing"]["mean"] == [123.675, 116.28, 103.53]


def test_another_width_is_told_before_anything_is_written(data, vgg, tmp_path, capsys):
    save_file(vgg, tmp_path / "vgg")
    line = fails(capsys, train.main, *start(data, tmp_path / "runs", tmp_path / "vgg", "vgg_quarter"))
    assert f"{tmp_path / 'vgg'}: none of its weights fit this trunk, as conv1_1.weight is (3, 3, 3, 4) there" in line
    assert not (tmp_path / "runs").exists()


def test_caffe_s_vgg_under_torchvision_s_names_is_refused(data, vgg, tmp_path, capsys):
    """Its layers are classifier.1 and classifier.4; pictures as for torchvision's would be wrong."""
    moved = {
        name.replace("classifier.3", "classifier.4").replace("classifier.0", "classifier.1"): x
        for name, x in vgg.items()
    }
    save_file(moved, tmp_path / "vgg")
    assert "came from Caffe" in fails(capsys, train.main, *start(data, tmp_path / "runs", tmp_path / "vgg"))


def test_evaluate_says_what_the_file_is(data, vgg, tmp_path, capsys):
    """It is whole, but has no classes: a checkpoint must be made of it."""
    save_file(vgg, tmp_path / "vgg")
    assert exit_status(evaluate.main, tmp_path / "vgg", "--data", data) == 2
    line = assert_one_error_line(capsys.readouterr().err)
    assert "torchvision VGG-16, safetensors, which describes no FCN with its classes" in line and "--lr 0" in line


def test_a_checkpoint_whose_network_is_described_by_no_dictionary(data, tmp_path, capsys):
    checkpoint.save(tmp_path / "odd", {"model/score_fr.bias": np.zeros(3, "f")}, {"model": 7})
    assert f"{tmp_path / 'odd'}: damaged, or not of this minifcn: its model cannot be 7" in fails(
        capsys, train.main, *start(data, tmp_path / "runs", tmp_path / "odd")
    )
