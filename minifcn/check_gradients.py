"""Check every gradient against central differences: python -m minifcn.check_gradients

Each layer over a grid of odd shapes and options, and each network (a very narrow one) with all its parameters, in
float64. Prints a table: what was checked, how many derivatives were compared, and the worst error. The exit status is 1
if any is above its tolerance: 1e-7 for what is linear in each input, 1e-6 for the rest (see minifcn/gradients.py).
"""

import argparse
from collections.abc import Callable, Iterator
from functools import partial
from itertools import product

import numpy as np
from tqdm import tqdm

from . import device, models, ops
from .autograd import Tensor
from .command import add_device_option, command_line
from .gradients import GradientError, check
from .models.classifier import VGGClassifier
from .randomness import counted_rng
from .training.options import check_ranges
from .training.settings import Settings

SIZES = [(1, 5, 4, 3), (2, 6, 7, 2), (3, 4, 9, 1)]  # N, H, W, C
TINY = models.Widths((3, 4, 3, 4, 3), 5)

Case = tuple[str, str, Callable, list[np.ndarray], bool]  # op, options, function, inputs, linear


def main(argv=None) -> int:
    parser = argparse.ArgumentParser(prog="python -m minifcn.check_gradients", description="Check all gradients.")
    parser.add_argument("--seed", type=int, default=0, help="of inputs and directions (default: 0)")
    add_device_option(parser)
    args = parser.parse_args(argv)
    check_ranges(vars(args), Settings)
    loops = device.start(args.device)
    return 1 if run([*layer_cases(args.seed), *network_cases(args.seed, args.device)], loops, args.seed) else 0


def run(cases: list[Case], loops, seed: int = 0) -> int:
    """Check every case on a device (loops: cpu or gpu), print a line for each; return how many failed."""
    failures = 0
    print(f"{'op':<22} {'options':<58} {'entries':>7} {'worst error':>12}")
    for op, options, function, inputs, linear in tqdm(cases, "gradients", leave=False, disable=None):
        leaves = [x if isinstance(x, Tensor) else Tensor(loops.asarray(x), requires_grad=True) for x in inputs]
        try:
            report = check(function, leaves, linear, seed=seed, name=op)
            line = f"{report.entries:>7} {report.worst:>12.1e}"
        except GradientError as error:
            failures += 1
            line = f"FAILED: {error}"
        tqdm.write(f"{op:<22} {options:<58} {line}")
    print(f"{len(cases) - failures} of {len(cases)} checks passed")
    return failures


def layer_cases(seed: int) -> Iterator[Case]:
    """Every layer with odd shapes and options."""
    rng = counted_rng(seed)
    yield from convolution_cases(rng)
    yield from pooling_and_upsampling_cases(rng)
    yield from elementwise_cases(rng)
    yield from loss_cases(rng)


def convolution_cases(rng) -> Iterator[Case]:
    kernels, strides, paddings = [(3, 3), (1, 1), (2, 4)], [(1, 1), (2, 1), (1, 3)], [(0, 0), (1, 2), (3, 3)]
    draw = rng.standard_normal
    for i, (kernel, stride, padding) in enumerate(product(kernels, strides, paddings)):
        N, H, W, C = SIZES[i % len(SIZES)]
        options = f"N,H,W,C {N, H, W, C}, kernel {kernel}, stride {stride}, padding {padding}"
        w = draw((*kernel, C, 3))
        function = partial(ops.conv2d, stride=stride, padding=padding)
        yield "conv2d", options, function, [draw((N, H, W, C)), w, draw(3)], True
        if all((H, W)[a] > 1 + (2 * padding[a] - kernel[a]) / stride[a] for a in (0, 1)):  # an output is left
            function = partial(ops.conv_transpose2d, stride=stride, padding=padding)
            yield "conv_transpose2d", options, function, [draw((N, H, W, 3)), w, draw(C)], True
    for (N, H, W, C), relu in product([(1, 13, 18, 33), (2, 9, 10, 40)], (False, True)):  # wide: the Winograd path
        options = f"N,H,W,C {N, H, W, C}, kernel (3, 3), padding 1, relu {relu}"
        function = partial(ops.conv2d, padding=1, relu=relu)
        yield "conv2d", options, function, [draw((N, H, W, C)), draw((3, 3, C, 36)), draw(36)], not relu


