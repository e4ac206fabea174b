"""ReLU and SGD in NumPy, in blocks that stay in the cache, over the thread pool."""

import numpy as np

from ..sizes import strips
from .threads import parallel, workspace

BLOCK = 1 << 18  # elements a block, 1 MB of float32: smaller ones would cost more in changes of thread


def relu_forward(x):
    """max(x, 0); NaN stays NaN."""
    y = np.empty(x.shape, x.dtype)
    source, target = np.ravel(x), y.reshape(-1)
    parallel(lambda block: np.maximum(source[block], 0, out=target[block]), strips(y.size, BLOCK))
    return y


def select(values, mask, out):
    """out = values where mask (bool), else 0, also where values are NaN there, which a product with 0 would keep.

    -1 is a word of ones, so `values & -mask` is either all bits or none: as fast as a product, a third of np.where.
    """
    word = np.dtype(f"i{values.itemsize}")
    np.bitwise_and(values.view(word), np.negative(mask.view(np.int8)), out=out.view(word))


def relu_backward(dy, y):
    """dy where y > 0, else 0: in place, where dy is contiguous."""
    dx = np.ascontiguousarray(dy)
    flat, y = dx.reshape(-1), np.ravel(y)
    parallel(lambda block: select(flat[block], y[block] > 0, out=flat[block]), strips(dx.size, BLOCK))
    return dx


def sgd_update(w, dw, v, lr, momentum, weight_decay):
    """In place: v = momentum v + (dw + weight_decay w); w -= lr v. w, dw, v of one shape and dtype, contiguous."""
    w, dw, v = w.reshape(-1), np.ravel(dw), v.reshape(-1)
    lr, momentum, weight_decay = (w.dtype.type(number) for number in (lr, momentum, weight_decay))

    def work(block):
        share = workspace("share", w[block].shape, w.dtype)
        v[block] *= momentum
        v[block] += dw[block]
        if weight_decay:
            v[block] += np.multiply(w[block], weight_decay, out=share)
        w[block] -= np.multiply(v[block], lr, out=share)

    parallel(work, strips(w.size, BLOCK))


def sum_of_squares(x):
    """The sum of x^2 as a float, by blocks in a fixed order: BLAS's own dot product depends on its threads."""
    flat = np.ravel(x)
    sums = parallel(lambda block: np.vdot(flat[block], flat[block]), strips(flat.size, BLOCK))
    return float(np.array(sums, np.float64).sum())
