"""Every op as plain loops, straight from its formula: the first truth that the tests hold minifcn to.

Nothing here imports minifcn. Arrays in, float64 arrays out; stride, padding, kernel are pairs (vertical, horizontal).
Gradients are written out only where a finite difference cannot see them: at ties, kinks, NaN and huge scores.
"""

import math

import numpy as np


def starts(size, kernel, stride, padding):
    """Where the windows of a convolution begin along one side: all that end inside the padded picture."""
    return range(-padding, size + padding - kernel + 1, stride)


def conv2d(x, w, b=None, stride=(1, 1), padding=(0, 0)):
    (N, H, W, _), (KH, KW, _, K) = x.shape, w.shape
    rows, columns = starts(H, KH, stride[0], padding[0]), starts(W, KW, stride[1], padding[1])
    y = np.zeros((N, len(rows), len(columns), K))
    for n in range(N):
        for oy, top in enumerate(rows):
            for ox, left in enumerate(columns):
                for ky, kx in np.ndindex(KH, KW):
                    iy, ix = top + ky, left + kx
                    if 0 <= iy < H and 0 <= ix < W:
                        y[n, oy, ox] += x[n, iy, ix] @ w[ky, kx]  # (C) @ (C, K)
    return y if b is None else y + b


def conv_transpose2d(x, w, b=None, stride=(1, 1), padding=(0, 0)):
    (N, H, W, _), (KH, KW, C, _) = x.shape, w.shape
    OH, OW = (H - 1) * stride[0] + KH - 2 * padding[0], (W - 1) * stride[1] + KW - 2 * padding[1]
    y = np.zeros((N, OH, OW, C))
    for n in range(N):
        for iy, ix in np.ndindex(H, W):
            for ky, kx in np.ndindex(KH, KW):
                oy, ox = iy * stride[0] + ky - padding[0], ix * stride[1] + kx - padding[1]
                if 0 <= oy < OH and 0 <= ox < OW:
                    y[n, oy, ox] += w[ky, kx] @ x[n, iy, ix]  # (C, K) @ (K)
    return y if b is None else y + b


def bilinear_upsample(x, stride):
    """Interpolate between the pixels of x, zero outside it. Pixel i lies at i stride + stride - 1/2 of the output."""
    N, H, W, C = x.shape
    y = np.zeros((N, (H + 1) * stride, (W + 1) * stride, C))

    def value(n, iy, ix):
        return x[n, iy, ix] if 0 <= iy < H and 0 <= ix < W else np.zeros(C)

    for n, oy, ox in np.ndindex(*y.shape[:3]):
        v, u = (oy - stride + 0.5) / stride, (ox - stride + 0.5) / stride
        iy, ix = math.floor(v), math.floor(u)
        fy, fx = v - iy, u - ix
        upper = (1 - fx) * value(n, iy, ix) + fx * value(n, iy, ix + 1)
        lower = (1 - fx) * value(n, iy + 1, ix) + fx * value(n, iy + 1, ix + 1)
        y[n, oy, ox] = (1 - fy) * upper + fy * lower
    return y


def pool_starts(size, kernel, stride, padding, ceil_mode):
    """Where windows begin along one side. ceil_mode adds one that hangs over the end, if it begins before the end."""
    windows = list(starts(size, kernel, stride, padding))
    following = windows[-1] + stride if windows else -padding
    covered = windows and windows[-1] + kernel >= size + padding
    if ceil_mode and not covered and following < size:
        windows.append(following)
    return windows


def pool_windows(x, kernel, stride, padding, ceil_mode):
    """Yield (oy, ox), the list of picture positions in that window."""
    H, W = x.shape[1:3]
    for oy, top in enumerate(pool_starts(H, kernel[0], stride[0], padding[0], ceil_mode)):
        for ox, left in enumerate(pool_starts(W, kernel[1], stride[1], padding[1], ceil_mode)):
            inside = [(top + ky, left + kx) for ky in range(kernel[0]) for kx in range(kernel[1])]
            yield (oy, ox), [(iy, ix) for iy, ix in inside if 0 <= iy < H and 0 <= ix < W]


def winner(values):
    """The index of the first NaN, or else of the first of the largest."""
    best = 0
    for i, v in enumerate(values):
        if math.isnan(v):
            return i
        if v > values[best]:
            best = i
    return best


def max_pool2d(x, kernel, stride, padding=(0, 0), ceil_mode=False):
    OH, OW = (len(pool_starts(x.shape[1 + i], kernel[i], stride[i], padding[i], ceil_mode)) for i in (0, 1))
    y = np.zeros((x.shape[0], OH, OW, x.shape[3]))
    for (oy, ox), inside in pool_windows(x, kernel, stride, padding, ceil_mode):
        for n, c in np.ndindex(x.shape[0], x.shape[3]):
            values = [x[n, iy, ix, c] for iy, ix in inside]
            y[n, oy, ox, c] = values[winner(values)]
    return y


