"""Odd cases of every op, each with its truth: what the op tests run, and what every planted bug must fail.

A Case carries float64 inputs, the op as a function of Tensors, and the same from the naive loops in reference.py.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import reference
from helpers import assert_close, device_array, distinct, tensor

import minifcn as mf
from minifcn import cpu, device
from minifcn.ops import multiply


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
        assert not a.data.flags.c_contiguous and a.grad.shape == a.shape
        assert_close(a.grad, b.grad, what=f"{case}: gradient")


CHECKS = (forward_float64, forward_float32, gradients, float32_gradients, nothing_altered, non_contiguous)


# ---- the cases ----


def conv_inputs(rng, x, w, biases):
    return (rng.standard_normal(x), rng.standard_normal(w)) + ((rng.standard_normal(biases),) if biases else ())


def conv2d_cases():
    table = [  # x, w, bias, stride, padding
        ((2, 5, 7, 3), (3, 2, 3, 4), True, (1, 1), (0, 0)),  # KH != KW
        (
            (2, 7, 8, 2),
            (3, 4, 2, 3),
            True,
            (2, 3),
            (1, 2),
        ),  # strides, paddings differ; the last rows are not reached
        ((1, 4, 3, 2), (2, 3, 2, 2), True, (1, 1), (3, 4)),  # outputs that see nothing but padding
        ((2, 3, 5, 4), (1, 1, 4, 3), True, (1, 1), (0, 0)),  # a matrix product
        ((1, 5, 6, 3), (1, 1, 3, 2), True, (2, 2), (0, 0)),
        ((2, 7, 7, 2), (7, 7, 2, 3), True, (1, 1), (0, 0)),  # a fully connected layer
        ((1, 9, 10, 1), (2, 3, 1, 2), False, (4, 5), (0, 1)),  # stride larger than the kernel
        ((3, 1, 1, 2), (3, 3, 2, 2), False, (1, 1), (1, 1)),  # only the kernel's middle meets the picture
        ((3, 5, 4, 2), (3, 1, 2, 3), True, (1, 1), (0, 0)),  # one column of taps
        ((3, 4, 5, 2), (1, 3, 2, 3), True, (1, 1), (0, 0)),  # one row of taps
        ((2, 5, 6, 3), (3, 3, 3, 3), True, (1, 1), (1, 1)),  # C = K: a transposed weight fits
        ((2, 9, 14, 16), (3, 3, 16, 24), True, (1, 1), (1, 1)),  # wide, ragged tiles
        ((1, 21, 18, 32), (3, 3, 32, 17), True, (1, 1), (0, 0)),
        ((1, 13, 11, 16), (3, 3, 16, 16), False, (1, 1), (5, 2)),
    ]
    for i, (x, w, bias, stride, padding) in enumerate(table):
        inputs = conv_inputs(np.random.default_rng(i), x, w, w[3] if bias else 0)
        options = f"x{x} w{w} bias={bias} stride={stride} padding={padding}"
        yield Case(
            "conv2d",
            options,
            inputs,
            lambda x, w, b=None, s=stride, p=padding: mf.conv2d(x, w, b, s, p),
            lambda x, w, b=None, s=stride, p=padding: reference.conv2d(x, w, b, s, p),
        )
    for x, w in (((2, 5, 4, 2), (3, 3, 2, 3)), ((1, 10, 9, 16), (3, 3, 16, 16))):
        yield Case(
            "conv2d",
            f"x{x} w{w} relu",
            conv_inputs(np.random.default_rng(20), x, w, w[3]),
            lambda x, w, b: mf.conv2d(x, w, b, 1, 1, relu=True),
            lambda x, w, b: reference.relu(reference.conv2d(x, w, b, (1, 1), (1, 1))),
            linear=False,
        )


def conv_transpose2d_cases():
    table = [  # x, w, bias, stride, padding
        ((2, 3, 4, 3), (2, 3, 2, 3), True, (1, 1), (0, 0)),
        ((2, 3, 4, 2), (4, 3, 3, 2), True, (2, 3), (1, 0)),  # strides and paddings differ
        ((1, 4, 3, 2), (5, 4, 2, 2), True, (2, 2), (2, 1)),
        ((2, 2, 3, 2), (2, 3, 3, 2), True, (4, 5), (0, 1)),  # gaps between patches
        ((1, 1, 1, 3), (4, 4, 2, 3), False, (2, 2), (0, 0)),  # one pixel
        ((3, 3, 2, 2), (4, 1, 3, 2), False, (1, 1), (0, 0)),  # one column of taps
        ((2, 3, 5, 3), (4, 4, 3, 3), True, (2, 2), (0, 0)),  # C = K
        ((2, 5, 6, 3), (3, 3, 3, 3), True, (1, 1), (1, 1)),
        ((1, 10, 13, 16), (3, 3, 24, 16), True, (1, 1), (1, 1)),  # wide, ragged tiles
    ]
    for i, (x, w, bias, stride, padding) in enumerate(table):
        yield Case(
            "conv_transpose2d",
            f"x{x} w{w} bias={bias} stride={stride} padding={padding}",
            conv_inputs(np.random.default_rng(30 + i), x, w, w[2] if bias else 0),
            lambda x, w, b=None, s=stride, p=padding: mf.conv_transpose2d(x, w, b, s, p),
            lambda x, w, b=None, s=stride, p=padding: reference.conv_transpose2d(x, w, b, s, p),
        )


def bilinear_upsample_cases():
    for i, (x, stride) in enumerate((((2, 3, 2, 3), 2), ((1, 2, 3, 2), 3), ((1, 1, 1, 2), 4), ((2, 4, 3, 1), 1))):
        yield Case(
            "bilinear_upsample",
            f"x{x} stride={stride}",
            (np.random.default_rng(40 + i).standard_normal(x),),
            lambda x, s=stride: mf.bilinear_upsample(x, s),
            lambda x, s=stride: reference.bilinear_upsample(x, s),
        )


def max_pool2d_cases():
    def case(options, x, kernel, stride, padding=(0, 0), ceil_mode=False, smooth=True):
        rule = (kernel, stride, padding, ceil_mode)
        return Case(
            "max_pool2d",
            f"{options} x{x.shape} kernel={kernel} stride={stride} padding={padding} ceil={ceil_mode}",
            (x,),
            lambda x: mf.max_pool2d(x, *rule),
            lambda x: reference.max_pool2d(x, *rule),
            linear=False,
            gradient=lambda x, dy: reference.max_pool2d_gradient(x, dy, *rule),
            smooth=smooth,
        )

    rng = np.random.default_rng(50)
    yield case("floor", distinct(rng, 2, 5, 7, 3), (2, 2), (2, 2))
    yield case("ceil", distinct(rng, 2, 5, 7, 3), (2, 2), (2, 2), ceil_mode=True)
    yield case("overlap", distinct(rng, 1, 7, 6, 2), (3, 2), (1, 2), (1, 1))
    yield case("gaps", distinct(rng, 2, 8, 9, 1), (2, 1), (3, 4), ceil_mode=True)
    yield case("last window dropped", distinct(rng, 1, 5, 4, 2), (3, 3), (4, 3), (1, 1), ceil_mode=True)
    # the largest is below zero, so padding with 0 would win
    yield case("negative", distinct(rng, 1, 5, 6, 5) - 3, (3, 3), (2, 2), (1, 1), ceil_mode=True)
    ties = rng.integers(-1, 2, (2, 6, 7, 3)).astype(np.float64)
    yield case("ties", ties, (3, 2), (2, 2), (1, 0), ceil_mode=True, smooth=False)
    holes = distinct(rng, 2, 7, 6, 2)
    holes[rng.random(holes.shape) < 0.15] = np.nan
    yield case("NaN", holes, (3, 2), (2, 1), (1, 1), smooth=False)
    for padding in (0, 1):
        faint = np.where(rng.random((1, 6, 8, 2)) < 0.8, -np.inf, 1.0)
        yield case("-inf", faint, (2, 2), (2, 2), (padding, padding), smooth=False)
    rising = distinct(rng, 1, 19, 20, 2) + 3 * np.arange(19)[:, None, None]
    yield case("winners up to 255", rising, (16, 16), (1, 1))


def crop_cases():
    for top, left, height, width in ((0, 0, 5, 7), (1, 2, 3, 4), (4, 0, 1, 7), (2, 6, 3, 1)):
        yield Case(
            "crop",
            f"top={top} left={left} height={height} width={width}",
            (np.random.default_rng(60).standard_normal((2, 5, 7, 2)),),
            lambda x, r=(top, left, height, width): mf.crop(x, *r),
            lambda x, r=(top, left, height, width): reference.crop(x, *r),
        )


def global_average_cases():
    for shape in ((2, 5, 7, 3), (1, 1, 1, 2), (3, 1, 4, 1)):
        x = np.random.default_rng(65).standard_normal(shape)
        yield Case("global_average", f"{shape}", (x,), mf.global_average, reference.global_average)


def batch_norm_cases():
    rng = np.random.default_rng(66)

    def case(options, x, b, relu=False):
        return Case(
            "batch_norm",
            options,
            (x, b),
            lambda x, b: mf.batch_norm(x, b, relu)[0],
            lambda x, b: reference.batch_norm(x, b, relu),
            linear=False,
        )

    for N, H, W, K in ((2, 3, 5, 4), (1, 7, 2, 2), (3, 1, 2, 17)):
        x = rng.standard_normal((N, H, W, K)) * rng.uniform(0.5, 3, K) + rng.uniform(-4, 4, K)
        yield case(f"{N, H, W, K}", x, rng.standard_normal(K))
        yield case(f"{N, H, W, K}, ReLU", x, rng.standard_normal(K), relu=True)
    yield case("two blocks of rows", rng.standard_normal((1, 3, 2, 1 << 14)), rng.standard_normal(1 << 14))


def relu_cases():
    rng = np.random.default_rng(70)

    def case(options, x, smooth=True):
        return Case("relu", options, (x,), mf.relu, reference.relu, False, reference.relu_gradient, smooth)

    yield case("4-d", distinct(rng, 2, 3, 5, 3))
    yield case("1-d", distinct(rng, 7))
    yield case("zeros", np.array([[-1.0, 0.0, 2.0], [0.0, -0.0, -3.0]]), smooth=False)
    yield case("NaN", np.array([np.nan, -1.0, 0.5, np.inf, -np.inf]), smooth=False)


def dropout_cases():
    for p, shape in ((0.5, (2, 3, 5, 4)), (0.2, (3, 7)), (0.9, (40,))):
        draws = np.random.default_rng(80).random(shape, dtype=np.float32)
        yield Case(
            "dropout",
            f"p={p}",
            (np.random.default_rng(81).standard_normal(shape),),
            lambda x, p=p: mf.dropout(x, p, np.random.default_rng(80)),
            lambda x, p=p, draws=draws: reference.dropout(x, p, draws),
        )


def arithmetic_cases():
    rng = np.random.default_rng(90)
    a, b = rng.standard_normal((2, 3, 5, 2)), rng.standard_normal((2, 3, 5, 2))
    yield Case("add", "two inputs", (a, b), mf.add, lambda a, b: a + b)
    yield Case("add", "operator", (a, b), lambda a, b: a + b, lambda a, b: a + b)
    yield Case("add", "the same twice", (a,), lambda a: a + a, lambda a: 2 * a)
    yield Case("multiply", "two inputs", (a, b), multiply, lambda a, b: a * b)
    yield Case("multiply", "the same twice", (a,), lambda a: a * a, lambda a: a**2, linear=False)
    for x in (a, a[0, 0, 0]):
        yield Case("sum", f"{x.shape}", (x,), lambda x: x.sum(), lambda x: np.array(sum(x.ravel())))
    for scalar in (-2.5, 0.01, 3, np.float64(0.7), np.float32(0.5)):
        yield Case("scale", repr(scalar), (a,), lambda x, s=scalar: mf.scale(x, s), lambda x, s=scalar: float(s) * x)
    yield Case("scale", "operators", (a,), lambda x: np.float64(3) * (x * 0.5), lambda x: 1.5 * x)


def softmax_cross_entropy_cases():
    rng = np.random.default_rng(100)

    def case(options, scores, labels, smooth=True, **rule):
        return Case(
            "softmax_cross_entropy",
            options,
            (scores,),
            lambda s: mf.softmax_cross_entropy(s, labels, **rule),
            lambda s: reference.softmax_cross_entropy(s, labels, **rule),
            linear=False,
            gradient=lambda s, dy: reference.softmax_cross_entropy_gradient(s, dy, labels, **rule),
            smooth=smooth,
        )

    scores = rng.standard_normal((2, 3, 5, 4))
    labels = rng.integers(0, 4, (2, 3, 5))
    holes = np.where(rng.random(labels.shape) < 0.3, 255, labels)
    weight = np.array([0.5, 2.0, 0.0, 1.25])
    yield case("mean", scores, labels)
    yield case("sum", scores, labels, reduction="sum")
    yield case("mean, ignored", scores, holes.astype(np.uint8))
    yield case("sum, ignored", scores, holes, reduction="sum")
    yield case("mean, weighted, ignored", scores, holes, class_weight=weight)
    yield case("sum, weighted, ignored", scores, holes, class_weight=weight, reduction="sum")
    yield case("ignore -1", scores, np.where(holes == 255, -1, holes).astype(np.int8), ignore_label=-1)
    yield case("ignore class 2", scores, labels, ignore_label=2)
    yield case("one class", rng.standard_normal((1, 2, 3, 1)), np.zeros((1, 2, 3), np.int32))
    yield case("nothing labelled", scores, np.full(labels.shape, 255))
    yield case("labelled weight 0", scores, np.full(labels.shape, 2), class_weight=weight)
    yield case("scores +-1e4", 1e4 * np.sign(scores), holes, smooth=False)
    yield case("one pixel", scores[:1, :1, :1], labels[:1, :1, :1])
    for odd in (np.nan, np.inf, -np.inf):
        spoilt = scores.copy()
        spoilt[holes == 255, 1] = odd
        yield case(f"{odd} where ignored", spoilt, holes, smooth=False)
    spoilt = np.where(holes[..., None] == 255, -np.inf, scores)
    yield case("all -inf where ignored", spoilt, holes, smooth=False)


MAKERS = (
    conv2d_cases,
    conv_transpose2d_cases,
    bilinear_upsample_cases,
    max_pool2d_cases,
    crop_cases,
    global_average_cases,
    batch_norm_cases,
    relu_cases,
    dropout_cases,
    arithmetic_cases,
    softmax_cross_entropy_cases,
)


def cases(op) -> list[Case]:
    return [case for maker in MAKERS for case in maker() if case.op == op]
