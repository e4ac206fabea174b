"""Max pooling in NumPy: a pass a kernel tap over strips of output rows, keeping which tap won as one small integer.

The pixels under one tap lie `stride` apart in x, in runs of only C elements, and arithmetic on short runs is slow. So
each tap's pixels are copied to a contiguous block in the cache first, and all arithmetic is on such blocks.
"""

import numpy as np

from ..sizes import pieces, strips
from .elementwise import select
from .threads import parallel, workspace

BLOCK = 1 << 17  # output elements a strip


def pool_forward(x, kernel, stride, padding, out_size):
    """Return y (N,OH,OW,C) and winner (N,OH,OW,C) uint8: the tap ky KW + kx < 256 that the maximum came from.

    x (N,H,W,C) counts as padded with -inf, below and to the right as far as the windows of out_size = (OH, OW) reach.
    The first of equal taps wins. NaN is larger than everything, as in PyTorch.
    """
    N, H, W, C = x.shape
    (KH, KW), (OH, OW) = kernel, out_size
    y = np.empty((N, OH, OW, C), x.dtype)
    winner = np.zeros((N, OH, OW, C), np.uint8)

    def work(task):
        n, strip = task
        best, won = y[n, strip], winner[n, strip]  # (rows, OW, C)
        tap_pixels(x[n], 0, strip, best, kernel, stride, padding)
        v, later = workspace("tap", best.shape, x.dtype), workspace("later", won.shape, np.uint8)
        for tap in range(1, KH * KW):
            tap_pixels(x[n], tap, strip, v, kernel, stride, padding)
            np.multiply(v > best, np.uint8(tap), out=later)
            np.maximum(won, later, out=won)  # taps come in order, so a larger one is a later and better one
            np.maximum(best, v, out=best)
        if not (best > -np.inf).all():  # rare: of NaN the first wins, of nothing but -inf the first tap in the picture
            for tap in reversed(range(KH * KW)):
                there, here = seen(tap, strip, (H, W), OW, kernel, stride, padding)
                won[here][np.isnan(x[n][there]) | (best[here] == -np.inf)] = tap

    parallel(work, [(n, strip) for n in range(N) for strip in strips(OH, BLOCK // (OW * C))])
    return y, winner


def seen(tap, strip, shape, OW, kernel, stride, padding):
    """Where `tap` lies inside a picture (H,W,C), for output rows `strip`: (rows, columns) there, and in the strip."""
    there, here = [], []
    axes = zip(divmod(tap, kernel[1]), (strip, slice(0, OW)), shape[:2], stride, padding, strict=True)
    for k, out, size, s, p in axes:
        first = max(out.start, -((k - p) // s))  # the first o with o s + k - p >= 0
        count = max(0, min(out.stop, (size - 1 + p - k) // s + 1) - first)  # as long as o s + k - p < size
        there.append(slice(first * s + k - p, (first + count) * s + k - p, s))
        here.append(slice(first - out.start, first - out.start + count))
    return tuple(there), tuple(here)


def tap_pixels(picture, tap, strip, block, kernel, stride, padding):
    """Copy what `tap` sees of a picture (H,W,C) from output rows `strip` to block (rows,OW,C), -inf where nothing."""
    there, here = seen(tap, strip, picture.shape, block.shape[1], kernel, stride, padding)
    source = picture[there]
    if source.shape != block.shape:
        block[:] = -np.inf
    block[here] = source


def pool_backward(dy, winner, x_shape, kernel, stride, padding):
    """dx (N,H,W,C): each dy goes to the tap that won its window."""
    N, H, W, C = x_shape
    _, OH, OW, _ = dy.shape
    (KH, KW), (sy, sx) = kernel, stride
    apart = sy >= KH and sx >= KW  # windows do not overlap: each element of dx is written once, by any thread
    reach = OH * sy - padding[0], OW * sx - padding[1]
    covered = kernel == stride and reach[0] >= H and reach[1] >= W  # and none is left out
    dx = (np.empty if covered else np.zeros)(x_shape, dy.dtype)

    def work(task):
        n, rows = task
        for strip in pieces(rows, BLOCK // (OW * C)):
            share = workspace("tap", (strip.stop - strip.start, OW, C), dy.dtype)
            for tap in range(KH * KW):
                there, here = seen(tap, strip, x_shape[1:], OW, kernel, stride, padding)
                select(dy[n, strip], winner[n, strip] == tap, out=share)
                if apart:
                    dx[n][there] = share[here]
                else:
                    dx[n][there] += share[here]

    parts = strips(OH, -(-OH // 4)) if apart else [slice(0, OH)]
    parallel(work, [(n, rows) for n in range(N) for rows in parts])
    return dx
