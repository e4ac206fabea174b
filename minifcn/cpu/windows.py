"""Reading strips of rows out of batches of pictures: what im2col and the Winograd tiles have in common."""

from collections.abc import Iterator

import numpy as np
from numpy.lib.stride_tricks import as_strided

from .threads import workspace


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
    y0, x0 = (min(max(edge, 0), size) for edge, size in ((top, H), (left, W)))
    y1, x1 = (min(max(edge, 0), size) for edge, size in ((top + height, H), (left + width, W)))
    copy = workspace("window", (height, width, C), picture.dtype)
    top, bottom, left, right = y0 - top, y1 - top, x0 - left, x1 - left  # of what the picture fills
    copy[:top], copy[bottom:], copy[top:bottom, :left], copy[top:bottom, right:] = 0, 0, 0, 0
    copy[top:bottom, left:right] = picture[y0:y1, x0:x1]
    return copy


def strided(array, shape: tuple[int, ...], strides: tuple[int, ...]):
    """A view of an array with other shape and strides, in bytes; the caller answers for the bounds."""
    if array.flags.c_contiguous:
        return np.ndarray(shape, array.dtype, array, 0, strides)  # as_strided takes longer
    return as_strided(array, shape, strides, writeable=False)
