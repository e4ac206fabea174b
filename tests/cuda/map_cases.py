"""Cases of the kernels that move between maps of different sizes: im2col, col2im, max pooling, upsampling.

Numbers that are added up are whole and small, so that sums are exact in any order.
"""

from itertools import product
from typing import NamedTuple

import numpy as np
from kernel_run import Blank, Case, Work

from minifcn import cases, cpu
from minifcn.cpu.upsample import interpolation_matrix
from minifcn.ops.pool import pooled_size
from minifcn.sizes import conv_size

BLOCKS = [(1, 1), (5, 3), (32, 8), (48, 2), (96, 1), (1000, 1), (7, 33)]  # some no multiple of a warp


class Geometry(NamedTuple):
    """A window's way over pictures; OH, OW are more than conv_size gives where a pool's last window hangs over."""

    N: int
    H: int
    W: int
    C: int
    kernel: tuple[int, int]
    stride: tuple[int, int] = (1, 1)
    padding: tuple[int, int] = (0, 0)
    over: tuple[int, int] = (0, 0)

    @property
    def out(self):
        OH, OW = conv_size((self.H, self.W), self.kernel, self.stride, self.padding)
        return OH + self.over[0], OW + self.over[1]

    @property
    def x_shape(self):
        return self.N, self.H, self.W, self.C

    @property
    def y_shape(self):
        return self.N, *self.out, self.C

    def __str__(self):
        sides = "n{}h{}w{}c{}-k{}x{}s{}x{}p{}x{}".format(*self.x_shape, *self.kernel, *self.stride, *self.padding)
        return sides + ("-over" if any(self.over) else "")


def conv(row):
    """A row of minifcn/cases.py's convolutions."""
    x, w, stride, padding = row
    return Geometry(*x, w[:2], stride, padding)


def pool_geometry(row):
    """A row of minifcn/cases.py's pools."""
    x, kernel, stride, padding, ceil_mode = row
    sides = zip(x[1:3], kernel, stride, padding, strict=True)
    over = (pooled_size(*side, ceil_mode) - pooled_size(*side, False) for side in sides)
    return Geometry(*x, kernel, stride, padding, tuple(over))


TALL = Geometry(2, 5, 7, 3, (3, 2), (1, 2), (1, 0))
GAPS = Geometry(1, 7, 4, 5, (3, 3), (2, 3), (1, 2))
WIDE = Geometry(1, 2, 3, 40, (3, 2), (1, 1), (2, 1))  # four channels at a time
BESIDE = Geometry(2, 3, 4, 8, (2, 3), (2, 1), (3, 0))  # windows all in the padding, four channels at a time
UNSEEN = Geometry(2, 7, 9, 3, (2, 1), (3, 4), (1, 1))  # rows and columns in no window, at the edges and in between
CROWDED = [  # as in minifcn/cases.py, with more channels than a block has threads
    ((1, 3, 4, 258), (2, 3, 258, 3), (1, 1), (1, 0)),  # of dx, and more numbers of cols
    ((1, 4, 3, 516), (3, 2, 516, 2), (1, 1), (0, 1)),  # in fours: KW C / 4 > 256
    ((1, 2, 3, 3), (1, 2, 3, 300), (1, 1), (0, 0)),  # of y
]
LONG = Geometry(1, 2, 2, 300, (2, 3), (1, 2), (1, 1))  # more channels than threads in a row of most blocks
FAR = Geometry(1, 2, 3, 3, (2, 2), (1, 1), (4, 5))  # windows wholly above, below, left and right of the picture
CONVS = [
    *(TALL, GAPS, WIDE, BESIDE, UNSEEN, LONG, FAR),
    *map(conv, cases.CONVOLUTIONS[:14] + CROWDED),
]
POOLS = [Geometry(1, 7, 5, 1, (3, 2), (1, 2), (1, 0), (0, 1)), *map(pool_geometry, cases.POOLS[:-1])]
MOST_TAPS = pool_geometry(cases.POOLS[-1])  # 256: the last has number 255


def blocks_for(geometries):
    """Every geometry with two blocks, the first one with all."""
    yield from product(geometries[:1], BLOCKS)
    for i, geometry in enumerate(geometries[1:]):
        yield geometry, BLOCKS[i % len(BLOCKS)]
        yield geometry, BLOCKS[(i + 3) % len(BLOCKS)]


