"""The odd shapes of every layer, in one list: what check_gradients, gpu_selftest and the tests run.

H != W, KH != KW, strides and paddings that differ, ragged tiles, sizes of one. LONG makes every loop of every kernel
take several turns, as channels, classes or pixels outnumber the threads of a block or grid; gradients would take too
long there, so that LONG serves to compare two devices only.
"""

from collections.abc import Callable, Iterator
from functools import partial
from itertools import product
from typing import NamedTuple

import numpy as np

from . import models, ops
from .autograd import Tensor
from .models.classifier import VGGClassifier
from .randomness import counted_rng
from .sizes import conv_size

CONVOLUTIONS = [  # x (N,H,W,C), w (KH,KW,C,K), stride, padding; for conv_transpose2d the same shapes the other way
    ((2, 5, 7, 3), (3, 2, 3, 4), (1, 1), (0, 0)),  # KH != KW
    ((2, 7, 8, 2), (3, 4, 2, 3), (2, 3), (1, 2)),  # strides and paddings differ; the last rows are not reached
    ((1, 4, 3, 2), (2, 3, 2, 2), (1, 1), (3, 4)),  # outputs that see nothing but padding
    ((2, 3, 5, 4), (1, 1, 4, 3), (1, 1), (0, 0)),  # a matrix product
    ((1, 5, 6, 3), (1, 1, 3, 2), (2, 2), (0, 0)),
    ((2, 7, 7, 2), (7, 7, 2, 3), (1, 1), (0, 0)),  # a fully connected layer
    ((1, 9, 10, 1), (2, 3, 1, 2), (4, 5), (0, 1)),  # stride larger than the kernel: gaps between patches
    ((3, 1, 1, 2), (3, 3, 2, 2), (1, 1), (1, 1)),  # only the kernel's middle meets the picture
    ((3, 5, 4, 2), (3, 1, 2, 3), (1, 1), (0, 0)),  # one column of taps
    ((3, 4, 5, 2), (1, 3, 2, 3), (1, 1), (0, 0)),  # one row of taps
    ((2, 5, 6, 3), (3, 3, 3, 3), (1, 1), (1, 1)),  # C = K: a transposed weight fits
    ((1, 4, 4, 2), (4, 4, 2, 3), (2, 2), (0, 0)),  # one pixel
    ((2, 6, 8, 8), (4, 4, 8, 3), (2, 2), (1, 0)),  # enlarging to twice the size; four channels at a time
    ((2, 6, 7, 2), (2, 4, 2, 3), (1, 3), (3, 1)),
    ((2, 9, 14, 16), (3, 3, 16, 24), (1, 1), (1, 1)),  # wide, ragged tiles: the Winograd path
    ((1, 21, 18, 32), (3, 3, 32, 17), (1, 1), (0, 0)),
    ((1, 13, 11, 16), (3, 3, 16, 16), (1, 1), (5, 2)),
    ((1, 13, 18, 33), (3, 3, 33, 36), (1, 1), (1, 1)),
]
POOLS = [  # x, kernel, stride, padding, whether sizes are rounded up
    ((2, 5, 7, 3), (2, 2), (2, 2), (0, 0), False),
    ((2, 5, 7, 3), (2, 2), (2, 2), (0, 0), True),
    ((1, 7, 6, 2), (3, 2), (1, 2), (1, 1), False),  # windows overlap
    ((2, 8, 9, 1), (2, 1), (3, 4), (0, 0), True),  # gaps between them
    ((1, 5, 4, 2), (3, 3), (4, 3), (1, 1), True),  # the last window would see padding alone
    ((1, 5, 6, 5), (3, 3), (2, 2), (1, 1), True),
    ((3, 4, 9, 1), (2, 3), (2, 1), (1, 0), False),
    ((1, 18, 17, 2), (16, 16), (1, 2), (4, 3), False),  # 256 taps: a byte just tells the last
]
UPSAMPLINGS = [
    ((2, 3, 2, 3), 2),
    ((1, 2, 3, 2), 3),
    ((1, 1, 1, 2), 4),
    ((2, 4, 3, 1), 1),
    ((1, 2, 3, 1), 8),
]  # x, stride
MAPS = [(1, 5, 4, 3), (2, 6, 7, 2), (3, 4, 9, 1)]  # N, H, W, C, for every other layer
CROPS = [(0, 0, 4, 4), (1, 2, 3, 1), (3, 0, 1, 4), (2, 3, 2, 1)]  # top, left, height, width
LONG = {
    "convolution": [
        ((1, 3, 4, 258), (2, 3, 258, 3), (1, 1), (1, 0)),  # more channels of dx, and numbers of cols, than threads
        ((1, 4, 3, 516), (3, 2, 516, 2), (1, 1), (0, 1)),  # in fours: KW C / 4 > 256
        ((1, 2, 3, 3), (1, 2, 3, 300), (1, 1), (0, 0)),  # more channels of y
    ],
    "pool": [((1, 5, 4, 300), (3, 2), (2, 1), (1, 0), False)],
    "upsampling": [((1, 2, 13, 21), 2), ((1, 2, 3, 21), 32)],  # W C > 256
    "map": [(1, 50, 165, 3), (1, 15, 20, 100)],  # P > 1024 blocks of 8 warps; more classes than lanes
    "counts": [(270_000, 3)],  # more than 1024 blocks of 256 threads
}
FLAT = [1, 1023, 4096]
CLASSES = [(1, 2), (1000, 21), (333, 100)]  # pixels, classes
TINY = models.Widths((3, 4, 3, 4, 3), 5)


