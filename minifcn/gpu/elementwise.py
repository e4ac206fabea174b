"""ReLU and SGD on the GPU."""

import numpy as np

from ..sizes import pieces
from . import cuda

BLOCK = 1 << 26  # elements squared at a time


def relu_forward(x):
    """max(x, 0); NaN stays NaN."""
    x = cuda.xp.ascontiguousarray(x)
    y = cuda.xp.empty(x.shape, x.dtype)
    cuda.per_quad("relu_forward", x.size, (x, y, x.size))
    return y


def relu_backward(dy, y):
    """dy where y > 0, else 0: in place, where dy is contiguous."""
    dx, y = cuda.xp.ascontiguousarray(dy), cuda.xp.ascontiguousarray(y)
    cuda.per_quad("relu_backward", dx.size, (dx, y, dx.size))
    return dx


def sgd_update(w, dw, v, lr, momentum, weight_decay):
    """In place: v = momentum v + (dw + weight_decay w); w -= lr v. w, dw, v of one shape and dtype, contiguous."""
    dw = cuda.xp.ascontiguousarray(dw)
    cuda.per_quad("sgd_update", w.size, (w, dw, v, w.size, float(lr), float(momentum), float(weight_decay)))


def sum_of_squares(x):
    """The sum of x^2 as one float64 on the device: asking for its value waits for the device."""
    flat = x.reshape(-1)
    total = cuda.xp.zeros((), np.float64)
    for piece in pieces(flat.size, BLOCK):
        total += cuda.xp.sum(cuda.xp.square(flat[piece]), dtype=np.float64)
    return total
