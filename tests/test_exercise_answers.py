"""Answers that go about it in another way than the worked solutions, and are right."""

import shutil

import pytest

from exercises.__main__ import file_of, steps
from exercises.checking import Wrong

RIGHT = {
    "seven loops": (
        "conv_forward",
        """
import numpy as np
def conv_forward(x, w, b, stride, padding):
    N, H, W, C = x.shape
    KH, KW, C, K = w.shape
    OH, OW = (H + 2 * padding - KH) // stride + 1, (W + 2 * padding - KW) // stride + 1
    y = np.empty((N, OH, OW, K))
    for n, oy, ox, k in np.ndindex(y.shape):
        total = b[k]
        for ky in range(KH):
            for kx in range(KW):
                iy, ix = oy * stride + ky - padding, ox * stride + kx - padding
                if 0 <= iy < H and 0 <= ix < W:
                    for c in range(C):
                        total += x[n, iy, ix, c] * w[ky, kx, c, k]
        y[n, oy, ox, k] = total
    return y
""",
    ),
    "im2col, through a view": (
        "conv_forward",
        """
import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
def conv_forward(x, w, b, stride, padding):
    x = np.pad(x, ((0, 0), (padding,) * 2, (padding,) * 2, (0, 0)))
    patches = sliding_window_view(x, w.shape[:2], axis=(1, 2))[:, ::stride, ::stride]  # (N, OH, OW, C, KH, KW)
    return np.tensordot(patches, w, axes=[(3, 4, 5), (2, 0, 1)]) + b
""",
    ),
    "gathered, by the turned kernel": (
        "conv_dx",
        """
import numpy as np
def conv_dx(dy, w, x_shape, stride, padding):
    N, H, W, C = x_shape
    dx = np.zeros(x_shape)
    for iy, ix, ky, kx in np.ndindex(H, W, *w.shape[:2]):
        oy, ry = divmod(iy + padding - ky, stride)
        ox, rx = divmod(ix + padding - kx, stride)
        if ry == rx == 0 and 0 <= oy < dy.shape[1] and 0 <= ox < dy.shape[2]:
            dx[:, iy, ix] += dy[:, oy, ox] @ w[ky, kx].T
    return dx
""",
    ),
    "a pass for each tap": (
        "pool_backward",
        """
import numpy as np
def pool_backward(dy, x, k, stride):
    N, OH, OW, C = dy.shape
    views = [np.s_[:, i : i + OH * stride : stride, j : j + OW * stride : stride] for i in range(k) for j in range(k)]
    best = np.stack([x[v][:, :OH, :OW] for v in views]).argmax(axis=0)
    dx = np.zeros_like(x)
    for tap, v in enumerate(views):
        dx[v][:, :OH, :OW] += dy * (best == tap)
    return dx
""",
    ),
    "one-hot labels, lists": (
        "softmax_cross_entropy",
        """
import numpy as np
def softmax_cross_entropy(scores, labels, ignore):
    mask = (labels != ignore)[..., None]
    right = np.eye(scores.shape[-1])[np.where(mask[..., 0], labels, 0)] * mask
    e = np.exp(scores - scores.max(axis=-1, keepdims=True))
    p = e / e.sum(axis=-1, keepdims=True)
    n = max(1, mask.sum())
    return [-(right * np.log(np.maximum(p, 1e-300))).sum() / n, (p - right) * mask / n]
""",
    ),
    "two matrices": (
        "bilinear_upsampling",
        """
import numpy as np
def tent(s):
    i = np.arange(2 * s)
    return np.minimum(2 * i + 1, 4 * s - 2 * i - 1) / (2 * s)
def matrix(n, s):
    A = np.zeros(((n + 1) * s, n))
    for i in range(n):
        A[i * s : (i + 2) * s, i] = tent(s)
    return A
def upsample(x, s):
    return np.einsum("Yy,Xx,nyxc->nYXc", matrix(x.shape[1], s), matrix(x.shape[2], s), x)
def upsample_dx(dy, s):
    H, W = dy.shape[1] // s - 1, dy.shape[2] // s - 1
    return np.einsum("Yy,Xx,nYXc->nyxc", matrix(H, s), matrix(W, s), dy)
""",
    ),
    "whole numbers where they are whole": (
        "crop_offset",
        """
def conv_grid(start, stride, k, s, p):
    first, last = start - p * stride, start + (k - 1 - p) * stride
    return (first + last) / 2, stride * s
def conv_transpose_grid(start, stride, k, s, p):
    back, _ = conv_grid(0, stride / s, k, s, p)
    return start - back, stride / s
def crop_offset(a, b):
    return int((b[0] - a[0]) // a[1])
""",
    ),
    "in place, on copies": (
        "sgd_momentum",
        """
def sgd_step(w, g, v, lr, momentum, weight_decay):
    w, v = w.copy(), v.copy()
    v *= momentum
    v += g
    v += weight_decay * w
    w -= lr * v
    return [w, v]
""",
    ),
    "butterflies": (
        "kernel",
        """
extern "C" __global__ void score(const float* __restrict__ x, const float* __restrict__ w, float bias,
                                 float* __restrict__ y, long long pixels, int channels)
{
    const unsigned int all = 0xffffffff;
    long long p = blockIdx.x * 4LL + threadIdx.x / 32;
    double sum = 0;
    if (p < pixels)
        for (int c = threadIdx.x & 31; c < channels; c += 32) sum += (double)x[p * channels + c] * w[c];
    for (int step = 1; step < 32; step *= 2) sum += __shfl_xor_sync(all, sum, step);
    if (threadIdx.x % 32 == 0 && p < pixels) y[p] = (float)(sum + bias);
}
""",
    ),
    "shared memory": (
        "kernel",
        """
__shared__ float parts[128];
extern "C" __global__ void score(const float* x, const float* w, float bias, float* y, long long P, int C)
{
    int t = threadIdx.x;
    long long p = (long long)blockIdx.x * 4 + t / 32;
    parts[t] = 0;
    for (int c = t % 32; p < P && c < C; c += 32) parts[t] += x[p * C + c] * w[c];
    for (int step = 16; step > 0; step /= 2) {
        __syncthreads();
        if (t % 32 < step) parts[t] += parts[t + step];
    }
    if (t % 32 == 0 && p < P) y[p] = parts[t] + bias;
}
""",
    ),
}


@pytest.mark.parametrize("way", RIGHT)
def test_another_way_is_right(way, tmp_path):
    name, text = RIGHT[way]
    if name == "kernel" and shutil.which("g++") is None:
        pytest.skip("the emulator needs g++")
    file_of(name, tmp_path).write_text(text, encoding="utf-8")
    try:
        list(steps(name, tmp_path))
    except Wrong as wrong:
        pytest.fail(f"{wrong.step}: {wrong}")
