"""Max pooling: each output pixel is the largest value in its window, channel by channel.

    y[n, oy, ox, c] = max over ky, kx of  x[n, oy sy + ky - py, ox sx + kx - px, c]      -inf outside the picture

    x  1 3 | 2 0        y  5 2      OH = (H + 2 p - k) // s + 1, rounded up with ceil_mode; a last window
       5 4 | 1 2                         that would start beyond the picture and its left padding is dropped
    dx 0 0 | 1 0  <- dy 1 1
       1 0 | 0 0

The gradient goes to the element that won; of equal ones to the first (rows before columns). NaN wins, as in PyTorch.
VGG-16 (Simonyan, Zisserman 2015) pools 2 x 2 with stride 2; Caffe rounds sizes up.
"""

from .. import device
from ..autograd import Function, Tensor
from .checks import fit, nonempty, pair

TAPS = 256  # of a kernel, at most: which of them won is kept as one byte


class MaxPool2d(Function):
    def forward(self, x):
        # both (N, OH, OW, C); the winner is kept, one byte an output, instead of the input
        y, self.winner = device.of(x).pool_forward(x, *self.rule, self.out_size)
        return y

    def branch(self):
        return self.winner

    def backward(self, dy):
        # --- dx ---
        return (device.of(dy).pool_backward(dy, self.winner, self.shapes[0], *self.rule),)  # (N, H, W, C)


def pooled_size(size: int, kernel: int, stride: int, padding: int, ceil_mode: bool) -> int:
    """Return the pooled size of a side, by PyTorch's rule."""
    span = size + 2 * padding - kernel
    out = (-(-span // stride) if ceil_mode else span // stride) + 1
    if ceil_mode and (out - 1) * stride >= size + padding:
        out -= 1  # the last window would see nothing but padding
    return out


def max_pool2d(x, kernel_size, stride=None, padding=0, ceil_mode=False) -> Tensor:
    """Return the maximum over windows of x (N,H,W,C), float32 or float64, as (N,OH,OW,C).

    kernel_size, stride (default kernel_size) and padding are ints or pairs (vertical, horizontal); padding, of -inf, is
    at most half the kernel, which has at most 256 taps. Raises ValueError for sizes that leave no output.
    """
    (x,) = fit("max_pool2d", x=(x, "N H W C"))
    kernel = pair("max_pool2d: kernel_size", kernel_size, 1)
    stride = kernel if stride is None else pair("max_pool2d: stride", stride, 1)
    padding = pair("max_pool2d: padding", padding, 0)
    if kernel[0] * kernel[1] > TAPS:
        raise ValueError(f"max_pool2d: kernel_size: expected at most {TAPS} taps, received {kernel[0]} x {kernel[1]}")
    if any(2 * p > k for p, k in zip(padding, kernel, strict=True)):
        raise ValueError(f"max_pool2d: padding: expected at most half of kernel {kernel}, received {padding}")
    sides = zip(x.shape[1:3], kernel, stride, padding, strict=True)
    out_size = tuple(pooled_size(*side, ceil_mode) for side in sides)
    nonempty(f"max_pool2d: picture {x.shape[1:3]}, kernel {kernel}, padding {padding}", out_size)
    return MaxPool2d(rule=(kernel, stride, padding), out_size=out_size)(x)
