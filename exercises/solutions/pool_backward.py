"""The way back through a max pool: each dy goes to the one number that won its window."""

import numpy as np


def pool_backward(dy, x, k, stride):
    """dy (N,OH,OW,C), x (N,H,W,C) as it came in on the way there, k and stride ints -> dx (N,H,W,C)."""
    N, OH, OW, C = dy.shape
    dx = np.zeros(x.shape)
    for n in range(N):
        for oy in range(OH):
            for ox in range(OW):
                for c in range(C):
                    top, left = oy * stride, ox * stride
                    window = x[n, top : top + k, left : left + k, c]
                    ky, kx = divmod(np.argmax(window), k)
                    dx[n, top + ky, left + kx, c] += dy[n, oy, ox, c]  # += : it may win other windows as well
    return dx
