"""Rectified linear unit.

    y = max(x, 0)            dx = dy where y > 0, else 0 (the gradient at 0 is taken as 0)

Where a ReLU follows a convolution, conv2d(..., relu=True) computes the same in one pass over memory.
"""

from .. import device
from ..autograd import Function, Tensor


class ReLU(Function):
    def forward(self, x):
        self.y = device.of(x).relu_forward(x)
        return self.y

    def branch(self):
        return self.y > 0

    def backward(self, dy):
        # --- dx ---
        return (device.of(dy).relu_backward(dy, self.y),)


def relu(x) -> Tensor:
    """Return max(x, 0) for x of any shape, float32 or float64; NaN stays NaN."""
    return ReLU()(x)
