"""gradcheck itself: it passes right gradients, and fails each kind of wrong one with a message that says where."""

import re

import numpy as np
import pytest

import minifcn as mf
from minifcn.autograd import Function
from minifcn.gradients import ALL_ENTRIES, FULL_JACOBIAN, GradientError, check


class Product(Function):
    """y = a @ w, with a backward pass that `spoil` may change: it takes and returns (da, dw, dy)."""

    def __init__(self, spoil=lambda da, dw, dy: (da, dw)):
        self.spoil = spoil

    def forward(self, a, w):
        self.a, self.w = a, w
        return a @ w

    def backward(self, dy):
        return self.spoil(dy @ self.w.T, self.a.T @ dy, dy)


def arrays(n=4):
    rng = np.random.default_rng(0)
    return rng.standard_normal((n, n)), rng.standard_normal((n, n))


def one_wrong_entry(da, dw, dy):
    da[-1, 2] *= 1.001
    return da, dw


WRONG = {
    "flipped": lambda da, dw, dy: (da[::-1].copy(), dw),
    "zero": lambda da, dw, dy: (da * 0, dw),
    "transposed": lambda da, dw, dy: (da, dw.T.copy()),
    "one wrong entry": one_wrong_entry,
    "twice": lambda da, dw, dy: (da, 2 * dw),
    "wrong sign": lambda da, dw, dy: (-da, dw),
    "NaN": lambda da, dw, dy: (da, dw * np.nan),
    "right only for a cotangent of ones": lambda da, dw, dy: (da, dw) if (dy == 1).all() else (da, dw * dy.mean()),
    "right only for one-hot cotangents": lambda da, dw, dy: (da, dw) if np.count_nonzero(dy) == 1 else (da * 1.1, dw),
}

LARGE = 20  # (20, 20) inputs: 400 * 800 entries of Jacobian are too many, and an input has more than ALL_ENTRIES


@pytest.mark.parametrize("n", [4, LARGE], ids=["whole Jacobian", "random directions"])
@pytest.mark.parametrize("wrong", WRONG)
def test_a_wrong_gradient_is_caught(wrong, n):
    with pytest.raises(GradientError):
        mf.gradcheck(lambda a, w: Product(WRONG[wrong])(a, w), arrays(n), linear=True)


def test_the_sizes_reach_both_ways():
    assert 4 * 4 * 2 * 4 * 4 <= FULL_JACOBIAN < LARGE**2 * 2 * LARGE**2
    assert LARGE**2 > ALL_ENTRIES


@pytest.mark.parametrize("n", [4, 7, LARGE])
def test_a_right_gradient_passes_and_the_worst_error_comes_back(n):
    error = mf.gradcheck(lambda a, w: Product()(a, w), arrays(n), linear=True)
    assert 0 < error < 1e-10
    assert check(lambda a, w: Product()(a, w), arrays(n), linear=True)[0] == error


def test_the_worst_of_all_inputs_comes_back():
    def spoil(da, dw, dy):
        return da * (1 + 1e-4), dw * (1 + 3e-4)

    error = mf.gradcheck(lambda a, w: Product(spoil)(a, w), arrays(), linear=True, tolerance=1e-2)
    assert error == pytest.approx(3e-4, rel=1e-2)


def test_entries_are_counted():
    """16 outputs x 32 inputs, and each input once more for the random cotangent."""
    assert check(lambda a, w: Product()(a, w), arrays(), linear=True)[1] == 16 * 32 + 32


def test_the_error_is_relative_to_the_inputs_largest_derivative():
    """A wrong small derivative beside a large one: |0.001 - 0| / 1000."""

    def spoil(da, dw, dy):
        da[:, 1] = 0
        return da, dw

    w = np.array([[1000.0], [0.001]])
    error = mf.gradcheck(lambda a: Product(spoil)(a, mf.Tensor(w)), [np.ones((1, 2))], linear=True, tolerance=1e-3)
    assert error == pytest.approx(1e-6, rel=1e-3)


def test_the_message_says_where_and_both_numbers():
    a, w = np.zeros((2, 3)), np.arange(1.0, 7).reshape(3, 2)

    def spoil(da, dw, dy):
        if dy[1, 1] == 1 and np.count_nonzero(dy) == 1:
            da[1, 2] = 7.5  # d y[1,1] / d a[1,2] is w[2,1] = 6
        return da, dw

    with pytest.raises(GradientError) as caught:
        mf.gradcheck(lambda a, w: Product(spoil)(a, w), [a, w], linear=True, name="product[2x3]")
    message = str(caught.value)
    assert message.startswith("product[2x3]: input 0, index (1, 2) (output (1, 1)): analytic 7.5, numeric 6;")
    assert re.search(r"error 2\.00e-01 of the input's largest, tolerance 1e-07", message)


