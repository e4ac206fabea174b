"""crop: loops, gradients, and what it refuses."""

import numpy as np
import pytest
from battery import CHECKS, cases
from helpers import tensor

import minifcn as mf
from minifcn import device


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
@pytest.mark.parametrize("case", cases("crop"), ids=str)
def test_crop(case, check, loops):
    check(case, loops)


def test_gradient_is_zero_outside(loops):
    x = tensor(loops, np.ones((1, 3, 4, 1)))
    mf.crop(x, 1, 2, 2, 1).backward(np.full((1, 2, 1, 1), 5.0))
    assert device.asnumpy(x.grad)[0, :, :, 0].tolist() == [[0, 0, 0, 0], [0, 0, 5, 0], [0, 0, 5, 0]]


def test_result_is_a_copy(loops):
    x = loops.asarray(np.zeros((1, 3, 4, 2)))
    mf.crop(x, 0, 0, 3, 4).data[:] = 1
    assert not device.asnumpy(x).any()


@pytest.mark.parametrize(
    "shape, rectangle, error, match",
    [
        ((3, 4, 1), (0, 0, 1, 1), ValueError, r"crop: x: expected shape \(N, H, W, C\)"),
        ((1, 3, 4, 1), (-1, 0, 1, 1), ValueError, r"crop: top, left: expected at least 0, received \(-1, 0\)"),
        ((1, 3, 4, 1), (0, 0, 0, 2), ValueError, r"crop: height, width: expected at least 1, received \(0, 2\)"),
        ((1, 3, 4, 1), (1, 0, 3, 1), ValueError, r"crop: expected .* in \(3, 4\), received \(4, 1\)"),
        (
            (1, 3, 4, 1),
            (0, 2, 1, 3),
            ValueError,
            r"crop: expected top \+ height, left \+ width in \(3, 4\), received \(1, 5\)",
        ),
        ((1, 3, 4, 1), (0.0, 0, 1, 1), TypeError, r"crop: top, left: expected an int or a pair of ints"),
    ],
)
def test_refuses(shape, rectangle, error, match):
    with pytest.raises(error, match=match):
        mf.crop(np.zeros(shape), *rectangle)
