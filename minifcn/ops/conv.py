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
from ..sizes import conv_size
from .checks import fit, nonempty, pair


class Conv2d(Function):
    def forward(self, x, w, b):
        y = device.of(x).conv_forward(x, w, b, *self.rule, self.relu)  # (N, OH, OW, K)
        self.x, self.w, self.y = x, w, y if self.relu else None
        return y

    def branch(self):
        return self.y > 0 if self.relu else None

    def backward(self, dy):
        backend = device.of(dy)
        if self.relu:
            dy = backend.relu_backward(dy, self.y)
            self.y = None  # freed before there is a dx
        # --- dx ---   the adjoint of the forward pass
        dx = backend.conv_input_grad(dy, self.w, self.shapes[0], *self.rule) if self.needs[0] else None  # (N, H, W, C)
        # --- dw ---   patch (outer) dy
        dw = backend.conv_weight_grad(self.x, dy, self.w.shape, *self.rule) if self.needs[1] else None  # (KH, KW, C, K)
        # --- db ---
        db = backend.bias_grad(dy) if self.needs[2] else None  # (K,)
        return dx, dw, db


def conv2d(x, w, b=None, stride=1, padding=0, relu=False, layer=Conv2d) -> Tensor:
    """Convolve pictures with kernels, add the bias, and apply ReLU if asked (in the same pass over memory).

    x (N,H,W,C), w (KH,KW,C,K), b (K,) or None, all float32 or all float64; stride and padding an int or a pair
    (vertical, horizontal). Returns (N,OH,OW,K) with OH = (H + 2 padding - KH) // stride + 1. layer: the Function that
    computes it; networks use another (ops/frugal.py).
    Raises ValueError for shapes that do not fit, TypeError for mixed dtypes.
    """
    stride, padding = pair("conv2d: stride", stride, 1), pair("conv2d: padding", padding, 0)
    x, w, b = fit("conv2d", x=(x, "N H W C"), w=(w, "KH KW C K"), b=(b, "K or None"))
    size, kernel = x.shape[1:3], w.shape[:2]
    nonempty(f"conv2d: picture {size}, kernel {kernel}, padding {padding}", conv_size(size, kernel, stride, padding))
    return layer(rule=(stride, padding), relu=relu)(x, w, b)
