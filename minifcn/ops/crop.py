"""Crop: cut a rectangle out of every picture. FCNs align feature maps of different strides with it.

    y[n, oy, ox, c] = x[n, oy + top, ox + left, c]            dx: dy inside the rectangle, zero around it

Long, Shelhamer, Darrell 2015, section 4.2; where the offsets come from is in models/geometry.py.
"""

from .. import device
from ..autograd import Function, Tensor
from .checks import pair, tensors


class Crop(Function):
    def __init__(self, top, left, height, width):
        self.rows, self.columns = slice(top, top + height), slice(left, left + width)

    def forward(self, x):
        return x[:, self.rows, self.columns].copy()  # (N, height, width, C)

    def backward(self, dy):
        # --- dx ---
        dx = device.xp(dy).zeros(self.shapes[0], dy.dtype)
        dx[:, self.rows, self.columns] = dy
        return (dx,)


def crop(x, top: int, left: int, height: int, width: int) -> Tensor:
    """Return rows top .. top + height - 1 and columns left .. left + width - 1 of x (N,H,W,C) as (N,height,width,C).

    Raises ValueError where the rectangle is empty or leaves the picture.
    """
    (x,) = tensors("crop", x=(x, "N H W C"))
    top, left = pair("crop", "top, left", (top, left), 0)
    height, width = pair("crop", "height, width", (height, width), 1)
    if top + height > x.shape[1] or left + width > x.shape[2]:
        received = f"{height} x {width} from row {top} and column {left} on"
        raise ValueError(f"crop: expected a rectangle inside {x.shape[1]} x {x.shape[2]}, received {received}")
    return Crop(top, left, height, width)(x)
