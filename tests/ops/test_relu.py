"""relu: loops (with zeros and NaN), gradients."""

import numpy as np
import pytest
from battery import CHECKS, cases

import minifcn as mf


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
@pytest.mark.parametrize("case", cases("relu"), ids=str)
def test_relu(case, check):
    check(case)


def test_gradient_at_zero_is_zero():
    x = mf.Tensor(np.array([-0.0, 0.0, 1e-300, -1e-300]), requires_grad=True)
    mf.relu(x).backward(np.full(4, 3.0))
    assert x.grad.tolist() == [0, 0, 3, 0]


def test_several_blocks():
    """Longer than one block of the elementwise loops, and not a whole number of them."""
    x = mf.Tensor(np.random.default_rng(0).standard_normal(200_003), requires_grad=True)
    dy = np.random.default_rng(1).standard_normal(x.shape)
    y = mf.relu(x)
    y.backward(dy)
    assert np.array_equal(y.data, np.where(x.data > 0, x.data, 0))
    assert np.array_equal(x.grad, np.where(x.data > 0, dy, 0))
