"""The convolution in NumPy: forward, input gradient, weight gradient. conv2d and conv_transpose2d share them.

Each is a matrix product. Row (n, oy, ox) of im2col's matrix holds the KH x KW x C patch of x that output pixel
(n, oy, ox) sees, and w is seen as a (KH KW C, K) matrix:

    x (N,H,W,C)  --im2col-->  cols (rows OW, KH KW C)  @  w (KH KW C, K)  =  y (rows OW, K)
    dx           <--col2im--  dcols                    =  dy (rows OW, K) @  w^T
                              cols^T                   @  dy              =  dw (KH KW C, K)

It is done for a strip of output rows at a time. Where w is small, threads share out the strips, and a strip of cols
stays in the cache. Where w has LARGE elements or more, as fc6's, it does not stay in the cache and every product reads
all of it: then strips are fewer, one after the other, and threads share out w's columns. winograd.py puts itself
before these three functions for the 3x3 convolutions where it is faster.
"""

from functools import partial

import numpy as np

from ..sizes import conv_size, pieces, strips
from .im2col import WORKSPACE, col2im, im2col
from .threads import parallel, serial, workspace

LARGE = 1 << 20  # elements of w from which on it does not stay in the cache
PIXELS = 256  # a strip of y where w is large: fc6's workspace is PIXELS x 7 x 7 x 512 numbers, 26 MB of float32


