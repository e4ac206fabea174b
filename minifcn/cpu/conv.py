"""The convolution loops in NumPy: forward, input gradient, weight gradient. conv2d and conv_transpose2d share them.

Each is a matrix product over strips of im2col. Row (n, oy, ox) of the im2col matrix holds the KH x KW x C patch of x
that output pixel (n, oy, ox) sees, and the product with w, seen as a (KH KW C, K) matrix, is the convolution:

    x (N,H,W,C)  --gather-->  cols (rows, KH KW C)  @  w (KH KW C, K)  =  y (rows, K)

A whole im2col matrix would be KH KW times the picture. A strip of output rows holds at most WORKSPACE elements of it,
so that it stays in the cache, or at most PIXELS pixels where w is LARGE, as fc6's: then every product reads all of w,
few products must do, and threads share out w's columns instead of strips. Where C is tiny the matrix is made
transposed, (KH KW C, rows), by whole rows of pixels. winograd.py takes over the 3x3 convolutions where it is faster.
"""

import math

import numpy as np

from ..sizes import conv_size, is_copy, pieces, strips
from . import winograd
from .threads import parallel, serial, workspace
from .windows import pictures, strided, window

WORKSPACE = 1 << 19  # elements of im2col a thread gathers at a time: 2 MB of float32
LARGE = 1 << 20  # elements of w from which on it does not stay in the cache
PIXELS = 256  # a strip of y where w is large: fc6's workspace is PIXELS x 7 x 7 x 512 numbers, 26 MB of float32
TINY = 8  # channels up to which im2col goes by planes


