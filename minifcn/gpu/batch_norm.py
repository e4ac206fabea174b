"""Batch normalisation on a GPU, by whole-array operations: only pretraining needs it, and it has no kernels."""

from . import cuda


def batch_norm_forward(x, b, eps, relu):
    """Of x (..., K) return y = xhat + b (or its ReLU), xhat = (x - mean) / sqrt(var + eps), mean and var (K,)."""
    x = x.reshape(-1, x.shape[-1])  # (M, K)
    mean = x.mean(0)
    xhat = x - mean
    var = (xhat * xhat).mean(0)
    xhat /= cuda.xp.sqrt(var + x.dtype.type(eps))
    y = xhat + b
    return (cuda.xp.maximum(y, 0) if relu else y), xhat, mean, var


def batch_norm_backward(dy, y, xhat, var, eps):
    """Return dx (M, K) and db (K,); y is the output where it went through a ReLU, None where not."""
    dy = dy.reshape(xhat.shape)
    if y is not None:
        dy = cuda.xp.where(y > 0, dy, dy.dtype.type(0))
    db, slope = dy.sum(0), (dy * xhat).mean(0)
    return (dy - dy.mean(0) - xhat * slope) / cuda.xp.sqrt(var + dy.dtype.type(eps)), db
