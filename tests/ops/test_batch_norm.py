"""batch_norm: loops, gradients, its statistics, and what it refuses."""

import numpy as np
import pytest
from battery import CHECKS, cases
from helpers import assert_close, tensor

import minifcn as mf
from minifcn import device
from minifcn.gradients import GradientError


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
@pytest.mark.parametrize("case", cases("batch_norm"), ids=str)
def test_batch_norm(case, check, loops):
    check(case, loops)


def test_statistics_are_of_the_batch(loops):
    x = np.random.default_rng(0).standard_normal((3, 4, 5, 6)) * 3 + 7
    _, statistics = mf.batch_norm(tensor(loops, x), tensor(loops, np.zeros(6)))
    for found, true in zip(statistics, (x.mean((0, 1, 2)), x.var((0, 1, 2))), strict=True):
        assert_close(device.asnumpy(found), true)


def test_far_from_zero_float32_keeps_its_digits(loops):
    """Mean 1000, deviation 1: the square of the mean less the mean of the squares would lose all of it."""
    x = (1000 + np.random.default_rng(0).standard_normal((2, 30, 40, 3))).astype(np.float32)
    y, (_, var) = mf.batch_norm(tensor(loops, x), tensor(loops, np.zeros(3, np.float32)))
    np.testing.assert_allclose(device.asnumpy(var), x.astype(np.float64).var((0, 1, 2)), rtol=1e-3)
    np.testing.assert_allclose(device.asnumpy(y.data).std((0, 1, 2)), 1, rtol=1e-3)


def test_a_channel_that_is_the_same_everywhere_gives_its_bias(loops):
    y, _ = mf.batch_norm(tensor(loops, np.full((2, 3, 4, 1), 5.0)), tensor(loops, np.array([0.25])))
    np.testing.assert_array_equal(device.asnumpy(y.data), 0.25)


def test_gradcheck_sees_the_kink_of_its_relu():
    x = np.random.default_rng(0).standard_normal((1, 3, 4, 2))
    y, _ = mf.batch_norm(x, np.zeros(2))
    b = 1e-9 - y.data[0, 1, 2]  # y there is 1e-9: a step of 1e-6 in b, or in x, crosses 0
    with pytest.raises(GradientError, match="crosses a kink"):
        mf.gradcheck(lambda x, b: mf.batch_norm(x, b, relu=True)[0], [x, b])


@pytest.mark.parametrize(
    "x, b, match",
    [
        ((2, 3, 4), (4,), r"batch_norm: x: expected shape \(N, H, W, K\)"),
        ((2, 3, 4, 5), (4,), r"batch_norm: b: expected K = 5, as in x, received 4"),
    ],
)
def test_refuses(x, b, match):
    with pytest.raises(ValueError, match=match):
        mf.batch_norm(np.zeros(x), np.zeros(b))
