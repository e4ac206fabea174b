"""gpu/ as a whole: cpu's functions with the same signatures, and the same results however the work is cut."""

import inspect
import re
from pathlib import Path

import numpy as np
import pytest
from helpers import by_taps

from minifcn import cpu, device, gpu
from minifcn.gpu import conv

CALLED = re.compile(r"(?:loops|device\.of\([\w.]+\))\.(\w+)")
OF_A_DEVICE = ("describe", "asarray")  # named alike, each with options of its own


def test_everything_asked_of_a_device_is_there_on_both_with_the_same_signature():
    sources = Path(cpu.__file__).parents[1].rglob("*.py")
    called = {name for path in sources for name in CALLED.findall(path.read_text(encoding="utf-8"))}
    assert {"conv_forward", "pool_backward", "cross_entropy", "sgd_update", "argmax", "confusion_counts"} <= called
    for name in called:
        ours, theirs = getattr(gpu, name), getattr(cpu, name)
        if name not in OF_A_DEVICE:
            assert inspect.signature(ours) == inspect.signature(theirs), name


# N, H, W, C, K, KH, KW, stride, padding
SHAPES = [
    (2, 9, 8, 5, 6, 7, 7, (1, 1), (0, 0)),
    (1, 7, 11, 9, 4, 7, 5, (1, 1), (3, 2)),
    (3, 10, 9, 3, 13, 3, 2, (2, 1), (1, 1)),
    (2, 6, 5, 8, 26, 1, 1, (1, 1), (0, 0)),
    (2, 5, 4, 10, 3, 4, 4, (2, 2), (1, 0)),
    (1, 8, 9, 9, 7, 1, 3, (4, 2), (2, 3)),  # stride beyond the kernel: some rows of dx see nothing
]
CUTS = [{}, {"WORKSPACE": 30}, {"WORKSPACE": 700}, {"LARGE": 1}, {"LARGE": 1, "WORKSPACE": 200}]


@pytest.mark.parametrize("cut", CUTS, ids=str)
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_convolution_with_every_way_of_cutting_the_work(shape, cut, emulated_gpu, monkeypatch):
    for name, value in cut.items():
        monkeypatch.setattr(conv, name, value)
    N, H, W, C, K, KH, KW, stride, padding = shape
    draw = np.random.default_rng(0).standard_normal
    OH, OW = ((s + 2 * p - k) // t + 1 for s, p, k, t in zip((H, W), padding, (KH, KW), stride, strict=True))
    host = (draw(size) for size in ((N, H, W, C), (KH, KW, C, K), (K,), (N, OH, OW, K), (C,)))
    x, w, b, dy, c = host = list(host)
    y, dx, dw = by_taps(x, w, dy, stride, padding)
    x, w, b, dy, c = map(gpu.asarray, host)

    def close(found, expected):
        np.testing.assert_allclose(device.asnumpy(found), expected, rtol=1e-10, atol=1e-10)

    close(gpu.conv_forward(x, w, b, stride, padding, relu=True), np.maximum(y + host[2], 0))
    close(gpu.conv_input_grad(dy, w, x.shape, stride, padding), dx)
    close(gpu.conv_input_grad(dy, w, x.shape, stride, padding, c), dx + host[4])
    out = gpu.cuda.xp.empty(w.shape, np.float64)
    assert gpu.conv_weight_grad(x, dy, w.shape, stride, padding, out=out) is out
    close(out, dw)
    slabs = np.full(w.shape, np.nan)
    parts = []

    def keep(part, slab):
        parts.append(part)
        slabs[part] = device.asnumpy(slab)

    assert gpu.conv_weight_grad(x, dy, w.shape, stride, padding, emit=keep) is None
    assert parts == (list(range(KH)) if "LARGE" in cut else [...])
    assert np.array_equal(slabs, device.asnumpy(out))  # bit for bit: an update during backward changes nothing


def test_strips_bound_the_workspace(emulated_gpu, monkeypatch):
    monkeypatch.setattr(conv, "WORKSPACE", 9 * 4 * 12 * 5)  # five rows of 12 pixels that see 3 x 3 x 4 numbers
    x, w = gpu.asarray(np.ones((2, 12, 12, 4))), gpu.asarray(np.ones((3, 3, 4, 2)))
    largest = []
    empty = gpu.cuda.xp.empty
    monkeypatch.setattr(
        gpu.cuda.xp, "empty", lambda shape, dtype: largest.append(np.prod(shape)) or empty(shape, dtype)
    )
    gpu.conv_forward(x, w, None, (1, 1), (1, 1))
    assert max(largest) <= conv.WORKSPACE
