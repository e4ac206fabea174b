"""3x3 convolution with stride 1 by Winograd's F(6x6, 3x3): a fifth of the multiplications (Lavin, Gray 2015).

Along one axis, 6 outputs of a kernel of 3 taps come from 8 inputs, y = AT ((G w) * (BT d)): 8 products instead of 18.
Along both axes, a 6x6 tile of y comes from the 8x8 tile of x around it by 64 products instead of 324, and summed over
channels each of the 64 "frequencies" is a matrix product over all tiles T:

    x, 8x8 tiles  --BT-->  v (64,T,C)  @  u = G w (64,C,K)  =  m (64,T,K)  --AT-->  y, 6x6 tiles

    +---+---+--        Tiles of y do not overlap; the 8x8 tiles of x under them do, by 2 pixels. Both transforms go
    |6x6|   |          along y first and then along x, or back: small matrix products (8,8) @ (8, many) on the pixels
    +---+---+--        as they lie in memory.

The algorithm is bilinear, so the gradients are the transposed chain: the input gradient is the forward pass with turned
filters; the weight gradient is du[f] = v[f]^T @ (A dy)[f], dw = G^T du G. It is exact but for rounding.

Where u is small, each thread takes a block of tiles all the way, and v and m stay in its cache. Where u is large, a
product must have many tiles to be worth reading u for: threads share out the blocks of a whole chunk for the
transforms, and the frequencies for the products. docs/performance.md has the measurements behind the constants.

The first three functions are those of conv.py, and leave to them all that does not pay here.
"""

from collections import namedtuple
from functools import cache
from itertools import product

import numpy as np

from ..sizes import pieces, strips
from . import conv
from .im2col import strided, window
from .threads import conv_choice, parallel, serial, workspace

BLOCK = 1 << 18  # elements of v or m that a thread transforms at a time
CHUNK = 1 << 23  # elements of v or m that threads work on together: 32 MB of float32 each
SMALL = 1 << 14  # elements of C x K up to which u is small
FREQUENCIES = 4  # of them in one product, where threads share them out
FILTERS = 1 << 12  # filters that a thread transforms at a time
PRODUCT = 10**6  # multiplications up to which OpenBLAS does a product without copying its operands first


def conv_forward(x, w, b, stride, padding, relu=False):
    """conv.conv_forward; by Winograd where that pays."""
    if not pays(x.shape, w.shape, stride):
        return conv.conv_forward(x, w, b, stride, padding, relu)
    return forward(np.ascontiguousarray(x), w, b, padding, relu)


def conv_input_grad(dy, w, x_shape, stride, padding, b=None):
    """conv.conv_input_grad; by Winograd where that pays: without strides it is a convolution with w turned."""
    KH, KW, C, K = w.shape
    if not pays(dy.shape, (KH, KW, K, C), stride):
        return conv.conv_input_grad(dy, w, x_shape, stride, padding, b)
    return forward(np.ascontiguousarray(dy), w, b, (2 - padding[0], 2 - padding[1]), turned=True)


def conv_weight_grad(x, dy, w_shape, stride, padding, out=None, emit=None):
    """conv.conv_weight_grad; by Winograd where that pays, which makes dw whole."""
    if not pays(x.shape, w_shape, stride):
        return conv.conv_weight_grad(x, dy, w_shape, stride, padding, out, emit)
    x, dy, dw = np.ascontiguousarray(x), np.ascontiguousarray(dy), np.empty(w_shape, x.dtype) if out is None else out
    _, _, C, K = w_shape
    (BT, G, AT), du = matrices(x.dtype), np.empty((64, C, K), x.dtype)

    def add(blocks, first):
        T = blocks[-1].tiles.stop
        v, dm = (np.empty((64, T, D), x.dtype) for D in (C, K))

        def transform(block):
            read_tiles(BT, x, block, padding, v)  # BT d B
            read_tiles(AT.T, dy, block, (0, 0), dm)  # A dy AT, output_tiles' adjoint

        def multiply(f):
            for part in product_tiles(T, C, K):
                v_f, dm_f = v[f, part].swapaxes(1, 2), dm[f, part]  # (4, C, T), (4, T, K)
                if first and part.start == 0:
                    np.matmul(v_f, dm_f, out=du[f])  # (4, C, K)
                else:
                    du[f] += np.matmul(v_f, dm_f, out=workspace("du", du[f].shape, x.dtype))

        parallel(transform, blocks)
        parallel(multiply, strips(64, FREQUENCIES))

    for i, blocks in enumerate(chunks(dy.shape, max(C, K))):
        add(blocks, i == 0)
    transform_filters(G.T, du, dw)  # GT du G
    return dw if emit is None else emit(..., dw)


