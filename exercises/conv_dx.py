"""Exercise 2: a convolution's gradient with respect to its input.      Check it: python -m exercises conv_dx

dy says how much the loss grows for each output of

    y[n, oy, ox, k] = b[k] + sum over ky, kx, c of  x[n, oy s + ky - p, ox s + kx - p, c] w[ky, kx, c, k]

How much does it grow for each input? On the way there, x[n, iy, ix, c] was multiplied by w[ky, kx, c, k] and went into
y[n, oy, ox, k], for all those with iy = oy s + ky - p and ix = ox s + kx - p. On the way back dy goes the same ways:

    dx[n, iy, ix, c] = sum over all of these of  dy[n, oy, ox, k] w[ky, kx, c, k]

How: the easiest is to scatter. Make zeros of the padded picture's size. Each output pixel adds dy times the kernel to
its own patch of them. At the end cut the padding off.
"""

import numpy as np


def conv_dx(dy, w, x_shape, stride, padding):
    """dy (N,OH,OW,K), w (KH,KW,C,K), x_shape (N, H, W, C), stride and padding ints -> dx (N,H,W,C)."""
    raise NotImplementedError
