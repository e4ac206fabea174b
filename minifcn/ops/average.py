"""Global average pooling: the mean of each channel over the whole map. It gives a classifier's scores.

    y[n, 0, 0, c] = (1 / (H W)) sum over h, w of x[n, h, w, c]            dx[n, h, w, c] = dy[n, 0, 0, c] / (H W)

Simonyan, Zisserman 2015, section 3.2: fully connected layers applied as convolutions give a map of class scores, which
is averaged over the picture.
"""

from .. import device
from ..autograd import Function, Tensor
from .checks import fit


class GlobalAverage(Function):
    def forward(self, x):
        return x.mean((1, 2), keepdims=True)  # (N, 1, 1, C)

    def backward(self, dy):
        # --- dx ---
        _, H, W, _ = self.shapes[0]
        return (device.xp(dy).broadcast_to(dy * dy.dtype.type(1 / (H * W)), self.shapes[0]).copy(),)


def global_average(x) -> Tensor:
    """Return the mean of x (N,H,W,C) over its H W positions as (N,1,1,C). Raises ValueError unless x has four axes."""
    return GlobalAverage()(*fit("global_average", x=(x, "N H W C")))
