"""Global average pooling: the mean of each channel over the whole map. A classifier's scores come out of it.

    y[n, 0, 0, c] = (1 / (H W)) sum over h, w of x[n, h, w, c]            dx[n, h, w, c] = dy[n, 0, 0, c] / (H W)

Simonyan, Zisserman 2015, section 3.2: fully connected layers applied as convolutions give a map of class scores, which
is averaged over the picture.
"""

from .. import device
from ..autograd import Function, Tensor
from .checks import axes


class GlobalAverage(Function):
    def forward(self, x):
        self.x_shape = x.shape
        return x.mean((1, 2), keepdims=True)  # (N, 1, 1, C)

    def backward(self, dy):
        # --- dx ---
        _, H, W, _ = self.x_shape
        dx = device.xp(dy).empty(self.x_shape, dy.dtype)
        dx[...] = dy * dy.dtype.type(1 / (H * W))
        return (dx,)


def global_average(x) -> Tensor:
    """Return the mean of x (N,H,W,C) over its H W positions as (N,1,1,C). Raises ValueError unless x has four axes."""
    x = x if isinstance(x, Tensor) else Tensor(x)
    axes("global_average", "x", x.data, "N H W C")
    return GlobalAverage()(x)
