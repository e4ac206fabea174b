"""add and scale, as functions and operators: loops, gradients, dtypes, and what they refuse."""

import numpy as np
import pytest
from battery import CHECKS, cases
from helpers import device_array, tensor

import minifcn as mf
from minifcn import cpu, device


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
@pytest.mark.parametrize("case", cases("add") + cases("scale"), ids=str)
def test_arithmetic(case, check, loops):
    check(case, loops)


def test_gradients_of_add_are_separate_arrays(loops):
    a, b = (tensor(loops, np.ones(3)) for _ in range(2))
    (a + b).backward(np.arange(3.0))
    a.grad += 1
    assert device.asnumpy(b.grad).tolist() == [0, 1, 2]


@pytest.mark.parametrize("scalar", [2, 2.5, np.float64(2.5), np.float32(2.5), np.int64(3)])
def test_a_scalar_of_any_type_keeps_float32(scalar, loops):
    x = tensor(loops, np.ones(3, np.float32))
    for y in (x * scalar, scalar * x, mf.scale(x, scalar)):
        assert y.dtype == np.float32 and (device.asnumpy(y.data) == np.float32(scalar)).all()
        y.backward(np.ones(3, np.float32))
        assert x.grad.dtype == np.float32


def test_add_takes_arrays(loops):
    x = tensor(loops, np.ones(3))
    assert device.asnumpy((x + device_array(loops, np.arange(3.0))).data).tolist() == [1, 2, 3]


def test_an_array_takes_a_tensor():
    x = tensor(cpu, np.ones(3))
    y = np.arange(3.0) + x
    y.backward(np.arange(3.0))
    assert y.data.tolist() == [1, 2, 3] and x.grad.tolist() == [0, 1, 2]


@pytest.mark.parametrize(
    "other, error, match",
    [
        (np.ones(2), ValueError, r"add: shape of b: expected \(3,\), received \(2,\)"),
        (np.ones(1), ValueError, r"add: shape of b: expected \(3,\), received \(1,\)"),  # nothing is broadcast
        (1.0, ValueError, r"add: shape of b: expected \(3,\), received \(\)"),
        (np.ones(3, np.float32), TypeError, "Add: all inputs must have one dtype, received .*float32"),
        (np.ones(3, int), TypeError, "expected float32 or float64, received int64"),
    ],
)
def test_add_refuses(other, error, match):
    with pytest.raises(error, match=match):
        mf.Tensor(np.ones(3)) + other


@pytest.mark.parametrize("scalar", ["2", None, np.ones(3), 1j])
def test_scale_refuses(scalar):
    with pytest.raises(TypeError, match=f"scale: expected a number, received {type(scalar).__name__}"):
        mf.Tensor(np.ones(3)) * scalar
    with pytest.raises(TypeError, match=f"scale: expected a number, received {type(scalar).__name__}"):
        scalar * mf.Tensor(np.ones(3))
