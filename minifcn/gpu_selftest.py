"""What the owner of a GPU runs once: python -m minifcn.gpu_selftest

Reports device and driver; compares every layer and every function of gpu/ with the CPU's; checks every gradient on the
device against finite differences; trains ten steps on both. The exit status is 1 if a check fails, and 3 where there is
no GPU. With --emulate all of it runs in the CPU emulator of tests/cuda, slowly (from a source checkout).
"""

import argparse
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from importlib.util import find_spec
from itertools import chain
from pathlib import Path
from shutil import which

import numpy as np

from . import cases, cpu, device, gpu, models
from .command import command_line
from .errors import InputError
from .gpu import conv
from .gpu.signatures import kernels
from .gradients import gradcheck
from .ops import softmax_cross_entropy
from .optim import SGD
from .randomness import counted_rng

NO_GPU = 3  # exit status, where 2 is a device that is not there and 1 one that computes wrongly
TOLERANCE = {"float32": 1e-5, "float64": 1e-12}  # relative error of a kernel's result against the CPU's
STEPS = 10
TRAINING = {"float32": 1e-4, "float64": 1e-9}  # relative error of their losses, in float64 of each weight's change too
SOURCE = Path(__file__).resolve().parent.parent  # of a checkout
Check = tuple[str, Callable[[], str]]  # what is checked; a function that returns its result, or raises


def main(argv=None) -> int:
    parser = argparse.ArgumentParser(prog="python -m minifcn.gpu_selftest", description="Check the GPU path.")
    parser.add_argument("--device", default="gpu", metavar="GPU", help="gpu or gpu:1 (default: gpu)")
    parser.add_argument("--emulate", action="store_true", help="check in the CPU emulator instead")
    args = parser.parse_args(argv)
    if args.device == "cpu":
        parser.error("--device: expected gpu or gpu:N, received cpu")
    if args.emulate:
        emulate()
    else:
        try:
            device.start(args.device)
        except gpu.NoGPU as error:
            print(f"no GPU to test: {error}")
            return NO_GPU
    print(gpu.describe())
    print("\nrelative error of the GPU's results against the CPU's")
    failures = run(comparisons())
    print("\nworst error of gradients on the device against finite differences, float64")
    failures += run(gradients(args.device, small=args.emulate))
    failures += run(training(args.device))
    print(f"\n{'ALL CHECKS PASSED' if failures == 0 else f'{failures} CHECKS FAILED'}")
    if not args.emulate:
        print("how fast it is: python -m experiments.speed.gpu, in a source checkout")
    return 1 if failures else 0


def emulate() -> None:
    """Let gpu/ run through the emulator. Raises InputError outside a source checkout, and without CuPy or g++."""
    folder = SOURCE / "tests" / "cuda"
    if not folder.is_dir():
        raise InputError(f"--emulate: no emulator at {folder}; it is part of a source checkout, not of the package")
    if find_spec("cupy") is None or which("g++") is None:
        raise InputError("--emulate: needs g++, and CuPy for its names: pip install -e '.[emulator]'")
    sys.path.insert(0, str(folder))
    import standin

    gpu.cuda.use(standin.CuPy())


# --- running a check ---


def run(checks: Iterator[Check]) -> int:
    """Run checks, print a line for each; return how many failed.

    A check fails by an AssertionError, or by whatever a faulty kernel makes the emulator or CUDA raise; the last launch
    is then printed too. Where that has left the device unusable, as an access out of bounds does, no more are run.
    """
    failures = 0
    for what, function in checks:
        with watched_launches() as launched:
            try:
                print(f"{what:<92} {function()}")
                continue
            except Exception as error:
                failures += 1
                fault = "" if isinstance(error, AssertionError) else f"{type(error).__name__}: "
                print(f"{what:<92} FAILED: {fault}{' '.join(str(error).split())}")
                if fault:
                    print(f"    last launch: {launched[-1] if launched else 'none'}")
        try:
            gpu.cuda.xp.cuda.Device().synchronize()
        except Exception as error:
            print(f"    the device does not answer any more ({' '.join(str(error).split())}): the rest is left out")
            break
    return failures


@contextmanager
def watched_launches():
    """Wait for every kernel, so that a fault is raised where it was launched; give the list of launches, in words."""
    launched, launch = [], gpu.cuda.launch

    def launch_and_wait(name, grid, block, args):
        parameters = zip(kernels()[name].parameters, args, strict=False)
        sizes = (f"{p.name} {f'{a.shape} {a.dtype}' if hasattr(a, 'shape') else a}" for p, a in parameters)
        launched.append(f"{name}, grid {grid}, block {block}: {', '.join(sizes)}")
        launch(name, grid, block, args)
        gpu.cuda.xp.cuda.Device().synchronize()

    gpu.cuda.launch = launch_and_wait
    try:
        yield launched
    finally:
        gpu.cuda.launch = launch


# --- every function against the CPU's ---


def comparisons(dtypes=(np.float32, np.float64)) -> Iterator[Check]:
    """Every layer, forward and backward, convolutions also in many strips, and what no layer calls."""
    for dtype in dtypes:
        for case in cases.layer_cases(0, long=True):
            yield compared(f"{case.op} {case.options}", partial(layer, case, dtype), dtype)
            if case.op.startswith("conv"):
                yield compared(f"{case.op} {case.options}, in strips", partial(in_strips, case, dtype), dtype)
        for what, results in functions(dtype):
            yield compared(what, results, dtype)


def compared(what: str, results: Callable, dtype) -> Check:
    """The check that results(gpu), a list of arrays, are results(cpu)."""
    name = np.dtype(dtype).name

    def check():
        pairs = zip(results(gpu), results(cpu), strict=True)
        return at_most([difference(device.asnumpy(a), b) for a, b in pairs], TOLERANCE[name])

    return f"{what}, {name}", check