class Case(NamedTuple):
    """A function of float64 inputs, `linear` in each or not: a layer, op(*inputs, **rule), or a network."""

    op: str
    options: str
    function: Callable
    inputs: list
    linear: bool
    rule: dict | None = None

    def leaves(self, loops, dtype=np.float64) -> list[Tensor]:
        """The inputs as Tensors on a device, cpu or gpu; a network's parameters are Tensors there already."""
        return [
            x if isinstance(x, Tensor) else Tensor(loops.asarray(x.astype(dtype)), requires_grad=True)
            for x in self.inputs
        ]


def layer(op: str, inputs: list[np.ndarray], linear: bool = True, **rule) -> Case:
    """The case of a function of ops; of an option that is an array, only the name is printed."""
    words = [name if isinstance(value, np.ndarray) else f"{name} {value}" for name, value in rule.items()]
    shapes = " ".join("x".join(map(str, x.shape)) for x in inputs)
    return Case(
        op, ", ".join([shapes, *words]), partial(FUNCTIONS.get(op) or getattr(ops, op), **rule), inputs, linear, rule
    )


FUNCTIONS = {  # of the ops that return more than a Tensor, or draw
    "batch_norm": lambda x, b, relu: ops.batch_norm(x, b, relu)[0],
    "dropout": lambda x, p: ops.dropout(x, p, counted_rng(7)),
}


def layer_cases(seed: int, long: bool = False) -> Iterator[Case]:
    """Every layer; with `long`, on the shapes of LONG too."""
    rng = counted_rng(seed)
    more = LONG if long else {name: [] for name in LONG}
    yield from convolution_cases(rng, CONVOLUTIONS + more["convolution"])
    yield from pooling_and_upsampling_cases(rng, POOLS + more["pool"], UPSAMPLINGS + more["upsampling"])
    yield from map_cases(rng)
    yield from elementwise_cases(rng, MAPS + [(n,) for n in ([7, *FLAT] if long else [7])])
    yield from loss_cases(rng, MAPS + more["map"])


