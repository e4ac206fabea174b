"""The engine: gradients add up, only leaves keep them, and a graph serves once."""

import numpy as np
import pytest

import minifcn as mf
from minifcn.autograd import Function


def leaf(values, dtype=np.float64):
    return mf.Tensor(np.array(values, dtype), requires_grad=True)


class Square(Function):
    """y = x^2; a minimal Function that keeps its input."""

    def forward(self, x):
        self.x = x
        return x * x

    def backward(self, dy):
        return (2 * self.x * dy,)


class Probe(Function):
    """The identity; its backward pass calls `look`."""

    def __init__(self, look):
        self.look = look

    def forward(self, x):
        return x.copy()

    def backward(self, dy):
        self.look()
        return (dy,)


# ---- gradients ----


def test_shared_inputs_add_up():
    x = leaf([1, 2, 3])
    (x + x + x * 4).backward(np.array([1.0, 10, 100]))
    assert x.grad.tolist() == [6, 60, 600]


def test_a_diamond():
    """y = (3 x)^2 + 5 (3 x): both ways meet at 3 x before its gradient goes on."""
    x = leaf([1, -2])
    middle = x * 3
    (Square()(middle) + middle * 5).backward(np.ones(2))
    assert x.grad.tolist() == [18 * 1 + 15, 18 * -2 + 15]


def test_ways_of_different_length():
    """The short way must wait for the long one: y = x + ((2 x)^2)^2 through a node that both use."""
    x = leaf([0.5])
    first = x * 2
    y = first + Square()(Square()(first))
    y.backward(np.ones(1))
    assert x.grad.tolist() == [2 + 4 * 1.0**3 * 2]


def test_one_function_used_many_times():
    x = leaf([1.0])
    y = x * 1
    for _ in range(10):
        y = y + y  # 2^10 ways, each node visited once
    y.backward(np.ones(1))
    assert x.grad.tolist() == [1024]


def test_only_leaves_keep_a_gradient():
    x = leaf([1.0, 2])
    middle = x * 2
    y = Square()(middle)
    y.backward(np.ones(2))
    assert x.grad is not None
    assert middle.grad is None and y.grad is None


def test_gradients_of_two_graphs_add_up():
    x = leaf([1.0, 2])
    (x * 2).backward(np.ones(2))
    first = x.grad
    Square()(x).backward(np.ones(2))
    assert x.grad.tolist() == [2 + 2, 2 + 4]
    assert first.tolist() == [2, 2]  # adding made a new array


def test_constants_get_no_gradient():
    x, constant = leaf([1.0]), mf.Tensor(np.ones(1))
    y = x + constant
    assert y.requires_grad and not (constant * 2).requires_grad
    y.backward(np.ones(1))
    assert constant.grad is None


def test_a_leaf_can_be_the_end():
    x = leaf([1.0, 2])
    x.backward(np.array([3.0, 4]))
    assert x.grad.tolist() == [3, 4]


def test_the_grad_given_stays_the_callers():
    x, dy = leaf([1.0, 2]), np.array([3.0, 4])
    x.backward(dy)
    x.grad += 1
    assert dy.tolist() == [3, 4]
    y = leaf([1.0, 2])
    (y + leaf([0.0, 0])).backward(dy)
    y.grad += 1
    assert dy.tolist() == [3, 4]


def test_a_single_number_needs_no_grad():
    for shape in ((), (1,), (1, 1)):
        x = leaf(np.full(shape, 3.0))
        Square()(x).backward()
        assert isinstance(x.grad, np.ndarray) and x.grad.shape == shape and x.grad == 6


def test_gradients_of_numbers_are_arrays():
    x = leaf(2.0)
    (x * 3 + x).backward()
    assert isinstance(x.grad, np.ndarray) and x.grad == 4


def test_deep_graphs():
    """Neither walking nor freeing 5000 nodes recurses."""
    x = leaf([1.0])
    y = x
    for _ in range(5000):
        y = y + x
    y.backward(np.ones(1))
    assert x.grad.tolist() == [5001]
    del y
    y = x
    for _ in range(5000):
        y = y * 1
    del y  # a graph that no backward pass has released


# ---- one graph, one backward ----


def test_a_second_backward_is_refused():
    y = Square()(leaf([1.0]))
    y.backward(np.ones(1))
    with pytest.raises(RuntimeError, match="already used and released; run the forward pass again"):
        y.backward(np.ones(1))


def test_a_graph_that_shares_a_used_part_is_refused():
    x = leaf([1.0])
    middle = x * 2
    (middle * 3).backward(np.ones(1))
    before = x.grad.copy()
    with pytest.raises(RuntimeError, match="already used"):
        (middle * 5).backward(np.ones(1))
    assert np.array_equal(x.grad, before)


