"""im2col: the patches that a convolution's kernel sees, as the rows of a matrix; and col2im, its adjoint.

    x (N,H,W,C)         im2col's matrix (rows OW, KH KW C)
    +-----------+
    | a b|c d   |       a b e f     the patch of output pixel (n, oy, ox), here of a 2x2 kernel, is one row;
    | e f|g h   |  -->  b c f g     output rows are counted through all pictures: row n OH + oy is row oy of picture n
    +-----------+       c d g h

A whole matrix would be KH KW times the picture, so it is made for a strip of output rows at a time. Where C is tiny it
is made transposed, (KH KW C, rows OW), by whole rows of pixels: copying C numbers at a time would be slow.

Its helpers, which read strips of rows out of batches of pictures, serve winograd.py's tiles too.
"""

import math
from collections.abc import Iterator

import numpy as np
from numpy.lib.stride_tricks import as_strided

from ..sizes import is_copy
from .threads import workspace

WORKSPACE = 1 << 19  # elements of im2col a thread gathers at a time: 2 MB of float32, which stay in its cache
TINY = 8  # channels up to which the matrix is made transposed


def im2col(x, strip, out_size, kernel, stride, padding, ky0=0):
    """Gather the patches of output rows `strip` of x (N,H,W,C): returns (rows OW, KH KW C).

    ky0 shifts the patches down: with kernel (1, KW) it picks one kernel row.
    """
    N, H, W, C = x.shape
    (OH, OW), (KH, KW), (sy, sx), (py, px) = out_size, kernel, stride, padding
    if is_copy((H, W), out_size, kernel, stride, padding, ky0):
        return x.reshape(N * H, W, C)[strip].reshape(-1, C)
    rows, tiny = strip.stop - strip.start, C <= TINY
    shape = (KH, KW, C, rows, OW) if tiny else (rows, OW, KH, KW, C)
    memory = workspace("cols", shape, x.dtype) if math.prod(shape) <= WORKSPACE else np.empty(shape, x.dtype)
    cols = memory.transpose(3, 4, 0, 1, 2) if tiny else memory  # (rows, OW, KH, KW, C)
    for done, n, oy, rows in pictures(strip, OH):
        part = window(x[n], oy * sy + ky0 - py, -px, (rows - 1) * sy + KH, (OW - 1) * sx + KW)
        if tiny:
            planes = workspace("planes", (C, *part.shape[:2]), x.dtype)
            planes[:] = part.transpose(2, 0, 1)
            part = planes.transpose(1, 2, 0)
        a, b, c = part.strides
        cols[done : done + rows] = strided(part, (rows, OW, KH, KW, C), (sy * a, sx * b, a, b, c))
    return memory.reshape(KH * KW * C, -1).T if tiny else memory.reshape(-1, KH * KW * C)


def col2im(dcols, strip, dx, OH, stride):
    """Add row (n, oy, ox) of dcols (rows OW, KH KW C) to the patch of dx (N,H,W,C) that im2col would gather there.

    dcols comes as (rows, OW, KH, KW, C), for output rows `strip`; dx has its padding.
    """
    _, OW, KH, KW, _ = dcols.shape
    sy, sx = stride
    for done, n, oy, rows in pictures(strip, OH):
        for ky, kx in np.ndindex(KH, KW):
            top = oy * sy + ky
            target = dx[n, top : top + (rows - 1) * sy + 1 : sy, kx : kx + (OW - 1) * sx + 1 : sx]
            target += dcols[done : done + rows, :, ky, kx]


def pictures(strip: slice, rows: int) -> Iterator[tuple[int, int, int, int]]:
    """Cut a strip of rows counted through all pictures, n rows + y, where a picture ends.

    Yields (done, n, y, count): after `done` rows of the strip come `count` rows of picture n, from row y on.
    """
    at = strip.start
    while at < strip.stop:
        n, y = divmod(at, rows)
        count = min(rows - y, strip.stop - at)
        yield at - strip.start, n, y, count
        at += count


def window(picture, top: int, left: int, height: int, width: int):
    """Rows top .. top + height and columns left .. left + width of a picture (H,W,C), zero outside it.

    Returns (height,width,C): a view of the picture where it holds them all, else a copy in this thread's workspace.
    Only to be read, and only until the next call.
    """
    H, W, C = picture.shape
    if top >= 0 and left >= 0 and top + height <= H and left + width <= W:
        return picture[top : top + height, left : left + width]
    y0, y1 = (min(max(edge, 0), H) for edge in (top, top + height))  # what the picture fills
    x0, x1 = (min(max(edge, 0), W) for edge in (left, left + width))
    copy = workspace("window", (height, width, C), picture.dtype)
    rows, columns = slice(y0 - top, y1 - top), slice(x0 - left, x1 - left)
    copy[: rows.start], copy[rows.stop :], copy[rows, : columns.start], copy[rows, columns.stop :] = 0, 0, 0, 0
    copy[rows, columns] = picture[y0:y1, x0:x1]
    return copy


def strided(array, shape: tuple[int, ...], strides: tuple[int, ...]):
    """A view of an array with other shape and strides, in bytes; the caller answers for the bounds."""
    if array.flags.c_contiguous:
        return np.ndarray(shape, array.dtype, array, 0, strides)  # as_strided takes longer
    return as_strided(array, shape, strides, writeable=False)
