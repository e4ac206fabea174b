"""Transposed convolution ("deconvolution"): the adjoint of conv2d with the same w. It makes a picture larger.

conv2d takes C channels to K; its adjoint takes K back to C. Where conv2d gathers a patch of x into one pixel of y, this
spreads each pixel of x over a patch of y, weighted by w, and patches that overlap add up:

    y[n, iy sy + ky - py, ix sx + kx - px, c] += x[n, iy, ix, k] w[ky, kx, c, k]        then + b[c]

    x    o   o   o          stride 2, kernel 4: each o spreads over four pixels
        /|\\ /|\\ /|\\
    y  . . . . . . . .      OH = (H - 1) sy + KH - 2 py

Because <conv2d(y), x> = <y, conv_transpose2d(x)>, its gradients are conv2d's functions with the roles exchanged:

    dx = conv2d(dy, w)        dw = conv2d's weight gradient with dy as the input and x as the output's gradient

Long, Shelhamer, Darrell 2015, section 3.3: upsampling is backwards strided convolution.
"""

from .. import device
from ..autograd import Function, Tensor
from .checks import axes, equal, pair


class ConvTranspose2d(Function):
    def __init__(self, stride, padding, out_size):
        self.stride, self.padding, self.out_size = stride, padding, out_size

    def forward(self, x, w, b=None):
        shape = (x.shape[0], *self.out_size, w.shape[2])  # (N, OH, OW, C)
        if any(self.needs):
            self.x, self.w = x, w
        return device.of(x).conv_input_grad(x, w, shape, self.stride, self.padding, b)

    def backward(self, dy):
        dx = dw = None
        # --- dx ---
        if self.needs[0]:
            dx = device.of(dy).conv_forward(dy, self.w, None, self.stride, self.padding)  # (N, H, W, K)
        # --- dw ---
        if self.needs[1]:
            dw = device.of(dy).conv_weight_grad(dy, self.x, self.w.shape, self.stride, self.padding)  # (KH, KW, C, K)
        # --- db ---
        db = (device.of(dy).bias_grad(dy) if self.needs[2] else None,) if len(self.needs) == 3 else ()  # (C,)
        return dx, dw, *db


def conv_transpose2d(x, w, b=None, stride=1, padding=0) -> Tensor:
    """Apply the adjoint of conv2d(., w, stride, padding) and add the bias.

    x (N,H,W,K), w (KH,KW,C,K), b (C,) or None, all float32 or all float64; stride and padding an int or a pair.
    Returns (N,OH,OW,C) with OH = (H - 1) stride + KH - 2 padding; a size below 1 raises ValueError.
    """
    op = "conv_transpose2d"
    stride, padding = pair(op, "stride", stride, 1), pair(op, "padding", padding, 0)
    x, w = (t if isinstance(t, Tensor) else Tensor(t) for t in (x, w))
    b = b if isinstance(b, Tensor) or b is None else Tensor(b)
    axes(op, "x", x.data, "N H W K")
    axes(op, "w", w.data, "KH KW C K")
    equal(op, "channels of x (K of w)", w.shape[3], x.shape[3])
    out_size = tuple((x.shape[1 + i] - 1) * stride[i] + w.shape[i] - 2 * padding[i] for i in (0, 1))
    if min(out_size) < 1:
        raise ValueError(f"{op}: output size: expected at least 1 x 1, received {out_size[0]} x {out_size[1]}")
    if b is None:
        return ConvTranspose2d(stride, padding, out_size)(x, w)
    equal(op, "shape of b", (w.shape[2],), b.shape)
    return ConvTranspose2d(stride, padding, out_size)(x, w, b)
