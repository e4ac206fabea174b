"""im2col: the patches that a convolution's kernel sees, as the rows of a matrix; and col2im, its adjoint.

    x (N,H,W,C)         im2col's matrix (rows OW, KH KW C)
    +-----------+
    | a b|c d   |       a b e f     the patch of output pixel (n, oy, ox), here of a 2x2 kernel, is one row;
    | e f|g h   |  -->  b c f g     output rows are counted through all pictures: row n OH + oy is row oy of picture n
    +-----------+       c d g h

A whole matrix would be KH KW times the picture, so it is made for a strip of output rows at a time. Where C is tiny it
is made transposed, (KH KW C, rows OW), by whole rows of pixels: copying C numbers at a time would be slow.
"""

import math

import numpy as np

from ..sizes import is_copy
from .threads import workspace
from .windows import pictures, strided, window

WORKSPACE = 1 << 19  # elements of im2col a thread gathers at a time: 2 MB of float32, which stay in its cache
TINY = 8  # channels up to which the matrix is made transposed


def im2col(x, strip, out_size, kernel, stride, padding, ky0=0):
    """Gather the patches of output rows `strip` of x (N,H,W,C), contiguous: returns (rows OW, KH KW C).

    ky0 shifts the patches down: with kernel (1, KW) it picks one kernel row.
    """
    N, H, W, C = x.shape
    (OH, OW), (KH, KW), (sy, sx), (py, px) = out_size, kernel, stride, padding
    if is_copy((H, W), out_size, kernel, stride, padding, ky0):
        return x.reshape(N * H, W, C)[strip].reshape(-1, C)
    if C <= TINY:
        return im2col_planes(x, strip, out_size, kernel, stride, padding, ky0)
    shape = (strip.stop - strip.start, OW, KH, KW, C)
    cols = workspace("cols", shape, x.dtype) if math.prod(shape) <= WORKSPACE else np.empty(shape, x.dtype)
    for done, n, oy, rows in pictures(strip, OH):
        part = window(x[n], oy * sy + ky0 - py, -px, (rows - 1) * sy + KH, (OW - 1) * sx + KW)
        a, b, c = part.strides
        cols[done : done + rows] = strided(part, (rows, OW, KH, KW, C), (sy * a, sx * b, a, b, c))
    return cols.reshape(-1, KH * KW * C)


def im2col_planes(x, strip, out_size, kernel, stride, padding, ky0):
    """The same matrix (rows OW, KH KW C) for few channels, as the transpose of one that copies whole rows of pixels."""
    C = x.shape[3]
    (OH, OW), (KH, KW), (sy, sx), (py, px) = out_size, kernel, stride, padding
    cols = workspace("cols", (KH, KW, C, strip.stop - strip.start, OW), x.dtype)
    for done, n, oy, rows in pictures(strip, OH):
        part = window(x[n], oy * sy + ky0 - py, -px, (rows - 1) * sy + KH, (OW - 1) * sx + KW)
        planes = workspace("planes", (C, *part.shape[:2]), x.dtype)
        planes[:] = part.transpose(2, 0, 1)
        c, a, b = planes.strides
        cols[:, :, :, done : done + rows] = strided(planes, (KH, KW, C, rows, OW), (a, b, c, sy * a, sx * b))
    return cols.reshape(KH * KW * C, -1).T


def col2im(dcols, strip, dx, OH, stride):
    """Add row (n, oy, ox) of dcols (rows OW, KH KW C) to the patch of dx (N,H,W,C) that im2col would gather there.

    dcols comes as (rows, OW, KH, KW, C), for output rows `strip`; dx has its padding.
    """
    _, OW, KH, KW, _ = dcols.shape
    sy, sx = stride
    for done, n, oy, rows in pictures(strip, OH):
        for ky in range(KH):
            for kx in range(KW):
                top = oy * sy + ky
                target = dx[n, top : top + (rows - 1) * sy + 1 : sy, kx : kx + (OW - 1) * sx + 1 : sx]
                target += dcols[done : done + rows, :, ky, kx]
