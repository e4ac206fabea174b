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
from pathlib import Path

import numpy as np

from . import check_gradients, cpu, device, gpu, models
from .errors import InputError, command_line
from .gpu import timings
from .ops import softmax_cross_entropy
from .optim import SGD

NO_GPU = 3  # exit status
TOLERANCE = {"float32": 1e-5, "float64": 1e-12}  # relative error of a kernel's result against the CPU's
TRAINING = 1e-3  # of the losses of ten steps in float32; the CPU's Winograd convolutions round more coarsely
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
        except InputError as error:
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
        print("\nachieved bandwidth")
        for line in timings.report():
            print(line)
        time_training(args.device)
    return 1 if failures else 0


def emulate() -> None:
    """Let gpu/ run through the emulator. Raises InputError outside a source checkout."""
    folder = SOURCE / "tests" / "cuda"
    if not folder.is_dir():
        raise InputError(f"--emulate: no emulator at {folder}; it is part of a source checkout, not of the package")
    sys.path.insert(0, str(folder))
    import standin

    gpu.cuda.use(standin.CuPy())


# --- kernels ---

Case = tuple[str, Callable]  # what runs, and a function: cpu or gpu -> list of arrays


def check_kernels() -> int:
    """Compare every function of gpu/ with cpu/'s, print a line for each; return how many differ."""
    failures = 0
    print(f"\n{'function':<20} {'dtype':<8} {'relative error':>14}")
    for dtype in (np.float32, np.float64):
        for name, function in kernel_cases(dtype):
            error = max(difference(device.asnumpy(a), b) for a, b in zip(function(gpu), function(cpu), strict=True))
            passed = error <= TOLERANCE[np.dtype(dtype).name]
            failures += not passed
            print(f"{name:<20} {np.dtype(dtype).name:<8} {error:>14.1e}{'' if passed else '  FAILED'}")
    return failures


def difference(a: np.ndarray, b: np.ndarray) -> float:
    """||a - b|| / ||b||; infinity where integers or shapes differ."""
    if a.shape != b.shape or (b.dtype.kind in "iu" and not np.array_equal(a, b)):
        return np.inf
    return float(np.linalg.norm((a.astype(float) - b).ravel()) / max(np.linalg.norm(b.astype(float).ravel()), 1e-300))


def kernel_cases(dtype) -> Iterator[Case]:
    """Every function of gpu/, on odd shapes."""
    rng = np.random.default_rng(0)

    def draw(*shape):
        return rng.standard_normal(shape).astype(dtype)

    yield from convolution_cases(draw)
    yield from map_cases(draw)
    yield from elementwise_cases(draw)
    yield from class_cases(draw, rng)


def convolution_cases(draw) -> Iterator[Case]:
    for N, H, W, C, K, kernel, stride, padding in (
        (2, 19, 23, 5, 7, (3, 3), (1, 1), (1, 1)),
        (1, 21, 18, 8, 33, (3, 2), (2, 1), (0, 2)),
        (2, 9, 11, 64, 40, (7, 7), (1, 1), (0, 0)),
        (3, 8, 9, 12, 6, (1, 1), (1, 1), (0, 0)),
    ):
        x, w, b, c = draw(N, H, W, C), draw(*kernel, C, K), draw(K), draw(C)
        dy = draw(*cpu.conv_forward(x, w, b, stride, padding).shape)
        same = stride, padding
        yield "conv_forward", lambda d, a=(x, w, b), s=same: [d.conv_forward(*map(d.asarray, a), *s, relu=True)]
        yield (
            "conv_input_grad",
            lambda d, a=(dy, w), x=x, c=c, s=same: [d.conv_input_grad(*map(d.asarray, a), x.shape, *s, d.asarray(c))],
        )
        yield (
            "conv_weight_grad",
            lambda d, a=(x, dy), w=w, s=same: [d.conv_weight_grad(*map(d.asarray, a), w.shape, *s)],
        )
        yield "bias_grad", lambda d, dy=dy: [d.bias_grad(d.asarray(dy))]


