"""Max pooling in NumPy: a pass a kernel tap over strips of output rows, keeping which tap won as one small integer.

The pixels under one tap lie `stride` apart in x, in runs of only C elements, and arithmetic on short runs is slow. So
each tap's pixels are copied to a contiguous block in the cache first, and all arithmetic is on such blocks.
"""

import numpy as np

from .elementwise import select
from .threads import parallel, strips, workspace

BLOCK = 1 << 14  # output elements a strip


def pool_forward(x, kernel, stride, padding, out_size):
    """Return y (N,OH,OW,C) and winner (N,OH,OW,C): the tap ky KW + kx that the maximum came from, uint8 up to 256 taps.

    x (N,H,W,C) is padded with -inf, below and to the right as far as the windows of out_size = (OH, OW) reach. The
    first of equal taps wins. NaN is larger than everything, as in PyTorch.
    """
    N, H, W, C = x.shape
    (KH, KW), (sy, sx), (py, px), (OH, OW) = kernel, stride, padding, out_size
    y = np.empty((N, OH, OW, C), x.dtype)
    winner = np.zeros((N, OH, OW, C), np.uint8 if KH * KW <= 256 else np.uint32)
    reach_y, reach_x = (OH - 1) * sy + KH, (OW - 1) * sx + KW
    if py or px or reach_y > H or reach_x > W:
        padded = np.full((N, max(reach_y, H + 2 * py), max(reach_x, W + 2 * px), C), -np.inf, x.dtype)
        padded[:, py : py + H, px : px + W] = x
        x = padded

    def work(task):
        n, strip = task
        best, won = y[n, strip], winner[n, strip]  # (rows, OW, C)
        best[:] = x[n][taps(strip, 0, OW, kernel, stride)]
        v, later = workspace("tap", best.shape, x.dtype), workspace("later", won.shape, won.dtype)
        for tap in range(1, KH * KW):
            v[:] = x[n][taps(strip, tap, OW, kernel, stride)]
            np.multiply(v > best, won.dtype.type(tap), out=later)
            np.maximum(won, later, out=won)  # taps come in order, so a larger one is a later and better one
            np.maximum(best, v, out=best)
        rest = ~(best > -np.inf)  # NaN, or nothing but -inf
        if rest.any():
            _settle(x[n], rest, won, strip, kernel, stride, padding)

    parallel(work, [(n, strip) for n in range(N) for strip in strips(OH, BLOCK // (OW * C))])
    return y, winner


def taps(strip, tap, OW, kernel, stride):
    """The index (rows, columns) of the pixels that `tap` sees from the output rows of a strip."""
    (ky, kx), (sy, sx) = divmod(tap, kernel[1]), stride
    return (
        slice(strip.start * sy + ky, (strip.stop - 1) * sy + ky + 1, sy),
        slice(kx, (OW - 1) * sx + kx + 1, sx),
    )


def _settle(x, rest, won, strip, kernel, stride, padding):
    """Let a window's first NaN win, or, of a window of -inf, its first tap in the picture; rare, so one by one."""
    for oy, ox, c in np.argwhere(rest):
        top, left = (strip.start + oy) * stride[0], ox * stride[1]
        nan = np.flatnonzero(np.isnan(x[top : top + kernel[0], left : left + kernel[1], c]))
        inside = max(padding[0] - top, 0) * kernel[1] + max(padding[1] - left, 0)
        won[oy, ox, c] = nan[0] if len(nan) else inside


def pool_backward(dy, winner, x_shape, kernel, stride, padding):
    """dx (N,H,W,C): each dy goes to the tap that won its window."""
    N, H, W, C = x_shape
    _, OH, OW, _ = dy.shape
    (KH, KW), (sy, sx), (py, px) = kernel, stride, padding
    size = max((OH - 1) * sy + KH, H + 2 * py), max((OW - 1) * sx + KW, W + 2 * px)
    apart = sy >= KH and sx >= KW  # windows do not overlap: each element of dx is written once, by any thread
    tiled = (sy, sx) == (KH, KW) and size == (OH * sy, OW * sx)  # and none is left out
    dx = (np.empty if tiled else np.zeros)((N, *size, C), dy.dtype)

    def work(task):
        n, rows = task
        for strip in strips(rows.stop - rows.start, BLOCK // (OW * C)):
            strip = slice(rows.start + strip.start, rows.start + strip.stop)
            share = workspace("tap", (strip.stop - strip.start, OW, C), dy.dtype)
            for tap in range(KH * KW):
                target = dx[n][taps(strip, tap, OW, kernel, stride)]
                select(dy[n, strip], winner[n, strip] == tap, out=share)
                if apart:
                    target[:] = share
                else:
                    target += share

    parts = list(strips(OH, -(-OH // 4))) if apart else [slice(0, OH)]
    parallel(work, [(n, rows) for n in range(N) for rows in parts])
    return np.ascontiguousarray(dx[:, py : py + H, px : px + W])