def rows_case(kernel, label, rows, block, make, more=1):
    """A launch in which each row of threads takes one of `rows`; `more` blocks than needed have to do nothing."""
    return Case(kernel, label, (-(-rows // block[1]) + more,), block, make)


def whole(seed, shape):
    return np.random.default_rng(seed).integers(-50, 51, shape).astype(float)


# ---------------------------------------------------------------------------------- im2col, col2im


def patches(x, g, out, ky0=0):
    """(pixels, KH KW C), by the formula at the head of im2col.cu."""
    (KH, KW), (sy, sx), (py, px), (OH, OW) = g.kernel, g.stride, g.padding, out
    padded = np.pad(x, ((0, 0), (py, OH * sy + KH + ky0), (px, OW * sx + KW), (0, 0)))
    windows = (padded[n, oy * sy + ky0 :, ox * sx :][:KH, :KW] for n, oy, ox in np.ndindex(len(x), OH, OW))
    return np.stack([window.ravel() for window in windows])


def im2col(g, block, label="", strip=slice(None), ky0=0, out=None, shifted=None):
    """strip: of the output's pixels."""
    (OH, OW), (KH, KW) = out or g.out, g.kernel
    first, stop, _ = strip.indices(g.N * OH * OW)
    pixels = stop - first

    def make(real):
        x = np.random.default_rng(1).standard_normal(g.x_shape).astype(real)
        cols = patches(x, g, (OH, OW), ky0)[strip]
        sizes = dict(H=g.H, W=g.W, C=g.C, OH=OH, OW=OW, KH=KH, KW=KW, sy=g.stride[0], sx=g.stride[1])
        args = dict(x=x, cols=Blank((max(1, pixels), KH * KW * g.C)), first=first, pixels=pixels, **sizes)
        args |= dict(py=g.padding[0], px=g.padding[1], ky0=ky0)
        return Work(args, dict(cols=cols) if pixels else {}, shifted=shifted or {})

    return rows_case("im2col", f"{g}{label}", pixels, block, make)


def col2im(g, block, label="", height=None, seen=None):
    """height: the rows of the pictures to make; None for all, from the whole output.

    seen: the rows of the output to make them from; None for those that reach them.
    """
    (OH, OW), (KH, KW), (sy, sx), (py, px) = g.out, g.kernel, g.stride, g.padding
    if height is None:
        height, seen = slice(0, g.H), slice(0, OH)
    elif seen is None:
        reaching = [oy for oy in range(OH) if any(0 <= iy + py - oy * sy < KH for iy in range(g.H)[height])]
        seen = slice(reaching[0], reaching[-1] + 1)
    rows, orows = height.stop - height.start, seen.stop - seen.start
    pixels = g.N * rows * g.W

    def make(real):
        dcols = whole(2, (g.N, OH, OW, KH, KW, g.C))
        dpadded = np.zeros((g.N, OH * sy + KH + py + g.H, OW * sx + KW + px + g.W, g.C))
        for oy, ox in product(range(OH)[seen], range(OW)):
            dpadded[:, oy * sy :, ox * sx :][:, :KH, :KW] += dcols[:, oy, ox]
        dx = dpadded[:, py : py + g.H, px : px + g.W][:, height]
        sizes = dict(pixels=pixels, rows=rows, first=height.start, W=g.W, C=g.C, orows=orows, ofirst=seen.start, OW=OW)
        args = dict(dcols=dcols[:, seen], dx=Blank((g.N, max(1, rows), g.W, g.C)), **sizes)
        args |= dict(KH=KH, KW=KW, sy=sy, sx=sx, py=py, px=px)
        return Work(args, dict(dx=dx) if pixels else {})

    return rows_case("col2im", f"{g}{label}", pixels, block, make)


def convolution_cases():
    for g, block in blocks_for(CONVS):
        yield im2col(g, block)
        yield col2im(g, block)
    for shifted in ({"x": 1}, {"cols": 2}, {"x": 4, "cols": 4}):  # 16 bytes or 32 apart: aligned for both floats
        yield im2col(WIDE, (32, 8), f"-shifted{''.join(shifted)}", shifted=shifted)
    yield im2col(TALL, (32, 2), "-strip", slice(7, 19))
    yield im2col(WIDE, (5, 3), "-strip", slice(2, 3))
    yield im2col(BESIDE, (7, 33), "-strip", slice(20, 50))  # four channels at a time, across two pictures
    yield im2col(WIDE._replace(kernel=(1, 2)), (5, 3), "-row1", ky0=1, out=WIDE.out)
    yield im2col(TALL, (32, 8), "-empty", slice(3, 3))
    for ky0 in range(3):  # one row of a kernel: the output has the size that all rows give
        yield im2col(TALL._replace(kernel=(1, 2)), (32, 2), f"-row{ky0}", ky0=ky0, out=TALL.out)
    yield col2im(TALL, (32, 2), "-top", slice(0, 2))
    yield col2im(TALL, (5, 3), "-middle", slice(2, 4))
    yield col2im(GAPS, (32, 8), "-bottom", slice(3, 7))  # one picture
    yield col2im(UNSEEN, (5, 3), "-middle", slice(1, 5))  # its first and last row in no window
    yield col2im(LONG, (48, 2), "-bottom", slice(1, 2))
    yield col2im(TALL, (32, 2), "-part", slice(1, 5), slice(2, 3))  # and from just some of the rows that reach them
    yield col2im(GAPS, (5, 3), "-part", slice(2, 6), slice(1, 2))
    yield col2im(TALL._replace(N=0), (32, 8), "-empty")


# ---------------------------------------------------------------------------------- pooling


def pool_inputs(g, special, real):
    """x of random numbers, or of a few with ties, -inf and NaN."""
    rng = np.random.default_rng(3)
    if special:
        return rng.choice(np.array([-np.inf, -np.inf, -1, 0, 2, np.nan]), g.x_shape).astype(real)
    return rng.standard_normal(g.x_shape).astype(real)


def pool(g, block, label="", special=False, empty=False):
    """The forward and the backward case."""
    (OH, OW), (KH, KW) = g.out, g.kernel
    sizes = dict(H=g.H, W=g.W, C=g.C, OH=OH, OW=OW, KH=KH, KW=KW, sy=g.stride[0], sx=g.stride[1])
    sizes |= dict(py=g.padding[0], px=g.padding[1])

    def make_forward(real):
        x = pool_inputs(g, special, real)
        y, winner = cpu.pool_forward(x, g.kernel, g.stride, g.padding, g.out)
        blank = Blank(g.y_shape)
        args = dict(x=x, y=blank, winner=blank, pixels=0 if empty else g.N * OH * OW, **sizes)
        return Work(args, {} if empty else dict(y=y, winner=winner))

    def make_backward(real):
        _, winner = cpu.pool_forward(pool_inputs(g, special, real), g.kernel, g.stride, g.padding, g.out)
        dy = whole(4, g.y_shape).astype(real)
        dx = cpu.pool_backward(dy, winner, g.x_shape, g.kernel, g.stride, g.padding)
        args = dict(dy=dy, winner=winner, dx=Blank(g.x_shape), pixels=0 if empty else g.N * g.H * g.W, **sizes)
        return Work(args, {} if empty else dict(dx=dx))

    yield rows_case("max_pool_forward", f"{g}{label}", 0 if empty else g.N * OH * OW, block, make_forward)
    yield rows_case("max_pool_backward", f"{g}{label}", 0 if empty else g.N * g.H * g.W, block, make_backward)


def pool_cases():
    for g, block in blocks_for(POOLS):
        yield from pool(g, block)
    for g in (*POOLS[:2], MOST_TAPS):
        yield from pool(g, (32, 4), "-special", special=True)
    yield from pool(POOLS[0], (32, 8), "-empty", empty=True)
    yield from pool(MOST_TAPS, (2, 40))


# ---------------------------------------------------------------------------------- upsampling


def upsample(outer, size, inner, stride, block, label=""):
    length = (size + 1) * stride
    tall, short = (outer, length, inner), (outer, size, inner)
    sizes = dict(outer=outer, size=size, inner=inner, stride=stride)

    def blank(shape):
        return Blank((max(1, shape[0]), *shape[1:]))

    def make_forward(real):
        x = np.random.default_rng(5).standard_normal(short)
        y = np.matmul(interpolation_matrix(size, stride, np.float64), x.astype(real))  # (length, size) @ (size, inner)
        return Work(dict(x=x, y=blank(tall), **sizes), dict(y=y) if outer else {}, rounded=("y",))

    def make_backward(real):
        dy = np.random.default_rng(6).standard_normal(tall)
        dx = np.matmul(interpolation_matrix(size, stride, np.float64).T, dy.astype(real))
        return Work(dict(dy=dy, dx=blank(short), **sizes), dict(dx=dx) if outer else {}, rounded=("dx",))

    label = f"{outer}x{size}x{inner}s{stride}{label}"
    yield rows_case("upsample_forward", label, outer * length, block, make_forward)
    yield rows_case("upsample_backward", label, outer * size, block, make_backward)


def upsample_cases():
    for block in BLOCKS:
        yield from upsample(3, 4, 21, 2, block)
    for i, (outer, size, inner, stride) in enumerate(
        [(2, 5, 3, 3), (1, 7, 33, 4), (5, 1, 1, 1), (1, 1, 40, 8), (2, 3, 105, 2), (1, 2, 5, 32), (1, 1, 1, 1)]
    ):
        yield from upsample(outer, size, inner, stride, BLOCKS[i])
    yield from upsample(0, 4, 21, 2, (32, 8), "-empty")


CASES = [*convolution_cases(), *pool_cases(), *upsample_cases()]
