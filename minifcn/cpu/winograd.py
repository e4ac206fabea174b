"""3x3 convolution with stride 1 by Winograd's F(4x4, 3x3): a quarter of the multiplications (Lavin, Gray 2015).

Along one axis, 4 outputs of a kernel of 3 taps come from 6 inputs, y = AT ((G w) * (BT d)): 6 products instead of 12.
Along both axes, a 4x4 tile of y comes from the 6x6 tile of x around it by 36 products instead of 144, and summed over
channels each of the 36 "frequencies" is a matrix product over all tiles:

    d (T,36,C)  --BT-->  v (T,36,C)  @  u = G w (36,C,K)  =  m (T,36,K)  --AT-->  tiles of y (T,16,K)

    +---+---+--        tiles of y do not overlap; the 6x6 tiles of x under them do, by 2 pixels.
    |4x4|   |          A tile is a row of 36 pixels with their channels, so the transform along both axes is ONE small
    +---+---+--        product a tile with a Kronecker product, such as kron(BT, BT) (36,36) @ d[t] (36,C)

The algorithm is bilinear, so the gradients are the transposed chain: the input gradient is the forward pass with turned
filters; the weight gradient is du[f] = v[f]^T @ (A dy)[f], dw = G^T du. It is exact but for rounding.

Strips of tile rows are cut so that a strip's tiles stay in the cache: workspace is about 5 STRIP elements a thread.
"""

import os
from functools import cache

import numpy as np
from numpy.lib.stride_tricks import as_strided

from . import winograd_rows
from .threads import parallel, strips, workspace
from .windows import pictures, window

STRIP = 1 << 17  # elements of v a strip
MIN_TILES = 16  # a product over fewer tiles would spend its time reading u
MIN_TILES_GRAD = 64  # in the weight gradient, where the products are added up
PARTIAL = 1 << 18  # elements of u up to which tiles, not channels, are shared out in the weight gradient


@cache
def matrices(dtype):
    """kron(BT, BT) (36,36), kron(G, G) (36,9) and kron(AT, AT) (16,36)."""
    return tuple(np.kron(m, m) for m in winograd_rows.matrices(dtype))


