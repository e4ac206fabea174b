"""SGD against loops, what it leaves alone, clipping and schedules."""

import math

import numpy as np
import pytest
import reference
from helpers import assert_close

import minifcn as mf
from minifcn.optim import clip_gradients, learning_rate

SHAPES = {"conv.weight": (3, 2, 4, 5), "conv.bias": (5,), "score.weight": (1, 1, 5, 3)}
STEPS = 4


def draws(dtype=np.float64):
    rng = np.random.default_rng(0)
    weights = {name: rng.standard_normal(shape).astype(dtype) for name, shape in SHAPES.items()}
    grads = [{name: rng.standard_normal(shape).astype(dtype) for name, shape in SHAPES.items()} for _ in range(STEPS)]
    return weights, grads


def train(options, dtype=np.float64):
    weights, grads = draws(dtype)
    parameters = {name: mf.Tensor(w.copy(), requires_grad=True) for name, w in weights.items()}
    optimizer = mf.optim.SGD(parameters, **options)
    for step in grads:
        for name, grad in step.items():
            parameters[name].grad = grad
        optimizer.step()
    return parameters


OPTIONS = [
    {"lr": 0.1},
    {"lr": 0.1, "momentum": 0, "weight_decay": 0},
    {"lr": 0.03, "momentum": 0.5, "weight_decay": 0.3},
    {"lr": 0.1, "weight_decay": 0.2, "bias_lr": 2, "bias_decay": False},
    {"lr": 0.1, "weight_decay": 0.2, "bias_lr": 0.5},
]


def check_sgd(options, dtype=np.float64):
    """Every number of every parameter, after STEPS steps, against the formula."""
    weights, grads = draws(dtype)
    for name, parameter in train(options, dtype).items():
        bias = name.endswith(".bias")
        lr = options["lr"] * (options.get("bias_lr", 1) if bias else 1)
        decay = 0 if bias and not options.get("bias_decay", True) else options.get("weight_decay", 5e-4)
        history = np.stack([step[name].astype(np.float64).ravel() for step in grads], axis=1)
        start = weights[name].astype(np.float64).ravel()
        rows = zip(start, history, strict=True)
        expected = [reference.sgd(w, steps, lr, options.get("momentum", 0.9), decay) for w, steps in rows]
        assert parameter.dtype == dtype
        assert_close(parameter.data, np.reshape(expected, parameter.shape), what=name)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("options", OPTIONS, ids=str)
def test_sgd(options, dtype):
    check_sgd(options, dtype)


def test_updates_in_place_and_leaves_gradients():
    weights, grads = draws()
    w, g = mf.Tensor(weights["conv.weight"], requires_grad=True), grads[0]["conv.weight"]
    data, before, w.grad = w.data, w.data.copy(), g.copy()
    mf.optim.SGD({"conv.weight": w}, lr=0.1).step()
    assert w.data is data and not np.array_equal(data, before)
    assert np.array_equal(w.grad, g)


def test_a_parameter_without_gradient_is_left_alone():
    w, other = (mf.Tensor(np.ones(3), requires_grad=True) for _ in range(2))
    optimizer = mf.optim.SGD({"w": w, "other": other}, lr=0.1, weight_decay=0.5)
    w.grad = np.ones(3)
    optimizer.step()
    assert (other.data == 1).all() and list(optimizer.momentum_buffers) == ["w"]
    # neither decay nor what is left of its momentum moves it later
    w.grad = None
    before = w.data.copy()
    optimizer.step()
    assert np.array_equal(w.data, before)


def test_zero_grad():
    w = mf.Tensor(np.ones(3), requires_grad=True)
    (w * 2).backward(np.ones(3))
    mf.optim.SGD({"w": w}, lr=0.1).zero_grad()
    assert w.grad is None


def test_lr_may_change_between_steps():
    w = mf.Tensor(np.zeros(2), requires_grad=True)
    optimizer = mf.optim.SGD({"w": w}, lr=1, momentum=0.5, weight_decay=0)
    for optimizer.lr in (1, 0.1):
        w.grad = np.ones(2)
        optimizer.step()
    np.testing.assert_allclose(w.data, -(1 + 0.1 * 1.5), rtol=1e-15)


@pytest.mark.parametrize(
    "options, match",
    [
        ({"lr": -0.1}, "SGD: lr: expected a number in .0, inf., received -0.1"),
        ({"lr": math.nan}, "SGD: lr: .*received nan"),
        ({"lr": 0.1, "momentum": 1}, "SGD: momentum: expected a number in .0, 1., received 1"),
        ({"lr": 0.1, "weight_decay": -1}, "SGD: weight_decay: .*received -1"),
    ],
)
def test_refuses(options, match):
    with pytest.raises(ValueError, match=match):
        mf.optim.SGD({}, **options)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_clip_gradients(dtype):
    parameters = {name: mf.Tensor(np.zeros(2, dtype), requires_grad=True) for name in "abc"}
    parameters["a"].grad, parameters["b"].grad = np.array([3, 0], dtype), np.array([0, 4], dtype)
    assert clip_gradients(parameters, 10) == pytest.approx(5)
    assert parameters["a"].grad.tolist() == [3, 0]  # already short enough
    assert clip_gradients(parameters, 1) == pytest.approx(5)
    np.testing.assert_allclose(parameters["a"].grad, [0.6, 0], rtol=1e-6)
    np.testing.assert_allclose(parameters["b"].grad, [0, 0.8], rtol=1e-6)
    assert parameters["a"].grad.dtype == dtype and parameters["c"].grad is None
    assert clip_gradients({}, 1) == 0


def test_schedules():
    assert [learning_rate(step, 0.5, "constant", 10) for step in (0, 9)] == [0.5, 0.5]
    poly = [learning_rate(step, 0.5, "poly", 10) for step in range(10)]
    np.testing.assert_allclose(poly, [0.5 * (1 - step / 10) ** 0.9 for step in range(10)], rtol=1e-15)
    assert learning_rate(5, 0.5, "poly", 10, power=2) == pytest.approx(0.125)
    warm = [learning_rate(step, 0.5, "constant", 10, warmup=4) for step in range(6)]
    np.testing.assert_allclose(warm, [0.125, 0.25, 0.375, 0.5, 0.5, 0.5], rtol=1e-15)
    with pytest.raises(ValueError, match="schedule: expected 'constant' or 'poly', received 'step'"):
        learning_rate(0, 0.5, "step", 10)
