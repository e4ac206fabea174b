"""Batch normalisation in NumPy, in blocks that stay in the cache, over the thread pool."""

import numpy as np

from ..sizes import strips
from .elementwise import select
from .threads import parallel, workspace

BLOCK = 1 << 16  # elements a block


def batch_norm_forward(x, b, eps, relu, total):
    """Of x (..., K) return y = xhat + b (or its ReLU), xhat = (x - mean) / sqrt(var + eps), mean and var (K,).

    total: gives the sum over all processes, where each has a share of the batch.
    """
    x = x.reshape(-1, x.shape[-1])  # (M, K)
    M, K = x.shape
    blocks, xhat, y = strips(M, max(1, BLOCK // K)), np.empty_like(x), np.empty_like(x)

    def squares(rows):
        np.subtract(x[rows], mean, out=xhat[rows])
        return [np.multiply(xhat[rows], xhat[rows], out=workspace("share", xhat[rows].shape, x.dtype))]

    def scale(rows):
        xhat[rows] *= scales
        np.add(xhat[rows], b, out=y[rows])
        if relu:
            np.maximum(y[rows], 0, out=y[rows])

    every = total(M)
    mean = total(column_sums(lambda rows: [x[rows]], blocks)[0]) / every
    var = total(column_sums(squares, blocks)[0]) / every
    scales = 1 / np.sqrt(var + x.dtype.type(eps))
    parallel(scale, blocks)
    return y, xhat, mean, var


def batch_norm_backward(dy, y, xhat, var, eps, total):
    """Return dx (M, K) and db (K,); y is the output where it went through a ReLU, None where not. Alters dy."""
    M, K = xhat.shape
    dy = np.ascontiguousarray(dy).reshape(M, K)
    blocks = strips(M, max(1, BLOCK // K))

    def times_xhat(rows, factor):
        return np.multiply(xhat[rows], factor, out=workspace("share", xhat[rows].shape, dy.dtype))

    def both(rows):
        if y is not None:
            select(dy[rows], y[rows] > 0, out=dy[rows])
        return dy[rows], times_xhat(rows, dy[rows])

    def combine(rows):
        dy[rows] -= times_xhat(rows, slope)
        dy[rows] -= level
        dy[rows] *= scales

    db, dscale = column_sums(both, blocks)  # (K,) each
    every = total(M)
    level, slope = total(db) / every, total(dscale) / every
    scales = 1 / np.sqrt(var + dy.dtype.type(eps))
    parallel(combine, blocks)
    return dy, db


def column_sums(values, blocks):
    """Sums (n, K) over the rows of n matrices, by blocks in a fixed order: values(block) gives n matrices (rows, K)."""

    def work(block):  # products with ones are faster than sum(axis=0), whose loops are only K long
        return [np.ones(len(part), part.dtype) @ part for part in values(block)]

    return np.sum(parallel(work, blocks), axis=0)
