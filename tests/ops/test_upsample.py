"""bilinear_upsample: arithmetic by hand, loops, gradients, and the transposed convolution it stands for."""

import numpy as np
import pytest
from battery import CHECKS, cases
from helpers import assert_close, tensor

import minifcn as mf
from minifcn import device


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
@pytest.mark.parametrize("case", cases("bilinear_upsample"), ids=str)
def test_bilinear_upsample(case, check, loops):
    check(case, loops)


def test_by_hand(loops):
    """One row, stride 2: weights 1/4 3/4 3/4 1/4, and the single row fades by the same weights above and below."""
    x = np.array([[4.0, 8.0]]).reshape(1, 1, 2, 1)
    row = np.array([1, 3, 3 + 2, 1 + 6, 6, 2])
    expected = np.stack([row / 4, row * 3 / 4, row * 3 / 4, row / 4])
    for stride in (2, np.int64(2)):
        y = device.asnumpy(mf.bilinear_upsample(loops.asarray(x), stride).data)
        np.testing.assert_allclose(y[0, :, :, 0], expected, rtol=1e-15)


def test_a_plane_stays_a_plane(loops):
    """Away from the border, linear interpolation reproduces a linear function: one step of x is stride steps of y."""
    stride, H, W = 3, 4, 5
    iy, ix = np.mgrid[:H, :W]
    x = (2.0 + 3 * iy - ix).reshape(1, H, W, 1)
    oy, ox = np.mgrid[stride : H * stride, stride : W * stride]
    plane = 2 + 3 * (oy - stride + 0.5) / stride - (ox - stride + 0.5) / stride
    inside = device.asnumpy(mf.bilinear_upsample(loops.asarray(x), stride).data)[0, stride:-stride, stride:-stride, 0]
    np.testing.assert_allclose(inside, plane, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("stride", [1, 2, 3, 8])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_equals_conv_transpose2d_with_bilinear_weights(stride, dtype, loops):
    C = 3
    k = np.array([1 - abs(i - (stride - 0.5)) / stride for i in range(2 * stride)])
    w = (np.outer(k, k)[:, :, None, None] * np.eye(C)).astype(dtype)  # (2 stride, 2 stride, C, C)
    data = np.random.default_rng(0).standard_normal((2, 3, 4, C)).astype(dtype)
    x, z = tensor(loops, data), tensor(loops, data)
    cheap, dense = mf.bilinear_upsample(x, stride), mf.conv_transpose2d(z, loops.asarray(w), stride=stride)
    assert cheap.shape == (2, 4 * stride, 5 * stride, C)
    assert_close(cheap.data, dense.data)
    dy = np.random.default_rng(1).standard_normal(cheap.shape).astype(dtype)
    cheap.backward(dy)
    dense.backward(dy)
    assert_close(x.grad, z.grad)


@pytest.mark.parametrize(
    "shape, stride, error, match",
    [
        ((3, 4, 2), 2, ValueError, r"bilinear_upsample: x: expected shape \(N, H, W, C\)"),
        ((1, 3, 0, 2), 2, ValueError, "bilinear_upsample: x: .*nothing empty"),
        ((1, 3, 4, 2), 0, ValueError, "bilinear_upsample: stride: expected an int, at least 1, received 0"),
        ((1, 3, 4, 2), 2.0, ValueError, "bilinear_upsample: stride: expected an int, at least 1, received 2.0"),
        ((1, 3, 4, 2), True, ValueError, "bilinear_upsample: stride: expected an int, at least 1, received True"),
        (
            (1, 3, 4, 2),
            (2, 2),
            ValueError,
            r"bilinear_upsample: stride: .*, received \(2, 2\)",
        ),
    ],
)
def test_refuses(shape, stride, error, match):
    with pytest.raises(error, match=match):
        mf.bilinear_upsample(np.zeros(shape), stride)
