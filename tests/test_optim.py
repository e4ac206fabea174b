"""SGD against loops, what it leaves alone, clipping and schedules."""

import math

import numpy as np
import pytest
import reference
from helpers import assert_close, device_array, tensor

import minifcn as mf
from minifcn import cpu, device
from minifcn.optim import clip_gradients, learning_rate

SHAPES = {"conv.weight": (3, 2, 4, 5), "conv.bias": (5,), "score.weight": (1, 1, 5, 3)}
STEPS = 4


def draws(dtype=np.float64):
    rng = np.random.default_rng(0)
    weights = {name: rng.standard_normal(shape).astype(dtype) for name, shape in SHAPES.items()}
    grads = [{name: rng.standard_normal(shape).astype(dtype) for name, shape in SHAPES.items()} for _ in range(STEPS)]
    return weights, grads


def train(options, dtype=np.float64, loops=cpu):
    weights, grads = draws(dtype)
    parameters = {name: tensor(loops, w) for name, w in weights.items()}
    optimizer = mf.optim.SGD(parameters, **options)
    for step in grads:
        for name, grad in step.items():
            parameters[name].grad = device_array(loops, grad)
        optimizer.step()
    return parameters


OPTIONS = [
    {"lr": 0.1},
    {"lr": 0.1, "momentum": 0, "weight_decay": 0},
    {"lr": 0.03, "momentum": 0.5, "weight_decay": 0.3},
    {"lr": 0.1, "weight_decay": 0.2, "bias_lr": 2, "bias_decay": False},
    {"lr": 0.1, "weight_decay": 0.2, "bias_lr": 0.5},
]


def check_sgd(options, dtype=np.float64, loops=cpu):
    """Every number of every parameter, after STEPS steps, against the formula."""
    weights, grads = draws(dtype)
    for name, parameter in train(options, dtype, loops).items():
        bias = name.endswith(".bias")
        lr = options["lr"] * (options.get("bias_lr", 1) if bias else 1)
        decay = 0 if bias and not options.get("bias_decay", True) else options.get("weight_decay", 5e-4)
        history = np.stack([step[name].astype(np.float64).ravel() for step in grads], axis=1)
        start = weights[name].astype(np.float64).ravel()
        rows = zip(start, history, strict=True)
        expected = [reference.sgd(w, steps, lr, options.get("momentum", 0.9), decay) for w, steps in rows]
        assert parameter.dtype == dtype and device.of(parameter.data) is loops
        assert_close(parameter.data, np.reshape(expected, parameter.shape), what=name)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("options", OPTIONS, ids=str)
def test_sgd(options, dtype, loops):
    check_sgd(options, dtype, loops)


def test_updates_in_place_and_leaves_gradients(loops):
    weights, grads = draws()
    before, g = weights["conv.weight"], grads[0]["conv.weight"]
    w = tensor(loops, before)
    data, w.grad = w.data, device_array(loops, g)
    mf.optim.SGD({"conv.weight": w}, lr=0.1).step()
    assert w.data is data and not np.array_equal(device.asnumpy(data), before)
    assert np.array_equal(device.asnumpy(w.grad), g)


def test_a_gradient_in_any_layout(loops):
    """Gradients come as they are: with strides, and in the transposed order of axes."""
    w, same = (tensor(loops, np.ones((3, 4))) for _ in range(2))
    g = device_array(loops, np.random.default_rng(0).standard_normal((8, 3)))
    w.grad, same.grad = g[::2].T, g[::2].T.copy()
    mf.optim.SGD({"w": w, "same": same}, lr=0.1).step()
    assert not w.grad.flags.c_contiguous
    assert np.array_equal(device.asnumpy(w.data), device.asnumpy(same.data))


def test_a_parameter_without_gradient_is_left_alone(loops):
    w, other = (tensor(loops, np.ones(3)) for _ in range(2))
    optimizer = mf.optim.SGD({"w": w, "other": other}, lr=0.1, weight_decay=0.5)
    w.grad = device_array(loops, np.ones(3))
    optimizer.step()
    assert (device.asnumpy(other.data) == 1).all() and list(optimizer.momentum_buffers) == ["w"]
    # neither decay nor what is left of its momentum moves it later
    w.grad = None
    before = device.asnumpy(w.data).copy()
    optimizer.step()
    assert np.array_equal(device.asnumpy(w.data), before)


def test_zero_grad(loops):
    w = tensor(loops, np.ones(3))
    (w * 2).backward(np.ones(3))
    mf.optim.SGD({"w": w}, lr=0.1).zero_grad()
    assert w.grad is None