def pays(x_shape, w_shape, stride):
    """Whether a convolution of x (N,H,W,C) with w (KH,KW,C,K) is to come here rather than to im2col.

    Products with fewer than 16 output channels are slow in any form, and w is transformed for every call: 36 numbers
    for 9, which takes at least 64 tiles to earn. Measured on VGG-16 and its quarter at 160x192 to 360x480.
    """
    choice = os.environ.get("MINIFCN_CONV")
    if choice not in (None, "im2col", "winograd"):
        raise ValueError(f"MINIFCN_CONV: expected im2col or winograd, received {choice!r}")
    if tuple(w_shape[:2]) != (3, 3) or tuple(stride) != (1, 1) or choice == "im2col":
        return False
    N, H, W, C = x_shape
    return choice == "winograd" or (w_shape[3] >= 16 and N * -(-H // 4) * -(-W // 4) >= 64)


def narrow(C, K):
    """Whether C to K channels are too few for transforms along both axes; winograd_rows has the form for them."""
    return C < 16 or K < 16 or C * K <= 32 * 32


def forward(x, w, b, padding, relu=False, out=None):
    """conv_forward for 3x3 kernels and stride 1: x (N,H,W,C), w (3,3,C,K), b (K,) or None -> (N,OH,OW,K)."""
    N, H, W, C = x.shape
    K = w.shape[3]
    if narrow(C, K):
        return winograd_rows.forward(x, w, b, padding, relu, out)
    OH, OW = H + 2 * padding[0] - 2, W + 2 * padding[1] - 2
    TH, TW = -(-OH // 4), -(-OW // 4)
    _, G, AT = matrices(x.dtype)
    y = np.empty((N, OH, OW, K), x.dtype) if out is None else out
    u = np.empty((36, C, K), x.dtype)

    def transform(c):
        u[:, c] = (G @ w[:, :, c].reshape(9, -1)).reshape(36, -1, K)

    def work(strip):
        v = input_tiles(x, strip, (TH, TW), padding)  # (T, 36, C)
        m = workspace("products", (len(v), 36, K), x.dtype)
        np.matmul(v.swapaxes(0, 1), u, out=m.swapaxes(0, 1))  # (36, T, C) @ (36, C, K)
        if b is not None:
            m[:, 7] += b  # the point (1, 1): kron(AT, AT) adds it to all 16 pixels with weight 1
        tiles = np.matmul(AT, m, out=workspace("tiles", (len(v), 16, K), x.dtype))
        if relu:
            np.maximum(tiles, 0, out=tiles)
        place(tiles, y, strip, (TH, TW))

    parallel(transform, strips(C, 64))
    parallel(work, strips(N * TH, strip_rows(TW, C)))
    return y


def weight_grad(x, dy, padding, out=None, emit=None):
    """conv_weight_grad for 3x3 kernels and stride 1. x (N,H,W,C), dy (N,OH,OW,K) -> dw (3,3,C,K), or slabs of it."""
    C, K = x.shape[3], dy.shape[3]
    dw = np.empty((3, 3, C, K), x.dtype) if out is None else out
    (winograd_rows.weight_grad if narrow(C, K) else _weight_grad)(x, dy, padding, dw)
    if emit is None:
        return dw
    for ky in range(3):
        emit(ky, dw[ky])
    return None


def _weight_grad(x, dy, padding, dw):
    (N, OH, OW, K), C = dy.shape, x.shape[3]
    TH, TW = -(-OH // 4), -(-OW // 4)
    _, G, AT = matrices(x.dtype)
    # threads share out tiles, each group of them with a sum of its own, or, where a sum is large, channels of x
    by_channel = 36 * C * K > PARTIAL
    groups = [slice(0, N * TH)] if by_channel else list(strips(N * TH, -(-N * TH // 4)))
    channels = list(strips(C, -(-C // 4))) if by_channel else [slice(0, C)]
    du = np.empty((len(groups), 36, C, K), x.dtype)

    def add_up(task):
        g, c = task
        for i, part in enumerate(strips(groups[g].stop - groups[g].start, strip_rows(TW, C + K, MIN_TILES_GRAD))):
            strip = slice(groups[g].start + part.start, groups[g].start + part.stop)
            v = input_tiles(x[..., c], strip, (TH, TW), padding)  # (T, 36, C)
            tiles = gather(dy, strip, (TH, TW), 4, (0, 0), "tiles")  # (T, 16, K)
            dm = np.matmul(AT.T, tiles, out=workspace("products", (len(v), 36, K), x.dtype))
            v, dm = v.transpose(1, 2, 0), dm.swapaxes(0, 1)  # (36, C, T), (36, T, K)
            if i == 0:
                np.matmul(v, dm, out=du[g, :, c])  # (36, C, K)
            else:
                du[g, :, c] += np.matmul(v, dm, out=workspace("du", (36, v.shape[1], K), x.dtype))

    def finish(c):
        total = du[:, :, c].sum(axis=0) if len(groups) > 1 else du[0, :, c]
        dw[:, :, c] = (G.T @ total.reshape(36, -1)).reshape(3, 3, -1, K)

    parallel(add_up, [(g, c) for g in range(len(groups)) for c in channels])
    parallel(finish, channels)


def strip_rows(TW, channels, min_tiles=MIN_TILES):
    """Tile rows a strip: as many as STRIP elements hold, but never less than min_tiles tiles."""
    return max(STRIP // (36 * TW * channels), -(-min_tiles // TW))


def input_tiles(x, strip, tiles, padding):
    """v (T,36,C) = BT d B for the T tiles of a strip of tile rows, in this thread's workspace."""
    BT, _, _ = matrices(x.dtype)
    d = gather(x, strip, tiles, 6, padding, "gathered")  # (T, 36, C)
    return np.matmul(BT, d, out=workspace("transformed", d.shape, x.dtype))


def gather(x, strip, tiles, size, padding, name):
    """Copy the tiles of size x size pixels at every 4th row and column, for a strip of tile rows: (T, size size, C)."""
    (TH, TW), C = tiles, x.shape[3]
    d = workspace(name, (strip.stop - strip.start, TW, size, size, C), x.dtype)
    for done, n, ty, rows in pictures(strip, TH):
        part = window(x[n], 4 * ty - padding[0], -padding[1], 4 * rows + size - 4, 4 * TW + size - 4)
        a, b, c = part.strides
        d[done : done + rows] = as_strided(part, (rows, TW, size, size, C), (4 * a, 4 * b, a, b, c), writeable=False)
    return d.reshape(-1, size * size, C)


def place(tiles, y, strip, shape):
    """Write tiles (T,16,K) of a strip of tile rows to y (N,OH,OW,K); the last row and column may be cut short."""
    (TH, TW), (_, OH, OW, K) = shape, y.shape
    tiles = tiles.reshape(-1, TW, 4, 4, K)
    for done, n, ty, rows in pictures(strip, TH):
        for down, h in whole_and_rest(OH, ty, ty + rows):
            for across, w in whole_and_rest(OW, 0, TW):
                target = y[n, 4 * down.start : 4 * down.start + h * (down.stop - down.start)]
                target = target[:, 4 * across.start : 4 * across.start + w * (across.stop - across.start)]
                target = target.reshape(down.stop - down.start, h, across.stop - across.start, w, K).swapaxes(1, 2)
                first = done + down.start - ty
                target[:] = tiles[first : first + len(target), across, :h, :w]


def whole_and_rest(size, start, stop):
    """Cut tiles start .. stop of a side of `size` pixels into those of 4 pixels and the last, shorter one."""
    whole = min(stop, size // 4)
    if whole > start:
        yield slice(start, whole), 4
    if stop > whole:
        yield slice(whole, stop), size % 4
