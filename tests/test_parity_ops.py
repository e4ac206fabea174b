"""Every op against PyTorch on random configurations: the result and all gradients, in float64 and float32 by turns.

Configurations come from a generator seeded by op and chunk, so a failure names one that can be drawn again.
"""

from zlib import crc32

import numpy as np
import pytest
from helpers import assert_close, device_array, distinct, tensor

import minifcn as mf
from minifcn import cpu, device

torch = pytest.importorskip("torch")
torch.set_num_threads(1)
F = torch.nn.functional

CHUNKS, EACH = 10, 22  # 220 configurations an op


def nchw(x):
    return x.permute(0, 3, 1, 2).contiguous()


def nhwc(x):
    return x.permute(0, 2, 3, 1)


def oihw(w):
    """(KH,KW,C,K) -> (K,C,KH,KW), which is also conv_transpose2d's (inputs, outputs, KH, KW)."""
    return w.permute(3, 2, 0, 1).contiguous()


def assert_parity(loops, ours, theirs, inputs, rng, dtype, what):
    """ours: Tensors -> Tensor, theirs: the same in torch, both in our layout; inputs: float64 arrays."""
    inputs = [x.astype(dtype) for x in inputs]
    tensors = [tensor(loops, x) for x in inputs]
    torch_tensors = [torch.tensor(x, requires_grad=True) for x in inputs]
    y, z = ours(*tensors), theirs(*torch_tensors)
    dy = (rng.standard_normal(y.shape) + 0.5).astype(dtype)  # not centred, so that sums over it do not cancel
    assert_close(y.data, z.detach().numpy(), what=what)
    y.backward(dy)
    z.backward(torch.tensor(dy))
    assert all(device.of(array) is loops for array in (y.data, *(a.grad for a in tensors)))
    for i, (a, b) in enumerate(zip(tensors, torch_tensors, strict=True)):
        assert_close(a.grad, b.grad.numpy(), what=f"{what}: gradient of input {i}")


def sizes(rng, *bounds):
    """A tuple of ints, each between 1 and its bound."""
    return tuple(int(rng.integers(1, bound + 1)) for bound in bounds)


def paddings(rng, *bounds):
    return tuple(int(rng.integers(0, bound + 1)) for bound in bounds)


def configuration_conv2d(rng):
    (N, C, K), (KH, KW), stride, padding = sizes(rng, 3, 5, 5), sizes(rng, 4, 4), sizes(rng, 3, 3), paddings(rng, 3, 3)
    if rng.random() < 0.3:
        stride, padding = (1, 1), (0, 0)
    elif rng.random() < 0.4:  # as in VGG, and where faster algorithms apply
        (KH, KW), stride, padding, C, K = (3, 3), (1, 1), (1, 1), 16 + C, 16 + K
    H, W = (max(1, k - 2 * p) + int(rng.integers(0, 12)) for k, p in zip((KH, KW), padding, strict=True))
    inputs = [rng.standard_normal((N, H, W, C)), rng.standard_normal((KH, KW, C, K))]
    if rng.random() < 0.7:
        inputs.append(rng.standard_normal(K))

    def theirs(x, w, b=None):
        return nhwc(F.conv2d(nchw(x), oihw(w), b, stride, padding))

    what = f"N,H,W,C {N, H, W, C} w {KH, KW, C, K} bias {len(inputs) == 3} stride {stride} padding {padding}"
    return lambda x, w, b=None: mf.conv2d(x, w, b, stride, padding), theirs, inputs, what


