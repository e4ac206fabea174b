"""Sizes, cuts and the kernel of interpolation: the arithmetic that layers, networks and both devices share."""

import numpy as np


def conv_size(size, kernel, stride, padding) -> tuple[int, int]:
    """The output size (OH, OW) of a convolution over (H, W); all arguments are pairs (vertical, horizontal)."""
    sides = zip(size, kernel, stride, padding, strict=True)
    return tuple((s + 2 * p - k) // t + 1 for s, k, t, p in sides)


def is_copy(size, out_size, kernel, stride, padding, ky0) -> bool:
    """Whether im2col's matrix is x itself: a 1x1 kernel sees each pixel once, so there is nothing to gather."""
    return (*kernel, *stride, *padding, ky0, *out_size) == (1, 1, 1, 1, 0, 0, 0, *size)


def bilinear_kernel(stride, dtype):
    """The 2 stride weights of linear interpolation, k[i] = 1 - |i - (stride - 1/2)| / stride."""
    i = np.arange(2 * stride, dtype=dtype)
    return 1 - abs(i - (stride - 0.5)) / stride


def strips(total: int, size: int) -> list[slice]:
    """Cut range(total) for threads: into an even number of slices of at most about `size`, where that is possible."""
    count = -(-total // max(1, size))
    return cut(slice(0, total), min(total, count + count % 2))


def pieces(whole: int | slice, size: int) -> list[slice]:
    """Cut a slice, or range(whole), for a loop: into as few slices of at most `size` as will do."""
    whole = whole if isinstance(whole, slice) else slice(0, whole)
    return cut(whole, -(-(whole.stop - whole.start) // max(1, size)))


def cut(whole: slice, count: int) -> list[slice]:
    """Cut a slice into `count` slices, evenly."""
    total = whole.stop - whole.start
    return [slice(whole.start + total * i // count, whole.start + total * (i + 1) // count) for i in range(count)]
