"""Bilinear upsampling in NumPy. It is separable: one matrix interpolates along the width, one along the height."""

import numpy as np

from ..sizes import bilinear_kernel, strips
from .threads import parallel

ROWS = 16  # output rows a strip


def interpolation_matrix(size, stride, dtype):
    """A ((size + 1) stride, size): column i holds the kernel, starting at row i stride."""
    matrix = np.zeros(((size + 1) * stride, size), dtype)
    for i in range(size):
        matrix[i * stride : (i + 2) * stride, i] = bilinear_kernel(stride, dtype)
    return matrix


def upsample_forward(x, stride):
    """x (N,H,W,C) -> y (N,(H+1) stride,(W+1) stride,C)."""
    N, H, W, C = x.shape
    down, across = interpolation_matrix(H, stride, x.dtype), interpolation_matrix(W, stride, x.dtype)
    OH, OW = len(down), len(across)
    wide, y = np.empty((N, H, OW, C), x.dtype), np.empty((N, OH, OW * C), x.dtype)

    def heighten(task):
        n, rows = task
        np.matmul(down[rows], wide[n].reshape(H, OW * C), out=y[n, rows])  # (rows, H) @ (H, OW C)

    # (OW, W) @ (H, W, C) -> (H, OW, C)
    parallel(lambda n: np.matmul(across, x[n], out=wide[n]), range(N))
    parallel(heighten, [(n, rows) for n in range(N) for rows in strips(OH, ROWS)])
    return y.reshape(N, OH, OW, C)


def upsample_backward(dy, stride):
    """dx (N,H,W,C) from dy (N,(H+1) stride,(W+1) stride,C): both matrices transposed, in the opposite order."""
    N, OH, OW, C = dy.shape
    H, W = OH // stride - 1, OW // stride - 1
    down, across = interpolation_matrix(H, stride, dy.dtype).T, interpolation_matrix(W, stride, dy.dtype).T
    dwide, dx = np.empty((N, H, OW, C), dy.dtype), np.empty((N, H, W, C), dy.dtype)

    def lower(task):
        n, columns = task
        product = down @ dy[n, :, columns].reshape(OH, -1)  # (H, OH) @ (OH, columns C)
        dwide[n, :, columns] = product.reshape(H, -1, C)

    parallel(lower, [(n, columns) for n in range(N) for columns in strips(OW, ROWS)])
    # (W, OW) @ (H, OW, C) -> (H, W, C)
    parallel(lambda n: np.matmul(across, dwide[n], out=dx[n]), range(N))
    return dx
