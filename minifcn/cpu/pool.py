"""Max pooling in NumPy: one pass a kernel tap over strips of output rows, keeping which tap won as one small integer."""

import numpy as np

from .threads import parallel, strips

ROWS_ELEMENTS = 1 << 16  # output elements a strip


def pool_forward(x, kernel, stride, padding, out_size):
    """Return y (N,OH,OW,C) and winner (N,OH,OW,C): the tap ky KW + kx that the maximum came from, uint8 up to 256 taps.

    x (N,H,W,C) is padded with -inf, below and to the right as far as the windows of out_size = (OH, OW) reach. The first
    of equal taps wins. NaN is larger than everything, as in PyTorch.
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
        best, won = y[n, strip], winner[n, strip]
        rows = strip.stop - strip.start
        for tap in range(KH * KW):
            top, left = strip.start * sy + tap // KW, tap % KW
            v = x[n, top : top + (rows - 1) * sy + 1 : sy, left : left + (OW - 1) * sx + 1 : sx]  # (rows, OW, C)
            if tap == 0:
                best[:] = v
                continue
            better = v > best
            np.maximum(best, v, out=best)
            # best != best only where v is, or an earlier tap was, NaN; won keeps naming an element of the window
            np.copyto(won, won.dtype.type(tap), where=better)
        nan = best != best
        if nan.any():
            _first_nan(x[n], nan, won, strip, kernel, stride)

    per_strip = max(1, ROWS_ELEMENTS // (OW * C))
    parallel(work, [(n, strip) for n in range(N) for strip in strips(OH, per_strip)])
    return y, winner


def _first_nan(x, nan, won, strip, kernel, stride):
    """Let the first NaN of a window win; rare, so element by element."""
    for oy, ox, c in np.argwhere(nan):
        top, left = (strip.start + oy) * stride[0], ox * stride[1]
        window = x[top : top + kernel[0], left : left + kernel[1], c]
        won[oy, ox, c] = np.flatnonzero(np.isnan(window))[0]


def pool_backward(dy, winner, x_shape, kernel, stride, padding):
    """dx (N,H,W,C): each dy goes to the tap that won its window."""
    N, H, W, C = x_shape
    _, OH, OW, _ = dy.shape
    (KH, KW), (sy, sx), (py, px) = kernel, stride, padding
    size = max((OH - 1) * sy + KH, H + 2 * py), max((OW - 1) * sx + KW, W + 2 * px)
    dx = np.zeros((N, *size, C), dy.dtype)
    channels = list(strips(C, -(-C // 4)))  # windows may overlap in space, never across channels

    def work(task):
        n, c = task
        for tap in range(KH * KW):
            ky, kx = divmod(tap, KW)
            target = dx[n, ky : ky + (OH - 1) * sy + 1 : sy, kx : kx + (OW - 1) * sx + 1 : sx, c]
            target += dy[n, :, :, c] * (winner[n, :, :, c] == tap)

    parallel(work, [(n, c) for n in range(N) for c in channels])
    return np.ascontiguousarray(dx[:, py : py + H, px : px + W])
