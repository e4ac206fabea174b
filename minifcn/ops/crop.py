"""Crop: cut a rectangle out of every picture. FCNs align feature maps of different strides with it.

    y[n, oy, ox, c] = x[n, oy + top, ox + left, c]            dx: dy inside the rectangle, zero around it

Long, Shelhamer, Darrell 2015, section 4.2; where the offsets come from is in models/geometry.py.
"""

from .. import device
from ..autograd import Function, Tensor
from .checks import fit, pair


class Crop(Function):
    def forward(self, x):
        return x[self.inside].copy()  # (N, height, width, C)

    def backward(self, dy):
        # --- dx ---
        dx = device.xp(dy).zeros(self.shapes[0], dy.dtype)
        dx[self.inside] = dy
        return (dx,)


def crop(x, top: int, left: int, height: int, width: int) -> Tensor:
    """Return rows top .. top + height - 1 and columns left .. left + width - 1 of x (N,H,W,C) as (N,height,width,C).

    Raises ValueError where the rectangle is empty or leaves the picture.
    """
    (x,) = fit("crop", x=(x, "N H W C"))
    top, left = pair("crop: top, left", (top, left), 0)
    height, width = pair("crop: height, width", (height, width), 1)
    bottom, right = top + height, left + width
    if bottom > x.shape[1] or right > x.shape[2]:
        raise ValueError(f"crop: expected top + height, left + width in {x.shape[1:3]}, received {(bottom, right)}")
    return Crop(inside=(slice(None), slice(top, bottom), slice(left, right)))(x)
