"""Addition of two tensors and multiplication by a number, also as the operators + and *.

    y = a + b        da = db = dy
    y = x s          dx = dy s

Long, Shelhamer, Darrell 2015, figure 3: skip connections join by addition; training "at once" scales the skips.
"""

from ..autograd import Function, Tensor, check_scalar
from .checks import equal


class Add(Function):
    def forward(self, a, b):
        return a + b

    def backward(self, dy):
        # --- da, db --- two arrays: each gradient belongs to one input only
        return dy, dy.copy()


class Scale(Function):
    def __init__(self, scalar):
        self.scalar = scalar

    def forward(self, x):
        return x * x.dtype.type(self.scalar)  # in x's dtype: a float64 number must not turn float32 into float64

    def backward(self, dy):
        # --- dx ---
        return (dy * dy.dtype.type(self.scalar),)


def add(a, b) -> Tensor:
    """Return a + b for tensors of the same shape and dtype; nothing is broadcast (ValueError, TypeError)."""
    a, b = (t if isinstance(t, Tensor) else Tensor(t) for t in (a, b))
    equal("add", "shape of b", a.shape, b.shape)
    return Add()(a, b)


def scale(x, scalar) -> Tensor:
    """Return x times a number, in x's dtype. Raises TypeError for anything but a real number."""
    return Scale(check_scalar("scale", scalar))(x)


Tensor.__add__ = Tensor.__radd__ = add
Tensor.__mul__ = Tensor.__rmul__ = scale
