"""Winograd against plain loops; its accuracy in float32; bit-identity over threads; the choice of algorithm."""

import os
import subprocess
import sys

import numpy as np
import pytest
from helpers import by_taps

from minifcn import cpu
from minifcn.cpu import winograd
from minifcn.errors import InputError
from minifcn.training import machine

TOLERANCE = {"float64": 1e-11, "float32": 1e-5}  # relative error ||a - b|| / ||b||
ONE = (1, 1)

# N, H, W, C, K, padding: ragged tiles, single tiles, H != W, u small and large, several blocks and chunks
SHAPES = [
    (1, 3, 3, 1, 1, (0, 0)),
    (1, 1, 2, 3, 2, (1, 1)),
    (2, 13, 18, 5, 7, (1, 1)),
    (3, 9, 10, 16, 40, (1, 1)),
    (3, 6, 5, 33, 32, (2, 0)),
    (2, 8, 8, 40, 35, (1, 1)),
    (1, 17, 70, 70, 34, (0, 2)),
    (2, 11, 7, 34, 36, (3, 4)),
    (1, 5, 6, 96, 101, (1, 1)),
    (2, 60, 64, 36, 33, (1, 1)),
    (2, 61, 66, 20, 16, (1, 1)),
    (1, 9, 1001, 70, 5, (1, 1)),
    (2, 94, 90, 130, 129, (1, 1)),
    (2, 9, 13, 129, 140, (0, 1)),
]


@pytest.fixture(autouse=True)
def forced(set_conv):
    set_conv("winograd")


def example(shape, dtype, seed=0):
    """Random x, w, b and dy for a shape: (N,H,W,C), (3,3,C,K), (K,), (N,OH,OW,K)."""
    N, H, W, C, K, (py, px) = shape
    draw = np.random.default_rng(seed).standard_normal
    sizes = (N, H, W, C), (3, 3, C, K), (K,), (N, H + 2 * py - 2, W + 2 * px - 2, K)
    return [draw(size).astype(dtype) for size in sizes]


def assert_close(a, b, dtype):
    assert a.dtype == dtype
    assert a.shape == b.shape
    error = np.linalg.norm(a - b) / max(np.linalg.norm(b), 1e-300)
    assert error <= TOLERANCE[dtype], f"relative error {error:.3g}, expected at most {TOLERANCE[dtype]}"


@pytest.mark.parametrize("dtype", TOLERANCE)
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_against_loops(shape, dtype):
    x, w, b, dy = example(shape, dtype)
    before = [a.copy() for a in (x, w, b, dy)]
    padding = shape[-1]
    y, dx, dw = by_taps(x, w, dy, ONE, padding)
    assert_close(cpu.conv_forward(x, w, None, ONE, padding), y, dtype)
    assert_close(cpu.conv_forward(x, w, b, ONE, padding), y + b, dtype)
    assert_close(cpu.conv_forward(x, w, b, ONE, padding, relu=True), np.maximum(y + b, 0), dtype)
    assert_close(cpu.conv_input_grad(dy, w, x.shape, ONE, padding), dx, dtype)
    assert_close(cpu.conv_weight_grad(x, dy, w.shape, ONE, padding), dw, dtype)
    assert all(np.array_equal(a, old) for a, old in zip((x, w, b, dy), before, strict=True))


def test_random_shapes():
    rng = np.random.default_rng(7)
    for seed in range(40):
        N, H, W, C, K = (int(i) for i in rng.integers((1, 3, 3, 1, 1), (4, 24, 24, 50, 50)))
        shape = (N, H, W, C, K, tuple(int(i) for i in rng.integers(0, 3, 2)))
        x, w, _, dy = example(shape, "float64", seed)
        y, dx, dw = by_taps(x, w, dy, ONE, shape[-1])
        assert_close(cpu.conv_forward(x, w, None, ONE, shape[-1]), y, "float64")
        assert_close(cpu.conv_input_grad(dy, w, x.shape, ONE, shape[-1]), dx, "float64")
        assert_close(cpu.conv_weight_grad(x, dy, w.shape, ONE, shape[-1]), dw, "float64")


