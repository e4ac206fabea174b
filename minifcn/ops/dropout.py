"""Dropout: at training time zero each element with probability p and scale the rest so that the mean stays.

    y = x m / (1 - p)        m is 0 with probability p, else 1        dx = dy m / (1 - p)

Srivastava, Hinton, Krizhevsky, Sutskever, Salakhutdinov 2014, section 10 ("inverted" form); FCN has it after fc6 and
fc7.
"""

import numpy as np

from .. import device
from ..autograd import Function, Tensor, as_tensor
from .checks import number


class Dropout(Function):
    def forward(self, x):
        self.mask = device.of(x).asarray(self.rng.random(x.shape, dtype=np.float32) >= self.p)
        self.scale = x.dtype.type(1 / (1 - self.p))
        y = x * self.mask
        y *= self.scale
        return y

    def backward(self, dy):
        # --- dx ---
        dy *= self.mask
        dy *= self.scale
        return (dy,)


def dropout(x, p: float, rng: np.random.Generator) -> Tensor:
    """Zero elements of x (any shape, float32 or float64) with probability p in [0, 1), scale the others by 1 / (1 - p).

    The mask is drawn from rng on the host, one float32 an element in C order, whatever the device or dtype: the same
    generator gives the same mask everywhere. p = 0 returns x unchanged. Raises ValueError for p outside [0, 1).
    """
    p = number("dropout: p", p, 0, 1)
    if not isinstance(rng, np.random.Generator):
        raise TypeError(f"dropout: rng: expected a numpy.random.Generator, received {rng!r}")
    return Dropout(p=p, rng=rng)(x) if p > 0 else as_tensor(x)
