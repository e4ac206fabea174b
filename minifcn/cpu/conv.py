"""The convolution loops in NumPy: forward, input gradient, weight gradient. conv2d and conv_transpose2d share them.

Each is a matrix product over strips of im2col. Row (n, oy, ox) of the im2col matrix holds the KH x KW x C patch of x
that output pixel (n, oy, ox) sees, and the product with w, seen as a (KH KW C, K) matrix, is the convolution:

    x (N,H,W,C)  --gather-->  cols (rows, KH KW C)  @  w (KH KW C, K)  =  y (rows, K)

A whole im2col matrix would be KH KW times the picture. A strip of output rows holds at most WORKSPACE elements of it
(or MIN_PIXELS pixels, where a single row of w is very long), so a thread's workspace is bounded and stays in the cache.
winograd.py takes over the 3x3 convolutions where it is faster.
"""

import numpy as np
from numpy.lib.stride_tricks import as_strided

from . import winograd
from .threads import parallel, strips, workspace
from .windows import pictures, window

WORKSPACE = 1 << 18  # elements of im2col a thread gathers at a time: 1 MB of float32
MIN_PIXELS = 128  # a product over fewer rows would spend its time reading w


def conv_forward(x, w, b, stride, padding, relu=False, out=None):
    """y = conv(x, w) + b, then ReLU if asked.

    x (N,H,W,C), w (KH,KW,C,K), b (K,) or None, stride and padding pairs; returns (N,OH,OW,K), written to `out` if
    given. OH = (H + 2 padding - KH) // stride + 1. Workspace: a strip of im2col a thread.
    """
    if winograd.pays(x.shape, w.shape, stride):
        return winograd.forward(x, w, b, padding, relu, out)
    N, H, W, C = x.shape
    KH, KW, _, K = w.shape
    OH, OW = ((s + 2 * p - k) // t + 1 for s, p, k, t in zip((H, W), padding, (KH, KW), stride, strict=True))
    y = np.empty((N, OH, OW, K), x.dtype) if out is None else out
    rows = y.reshape(N * OH, OW, K)
    matrix = np.ascontiguousarray(w).reshape(KH * KW * C, K)

    def work(strip):
        cols = im2col(x, strip, (OH, OW), (KH, KW), stride, padding)  # (rows OW, KH KW C)
        block = rows[strip].reshape(-1, K)  # (rows OW, K)
        np.matmul(cols, matrix, out=block)
        if b is not None:
            block += b
        if relu:
            np.maximum(block, 0, out=block)

    parallel(work, strips(N * OH, strip_rows(OW, KH * KW * C)))
    return y


def conv_input_grad(dy, w, x_shape, stride, padding, b=None, out=None):
    """dx = the adjoint of conv_forward applied to dy, plus b: the input gradient, and conv_transpose2d's forward.

    dy (N,OH,OW,K), w (KH,KW,C,K), x_shape = (N,H,W,C), b (C,) or None; returns (N,H,W,C), in `out` if given.
    """
    KH, KW, C, K = w.shape
    if tuple(stride) == (1, 1):
        # the adjoint of a stride-1 convolution is one with the kernel turned by 180 degrees, padding KH - 1 - padding
        turned = np.ascontiguousarray(w[::-1, ::-1].swapaxes(2, 3))  # (KH, KW, K, C)
        inner = (KH - 1 - padding[0], KW - 1 - padding[1])
        cut_y, cut_x = max(0, -inner[0]), max(0, -inner[1])  # outputs that saw nothing but padding
        dy = dy[:, cut_y : dy.shape[1] - cut_y, cut_x : dy.shape[2] - cut_x]
        return conv_forward(dy, turned, b, (1, 1), (inner[0] + cut_y, inner[1] + cut_x), out=out)
    return _scatter(dy, w, x_shape, stride, padding, b, out)


def _scatter(dy, w, x_shape, stride, padding, b, out):
    """Input gradient for strides: col2im. Each dy pixel adds dy @ w^T to the patch of x that it saw."""
    N, H, W, C = x_shape
    KH, KW, _, K = w.shape
    _, OH, OW, _ = dy.shape
    (sy, sx), (py, px) = stride, padding
    matrix = np.ascontiguousarray(w).reshape(KH * KW * C, K).T
    dx = np.empty(x_shape, dy.dtype) if out is None else out

    def work(n):
        padded = np.zeros((max(H + 2 * py, (OH - 1) * sy + KH), max(W + 2 * px, (OW - 1) * sx + KW), C), dy.dtype)
        for strip in strips(OH, strip_rows(OW, KH * KW * C)):
            dcols = dy[n, strip].reshape(-1, K) @ matrix
            dcols = dcols.reshape(-1, OW, KH, KW, C)
            for ky in range(KH):
                for kx in range(KW):
                    top, bottom = strip.start * sy + ky, (strip.stop - 1) * sy + ky + 1
                    padded[top:bottom:sy, kx : kx + (OW - 1) * sx + 1 : sx] += dcols[:, :, ky, kx]
        dx[n] = padded[py : py + H, px : px + W]
        if b is not None:
            dx[n] += b

    parallel(work, range(N))
    return dx


def conv_weight_grad(x, dy, w_shape, stride, padding, out=None, emit=None):
    """dw (KH,KW,C,K) = sum over pictures and pixels of patch (outer) dy.

    Kernel row ky of dw needs only kernel row ky of the patches, so dw is made in KH slabs. With `emit`, no whole dw
    exists: emit(ky, slab (KW,C,K)) is called once for each, in order, and None is returned. The sums are cut into
    partial sums by shape alone and added in a fixed order.
    """
    if winograd.pays(x.shape, w_shape, stride):
        return winograd.weight_grad(x, dy, padding, out, emit)
    KH, KW, C, K = w_shape
    N, OH, OW, _ = dy.shape
    dy_rows = dy.reshape(N * OH, OW, K)
    # enough partial sums to share out: several for a small kernel, one for a kernel of many rows
    groups = list(strips(N * OH, -(-N * OH // max(1, 4 // KH)))) if KH <= 4 else [slice(0, N * OH)]
    if out is None and emit is None:
        out = np.empty(w_shape, x.dtype)

    def slabs(kernel_rows):
        partial = np.empty((len(kernel_rows), len(groups), KW * C, K), x.dtype)

        def work(task):
            i, g = task
            group, ky = groups[g], kernel_rows[i]
            for j, piece in enumerate(strips(group.stop - group.start, strip_rows(OW, KW * C))):
                strip = slice(group.start + piece.start, group.start + piece.stop)
                cols = im2col(x, strip, (OH, OW), (1, KW), stride, padding, ky)  # (rows OW, KW C)
                dy_strip = dy_rows[strip].reshape(-1, K)  # (rows OW, K)
                if j == 0:
                    np.matmul(cols.T, dy_strip, out=partial[i, g])  # (KW C, K)
                else:
                    partial[i, g] += np.matmul(cols.T, dy_strip, out=workspace("dw", (KW * C, K), x.dtype))

        parallel(work, [(i, g) for i in range(len(kernel_rows)) for g in range(len(groups))])
        total = partial[:, 0] if len(groups) == 1 else partial.sum(axis=1)
        return total.reshape(-1, KW, C, K)

    if emit is None:
        out[:] = slabs(range(KH))
        return out
    for ky in range(KH):
        emit(ky, slabs([ky])[0])
    return None


def bias_grad(dy):
    """db (K,) = sum of dy (N,OH,OW,K) over everything but channels, by strips so that rounding errors stay small."""
    K = dy.shape[-1]
    flat = dy.reshape(-1, K)
    cuts = list(strips(len(flat), 1024))
    sums = np.empty((len(cuts), K), dy.dtype)
    ones = np.ones(1024, dy.dtype)

    def work(i):
        block = flat[cuts[i]]
        np.matmul(ones[: len(block)], block, out=sums[i])  # faster than sum(axis=0), whose loops are only K long

    parallel(work, range(len(cuts)))
    return sums.sum(axis=0)


def strip_rows(OW, patch):
    """Output rows a strip: as many as the workspace holds, but never less than MIN_PIXELS pixels."""
    return max(WORKSPACE // (OW * patch), -(-MIN_PIXELS // OW))


def im2col(x, strip, out_size, kernel, stride, padding, ky0=0):
    """Gather the patches of output rows `strip`, counted through all pictures: row n OH + oy is row oy of picture n.

    Returns (rows OW, KH KW C). ky0 shifts the patches down: with kernel (1, KW) it picks one kernel row.
    """
    N, H, W, C = x.shape
    (OH, OW), (KH, KW), (sy, sx), (py, px) = out_size, kernel, stride, padding
    if (KH, KW, sy, sx, py, px, ky0, OH) == (1, 1, 1, 1, 0, 0, 0, H):
        return x.reshape(N * H, W, C)[strip].reshape(-1, C)  # a 1x1 kernel sees each pixel once: nothing to gather
    cols = workspace("cols", (strip.stop - strip.start, OW, KH, KW, C), x.dtype)
    for done, n, oy, rows in pictures(strip, OH):
        part = window(x[n], oy * sy + ky0 - py, -px, (rows - 1) * sy + KH, (OW - 1) * sx + KW)
        a, b, c = part.strides
        cols[done : done + rows] = as_strided(part, (rows, OW, KH, KW, C), (sy * a, sx * b, a, b, c), writeable=False)
    return cols.reshape(-1, KH * KW * C)