def pooling_and_upsampling_cases(rng) -> Iterator[Case]:
    options = [(2, 2, 0), (3, (1, 2), 1), ((2, 3), (2, 1), (1, 0))]
    for shape, (kernel, stride, padding), ceil_mode in product(SIZES, options, (False, True)):
        # all values differ by at least 0.1: no ties, and no step changes a winner
        x = rng.permutation(np.prod(shape)).reshape(shape) * 0.1
        told = f"N,H,W,C {shape}, kernel {kernel}, stride {stride}, padding {padding}, ceil {ceil_mode}"
        function = partial(ops.max_pool2d, kernel_size=kernel, stride=stride, padding=padding, ceil_mode=ceil_mode)
        yield "max_pool2d", told, function, [x], False
    for shape, stride in product(SIZES, (1, 2, 3, 8)):
        function = partial(ops.bilinear_upsample, stride=stride)
        yield "bilinear_upsample", f"N,H,W,C {shape}, stride {stride}", function, [rng.standard_normal(shape)], True
    for N, H, W, C in SIZES:
        function = partial(ops.crop, top=1, left=2, height=H - 2, width=W - 3)
        yield "crop", f"N,H,W,C {N, H, W, C}, top 1, left 2", function, [rng.standard_normal((N, H, W, C))], True
    for shape in SIZES:
        yield "global_average", f"N,H,W,C {shape}", ops.global_average, [rng.standard_normal(shape)], True


def batch_norm(x, b, relu):
    return ops.batch_norm(x, b, relu)[0]


def elementwise_cases(rng) -> Iterator[Case]:
    for shape in SIZES:
        a, b = rng.standard_normal((2, *shape))
        away_from_zero = a + np.sign(a)  # |x| > 1: no step reaches the kink
        yield "relu", f"shape {shape}", ops.relu, [away_from_zero], False
        yield "add", f"shape {shape}", ops.add, [a, b], True
        for relu in (False, True):
            bias = rng.uniform(-0.5, 0.5, shape[3:])
            function = partial(batch_norm, relu=relu)
            yield "batch_norm", f"shape {shape}, ReLU {relu}", function, [a, bias], False
        yield "add", f"shape {shape}, of a tensor to itself", lambda a: a + a, [a], True
        yield "multiply", f"shape {shape}", lambda a, b: a * b, [a, b], True
        yield "sum", f"shape {shape}", lambda x: x.sum(), [a], True
        yield "scale", f"shape {shape}, by -2.5", lambda x: x * -2.5, [a], True
        for p in (0.3, 0.5):
            yield "dropout", f"shape {shape}, p {p}", lambda x, p=p: ops.dropout(x, p, counted_rng(7)), [a], True


def loss_cases(rng) -> Iterator[Case]:
    for (N, H, W, C), weighted, reduction in product(SIZES, (False, True), ("mean", "sum")):
        L = C + 1
        labels = rng.integers(0, L, (N, H, W))
        labels[rng.random((N, H, W)) < 0.2] = 255
        weight = rng.uniform(0.5, 2, L) if weighted else None
        function = partial(ops.softmax_cross_entropy, labels=labels, class_weight=weight, reduction=reduction)
        options = f"N,H,W,L {N, H, W, L}, some void, weighted {weighted}, {reduction}"
        yield "softmax_cross_entropy", options, function, [3 * rng.standard_normal((N, H, W, L))], False


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
        yield name, options, lambda x, *_, model=model: model(x), inputs, False
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
    return VGGClassifier.name, f"N,H,W,C {shape}, batch-normalised", lambda x, *_: model(x), inputs, False


if __name__ == "__main__":
    command_line(main)
