"""How fast a GPU is: each kernel against a plain copy, and a training step against PyTorch's, where that is installed.

    python -m experiments.speed.gpu [--device gpu:1]

From a source checkout, after `python -m minifcn.gpu_selftest` has passed. A kernel's figure is the bytes that it must
move by the time it takes; FCN-32s at full width is timed beside its tuned PyTorch twin (with_torch.py), without TF32.
"""

import argparse
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np

import minifcn as mf
from minifcn import device, gpu
from minifcn.command import command_line
from minifcn.errors import InputError
from minifcn.gpu import classes, conv, cuda, elementwise, loss, pool, upsample

REPEATS = 20
NUMBERS = 1 << 26  # of a flat array: 256 MB, more than any cache holds
PICTURE, PICTURES = (360, 480, 64), 8  # the output of VGG-16's conv1_1 and conv1_2
CLASSES, VOID = 21, 255
PRODUCT = "(cuBLAS)"  # marks a job that is a product and launches no kernel of ours
STEP = {"network": "fcn32s", "trunk": "vgg16", "pad": 100, "classes": 21, "dropout": 0.5, "N": 1, "H": 360, "W": 480}


def main(argv=None) -> None:
    parser = argparse.ArgumentParser(prog="python -m experiments.speed.gpu", description="Time the GPU path.")
    parser.add_argument("--device", default="gpu", metavar="GPU", help="gpu or gpu:1 (default: gpu)")
    args = parser.parse_args(argv)
    if device.start(args.device) is not gpu:
        raise InputError("--device cpu: expected gpu or gpu:N")
    print(gpu.describe())
    for what, lines in (("bandwidth", report), ("training step", lambda: report_training(args.device))):
        print(f"\n{what}")
        try:
            for line in lines():
                print(line, flush=True)
        except Exception as error:  # out of memory, in cupy's or PyTorch's words, say: the rest can still be timed
            print(f"not timed: {type(error).__name__}: {error}")
        cuda.xp.get_default_memory_pool().free_all_blocks()


# --- kernels ---


@dataclass(frozen=True)
class Job:
    """A call that launches one kernel (upsampling: twice, once an axis), or makes one product.

    elements: numbers in its result. moved: the bytes that it must move at least, each once.
    """

    kernel: str
    shape: str
    elements: int
    moved: int
    work: Callable[[], object]


def seconds(work: Callable[[], object]) -> float:
    """The time of one call on the device, a mean over REPEATS after one to warm up."""
    work()
    start, stop = cuda.xp.cuda.Event(), cuda.xp.cuda.Event()
    start.record()
    for _ in range(REPEATS):
        work()
    stop.record()
    stop.synchronize()
    return cuda.xp.cuda.get_elapsed_time(start, stop) / 1000 / REPEATS


def report() -> Iterator[str]:
    """Yield a line for a copy and one for each kernel: milliseconds, GB/s, and the share of the copy's GB/s."""
    yield f"{'kernel':<24} {'shape':<36} {'ms':>8} {'GB/s':>8} {'of a copy':>10}"
    a, b = (cuda.xp.ones(NUMBERS, np.float32) for _ in range(2))
    copy = Job("(copy)", f"{NUMBERS:,}", NUMBERS, 2 * a.nbytes, lambda: cuda.xp.copyto(b, a))
    copied = copy.moved / seconds(copy.work) / 1e9
    for job in (copy, *jobs()):
        took = seconds(job.work)
        rate = job.moved / took / 1e9
        yield f"{job.kernel:<24} {job.shape:<36} {1000 * took:>8.3f} {rate:>8.0f} {rate / copied:>10.2f}"


