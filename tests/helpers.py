"""What several test files share: the table of tolerances, relative errors, inputs with properties by construction."""

import tracemalloc
from contextlib import contextmanager

import numpy as np

import minifcn as mf
from minifcn import device
from minifcn.models import Widths

TINY = Widths((2, 3, 2, 3, 2), 8)  # a trunk that runs in milliseconds

TOLERANCE = {  # the largest relative error, by dtype and by how much arithmetic lies between
    # F(4x4, 3x3) rounds about ten times as coarsely as direct convolution: 3e-6 against 3e-7 a layer
    "float32": {"op": 1e-4, "training": 1e-4, "training winograd": 1e-3},
    "float64": {"op": 1e-10, "network": 1e-9, "training": 1e-9},
}


def device_array(loops, x):
    """A copy of the host array x where loops (cpu or gpu) works."""
    return loops.asarray(np.array(x))


def tensor(loops, x, requires_grad=True) -> mf.Tensor:
    """A leaf with a copy of the host array x where loops (cpu or gpu) works."""
    return mf.Tensor(device_array(loops, x), requires_grad)


def relative_error(a, b) -> float:
    """||a - b|| / ||b||; 0 where both are 0."""
    difference, size = np.linalg.norm(a - b), np.linalg.norm(b)
    return float(difference / size) if size > 0 else float(difference)


def assert_close(a, b, kind="op", what="result"):
    """a (the dtype under test) equals b to the table's tolerance; NaN and infinities must stand in the same places.

    Both may be on any device.
    """
    a, b = device.asnumpy(a), device.asnumpy(b)
    assert a.shape == b.shape, f"{what}: shape {a.shape}, expected {b.shape}"
    limit = TOLERANCE[str(a.dtype)][kind]
    if not np.isfinite(np.linalg.norm(b)):
        odd = ~np.isfinite(b)
        assert np.array_equal(a[odd], b[odd].astype(a.dtype), equal_nan=True), f"{what}: NaN or infinity differs"
        a, b = a[~odd], b[~odd]
    error = relative_error(a.ravel(), b.ravel())
    assert error <= limit, f"{what}: relative error {error:.2e}, tolerance {limit:.0e}"  # also fails for NaN


@contextmanager
def less_than(peak):
    """What the block allocates stays below so many bytes at any time."""
    tracemalloc.start()
    try:
        yield
        _, highest = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert highest < peak, f"{highest:,} bytes at once"


def distinct(rng, *shape):
    """Values between -2 and 2 in random order, no two equal and none 0: no tie in a pool, no ReLU at its kink."""
    n = int(np.prod(shape))
    return ((rng.permutation(n) - n // 2 + 0.25) * 4 / n).reshape(shape)


def randomise(model, seed=0, last_upscore=True):
    """Give every parameter of a network random non-zero values that keep the signals alive and of about one size.

    Biases are positive, so that few ReLUs are dead even in a network two channels wide; score layers, zero at first,
    would make every gradient below them zero. The upsampling layers stay near bilinear; the last one stays exactly so
    (and on its cheap path) if last_upscore is False.
    """
    rng = np.random.default_rng(seed)
    parameters = model.parameters()
    for name, parameter in parameters.items():
        w = parameter.data
        if name.endswith(".bias"):
            w[:] = rng.uniform(0.1, 0.4, w.shape)
        elif name.startswith("score"):
            w[:] = rng.standard_normal(w.shape) / np.sqrt(w.shape[2])
        elif name.startswith("upscore") and (last_upscore or parameter.requires_grad):
            w += 0.1 * rng.standard_normal(w.shape)
    return parameters


def assert_all_gradients(parameters):
    """Every learnt parameter has a finite gradient that is not all zero; every fixed one has none."""
    for name, parameter in parameters.items():
        if parameter.requires_grad:
            assert parameter.grad is not None, f"{name}: no gradient"
            size = np.linalg.norm(device.asnumpy(parameter.grad))
            assert 0 < size < np.inf, f"{name}: the gradient is zero, infinite or NaN"
        else:
            assert parameter.grad is None, name


def by_taps(x, w, dy, stride, padding):
    """A convolution's y, dx and dw in float64, one kernel tap after the other."""
    x, w, dy = (a.astype(np.float64) for a in (x, w, dy))
    (py, px), (sy, sx), (_, H, W, _), (_, OH, OW, _) = padding, stride, x.shape, dy.shape
    KH, KW = w.shape[:2]
    padded = np.pad(x, ((0, 0), (py, py + sy), (px, px + sx), (0, 0)))
    y, dpadded, dw = np.zeros(dy.shape), np.zeros(padded.shape), np.zeros(w.shape)
    for ky in range(KH):
        for kx in range(KW):
            seen = (slice(None), slice(ky, ky + (OH - 1) * sy + 1, sy), slice(kx, kx + (OW - 1) * sx + 1, sx))
            y += np.einsum("nhwc,ck->nhwk", padded[seen], w[ky, kx])
            dpadded[seen] += np.einsum("nhwk,ck->nhwc", dy, w[ky, kx])
            dw[ky, kx] = np.tensordot(padded[seen], dy, ((0, 1, 2), (0, 1, 2)))
    return y, dpadded[:, py : py + H, px : px + W], dw
