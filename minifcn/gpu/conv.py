"""The convolution on the GPU: forward, input gradient, weight gradient, as strips of im2col and a matrix product.

    x (N,H,W,C)  --im2col-->  cols (pixels, KH KW C)  @  w (KH KW C, K)  =  y (pixels, K)  --bias_relu-->  y
    dx           <--col2im--  dcols                   =  dy (pixels, K)  @  w^T
                              cols^T                  @  dy              =  dw

The products are cupy.matmul. A strip of output rows holds at most WORKSPACE elements of cols or dcols.
"""

from ..sizes import conv_size, is_copy, pieces
from . import cuda

WORKSPACE = 1 << 26  # elements of im2col at a time: 256 MB of float32
LARGE = 1 << 20  # elements of w from which on its gradient is made, and may be handed out, by kernel rows


def conv_forward(x, w, b, stride, padding, relu=False):
    """y = conv(x, w) + b, then ReLU if asked.

    x (N,H,W,C), w (KH,KW,C,K), b (K,) or None, stride and padding pairs; returns (N,OH,OW,K).
    """
    xp, x = cuda.xp, cuda.xp.ascontiguousarray(x)
    N, H, W, C = x.shape
    KH, KW, _, K = w.shape
    OH, OW = conv_size((H, W), (KH, KW), stride, padding)
    y = xp.empty((N, OH, OW, K), x.dtype)
    rows, matrix = y.reshape(N * OH, OW, K), w.reshape(KH * KW * C, K)
    for strip in pieces(N * OH, WORKSPACE // (OW * KH * KW * C)):
        cols = im2col(x, strip, (OH, OW), (KH, KW), stride, padding)  # (rows OW, KH KW C)
        xp.matmul(cols, matrix, out=rows[strip].reshape(-1, K))
    if b is not None or relu:
        add_bias(y, xp.zeros(K, x.dtype) if b is None else b, relu)
    return y


def conv_input_grad(dy, w, x_shape, stride, padding, b=None):
    """dx = the adjoint of conv_forward applied to dy, plus b: the input gradient, and conv_transpose2d's forward.

    dy (N,OH,OW,K), w (KH,KW,C,K), x_shape = (N,H,W,C), b (C,) or None; returns (N,H,W,C).
    """
    xp, dy = cuda.xp, cuda.xp.ascontiguousarray(dy)
    N, H, W, C = x_shape
    KH, KW, _, K = w.shape
    _, OH, OW, _ = dy.shape
    (sy, sx), (py, px) = stride, padding
    dx = xp.empty(x_shape, dy.dtype)
    matrix = w.reshape(KH * KW * C, K).T
    rows = WORKSPACE // (OW * KH * KW * C)  # of dy at a time
    batches = pieces(N, rows // OH)  # whole pictures; where not even one fits, a picture comes in pieces
    heights = list(pieces(H, H if rows >= OH else (rows - 1) * sy + 1 - KH))
    for pictures, height in ((p, h) for p in batches for h in heights):
        # rows `height` of dx are reached by rows oy0 .. oy1 - 1 of dy
        oy0 = max(0, -(-(height.start + py - KH + 1) // sy))
        oy1 = min(OH, (height.stop - 1 + py) // sy + 1)
        part = dx[pictures, height]
        if oy0 >= oy1:  # dy reaches none of these rows
            part.fill(0)
            continue
        dcols = xp.matmul(dy[pictures, oy0:oy1].reshape(-1, K), matrix)  # (pictures rows OW, KH KW C)
        pixels, first, seen = part.size // C, height.start, oy1 - oy0
        sizes = (pixels, part.shape[1], first, W, C, seen, oy0, OW, KH, KW, sy, sx, py, px)
        cuda.per_pixel("col2im", pixels, C, (dcols, part, *sizes))
    if b is not None:
        add_bias(dx, b)
    return dx


def conv_weight_grad(x, dy, w_shape, stride, padding, out=None, emit=None):
    """dw (KH,KW,C,K) = sum over pictures and pixels of patch (outer) dy, in `out` if given.

    With `emit`, dw is handed out instead, and None returned: as emit(..., dw) where w is small, else as
    emit(ky, slab (KW,C,K)) for every kernel row in order, so that no whole dw exists; the slab is only lent.
    """
    xp, x, dy = cuda.xp, cuda.xp.ascontiguousarray(x), cuda.xp.ascontiguousarray(dy)
    KH, KW, C, K = w_shape
    large = KH * KW * C * K >= LARGE
    rows = 1 if large else KH  # of the kernel at a time; with and without emit, so that the products are the same
    dw = xp.empty((rows if emit else KH, KW, C, K), x.dtype) if out is None else out
    for ky in range(0, KH, rows):
        slab = dw[:rows] if emit else dw[ky : ky + rows]
        _weight_grad(x, dy, slab, ky, stride, padding)
        if emit and large:
            emit(ky, slab[0])
        elif emit:
            emit(..., dw)
    return None if emit else dw


def _weight_grad(x, dy, dw, ky, stride, padding):
    """Fill dw (rows of the kernel, KW, C, K), the kernel's rows from ky on."""
    KH, KW, C, K = dw.shape
    N, OH, OW, _ = dy.shape
    matrix, dy_rows = dw.reshape(KH * KW * C, K), dy.reshape(N * OH, OW, K)
    for strip in pieces(N * OH, WORKSPACE // (OW * KH * KW * C)):
        cols = im2col(x, strip, (OH, OW), (KH, KW), stride, padding, ky)  # (rows OW, KH KW C)
        block = dy_rows[strip].reshape(-1, K)
        if strip.start == 0:
            cuda.xp.matmul(cols.T, block, out=matrix)
        else:
            matrix += cuda.xp.matmul(cols.T, block)


def bias_grad(dy):
    """db (K,) = sum of dy (N,OH,OW,K) over everything but channels, as a product with ones."""
    flat = dy.reshape(-1, dy.shape[-1])
    return cuda.xp.matmul(cuda.xp.ones(len(flat), dy.dtype), flat)


def add_bias(y, b, relu=False):
    """In place: y (...,K) += b (K,), then ReLU if asked."""
    K, b = y.shape[-1], cuda.xp.ascontiguousarray(b)
    cuda.per_pixel("bias_relu", y.size // K, K, (y, b, y.size // K, K, int(relu)))


def im2col(x, strip, out_size, kernel, stride, padding, ky0=0):
    """Gather the patches of output rows `strip`, counted through all pictures: row n OH + oy is row oy of picture n.

    Returns (rows OW, KH KW C). ky0 shifts the patches down: with kernel (1, KW) it picks one kernel row.
    """
    N, H, W, C = x.shape
    if is_copy((H, W), out_size, kernel, stride, padding, ky0):
        return x.reshape(N * H, W, C)[strip].reshape(-1, C)
    (OH, OW), (KH, KW) = out_size, kernel
    pixels = (strip.stop - strip.start) * OW
    cols = cuda.xp.empty((pixels, KH * KW * C), x.dtype)
    sizes = (strip.start * OW, pixels, H, W, C, OH, OW, KH, KW, *stride, *padding, ky0)
    cuda.per_pixel("im2col", pixels, KW * C // 4 if C % 4 == 0 else KW * C, (x, cols, *sizes))  # wide loads take four
    return cols
