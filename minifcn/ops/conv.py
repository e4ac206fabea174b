"""Convolution (cross-correlation, as everywhere in deep learning), NHWC.

    y[n, oy, ox, k] = b[k] + sum over ky, kx, c of  x[n, oy sy + ky - py, ox sx + kx - px, c] w[ky, kx, c, k]

with x read as zero outside the picture, stride (sy, sx) and padding (py, px). Size of the output:

    OH = (H + 2 py - KH) // sy + 1

      x, padded          w            y
    . . . . . . .     +-----+
    . +-----+ x .     | KH x|      each y pixel is the product of one
    . | x x | x .  *  | KW  |  ->  KH x KW x C patch with w, seen as a
    . +-----+ x .     +-----+      (KH KW C, K) matrix
    . . . . . . .

Gradients, with dy = d loss / d y:

    db[k]            = sum over n, oy, ox        of dy[n, oy, ox, k]
    dw[ky, kx, c, k] = sum over n, oy, ox        of x[n, oy sy + ky - py, ox sx + kx - px, c] dy[n, oy, ox, k]
    dx[n, iy, ix, c] = sum over oy, ox, ky, kx, k of dy[n, oy, ox, k] w[ky, kx, c, k]   where oy sy + ky - py = iy, ...

Long, Shelhamer, Darrell 2015, section 3.1: fully connected layers are convolutions with kernels that cover their input.
"""

from .. import device
from ..autograd import Function, Tensor
from .checks import axes, equal, pair


class Conv2d(Function):
    def __init__(self, stride, padding, relu):
        self.stride, self.padding, self.relu = stride, padding, relu

    def forward(self, x, w, b=None):
        y = device.of(x).conv_forward(x, w, b, self.stride, self.padding, self.relu)  # (N, OH, OW, K)
        if any(self.needs):
            self.x, self.w, self.b, self.x_shape = x, w, b, x.shape
            self.y = y if self.relu else None
        return y

    def branch(self):
        return self.output() > 0 if self.relu else None

    def output(self):
        """y, once more where it was not kept."""
        if self.y is not None:
            return self.y
        return device.of(self.x).conv_forward(self.x, self.w, self.b, self.stride, self.padding, self.relu)

    def backward(self, dy):
        if self.relu:
            dy = device.of(dy).relu_backward(dy, self.output())
            self.y = None
        # --- dw, dx --- x must be computed once more, and is gone again before dx is made
        if self.x is None:
            dw = self.weight_grad(self.parents[0].output(), dy)
            dx = self.input_grad(dy)
        # --- dx, dw --- in this order, as who consumes dw changes w
        else:
            dx = self.input_grad(dy)
            dw = self.weight_grad(self.x, dy, getattr(self.parents[1], "consume", None))
        # --- db ---
        db = (device.of(dy).bias_grad(dy) if self.needs[2] else None,) if len(self.needs) == 3 else ()  # (K,)
        return dx, dw, *db

    def input_grad(self, dy):
        if self.needs[0]:
            return device.of(dy).conv_input_grad(dy, self.w, self.x_shape, self.stride, self.padding)  # (N, H, W, C)

    def weight_grad(self, x, dy, consume=None):
        """dw (KH,KW,C,K) in the memory of the last one, or None where it was consumed in slabs."""
        if self.needs[1]:
            out = self.parents[1].spare() if isinstance(self.parents[1], Tensor) else None
            return device.of(dy).conv_weight_grad(x, dy, self.w.shape, self.stride, self.padding, out=out, emit=consume)


def forget_input(y: Tensor) -> None:
    """Compute the input of y = conv2d(conv2d(x, ...), ...) once more in backward, instead of keeping it.

    Worth it where the first convolution is cheap and its output large. Without effect where nothing was recorded.
    """
    if isinstance(y.creator, Conv2d) and isinstance(y.creator.parents[0], Conv2d):
        y.creator.x = y.creator.parents[0].y = None


def conv2d(x, w, b=None, stride=1, padding=0, relu=False) -> Tensor:
    """Convolve pictures with kernels, add the bias, and apply ReLU if asked (in the same pass over memory).

    x (N,H,W,C), w (KH,KW,C,K), b (K,) or None, all float32 or all float64; stride and padding an int or a pair
    (vertical, horizontal). Returns (N,OH,OW,K) with OH = (H + 2 padding - KH) // stride + 1.
    Raises ValueError for shapes that do not fit, TypeError for mixed dtypes.
    """
    stride, padding = pair("conv2d", "stride", stride, 1), pair("conv2d", "padding", padding, 0)
    x, w = (t if isinstance(t, Tensor) else Tensor(t) for t in (x, w))
    b = b if isinstance(b, Tensor) or b is None else Tensor(b)
    axes("conv2d", "x", x.data, "N H W C")
    axes("conv2d", "w", w.data, "KH KW C K")
    equal("conv2d", "input channels of w", x.shape[3], w.shape[2])
    for i, side in enumerate(("height", "width")):
        if x.shape[1 + i] + 2 * padding[i] < w.shape[i]:
            raise ValueError(
                f"conv2d: {side}: expected at least the kernel's {w.shape[i]} after padding, "
                f"received {x.shape[1 + i]} + 2 x {padding[i]}"
            )
    if b is None:
        return Conv2d(stride, padding, relu)(x, w)
    equal("conv2d", "shape of b", (w.shape[3],), b.shape)
    return Conv2d(stride, padding, relu)(x, w, b)
