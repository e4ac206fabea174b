"""The estimate of memory against what a step of training really allocates (NumPy reports its arrays to tracemalloc)."""

import subprocess
import sys
import tracemalloc

import numpy as np
import pytest

from minifcn.models import MODELS, Widths
from minifcn.ops import softmax_cross_entropy
from minifcn.optim import SGD
from minifcn.training import machine

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
    ratio = machine.estimate(model, batch, height, width) / needed
    assert WITHIN[0] <= ratio <= WITHIN[1], f"estimated {ratio:.2f} times the {needed / 1e6:.0f} MB measured"


def test_low_memory_needs_less():
    model = MODELS["fcn32s"](9, "vgg_quarter", "same")
    trained = sum(p.data.nbytes for p in model.parameters().values() if p.requires_grad)
    saved = machine.estimate(model, 1, 64, 96) - machine.estimate(model, 1, 64, 96, low_memory=True)
    assert saved == pytest.approx(1.1 * trained, rel=1e-3)


def test_the_estimate_grows_with_everything():
    half = Widths((32, 64, 128, 256, 256), 512)
    quarter, half = (MODELS["fcn32s"](9, trunk, "same") for trunk in ("vgg_quarter", half))
    small = machine.estimate(quarter, 1, 96, 128)
    assert machine.estimate(quarter, 2, 96, 128) > small < machine.estimate(quarter, 1, 192, 128)
    assert machine.estimate(half, 1, 96, 128) > small
    assert machine.estimate(half, 1, 96, 128) > 3 * sum(p.data.nbytes for p in half.parameters().values())


# FCN-32s with 2 classes on this trunk, pad "same": 4361 learnt weights and the 16384 of upscore32
SLIM = Widths((2, 3, 4, 5, 6), 7)
# of a picture of 32 x 32: itself, its scores' gradient; then for each block the maps, and its pool with winners; fc6, 7
SLIM_MAPS = 3072 + 2048 + 2048 + 640 + 768 + 240 + 512 + 80 + 160 + 25 + 48 + 7.5 + 28


@pytest.mark.parametrize("low_memory", [False, True])
def test_the_parts_of_the_estimate_by_hand(low_memory):
    model = MODELS["fcn32s"](2, SLIM, "same")
    first_maps = 2048 + 768 + 256 if low_memory else 0  # of blocks 1 to 3, computed once more
    in_flight = 2048 + 2048 + first_maps  # conv1's, scores
    tiles = 2 * (64 * 2048 // 36)
    parts = {"weights": 4 * 20745, "momentum": 4 * 4361, "gradients": 0 if low_memory else 4 * 4361}
    parts["activations"] = 4 * (SLIM_MAPS - first_maps)
    whole = 1.1 * (sum(parts.values()) + 4 * (in_flight + tiles))
    parts["workspace"] = whole - sum(parts.values())
    found = machine.estimate_parts(model, 1, 32, 32, low_memory)
    assert list(found) == list(parts) and found == pytest.approx(parts, abs=1)
    assert all(isinstance(size, int) for size in found.values())
    assert machine.estimate(model, 1, 32, 32, low_memory) == sum(found.values()) == int(whole)
    assert whole == pytest.approx(203097.4 if low_memory else 222285.8)


def test_maps_too_large_to_keep_count_as_workspace():
    """From 35 pictures on, conv1_1's map has 2^24 elements: it is computed once more in backward."""
    model = MODELS["fcn32s"](9, "vgg_quarter", "same")
    map_bytes = 4 * 160 * 192 * 16
    few, many = 34, 35  # 34 x 160 x 192 x 16 < 2^24 <= 35 x 160 x 192 x 16
    kept = [machine.estimate_parts(model, n, 160, 192)["activations"] for n in (few - 1, few, many)]
    assert kept[2] - kept[1] == pytest.approx(kept[1] - kept[0] - many * map_bytes)


def test_the_peak_is_this_process_own_and_not_its_parents():
    if sys.platform != "linux":
        pytest.skip("read from /proc")
    ballast = np.ones(40_000_000)  # 320 MB
    script = "from minifcn.training import machine; print(machine.peak())"
    peak = int(subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True).stdout)
    assert 10_000_000 < peak < ballast.nbytes


def test_what_this_process_holds():
    here, most = machine.resident(), machine.peak()
    if sys.platform == "linux":
        assert 10_000_000 < here
    if sys.platform in ("linux", "darwin"):
        ballast = np.ones(20_000_000)  # 160 MB
        assert machine.peak() >= 160_000_000 and machine.peak() >= most
        assert here is None or machine.resident() >= ballast.nbytes
        most = machine.peak()
        del ballast
        assert machine.peak() >= most  # of what was held, not of what is


def test_text():
    assert machine.text(1_500_000_000) == "1.50 GB"
    assert machine.text(None) == "unknown"
