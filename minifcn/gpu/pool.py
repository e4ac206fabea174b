"""Max pooling on the GPU."""

import numpy as np

from . import cuda


def pool_forward(x, kernel, stride, padding, out_size):
    """Return y (N,OH,OW,C) and winner (N,OH,OW,C), uint8: the tap ky KW + kx that the maximum came from.

    x (N,H,W,C) counts as padded with -inf, as far as the windows of out_size = (OH, OW) reach, at most 256 taps each.
    The first of equal taps wins. NaN is larger than everything, as in PyTorch.
    """
    x = cuda.xp.ascontiguousarray(x)
    N, H, W, C = x.shape
    y, winner = (cuda.xp.empty((N, *out_size, C), dtype) for dtype in (x.dtype, np.uint8))
    sizes = (y.size // C, H, W, C, *out_size, *kernel, *stride, *padding)
    cuda.per_pixel("max_pool_forward", y.size // C, C, (x, y, winner, *sizes))
    return y, winner


def pool_backward(dy, winner, x_shape, kernel, stride, padding):
    """dx (N,H,W,C): each dy goes to the tap that won its window."""
    dy = cuda.xp.ascontiguousarray(dy)
    N, H, W, C = x_shape
    dx = cuda.xp.empty(x_shape, dy.dtype)
    sizes = (N * H * W, H, W, C, *dy.shape[1:3], *kernel, *stride, *padding)
    cuda.per_pixel("max_pool_backward", N * H * W, C, (dy, winner, dx, *sizes))
    return dx
