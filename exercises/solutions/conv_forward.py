"""One convolution, forward: a loop over output pixels; the sums over ky, kx and c are one product."""

import numpy as np


def conv_forward(x, w, b, stride, padding):
    """x (N,H,W,C), w (KH,KW,C,K), b (K,), stride and padding ints -> y (N,OH,OW,K)."""
    N, H, W, C = x.shape
    KH, KW, C, K = w.shape
    OH = (H + 2 * padding - KH) // stride + 1
    OW = (W + 2 * padding - KW) // stride + 1
    padded = np.pad(x, ((0, 0), (padding, padding), (padding, padding), (0, 0)))
    y = np.zeros((N, OH, OW, K))
    for oy in range(OH):
        for ox in range(OW):
            top, left = oy * stride, ox * stride
            patch = padded[:, top : top + KH, left : left + KW, :]  # (N, KH, KW, C)
            y[:, oy, ox, :] = np.einsum("nyxc,yxck->nk", patch, w) + b  # (N, K)
    return y
