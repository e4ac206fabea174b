"""Bilinear upsampling: there each pixel is spread over its patch, on the way back it gathers from the same patch."""

import numpy as np


def tent(s):
    """s an int -> (2 s,) weights."""
    return 1 - abs(np.arange(2 * s) - (s - 0.5)) / s


def upsample(x, s):
    """x (N,H,W,C), s an int -> y (N,(H + 1) s,(W + 1) s,C)."""
    N, H, W, C = x.shape
    weights = np.outer(tent(s), tent(s))[:, :, None]  # (2 s, 2 s, 1)
    y = np.zeros((N, (H + 1) * s, (W + 1) * s, C))
    for iy in range(H):
        for ix in range(W):
            pixel = x[:, iy, ix, None, None, :]  # (N, 1, 1, C)
            y[:, iy * s : iy * s + 2 * s, ix * s : ix * s + 2 * s] += pixel * weights
    return y


def upsample_dx(dy, s):
    """dy (N,(H + 1) s,(W + 1) s,C), s an int -> dx (N,H,W,C)."""
    N, OH, OW, C = dy.shape
    weights = np.outer(tent(s), tent(s))[:, :, None]
    dx = np.zeros((N, OH // s - 1, OW // s - 1, C))
    for iy in range(dx.shape[1]):
        for ix in range(dx.shape[2]):
            patch = dy[:, iy * s : iy * s + 2 * s, ix * s : ix * s + 2 * s]  # (N, 2 s, 2 s, C)
            dx[:, iy, ix] = (patch * weights).sum(axis=(1, 2))
    return dx
