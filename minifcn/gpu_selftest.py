"""What the owner of a GPU runs once: python -m minifcn.gpu_selftest

Reports device and driver; compares every layer, and what no layer calls, with the CPU's, whole and in small pieces;
checks every gradient on the device against finite differences; trains ten steps on both. The exit status is 1 if a
check fails, and 3 where there is no GPU. With --emulate all of it runs in the CPU emulator of tests/cuda, slowly (from
a source checkout).
"""

import argparse
from collections.abc import Callable, Iterator
from functools import partial
from itertools import product
from unittest.mock import patch

import numpy as np

from . import cases, cpu, device, gpu, models, ops, optim
from .command import command_line, from_checkout
from .gpu import conv, cuda
from .randomness import counted_rng

TOLERANCE = {"float32": 1e-5, "float64": 1e-12}  # relative error of a kernel's result against the CPU's
TRAINING = {"float32": 1e-4, "float64": 1e-9}  # of the losses, in float64 of each weight's change too
STEPS = 10
launched: list[str] = []  # the last launch


def main(argv=None) -> int:
    parser = argparse.ArgumentParser(prog="python -m minifcn.gpu_selftest", description="Check the GPU path.")
    parser.add_argument("--device", default="gpu", metavar="GPU", help="gpu or gpu:1 (default: gpu)")
    parser.add_argument("--emulate", action="store_true", help="check in the CPU emulator instead")
    args = parser.parse_args(argv)
    if args.device == "cpu":
        parser.error("--device: expected gpu or gpu:N, received cpu")
    try:
        emulate() if args.emulate else device.start(args.device)
    except gpu.NoGPU as error:
        print(f"no GPU to test: {error}")
        return 3  # where 2 is a device that is not there, and 1 one that computes wrongly
    print(gpu.describe())
    sections = {
        "relative error of the GPU's results against the CPU's": comparisons(),
        "worst error of each gradient against finite differences": cases.gradient_checks(args.device, 0, args.emulate),
        f"{STEPS} training steps, FCN-16s vgg_quarter": training(args.device),
    }
    with patch.object(cuda, "launch", launch_and_wait):
        failures = sum(cases.run(title, checks, launched) for title, checks in sections.items())
    print(f"\n{f'{failures} CHECKS FAILED' if failures else 'ALL CHECKS PASSED'}")
    if not args.emulate:
        print("how fast it is: python -m experiments.speed.gpu, in a source checkout")
    return 1 if failures else 0


def emulate() -> None:
    """Let gpu/ run through the emulator. Raises InputError outside a source checkout, and without CuPy or g++."""
    cuda.use(from_checkout("tests/cuda", "standin").CuPy())


def launch_and_wait(name: str, grid: tuple, block: tuple, args: tuple, launch=cuda.launch) -> None:
    """Launch a kernel and wait for it, so that a fault is raised where it belongs; keep in words what was launched."""
    parameters = zip(cuda.kernels()[name].parameters, args, strict=False)
    sizes = (f"{p.name} {f'{a.shape} {a.dtype}' if hasattr(a, 'shape') else a}" for p, a in parameters)
    launched[:] = [f"{name}, grid {grid}, block {block}: {', '.join(sizes)}"]
    launch(name, grid, block, args)
    cuda.xp.cuda.Device().synchronize()


# --- results against the CPU's ---


def comparisons(dtypes=("float32", "float64")) -> Iterator[cases.Check]:
    """Every layer, forward and backward, and what no layer calls."""
    results = [(f"{case.op} {case.options}", partial(layer, case)) for case in cases.layer_cases(0)]
    results += [(f"sgd_update, sum_of_squares {n}", partial(sgd, n)) for n in (1, 1023, 4096)]
    results += [(f"argmax, loss, counts {P}, {L}", partial(scores, P, L)) for P, L in ((1, 2), (1000, 21), (333, 100))]
    for dtype, (what, function) in product(dtypes, results):
        yield f"{what}, {dtype}", partial(compare, partial(function, dtype), TOLERANCE[dtype])
        yield f"{what}, {dtype}, in pieces", partial(compare_in_pieces, partial(function, dtype), TOLERANCE[dtype])


