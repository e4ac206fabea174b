"""Less memory, the same numbers: updates during backward, maps computed once more, gradients in old memory."""

import weakref

import numpy as np
import pytest
from battery import cases, evaluate

import minifcn as mf
from minifcn.autograd import Function
from minifcn.cpu.conv import LARGE
from minifcn.ops.frugal import FrugalConv2d, frugal_conv2d


def examples(seed, size=(2, 40, 56)):
    rng = np.random.default_rng(seed)
    return rng.standard_normal((*size, 3)).astype(np.float32), rng.integers(0, 4, size)


def network(recomputed=1):
    model = mf.models.fcn16s(4, trunk="vgg_quarter", pad="same", dropout=0.0)
    model.recomputed = recomputed
    for name, p in model.parameters().items():
        if name.startswith("score"):  # zero score layers would hide the trunk
            p.data[...] = np.random.default_rng(len(name)).standard_normal(p.shape) * 0.1
    return model


def train(low_memory):
    model = network(3 if low_memory else 1)
    optimiser = mf.optim.SGD(model.parameters(), 0.02, bias_lr=2, bias_decay=False)
    if low_memory:
        optimiser.step_during_backward()
    for step in range(3):
        x, labels = examples(step)
        optimiser.zero_grad()
        mf.softmax_cross_entropy(model(x), labels).backward()
        assert low_memory == all(p.grad is None for p in model.parameters().values())
        optimiser.step()
    return model, optimiser


def test_updates_during_backward_are_the_same_to_the_last_bit():
    (one, first), (two, second) = train(False), train(True)
    before = network().parameters()
    assert one.parameters()["fc6.weight"].data.size >= LARGE  # it comes in slabs
    for name, p in one.parameters().items():
        assert np.array_equal(p.data, two.parameters()[name].data), name
        assert np.array_equal(p.data, before[name].data) != p.requires_grad, f"{name} was not trained"
        if p.requires_grad:
            assert np.array_equal(first.momentum_buffers[name], second.momentum_buffers[name]), name


def test_a_large_gradient_never_exists_whole():
    model = network()
    parts = {name: [] for name in model.parameters()}
    for name, p in model.parameters().items():
        p.accept, p.in_parts = lambda part, grad, name=name: parts[name].append((part, grad.shape)), True
    x, labels = examples(0)
    mf.softmax_cross_entropy(model(x), labels).backward()
    assert parts["fc6.weight"] == [(ky, (7, 128, 256)) for ky in range(7)]
    assert parts["fc6.bias"] == [(..., (256,))]
    assert all(len(received) > 0 for name, received in parts.items() if model.parameters()[name].requires_grad)


@pytest.mark.parametrize("algorithm", [None, "im2col", "winograd"])
def test_maps_computed_once_more_give_the_same_gradients(algorithm, set_conv):
    if algorithm:
        set_conv(algorithm)
    gradients = []
    for recomputed in (0, 1, 5):
        model, (x, labels) = network(recomputed), examples(0)
        mf.softmax_cross_entropy(model(x), labels).backward()
        gradients.append({name: p.grad for name, p in model.parameters().items() if p.requires_grad})
    for name, grad in gradients[0].items():
        assert grad.any(), name
        assert all(np.array_equal(grad, other[name]) for other in gradients[1:]), name


def test_a_map_to_be_recomputed_is_not_kept():
    model, (x, _) = network(1), examples(0)
    score = model(x)
    convs = [f for f in mf.autograd.graph(score) if isinstance(f, FrugalConv2d)]
    assert convs[0].y is None and convs[1].x is None
    assert convs[2].y is not None and convs[3].x is not None


def test_frozen_layers_can_be_recomputed_too():
    model, (x, labels) = network(5), examples(0)
    for name, p in model.parameters().items():
        p.requires_grad = not name.startswith(("conv1", "conv2_1"))
    mf.softmax_cross_entropy(model(x), labels).backward()
    parameters = model.parameters()
    assert parameters["conv2_1.weight"].grad is None and parameters["conv2_2.weight"].grad.any()


def backward(w, value=1.0):
    """Add the gradient of a convolution of a picture of that value by w: 9 value everywhere."""
    frugal_conv2d(np.full((1, 5, 5, 2), value), w).backward(np.ones((1, 3, 3, 2)))


def leaf():
    return mf.Tensor(np.ones((3, 3, 2, 2)), requires_grad=True)


def test_a_gradient_goes_into_old_memory_only_if_nobody_holds_that():
    w = leaf()
    backward(w)
    first = weakref.ref(w.grad)  # an address would say nothing: malloc gives freed memory again
    w.grad = None
    backward(w, 2.0)
    assert w.grad is first() and (w.grad == 18).all()
    held = w.grad
    w.grad = None
    backward(w)
    assert (held == 18).all() and (w.grad == 9).all()
    view = w.grad[0]
    w.grad = None
    backward(w, 2.0)
    assert (view == 9).all() and (w.grad == 18).all()


def test_a_gradient_that_is_still_there_is_added_to():
    w = leaf()
    for total in (9, 18, 27):
        backward(w)
        assert (w.grad == total).all()
    total = weakref.ref(w.grad)
    w.grad = None
    backward(w)
    assert w.grad is total() and (w.grad == 9).all()


@pytest.mark.parametrize("odd", ["part of another array", "other order", "other dtype"])
def test_a_gradient_that_somebody_set_is_left_alone(odd):
    w, theirs = leaf(), np.zeros((2, 3, 3, 2, 2))
    if odd == "part of another array":
        w.grad = theirs[0]
    else:
        w.grad = np.zeros((3, 3, 2, 2), order="F") if odd == "other order" else np.zeros((3, 3, 2, 2), np.float32)
    w.grad = None
    backward(w)
    assert (w.grad == 9).all() and w.grad.dtype == np.float64 and not theirs.any()


@pytest.mark.parametrize("case", cases("conv2d"), ids=str)
def test_conv2d_and_frugal_conv2d_are_the_same_to_the_last_bit(case, monkeypatch):
    results = []
    for convolve in (mf.conv2d, frugal_conv2d):
        monkeypatch.setattr(mf, "conv2d", convolve)  # which the case calls
        y, inputs, _ = evaluate(case)
        results.append([y, *(x.grad for x in inputs)])
    assert all(np.array_equal(plain, frugal) for plain, frugal in zip(*results, strict=True))


class Turned(Function):
    """The identity, whose gradient lies in memory in Fortran's order."""

    def forward(self, x):
        return x.copy()

    def backward(self, dy):
        return (np.asfortranarray(dy),)


def test_a_gradient_in_another_order_is_not_written_to():
    w = leaf()
    Turned()(w).backward(np.ones(w.shape))
    assert not w.grad.flags.c_contiguous
    w.grad = None
    backward(w)
    assert w.grad.flags.c_contiguous and (w.grad == 9).all()


def test_a_weight_that_is_no_leaf():
    w = leaf()
    frugal_conv2d(np.ones((1, 5, 5, 2)), w * 2).backward(np.ones((1, 3, 3, 2)))
    assert (w.grad == 18).all()


def test_a_weight_used_twice_adds_up():
    """The old memory serves the first use only."""
    w, x = mf.Tensor(np.ones((3, 3, 2, 2)), requires_grad=True), np.ones((1, 7, 7, 2))
    for _ in range(2):
        w.grad = None
        y = frugal_conv2d(x, w) + frugal_conv2d(3 * x, w)
        y.backward(np.ones((1, 5, 5, 2)))
        assert (w.grad == 4 * 25).all()
