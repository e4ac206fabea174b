"""Whole networks against their PyTorch twin (twin.py): logits and every gradient, at full width; ten steps of training.

Every parameter has random non-zero values, score layers too, and every gradient is seen to be non-zero: with zero score
layers all gradients below them would be zero on both sides.
"""

import numpy as np
import pytest
from helpers import TINY, TOLERANCE, assert_all_gradients, assert_close, randomise

import minifcn as mf
from minifcn import cpu, device

torch = pytest.importorskip("torch")
from twin import Twin  # noqa: E402  (needs torch)


def assert_twins(loops, name, trunk, pad, size, last_upscore, num_classes=4):
    """last_upscore: whether the last upsampling gets values that are not bilinear, so that it runs densely here too."""
    model = getattr(mf.models, name)(num_classes, trunk=trunk, pad=pad, dtype=np.float64).eval()
    parameters = randomise(model, last_upscore=last_upscore)
    twin = Twin(name, pad, {layer: p.data for layer, p in parameters.items()})
    model.to("cpu" if loops is cpu else "gpu")
    rng = np.random.default_rng(1)
    x, dy = rng.standard_normal((*size, 3)), rng.standard_normal((*size, num_classes))
    y, z = model(x), twin(x)
    assert y.shape == (*size, num_classes) and device.of(y.data) is loops
    assert 1e-2 < np.abs(device.asnumpy(y.data)).max() < 1e6  # neither vanishing nor exploding
    assert_close(y.data, z.detach().numpy(), "network", "scores")
    y.backward(dy)
    z.backward(torch.tensor(dy))
    assert_all_gradients(parameters)
    for layer, parameter in parameters.items():
        if parameter.requires_grad:
            assert device.of(parameter.grad) is loops
            assert_close(parameter.grad, twin.gradient(layer), "network", layer)
            parameter.grad = None  # at full width memory counts


@pytest.mark.parametrize("loops", ["cpu", "real_gpu"], indirect=True)
@pytest.mark.parametrize(
    "name, pad, size, last_upscore",
    [
        ("fcn32s", 100, (1, 1, 2), False),
        ("fcn16s", "same", (1, 33, 47), False),
        ("fcn8s", "same", (1, 33, 47), True),
    ],
)
def test_full_width(name, pad, size, last_upscore, loops):
    assert_twins(loops, name, "vgg16", pad, size, last_upscore)


NARROW = [
    (loops, pad, size)
    for loops in ("cpu", "emulated_gpu", "real_gpu")
    for pad, size in ((100, (1, 2, 35)), (100, (2, 41, 18)), ("same", (3, 1, 1)), ("same", (2, 65, 50)))
    if loops != "emulated_gpu" or size != (2, 41, 18)  # takes the emulator 4 s a network
]


@pytest.mark.parametrize("last_upscore", [False, True])
@pytest.mark.parametrize("name", ["fcn32s", "fcn16s", "fcn8s"])
@pytest.mark.parametrize("loops, pad, size", NARROW, indirect=["loops"])
def test_narrow(loops, pad, size, name, last_upscore):
    assert_twins(loops, name, TINY, pad, size, last_upscore)


def learnable(rng, pictures, H, W):
    """Noisy pictures of coloured rectangles on a background; the label of a pixel is its colour."""
    colours = np.array([[0, 0, 0], [2, -1, 0], [-1, 2, 1], [0, -2, 2]], np.float32)
    labels = np.zeros((pictures, H, W), np.uint8)
    for picture in labels:
        for label in (1, 2, 3):
            top, left = rng.integers(0, H - 12), rng.integers(0, W - 12)
            picture[top : top + rng.integers(12, 30), left : left + rng.integers(12, 30)] = label
    x = colours[labels] + 0.3 * rng.standard_normal((pictures, H, W, 3)).astype(np.float32)
    labels[:, :2] = 255
    return x, labels


@pytest.mark.parametrize(
    "loops, dtype, algorithm, kind",
    [
        ("cpu", np.float32, "im2col", "training"),
        ("cpu", np.float32, None, "training winograd"),
        ("cpu", np.float64, None, "training"),
        ("real_gpu", np.float32, None, "training"),
        ("real_gpu", np.float64, None, "training"),
    ],
    indirect=["loops"],
)
def test_ten_steps_of_training(loops, dtype, algorithm, kind, set_conv):
    """vgg_quarter FCN-16s from its own initial values, dropout off: the same losses step by step."""
    if algorithm:
        set_conv(algorithm)
    model = mf.models.fcn16s(4, trunk="vgg_quarter", pad="same", dtype=dtype).eval()
    parameters = model.parameters()
    twin = Twin("fcn16s", "same", {name: p.data for name, p in parameters.items()})
    model.to("cpu" if loops is cpu else "gpu")
    lr, momentum, decay = 0.02, 0.9, 5e-4
    optimizer = mf.optim.SGD(parameters, lr, momentum, decay, bias_lr=2, bias_decay=False)
    learnt = {name: w for name, w in twin.w.items() if w.requires_grad}
    weights = {"params": [w for name, w in learnt.items() if name.endswith(".weight")], "weight_decay": decay}
    biases = {"params": [w for name, w in learnt.items() if name.endswith(".bias")], "lr": 2 * lr}
    twin_optimizer = torch.optim.SGD([weights, biases], lr, momentum)
    rng = np.random.default_rng(0)
    losses = []
    for step in range(10):
        x, labels = learnable(rng, 3, 64, 80)
        optimizer.zero_grad()
        x = x.astype(dtype)
        loss = mf.softmax_cross_entropy(model(x), labels)
        loss.backward()
        optimizer.step()
        twin_optimizer.zero_grad()
        target = torch.tensor(labels.astype(np.int64))
        twin_loss = torch.nn.functional.cross_entropy(twin(x).permute(0, 3, 1, 2), target, ignore_index=255)
        twin_loss.backward()
        twin_optimizer.step()
        losses.append(float(loss.data))
        assert losses[-1] == pytest.approx(twin_loss.item(), rel=TOLERANCE[np.dtype(dtype).name][kind]), f"step {step}"
    assert losses[0] == pytest.approx(np.log(4), rel=1e-5)
    assert losses[-1] < 0.85 * losses[0], losses  # it really trains
