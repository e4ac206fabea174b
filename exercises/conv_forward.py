"""Exercise 1: one convolution, forward.                     Check it: python -m exercises conv_forward

    y[n, oy, ox, k] = b[k] + sum over ky, kx, c of  x[n, oy s + ky - p, ox s + kx - p, c] w[ky, kx, c, k]

with stride s and padding p. Outside the picture x counts as zero. The output has

    OH = (H + 2 p - KH) // s + 1        rows, and OW columns alike

How: surround x with p zeros. Go over the output pixels (oy, ox). Each is one patch of the padded picture times the
kernel, summed over rows, columns and channels, for every k. Seven loops are right as well, and slow.
"""

import numpy as np


def conv_forward(x, w, b, stride, padding):
    """x (N,H,W,C), w (KH,KW,C,K), b (K,), stride and padding ints -> y (N,OH,OW,K)."""
    raise NotImplementedError