def test_nothing_recorded_is_refused():
    for y in (mf.Tensor(np.ones(1)) * 2, mf.Tensor(np.ones(1))):
        with pytest.raises(RuntimeError, match="nothing was recorded"):
            y.backward()


# ---- no_grad ----


def test_no_grad_records_nothing():
    x = leaf([1.0])
    with mf.no_grad():
        y = Square()(x)
    assert not y.requires_grad and y.creator is None
    assert (x * 2).requires_grad  # afterwards all is as before


def test_no_grad_nests_and_survives_errors():
    x = leaf([1.0])
    with pytest.raises(KeyError), mf.no_grad():
        with mf.no_grad():
            pass
        assert not (x * 2).requires_grad
        raise KeyError
    assert (x * 2).requires_grad


# ---- the assertion on every edge ----


@pytest.mark.parametrize(
    "grad, error, match",
    [
        (np.ones(3), ValueError, r"backward: grad: expected shape \(2,\), received \(3,\)"),
        (np.ones((2, 1)), ValueError, r"backward: grad: expected shape \(2,\), received \(2, 1\)"),
        (np.ones(2, np.float32), TypeError, "backward: grad: expected float64, received float32"),
        (None, ValueError, r"backward: grad: expected shape \(2,\), received None"),
    ],
)
def test_a_wrong_grad_is_refused(grad, error, match):
    with pytest.raises(error, match=match):
        (leaf([1.0, 2]) * 2).backward(grad)


@pytest.mark.parametrize(
    "wrong, error, match",
    [
        (lambda dx: dx[:1], ValueError, r"Wrong: gradient of input 0: expected shape \(2,\), received \(1,\)"),
        (lambda dx: dx[None], ValueError, r"Wrong: gradient of input 0: expected shape \(2,\), received \(1, 2\)"),
        (lambda dx: dx.sum(), ValueError, r"Wrong: gradient of input 0: expected shape \(2,\), received \(\)"),
        (lambda dx: dx.astype(np.float32), TypeError, "Wrong: gradient of input 0: expected float64, received float32"),
        (lambda dx: None, ValueError, "Wrong: gradient of input 0: .*received None"),
    ],
)
def test_a_function_with_a_wrong_gradient_is_named(wrong, error, match):
    class Wrong(Square):
        def backward(self, dy):
            return (wrong(super().backward(dy)[0]),)

    x = leaf([1.0, 2])
    with pytest.raises(error, match=match):
        (Wrong()(x * 2) + x).backward(np.ones(2))


def test_the_second_input_is_numbered():
    class Wrong(Function):
        def forward(self, a, b):
            return a + b

        def backward(self, dy):
            return dy, dy.copy()[:1]

    with pytest.raises(ValueError, match="Wrong: gradient of input 1"):
        Wrong()(leaf([1.0, 2]), leaf([1.0, 2])).backward(np.ones(2))


# ---- tensors ----


@pytest.mark.parametrize("data", [np.ones(2, np.float16), np.ones(2, int), [1, 2], "text", np.ones(2, complex), True])
def test_tensors_are_float32_or_float64(data):
    with pytest.raises(TypeError, match="Tensor: expected float32 or float64, received"):
        mf.Tensor(data)


def test_a_tensor_shows_what_it_is():
    x = leaf(np.ones((2, 3)), np.float32)
    assert (x.shape, x.dtype, x.grad, x.creator) == ((2, 3), np.float32, None, None)
    assert repr(x) == "Tensor((2, 3), float32)"
    assert repr(x * 2) == "Tensor((2, 3), float32, from Scale)"


def test_a_single_number_becomes_a_float():
    for shape in ((), (1,), (1, 1)):
        x = leaf(np.full(shape, 0.1), np.float32)
        assert float(x) == x.item() == float(np.float32(0.1)) and type(x.item()) is float
    for convert in (float, mf.Tensor.item):
        with pytest.raises(ValueError, match="array of size 1"):
            convert(leaf(np.ones((2, 3))))


# ---- inputs that are left out ----


class Sum3(Function):
    """y = a + b + c, where c may be None."""

    def forward(self, a, b, c):
        return a + b if c is None else a + b + c

    def backward(self, dy):
        return tuple(dy.copy() if need else None for need in self.needs)


def test_an_input_may_be_none():
    a, b, c = (leaf([1.0, 2]) for _ in range(3))
    y = Sum3()(a, b, None)
    assert y.creator.needs == (True, True, False)
    assert y.creator.parents == [a, b, None] and y.creator.shapes == [(2,), (2,), None]
    y.backward(np.array([3.0, 4]))
    Sum3()(a, b, c).backward(np.array([3.0, 4]))
    assert a.grad.tolist() == b.grad.tolist() == [6, 8] and c.grad.tolist() == [3, 4]
