"""The estimate of memory against what a step of training really allocates (NumPy reports its arrays to tracemalloc)."""

import sys
import tracemalloc

import numpy as np
import pytest

from minifcn import memory
from minifcn.models import MODELS
from minifcn.ops import softmax_cross_entropy
from minifcn.optim import SGD

WITHIN = (0.75, 1.5)  # estimate / measured


def measured(model, optimiser, batch, height, width):
    """Bytes at the peak of the second step: weights, momenta, gradients, and all that lives for a while."""
    rng = np.random.default_rng(0)
    x = rng.standard_normal((batch, height, width, 3)).astype(np.float32)
    labels = rng.integers(0, model.num_classes, (batch, height, width)).astype(np.uint8)
    held = x.nbytes + 2 * sum(p.data.nbytes for p in model.parameters().values())  # from before: weights and momenta
    for step in range(2):
        optimiser.zero_grad()
        tracemalloc.start()
        softmax_cross_entropy(model.train()(x), labels).backward()
        optimiser.step()
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        if step == 0:  # the first one makes the momenta too, and each thread's workspace
            workspace = peak
    return held + peak, workspace


@pytest.mark.parametrize(
    "name, classes, pad, batch, height, width",
    [
        ("fcn32s", 9, "same", 2, 96, 128),
        ("fcn16s", 9, "same", 4, 96, 96),
        ("fcn8s", 21, "same", 1, 160, 192),
        ("fcn8s", 2, "same", 1, 64, 64),
        ("fcn16s", 9, 100, 1, 96, 128),
    ],
)
def test_the_estimate_is_near_the_truth(name, classes, pad, batch, height, width):
    model = MODELS[name](classes, "vgg_quarter", pad)
    needed, _ = measured(model, SGD(model.parameters(), 0.01), batch, height, width)
    ratio = memory.estimate(model, batch, height, width) / needed
    assert WITHIN[0] <= ratio <= WITHIN[1], f"estimated {ratio:.2f} times the {needed / 1e6:.0f} MB measured"


def test_the_estimate_grows_with_everything():
    quarter, full = (MODELS["fcn32s"](9, trunk, "same") for trunk in ("vgg_quarter", "vgg16"))
    small = memory.estimate(quarter, 1, 96, 128)
    assert memory.estimate(quarter, 2, 96, 128) > small < memory.estimate(quarter, 1, 192, 128)
    assert memory.estimate(full, 1, 96, 128) > 3 * sum(p.data.nbytes for p in full.parameters().values())


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
