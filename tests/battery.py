"""Odd cases of every op, each with its truth: what the op tests run, and what every planted bug must fail.

A Case carries float64 inputs, the op as a function of Tensors, and the same from the naive loops in reference.py. All
shapes are those of minifcn/cases.py; here stand values: ties, NaN, infinities, labels and numbers of all kinds.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import numpy as np
import reference
from helpers import assert_close, device_array, distinct, tensor

import minifcn as mf
from minifcn import cpu, device
from minifcn.cases import layer_cases
from minifcn.randomness import counted_rng


@dataclass(frozen=True)
class Case:
    op: str
    options: str
    inputs: tuple[np.ndarray, ...]
    function: Callable  # Tensors -> Tensor
    reference: Callable  # float64 arrays -> float64 array
    linear: bool = True  # in each input
    gradient: Callable | None = None  # (x, dy) -> dx by loops, for what finite differences cannot see
    smooth: bool = True  # finite differences apply

    def __str__(self):
        return f"{self.op}[{self.options}]"


# ---- the checks: each takes a Case and where it runs (cpu or gpu, as the fixture `loops` gives it) ----


def evaluate(case, loops=cpu, dtype=np.float64, layout=device_array):
    """Run forward and backward; return the result, the input Tensors and the cotangent, a host array."""
    tensors = [mf.Tensor(layout(loops, x.astype(dtype)), requires_grad=True) for x in case.inputs]
    y = case.function(*tensors)
    dy = np.random.default_rng(5).standard_normal(y.shape).astype(dtype)
    y.backward(dy)
    assert all(device.of(array) is loops for array in (y.data, *(x.grad for x in tensors)))
    return y.data, tensors, dy


def forward_float64(case, loops=cpu):
    y, _, _ = evaluate(case, loops)
    assert_close(y, case.reference(*case.inputs), what=str(case))


def forward_float32(case, loops=cpu):
    y, tensors, _ = evaluate(case, loops, np.float32)
    assert y.dtype == np.float32
    assert all(x.grad.dtype == np.float32 for x in tensors)
    rounded = [x.astype(np.float32).astype(np.float64) for x in case.inputs]
    assert_close(y, case.reference(*rounded), what=str(case))


def gradients(case, loops=cpu):
    if case.smooth:
        leaves = [tensor(loops, x) for x in case.inputs]
        mf.gradcheck(case.function, leaves, linear=case.linear, name=str(case))
    if case.gradient:
        _, (x,), dy = evaluate(case, loops)
        assert_close(x.grad, case.gradient(*case.inputs, dy), what=f"{case}: gradient")


def float32_gradients(case, loops=cpu):
    """Where float64 gradients are right (checked above), float32 ones are the same but for rounding."""
    _, singles, _ = evaluate(case, loops, np.float32)
    for i, (single, double) in enumerate(zip(singles, evaluate(case, loops)[1], strict=True)):
        assert_close(single.grad, double.grad, what=f"{case}: gradient of input {i}")


def nothing_altered(case, loops=cpu):
    """The op leaves its inputs as they were; backward leaves the cotangent."""
    tensors = [tensor(loops, x) for x in case.inputs]
    y = case.function(*tensors)
    before = np.random.default_rng(5).standard_normal(y.shape)
    dy, result = device_array(loops, before), device.asnumpy(y.data).copy()
    y.backward(dy)
    for x, leaf in zip(case.inputs, tensors, strict=True):
        assert np.array_equal(device.asnumpy(leaf.data), x, equal_nan=True)
    assert np.array_equal(device.asnumpy(dy), before)
    assert np.array_equal(device.asnumpy(y.data), result, equal_nan=True)


def strided(loops, x):
    """A view on the device with the values of x and gaps in memory, in Fortran order: contiguous in no axis."""
    x = loops.asarray(x)
    backing = device.xp(x).full(tuple(2 * s for s in x.shape[::-1]), 77, x.dtype)
    view = backing[tuple(slice(None, None, 2) for _ in x.shape)].T
    view[...] = x
    return view


def non_contiguous(case, loops=cpu):
    """Layout in memory changes nothing."""
    y, tensors, _ = evaluate(case, loops)
    y_strided, tensors_strided, _ = evaluate(case, loops, layout=strided)
    assert_close(y_strided, y, what=str(case))
    for a, b in zip(tensors_strided, tensors, strict=True):
        assert (a.data.size == 1 or not a.data.flags.c_contiguous) and a.grad.shape == a.shape
        assert_close(a.grad, b.grad, what=f"{case}: gradient")


CHECKS = (forward_float64, forward_float32, gradients, float32_gradients, nothing_altered, non_contiguous)


# ---- the cases ----


def conv_reference(x, w, b=None, relu=False, **rule):
    y = reference.conv2d(x, w, b, **rule)
    return reference.relu(y) if relu else y


def dropout_reference(x, p):
    return reference.dropout(x, p, counted_rng(7).random(x.shape, dtype=np.float32))


REFERENCES = {  # of the ops in minifcn/cases.py, with the ops' own names of options
    "conv2d": conv_reference,
    "conv_transpose2d": reference.conv_transpose2d,
    "max_pool2d": lambda x, kernel_size, **rule: reference.max_pool2d(x, kernel_size, **rule),
    "bilinear_upsample": reference.bilinear_upsample,
    "crop": reference.crop,
    "global_average": reference.global_average,
    "batch_norm": reference.batch_norm,
    "relu": reference.relu,
    "add": lambda a, b=None: a + (a if b is None else b),
    "multiply": lambda a, b=None: a * (a if b is None else b),
    "sum": lambda x: np.array(sum(x.ravel())),
    "scale": lambda x, scalar: float(scalar) * x,
    "dropout": dropout_reference,
    "softmax_cross_entropy": reference.softmax_cross_entropy,
}
GRADIENTS = {
    "max_pool2d": lambda x, dy, kernel_size, **rule: reference.max_pool2d_gradient(x, dy, kernel_size, **rule),
    "relu": reference.relu_gradient,
    "softmax_cross_entropy": reference.softmax_cross_entropy_gradient,
}


def case(op, options, inputs, function, linear, smooth=True, **rule):
    """A case whose truth is that of its op."""
    gradient = partial(GRADIENTS[op], **rule) if op in GRADIENTS else None
    return Case(op, options, tuple(inputs), function, partial(REFERENCES[op], **rule), linear, gradient, smooth)


def shared_cases():
    for c in layer_cases(0):
        yield case(c.op, c.options, c.inputs, c.function, c.linear, **c.function.keywords)


def max_pool2d_values():
    def pool(options, x, kernel, stride, padding=(0, 0), ceil_mode=False, smooth=True):
        rule = dict(kernel_size=kernel, stride=stride, padding=padding, ceil_mode=ceil_mode)
        return case("max_pool2d", options, [x], partial(mf.max_pool2d, **rule), False, smooth, **rule)

    rng = np.random.default_rng(50)
    # the largest is below zero, so padding with 0 would win
    yield pool("negative", distinct(rng, 1, 5, 6, 5) - 3, (3, 3), (2, 2), (1, 1), ceil_mode=True)
    ties = rng.integers(-1, 2, (2, 6, 7, 3)).astype(np.float64)
    yield pool("ties", ties, (3, 2), (2, 2), (1, 0), ceil_mode=True, smooth=False)
    holes = distinct(rng, 2, 7, 6, 2)
    holes[rng.random(holes.shape) < 0.15] = np.nan
    yield pool("NaN", holes, (3, 2), (2, 1), (1, 1), smooth=False)
    for padding in (0, 1):
        faint = np.where(rng.random((1, 6, 8, 2)) < 0.8, -np.inf, 1.0)
        yield pool(f"-inf, padding {padding}", faint, (2, 2), (2, 2), (padding, padding), smooth=False)


def batch_norm_values():
    rng = np.random.default_rng(66)

    def normalise(options, x, b, relu=False):
        return case("batch_norm", options, [x, b], lambda x, b: mf.batch_norm(x, b, relu)[0], False, relu=relu)

    for relu in (False, True):  # channels of different means and spreads
        x = rng.standard_normal((3, 1, 2, 17)) * rng.uniform(0.5, 3, 17) + rng.uniform(-4, 4, 17)
        yield normalise(f"spread, relu {relu}", x, rng.standard_normal(17), relu)
    yield normalise("two blocks of rows", rng.standard_normal((1, 3, 2, 1 << 14)), rng.standard_normal(1 << 14))


def relu_values():
    zeros = np.array([[-1.0, 0.0, 2.0], [0.0, -0.0, -3.0]])
    yield case("relu", "zeros", [zeros], mf.relu, False, smooth=False)
    yield case("relu", "NaN", [np.array([np.nan, -1.0, 0.5, np.inf, -np.inf])], mf.relu, False, smooth=False)


def arithmetic_values():
    a, b = np.random.default_rng(90).standard_normal((2, 2, 3, 5, 2))
    yield case("add", "operator", [a, b], lambda a, b: a + b, True)
    yield case("multiply", "operator", [a, b], lambda a, b: a * b, True)
    yield case("multiply", "the same twice", [a], lambda a: a * a, False)
    yield case("sum", "one row", [a[0, 0, 0]], lambda x: x.sum(), True)
    for scalar in (0.01, 3, np.float64(0.7), np.float32(0.5)):
        yield case("scale", repr(scalar), [a], lambda x, s=scalar: mf.scale(x, s), True, scalar=scalar)
    yield case("scale", "operators", [a], lambda x: np.float64(3) * (x * 0.5), True, scalar=1.5)


def softmax_cross_entropy_values():
    rng = np.random.default_rng(100)

    def loss(options, scores, labels, smooth=True, **rule):
        rule = dict(labels=labels, **rule)
        function = partial(mf.softmax_cross_entropy, **rule)
        return case("softmax_cross_entropy", options, [scores], function, False, smooth, **rule)

    scores = rng.standard_normal((2, 3, 5, 4))
    labels = rng.integers(0, 4, (2, 3, 5))
    holes = np.where(rng.random(labels.shape) < 0.3, 255, labels)
    weight = np.array([0.5, 2.0, 0.0, 1.25])
    yield loss("all labelled", scores, labels)
    yield loss("in a byte", scores, holes.astype(np.uint8))
    yield loss("a weight of 0", scores, holes, class_weight=weight)
    yield loss("ignore -1", scores, np.where(holes == 255, -1, holes).astype(np.int8), ignore_label=-1)
    yield loss("ignore class 2", scores, labels, ignore_label=2)
    yield loss("one class", rng.standard_normal((1, 2, 3, 1)), np.zeros((1, 2, 3), np.int32))
    yield loss("nothing labelled", scores, np.full(labels.shape, 255))
    yield loss("labelled weight 0", scores, np.full(labels.shape, 2), class_weight=weight)
    yield loss("scores +-1e4", 1e4 * np.sign(scores), holes, smooth=False)
    yield loss("one pixel", scores[:1, :1, :1], labels[:1, :1, :1])
    for odd in (np.nan, np.inf, -np.inf):
        spoilt = scores.copy()
        spoilt[holes == 255, 1] = odd
        yield loss(f"{odd} where ignored", spoilt, holes, smooth=False)
    spoilt = np.where(holes[..., None] == 255, -np.inf, scores)
    yield loss("all -inf where ignored", spoilt, holes, smooth=False)


MAKERS = (
    shared_cases,
    max_pool2d_values,
    batch_norm_values,
    relu_values,
    arithmetic_values,
    softmax_cross_entropy_values,
)


def cases(op) -> list[Case]:
    return [case for maker in MAKERS for case in maker() if case.op == op]
