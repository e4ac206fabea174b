"""Cases of the kernels whose result has the shape of their input, or is one number or count a pixel.

bias and ReLU, SGD, argmax, cross-entropy, confusion.
"""

import numpy as np
from kernel_run import Blank, Case, Work

from minifcn import cpu

FLAT_BLOCKS = [1, 7, 33, 100, 256, 1000]
WARP_BLOCKS = [1, 7, 31, 32, 33, 100, 256, 1000]  # the last warp of some has fewer than 32 lanes
SIZES = [1, 3, 4, 5, 127, 1000, 4096]
KINKS = np.array([-np.inf, -1.5, -0.0, 0, 2, np.inf, np.nan])


def numbers(seed, shape, real, special=True):
    """Random ones; `special`: among them -inf, zeros, inf and NaN."""
    rng = np.random.default_rng(seed)
    x = rng.standard_normal(shape).astype(real)
    return np.where(rng.random(shape) < 0.3, rng.choice(KINKS, shape).astype(real), x) if special else x


# ---------------------------------------------------------------------------------- bias, ReLU, SGD


def bias_relu(pixels, C, relu, block, label=""):
    def make(real):
        y, b = numbers(1, (max(1, pixels), C), real), numbers(2, C, real, special=False)
        sum_ = y + b
        return Work(
            dict(y=y, b=b, pixels=pixels, C=C, relu=relu),
            dict(y=np.maximum(sum_, 0) if relu else sum_) if pixels else {},
        )

    return Case("bias_relu", f"{pixels}x{C}r{relu}{label}", (-(-pixels // block[1]) + 1,), block, make)


def quads(kernel, n, block, label="", shifted=None, **options):
    """A launch in which each thread takes four numbers, and one block more than needed. make: by kernel's name."""
    made = {"relu_forward": make_relu_forward, "relu_backward": make_relu_backward, "sgd_update": make_sgd}[kernel]
    grid = (-(-n // (4 * block)) + 1,)
    return Case(kernel, f"{n}{label}", grid, (block,), lambda real: made(n, real, shifted or {}, **options))


def make_relu_forward(n, real, shifted):
    x = numbers(3, max(1, n), real)
    return Work(dict(x=x, y=Blank(x.shape), n=n), dict(y=cpu.relu_forward(x)) if n else {}, shifted=shifted)


def make_relu_backward(n, real, shifted):
    dy, y = numbers(4, max(1, n), real), numbers(5, max(1, n), real)
    return Work(dict(dy=dy, y=y, n=n), dict(dy=cpu.relu_backward(dy.copy(), y)) if n else {}, shifted=shifted)


def make_sgd(n, real, shifted, lr=0.1, momentum=0.9, weight_decay=5e-4):
    with np.errstate(invalid="ignore"):  # inf - inf
        w, dw, v = (numbers(seed, max(1, n), real, special=seed == 6) for seed in (6, 7, 8))
        new_w, new_v = w.copy(), v.copy()
        cpu.sgd_update(new_w, dw, new_v, lr, momentum, weight_decay)
        w.setflags(write=False)
    args = dict(w=w, dw=dw, v=v, n=n, lr=lr, momentum=momentum, weight_decay=weight_decay)
    return Work(args, dict(w=new_w, v=new_v) if n else {}, shifted=shifted)


def elementwise_cases():
    for i, C in enumerate((1, 3, 5, 21, 33, 40)):
        for pixels, relu, block in ((13, i % 2, ((1, 1), (5, 3), (32, 8))[i % 3]), (70, 1 - i % 2, (48, 2))):
            yield bias_relu(pixels, C, relu, block)
    for block in ((96, 1), (1000, 1), (7, 33)):
        yield bias_relu(35, 21, 1, block)
    yield bias_relu(1, 1, 1, (32, 8))
    yield bias_relu(0, 5, 1, (32, 8), "-empty")
    for kernel, arrays in (("relu_forward", "x y"), ("relu_backward", "dy y"), ("sgd_update", "w dw v")):
        for i, n in enumerate(SIZES):
            for block in {FLAT_BLOCKS[i % 6], FLAT_BLOCKS[(i + 2) % 6]}:
                yield quads(kernel, n, block)
        for name in arrays.split():  # one array that does not begin at a multiple of four numbers: nothing wide
            yield quads(kernel, 150, 33, f"-shifted-{name}", {name: 1})
        yield quads(kernel, 150, 33, "-shifted-all", {name: 1 for name in arrays.split()})
        yield quads(kernel, 0, 256, "-empty")
    yield quads("sgd_update", 150, 33, "-no-decay", weight_decay=0.0)  # infinity times no decay is nothing, not NaN
    yield quads("sgd_update", 150, 33, "-plain", momentum=0.0)


# ---------------------------------------------------------------------------------- scores


def argmax(P, L, block, label="", make_scores=None):
    def make(real):
        rng = np.random.default_rng(9)
        scores = (make_scores or (lambda rng, shape: rng.standard_normal(shape)))(rng, (max(1, P), L)).astype(real)
        classes = cpu.argmax(scores[None, None])[0, 0]
        return Work(dict(scores=scores, classes=Blank((max(1, P),)), P=P, L=L), dict(classes=classes) if P else {})

    warps = -(-block // 32)
    return Case("argmax", f"{P}x{L}{label}", (-(-P // warps) + 1,), (block,), make)


SPECIAL_SCORES = {
    "-ties": lambda rng, shape: rng.integers(0, 2, shape),
    "-infinite": lambda rng, shape: rng.choice([-np.inf, -np.inf, -np.inf, 1], shape),
    "-nan": lambda rng, shape: np.where(rng.random(shape) < 2 / shape[1], np.nan, rng.standard_normal(shape)),
    "-nothing": lambda rng, shape: np.full(shape, -np.inf),
    "-last": lambda rng, shape: np.arange(shape[0] * shape[1]).reshape(shape),
}


def argmax_cases():
    for i, L in enumerate((1, 2, 5, 21, 32, 33, 100, 256)):
        yield argmax(13, L, WARP_BLOCKS[i])
        yield argmax(13, L, WARP_BLOCKS[(i + 3) % 8])
    for label, make in SPECIAL_SCORES.items():
        for L, block in ((21, 100), (40, 32), (40, 7), (256, 31)):
            yield argmax(9, L, block, label, make)
    yield argmax(1, 1, 1)
    yield argmax(0, 21, 256, "-empty")


VOID = 255


def cross_entropy(P, L, blocks, block, label="", scale=3.0, ignore=VOID, special=(), void=0.3):
    """blocks: of the grid; warps stride over the pixels. special: values put among the scores of labelled pixels."""

    def make(real):
        rng = np.random.default_rng(10)
        scores = (scale * rng.standard_normal((P, L))).astype(real)
        labels = np.where(rng.random(P) < void, ignore, rng.integers(0, L, P))
        scores[labels == ignore] = rng.choice(KINKS, L)  # whatever is there counts nothing
        for i, value in enumerate(special):
            scores[(labels != ignore) & (np.arange(P) % 3 == i), i % L] = value
        class_weight = rng.uniform(0.5, 2, L).astype(real)
        wide = scores.astype(np.float64), labels, class_weight.astype(np.float64)
        with np.errstate(all="ignore"):
            *_, dscores = cpu.cross_entropy(*wide, ignore)
            own = np.arange(P) // -(-block // 32) % blocks  # the block that takes a pixel
            sums = [cpu.cross_entropy(*(a[own == k] for a in wide[:2]), wide[2], ignore)[:2] for k in range(blocks)]
        args = dict(scores=scores, labels=labels, class_weight=class_weight, dscores=Blank((P, L)))
        args |= dict(sums=Blank((blocks, 2)), P=P, L=L, ignore_label=ignore)
        return Work(args, dict(dscores=dscores, sums=np.array(sums)), rounded=("dscores", "sums"))

    return Case("cross_entropy", f"{P}x{L}g{blocks}{label}", (blocks,), (block,), make)


def cross_entropy_cases():
    for i, L in enumerate((1, 2, 5, 21, 32, 33, 40, 100)):
        yield cross_entropy(37, L, 1 + i % 3, WARP_BLOCKS[i])
        yield cross_entropy(50, L, 2, WARP_BLOCKS[(i + 3) % 8])
    yield cross_entropy(11, 256, 2, 100, "-all-classes", ignore=-100)
    yield cross_entropy(70, 5, 1, 1000, "-many-warps", void=0.0)
    yield cross_entropy(40, 21, 3, 100, "-huge", scale=1000.0)  # exp of it is infinite
    yield cross_entropy(40, 2, 2, 32, "-huge-few", scale=1000.0)  # of all scores of some pixels it is 0
    yield cross_entropy(40, 5, 2, 33, "-class-void", ignore=2)
    yield cross_entropy(40, 21, 2, 100, "-infinite", special=(-np.inf, -np.inf))
    yield cross_entropy(40, 21, 2, 100, "-nan", special=(np.nan,))
    yield cross_entropy(20, 5, 2, 64, "-all-void", void=1.0)
    yield cross_entropy(1, 1, 1, 32)
    yield cross_entropy(3, 21, 4, 256, "-idle-blocks")
    yield cross_entropy(0, 5, 2, 100, "-empty")


def confusion(P, L, blocks, block, label="", ignore=VOID, wrong=0.1, void=0.2):
    """wrong: share of labels, and of predictions, that are no class. void: of labels."""

    def make(real):
        rng = np.random.default_rng(11)
        labels, predictions = rng.integers(0, L, max(1, P)), rng.integers(0, L, max(1, P))
        odd_labels = np.array([-1, L, L + 7, -(2**31), 2**31 - 1])
        labels = np.where(rng.random(len(labels)) < wrong, rng.choice(odd_labels, len(labels)), labels)
        if L < 256:
            predictions = np.where(rng.random(len(labels)) < wrong, rng.choice([L, 255], len(labels)), predictions)
        labels = np.where(rng.random(len(labels)) < void, ignore, labels)
        counts, labelled = np.zeros(L * L + 1, np.int64), labels[:P] != ignore
        true, predicted = labels[:P][labelled], predictions[:P][labelled]
        valid = (true >= 0) & (true < L) & (predicted < L)
        np.add.at(counts, np.where(valid, true * L + predicted, L * L), 1)
        args = dict(labels=labels, predictions=predictions, counts=np.zeros(L * L + 1), P=P, L=L, ignore_label=ignore)
        return Work(args, dict(counts=counts) if P else {})

    return Case("confusion", f"{P}x{L}g{blocks}{label}", (blocks,), (block,), make)


def confusion_cases():
    for i, L in enumerate((1, 2, 5, 21, 32, 33, 40)):
        yield confusion(500, L, 1 + i % 3, FLAT_BLOCKS[i % 6])
        yield confusion(700, L, 2, FLAT_BLOCKS[(i + 3) % 6])
    yield confusion(900, 256, 2, 100, "-all-classes", ignore=-100)
    yield confusion(900, 2, 3, 100, "-crowded", wrong=0.0)
    yield confusion(300, 5, 2, 64, "-class-void", ignore=2)
    yield confusion(1, 3, 4, 33, wrong=0.0)
    yield confusion(0, 21, 1, 256, "-empty")


CASES = [*elementwise_cases(), *argmax_cases(), *cross_entropy_cases(), *confusion_cases()]
