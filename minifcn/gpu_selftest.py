"""What the owner of a GPU runs once: python -m minifcn.gpu_selftest

Reports device and driver; compares every kernel with the CPU's loops; checks every gradient on the device against
finite differences; trains ten steps on both; then times the kernels against a plain copy, and a training step against
PyTorch's, where that is installed. The exit status is 1 if a check fails, and 3 where there is no GPU. With --emulate
everything but the timings runs in the CPU emulator of tests/cuda, slowly (from a source checkout).
"""

import argparse
import sys
import time
from collections.abc import Callable, Iterator
from importlib.util import find_spec
from pathlib import Path
from shutil import which

import numpy as np

from . import check_gradients, cpu, device, gpu, models
from .command import command_line
from .errors import InputError
from .gpu import comparisons, timings
from .ops import softmax_cross_entropy
from .optim import SGD

NO_GPU = 3  # exit status, where 2 is a device that is not there and 1 one that computes wrongly
TOLERANCE = {"float32": 1e-5, "float64": 1e-12}  # relative error of a kernel's result against the CPU's
STEPS = 10
TRAINING = {"float32": 1e-4, "float64": 1e-9}  # relative error of their losses, in float64 of each weight's change too
SOURCE = Path(__file__).resolve().parent.parent  # of a checkout


def main(argv=None) -> int:
    parser = argparse.ArgumentParser(prog="python -m minifcn.gpu_selftest", description="Check and time the GPU path.")
    parser.add_argument("--device", default="gpu", metavar="GPU", help="gpu or gpu:1 (default: gpu)")
    parser.add_argument("--emulate", action="store_true", help="check in the CPU emulator instead, without timings")
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
    failures = check_kernels()
    print("\ngradients on the device against finite differences, float64")
    cases = [*check_gradients.layer_cases(0), *check_gradients.network_cases(0, args.device, small=args.emulate)]
    failures += check_gradients.run(cases, gpu)
    failures += check_training(args.device)
    print(f"\n{'ALL CHECKS PASSED' if failures == 0 else f'{failures} CHECKS FAILED'}")
    if not args.emulate:
        report_timings(args.device)
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


def check_kernels() -> int:
    """Compare every function of gpu/ with cpu/'s, print a line for each; return how many differ."""
    failures = 0
    print(f"\n{'function':<20} {'dtype':<8} {'relative error':>14}")
    for dtype in (np.float32, np.float64):
        for name, function in comparisons.cases(dtype):
            pairs = zip(function(gpu), function(cpu), strict=True)
            error = float(np.max([difference(device.asnumpy(a), b) for a, b in pairs]))  # NaN, if one is
            passed = error <= TOLERANCE[np.dtype(dtype).name]
            failures += not passed
            print(f"{name:<20} {np.dtype(dtype).name:<8} {error:>14.1e}{'' if passed else '  FAILED'}")
    return failures


def difference(a: np.ndarray, b: np.ndarray) -> float:
    """||a - b|| / ||b||; infinity where integers, shapes or dtypes differ."""
    if (a.shape, a.dtype) != (b.shape, b.dtype) or (b.dtype.kind in "iu" and not np.array_equal(a, b)):
        return np.inf
    return float(np.linalg.norm((a.astype(float) - b).ravel()) / max(np.linalg.norm(b.astype(float).ravel()), 1e-300))


def trained(where: str, dtype) -> tuple[list[float], dict[str, np.ndarray]]:
    """Train FCN-16s, vgg_quarter, on random rectangles; return the losses, and by how much each weight has changed."""
    model = models.fcn16s(4, trunk="vgg_quarter", pad="same", dtype=dtype)
    before = {name: p.data.copy() for name, p in model.parameters().items() if p.requires_grad}
    optimiser = SGD(model.to(where).train().parameters(), 0.02, bias_lr=2.0, bias_decay=False)
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


