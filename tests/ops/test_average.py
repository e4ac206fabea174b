"""global_average: loops, gradients, and what it refuses."""

import numpy as np
import pytest
from battery import CHECKS, cases
from helpers import tensor

import minifcn as mf
from minifcn import device


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
@pytest.mark.parametrize("case", cases("global_average"), ids=str)
def test_global_average(case, check, loops):
    check(case, loops)


def test_the_gradient_is_an_array_of_its_own(loops):
    x = tensor(loops, np.ones((1, 2, 2, 1)))
    mf.global_average(x).backward(np.ones((1, 1, 1, 1)))
    x.grad[0, 0, 0] += 1
    assert device.asnumpy(x.grad).ravel().tolist() == [1.25, 0.25, 0.25, 0.25]


def test_refuses():
    with pytest.raises(ValueError, match=r"global_average: x: expected shape \(N, H, W, C\)"):
        mf.global_average(np.zeros((2, 3, 4)))