def jobs(numbers: int = NUMBERS, picture: tuple = PICTURE, pictures: int = PICTURES, L: int = CLASSES) -> Iterator[Job]:
    """Yield a job for each kernel: on flat arrays of `numbers`, on pictures (H,W,C), on scores of L classes.

    As they stand all move hundreds of megabytes, so that neither a cache nor the host decides the time.
    """
    H, W, C = picture
    yield from flat_jobs(numbers)
    yield from convolution_jobs(H, W, C)
    yield from bias_and_pool_jobs((pictures, H, W, C))
    yield from upsample_jobs((2 * pictures, H // 32 + 1, W // 32 + 1, L))
    yield from class_jobs(4 * pictures * H * W, numbers, L)


def flat_jobs(n: int) -> Iterator[Job]:
    a, b, v = (cuda.xp.ones(n, np.float32) for _ in range(3))
    yield Job("relu_forward", f"{n:,}", n, 2 * a.nbytes, lambda: elementwise.relu_forward(a))
    yield Job("relu_backward", f"{n:,}", n, 3 * a.nbytes, lambda: elementwise.relu_backward(b, a))
    yield Job("sgd_update", f"{n:,}", n, 5 * a.nbytes, lambda: elementwise.sgd_update(a, b, v, 1e-3, 0.9, 5e-4))


def convolution_jobs(H: int, W: int, C: int) -> Iterator[Job]:
    x, cols = cuda.xp.ones((1, H, W, C), np.float32), cuda.xp.ones((H * W, 9 * C), np.float32)
    one, shape = (1, 1), f"(1, {H}, {W}, {C}), 3x3"
    moved, whole = x.nbytes + cols.nbytes, (slice(0, H), (H, W))
    yield Job("im2col", shape, cols.size, moved, lambda: conv.im2col(x, *whole, (3, 3), one, one))
    sizes = (H * W, H, 0, W, C, H, 0, W, 3, 3, 1, 1, 1, 1)
    yield Job("col2im", shape, x.size, moved, lambda: cuda.per_pixel("col2im", H * W, C, (cols, x, *sizes)))


def bias_and_pool_jobs(shape: tuple[int, int, int, int]) -> Iterator[Job]:
    x, b = cuda.xp.ones(shape, np.float32), cuda.xp.ones(shape[3], np.float32)
    yield Job("bias_relu", f"{shape}", x.size, 2 * x.nbytes, lambda: conv.add_bias(x, b, relu=True))
    yield Job(f"{PRODUCT} bias_grad", f"{shape}", x.size, x.nbytes, lambda: conv.bias_grad(x))
    rule, size, label = ((2, 2), (2, 2), (0, 0)), (shape[1] // 2, shape[2] // 2), f"{shape}, 2x2"
    y, winner = pool.pool_forward(x, *rule, size)
    moved = x.nbytes + y.nbytes + winner.nbytes
    yield Job("max_pool_forward", label, y.size, moved, lambda: pool.pool_forward(x, *rule, size))
    yield Job("max_pool_backward", label, x.size, moved, lambda: pool.pool_backward(y, winner, shape, *rule))


def upsample_jobs(shape: tuple[int, int, int, int]) -> Iterator[Job]:
    x = cuda.xp.ones(shape, np.float32)
    y, label = upsample.upsample_forward(x, 32), f"{shape} x 32"
    moved = x.nbytes + y.nbytes
    yield Job("upsample_forward", label, y.size, moved, lambda: upsample.upsample_forward(x, 32))
    yield Job("upsample_backward", label, x.size, moved, lambda: upsample.upsample_backward(y, 32))


def class_jobs(P: int, pixels: int, L: int) -> Iterator[Job]:
    rng = np.random.default_rng(0)
    scores, weights = cuda.asarray(rng.standard_normal((P, L), dtype=np.float32)), cuda.xp.ones(L, np.float32)
    labels = cuda.asarray(rng.integers(0, L, P, dtype=np.int32))
    moved = 2 * scores.nbytes + labels.nbytes
    work = partial(loss.partial_sums, scores, labels, weights, VOID)
    yield Job("cross_entropy", f"({P:,}, {L})", scores.size, moved, work)
    yield Job("argmax", f"({P:,}, {L})", P, scores.nbytes + P, lambda: classes.argmax(scores))
    many = cuda.asarray(rng.integers(0, L, pixels, dtype=np.int32))
    predictions = cuda.asarray(rng.integers(0, L, pixels, dtype=np.uint8))
    yield Job("confusion", f"{pixels:,}", pixels, 5 * pixels, lambda: classes.count(many, predictions, L, VOID))


# --- a training step ---


def report_training(where: str) -> Iterator[str]:
    """Seconds of a training step of FCN-32s at full width, and of PyTorch's on the same GPU."""
    rng = np.random.default_rng(0)
    x = rng.standard_normal((STEP["N"], STEP["H"], STEP["W"], 3), dtype=np.float32)
    labels = rng.integers(0, STEP["classes"], x.shape[:3])
    yield "FCN-32s, VGG-16, pad 100, 1 x 360 x 480, float32, no TF32"
    ours = median_seconds(minifcn_step(STEP, x, labels, where))
    yield f"minifcn {ours:.4f} s"
    cuda.xp.get_default_memory_pool().free_all_blocks()  # PyTorch has a pool of its own
    theirs = median_seconds(torch_step(STEP, f"cuda:{cuda.number}"))
    yield f"PyTorch {theirs:.4f} s, ratio {theirs / ours:.2f}"


def median_seconds(step: Callable[[], float], steps: int = REPEATS) -> float:
    """The median time of a step, which must end with a number on the host; after three to warm up."""
    seconds = []
    for _ in range(steps + 3):
        start = time.perf_counter()
        step()
        seconds.append(time.perf_counter() - start)
    return float(np.median(seconds[3:]))


def minifcn_step(job: dict, x, labels, where: str) -> Callable[[], float]:
    build = getattr(mf.models, job["network"])
    model = build(job["classes"], job["trunk"], job["pad"], dropout=job["dropout"]).to(where).train()
    optimiser = mf.optim.SGD(model.parameters(), 1e-4, bias_lr=2.0, bias_decay=False)
    x = gpu.asarray(x)

    def step():
        optimiser.zero_grad()
        loss = mf.softmax_cross_entropy(model(x), labels)
        loss.backward()
        optimiser.step()
        return float(loss.data)

    return step


def torch_step(job: dict, where: str) -> Callable[[], float]:
    """The tuned PyTorch twin, without TF32, as here. Raises ImportError where there is none."""
    sys.path.insert(0, str(Path(__file__).parent))  # the contenders import each other by name
    import torch
    import with_torch

    torch.backends.cudnn.allow_tf32 = torch.backends.cuda.matmul.allow_tf32 = False
    step, _ = with_torch.train(job | {"style": "tuned"}, where)
    return lambda: float(step().detach().to(torch.device("cpu")))


if __name__ == "__main__":
    command_line(main)