def pays(x_shape, w_shape, stride):
    """Whether a convolution of x (N,H,W,C) with w (KH,KW,C,K) is to be done here rather than by im2col.

    The transforms cost the same for few channels as for many, so they must save many multiplications; and a transformed
    w is read for each product, 64 numbers for 9, so there must be many tiles. experiments/speed/choice.py checks this.
    """
    if tuple(w_shape[:2]) != (3, 3) or tuple(stride) != (1, 1) or conv_choice() == "im2col":
        return False
    (N, H, W, _), (_, _, C, K) = x_shape, w_shape
    return conv_choice() == "winograd" or (min(C, K) >= 16 and N * H * W >= 256)


@cache
def matrices(dtype):
    """BT (8,8), G (8,3) and AT (6,8) for the points 0, 1, -1, 2, -2, 1/2, -1/2 and infinity.

    Rows of the three are scaled by powers of two, so that none is much larger than the others.
    """
    BT = [[-4, 0, 21, 0, -21, 0, 4, 0], [0, 4, 4, -17, -17, 4, 4, 0], [0, -4, 4, 17, -17, -4, 4, 0]]
    BT += [[0, 4, 2, -20, -10, 16, 8, 0], [0, -4, 2, 20, -10, -16, 8, 0], [0, 8, 16, -10, -20, 2, 4, 0]]
    BT += [[0, -8, 16, 10, -20, -2, 4, 0], [0, -4, 0, 21, 0, -21, 0, 4]]
    G = [[-90, 0, 0], [-40, -40, -40], [-40, 40, -40], [16, 32, 64], [16, -32, 64]]
    G += [[64, 32, 16], [64, -32, 16], [0, 0, 90]]
    AT = [[32, 16, 16, 1, 1, 32, 32, 0], [0, 16, -16, 2, -2, 16, -16, 0], [0, 16, 16, 4, 4, 8, 8, 0]]
    AT += [[0, 16, -16, 8, -8, 4, -4, 0], [0, 16, 16, 16, 16, 2, 2, 0], [0, 16, -16, 32, -32, 1, -1, 32]]
    BT, G, AT = np.array(BT, dtype) / 16, np.array(G, dtype) / 45, np.array(AT, dtype) / 16
    return BT, G, AT


Block = namedtuple("Block", "n y x rows columns tiles")
# A rectangle of tiles: rows x columns of them in picture n, from tile (y, x) on; `tiles`: the slice of v for them.