def test_the_message_for_a_large_function():
    with pytest.raises(GradientError, match=r"f: input 1, random direction \d: analytic \S+, numeric \S+; error"):
        mf.gradcheck(lambda a, w: Product(WRONG["twice"])(a, w), arrays(LARGE), linear=True)
    large, small = np.ones((500, 4)), np.ones((4, 10))  # w is small enough to go entry by entry

    def spoil(da, dw, dy):
        dw[3, 1] += 5000
        return da, dw

    with pytest.raises(GradientError, match=r"f: input 1, index \(3, 1\): analytic"):
        mf.gradcheck(lambda a, w: Product(spoil)(a, w), [large, small], linear=True)


def test_an_unused_input_has_gradient_zero():
    assert mf.gradcheck(lambda a, b: a * 2, [np.ones(3), np.ones(2)], linear=True) < 1e-10
    with pytest.raises(GradientError, match="input 1"):  # used, but the graph does not know
        mf.gradcheck(lambda a, b: a + mf.Tensor(b.data), [np.ones(3), np.ones(3)], linear=True)


@pytest.mark.parametrize(
    "x",
    [np.ones(3, np.float32), mf.Tensor(np.ones(3, np.float32), requires_grad=True), mf.Tensor(np.ones(3))],
    ids=["float32 array", "float32 Tensor", "no gradient wanted"],
)
def test_refuses_what_it_cannot_check(x):
    with pytest.raises(TypeError, match="f: input 0: expected a float64 array or a leaf with requires_grad"):
        mf.gradcheck(lambda x: x * 2, [x])


def test_refuses_a_tensor_that_is_no_leaf():
    with pytest.raises(TypeError, match="add: input 1: expected a float64 array or a leaf"):
        mf.gradcheck(mf.add, [np.ones(3), mf.Tensor(np.ones(3), requires_grad=True) * 2])


@pytest.mark.parametrize(
    "function, x",
    [
        (mf.relu, np.array([0.5, 1e-9, -0.5])),
        (lambda x: mf.max_pool2d(x, 2), np.array([1.0, 1 + 1e-9, 0, 0]).reshape(1, 2, 2, 1)),
        (lambda x: mf.conv2d(x, np.ones((1, 1, 1, 1)), relu=True), np.full((1, 1, 1, 1), -1e-9)),
        (lambda x: mf.relu(x * 3) * 2, np.array([1e-9])),  # anywhere in the graph
    ],
    ids=["relu", "pool", "conv2d with relu", "inside"],
)
def test_a_kink_is_detected(function, x):
    name = "relu" if function is mf.relu else "f"
    with pytest.raises(GradientError, match=f"^{name}: input 0: a finite difference crosses a kink"):
        mf.gradcheck(function, [x])


@pytest.mark.parametrize("fails", [False, True])
@pytest.mark.parametrize("n", [4, LARGE])
def test_inputs_are_restored(fails, n):
    tensors = [mf.Tensor(x, requires_grad=True) for x in arrays(n)]
    data, values = [t.data for t in tensors], [t.data.copy() for t in tensors]
    spoil = WRONG["twice" if fails else "one wrong entry"]
    try:
        mf.gradcheck(lambda a, w: Product(spoil)(a, w), tensors, linear=True, tolerance=None if fails else 1)
    except GradientError:
        assert fails
    for tensor, array, before in zip(tensors, data, values, strict=True):
        assert tensor.data is array and np.array_equal(array, before) and tensor.grad is None


@pytest.mark.parametrize("n", [4, LARGE])
def test_a_gradient_left_by_an_earlier_pass_is_not_added_to(n):
    tensors = [mf.Tensor(x, requires_grad=True) for x in arrays(n)]
    for tensor in tensors:
        tensor.grad = np.ones(tensor.shape)
    assert mf.gradcheck(lambda a, w: Product()(a, w), tensors, linear=True) < 1e-10


def test_one_nan_is_named_where_it_is():
    def spoil(da, dw, dy):
        da[1, 0] = np.nan
        return da, dw

    with pytest.raises(GradientError, match=r"input 0, index \(1, 0\) \(output .*: analytic nan"):
        mf.gradcheck(lambda a, w: Product(spoil)(a, w), arrays(), linear=True)


def test_a_function_may_reach_its_inputs_another_way():
    w = mf.Tensor(np.ones((2, 2)), requires_grad=True)
    x = mf.Tensor(np.array([[1.0, 2], [3, 4]]))
    assert mf.gradcheck(lambda _: Product()(x, w), [w], linear=True) < 1e-10
    with pytest.raises(GradientError, match="input 0"):
        mf.gradcheck(lambda _: Product(WRONG["transposed"])(x, w), [w], linear=True)


def test_the_seed_decides():
    function, inputs = (lambda a, w: Product()(a, w)), arrays(LARGE)
    errors = [mf.gradcheck(function, inputs, linear=True, seed=seed) for seed in (0, 0, 1)]
    assert errors[0] == errors[1] != errors[2]