def check_training(where: str) -> int:
    """Train on both devices, in float32 and float64; return in how many of the two they differ.

    The changes of the weights are compared in float64 only: in float32 a rounding error now and then turns a ReLU or a
    pool's winner over, and the small gradients of biases jump with it.
    """
    failures = 0
    for dtype in (np.float32, np.float64):
        name = np.dtype(dtype).name
        print(f"\n{STEPS} training steps, FCN-16s vgg_quarter {name}")
        print(f"{'step':>4} {'CPU':>10} {'GPU':>10} {'relative error':>15}")
        (ours, expected), (theirs, changes) = trained("cpu", dtype), trained(where, dtype)
        errors = [abs(b - a) / a for a, b in zip(ours, theirs, strict=True)]
        for step, (a, b, error) in enumerate(zip(ours, theirs, errors, strict=True)):
            print(f"{step:>4} {a:>10.6f} {b:>10.6f} {error:>15.1e}")
        if dtype is np.float64:
            errors += [difference(changes[layer], change) for layer, change in expected.items()]
            print(f"changes of the weights differ by at most {np.max(errors[STEPS:]):.1e}")
        passed = np.max(errors) <= TRAINING[name]  # not where one is NaN
        failures += not passed
        print("" if passed else f"FAILED: expected at most {TRAINING[name]:.0e}")
    return failures


# --- timings ---


def report_timings(where: str) -> None:
    """Print what there is to time. Whatever goes wrong here says nothing about the checks, so it is told and left."""
    for what, lines in (("bandwidth", timings.report), ("training step", lambda: time_training(where))):
        print(f"\n{what}")
        try:
            for line in lines():
                print(line)
        except Exception as error:  # out of memory, in cupy's or PyTorch's words, say
            print(f"not timed: {type(error).__name__}: {error}")
        gpu.cuda.xp.get_default_memory_pool().free_all_blocks()


def time_training(where: str) -> Iterator[str]:
    """Seconds of a training step of FCN-32s at full width, and of PyTorch's on the same GPU."""
    job = {"network": "fcn32s", "trunk": "vgg16", "pad": 100, "classes": 21, "dropout": 0.5, "N": 1, "H": 360, "W": 480}
    rng = np.random.default_rng(0)
    x = rng.standard_normal((job["N"], job["H"], job["W"], 3), dtype=np.float32)
    labels = rng.integers(0, job["classes"], x.shape[:3])
    yield "FCN-32s, VGG-16, pad 100, 1 x 360 x 480, float32, no TF32"
    ours = median_seconds(minifcn_step(job, x, labels, where))
    yield f"minifcn {ours:.4f} s"
    gpu.cuda.xp.get_default_memory_pool().free_all_blocks()  # PyTorch has a pool of its own
    theirs = median_seconds(torch_step(job, f"cuda:{gpu.cuda.number}"))
    yield f"PyTorch {theirs:.4f} s, ratio {theirs / ours:.2f}"


def median_seconds(step: Callable[[], float], steps: int = 20) -> float:
    """The median time of a step, which must end with a number on the host; after three to warm up."""
    seconds = []
    for _ in range(steps + 3):
        start = time.perf_counter()
        step()
        seconds.append(time.perf_counter() - start)
    return float(np.median(seconds[3:]))


def minifcn_step(job: dict, x, labels, where: str) -> Callable[[], float]:
    model = models.MODELS[job["network"]](job["classes"], job["trunk"], job["pad"], dropout=job["dropout"]).to(where)
    optimiser = SGD(model.train().parameters(), 1e-4, bias_lr=2.0, bias_decay=False)
    x = gpu.asarray(x)

    def step():
        optimiser.zero_grad()
        loss = softmax_cross_entropy(model(x), labels)
        loss.backward()
        optimiser.step()
        return float(loss.data)

    return step


def torch_step(job: dict, where: str) -> Callable[[], float]:
    """The tuned PyTorch twin of experiments/speed, without TF32, as here. Raises ImportError where there is none."""
    sys.path.insert(0, str(SOURCE / "experiments" / "speed"))
    import torch
    import with_torch

    torch.backends.cudnn.allow_tf32 = torch.backends.cuda.matmul.allow_tf32 = False
    step, _ = with_torch.train(job | {"style": "tuned"}, where)
    return lambda: float(step().detach().to(torch.device("cpu")))


if __name__ == "__main__":
    command_line(main)
