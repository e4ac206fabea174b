"""Batch normalisation on a GPU, by whole-array operations: only pretraining needs it, and it has no kernels."""

from . import cuda


def batch_norm_forward(x, b, eps, relu, total):
    """Of x (..., K) return y = xhat + b (or its ReLU), xhat = (x - mean) / sqrt(var + eps), mean and var (K,)."""
    x = x.reshape(-1, x.shape[-1])  # (M, K)
    M = total(len(x))
    mean = total(x.sum(0)) / M
    xhat = x - mean
    var = total((xhat * xhat).sum(0)) / M
    xhat /= cuda.xp.sqrt(var + x.dtype.type(eps))
    y = xhat + b
    return (cuda.xp.maximum(y, 0) if relu else y), xhat, mean, var


def batch_norm_backward(dy, y, xhat, var, eps, total):
    """Return dx (M, K) and db (K,); y is the output where it went through a ReLU, None where not."""
    dy = dy.reshape(xhat.shape)
    if y is not None:
        dy = cuda.xp.where(y > 0, dy, dy.dtype.type(0))
    M, db, slope = total(len(dy)), dy.sum(0), (dy * xhat).sum(0)
    return (dy - total(db) / M - xhat * (total(slope) / M)) / cuda.xp.sqrt(var + dy.dtype.type(eps)), db
