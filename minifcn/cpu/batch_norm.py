"""Batch normalisation in NumPy, in blocks that stay in the cache, over the thread pool."""

import numpy as np

from ..sizes import strips
from .elementwise import select
from .threads import parallel, workspace

BLOCK = 1 << 16  # elements a block


def batch_norm_forward(x, b, eps, relu):
    """Of x (..., K) return y = xhat + b (or its ReLU), xhat = (x - mean) / sqrt(var + eps), mean and var (K,)."""
    K = x.shape[-1]
    x = x.reshape(-1, K)  # (M, K)
    blocks, M = list(strips(len(x), max(1, BLOCK // K))), len(x)
    sums, xhat, y = np.empty((len(blocks), K), x.dtype), np.empty_like(x), np.empty_like(x)

    def add_up(i):
        sums[i] = column_sums(x[blocks[i]])

    def centre(i):
        rows = blocks[i]
        np.subtract(x[rows], mean, out=xhat[rows])
        squares = workspace("share", xhat[rows].shape, x.dtype)
        sums[i] = column_sums(np.multiply(xhat[rows], xhat[rows], out=squares))

    def scale(i):
        rows = blocks[i]
        xhat[rows] *= scales
        np.add(xhat[rows], b, out=y[rows])
        if relu:
            np.maximum(y[rows], 0, out=y[rows])

    parallel(add_up, range(len(blocks)))
    mean = sums.sum(0) / M
    parallel(centre, range(len(blocks)))
    var = sums.sum(0) / M
    scales = 1 / np.sqrt(var + x.dtype.type(eps))
    parallel(scale, range(len(blocks)))
    return y, xhat, mean, var


def batch_norm_backward(dy, y, xhat, var, eps):
    """Return dx (M, K) and db (K,); y is the output where it went through a ReLU, None where not. Alters dy."""
    M, K = xhat.shape
    dy = np.ascontiguousarray(dy).reshape(M, K)
    blocks = list(strips(M, max(1, BLOCK // K)))
    sums = np.empty((2, len(blocks), K), dy.dtype)

    def add_up(i):
        rows = blocks[i]
        if y is not None:
            select(dy[rows], y[rows] > 0, out=dy[rows])
        product = workspace("share", dy[rows].shape, dy.dtype)
        sums[0, i] = column_sums(dy[rows])
        sums[1, i] = column_sums(np.multiply(dy[rows], xhat[rows], out=product))

    def combine(i):
        rows = blocks[i]
        share = workspace("share", dy[rows].shape, dy.dtype)
        dy[rows] -= np.multiply(xhat[rows], slope, out=share)
        dy[rows] -= level
        dy[rows] *= scales

    parallel(add_up, range(len(blocks)))
    db, dscale = sums.sum(1)  # (K,) each
    level, slope, scales = db / M, dscale / M, 1 / np.sqrt(var + dy.dtype.type(eps))
    parallel(combine, range(len(blocks)))
    return dy, db


def column_sums(x):
    """Sums of the columns of x (M, K): a product is faster than sum(0), whose loops are only K long."""
    return np.ones(len(x), x.dtype) @ x