def distinct(rng, shape) -> np.ndarray:
    """Values between -2 and 2, no two equal and none 0: no step of a check changes a pool's winner or a ReLU's sign."""
    n = int(np.prod(shape))
    return ((rng.permutation(n) - n // 2 + 0.25) * 4 / n).reshape(shape)


def convolution_cases(rng, rows) -> Iterator[Case]:
    draw = rng.standard_normal
    for i, (x, w, stride, padding) in enumerate(rows):
        y, rule = (x[0], *conv_size(x[1:3], w[:2], stride, padding), w[3]), dict(stride=stride, padding=padding)
        with_bias = i % 4 != 3
        yield layer("conv2d", [draw(x), draw(w), draw(w[3])][: 2 + with_bias], **rule)
        yield layer("conv_transpose2d", [draw(y), draw(w), draw(w[2])][: 2 + with_bias], **rule)
        if i % 5 == 0:
            yield layer("conv2d", [draw(x), draw(w), draw(w[3])], linear=False, **rule, relu=True)


def pooling_and_upsampling_cases(rng, pools, upsamplings) -> Iterator[Case]:
    for shape, kernel, stride, padding, ceil_mode in pools:
        rule = dict(kernel_size=kernel, stride=stride, padding=padding, ceil_mode=ceil_mode)
        yield layer("max_pool2d", [distinct(rng, shape)], linear=False, **rule)
    for shape, stride in upsamplings:
        yield layer("bilinear_upsample", [rng.standard_normal(shape)], stride=stride)


def map_cases(rng) -> Iterator[Case]:
    for top, left, height, width in CROPS:
        x = rng.standard_normal(MAPS[0])
        yield layer("crop", [x], top=top, left=left, height=height, width=width)
    for shape in MAPS:
        yield layer("global_average", [rng.standard_normal(shape)])
        for relu in (False, True):
            x, b = rng.standard_normal(shape), rng.uniform(-0.5, 0.5, shape[3:])
            yield layer("batch_norm", [x, b], linear=False, relu=relu)


def elementwise_cases(rng, shapes) -> Iterator[Case]:
    for shape in shapes:
        a, b = rng.standard_normal((2, *shape))
        yield layer("relu", [distinct(rng, shape)], linear=False)
        yield layer("add", [a, b])
        yield Case("add", f"{'x'.join(map(str, shape))}, of a tensor to itself", lambda a: a + a, [a], True)
        yield layer("multiply", [a, b])
        yield Case("sum", "x".join(map(str, shape)), lambda x: x.sum(), [a], True)
        yield layer("scale", [a], scalar=-2.5)
        for p in (0.3, 0.5):
            yield layer("dropout", [a], p=p)


def loss_cases(rng, shapes) -> Iterator[Case]:
    for (N, H, W, C), weighted, reduction in product(shapes, (False, True), ("mean", "sum")):
        L = C + 1
        labels, weight = rng.integers(0, L, (N, H, W)), {"class_weight": rng.uniform(0.5, 2, L)} if weighted else {}
        labels[rng.random((N, H, W)) < 0.2] = 255
        scores = 3 * rng.standard_normal((N, H, W, L))
        if (N, H, W, C) not in MAPS:
            scores[:, :, ::2] *= 100  # exp of these is infinite, unless the largest is subtracted
        yield layer("softmax_cross_entropy", [scores], linear=False, labels=labels, **weight, reduction=reduction)


def network_cases(seed: int, where: str = "cpu", small: bool = False) -> Iterator[Case]:
    """The whole networks, on that device: scores as a function of the picture and of every parameter.

    small: one small picture and pad "same" only, for the emulator.

    Biases are negative, so that where a 100-pixel border gives the trunk nothing but zeros it answers with exact zeros,
    far from every ReLU's kink; equal positive values there would be ties in every pool.
    """
    variants = [((1, 9, 14, 3), 100, "learnt"), ((1, 45, 70, 3), "same", "learnt"), ((1, 45, 70, 3), "same", "fixed")]
    if small:
        variants = [((1, 9, 14, 3), "same", "learnt")]
    for (name, build), (shape, pad, upsampling) in product(models.MODELS.items(), variants):
        rng = counted_rng(seed, 1)
        model = build(3, TINY, pad, skip_scale=(0.5, 0.3), upsampling=upsampling, dtype=np.float64).eval()
        for parameter in model.parameters().values():  # nothing zero: a zero score layer would hide all below it
            fan_in = np.prod(parameter.shape[:-1])
            spread = rng.standard_normal(parameter.shape) * (4 / fan_in) ** 0.5
            parameter.data = spread if parameter.data.ndim == 4 else rng.uniform(-0.1, -0.02, parameter.shape)
            parameter.requires_grad = True
        inputs = [rng.standard_normal(shape), *model.to(where).parameters().values()]
        options = f"N,H,W,C {shape}, pad {pad}, upsampling {upsampling}"
        yield Case(name, options, lambda x, *_, model=model: model(x), inputs, False)
    if not small:
        yield classifier_case(seed, where)


def classifier_case(seed: int, where: str = "cpu") -> Case:
    """The classifier in training: every layer normalised over the batch."""
    rng, shape = counted_rng(seed, 2), (2, 33, 40, 3)
    model = VGGClassifier(3, TINY, np.float64, dropout=0.0)
    learnt = [p for p in model.parameters().values() if p.requires_grad]
    for parameter in learnt:  # nothing zero, as above
        parameter.data = rng.standard_normal(parameter.shape)
    model.to(where)
    inputs = [rng.standard_normal(shape), *learnt]
    return Case(VGGClassifier.name, f"N,H,W,C {shape}, batch-normalised", lambda x, *_: model(x), inputs, False)