def chunks(shape, channels, alone=False):
    """Cut the tiles of y (N,OH,OW,K) into chunks, lists of blocks, evenly; alone: of one block each.

    channels: the larger of C and K.
    """
    N, OH, OW, _ = shape
    TH, TW = -(-OH // 6), -(-OW // 6)
    block, count = max(1, BLOCK // (64 * channels)), -(-N * TH * TW * 64 * channels // CHUNK)
    enough = 1 if alone else -(-N * TH * TW // count)
    across = strips(TW, block) if TW > block else [slice(0, TW)]
    chunk, T = [], 0
    for n, rows, columns in product(range(N), strips(TH, block // TW), across):
        h, w = rows.stop - rows.start, columns.stop - columns.start
        chunk.append(Block(n, rows.start, columns.start, h, w, slice(T, T + h * w)))
        T += h * w
        if T >= enough:
            yield chunk
            chunk, T = [], 0
    if chunk:
        yield chunk


def forward(x, w, b, padding, relu=False, turned=False):
    """y = conv(x, w) + b, then ReLU if asked: x (N,H,W,C), w (3,3,C,K), b (K,) or None -> (N,OH,OW,K).

    turned: w is (3,3,K,C) and is to be turned by 180 degrees; then this is the input gradient, with dy for x.
    """
    N, H, W, C = x.shape
    K = w.shape[2 if turned else 3]
    y = np.empty((N, H + 2 * padding[0] - 2, W + 2 * padding[1] - 2, K), x.dtype)
    small = C * K <= SMALL
    u, frequencies = filters(w, turned, small), pieces(64, 64 if small else FREQUENCIES)  # u (64, C, K)
    (BT, _, _), (outer, inner) = matrices(x.dtype), (parallel, serial) if small else (serial, parallel)

    def tiles(name, T, D):
        return workspace(name, (64, T, D), x.dtype) if small else np.empty((64, T, D), x.dtype)

    def compute(blocks):
        T = blocks[-1].tiles.stop
        v, m = tiles("v", T, C), tiles("m", T, K)

        def multiply(f):  # f: a slice of the frequencies
            for part in product_tiles(T, C, K):
                np.matmul(v[f, part], u[f], out=m[f, part])  # (f, T, C) @ (f, C, K)
            if b is not None and f.start <= 9 < f.stop:
                m[9] += b  # the point (1, 1): AT adds it to all 36 pixels with weight 1

        inner(lambda block: read_tiles(BT, x, block, padding, v), blocks)
        inner(multiply, frequencies)
        inner(lambda block: output_tiles(m, block, y, relu), blocks)

    outer(compute, chunks(y.shape, max(C, K), alone=small))
    return y


def filters(w, turned, copy):
    """u = G w GT (64,C,K) of w (3,3,C,K); turned: of w turned by 180 degrees, (64,K,C), transposed as view or copy."""
    C, K = w.shape[2:]
    _, G, _ = matrices(w.dtype)
    u = np.empty((64, C, K), w.dtype)
    transform_filters(np.ascontiguousarray(G[:, ::-1]) if turned else G, w, u)
    u = u.swapaxes(1, 2) if turned else u
    return np.ascontiguousarray(u) if copy else u


def product_tiles(T, C, K):
    """Cut T tiles for one product each: all at once where u is large, else so few that OpenBLAS copies nothing."""
    return pieces(T, PRODUCT // (C * K)) if C * K <= SMALL else [slice(0, T)]


def transform_filters(matrix, source, target):
    """target (t,t,C,K) = M source MT for M (t,s) and source (s,s,C,K), along y first and then along x."""
    t, s = matrix.shape
    source, target = source.reshape(s, s, -1), target.reshape(t, t, -1)

    def transform(part):
        half = workspace("half", (t, s, part.stop - part.start), target.dtype)
        np.matmul(matrix, source[:, :, part].swapaxes(0, 1), out=half.swapaxes(0, 1))  # (t, s) @ (s, s, part)
        np.matmul(matrix, half, out=target[:, :, part])  # (t, s) @ (t, s, part)

    parallel(transform, strips(source.shape[2], FILTERS))


def read_tiles(matrix, x, block, padding, v):
    """Fill the block's tiles of v (64,T,C) with M d MT for M (8,t) and t x t tiles d of x (N,H,W,C), 6 pixels apart."""
    n, ty, tx, rows, columns, tiles = block
    t, C = matrix.shape[1], x.shape[3]
    H, W = 6 * rows + t - 6, 6 * columns + t - 6
    part = window(x[n], 6 * ty - padding[0], 6 * tx - padding[1], H, W)
    line, _, item = part.strides
    half = workspace("half", (rows, 8, W, C), x.dtype)
    np.matmul(matrix, strided(part, (rows, t, W * C), (6 * line, line, item)), out=half.reshape(rows, 8, W * C))
    a, b, c, d = half.strides
    half = strided(half, (rows, 8, columns, t, C), (a, b, 6 * c, c, d))
    np.matmul(matrix, half, out=by_rows(v, block))  # (8, t) @ (rows, 8, columns, t, C)


def output_tiles(m, block, y, relu):
    """Write AT m A, the block's 6x6 tiles, to y (N,OH,OW,K), which may cut the last row and column short."""
    _, _, AT = matrices(y.dtype)
    n, ty, tx, rows, columns, tiles = block
    K = y.shape[3]
    half = workspace("half", (rows, 8, columns, 6, K), y.dtype)
    np.matmul(AT, by_rows(m, block), out=half)  # (6, 8) @ (rows, 8, columns, 8, K)
    half = half.reshape(rows, 8, 6 * columns * K)
    target = y[n, 6 * ty : 6 * (ty + rows), 6 * tx : 6 * (tx + columns)]
    fits = target.shape[:2] == (6 * rows, 6 * columns)
    whole = target if fits else workspace("whole", (6 * rows, 6 * columns, K), y.dtype)
    np.matmul(AT, half, out=whole.reshape(rows, 6, 6 * columns * K))  # (6, 8) @ (rows, 8, 6 columns K)
    whole = whole[: target.shape[0], : target.shape[1]]
    if relu:
        np.maximum(whole, 0, out=target)
    elif not fits:
        target[:] = whole


def by_rows(v, block):
    """The block's tiles of v (64,T,C), seen as (rows, 8, columns, 8, C): the eights are frequency along y and x."""
    _, T, C = v.shape
    v = v.reshape(8, 8, T, C)[:, :, block.tiles].reshape(8, 8, block.rows, block.columns, C)
    return v.transpose(2, 0, 3, 1, 4)