def max_pool2d_gradient(x, dy, kernel, stride, padding=(0, 0), ceil_mode=False):
    dx = np.zeros(x.shape)
    for (oy, ox), inside in pool_windows(x, kernel, stride, padding, ceil_mode):
        for n, c in np.ndindex(x.shape[0], x.shape[3]):
            iy, ix = inside[winner([x[n, iy, ix, c] for iy, ix in inside])]
            dx[n, iy, ix, c] += dy[n, oy, ox, c]
    return dx


def crop(x, top, left, height, width):
    y = np.zeros((x.shape[0], height, width, x.shape[3]))
    for n, oy, ox in np.ndindex(*y.shape[:3]):
        y[n, oy, ox] = x[n, oy + top, ox + left]
    return y


def global_average(x):
    N, H, W, C = x.shape
    y = np.zeros((N, 1, 1, C))
    for n, h, w in np.ndindex(N, H, W):
        y[n, 0, 0] += x[n, h, w] / (H * W)
    return y


def batch_norm(x, b, relu, eps=1e-5):
    y = np.zeros(x.shape)
    for k in range(x.shape[3]):
        values = [float(v) for v in x[..., k].ravel()]
        mean = math.fsum(values) / len(values)
        var = math.fsum((v - mean) ** 2 for v in values) / len(values)
        for n, h, w in np.ndindex(*x.shape[:3]):
            v = (x[n, h, w, k] - mean) / math.sqrt(var + eps) + b[k]
            y[n, h, w, k] = max(v, 0.0) if relu else v
    return y


def relu(x):
    return np.array([v if v > 0 or math.isnan(v) else 0.0 for v in x.ravel()]).reshape(x.shape)


def relu_gradient(x, dy):
    return np.array([g if v > 0 else 0.0 for v, g in zip(x.ravel(), dy.ravel(), strict=True)]).reshape(x.shape)


def dropout(x, p, draws):
    """draws: a number in [0, 1) for each element of x; an element stays where its draw is at least p."""
    kept = [v / (1 - p) if draw >= p else 0.0 for v, draw in zip(x.ravel(), draws.ravel(), strict=True)]
    return np.array(kept).reshape(x.shape)


def labelled_pixels(scores, labels, ignore_label, class_weight):
    """Yield the position, scores, label and weight of every labelled pixel."""
    for at in np.ndindex(*labels.shape):
        label = int(labels[at])
        if label != ignore_label:
            yield at, [float(s) for s in scores[at]], label, 1.0 if class_weight is None else float(class_weight[label])


def softmax_cross_entropy(scores, labels, ignore_label=255, class_weight=None, reduction="mean"):
    loss, weights = 0.0, 0.0
    for _, s, label, weight in labelled_pixels(scores, labels, ignore_label, class_weight):
        largest = max(s)
        loss += weight * (math.log(sum(math.exp(v - largest) for v in s)) + largest - s[label])
        weights += weight
    return np.array(loss / weights if reduction == "mean" and weights > 0 else loss)


def softmax_cross_entropy_gradient(scores, dy, labels, ignore_label=255, class_weight=None, reduction="mean"):
    dscores, weights = np.zeros(scores.shape), 0.0
    for at, s, label, weight in labelled_pixels(scores, labels, ignore_label, class_weight):
        exps = [math.exp(v - max(s)) for v in s]
        for j, e in enumerate(exps):
            dscores[at][j] = dy * weight * (e / sum(exps) - (j == label))
        weights += weight
    return dscores / weights if reduction == "mean" and weights > 0 else dscores


def sgd(w, gradients, lr, momentum, weight_decay):
    """The value of one number w after a step for each of its gradients."""
    v = 0.0
    for g in gradients:
        v = momentum * v + (g + weight_decay * w)
        w = w - lr * v
    return w


# ---- sizes and crops of the three networks, as the reference's prototxt files and the paper give them ----

CROPS = {  # (network, pad): the crop at each meeting of two maps, in the order of the forward pass
    ("fcn32s", 100): {"score": 19},
    ("fcn16s", 100): {"score_pool4": 5, "score": 27},
    ("fcn8s", 100): {"score_pool4": 5, "score_pool3": 9, "score": 31},
    ("fcn32s", "same"): {"score": 16},
    ("fcn16s", "same"): {"upscore2": 1, "score": 8},
    ("fcn8s", "same"): {"upscore2": 1, "upscore_pool4": 1, "score": 4},
}


def half_up(size):
    return size // 2 + size % 2


def trunk_sizes(size, pad):
    """The sizes of pool3, pool4 and fc7 for a picture of that size."""
    size += 2 * 100 - 2 if pad == 100 else 0  # conv1_1; every other 3x3 keeps the size
    pool3 = half_up(half_up(half_up(size)))
    pool4 = half_up(pool3)
    pool5 = half_up(pool4)
    return pool3, pool4, pool5 - 6 if pad == 100 else pool5
