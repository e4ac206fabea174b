"""conv_transpose2d: loops, gradients, conv2d's adjoint with the same w, and what it refuses."""

import numpy as np
import pytest
from battery import CHECKS, cases
from helpers import TOLERANCE, assert_close, by_taps, tensor

import minifcn as mf
from minifcn import device


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
@pytest.mark.parametrize("case", cases("conv_transpose2d"), ids=str)
def test_conv_transpose2d(case, check, conv_loops):
    check(case, conv_loops)


@pytest.mark.parametrize(
    "small, w, stride, padding",
    [
        ((2, 3, 4, 3), (2, 3, 2, 3), (1, 1), (0, 0)),
        ((1, 4, 3, 2), (3, 4, 5, 2), (2, 3), (1, 2)),
        ((2, 2, 5, 4), (4, 4, 4, 4), (2, 2), (1, 1)),
        ((1, 3, 2, 2), (2, 1, 3, 2), (3, 4), (0, 0)),
        ((1, 12, 9, 16), (3, 3, 16, 16), (1, 1), (1, 1)),
    ],
)
def test_adjoint_of_conv2d_with_the_same_w(small, w, stride, padding, conv_loops):
    """<conv2d(y, w), x> = <y, conv_transpose2d(x, w)> for every x and y."""
    rng = np.random.default_rng(0)
    x, w = rng.standard_normal(small), rng.standard_normal(w)
    on_device = conv_loops.asarray(w)
    spread = device.asnumpy(mf.conv_transpose2d(conv_loops.asarray(x), on_device, None, stride, padding).data)
    y = rng.standard_normal(spread.shape)
    gathered = device.asnumpy(mf.conv2d(conv_loops.asarray(y), on_device, None, stride, padding).data)
    a, b = np.vdot(gathered, x), np.vdot(y, spread)
    assert abs(a - b) <= TOLERANCE["float64"]["op"] * np.linalg.norm(y) * np.linalg.norm(spread)


def test_a_slice_of_channels(conv_loops):
    """x need not be contiguous, whose tiles Winograd's weight gradient would read as they lie in memory."""
    rng = np.random.default_rng(0)
    wide, w, dy = (rng.standard_normal(size) for size in ((2, 12, 16, 64), (3, 3, 16, 32), (2, 12, 16, 16)))
    x, w_tensor = mf.Tensor(conv_loops.asarray(wide)[..., :32], requires_grad=True), tensor(conv_loops, w)
    y = mf.conv_transpose2d(x, w_tensor, padding=1)
    y.backward(conv_loops.asarray(dy))
    gathered, spread, dw = by_taps(dy, w, wide[..., :32], (1, 1), (1, 1))
    assert_close(y.data, spread, what="y")
    assert_close(x.grad, gathered, what="dx")
    assert_close(w_tensor.grad, dw, what="dw")


def test_one_pixel_becomes_the_kernel(loops):
    w = np.random.default_rng(0).standard_normal((3, 4, 2, 1))
    y = mf.conv_transpose2d(loops.asarray(np.full((1, 1, 1, 1), 2.0)), loops.asarray(w), stride=(5, 7))
    np.testing.assert_allclose(device.asnumpy(y.data)[0], 2 * w[..., 0], rtol=1e-15)


def test_size_of_the_output(loops):
    x, w = loops.asarray(np.zeros((2, 4, 5, 3))), loops.asarray(np.zeros((4, 3, 2, 3)))
    y = mf.conv_transpose2d(x, w, None, (2, 3), (1, 0))
    assert y.shape == (2, 3 * 2 + 4 - 2, 4 * 3 + 3, 2)


def arrays(x=(2, 3, 4, 3), w=(3, 2, 5, 3), b=(5,)):
    return np.ones(x), np.ones(w), np.ones(b)


@pytest.mark.parametrize("needs", [(1, 0, 0), (0, 1, 0), (0, 0, 1)])
def test_only_the_gradients_asked_for(needs, loops):
    tensors = [tensor(loops, a, requires_grad=bool(need)) for a, need in zip(arrays(), needs, strict=True)]
    y = mf.conv_transpose2d(*tensors)
    y.backward(np.ones(y.shape))
    assert [t.grad is not None for t in tensors] == [bool(need) for need in needs]


@pytest.mark.parametrize(
    "options, error, match",
    [
        ({"x": (3, 4, 3)}, ValueError, r"conv_transpose2d: x: expected shape \(N, H, W, K\).*received \(3, 4, 3\)"),
        ({"w": (3, 2, 3)}, ValueError, r"conv_transpose2d: w: expected shape \(KH, KW, C, K\)"),
        ({"w": (3, 2, 3, 5)}, ValueError, r"conv_transpose2d: w: expected K = 3, as in x, received 5"),
        ({"b": (3,)}, ValueError, r"conv_transpose2d: b: expected C = 5, as in w, received 3"),
        ({"x": (1, 1, 1, 3), "padding": (1, 1)}, ValueError, "conv_transpose2d: output size: .*received 1 x 0"),
        ({"x": (1, 1, 4, 3), "padding": (2, 1)}, ValueError, "conv_transpose2d: output size: .*received -1 x 3"),
        ({"stride": 0}, ValueError, "conv_transpose2d: stride: expected at least 1, received 0"),
        ({"stride": "2"}, TypeError, "conv_transpose2d: stride: expected an int or a pair of ints, received '2'"),
        ({"padding": (0, -1)}, ValueError, r"conv_transpose2d: padding: expected at least 0, received \(0, -1\)"),
    ],
)
def test_refuses(options, error, match):
    shapes = {name: options.pop(name) for name in ("x", "w", "b") if name in options}
    with pytest.raises(error, match=match):
        mf.conv_transpose2d(*arrays(**shapes), **options)


@pytest.mark.parametrize("missing", [0, 1])
def test_refuses_none(missing):
    inputs = list(arrays())
    inputs[missing] = None
    with pytest.raises(TypeError, match=r"conv_transpose2d: [xw]: expected an array \(.*\), received None"):
        mf.conv_transpose2d(*inputs)


@pytest.mark.parametrize("odd_one", [0, 1, 2])
def test_refuses_mixed_dtypes(odd_one):
    inputs = list(arrays())
    inputs[odd_one] = inputs[odd_one].astype(np.float32)
    with pytest.raises(TypeError, match=r"ConvTranspose2d: all inputs must .*, received .*float32"):
        mf.conv_transpose2d(*inputs)