def compare(results: Callable, limit: float) -> str:
    """Return the largest relative error of results(gpu), a list of arrays, against results(cpu).

    Raises AssertionError where it is above the limit, or NaN.
    """
    worst = np.max([difference(device.asnumpy(a), b) for a, b in zip(results(gpu), results(cpu), strict=True)])
    if not worst <= limit:
        raise AssertionError(f"relative error {worst:.1e}, expected at most {limit:.0e}")
    return f"{worst:.1e}"


@patch.multiple(conv, WORKSPACE=200, LARGE=1)
@patch.multiple(cuda, THREADS=32, BLOCKS=2)
def compare_in_pieces(results: Callable, limit: float) -> str:
    """The same, as if all were large: many strips, dw row by row, several turns of every loop of every kernel."""
    return compare(results, limit)


def difference(a: np.ndarray, b: np.ndarray) -> float:
    """||a - b|| / ||b||; infinity where shapes or dtypes differ."""
    if (a.shape, a.dtype) != (b.shape, b.dtype):
        return np.inf
    a, b = a.astype(float), b.astype(float)
    return np.linalg.norm(a - b) / max(np.linalg.norm(b), 1e-300)


def layer(case: cases.Case, dtype: str, loops) -> list:
    leaves = case.leaves(loops, dtype)
    y = case.function(*leaves)
    dy = 1 + counted_rng(1).standard_normal(y.shape)  # their sum is not near 0: it would be all rounding
    y.backward(dy.astype(dtype))
    return [y.data, *(leaf.grad for leaf in leaves)]


def sgd(n: int, dtype: str, loops) -> list:
    w, dw, v = (loops.asarray(a) for a in counted_rng(2).standard_normal((3, n)).astype(dtype))
    loops.sgd_update(w, dw, v, 0.1, 0.9, 5e-4)
    return [w, v, loops.asarray(loops.sum_of_squares(w))]


def scores(P: int, L: int, dtype: str, loops) -> list:
    """Of P pixels, L classes: some scores so large that exp of them is infinite, unless the largest is subtracted."""
    rng = counted_rng(3)
    x, labels = rng.choice((1, 1000), (P, 1)) * rng.standard_normal((P, L)), rng.integers(0, L, P)
    labels[: P // 5] = 255  # the first, as the last are what a wrong step leaves out
    x = loops.asarray(x.astype(dtype))
    classes = loops.argmax(x.reshape(1, 1, P, L))
    counts = loops.confusion_counts(labels, classes.reshape(P), L, 255)
    return [classes, *map(loops.asarray, (counts, *loops.cross_entropy(x, labels, None, 255)))]


# --- training ---


def training(where: str) -> Iterator[cases.Check]:
    """Training on both devices, in float32 and float64."""
    for dtype in TRAINING:
        yield dtype, partial(compare, partial(trained, where, dtype), TRAINING[dtype])


def trained(where: str, dtype: str, loops) -> list:
    """Train on random rectangles, print and return the losses; in float64 also by how much each weight has changed.

    In float32 a rounding error now and then changes a ReLU's sign or a pool's winner, and the small gradients of biases
    jump with it.
    """
    model = models.fcn16s(4, trunk="vgg_quarter", pad="same", dtype=np.dtype(dtype))
    before = {name: p.data.copy() for name, p in model.parameters().items() if p.requires_grad}
    model.to("cpu" if loops is cpu else where).train()
    optimiser = optim.SGD(model.parameters(), 0.02, bias_lr=2.0, bias_decay=False)
    if dtype == "float64":
        optimiser.step_during_backward()  # the gradient of fc6 is then handed out in parts
    rng, losses = np.random.default_rng(0), []
    for step in range(STEPS):
        labels = np.kron(rng.integers(0, 4, (2, 3, 4)), np.ones((16, 16), int))  # (2, 48, 64)
        x = np.eye(4)[labels][..., :3] + rng.standard_normal((*labels.shape, 3)) / 3
        model.start_step(step)
        optimiser.zero_grad()
        loss = ops.softmax_cross_entropy(model(x.astype(dtype)), labels)
        loss.backward()
        optimiser.step()
        losses.append(loss.data)
    print(f"losses on the {'CPU' if loops is cpu else 'GPU'}: {' '.join(f'{float(loss):.6f}' for loss in losses)}")
    changes = [device.asnumpy(p.data) - before[name] for name, p in model.parameters().items() if name in before]
    return losses + changes if dtype == "float64" else losses


if __name__ == "__main__":
    command_line(main)
