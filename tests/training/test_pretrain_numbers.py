"""Pretraining: top-1 and top-5 by hand, each picture with its own class, and the same bits from whatever computes."""

import os
import subprocess
import sys

import numpy as np
import pytest
from helpers import TOLERANCE, relative_error
from small_data import assert_same_run, make_pictures, pretrain_planned, read_rows, zipped

from minifcn import cpu, figures, pretrain
from minifcn.autograd import Tensor
from minifcn.datasets.classification import Pictures
from minifcn.datasets.transforms import Preprocessing
from minifcn.training.classification import Classification, accuracy, ranks_of
from minifcn.training.loop import Run
from minifcn.training.task import open_run
from minifcn.weights import checkpoint

pytestmark = pytest.mark.usefixtures("tiny_trunk")


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    return make_pictures(tmp_path_factory.mktemp("sets") / "colours")


def arguments(data, out):
    return f"--data {data} --out {out} --trunk tiny --size 32 --crop 28 --batch 4 --warmup 2 --seed 1".split()


@pytest.mark.parametrize(("scores", "label", "rank"), [
    ([1.0, 3.0, 2.0], 1, 0),
    ([1.0, 3.0, 2.0], 2, 1),
    ([1.0, 3.0, 2.0], 0, 2),
    ([2.0, 2.0, 1.0], 0, 1),  # a tie is a mistake, whichever comes first
    ([2.0, 2.0, 1.0], 1, 1),
    ([0.0, 0.0, 0.0], 2, 2),
    ([-np.inf, -1.0, -2.0], 1, 0),
    ([np.inf, -1.0, -2.0], 1, 1),
    ([np.nan, 3.0, 2.0], 1, 1),
    ([np.nan, 3.0, 2.0], 0, 2),
    ([np.nan, np.nan, np.nan], 1, 2),
    ([5.0], 0, 0),
])  # fmt: skip
def test_ranks_by_hand(scores, label, rank):
    two = np.array([scores, range(len(scores))]), np.array([label, 0])
    assert ranks_of(*two).tolist() == [rank, len(scores) - 1]


class Known:
    """A network that gives picture k the scores scores[k], in the order in which it is asked."""

    loops = cpu

    def __init__(self, scores):
        self.scores, self.asked, self.evaluating = np.array(scores, np.float32), 0, False

    def eval(self):
        self.evaluating = True

    def __call__(self, x):
        assert self.evaluating and x.shape[1:] == (16, 16, 3)
        first, self.asked = self.asked, self.asked + len(x)
        return Tensor(self.scores[first : self.asked, None, None])


def test_top1_and_top5_by_hand(tmp_path):
    """Eight pictures of eight classes; the true class of picture k is k."""
    names = [f"class{k}" for k in range(8)]
    root = make_pictures(tmp_path / "eight", counts=[("train", 1), ("val", 1)], classes=names, size=(20, 24))
    scores = np.zeros((8, 8))
    for k, above in enumerate((0, 0, 0, 1, 4, 5, 7, 3)):  # so many classes are ranked above the true one
        order = [k, *(label for label in range(8) if label != k)]
        scores[k, order] = [0, *(1 if i < above else -1 - i for i in range(7))]
    found = accuracy(Known(scores), Pictures(root, "val"), Preprocessing(), 16)
    loss = np.mean(np.log(np.exp(scores).sum(1)) - np.diagonal(scores))
    assert found == {"top1": 3 / 8, "top5": 6 / 8, "loss": pytest.approx(loss, rel=1e-6)}
    scores[0] = np.nan
    found = accuracy(Known(scores), Pictures(root, "val"), Preprocessing(), 16)
    assert found == {"top1": 2 / 8, "top5": 5 / 8, "loss": pytest.approx(np.nan, nan_ok=True)}


class ByColour(Known):
    """A network that knows the three colours."""

    def __call__(self, x):
        mean = x.mean((1, 2), keepdims=True)  # RGB, so blue, green, red the other way round
        return Tensor(np.ascontiguousarray(mean[..., ::-1]))