def conv_forward(x, w, b, stride, padding, relu=False):
    """y = conv(x, w) + b, then ReLU if asked.

    x (N,H,W,C), w (KH,KW,C,K), b (K,) or None, stride and padding pairs; returns (N,OH,OW,K) with
    OH = (H + 2 padding - KH) // stride + 1.
    """
    (N, H, W, C), (KH, KW, _, K) = x.shape, w.shape
    OH, OW = conv_size((H, W), (KH, KW), stride, padding)
    y = np.empty((N, OH, OW, K), x.dtype)
    x, matrix, rows = np.ascontiguousarray(x), w.reshape(KH * KW * C, K), y.reshape(N * OH, OW, K)

    def patches(strip):
        return im2col(x, strip, (OH, OW), (KH, KW), stride, padding)  # (rows OW, KH KW C)

    def product(cols, strip, k=slice(None)):
        block = rows[strip].reshape(-1, K)[:, k]
        np.matmul(cols, matrix[:, k], out=block)  # (rows OW, KH KW C) @ (KH KW C, k) -> (rows OW, k)
        if b is not None:
            block += b[k]
        if relu:
            np.maximum(block, 0, out=block)

    if w.size < LARGE:
        parallel(lambda strip: product(patches(strip), strip), strips(N * OH, WORKSPACE // (OW * KH * KW * C)))
    else:
        for strip in pieces(N * OH, PIXELS // OW):
            parallel(partial(product, patches(strip), strip), shares(K))
    return y


def conv_input_grad(dy, w, x_shape, stride, padding, b=None):
    """dx = the adjoint of conv_forward applied to dy, plus b: the input gradient, and conv_transpose2d's forward.

    dy (N,OH,OW,K), w (KH,KW,C,K), x_shape = (N,H,W,C), b (C,) or None; returns (N,H,W,C).
    """
    (N, OH, OW, K), (KH, KW, C, _), (sy, sx), (py, px) = dy.shape, w.shape, stride, padding
    _, H, W, _ = x_shape
    if sy == sx == 1 and (w.size < LARGE or KH == KW == 1):
        # without strides the adjoint is itself a convolution: with the kernel turned by 180 degrees, C and K exchanged
        return conv_forward(dy, w[::-1, ::-1].swapaxes(2, 3), b, stride, (KH - 1 - py, KW - 1 - px))
    rows, matrix = np.ascontiguousarray(dy).reshape(N * OH, OW, K), w.reshape(KH * KW * C, K).T
    share = serial if w.size < LARGE else parallel
    size = max(H + 2 * py, (OH - 1) * sy + KH), max(W + 2 * px, (OW - 1) * sx + KW)
    padded = np.zeros((N, *size, C), dy.dtype)

    def spread(strip):
        block, dcols = rows[strip].reshape(-1, K), np.empty(((strip.stop - strip.start) * OW, KH * KW * C), dy.dtype)
        # (rows OW, K) @ (K, KH KW C) -> (rows OW, KH KW C)
        share(lambda part: np.matmul(block, matrix[:, part], out=dcols[:, part]), strips(KH * KW * C, 2048))
        col2im(dcols.reshape(-1, OW, KH, KW, C), strip, padded, OH, stride)

    def picture(n):
        serial(spread, pieces(slice(n * OH, (n + 1) * OH), WORKSPACE // (OW * KH * KW * C)))

    if w.size < LARGE:
        parallel(picture, range(N))
    else:
        serial(spread, pieces(N * OH, PIXELS // OW))
    dx = np.ascontiguousarray(padded[:, py : py + H, px : px + W])
    if b is not None:
        dx += b
    return dx


def conv_weight_grad(x, dy, w_shape, stride, padding, out=None, emit=None):
    """dw (KH,KW,C,K) = sum over pictures and pixels of patch (outer) dy, in `out` if given.

    With `emit`, dw is handed over instead, and None is returned: as emit(..., dw) where w is small, else, so that no
    whole dw exists, as emit(ky, slab (KW,C,K)) for each kernel row in order; the slab is only lent.
    """
    x, dy = np.ascontiguousarray(x), np.ascontiguousarray(dy)
    KH, KW, C, K = w_shape
    large = KH * KW * C * K >= LARGE
    if large and emit is not None:
        slab = np.empty((KW, C, K), x.dtype)
        for ky in range(KH):
            parallel(partial(_kernel_row, x, dy, stride, padding, ky, slab), shares(K))
            emit(ky, slab)
        return None
    dw = np.empty(w_shape, x.dtype) if out is None else out
    if large:
        tasks = [(ky, k) for ky in range(KH) for k in shares(K)]
        parallel(lambda task: _kernel_row(x, dy, stride, padding, task[0], dw[task[0]], task[1]), tasks)
    else:
        _small_weight_grad(x, dy, stride, padding, dw)
    return dw if emit is None else emit(..., dw)


def _small_weight_grad(x, dy, stride, padding, dw):
    """dw (KH,KW,C,K): threads share out groups of output rows, each with a sum of its own."""
    KH, KW, C, K = dw.shape
    N, OH, OW, _ = dy.shape
    rows, groups = dy.reshape(N * OH, OW, K), strips(N * OH, max(-(-N * OH // 8), PIXELS // OW))
    sums = np.zeros((len(groups), KH * KW * C, K), dw.dtype)

    def work(g):
        for strip in pieces(groups[g], WORKSPACE // (OW * KH * KW * C)):
            cols = im2col(x, strip, (OH, OW), (KH, KW), stride, padding)  # (rows OW, KH KW C)
            block = rows[strip].reshape(-1, K)
            sums[g] += np.matmul(cols.T, block, out=workspace("dw", sums[g].shape, x.dtype))  # (KH KW C, K)

    parallel(work, range(len(groups)))
    np.sum(sums.reshape(len(groups), *dw.shape), axis=0, out=dw)


def _kernel_row(x, dy, stride, padding, ky, slab, k):
    """Fill output channels k of slab (KW,C,K), kernel row ky of dw, which needs only kernel row ky of the patches."""
    KW, C, K = slab.shape
    N, OH, OW, _ = dy.shape
    target, rows = slab.reshape(KW * C, K)[:, k], dy.reshape(N * OH, OW, K)[..., k]
    for strip in pieces(N * OH, 8 * PIXELS // OW):
        cols = im2col(x, strip, (OH, OW), (1, KW), stride, padding, ky)  # (rows OW, KW C)
        block = rows[strip].reshape(-1, target.shape[1])
        if strip.start == 0:
            np.matmul(cols.T, block, out=target)
        else:
            target += np.matmul(cols.T, block, out=workspace("dw", target.shape, x.dtype))


def bias_grad(dy):
    """db (K,) = sum of dy (N,OH,OW,K) over everything but channels, by blocks so that rounding errors stay small."""
    K = dy.shape[-1]
    flat = dy.reshape(-1, K)
    whole = len(flat) // 1024
    sums, ones = np.empty((whole + 1, K), dy.dtype), np.ones(1024, dy.dtype)
    blocks, rest = flat[: whole * 1024].reshape(whole, 1024, K), flat[whole * 1024 :]

    def add(part):  # products with ones are faster than sum(axis=0), whose loops are only K long
        rows, target = part
        np.matmul(ones[: rows.shape[-2]], rows, out=target)

    groups = strips(whole, 1 + WORKSPACE // (1024 * K))  # many blocks a call: single ones would take longer
    parallel(add, [*((blocks[group], sums[group]) for group in groups), (rest, sums[whole])])
    return sums.sum(axis=0)


def shares(K):
    """Output channels in slices that threads share out; a product with few columns would be slow."""
    return strips(K, max(128, -(-K // 4)))