# ragged tiles, then whole ones, which are read where dy, x and, for dx, dy lie
VIEWS = [(2, 13, 18, 5, 7, ONE), (2, 14, 9, 48, 40, ONE), (2, 14, 9, 48, 40, (0, 0))]
VIEWS += [(2, 12, 16, 5, 7, ONE), (2, 14, 18, 5, 7, (0, 0)), (2, 12, 16, 5, 7, (2, 2))]


@pytest.mark.parametrize("shape", VIEWS, ids=str)
def test_views_and_out(shape):
    """Inputs that are not contiguous, a result into a given array, and results that later calls leave alone."""
    x, w, b, dy = example(shape, "float64")
    y, dx, dw = by_taps(x, w, dy, ONE, shape[-1])

    def spread(a):
        """The same values as a view with gaps, the first axis backwards in memory."""
        wide = np.full((*a.shape[:-1], 2 * a.shape[-1]), np.nan)[::-1]
        wide[..., ::2] = a
        return wide[..., ::2]

    out = np.full(w.shape, np.nan)
    xs, ws, dys = spread(x), spread(w), spread(dy)
    results = [
        cpu.conv_forward(xs, ws, b, ONE, shape[-1]),
        cpu.conv_input_grad(dys, ws, x.shape, ONE, shape[-1]),
        cpu.conv_weight_grad(xs, dys, w.shape, ONE, shape[-1], out=out),
    ]
    cpu.conv_weight_grad(-xs, 3 * dys, w.shape, ONE, shape[-1])  # overwrites every workspace
    cpu.conv_forward(-xs, ws, b, ONE, shape[-1])
    assert results[2] is out
    for result, expected in zip(results, (y + b, dx, dw), strict=True):
        assert_close(result, expected, "float64")


@pytest.mark.parametrize("channels", [(6, 9), (40, 33), (96, 90)])
def test_emit_is_called_once_with_the_whole(channels):
    x, w, _, dy = example((2, 10, 13, *channels, ONE), "float32")
    emitted = []
    assert cpu.conv_weight_grad(x, dy, w.shape, ONE, ONE, emit=lambda *part: emitted.append(part)) is None
    ((part, dw),) = emitted
    assert part is ...
    assert np.array_equal(dw, cpu.conv_weight_grad(x, dy, w.shape, ONE, ONE))


@pytest.mark.parametrize(
    "layer", [(96, 120, 64, 64), (48, 60, 128, 256), (24, 30, 256, 256), (12, 15, 512, 512)], ids=str
)
def test_accuracy_of_float32(layer, set_conv):
    """VGG's layers, some on smaller maps: at most 1e-5, against float64 by im2col on the same numbers."""
    H, W, C, K = layer
    x, w, _, dy = example((1, H, W, C, K, ONE), "float32")

    def three(x, w, dy):
        y, dx = cpu.conv_forward(x, w, None, ONE, ONE), cpu.conv_input_grad(dy, w, x.shape, ONE, ONE)
        return y, dx, cpu.conv_weight_grad(x, dy, w.shape, ONE, ONE)

    found = three(x, w, dy)
    set_conv("im2col")
    truth = three(*(a.astype(np.float64) for a in (x, w, dy)))
    for name, a, b in zip(("y", "dx", "dw"), found, truth, strict=True):
        error = np.linalg.norm(a - b) / np.linalg.norm(b)
        assert 1e-8 < error <= 1e-5, (name, error)


