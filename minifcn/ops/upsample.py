"""Bilinear upsampling by a whole factor, equal to a transposed convolution with fixed bilinear weights, but cheap.

The kernel of conv_transpose2d would be 2 s x 2 s (s the stride), each channel to itself, with the product of

    k[i] = 1 - |i - (s - 1/2)| / s        i = 0 .. 2 s - 1

along both axes. A product of two one-dimensional kernels is two matrix products, A_h x A_w^T, where column i of A holds
k from row i s on; the gradient is A_h^T dy A_w.

    k for s = 2:  1/4 3/4 3/4 1/4          OH = (H + 1) s

Long, Shelhamer, Darrell 2015, section 3.3; the weights are those of Caffe's BilinearFiller.
"""

from .. import device
from ..autograd import Function, Tensor
from .checks import fit, whole


class BilinearUpsample(Function):
    def forward(self, x):
        return device.of(x).upsample_forward(x, self.stride)  # (N, (H+1) stride, (W+1) stride, C)

    def backward(self, dy):
        # --- dx ---
        return (device.of(dy).upsample_backward(dy, self.stride),)  # (N, H, W, C)


def bilinear_upsample(x, stride: int) -> Tensor:
    """Enlarge x (N,H,W,C), float32 or float64, to (N,(H+1) stride,(W+1) stride,C) by linear interpolation.

    Outside x counts as zero, so the outermost stride pixels fade; FCNs crop most away. stride: an int, at least 1.
    """
    (x,) = fit("bilinear_upsample", x=(x, "N H W C"))
    return BilinearUpsample(stride=whole("bilinear_upsample: stride", stride, 1))(x)
