"""Bilinear upsampling on the GPU, one axis after the other, as on the CPU."""

from . import cuda


def upsample_forward(x, stride):
    """x (N,H,W,C) -> y (N,(H+1) stride,(W+1) stride,C)."""
    N, H, W, C = x.shape
    OH, OW = (H + 1) * stride, (W + 1) * stride
    wide = _along("upsample_forward", x, (N, H, OW, C), N * H, W, C, stride)
    return _along("upsample_forward", wide, (N, OH, OW, C), N, H, OW * C, stride)


def upsample_backward(dy, stride):
    """dx (N,H,W,C) from dy (N,(H+1) stride,(W+1) stride,C), the width first: the larger launch then has more rows."""
    N, OH, OW, C = dy.shape
    H, W = OH // stride - 1, OW // stride - 1
    dtall = _along("upsample_backward", dy, (N, OH, W, C), N * OH, W, C, stride)
    return _along("upsample_backward", dtall, (N, H, W, C), N, H, W * C, stride)


def _along(name, source, shape, outer, size, inner, stride):
    """Launch over (outer, size, inner), size being the low resolution; return the result, of that shape."""
    source, result = cuda.xp.ascontiguousarray(source), cuda.xp.empty(shape, source.dtype)
    cuda.per_pixel(name, result.size // inner, inner, (source, result, outer, size, inner, stride))
    return result
