"""Exercise 5: bilinear upsampling, there and back.      Check it: python -m exercises bilinear_upsampling

A factor s gives each pixel a tent of 2 s numbers, highest in its middle, which lies between numbers s - 1 and s:

    tent[i] = 1 - |i - (s - 1/2)| / s           i = 0 .. 2 s - 1

In two dimensions the weights are the products of a tent down and a tent across. Pixel (iy, ix) is spread with them over
the 2 s x 2 s patch that begins at row iy s and column ix s; where patches overlap they add up. H rows become (H + 1) s.

That is a transposed convolution, the same for each channel. On the way back each pixel gathers: it multiplies the
gradient of its patch by the same weights, and adds up.
"""

import numpy as np


def tent(s):
    """s an int -> (2 s,) weights."""
    raise NotImplementedError


def upsample(x, s):
    """x (N,H,W,C), s an int -> y (N,(H + 1) s,(W + 1) s,C)."""
    raise NotImplementedError


def upsample_dx(dy, s):
    """dy (N,(H + 1) s,(W + 1) s,C), s an int -> dx (N,H,W,C)."""
    raise NotImplementedError
