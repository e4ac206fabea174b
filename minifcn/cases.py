"""Every layer on odd shapes, and every network: what check_gradients, gpu_selftest and the tests check.

H != W, KH != KW, strides and paddings that differ, ragged tiles, sizes of one. Channels and classes also outnumber the
32 threads of a warp, so that every loop of every kernel takes several turns where blocks are that small.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from itertools import chain, product
from typing import NamedTuple

import numpy as np

from . import device, gradients, models, ops, sizes
from .autograd import Tensor
from .models.classifier import VGGClassifier
from .randomness import counted_rng

CONVOLUTIONS = [  # x (N,H,W,C), w (KH,KW,C,K), stride, padding; for conv_transpose2d the same shapes the other way
    ((2, 5, 7, 3), (3, 2, 3, 4), (1, 1), (0, 0)),  # KH != KW
    ((2, 7, 8, 2), (3, 4, 2, 3), (2, 3), (1, 2)),  # strides and paddings differ; the last rows are not reached
    ((1, 4, 3, 2), (2, 3, 2, 2), (1, 1), (3, 4)),  # outputs that see nothing but padding
    ((2, 3, 5, 4), (1, 1, 4, 3), (1, 1), (0, 0)),  # a matrix product
    ((1, 5, 6, 132), (1, 1, 132, 2), (2, 2), (0, 0)),  # KW C / 4 > 32: in fours too it takes several turns
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
    ((1, 13, 18, 33), (3, 3, 33, 36), (1, 1), (1, 1)),  # C, K > 32
]
POOLS = [  # x, kernel, stride, padding, whether sizes are rounded up
    ((2, 5, 7, 3), (2, 2), (2, 2), (0, 0), False),
    ((2, 5, 7, 3), (2, 2), (2, 2), (0, 0), True),
    ((1, 7, 6, 2), (3, 2), (1, 2), (1, 1), False),  # windows overlap
    ((2, 8, 9, 1), (2, 1), (3, 4), (0, 0), True),  # gaps between them
    ((1, 5, 4, 2), (3, 3), (4, 3), (1, 1), True),  # the last window would see padding alone
    ((1, 5, 6, 36), (3, 3), (2, 2), (1, 1), True),  # C > 32
    ((3, 4, 9, 1), (2, 3), (2, 1), (1, 0), False),
    ((1, 18, 17, 2), (16, 16), (1, 2), (4, 3), False),  # 256 taps: a byte just tells the last
]
# x, stride
UPSAMPLINGS = [((2, 3, 2, 3), 2), ((1, 2, 3, 2), 3), ((1, 1, 1, 2), 4), ((2, 4, 3, 1), 1), ((1, 2, 3, 12), 8)]
MAPS = [(1, 5, 4, 3), (2, 6, 7, 2), (3, 4, 9, 1)]  # N, H, W, C, for every other layer
CROPS = [(0, 0, 4, 4), (1, 2, 3, 1), (3, 0, 1, 4), (2, 3, 2, 1)]  # top, left, height, width
TINY = models.Widths((3, 4, 3, 4, 3), 5)
Check = tuple[str, Callable[[], str]]  # what is checked; a function that returns its result, or raises


class Case(NamedTuple):
    """A function of float64 inputs, `linear` in each or not: a layer, op(*inputs, **rule), or a network."""

    op: str
    options: str
    function: Callable
    inputs: list
    linear: bool

    def leaves(self, loops, dtype=np.float64) -> list[Tensor]:
        """The inputs as Tensors on a device, cpu or gpu; a network's parameters are Tensors there already."""
        return [x if isinstance(x, Tensor) else Tensor(loops.asarray(x.astype(dtype)), True) for x in self.inputs]


# --- layers ---

FUNCTIONS = {  # of the ops that do not simply return a Tensor
    "add": lambda a, b=None: ops.add(a, a if b is None else b),
    "sum": Tensor.sum,
    "batch_norm": lambda x, b, relu: ops.batch_norm(x, b, relu)[0],
    "dropout": lambda x, p: ops.dropout(x, p, counted_rng(7)),
}


def layer(op: str, inputs: list[np.ndarray], linear: bool = True, **rule) -> Case:
    """The case of a function of ops; of an option that is an array, only the name is printed."""
    words = [name if isinstance(value, np.ndarray) else f"{name} {value}" for name, value in rule.items()]
    options = ", ".join([" ".join("x".join(map(str, x.shape)) for x in inputs), *words])
    return Case(op, options, partial(FUNCTIONS.get(op) or getattr(ops, op), **rule), inputs, linear)


