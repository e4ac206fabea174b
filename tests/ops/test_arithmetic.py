"""Sums and products, as functions and operators: loops, gradients, dtypes, and what they refuse."""

from operator import add, mul

import numpy as np
import pytest
from battery import CHECKS, cases
from helpers import device_array, tensor

import minifcn as mf
from minifcn import cpu, device


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
@pytest.mark.parametrize("case", [case for op in ("add", "multiply", "scale", "sum") for case in cases(op)], ids=str)
def test_arithmetic(case, check, loops):
    check(case, loops)


@pytest.mark.parametrize("operator", [add, mul])
def test_gradients_are_separate_arrays(operator, loops):
    a, b = (tensor(loops, np.ones(3)) for _ in range(2))
    operator(a, b).backward(np.arange(3.0))
    a.grad += 1
    assert device.asnumpy(b.grad).tolist() == [0, 1, 2]


@pytest.mark.parametrize("scalar", [2, 2.5, np.float64(2.5), np.float32(2.5), np.int64(3)])
def test_a_scalar_of_any_type_keeps_float32(scalar, loops):
    x = tensor(loops, np.ones(3, np.float32))
    for y in (x * scalar, scalar * x, mf.scale(x, scalar)):
        assert y.dtype == np.float32 and (device.asnumpy(y.data) == np.float32(scalar)).all()
        y.backward(np.ones(3, np.float32))
        assert x.grad.dtype == np.float32


@pytest.mark.parametrize("operator, expected", [(add, [2, 3, 4]), (mul, [0, 2, 4])])
def test_arrays_are_taken(operator, expected, loops):
    x = tensor(loops, np.full(3, 2.0))
    assert device.asnumpy(operator(x, device_array(loops, np.arange(3.0))).data).tolist() == expected


@pytest.mark.parametrize("needs", [(True, False), (False, True)])
def test_a_product_keeps_only_what_a_gradient_needs(needs, loops):
    a, b = (tensor(loops, values, need) for values, need in zip((np.full(3, 2.0), np.full(3, 5.0)), needs, strict=True))
    y = a * b
    assert (y.creator.b is not None, y.creator.a is not None) == needs
    y.backward(np.ones(3))
    assert [None if x.grad is None else device.asnumpy(x.grad).tolist() for x in (a, b)] == [
        [5.0] * 3 if needs[0] else None,
        [2.0] * 3 if needs[1] else None,
    ]


def test_a_sum_is_one_number_that_backward_starts_from(loops):
    x = tensor(loops, np.arange(6, dtype=np.float32).reshape(2, 3))
    y = x.sum()
    assert y.shape == () and y.dtype == np.float32 and float(y) == 15
    y.backward()
    x.grad[0, 0] += 1  # an array of its own, of six numbers
    assert device.asnumpy(x.grad).tolist() == [[2, 1, 1], [1, 1, 1]]


def test_an_array_takes_a_tensor():
    x = tensor(cpu, np.ones(3))
    y = np.arange(3.0) + x
    y.backward(np.arange(3.0))
    assert y.data.tolist() == [1, 2, 3] and x.grad.tolist() == [0, 1, 2]
    assert (np.arange(3.0) * y).data.tolist() == [0, 2, 6]


@pytest.mark.parametrize(
    "other, error, match",
    [
        (np.ones(2), ValueError, r"b: expected shape \(3,\), as a, received \(2,\)"),
        (np.ones(1), ValueError, r"b: expected shape \(3,\), as a, received \(1,\)"),  # nothing is broadcast
        (np.array(1.0), ValueError, r"b: expected shape \(3,\), as a, received \(\)"),
        (np.ones(3, np.float32), TypeError, "all inputs must have one dtype and be on one device, received .*float32"),
        (np.ones(3, int), TypeError, "expected float32 or float64, received int64"),
    ],
)
def test_add_and_multiply_refuse(other, error, match):
    for name, operator in (("add", add), ("mul", mul)):
        with pytest.raises(error, match=match) as caught:
            operator(mf.Tensor(np.ones(3)), other)
        assert str(caught.value).lower().startswith((name, "tensor"))


def test_add_refuses_a_number():
    with pytest.raises(ValueError, match=r"add: b: expected shape \(3,\), as a, received \(\)"):
        mf.Tensor(np.ones(3)) + 1.0


@pytest.mark.parametrize("scalar", ["2", None, 1j, [1.0, 2.0, 3.0]])
def test_scale_refuses(scalar):
    with pytest.raises(TypeError, match=f"scale: expected a number, received {type(scalar).__name__}"):
        mf.Tensor(np.ones(3)) * scalar
    with pytest.raises(TypeError, match=f"scale: expected a number, received {type(scalar).__name__}"):
        scalar * mf.Tensor(np.ones(3))