SCRIPT = """
import hashlib, numpy as np
import minifcn as mf
from minifcn import cpu
digest = hashlib.sha256()
for C, K in (3, 16), (16, 20), (40, 48), (96, 80):
    draw = np.random.default_rng(0).standard_normal
    x, w, dy = (draw(s, dtype=np.float32) for s in ((3, 30, 41, C), (3, 3, C, K), (3, 30, 41, K)))
    for array in (
        cpu.conv_forward(x, w, w[0, 0, 0].copy(), (1, 1), (1, 1), relu=True),
        cpu.conv_input_grad(dy, w, x.shape, (1, 1), (1, 1)),
        cpu.conv_weight_grad(x, dy, w.shape, (1, 1), (1, 1)),
        cpu.bias_grad(dy),
    ):
        digest.update(array.tobytes())
x, w, dy = (draw(s, dtype=np.float32) for s in ((2, 12, 11, 130), (7, 7, 130, 200), (2, 6, 5, 200)))  # as fc6
digest.update(cpu.conv_forward(x, w, None, (1, 1), (0, 0)).tobytes())
digest.update(cpu.conv_input_grad(dy, w, x.shape, (1, 1), (0, 0)).tobytes())
digest.update(cpu.conv_weight_grad(x, dy, w.shape, (1, 1), (0, 0)).tobytes())
model = mf.models.fcn8s(5, trunk="vgg_quarter", pad="same")
optimiser = mf.optim.SGD(model.parameters(), 0.01)
for step in range(2):
    optimiser.zero_grad()
    x, labels = draw((2, 70, 90, 3), dtype=np.float32), np.random.default_rng(step).integers(0, 5, (2, 70, 90))
    mf.softmax_cross_entropy(model(x), labels).backward()
    mf.optim.clip_gradients(model.parameters(), 1.0)
    optimiser.step()
for parameter in model.parameters().values():
    digest.update(parameter.data.tobytes())
print(digest.hexdigest())
"""


def test_same_bits_for_any_number_of_threads():
    runs = [
        subprocess.Popen(
            [sys.executable, "-c", SCRIPT],
            env={**os.environ, "MINIFCN_THREADS": threads},
            stdout=subprocess.PIPE,
            text=True,
        )
        for threads in ("1", "2", "4", "8", "1")
    ]
    digests = [run.communicate()[0] for run in runs]
    assert all(run.returncode == 0 for run in runs)
    assert digests[0] and len(set(digests)) == 1


def test_choice(set_conv):
    x, w = (1, 160, 192, 64), (3, 3, 64, 64)
    assert winograd.pays((1, 4, 4, 2), (3, 3, 2, 2), ONE)  # forced
    assert not winograd.pays(x, w, (2, 1))  # undefined
    assert not winograd.pays(x, (7, 7, 64, 64), ONE)
    set_conv("im2col")
    assert not winograd.pays(x, w, ONE)
    set_conv("")  # as if not set
    assert winograd.pays(x, w, ONE)
    assert not winograd.pays((1, 5, 6, 512), (3, 3, 512, 512), ONE)  # too few tiles for their filters
    set_conv("fast")
    with pytest.raises(InputError, match="im2col or winograd, received 'fast'"):
        cpu.conv_forward(np.zeros((1, 3, 3, 1)), np.zeros((3, 3, 1, 1)), None, ONE, ONE)


def test_strides_and_wide_padding():
    """A stride goes to im2col, also where Winograd is forced; padding beyond the turned kernel's 2 does not."""
    draw = np.random.default_rng(0).standard_normal
    for H, W, stride, padding in ((9, 8, (2, 1), ONE), (5, 6, ONE, (3, 0)), (5, 6, ONE, (1, 9))):
        OH, OW = ((s + 2 * p - 3) // t + 1 for s, p, t in zip((H, W), padding, stride, strict=True))
        x, w, dy = draw((2, H, W, 5)), draw((3, 3, 5, 4)), draw((2, OH, OW, 4))
        y, dx, dw = by_taps(x, w, dy, stride, padding)
        assert_close(cpu.conv_forward(x, w, None, stride, padding), y, "float64")
        assert_close(cpu.conv_input_grad(dy, w, x.shape, stride, padding), dx, "float64")
        assert_close(cpu.conv_weight_grad(x, dy, w.shape, stride, padding), dw, "float64")


def test_the_estimate_of_memory_knows_the_tiles():
    assert machine.TILES == winograd.CHUNK