@pytest.mark.parametrize("layout", ["imagenet", "tiny"])
def test_every_held_out_picture_is_scored_with_its_own_class(layout, tmp_path):
    """24 pictures, more than a batch of validation."""
    root = make_pictures(tmp_path / "set", layout, counts=[("train", 1), ("val", 8)], size=(16, 20))
    data = Pictures(zipped(root, tmp_path / "set.zip"), "val")
    assert accuracy(ByColour([]), data, Preprocessing(), 16)["top1"] == 1
    data._examples = [
        (path, (label + 1) % 3 if i % 4 == 0 else label) for i, (path, label) in enumerate(data._examples)
    ]
    assert accuracy(ByColour([]), data, Preprocessing(), 16)["top1"] == 18 / 24


def test_pictures_are_trained_with_their_own_class(data, tmp_path, monkeypatch):
    """Cut out and mirrored they keep it, and an epoch shows none twice."""
    seen = []
    real = Run.train_step

    def spy(run, group):
        seen.append([(x, int(label.item())) for xs, labels in group for x, label in zip(xs, labels, strict=True)])
        return real(run, group)

    monkeypatch.setattr(Run, "train_step", spy)
    options = "--epochs 2 --batch 2 --accumulate 3 --val-every 0".split()
    run = open_run(Classification, tmp_path, pretrain_planned(arguments(data, tmp_path) + options))
    run.train(type("NoStop", (), {"requested": False}))
    assert len(seen) == run.step == 6 and all(len(group) == 6 for group in seen)
    for epoch in (seen[:3], seen[3:]):
        pictures = [picture for group in epoch for picture in group]
        assert np.bincount([label for _, label in pictures]).tolist() == [6, 6, 6]
        for x, label in pictures:
            assert x.shape == (28, 28, 3) and int(np.argmax(x.mean((0, 1))[::-1])) == label
    assert len({x.tobytes() for group in seen for x, _ in group}) == 36


def test_folder_and_zip_and_threads_do_not_change_a_bit(data, tmp_path):
    """On a trunk that is wide enough to be split among threads."""
    code = """
import sys
from pathlib import Path
from minifcn.training.classification import Classification
from minifcn.training.task import open_run
from minifcn.training.settings import ClassificationSettings
out, data = Path(sys.argv[1]), sys.argv[2]
run = open_run(Classification, out, ClassificationSettings(data=data, size=40, crop=36, batch=5, steps=3))
run.train(type("NoStop", (), {"requested": False}))
"""
    children = []
    for threads, where in (("1", data), ("2", zipped(data, tmp_path / "set.zip", "above/"))):
        (tmp_path / threads).mkdir()
        command = [sys.executable, "-c", code, str(tmp_path / threads), str(where)]
        environment = os.environ | {"MINIFCN_THREADS": threads}
        children.append(subprocess.Popen(command, env=environment, stderr=subprocess.PIPE))
    for child in children:
        errors = child.communicate(timeout=120)[1].decode()
        assert child.returncode == 0, errors
    assert_same_run(tmp_path / "1", tmp_path / "2")


def test_on_a_gpu_as_on_the_cpu(data, tmp_path, emulated_gpu, monkeypatch, set_conv):
    """All arrays of a kind together, as in single ones, such as conv1_1's bias, most of a float32 cancels out."""
    set_conv("im2col")
    monkeypatch.setattr(figures, "curves", lambda path, *_: path.write_bytes(b""))
    for where in ("cpu", "gpu"):
        more = ("--steps", 3, "--name", where, "--device", where, "--lr", "0.01")
        assert pretrain.main([*arguments(data, tmp_path), *map(str, more)]) == 0
    for name in ("last", "trunk"):
        ours, theirs = (checkpoint.load(tmp_path / where / f"{name}.safetensors")[0] for where in ("gpu", "cpu"))
        assert ours.keys() == theirs.keys()
        for start, end in {(tensor.split("/")[0], tensor.split(".")[1]) for tensor in ours}:  # momenta of biases, ...
            alike = [tensor for tensor in ours if tensor.startswith(start) and tensor.endswith(end)]
            a, b = (np.concatenate([x[tensor].astype(np.float32).ravel() for tensor in alike]) for x in (ours, theirs))
            assert relative_error(a, b) < (TOLERANCE["float32"]["training"] if name == "last" else 1e-3), (start, end)
    losses = [[float(row["loss"]) for row in read_rows(tmp_path / where / "log.csv")] for where in ("gpu", "cpu")]
    np.testing.assert_allclose(*losses, rtol=TOLERANCE["float32"]["training"])
