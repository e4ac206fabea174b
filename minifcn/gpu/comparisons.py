"""Calls of every function of gpu/, on odd shapes, to compare their results with cpu/'s: what gpu_selftest runs."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import numpy as np

from ..sizes import conv_size
from . import conv

Case = tuple[str, Callable]  # what runs, and a function: cpu or gpu -> list of arrays

# N, H, W, C, K, kernel, stride, padding; and at most so many elements of im2col at a time on the GPU
CONVOLUTIONS = [
    (2, 19, 23, 5, 7, (3, 3), (1, 1), (1, 1), None),
    (1, 21, 18, 8, 33, (3, 2), (2, 1), (0, 2), None),
    (2, 9, 11, 64, 40, (7, 7), (1, 1), (0, 0), None),
    (3, 8, 9, 12, 6, (1, 1), (1, 1), (0, 0), None),
    (1, 12, 9, 300, 5, (3, 3), (1, 1), (1, 1), None),  # channels in several turns of a row of threads
    (2, 40, 30, 12, 20, (5, 5), (1, 1), (2, 2), 40_000),  # in many strips, gradient by kernel rows
    (2, 41, 30, 4, 20, (4, 3), (3, 2), (1, 2), 1000),
]
POOLS = [  # x, kernel, stride, padding, output size
    ((2, 13, 18, 21), (2, 2), (2, 2), (0, 0), (7, 9)),
    ((1, 9, 8, 300), (3, 3), (2, 2), (1, 1), (5, 4)),
    ((2, 17, 19, 21), (17, 17), (3, 2), (2, 1), (1, 3)),  # more taps than a byte can tell
]


def cases(dtype) -> Iterator[Case]:
    """Every function, in one dtype."""
    rng = np.random.default_rng(0)

    def draw(*shape):
        return rng.standard_normal(shape).astype(dtype)

    yield from convolution_cases(draw)
    yield from map_cases(draw)
    yield from elementwise_cases(draw)
    yield from class_cases(draw, rng)


@contextmanager
def small_work(elements: int | None):
    """Cut the GPU's convolutions as if they were large: strips of so many elements, gradients by kernel rows."""
    before = conv.WORKSPACE, conv.LARGE
    if elements is not None:
        conv.WORKSPACE, conv.LARGE = elements, 1
    try:
        yield
    finally:
        conv.WORKSPACE, conv.LARGE = before


def convolution_cases(draw) -> Iterator[Case]:
    for N, H, W, C, K, kernel, stride, padding, elements in CONVOLUTIONS:
        x, w, b, c = draw(N, H, W, C), draw(*kernel, C, K), draw(K), draw(C)
        dy = draw(N, *conv_size((H, W), kernel, stride, padding), K)

        def convolution(d, host=(x, w, b, c, dy), how=(stride, padding), elements=elements):
            x, w, b, c, dy = map(d.asarray, host)
            slabs = d.asarray(np.zeros(w.shape, w.dtype))
            with small_work(elements):
                d.conv_weight_grad(x, dy, w.shape, *how, emit=slabs.__setitem__)
                return [
                    d.conv_forward(x, w, b, *how, relu=True),
                    d.conv_input_grad(dy, w, x.shape, *how, c),
                    d.conv_weight_grad(x, dy, w.shape, *how),
                    slabs,
                    d.bias_grad(dy),
                ]

        yield f"convolution {kernel[0]}x{kernel[1]}", convolution


def map_cases(draw) -> Iterator[Case]:
    for shape, kernel, stride, padding, size in POOLS:
        x, dy = draw(*shape), draw(shape[0], *size, shape[3])

        def pool(d, x=x, dy=dy, rule=(kernel, stride, padding), size=size):
            y, winner = d.pool_forward(d.asarray(x), *rule, size)
            return [y, winner, d.pool_backward(d.asarray(dy), winner, x.shape, *rule)]

        yield f"pool {kernel[0]}x{kernel[1]}", pool
    x = draw(2, 5, 4, 21)
    for stride in (2, 3, 32):
        dy = draw(2, 6 * stride, 5 * stride, 21)

        def upsample(d, dy=dy, stride=stride):
            return [d.upsample_forward(d.asarray(x), stride), d.upsample_backward(d.asarray(dy), stride)]

        yield f"upsample x{stride}", upsample


def elementwise_cases(draw) -> Iterator[Case]:
    for n in (1, 1023, 4096):
        w, dw, v = draw(n), draw(n), draw(n)

        def sgd(d, arrays=(w, dw, v)):
            w, dw, v = (d.asarray(a.copy()) for a in arrays)
            d.sgd_update(w, dw, v, 0.1, 0.9, 5e-4)
            return [w, v]

        yield "relu_forward", lambda d, x=w: [d.relu_forward(d.asarray(x))]
        yield "relu_backward", lambda d, a=(w, v): [d.relu_backward(*(d.asarray(x.copy()) for x in a))]
        yield "sgd_update", sgd
        yield "sum_of_squares", lambda d, x=w: [d.asarray(np.array(float(d.sum_of_squares(d.asarray(x)))))]


def class_cases(draw, rng) -> Iterator[Case]:
    for P, L in ((1, 2), (1000, 21), (333, 100)):
        scores, weight = 3 * draw(P, L), abs(draw(L))
        labels = rng.integers(0, L, P)
        labels[rng.random(P) < 0.2] = 255

        def entropy(d, a=(scores, labels, weight)):
            loss, total, dscores = d.cross_entropy(d.asarray(a[0]), a[1], a[2], 255)
            return [d.asarray(np.array([loss, total])), dscores]

        def counts(d, scores=scores, labels=labels, L=L):
            classes = d.argmax(d.asarray(scores.reshape(1, 1, *scores.shape)))
            return [classes, d.asarray(d.confusion_counts(labels.reshape(classes.shape), classes, L, 255))]

        yield "cross_entropy", entropy
        yield "argmax, confusion", counts