def configuration_conv_transpose2d(rng):
    (N, H, W, C, K), (KH, KW), stride = sizes(rng, 3, 6, 6, 5, 5), sizes(rng, 5, 5), sizes(rng, 3, 3)
    if rng.random() < 0.2:
        (KH, KW), stride, H, W, C, K = (3, 3), (1, 1), H + 8, W + 8, C + 16, K + 16
    largest = (((s - 1) * t + k - 1) // 2 for s, t, k in zip((H, W), stride, (KH, KW), strict=True))
    padding = paddings(rng, *(min(k, most) for k, most in zip((KH, KW), largest, strict=True)))
    inputs = [rng.standard_normal((N, H, W, K)), rng.standard_normal((KH, KW, C, K))]
    if rng.random() < 0.7:
        inputs.append(rng.standard_normal(C))

    def theirs(x, w, b=None):
        return nhwc(F.conv_transpose2d(nchw(x), oihw(w), b, stride, padding))

    what = f"N,H,W,K {N, H, W, K} w {KH, KW, C, K} bias {len(inputs) == 3} stride {stride} padding {padding}"
    return lambda x, w, b=None: mf.conv_transpose2d(x, w, b, stride, padding), theirs, inputs, what


def configuration_bilinear_upsample(rng):
    """PyTorch's own interpolation, with a ring of zeros around x, half of which is cut off again."""
    (N, H, W, C), stride = sizes(rng, 3, 6, 6, 4), int(rng.integers(1, 9))
    half = stride // 2

    def theirs(x):
        if stride % 2:  # half a ring is then no whole number of pixels
            k = 1 - (torch.arange(2 * stride, dtype=x.dtype) - (stride - 0.5)).abs() / stride
            w = torch.outer(k, k).expand(C, 1, -1, -1)
            return nhwc(F.conv_transpose2d(nchw(x), w, stride=stride, groups=C))
        y = F.interpolate(F.pad(nchw(x), (1, 1, 1, 1)), scale_factor=stride, mode="bilinear", align_corners=False)
        return nhwc(y[:, :, half:-half, half:-half])

    inputs = [rng.standard_normal((N, H, W, C))]
    return lambda x: mf.bilinear_upsample(x, stride), theirs, inputs, f"N,H,W,C {N, H, W, C} stride {stride}"


def configuration_max_pool2d(rng):
    (N, H, W, C), kernel, stride = sizes(rng, 3, 11, 11, 4), sizes(rng, 4, 4), sizes(rng, 4, 4)
    padding = paddings(rng, *(k // 2 for k in kernel))
    H, W = (max(s, k - 2 * p) for s, k, p in zip((H, W), kernel, padding, strict=True))
    ceil_mode = bool(rng.random() < 0.5)
    x = distinct(rng, N, H, W, C) if rng.random() < 0.7 else rng.integers(-2, 3, (N, H, W, C))  # sometimes with ties
    what = f"N,H,W,C {N, H, W, C} kernel {kernel} stride {stride} padding {padding} ceil {ceil_mode}"
    return (
        lambda x: mf.max_pool2d(x, kernel, stride, padding, ceil_mode),
        lambda x: nhwc(F.max_pool2d(nchw(x), kernel, stride, padding, ceil_mode=ceil_mode)),
        [x],
        what,
    )


def configuration_crop(rng):
    N, H, W, C = sizes(rng, 3, 9, 9, 4)
    height, width = sizes(rng, H, W)
    top, left = paddings(rng, H - height, W - width)
    return (
        lambda x: mf.crop(x, top, left, height, width),
        lambda x: x[:, top : top + height, left : left + width],
        [rng.standard_normal((N, H, W, C))],
        f"N,H,W,C {N, H, W, C} rows {top}+{height} columns {left}+{width}",
    )


def configuration_global_average(rng):
    shape = sizes(rng, 3, 9, 9, 5)
    return mf.global_average, lambda x: x.mean((1, 2), keepdim=True), [rng.standard_normal(shape)], f"N,H,W,C {shape}"


def configuration_batch_norm(rng):
    N, H, W, K = (1 + side for side in sizes(rng, 3, 6, 6, 5))
    relu = bool(rng.random() < 0.5)
    x = rng.standard_normal((N, H, W, K)) * rng.uniform(0.3, 5, K) + rng.uniform(-3, 3, K)

    def theirs(x, b):
        y = nhwc(F.batch_norm(nchw(x), None, None, None, b, training=True, eps=1e-5))
        return F.relu(y) if relu else y

    return lambda x, b: mf.batch_norm(x, b, relu)[0], theirs, [x, rng.standard_normal(K)], f"{N, H, W, K} relu {relu}"


def configuration_relu(rng):
    shape = sizes(rng, *[7] * int(rng.integers(1, 5)))
    x = np.where(rng.random(shape) < 0.1, 0, rng.standard_normal(shape))  # some zeros
    return mf.relu, F.relu, [x], f"shape {shape}"


def configuration_dropout(rng):
    """PyTorch draws its own masks, so it is given the same one."""
    shape, p, seed = sizes(rng, 3, 7, 7, 5), float(rng.uniform(0.05, 0.95)), int(rng.integers(1 << 30))
    mask = torch.tensor(np.random.default_rng(seed).random(shape, dtype=np.float32) >= p)
    return (
        lambda x: mf.dropout(x, p, np.random.default_rng(seed)),
        lambda x: torch.where(mask, x / (1 - p), 0),
        [rng.standard_normal(shape)],
        f"shape {shape} p {p} seed {seed}",
    )


def configuration_add(rng):
    shape = sizes(rng, 3, 7, 7, 5)
    return mf.add, torch.add, [rng.standard_normal(shape), rng.standard_normal(shape)], f"shape {shape}"


def configuration_scale(rng):
    shape, scalar = sizes(rng, 3, 7, 7, 5), float(rng.standard_normal() * 10.0 ** rng.integers(-4, 4))
    return lambda x: x * scalar, lambda x: x * scalar, [rng.standard_normal(shape)], f"shape {shape} scalar {scalar}"


def configuration_softmax_cross_entropy(rng):
    N, H, W, L = sizes(rng, 3, 6, 6, 8)
    ignore_label = int(rng.choice([255, -1, L - 1]))
    labels = rng.integers(0, L, (N, H, W))
    labels[rng.random(labels.shape) < rng.uniform(0, 0.6)] = ignore_label
    if (labels == ignore_label).all():  # without a labelled pixel PyTorch's mean is NaN, ours 0
        ignore_label = 255
        labels[0, 0, 0] = 0
        labels[labels < 0] = 0
    weight = rng.uniform(0.1, 3, L) if rng.random() < 0.5 else None
    reduction = str(rng.choice(["mean", "sum"]))
    dtype = rng.choice([np.uint8, np.int32, np.int64]) if ignore_label >= 0 else np.int16
    scores = rng.standard_normal((N, H, W, L)) * 10.0 ** rng.integers(-1, 3)

    def theirs(scores):
        cw = None if weight is None else torch.tensor(weight, dtype=scores.dtype)
        target = torch.tensor(labels)
        return F.cross_entropy(nchw(scores), target, cw, ignore_index=ignore_label, reduction=reduction)

    def ours(scores):
        return mf.softmax_cross_entropy(scores, labels.astype(dtype), ignore_label, weight, reduction)

    what = f"N,H,W,L {N, H, W, L} ignore {ignore_label} weighted {weight is not None} {reduction} {dtype.__name__}"
    return ours, theirs, [scores], what


CONFIGURATIONS = {
    "conv2d": configuration_conv2d,
    "conv_transpose2d": configuration_conv_transpose2d,
    "bilinear_upsample": configuration_bilinear_upsample,
    "max_pool2d": configuration_max_pool2d,
    "crop": configuration_crop,
    "global_average": configuration_global_average,
    "batch_norm": configuration_batch_norm,
    "relu": configuration_relu,
    "dropout": configuration_dropout,
    "add": configuration_add,
    "scale": configuration_scale,
    "softmax_cross_entropy": configuration_softmax_cross_entropy,
}


@pytest.mark.parametrize("chunk", range(CHUNKS))
@pytest.mark.parametrize("op", CONFIGURATIONS)
def test_op(op, chunk, loops):
    rng = np.random.default_rng([crc32(op.encode()), chunk])
    for i in range(EACH):
        ours, theirs, inputs, what = CONFIGURATIONS[op](rng)
        dtype = (np.float64, np.float32)[i % 2]
        assert_parity(loops, ours, theirs, inputs, rng, dtype, f"{op} chunk {chunk}.{i} {np.dtype(dtype)} {what}")


@pytest.mark.parametrize("algorithm", ["im2col", "winograd"])
@pytest.mark.parametrize("op", ["conv2d", "conv_transpose2d"])
def test_each_convolution_algorithm(op, algorithm, set_conv):
    set_conv(algorithm)
    test_op(op, CHUNKS, cpu)


@pytest.mark.parametrize("chunk", range(CHUNKS))
def test_sgd(chunk, loops):
    """A few steps from the same start, weights and biases with options of their own."""
    rng = np.random.default_rng([20, chunk])
    for i in range(EACH):
        dtype = (np.float64, np.float32)[i % 2]
        lr, momentum, decay = rng.uniform(1e-3, 0.5), rng.choice([0, 0.5, 0.9]), rng.choice([0, 5e-4, 0.1])
        bias_lr, bias_decay = float(rng.choice([1, 2])), bool(rng.random() < 0.5)
        arrays = {"a.weight": rng.standard_normal(sizes(rng, 3, 3, 5, 5)), "a.bias": rng.standard_normal(sizes(rng, 5))}
        ours = {name: tensor(loops, x.astype(dtype)) for name, x in arrays.items()}
        theirs = {name: torch.tensor(x.astype(dtype), requires_grad=True) for name, x in arrays.items()}
        optimizer = mf.optim.SGD(ours, lr, momentum, decay, bias_lr, bias_decay)
        bias = {"params": [theirs["a.bias"]], "lr": lr * bias_lr, "weight_decay": decay if bias_decay else 0}
        reference = torch.optim.SGD([{"params": [theirs["a.weight"]]}, bias], lr, momentum, weight_decay=decay)
        for _ in range(4):
            for name, x in arrays.items():
                grad = rng.standard_normal(x.shape).astype(dtype)
                ours[name].grad, theirs[name].grad = device_array(loops, grad), torch.tensor(grad)
            optimizer.step()
            reference.step()
        what = f"lr {lr} momentum {momentum} decay {decay} bias_lr {bias_lr} bias_decay {bias_decay}"
        for name in arrays:
            assert_close(ours[name].data, theirs[name].detach().numpy(), what=f"{what}: {name}")