def map_cases(draw) -> Iterator[Case]:
    for kernel, stride, padding, size in (((2, 2), (2, 2), (0, 0), (7, 9)), ((17, 17), (3, 2), (2, 1), (1, 3))):
        x = draw(2, 13 if kernel == (2, 2) else 17, 18 if kernel == (2, 2) else 19, 21)
        dy = draw(2, *size, 21)

        def pool(d, x=x, dy=dy, rule=(kernel, stride, padding), size=size):
            y, winner = d.pool_forward(d.asarray(x), *rule, size)
            return [y, winner, d.pool_backward(d.asarray(dy), winner, x.shape, *rule)]

        yield "pool", pool
    x = draw(2, 5, 4, 21)
    for stride in (2, 3, 8):
        dy = draw(2, 6 * stride, 5 * stride, 21)
        yield "upsample_forward", lambda d, s=stride: [d.upsample_forward(d.asarray(x), s)]
        yield "upsample_backward", lambda d, s=stride, dy=dy: [d.upsample_backward(d.asarray(dy), s)]


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
        yield "sum_of_squares", lambda d, x=w: [np.array(float(d.sum_of_squares(d.asarray(x))))]


def class_cases(draw, rng) -> Iterator[Case]:
    for P, L in ((1, 2), (1000, 21), (333, 100)):
        scores, weight = 3 * draw(P, L), abs(draw(L))
        labels = rng.integers(0, L, P)
        labels[rng.random(P) < 0.2] = 255

        def entropy(d, a=(scores, labels, weight)):
            loss, total, dscores = d.cross_entropy(d.asarray(a[0]), a[1], a[2], 255)
            return [np.array([loss, total]), dscores]

        def counts(d, scores=scores, labels=labels, L=L):
            classes = d.argmax(d.asarray(scores.reshape(1, 1, *scores.shape)))
            return [classes, d.confusion_counts(labels.reshape(classes.shape), classes, L, 255)]

        yield "cross_entropy", entropy
        yield "argmax, confusion", counts


# --- training ---


def training_steps(where: str, steps: int = 10) -> list[float]:
    """Losses of FCN-16s, vgg_quarter, trained on random rectangles from its initial weights."""
    model = models.fcn16s(4, trunk="vgg_quarter", pad="same").to(where).train()
    rng = np.random.default_rng(0)
    optimiser = SGD(model.parameters(), 0.02, bias_lr=2.0, bias_decay=False)
    losses = []
    for step in range(steps):
        labels = np.kron(rng.integers(0, 4, (2, 3, 4)), np.ones((16, 16), int))  # (2, 48, 64)
        x = np.eye(4, dtype=np.float32)[labels][..., :3] + rng.standard_normal((*labels.shape, 3), dtype=np.float32) / 3
        model.start_step(step)
        optimiser.zero_grad()
        loss = softmax_cross_entropy(model(x), labels)
        loss.backward()
        optimiser.step()
        losses.append(float(loss.data))
    return losses


def check_training(where: str) -> int:
    print("\nten training steps, FCN-16s vgg_quarter float32")
    print(f"{'step':>4} {'CPU':>10} {'GPU':>10} {'relative error':>15}")
    worst = 0.0
    for step, (ours, theirs) in enumerate(zip(training_steps("cpu"), training_steps(where), strict=True)):
        error = abs(theirs - ours) / ours
        worst = max(worst, error)
        print(f"{step:>4} {ours:>10.6f} {theirs:>10.6f} {error:>15.1e}")
    return int(not worst <= TRAINING)


def time_training(where: str) -> None:
    """Seconds of a training step of FCN-32s at full width, and of PyTorch's on the same GPU."""
    job = {"network": "fcn32s", "trunk": "vgg16", "pad": 100, "classes": 21, "dropout": 0.5, "N": 1, "H": 360, "W": 480}
    rng = np.random.default_rng(0)
    x = rng.standard_normal((job["N"], job["H"], job["W"], 3), dtype=np.float32)
    labels = rng.integers(0, job["classes"], x.shape[:3])
    print("\ntraining step, FCN-32s, VGG-16, pad 100, 1 x 360 x 480, float32")
    ours = median_seconds(minifcn_step(job, x, labels, where))
    print(f"minifcn {ours:.4f} s")
    try:
        theirs = median_seconds(torch_step(job, f"cuda:{gpu.cuda.number}"))
    except InputError as error:
        print(error)
    else:
        print(f"PyTorch {theirs:.4f} s, ratio {theirs / ours:.2f}")


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
    """The tuned PyTorch twin of benchmarks/speed. Raises InputError where there is none, or no PyTorch."""
    folder = SOURCE / "benchmarks" / "speed"
    sys.path.insert(0, str(folder))
    try:
        import torch
        import with_torch
    except ImportError as error:
        raise InputError(f"PyTorch not timed: {error} (it needs torch, and a source checkout)") from error
    step, _ = with_torch.train(job | {"style": "tuned"}, where)
    return lambda: float(step().detach().to(torch.device("cpu")))


if __name__ == "__main__":
    command_line(main)
