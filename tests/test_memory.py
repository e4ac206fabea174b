"""The estimate of memory against what a step of training really allocates (NumPy reports its arrays to tracemalloc)."""

import sys
import tracemalloc

import numpy as np
import pytest

from minifcn import memory
from minifcn.models import MODELS, Widths
from minifcn.ops import softmax_cross_entropy
from minifcn.optim import SGD

WITHIN = (0.85, 1.4)  # estimate / measured


def measured(model, batch, height, width):
    """Bytes at the peak of two steps: weights, momenta, gradients, activations and workspace."""
    rng = np.random.default_rng(0)
    x = rng.standard_normal((batch, height, width, 3)).astype(np.float32)
    labels = rng.integers(0, model.num_classes, (batch, height, width)).astype(np.uint8)
    optimiser = SGD(model.parameters(), 0.01)
    tracemalloc.start()
    for _ in range(2):  # the second one has momenta from the start
        optimiser.zero_grad()
        softmax_cross_entropy(model.train()(x), labels).backward()
        optimiser.step()
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return peak + x.nbytes + sum(p.data.nbytes for p in model.parameters().values())


@pytest.mark.parametrize(
    "name, classes, pad, batch, height, width",
    [
        ("fcn32s", 9, "same", 2, 96, 128),
        ("fcn32s", 21, "same", 2, 160, 192),
        ("fcn16s", 9, "same", 4, 96, 96),
        ("fcn8s", 21, "same", 1, 160, 192),
        ("fcn8s", 2, "same", 1, 64, 64),
        ("fcn16s", 9, 100, 1, 96, 128),
    ],
)
def test_the_estimate_is_near_the_truth(name, classes, pad, batch, height, width):
    model = MODELS[name](classes, "vgg_quarter", pad)
    needed = measured(model, batch, height, width)
    ratio = memory.estimate(model, batch, height, width) / needed
    assert WITHIN[0] <= ratio <= WITHIN[1], f"estimated {ratio:.2f} times the {needed / 1e6:.0f} MB measured"


def test_low_memory_needs_less():
    model = MODELS["fcn32s"](9, "vgg_quarter", "same")
    trained = sum(p.data.nbytes for p in model.parameters().values() if p.requires_grad)
    saved = memory.estimate(model, 1, 64, 96) - memory.estimate(model, 1, 64, 96, low_memory=True)
    assert saved == pytest.approx(1.1 * trained, rel=1e-3)


def test_the_estimate_grows_with_everything():
    half = Widths((32, 64, 128, 256, 256), 512)
    quarter, half = (MODELS["fcn32s"](9, trunk, "same") for trunk in ("vgg_quarter", half))
    small = memory.estimate(quarter, 1, 96, 128)
    assert memory.estimate(quarter, 2, 96, 128) > small < memory.estimate(quarter, 1, 192, 128)
    assert memory.estimate(half, 1, 96, 128) > small
    assert memory.estimate(half, 1, 96, 128) > 3 * sum(p.data.nbytes for p in half.parameters().values())


def test_what_this_process_holds():
    here, most = memory.resident(), memory.peak()
    if sys.platform == "linux":
        assert 10_000_000 < here
    if sys.platform in ("linux", "darwin"):
        ballast = np.ones(20_000_000)  # 160 MB
        assert memory.peak() >= 160_000_000 and memory.peak() >= most
        assert here is None or memory.resident() >= ballast.nbytes


def test_text():
    assert memory.text(1_500_000_000) == "1.50 GB"
    assert memory.text(None) == "unknown"
