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
from .checks import fit, nonempty, pair


class ConvTranspose2d(Function):
    def forward(self, x, w, b):
        self.x, self.w = x, w
        shape = (x.shape[0], *self.out_size, w.shape[2])  # (N, OH, OW, C)
        return device.of(x).conv_input_grad(x, w, shape, *self.rule, b)

    def backward(self, dy):
        backend = device.of(dy)
        # --- dx ---
        dx = backend.conv_forward(dy, self.w, None, *self.rule) if self.needs[0] else None  # (N, H, W, K)
        # --- dw ---
        dw = backend.conv_weight_grad(dy, self.x, self.w.shape, *self.rule) if self.needs[1] else None  # (KH, KW, C, K)
        # --- db ---
        db = backend.bias_grad(dy) if self.needs[2] else None  # (C,)
        return dx, dw, db


def conv_transpose2d(x, w, b=None, stride=1, padding=0) -> Tensor:
    """Apply the adjoint of conv2d(., w, stride, padding) and add the bias.

    x (N,H,W,K), w (KH,KW,C,K), b (C,) or None, all float32 or all float64; stride and padding an int or a pair.
    Returns (N,OH,OW,C) with OH = (H - 1) stride + KH - 2 padding; a size below 1 raises ValueError.
    """
    op = "conv_transpose2d"
    stride, padding = pair(f"{op}: stride", stride, 1), pair(f"{op}: padding", padding, 0)
    x, w, b = fit(op, x=(x, "N H W K"), w=(w, "KH KW C K"), b=(b, "C or None"))
    out_size = tuple((x.shape[1 + i] - 1) * stride[i] + w.shape[i] - 2 * padding[i] for i in (0, 1))
    return ConvTranspose2d(rule=(stride, padding), out_size=nonempty(op, out_size))(x, w, b)
