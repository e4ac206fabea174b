"""Cases with arrays of more than 2^31 elements, where an index in 32 bits fails: the last two blocks of the grid.

The arrays take no memory but for the parts written: the inputs' last rows, from which the expected values follow.
Not here: four channels at a time in im2col, and a row of dy's in upsample_backward's `t * inner`. An index past 2^31
needs 2^33 numbers in one, more than 32 GB, and as many additions in the other.
"""

import numpy as np
from kernel_run import Case, Parts, Work

from minifcn import cpu

LIMIT = 2**31
CHANNELS = 33
HEIGHT, WIDTH = 5700, 5800  # two pictures of this size and 33 channels
N = 2
EDGE = 40  # pixels of the last row that have values: more than two blocks take
TWO = 2  # blocks


def last(kernel, label, rows, block, make):
    """The last two blocks of a launch with `rows` rows of threads, or threads, by the last size of the block."""
    grid = -(-rows // block[-1])
    return Case(kernel, f"large{label}", (grid,), block, make, range(grid - TWO, grid))


def tail(shape, values):
    """An array of which the last rows, or elements, have values."""
    return Parts(shape, ((slice(shape[0] - len(values), shape[0]), values),))


def row_part(shape, row):
    """An array (N,H,W,...) with values in the last pixels of the last row of pixels."""
    return Parts(shape, (((-1, -1, slice(-len(row), None)), row),))


def edge(shape, real, count=EDGE):
    return np.random.default_rng(2).integers(-50, 51, (count, *shape)).astype(real)


# ---------------------------------------------------------------------------------- maps of two large pictures

BLOCK = (32, 4)
DONE = 5  # pixels that the last two blocks certainly take: one whole block, and one of the next


def im2col():
    """A 1x2 kernel: the second half of the output's pixels, so that `first` is large too."""
    OW = WIDTH - 1
    pixels = N * HEIGHT * OW // 2

    def make(real):
        x = edge((CHANNELS,), real)
        cols = np.concatenate([x[:-1], x[1:]], axis=1)  # (EDGE - 1, 2 C)
        sizes = dict(H=HEIGHT, W=WIDTH, C=CHANNELS, OH=HEIGHT, OW=OW, KH=1, KW=2, sy=1, sx=1, py=0, px=0, ky0=0)
        shape = (pixels, 2 * CHANNELS)
        args = dict(x=row_part((N, HEIGHT, WIDTH, CHANNELS), x), cols=Parts(shape, ()), first=pixels, pixels=pixels)
        return Work(args | sizes, dict(cols=tail(shape, cols[-DONE:])))

    return last("im2col", "", pixels, BLOCK, make)


def im2col_pixels():
    """More than 2^31 pixels of the output, of one channel: a window of one pixel, all pixels but the first few."""
    H, W, first = 46400, 46300, 5
    pixels = H * W - first

    def make(real):
        x = edge((1,), real)
        sizes = dict(H=H, W=W, C=1, OH=H, OW=W, KH=1, KW=1, sy=1, sx=1, py=0, px=0, ky0=0)
        args = dict(x=row_part((1, H, W, 1), x), cols=Parts((pixels, 1), ()), first=first, pixels=pixels)
        return Work(args | sizes, dict(cols=tail((pixels, 1), x[-DONE:])))

    return last("im2col", "-pixels", pixels, BLOCK, make)


def col2im():
    """A 1x2 kernel with stride 2: each pixel of dx has its own number."""
    OW = WIDTH // 2

    def make(real):
        dcols = edge((1, 2, CHANNELS), real, EDGE // 2)
        shape = (N, HEIGHT, WIDTH, CHANNELS)
        dx = dcols.reshape(EDGE, CHANNELS)
        args = dict(dcols=row_part((N, HEIGHT, OW, 1, 2, CHANNELS), dcols), dx=Parts(shape, ()))
        args |= dict(pixels=N * HEIGHT * WIDTH, rows=HEIGHT, first=0, W=WIDTH, C=CHANNELS, orows=HEIGHT, ofirst=0)
        args |= dict(OW=OW, KH=1, KW=2, sy=1, sx=2, py=0, px=0)
        return Work(args, dict(dx=row_part(shape, dx[-DONE:])))

    return last("col2im", "", N * HEIGHT * WIDTH, BLOCK, make)


def pools():
    """A window of 1x2 pixels at each place: y is nearly as large as x."""
    x_shape, y_shape = (N, HEIGHT, WIDTH, CHANNELS), (N, HEIGHT, WIDTH - 1, CHANNELS)
    sizes = dict(H=HEIGHT, W=WIDTH, C=CHANNELS, OH=HEIGHT, OW=WIDTH - 1, KH=1, KW=2, sy=1, sx=1, py=0, px=0)
    window = (1, 2), (1, 1), (0, 0)
    small = (1, 1, EDGE, CHANNELS)  # the last row's end as a picture of its own

    def make_forward(real):
        x = edge((CHANNELS,), real)
        y, winner = cpu.pool_forward(x.reshape(small), *window, (1, EDGE - 1))
        args = dict(x=row_part(x_shape, x), y=Parts(y_shape, ()), winner=Parts(y_shape, ()))
        expected = dict(y=row_part(y_shape, y[0, 0, -DONE:]), winner=row_part(y_shape, winner[0, 0, -DONE:]))
        return Work(args | dict(pixels=N * HEIGHT * (WIDTH - 1)) | sizes, expected)

    def make_backward(real):
        x, dy = edge((CHANNELS,), real), edge((CHANNELS,), real, EDGE - 1)
        _, winner = cpu.pool_forward(x.reshape(small), *window, (1, EDGE - 1))
        dx = cpu.pool_backward(dy[None, None], winner, small, *window)
        args = dict(dy=row_part(y_shape, dy), winner=row_part(y_shape, winner[0, 0]), dx=Parts(x_shape, ()))
        expected = dict(dx=row_part(x_shape, dx[0, 0, -DONE:]))
        return Work(args | dict(pixels=N * HEIGHT * WIDTH) | sizes, expected)

    yield last("max_pool_forward", "", N * HEIGHT * (WIDTH - 1), BLOCK, make_forward)
    yield last("max_pool_backward", "", N * HEIGHT * WIDTH, BLOCK, make_backward)


def upsample():
    """Stride 1, with weights of a half each: y is hardly larger than x, so both can be large."""
    outer, size, inner = 1_100_000, 50, 40
    sizes = dict(outer=outer, size=size, inner=inner, stride=1)
    short, tall = (outer, size, inner), (outer, size + 1, inner)

    def rows(shape, values):
        return Parts(shape, (((-1, slice(-len(values), None)), values),))

    def make_forward(real):
        x = edge((inner,), real)
        y = np.concatenate([(x[:-1] + x[1:]) / 2, x[-1:] / 2])
        return Work(dict(x=rows(short, x), y=Parts(tall, ()), **sizes), dict(y=rows(tall, y[-DONE:])))

    def make_backward(real):
        dy = edge((inner,), real)
        dx = (dy[:-1] + dy[1:]) / 2
        return Work(dict(dy=rows(tall, dy), dx=Parts(short, ()), **sizes), dict(dx=rows(short, dx[-DONE:])))

    yield last("upsample_forward", "", outer * (size + 1), BLOCK, make_forward)
    yield last("upsample_backward", "", outer * size, BLOCK, make_backward)


def bias_relu():
    pixels = LIMIT // CHANNELS + 10
    shape = (pixels, CHANNELS)

    def make(real):
        y, b = edge((CHANNELS,), real), edge((CHANNELS,), real, 1)[0]
        args = dict(y=tail(shape, y), b=b, pixels=pixels, C=CHANNELS, relu=1)
        return Work(args, dict(y=tail(shape, np.maximum(y + b, 0)[-DONE:])))

    return last("bias_relu", "", pixels, BLOCK, make)


# ---------------------------------------------------------------------------------- flat arrays

TAIL = 4 * 64 + 7  # what two blocks take: the last one has a group of four, and three numbers on their own
FLAT = (LIMIT + TAIL,)


def flat(kernel, make):
    return last(kernel, "", -(-FLAT[0] // 4), (64,), make)


def random(seed, real):
    return np.random.default_rng(seed).standard_normal(TAIL).astype(real)


def make_relu_forward(real):
    x = random(1, real)
    return Work(dict(x=tail(FLAT, x), y=Parts(FLAT, ()), n=FLAT[0]), dict(y=tail(FLAT, cpu.relu_forward(x))))


def make_relu_backward(real):
    dy, y = random(1, real), random(2, real)
    expected = cpu.relu_backward(dy.copy(), y)
    return Work(dict(dy=tail(FLAT, dy), y=tail(FLAT, y), n=FLAT[0]), dict(dy=tail(FLAT, expected)))


def make_sgd(real):
    w, dw, v = (random(seed, real) for seed in (1, 2, 3))
    args = dict(w=tail(FLAT, w), dw=tail(FLAT, dw), v=tail(FLAT, v), n=FLAT[0], lr=0.1, momentum=0.9, weight_decay=5e-4)
    new_w, new_v = w.copy(), v.copy()
    cpu.sgd_update(new_w, dw, new_v, 0.1, 0.9, 5e-4)
    return Work(args, dict(w=tail(FLAT, new_w), v=tail(FLAT, new_v)))


# ---------------------------------------------------------------------------------- scores and labels

WARPS = 2  # a block: the last two blocks take three pixels, as P is odd
FEW, MANY = (LIMIT + 5, 1), (LIMIT // 2 + 5, 2)  # (P, L): more than 2^31 pixels, more than 2^31 scores


def by_warps(kernel, P, L, make):
    grid = -(-P // WARPS)
    return Case(kernel, f"large-{P}x{L}", (grid,), (32 * WARPS,), make, range(grid - TWO, grid))


def argmax(P, L):
    def make(real):
        scores = np.random.default_rng(3).standard_normal((3, L)).astype(real)
        classes = cpu.argmax(scores[None, None])[0, 0]
        return Work(
            dict(scores=tail((P, L), scores), classes=Parts((P,), ()), P=P, L=L), dict(classes=tail((P,), classes))
        )

    return by_warps("argmax", P, L, make)


def cross_entropy(P, L):
    """Each warp has one pixel."""
    grid = -(-P // WARPS)

    def make(real):
        scores = np.random.default_rng(3).standard_normal((3, L)).astype(real)
        labels, class_weight = np.arange(3) % L, np.array([0.5, 2.0])[:L]

        def expected(pixels):
            return cpu.cross_entropy(scores[pixels].astype(np.float64), labels[pixels], class_weight, 255)

        sums = np.array([expected(slice(0, 2))[:2], expected(slice(2, 3))[:2]])
        args = dict(scores=tail((P, L), scores), labels=tail((P,), labels), class_weight=class_weight)
        args |= dict(dscores=Parts((P, L), ()), sums=Parts((grid, 2), ()), P=P, L=L, ignore_label=255)
        results = dict(dscores=tail((P, L), expected(slice(None))[2]), sums=tail((grid, 2), sums))
        return Work(args, results, rounded=("dscores", "sums"))

    return by_warps("cross_entropy", P, L, make)


def confusion():
    P, L, count = LIMIT + 5, 3, 64 + 5  # a pixel a thread

    def make(real):
        labels, predictions = np.random.default_rng(4).integers(0, L, (2, count))
        counts = np.zeros(L * L + 1, np.int64)
        np.add.at(counts, labels * L + predictions, 1)
        args = dict(labels=tail((P,), labels), predictions=tail((P,), predictions))
        return Work(args | dict(counts=np.zeros(L * L + 1), P=P, L=L, ignore_label=255), dict(counts=counts))

    return last("confusion", "", P, (64,), make)


CASES = [
    im2col(),
    im2col_pixels(),
    col2im(),
    *pools(),
    *upsample(),
    bias_relu(),
    flat("relu_forward", make_relu_forward),
    flat("relu_backward", make_relu_backward),
    flat("sgd_update", make_sgd),
    argmax(*FEW),
    argmax(*MANY),
    cross_entropy(*FEW),
    cross_entropy(*MANY),
    confusion(),
]