def conv_forward(x, w, b, stride, padding, relu=False, out=None):
    """y = conv(x, w) + b, then ReLU if asked.

    x (N,H,W,C), w (KH,KW,C,K), b (K,) or None, stride and padding pairs; returns (N,OH,OW,K), written to `out` if
    given. OH = (H + 2 padding - KH) // stride + 1. Workspace: a strip of im2col a thread.
    """
    x = np.ascontiguousarray(x)
    if winograd.pays(x.shape, w.shape, stride):
        return winograd.forward(x, w, b, padding, relu, out)
    N, H, W, C = x.shape
    KH, KW, _, K = w.shape
    OH, OW = conv_size((H, W), (KH, KW), stride, padding)
    y = np.empty((N, OH, OW, K), x.dtype) if out is None else out
    rows = y.reshape(N * OH, OW, K)
    matrix = w.reshape(KH * KW * C, K)

    def product(cols, strip, channels=slice(None)):
        block = rows[strip].reshape(-1, K)[:, channels]  # (rows OW, K)
        np.matmul(cols, matrix[:, channels], out=block)
        if b is not None:
            block += b[channels]
        if relu:
            np.maximum(block, 0, out=block)

    if matrix.size < LARGE:
        parallel(
            lambda strip: product(im2col(x, strip, (OH, OW), (KH, KW), stride, padding), strip),
            strips(N * OH, WORKSPACE // (OW * KH * KW * C)),
        )
        return y
    for strip in pieces(N * OH, PIXELS // OW):
        cols = im2col(x, strip, (OH, OW), (KH, KW), stride, padding)  # (rows OW, KH KW C)
        parallel(lambda channels, cols=cols, strip=strip: product(cols, strip, channels), shares(K))
    return y


def conv_input_grad(dy, w, x_shape, stride, padding, b=None, out=None):
    """dx = the adjoint of conv_forward applied to dy, plus b: the input gradient, and conv_transpose2d's forward.

    dy (N,OH,OW,K), w (KH,KW,C,K), x_shape = (N,H,W,C), b (C,) or None; returns (N,H,W,C), in `out` if given.
    """
    dy = np.ascontiguousarray(dy)
    KH, KW, C, K = w.shape
    if max(padding) <= 2 and winograd.pays(dy.shape, (KH, KW, K, C), stride):
        return winograd.forward(dy, w, b, (2 - padding[0], 2 - padding[1]), out=out, turned=True)
    if tuple(stride) == (1, 1) and (w.size < LARGE or KH == KW == 1):
        # the adjoint of a stride-1 convolution is one with the kernel turned by 180 degrees, padding KH - 1 - padding
        turned = w[::-1, ::-1].swapaxes(2, 3)  # (KH, KW, K, C)
        inner = (KH - 1 - padding[0], KW - 1 - padding[1])
        cut_y, cut_x = max(0, -inner[0]), max(0, -inner[1])  # outputs that saw nothing but padding
        dy = dy[:, cut_y : dy.shape[1] - cut_y, cut_x : dy.shape[2] - cut_x]
        return conv_forward(dy, turned, b, (1, 1), (inner[0] + cut_y, inner[1] + cut_x), out=out)
    return _scatter(dy, w, x_shape, stride, padding, b, out)


def _scatter(dy, w, x_shape, stride, padding, b, out):
    """Input gradient by col2im: each dy pixel adds dy @ w^T to the patch of x that it saw."""
    N, H, W, C = x_shape
    KH, KW, _, K = w.shape
    _, OH, OW, _ = dy.shape
    (sy, sx), (py, px) = stride, padding
    matrix = w.reshape(KH * KW * C, K).T
    padded_size = max(H + 2 * py, (OH - 1) * sy + KH), max(W + 2 * px, (OW - 1) * sx + KW)
    padded = np.zeros((N, *padded_size, C), dy.dtype)
    dy_rows = dy.reshape(N * OH, OW, K)
    dx = np.empty(x_shape, dy.dtype) if out is None else out

    def scatter(strip, share):
        block = dy_rows[strip].reshape(-1, K)
        dcols = np.empty((len(block), KH * KW * C), dy.dtype)
        share(lambda part: np.matmul(block, matrix[:, part], out=dcols[:, part]), strips(KH * KW * C, 2048))
        dcols = dcols.reshape(-1, OW, KH, KW, C)
        for done, n, oy, rows in pictures(strip, OH):
            for ky in range(KH):
                for kx in range(KW):
                    top = oy * sy + ky
                    target = padded[n, top : top + (rows - 1) * sy + 1 : sy, kx : kx + (OW - 1) * sx + 1 : sx]
                    target += dcols[done : done + rows, :, ky, kx]

    def picture(n):
        for strip in pieces(OH, WORKSPACE // (OW * KH * KW * C)):
            scatter(slice(n * OH + strip.start, n * OH + strip.stop), serial)

    if w.size < LARGE:
        parallel(picture, range(N))
    else:
        for strip in pieces(N * OH, PIXELS // OW):
            scatter(strip, parallel)
    dx[:] = padded[:, py : py + H, px : px + W]
    if b is not None:
        dx += b
    return dx


def conv_weight_grad(x, dy, w_shape, stride, padding, out=None, emit=None):
    """dw (KH,KW,C,K) = sum over pictures and pixels of patch (outer) dy.

    Kernel row ky of dw needs only kernel row ky of the patches. With `emit`, no whole dw exists where that is large:
    emit(ky, slab (KW,C,K)) is called once for each, in order; the slab is only lent. Then None is returned. The sums
    are cut into partial sums by shape alone and added in a fixed order.
    """
    x, dy = np.ascontiguousarray(x), np.ascontiguousarray(dy)
    KH, KW, C, K = w_shape
    faster, small = winograd.pays(x.shape, w_shape, stride), KH * KW * C * K < LARGE
    if faster or small or emit is None:
        dw = np.empty(w_shape, x.dtype) if out is None else out
        if faster:
            winograd.weight_grad(x, dy, padding, dw)
        elif small:
            _small_weight_grad(x, dy, stride, padding, dw)
        else:
            tasks = [(ky, channels) for ky in range(KH) for channels in shares(K)]
            parallel(lambda task: _large_weight_grad(x, dy, *task, stride, padding, dw[task[0]]), tasks)
        if emit is None:
            return dw
        for ky in range(KH):
            emit(ky, dw[ky])
        return None
    slab = np.empty((KW, C, K), x.dtype)
    for ky in range(KH):
        parallel(lambda part, ky=ky: _large_weight_grad(x, dy, ky, part, stride, padding, slab), shares(K))
        emit(ky, slab)
    return None


def _small_weight_grad(x, dy, stride, padding, dw):
    """dw (KH,KW,C,K): threads share out groups of output rows, each with a sum of its own."""
    KH, KW, C, K = dw.shape
    N, OH, OW, _ = dy.shape
    dy_rows = dy.reshape(N * OH, OW, K)
    groups = list(strips(N * OH, max(-(-N * OH // 8), PIXELS // OW)))
    sums = np.zeros((len(groups), KH * KW * C, K), dw.dtype)

    def work(g):
        rows = groups[g].stop - groups[g].start
        for piece in pieces(rows, WORKSPACE // (OW * KH * KW * C)):
            strip = slice(groups[g].start + piece.start, groups[g].start + piece.stop)
            cols = im2col(x, strip, (OH, OW), (KH, KW), stride, padding)  # (rows OW, KH KW C)
            sums[g] += np.matmul(cols.T, dy_rows[strip].reshape(-1, K), out=workspace("dw", sums[g].shape, x.dtype))

    parallel(work, range(len(groups)))
    np.sum(sums.reshape(len(groups), *dw.shape), axis=0, out=dw)


def _large_weight_grad(x, dy, ky, channels, stride, padding, slab):
    """Fill output channels `channels` of slab (KW,C,K), kernel row ky of dw."""
    KW, C, K = slab.shape
    N, OH, OW, _ = dy.shape
    target, dy_rows = slab.reshape(KW * C, K)[:, channels], dy.reshape(N * OH, OW, K)[..., channels]
    for strip in pieces(N * OH, 8 * PIXELS // OW):
        cols = im2col(x, strip, (OH, OW), (1, KW), stride, padding, ky).T  # (KW C, rows OW)
        block = dy_rows[strip].reshape(-1, target.shape[1])
        if strip.start == 0:
            np.matmul(cols, block, out=target)
        else:
            target += np.matmul(cols, block, out=workspace("dw", target.shape, x.dtype))


def bias_grad(dy):
    """db (K,) = sum of dy (N,OH,OW,K) over everything but channels, by strips so that rounding errors stay small."""
    K = dy.shape[-1]
    flat = dy.reshape(-1, K)
    whole, rest = divmod(len(flat), 1024)
    blocks = flat[: whole * 1024].reshape(whole, 1024, K)
    sums = np.empty((whole + 1, K), dy.dtype)
    ones = np.ones(1024, dy.dtype)

    def work(group):
        if group is None:
            np.matmul(ones[:rest], flat[whole * 1024 :], out=sums[whole])
        else:
            np.matmul(ones, blocks[group], out=sums[group])  # faster than sum(axis=0), whose loops are only K long

    parallel(work, [*strips(whole, 1 + WORKSPACE // (1024 * K)), None])
    return sums.sum(axis=0)


def shares(K):
    """Output channels in slices that threads share out; a product with few columns would be slow."""
    return list(strips(K, max(128, -(-K // 4))))


def im2col(x, strip, out_size, kernel, stride, padding, ky0=0):
    """Gather the patches of output rows `strip`, counted through all pictures: row n OH + oy is row oy of picture n.

    Returns (rows OW, KH KW C). ky0 shifts the patches down: with kernel (1, KW) it picks one kernel row.
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
