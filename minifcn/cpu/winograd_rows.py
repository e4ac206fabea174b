"""Winograd's F(4, 3) down the columns only, for 3x3 convolutions of few channels: half of the multiplications.

With few channels the transforms of F(4x4, 3x3) cost as much as the products they save. Down one axis they are nearly
free: 4 rows of y come from 6 rows of x, transformed as they lie in memory, and across the other axis it is im2col:

    6 rows of x (6, (OW + 2) C)  --BT-->  v (6, OW + 2, C)  --gather 3-->  cols (6, OW, 3 C)  @  u = G w (6, 3 C, K)
                                                                 = m (6, OW, K)  --AT-->  4 rows of y (4, OW K)

The weight gradient is the transposed chain: du[f] = cols[f]^T @ (A dy)[f], dw = G^T du. Exact but for rounding.
"""

from functools import cache

import numpy as np
from numpy.lib.stride_tricks import as_strided

from .threads import parallel, strips, workspace
from .windows import pictures, window

STRIP = 1 << 17  # elements of cols a strip: 512 KB of float32


@cache
def matrices(dtype):
    """BT (6,6), G (6,3) and AT (4,6) for the points 0, 1, -1, 2, -2, infinity (Lavin, Gray 2015)."""
    BT = [[4, 0, -5, 0, 1, 0], [0, -4, -4, 1, 1, 0], [0, 4, -4, -1, 1, 0]]
    BT += [[0, -2, -1, 2, 1, 0], [0, 2, -1, -2, 1, 0], [0, 4, 0, -5, 0, 1]]
    G = [[6, 0, 0], [-4, -4, -4], [-4, 4, -4], [1, 2, 4], [1, -2, 4], [0, 0, 24]]
    AT = [[1, 1, 1, 1, 1, 0], [0, 1, -1, 2, -2, 0], [0, 1, 1, 4, 4, 0], [0, 1, -1, 8, -8, 1]]
    return np.array(BT, dtype), np.array(G, dtype) / dtype.type(24), np.array(AT, dtype)


def forward(x, w, b, padding, relu, out):
    """conv_forward for 3x3 kernels and stride 1: x (N,H,W,C), w (3,3,C,K), b (K,) or None -> (N,OH,OW,K)."""
    N, H, W, C = x.shape
    K = w.shape[3]
    OH, OW = H + 2 * padding[0] - 2, W + 2 * padding[1] - 2
    TH = -(-OH // 4)
    _, G, AT = matrices(x.dtype)
    y = np.empty((N, OH, OW, K), x.dtype) if out is None else out
    u = np.einsum("fy,yxck->fxck", G, w).reshape(6, 3 * C, K)

    def work(strip):
        cols = columns(x, strip, (OH, OW), padding)  # (6, R OW, 3 C)
        m = np.matmul(cols, u, out=workspace("products", (6, cols.shape[1], K), x.dtype))
        if b is not None:
            m[1] += b  # the point 1: AT adds it to all 4 rows with weight 1
        rows4 = workspace("rows", (strip.stop - strip.start, 4, OW * K), x.dtype)
        np.matmul(AT, m.reshape(6, -1, OW * K).swapaxes(0, 1), out=rows4)  # (4, 6) @ (R, 6, OW K)
        for done, n, ty, rows in pictures(strip, TH):
            target = y[n, 4 * ty : 4 * (ty + rows)]  # may end early, at the bottom of the picture
            source = rows4[done : done + rows].reshape(-1, OW, K)[: len(target)]
            if relu:
                np.maximum(source, 0, out=target)
            else:
                target[:] = source

    parallel(work, strips(N * TH, STRIP // (18 * OW * C)))
    return y


def weight_grad(x, dy, padding, dw):
    """Write the weight gradient to dw (3,3,C,K): x (N,H,W,C), dy (N,OH,OW,K)."""
    N, OH, OW, K = dy.shape
    C = x.shape[3]
    TH = -(-OH // 4)
    _, G, AT = matrices(x.dtype)
    groups = list(strips(N * TH, -(-N * TH // 4)))  # threads share these out, each with a sum of its own
    du = np.zeros((len(groups), 6, 3 * C, K), x.dtype)

    def work(g):
        for part in strips(groups[g].stop - groups[g].start, STRIP // (18 * OW * C)):
            strip = slice(groups[g].start + part.start, groups[g].start + part.stop)
            dm = workspace("products", (6, strip.stop - strip.start, OW * K), x.dtype)
            for done, n, ty, rows in pictures(strip, TH):
                rows4 = window(dy[n], 4 * ty, 0, 4 * rows, OW).reshape(rows, 4, OW * K)
                np.matmul(AT.T, rows4, out=dm[:, done : done + rows].swapaxes(0, 1))  # (6, 4) @ (rows, 4, OW K)
            cols = columns(x, strip, (OH, OW), padding)  # (6, R OW, 3 C)
            du[g] += np.matmul(cols.swapaxes(1, 2), dm.reshape(6, -1, K))  # (6, 3 C, K)

    parallel(work, range(len(groups)))
    dw[:] = np.einsum("fy,fxck->yxck", G, du.sum(axis=0).reshape(6, 3, C, K))


def columns(x, strip, out_size, padding):
    """BT down the columns, im2col across, for the R tile rows of a strip: (6, R OW, 3 C) in this thread's workspace."""
    C, (OH, OW) = x.shape[3], out_size
    BT, _, _ = matrices(x.dtype)
    cols = workspace("gathered", (6, strip.stop - strip.start, OW, 3, C), x.dtype)
    for done, n, ty, rows in pictures(strip, -(-OH // 4)):
        part = window(x[n], 4 * ty - padding[0], -padding[1], 4 * rows + 2, OW + 2).reshape(4 * rows + 2, -1)
        a, b = part.strides
        tiles = as_strided(part, (rows, 6, part.shape[1]), (4 * a, a, b), writeable=False)
        v = workspace("transformed", (6, rows, OW + 2, C), x.dtype)
        np.matmul(BT, tiles, out=v.reshape(6, rows, -1).swapaxes(0, 1))  # (6, 6) @ (rows, 6, (OW + 2) C)
        f, r, s, c = v.strides
        cols[:, done : done + rows] = as_strided(v, (6, rows, OW, 3, C), (f, r, s, s, c), writeable=False)
    return cols.reshape(6, -1, 3 * C)