def at_most(errors: list[float], limit: float) -> str:
    """Return the largest error; AssertionError where it is above the limit, or one is NaN."""
    if not np.max(errors) <= limit:
        raise AssertionError(f"relative error {np.max(errors):.1e}, expected at most {limit:.0e}")
    return f"{np.max(errors):.1e}"


def difference(a: np.ndarray, b: np.ndarray) -> float:
    """||a - b|| / ||b||; infinity where integers, shapes or dtypes differ."""
    if (a.shape, a.dtype) != (b.shape, b.dtype) or (b.dtype.kind in "iu" and not np.array_equal(a, b)):
        return np.inf
    return float(np.linalg.norm((a.astype(float) - b).ravel()) / max(np.linalg.norm(b.astype(float).ravel()), 1e-300))


def layer(case: cases.Case, dtype, loops) -> list:
    leaves = case.leaves(loops, dtype)
    y = case.function(*leaves)
    dy = 1 + counted_rng(1).standard_normal(y.shape)  # their sum is not near 0: it would be all rounding
    y.backward(dy.astype(dtype))
    return [y.data, *(leaf.grad for leaf in leaves)]


def in_strips(case: cases.Case, dtype, loops) -> list:
    """On the GPU the work is cut as if it were large: few rows at a time, the gradient of w row by row."""
    before, (conv.WORKSPACE, conv.LARGE) = (conv.WORKSPACE, conv.LARGE), (200, 1)
    try:
        return layer(case, dtype, loops)
    finally:
        conv.WORKSPACE, conv.LARGE = before


def functions(dtype) -> Iterator[tuple[str, Callable]]:
    rng = counted_rng(2)
    for n in cases.FLAT:
        yield f"sgd_update, sum_of_squares {n}", partial(sgd, rng.standard_normal((3, n)).astype(dtype))
    for P, L in cases.CLASSES:
        scores = rng.standard_normal((1, 1, P, L)).astype(dtype)
        yield f"argmax {P} of {L}", lambda loops, x=scores: [loops.argmax(loops.asarray(x))]
    for P, L in cases.CLASSES + cases.LONG["counts"]:
        labels, predictions = rng.integers(0, L, (2, P))
        labels[: P // 5] = 255  # the first, as the last are what a wrong step leaves out
        yield f"confusion_counts {P} of {L}", partial(counts, labels, predictions.astype(np.uint8), L)


def sgd(host, loops) -> list:
    w, dw, v = (loops.asarray(a.copy()) for a in host)
    loops.sgd_update(w, dw, v, 0.1, 0.9, 5e-4)
    return [w, v, loops.asarray(np.array(float(loops.sum_of_squares(w))))]


def counts(labels, predictions, L, loops) -> list:
    return [loops.asarray(loops.confusion_counts(labels, loops.asarray(predictions), L, 255))]


# --- gradients and training ---


def gradients(where: str, small: bool) -> Iterator[Check]:
    for case in chain(cases.layer_cases(0), cases.network_cases(0, where, small)):
        yield f"{case.op} {case.options}", partial(worst_gradient, case)


def worst_gradient(case: cases.Case) -> str:
    return f"{gradcheck(case.function, case.leaves(gpu), case.linear, name=case.op):.1e}"


def trained(where: str, dtype) -> tuple[list[float], dict[str, np.ndarray]]:
    """Train FCN-16s, vgg_quarter, on random rectangles; return the losses, and by how much each weight has changed."""
    model = models.fcn16s(4, trunk="vgg_quarter", pad="same", dtype=dtype)
    before = {name: p.data.copy() for name, p in model.parameters().items() if p.requires_grad}
    optimiser = SGD(model.to(where).train().parameters(), 0.02, bias_lr=2.0, bias_decay=False)
    if dtype is np.float64:
        optimiser.step_during_backward()  # the gradient of fc6 is then handed out in parts
    rng, losses = np.random.default_rng(0), []
    for step in range(STEPS):
        labels = np.kron(rng.integers(0, 4, (2, 3, 4)), np.ones((16, 16), int))  # (2, 48, 64)
        x = np.eye(4)[labels][..., :3] + rng.standard_normal((*labels.shape, 3)) / 3
        model.start_step(step)
        optimiser.zero_grad()
        loss = softmax_cross_entropy(model(x.astype(dtype)), labels)
        loss.backward()
        optimiser.step()
        losses.append(float(loss.data))
    parameters = model.parameters()
    return losses, {name: device.asnumpy(parameters[name].data) - w for name, w in before.items()}


def training(where: str) -> Iterator[Check]:
    """Training on both devices, in float32 and float64.

    The changes of the weights are compared in float64 only: in float32 a rounding error now and then changes a ReLU's
    sign or a pool's winner, and the small gradients of biases jump with it.
    """
    for dtype in (np.float32, np.float64):
        yield f"{STEPS} training steps, FCN-16s vgg_quarter {np.dtype(dtype).name}", partial(train_both, where, dtype)


def train_both(where: str, dtype) -> str:
    print(f"\n{'step':>4} {'CPU':>10} {'GPU':>10} {'relative error':>15}")
    (ours, expected), (theirs, changes) = trained("cpu", dtype), trained(where, dtype)
    errors = [abs(b - a) / a for a, b in zip(ours, theirs, strict=True)]
    for step, (a, b, error) in enumerate(zip(ours, theirs, errors, strict=True)):
        print(f"{step:>4} {a:>10.6f} {b:>10.6f} {error:>15.1e}")
    if dtype is np.float64:
        errors += [difference(changes[layer], change) for layer, change in expected.items()]
    return at_most(errors, TRAINING[np.dtype(dtype).name])


if __name__ == "__main__":
    command_line(main)
