"""relu: loops (with zeros and NaN), gradients."""

import numpy as np
import pytest
from battery import CHECKS, cases
from helpers import tensor

import minifcn as mf
from minifcn import device


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
@pytest.mark.parametrize("case", cases("relu"), ids=str)
def test_relu(case, check, loops):
    check(case, loops)


def test_gradient_at_zero_is_zero(loops):
    x = tensor(loops, np.array([-0.0, 0.0, 1e-300, -1e-300]))
    mf.relu(x).backward(np.full(4, 3.0))
    assert device.asnumpy(x.grad).tolist() == [0, 0, 3, 0]


def test_several_blocks(loops):
    """Longer than one block of the elementwise loops, and not a whole number of them."""
    values, dy = (np.random.default_rng(seed).standard_normal(200_003) for seed in (0, 1))
    x = tensor(loops, values)
    y = mf.relu(x)
    y.backward(dy)
    assert np.array_equal(device.asnumpy(y.data), np.where(values > 0, values, 0))
    assert np.array_equal(device.asnumpy(x.grad), np.where(values > 0, dy, 0))


def test_none_is_refused():
    for function in (mf.relu, lambda x: mf.scale(x, 2)):
        with pytest.raises(TypeError, match="expected float32 or float64"):
            function(None)
