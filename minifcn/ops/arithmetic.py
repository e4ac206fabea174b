"""Sums and products of tensors, also as the operators + and * and the method sum().

    y = a + b              da = db = dy
    y = a b                da = dy b, db = dy a          element by element
    y = x s                dx = dy s                     s a number
    y = sum over x         dx = dy everywhere

Long, Shelhamer, Darrell 2015, figure 3: skip connections join by addition; training "at once" scales the skips.
"""

from numbers import Real

from .. import device
from ..autograd import Function, Tensor, as_tensor
from .checks import number


class Add(Function):
    def forward(self, a, b):
        return a + b

    def backward(self, dy):
        # --- da, db --- two arrays: each gradient belongs to one input only
        return dy, dy.copy()


class Mul(Function):
    def forward(self, a, b):
        self.a, self.b = a if self.needs[1] else None, b if self.needs[0] else None
        return a * b

    def backward(self, dy):
        # --- da ---
        da = dy * self.b if self.needs[0] else None
        # --- db ---
        db = dy * self.a if self.needs[1] else None
        return da, db


class Scale(Function):
    def forward(self, x):
        return x * x.dtype.type(self.scalar)  # in x's dtype: a float64 number must not turn float32 into float64

    def backward(self, dy):
        # --- dx ---
        return (dy * dy.dtype.type(self.scalar),)


class Sum(Function):
    def forward(self, x):
        return x.sum()  # ()

    def backward(self, dy):
        # --- dx ---
        return (device.xp(dy).broadcast_to(dy, self.shapes[0]).copy(),)


def add(a, b) -> Tensor:
    """Return a + b for tensors of the same shape and dtype; nothing is broadcast (ValueError, TypeError)."""
    return Add()(*alike("add", a, b))


def multiply(a, b) -> Tensor:
    """Return a times b, element by element; for what fits, see add."""
    return Mul()(*alike("multiply", a, b))


def scale(x, scalar) -> Tensor:
    """Return x times a number, in x's dtype. Raises TypeError for anything but a real number."""
    return Scale(scalar=number("scale", scalar))(x)


def sum_all(x) -> Tensor:
    """Return the sum of all elements of x, of any shape, as a tensor of shape ()."""
    return Sum()(x)


def alike(op, a, b) -> tuple[Tensor, Tensor]:
    """Return both as Tensors; raise ValueError unless their shapes are equal."""
    a, b = as_tensor(a), as_tensor(b)
    if a.shape != b.shape:
        raise ValueError(f"{op}: b: expected shape {a.shape}, as a, received {b.shape}")
    return a, b


def times(x, other) -> Tensor:
    """x * other: multiply by a tensor or an array, scale by a number."""
    return multiply(x, other) if hasattr(other, "shape") and not isinstance(other, Real) else scale(x, other)


Tensor.__add__ = Tensor.__radd__ = add
Tensor.__mul__ = Tensor.__rmul__ = times
Tensor.sum = sum_all