def test_step_during_backward_makes_momentum_for_what_is_learnt_alone(loops):
    w, frozen = tensor(loops, np.ones(3)), tensor(loops, np.ones(3), requires_grad=False)
    optimizer = mf.optim.SGD({"w": w, "frozen": frozen}, lr=0.1, momentum=0.5, weight_decay=0)
    optimizer.step_during_backward()
    assert list(optimizer.momentum_buffers) == ["w"]  # before the first gradient
    (w + frozen).backward(np.ones(3))
    assert list(optimizer.momentum_buffers) == ["w"] and w.grad is None
    np.testing.assert_allclose(device.asnumpy(w.data), 0.9, rtol=1e-15)
    assert (device.asnumpy(frozen.data) == 1).all()


def test_lr_may_change_between_steps(loops):
    w = tensor(loops, np.zeros(2))
    optimizer = mf.optim.SGD({"w": w}, lr=1, momentum=0.5, weight_decay=0)
    for optimizer.lr in (1, 0.1):
        w.grad = device_array(loops, np.ones(2))
        optimizer.step()
    np.testing.assert_allclose(device.asnumpy(w.data), -(1 + 0.1 * 1.5), rtol=1e-15)


@pytest.mark.parametrize(
    "options, error, match",
    [
        ({"lr": -0.1}, ValueError, "SGD: lr: expected a number in .0, inf., received -0.1"),
        ({"lr": math.nan}, ValueError, "SGD: lr: .*received nan"),
        ({"lr": "a"}, TypeError, "SGD: lr: expected a number, received str"),
        ({"lr": 0.1, "momentum": 1}, ValueError, "SGD: momentum: expected a number in .0, 1., received 1"),
        ({"lr": 0.1, "weight_decay": -1}, ValueError, "SGD: weight_decay: .*received -1"),
        ({"lr": 0.1, "bias_lr": -1}, ValueError, "SGD: bias_lr: .*received -1"),
        ({"lr": 0.1, "bias_lr": math.nan}, ValueError, "SGD: bias_lr: .*received nan"),
        ({"lr": 0.1, "parameters": []}, TypeError, "SGD: parameters: expected a dict name -> Tensor, received list"),
    ],
)
def test_refuses(options, error, match):
    with pytest.raises(error, match=match):
        mf.optim.SGD(**{"parameters": {}} | options)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_clip_gradients(dtype, loops):
    parameters = {name: tensor(loops, np.zeros(2, dtype)) for name in "abc"}
    for name, grad in {"a": [3, 0], "b": [0, 4]}.items():
        parameters[name].grad = device_array(loops, np.array(grad, dtype))
    assert clip_gradients(parameters, 10) == pytest.approx(5)
    assert device.asnumpy(parameters["a"].grad).tolist() == [3, 0]  # already short enough
    norm = clip_gradients(parameters, 1)
    assert type(norm) is float and norm == pytest.approx(5)
    np.testing.assert_allclose(device.asnumpy(parameters["a"].grad), [0.6, 0], rtol=1e-6)
    np.testing.assert_allclose(device.asnumpy(parameters["b"].grad), [0, 0.8], rtol=1e-6)
    assert parameters["a"].grad.dtype == dtype and parameters["c"].grad is None
    assert clip_gradients({}, 1) == 0


@pytest.mark.parametrize("block", [7, 1 << 18])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_the_norm_is_the_same_on_every_device_and_in_pieces(dtype, block, loops, monkeypatch):
    monkeypatch.setattr(loops.elementwise, "BLOCK", block)
    grads = draws(dtype)[1][0]
    here, there = ({name: tensor(place, grad) for name, grad in grads.items()} for place in (cpu, loops))
    for parameters in (here, there):
        for parameter in parameters.values():
            parameter.grad = parameter.data
    expected = math.sqrt(sum(np.square(grad, dtype=np.float64).sum() for grad in grads.values()))
    assert clip_gradients(here, 1) == pytest.approx(expected, rel=1e-6 if dtype == np.float32 else 1e-14)
    assert clip_gradients(there, 1) == pytest.approx(expected, rel=1e-6 if dtype == np.float32 else 1e-14)
    for name in grads:
        assert_close(there[name].grad, here[name].grad, what=name)


def test_schedules():
    assert [learning_rate(step, 0.5, "constant", 10) for step in (0, 9)] == [0.5, 0.5]
    poly = [learning_rate(step, 0.5, "poly", 10) for step in range(10)]
    np.testing.assert_allclose(poly, [0.5 * (1 - step / 10) ** 0.9 for step in range(10)], rtol=1e-15)
    assert learning_rate(5, 0.5, "poly", 10, power=2) == pytest.approx(0.125)
    warm = [learning_rate(step, 0.5, "constant", 10, warmup=4) for step in range(6)]
    np.testing.assert_allclose(warm, [0.125, 0.25, 0.375, 0.5, 0.5, 0.5], rtol=1e-15)
    with pytest.raises(ValueError, match="schedule: expected 'constant' or 'poly', received 'step'"):
        learning_rate(0, 0.5, "step", 10)