def distinct(rng, shape) -> np.ndarray:
    """Values between -2 and 2, no two equal and none 0: no step of a check changes a pool's winner or a ReLU's sign."""
    n = int(np.prod(shape))
    return ((rng.permutation(n) - n // 2 + 0.25) * 4 / n).reshape(shape)


def layer_cases(seed: int) -> Iterator[Case]:
    """Every layer: those that move over the map, then those of single pixels or numbers."""
    rng = counted_rng(seed)
    draw = rng.standard_normal
    for i, (x, w, stride, padding) in enumerate(CONVOLUTIONS):
        y, rule = (x[0], *sizes.conv_size(x[1:3], w[:2], stride, padding), w[3]), dict(stride=stride, padding=padding)
        given = 2 if i % 4 == 3 else 3  # without or with a bias
        yield layer("conv2d", [draw(x), draw(w), draw(w[3])][:given], **rule)
        yield layer("conv_transpose2d", [draw(y), draw(w), draw(w[2])][:given], **rule)
        if i % 5 == 0:
            yield layer("conv2d", [draw(x), draw(w), draw(w[3])], linear=False, **rule, relu=True)
    for x, kernel, stride, padding, ceil_mode in POOLS:
        rule = dict(kernel_size=kernel, stride=stride, padding=padding, ceil_mode=ceil_mode)
        yield layer("max_pool2d", [distinct(rng, x)], linear=False, **rule)
    for x, stride in UPSAMPLINGS:
        yield layer("bilinear_upsample", [draw(x)], stride=stride)
    for top, left, height, width in CROPS:
        yield layer("crop", [draw(MAPS[0])], top=top, left=left, height=height, width=width)
    for shape in MAPS:
        yield layer("global_average", [draw(shape)])
        for relu in (False, True):
            yield layer("batch_norm", [draw(shape), rng.uniform(-0.5, 0.5, shape[3:])], linear=False, relu=relu)
    for shape in [*MAPS, (7,)]:
        a, b = draw((2, *shape))
        yield layer("relu", [distinct(rng, shape)], linear=False)
        yield layer("add", [a, b])
        yield layer("add", [a])  # to itself
        yield layer("multiply", [a, b])
        yield layer("sum", [a])
        yield layer("scale", [a], scalar=-2.5)
        for p in (0.3, 0.5):
            yield layer("dropout", [a], p=p)
    for (*pixels, C), weighted, reduction in product(MAPS, (False, True), ("mean", "sum")):
        L, void = C + 1, rng.random(pixels) < 0.2
        rule = dict(labels=np.where(void, 255, rng.integers(0, L, pixels)), reduction=reduction)
        rule["class_weight"] = rng.uniform(0.5, 2, L) if weighted else None
        yield layer("softmax_cross_entropy", [3 * draw((*pixels, L))], linear=False, **rule)


# --- networks ---


def network_cases(seed: int, where: str = "cpu", small: bool = False) -> Iterator[Case]:
    """The whole networks, on that device: scores as a function of the picture and of every parameter.

    small: one small picture and pad "same" only, for the emulator.
    """
    variants = [((1, 9, 14, 3), 100, "learnt"), ((1, 45, 70, 3), "same", "learnt"), ((1, 45, 70, 3), "same", "fixed")]
    if small:
        variants = [((1, 9, 14, 3), "same", "learnt")]
    for build, (shape, pad, upsampling) in product(models.MODELS.values(), variants):
        model = build(3, TINY, pad, skip_scale=(0.5, 0.3), upsampling=upsampling, dtype=np.float64).eval()
        yield network(model, f"N,H,W,C {shape}, pad {pad}, upsampling {upsampling}", shape, seed, where)
    if not small:
        model, shape = VGGClassifier(3, TINY, np.float64, dropout=0.0), (2, 33, 40, 3)
        yield network(model, f"N,H,W,C {shape}, batch-normalised", shape, seed, where)


def network(model, options: str, shape: tuple, seed: int, where: str) -> Case:
    """The case of a network with random weights.

    Nothing is zero: a zero score layer would hide all below it. Biases are negative, so that where a 100-pixel border
    gives the trunk nothing but zeros it answers with exact zeros, far from every ReLU's kink; equal positive values
    there would be ties in every pool.
    """
    rng = counted_rng(seed, 1)
    learnt = [p for p in model.parameters().values() if p.requires_grad]
    for p in learnt:
        spread = rng.standard_normal(p.shape) * (4 / np.prod(p.shape[:-1])) ** 0.5
        p.data = spread if p.data.ndim == 4 else rng.uniform(-0.1, -0.02, p.shape)
    model.to(where)
    return Case(model.name, options, lambda x, *_: model(x), [rng.standard_normal(shape), *learnt], False)


# --- checks ---


def gradient_checks(where: str, seed: int = 0, small: bool = False) -> Iterator[Check]:
    """The check of every gradient against central differences, on the device of that name."""
    loops = device.start(where)
    both = chain(layer_cases(seed), network_cases(seed, where, small))
    return ((f"{case.op} {case.options}", partial(worst_gradient, case, loops, seed)) for case in both)


def worst_gradient(case: Case, loops, seed: int) -> str:
    worst, entries = gradients.check(case.function, case.leaves(loops), case.linear, seed=seed, name=case.op)
    return f"{worst:.1e} of {entries}"


def run(title: str, checks: Iterable[Check], launched: Sequence[str] = ()) -> int:
    """Run checks, print a line for each; return how many failed.

    A check fails by an AssertionError, or by a fault of the device or of what runs there: then the last of the launches
    is printed too. After an error of CUDA itself the device does not answer any more, and no more are run.
    """
    failures = 0
    print(f"\n{title}")
    for what, function in checks:
        try:
            print(f"{what:<92} {function()}")
        except Exception as error:
            failures += 1
            fault = "" if isinstance(error, AssertionError) else f"{type(error).__name__}: "
            print(f"{what:<92} FAILED: {fault}{' '.join(str(error).split())}")
            if fault and launched:
                print(f"    last launch: {launched[-1]}")
            if fault.startswith("CUDA"):
                print("    the device does not answer any more: the rest is left out")
                break
    return failures
