"""A convolution's gradient with respect to its input: what was a patch read on the way there is a patch written now."""

import numpy as np


def conv_dx(dy, w, x_shape, stride, padding):
    """dy (N,OH,OW,K), w (KH,KW,C,K), x_shape (N, H, W, C), stride and padding ints -> dx (N,H,W,C)."""
    N, H, W, C = x_shape
    KH, KW, C, K = w.shape
    N, OH, OW, K = dy.shape
    dpadded = np.zeros((N, H + 2 * padding, W + 2 * padding, C))
    for oy in range(OH):
        for ox in range(OW):
            top, left = oy * stride, ox * stride
            dpatch = np.einsum("nk,yxck->nyxc", dy[:, oy, ox, :], w)  # (N, KH, KW, C)
            dpadded[:, top : top + KH, left : left + KW, :] += dpatch  # += : patches overlap
    return dpadded[:, padding : padding + H, padding : padding + W, :]  # (N, H, W, C)
