"""conv2d: loops, gradients, the two algorithms, and what it refuses."""

import numpy as np
import pytest
from battery import CHECKS, cases
from helpers import assert_close, tensor

import minifcn as mf
from minifcn import cpu, device


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
@pytest.mark.parametrize("case", cases("conv2d"), ids=str)
def test_conv2d(case, check, conv_loops):
    check(case, conv_loops)


def arrays(x=(2, 5, 6, 3), w=(3, 2, 3, 4), b=(4,), loops=cpu):
    rng = np.random.default_rng(0)
    return [loops.asarray(rng.standard_normal(shape)) for shape in (x, w, b)]


@pytest.mark.parametrize("stride, padding", [(1, 0), (2, 1)])
def test_a_number_is_a_pair(stride, padding, loops):
    x, w, b = arrays(loops=loops)
    y = device.asnumpy(mf.conv2d(x, w, b, stride, padding).data)
    for pairs in ((stride, stride), [padding, padding]), (np.int64(stride), np.int32(padding)):
        assert np.array_equal(y, device.asnumpy(mf.conv2d(x, w, b, *pairs).data))


def test_size_of_the_output(loops):
    x, w, b = arrays((1, 11, 14, 3), (3, 4, 3, 4), loops=loops)
    assert mf.conv2d(x, w, b, (2, 3), (1, 2)).shape == (1, (11 + 2 - 3) // 2 + 1, (14 + 4 - 4) // 3 + 1, 4)


@pytest.mark.parametrize("needs", [(1, 0, 0), (0, 1, 0), (0, 0, 1), (1, 0, 1), (0, 1, 1)])
def test_only_the_gradients_asked_for(needs, conv_loops):
    whole = [tensor(conv_loops, a) for a in arrays()]
    some = [tensor(conv_loops, a, requires_grad=bool(need)) for a, need in zip(arrays(), needs, strict=True)]
    dy = np.random.default_rng(1).standard_normal((2, 3, 5, 4))
    for tensors in (whole, some):
        mf.conv2d(*tensors).backward(dy)
    for a, b, need in zip(some, whole, needs, strict=True):
        assert a.grad is None if not need else np.array_equal(device.asnumpy(a.grad), device.asnumpy(b.grad))


def test_relu_in_the_epilogue_is_relu_after(conv_loops):
    one, two = ([tensor(conv_loops, a) for a in arrays()] for _ in range(2))
    y, z = mf.conv2d(*one, relu=True), mf.relu(mf.conv2d(*two))
    assert_close(y.data, z.data)
    assert (device.asnumpy(y.data) == 0).any() and (device.asnumpy(y.data) > 0).any()
    dy = np.random.default_rng(1).standard_normal(y.shape)
    y.backward(dy)
    z.backward(dy)
    for a, b in zip(one, two, strict=True):
        assert_close(a.grad, b.grad)


def test_bilinear_in_picture_and_kernel(loops):
    (x, w, _), (x2, w2, _) = arrays(loops=loops), arrays(loops=loops)
    both = mf.conv2d(2 * x - x2[::-1], w).data
    assert_close(both, 2 * mf.conv2d(x, w).data - mf.conv2d(x2[::-1].copy(), w).data)
    assert_close(mf.conv2d(x, w - 3 * w2[::-1]).data, mf.conv2d(x, w).data - 3 * mf.conv2d(x, w2[::-1].copy()).data)


def test_pictures_of_a_batch_do_not_mix(conv_loops):
    x, w, b = arrays((3, 13, 14, 16), (3, 3, 16, 16), (16,), conv_loops)
    y = mf.conv2d(x, w, b, 1, 1).data
    for n in range(3):
        assert_close(y[n : n + 1], mf.conv2d(x[n : n + 1], w, b, 1, 1).data)


@pytest.mark.parametrize(
    "options, error, match",
    [
        ({"x": (5, 6, 3)}, ValueError, r"conv2d: x: expected shape \(N, H, W, C\).*received \(5, 6, 3\)"),
        ({"x": (0, 5, 6, 3)}, ValueError, "conv2d: x: expected shape .*nothing empty"),
        ({"w": (2, 3, 4)}, ValueError, r"conv2d: w: expected shape \(KH, KW, C, K\).*received \(2, 3, 4\)"),
        ({"w": (3, 2, 5, 4)}, ValueError, r"conv2d: w: expected C = 3, as in x, received 5"),
        ({"b": (5,)}, ValueError, r"conv2d: b: expected K = 4, as in w, received 5"),
        ({"b": (1, 4)}, ValueError, r"conv2d: b: expected shape \(K\).*received \(1, 4\)"),
        (
            {"w": (6, 2, 3, 4)},
            ValueError,
            r"conv2d: picture \(5, 6\), kernel \(6, 2\), .*at least 1 x 1, received 0 x 5",
        ),
        ({"w": (3, 9, 3, 4), "padding": (0, 1)}, ValueError, r"kernel \(3, 9\), padding \(0, 1\): .*received 3 x 0"),
        ({"stride": 0}, ValueError, "conv2d: stride: expected at least 1, received 0"),
        ({"stride": (1, 0)}, ValueError, r"conv2d: stride: expected at least 1, received \(1, 0\)"),
        ({"stride": 1.5}, TypeError, "conv2d: stride: expected an int or a pair of ints, received 1.5"),
        ({"stride": True}, TypeError, "conv2d: stride: expected an int or a pair of ints, received True"),
        ({"stride": (1, 2, 3)}, TypeError, "conv2d: stride: expected an int or a pair"),
        ({"padding": -1}, ValueError, "conv2d: padding: expected at least 0, received -1"),
        ({"padding": "same"}, TypeError, "conv2d: padding: expected an int or a pair of ints, received 'same'"),
    ],
)
def test_refuses(options, error, match):
    shapes = {name: options.pop(name) for name in ("x", "w", "b") if name in options}
    with pytest.raises(error, match=match):
        mf.conv2d(*arrays(**shapes), **options)


@pytest.mark.parametrize("missing", [0, 1])
def test_refuses_none(missing):
    inputs = list(arrays())
    inputs[missing] = None
    with pytest.raises(TypeError, match=r"conv2d: [xw]: expected an array \(.*\), received None"):
        mf.conv2d(*inputs)


@pytest.mark.parametrize("odd_one", [0, 1, 2])
def test_refuses_mixed_dtypes(odd_one):
    inputs = list(arrays())
    inputs[odd_one] = inputs[odd_one].astype(np.float32)
    with pytest.raises(TypeError, match=r"Conv2d: all inputs must .*, received .*float32"):
        mf.conv2d(*inputs)


def test_refuses_integers():
    with pytest.raises(TypeError, match="expected float32 or float64, received int64"):
        mf.conv2d(np.zeros((1, 3, 3, 1), np.int64), np.zeros((1, 1, 1, 1)))
