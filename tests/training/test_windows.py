"""A large picture, cut into windows, has the classes of the whole one: no score looks farther than the margin."""

import tracemalloc

import numpy as np
import pytest
from helpers import TINY, randomise

import minifcn as mf
from minifcn.datasets.transforms import Preprocessing
from minifcn.models import MODELS
from minifcn.training import evaluation
from minifcn.training.evaluation import MARGIN, TILE, classify, classify_in_tiles

REACH = {"fcn32s": 233, "fcn16s": 241, "fcn8s": 245}  # 201.5 around a fc7 pixel's centre, and half of each upscore
NETWORKS = [(name, pad) for name in REACH for pad in ("same", 100)]


def network(name, pad):
    """In double precision, as two scores that are equal to rounding would say nothing of seams."""
    model = MODELS[name](3, TINY, pad, upsampling="learnt", dtype=np.float64, seed=1)
    randomise(model, seed=2)
    return model


def picture(H, W):
    """Patches and noise, of much contrast, so that classes change along the picture."""
    rng = np.random.default_rng(H)
    patches = np.kron(rng.standard_normal((H // 40 + 1, W // 40 + 1, 3)), np.ones((40, 40, 1)))[:H, :W]
    return (8 * patches + rng.standard_normal((H, W, 3)))[None]  # (1, H, W, 3)


@pytest.mark.parametrize("name, pad", NETWORKS)
@pytest.mark.parametrize("H, W", [(40, 2 * TILE + 500), (2 * TILE + 91, 100)])
def test_seams_do_not_show(name, pad, H, W):
    """Three windows at their true size, along rows and along columns."""
    model, x = network(name, pad), picture(H, W)
    whole = classify(model, x)
    assert (np.bincount(whole.ravel()) > 0.01 * whole.size).sum() > 1, "the test's own network says too little"
    np.testing.assert_array_equal(classify_in_tiles(model, x[0], np.asarray), whole[0])


@pytest.mark.parametrize("name, pad", NETWORKS)
def test_seams_would_show_with_a_smaller_margin(name, pad, monkeypatch):
    monkeypatch.setattr(evaluation, "MARGIN", 64)
    model, x = network(name, pad), picture(40, 2 * TILE + 500)
    assert (classify_in_tiles(model, x[0], np.asarray) != classify(model, x)[0]).any()


@pytest.mark.parametrize("name, pad", NETWORKS)
def test_how_far_a_score_looks(name, pad):
    """Over all places in a cell of 32 pixels; many weights of both signs, so that hardly a path is dead."""
    model, reach = network(name, pad), 0
    for column in range(512, 544, 3):
        x = mf.Tensor(np.random.default_rng(column).standard_normal((1, 8, 1056, 3)), requires_grad=True)
        scores = model.eval()(x)
        picked = np.zeros(scores.shape)
        picked[0, 4, column] = 1, 2, -3
        scores.backward(picked)
        seen = np.nonzero(x.grad.any(axis=(0, 1, 3)))[0]
        reach = max(reach, column - seen.min(), seen.max() - column)
    assert REACH[name] - 16 < reach <= REACH[name] < MARGIN


def test_only_windows_are_preprocessed(monkeypatch):
    """Of the whole picture there are its classes; its numbers would take 12 bytes a pixel."""
    monkeypatch.setattr(evaluation, "classify", lambda model, x, _: x[..., 0].astype(np.uint8))
    model, x = network("fcn32s", "same"), np.random.default_rng(0).integers(0, 256, (5000, 5000, 3), np.uint8)
    model.meta = {}
    tracemalloc.start()
    labels = evaluation.segment(model, x, 0)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 6 * labels.size and labels.any()
    np.testing.assert_array_equal(labels, Preprocessing().apply(x)[..., 0].astype(np.uint8))
