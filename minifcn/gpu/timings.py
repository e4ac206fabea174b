"""How fast each kernel runs on a real GPU: the bytes it must move, by the time it takes, against a plain copy."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np

from . import classes, conv, cuda, elementwise, loss, pool, upsample

REPEATS = 20
NUMBERS = 1 << 26  # of a flat array: 256 MB, more than any cache holds
PICTURE = (360, 480, 64)  # the output of VGG-16's conv1_1 and conv1_2


@dataclass(frozen=True)
class Job:
    """A call that launches one kernel (upsampling: twice, once an axis).

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
    yield f"{'kernel':<24} {'shape':<30} {'ms':>8} {'GB/s':>8} {'of a copy':>10}"
    a, b = (cuda.xp.ones(NUMBERS, np.float32) for _ in range(2))
    copy = Job("(copy)", f"{NUMBERS:,}", NUMBERS, 2 * a.nbytes, lambda: cuda.xp.copyto(b, a))
    copied = copy.moved / seconds(copy.work) / 1e9
    for job in (copy, *jobs()):
        time = seconds(job.work)
        rate = job.moved / time / 1e9
        yield f"{job.kernel:<24} {job.shape:<30} {1000 * time:>8.3f} {rate:>8.0f} {rate / copied:>10.2f}"


def jobs(numbers: int = NUMBERS, picture: tuple[int, int, int] = PICTURE, L: int = 21) -> Iterator[Job]:
    """Yield a job for each kernel: flat arrays of `numbers`, pictures (H,W,C), scores of L classes at their pixels."""
    H, W, C = picture
    yield from flat_jobs(numbers)
    yield from convolution_jobs(H, W, C)
    yield from pool_jobs(H, W, C)
    yield from upsample_jobs(H // 32 + 1, W // 32 + 1, L)
    yield from class_jobs(H * W, L)


def flat_jobs(n: int) -> Iterator[Job]:
    a, b, v = (cuda.xp.ones(n, np.float32) for _ in range(3))
    yield Job("relu_forward", f"{n:,}", n, 2 * a.nbytes, lambda: elementwise.relu_forward(a))
    yield Job("relu_backward", f"{n:,}", n, 3 * a.nbytes, lambda: elementwise.relu_backward(b, a))
    yield Job("sgd_update", f"{n:,}", n, 5 * a.nbytes, lambda: elementwise.sgd_update(a, b, v, 1e-3, 0.9, 5e-4))


def convolution_jobs(H: int, W: int, C: int) -> Iterator[Job]:
    x, b = cuda.xp.ones((1, H, W, C), np.float32), cuda.xp.ones(C, np.float32)
    one, shape = (1, 1), f"({H}, {W}, {C})"
    yield Job("bias_relu", shape, x.size, 2 * x.nbytes, lambda: conv.add_bias(x, b, relu=True))
    cols = cuda.xp.ones((H * W, 9 * C), np.float32)
    moved, whole = x.nbytes + cols.nbytes, (slice(0, H), (H, W))
    yield Job("im2col", f"{shape}, 3x3", cols.size, moved, lambda: conv.im2col(x, *whole, (3, 3), one, one))
    sizes = (H * W, H, 0, W, C, H, 0, W, 3, 3, 1, 1, 1, 1)
    work = lambda: cuda.per_pixel("col2im", H * W, C, (cols, x, *sizes))  # noqa: E731
    yield Job("col2im", f"{shape}, 3x3", x.size, moved, work)


def pool_jobs(H: int, W: int, C: int) -> Iterator[Job]:
    x = cuda.xp.ones((1, H, W, C), np.float32)
    for side, suffix in ((2, ""), (17, "_large")):
        kernel, shape = (side, side), f"({H}, {W}, {C}), {side}x{side}"
        rule = (kernel, kernel, (0, 0))
        size = H // side, W // side
        y, winner = pool.pool_forward(x, *rule, size)
        moved = x.nbytes + y.nbytes + winner.nbytes
        forward = lambda rule=rule, size=size: pool.pool_forward(x, *rule, size)  # noqa: E731
        backward = lambda y=y, winner=winner, rule=rule: pool.pool_backward(y, winner, x.shape, *rule)  # noqa: E731
        yield Job(f"max_pool_forward{suffix}", shape, y.size, moved, forward)
        yield Job(f"max_pool_backward{suffix}", shape, x.size, moved, backward)


def upsample_jobs(H: int, W: int, L: int) -> Iterator[Job]:
    x = cuda.xp.ones((1, H, W, L), np.float32)
    y = upsample.upsample_forward(x, 32)
    shape, moved = f"({H}, {W}, {L}) x 32", x.nbytes + y.nbytes
    yield Job("upsample_forward", shape, y.size, moved, lambda: upsample.upsample_forward(x, 32))
    yield Job("upsample_backward", shape, x.size, moved, lambda: upsample.upsample_backward(y, 32))


def class_jobs(P: int, L: int) -> Iterator[Job]:
    scores, weights = cuda.xp.ones((P, L), np.float32), cuda.xp.ones(L, np.float32)
    labels, shape = cuda.xp.zeros(P, np.int32), f"({P:,}, {L})"
    moved = 2 * scores.nbytes + labels.nbytes
    work = lambda: loss.partial_sums(scores, labels, weights, 255)  # noqa: E731
    yield Job("cross_entropy", shape, scores.size, moved, work)
    predictions = classes.argmax(scores)
    yield Job("argmax", shape, P, scores.nbytes + P, lambda: classes.argmax(scores))
    yield Job("confusion", f"{P:,}", P, 5 * P, lambda: classes.count(labels, predictions, L, 255))
