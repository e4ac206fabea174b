"""The engine's memory: what a graph keeps, and when backward frees it."""

import gc
import weakref
from contextlib import contextmanager

import numpy as np
from test_autograd import Probe, Square, leaf

import minifcn as mf


@contextmanager
def without_gc():
    """Inside, only reference counts free memory, so what is gone had no cycle and no owner."""
    gc.collect()
    gc.disable()
    try:
        yield
    finally:
        gc.enable()


def alive(refs):
    return [ref() is not None for ref in refs]


def test_backward_frees_activations_on_the_way():
    """When backward reaches the probe at the bottom, the activations above it are gone."""
    with without_gc():
        x, refs, seen = leaf(np.ones(10)), [], []
        y = Probe(lambda: seen.append(alive(refs)))(x)
        for _ in range(3):
            y = Square()(y)
            refs.append(weakref.ref(y.data))
        end = y * 2
        del y
        assert alive(refs) == [True, True, False]  # the last one was for Scale, which does not keep its input
        end.backward(np.ones(10))
        assert seen == [[False, False, False]]


def test_backward_frees_gradients_on_the_way():
    """Of all gradients handed down only the last is alive at the bottom."""

    class Watched(Square):
        def backward(self, dy):
            (dx,) = super().backward(dy)
            refs.append(weakref.ref(dx))
            return (dx,)

    with without_gc():
        x, refs, seen = leaf(np.ones(10)), [], []
        y = Probe(lambda: seen.append(alive(refs)))(x)
        for _ in range(3):
            y = Watched()(y)
        y.backward(np.ones(10))
        assert seen == [[False, False, True]]


def test_a_network_is_freed_by_backward():
    """Real layers: after backward nothing but the leaves and their gradients remains, though the loss is still held."""
    with without_gc():
        rng = np.random.default_rng(0)
        w = leaf(rng.standard_normal((3, 3, 2, 2)))
        y, refs = mf.Tensor(rng.standard_normal((1, 8, 8, 2)), requires_grad=True), []
        layers = (
            lambda y: mf.conv2d(y, w, padding=1, relu=True),
            lambda y: mf.max_pool2d(y, 2),
            lambda y: mf.dropout(y, 0.5, rng),
            mf.relu,
            lambda y: mf.conv_transpose2d(y, w, stride=2),
            lambda y: mf.crop(y, 1, 1, 4, 4),
            lambda y: mf.bilinear_upsample(y, 2),
        )
        for layer in layers:
            y = layer(y)
            refs.append(weakref.ref(y.data))
        loss = mf.softmax_cross_entropy(y, np.zeros(y.shape[:3], int))
        del y
        loss.backward()
        assert not any(alive(refs))
        assert loss.creator is not None and not vars(loss.creator)


def test_forward_under_no_grad_keeps_nothing():
    with without_gc():
        rng = np.random.default_rng(0)
        w, refs = leaf(rng.standard_normal((3, 3, 2, 2))), []
        y = mf.Tensor(rng.standard_normal((1, 8, 8, 2)))
        with mf.no_grad():
            for layer in (lambda y: mf.conv2d(y, w, padding=1, relu=True), lambda y: mf.max_pool2d(y, 2), mf.relu):
                y = layer(y)
                refs.append(weakref.ref(y.data))
        assert alive(refs) == [False, False, True]


def test_what_no_gradient_needs_is_not_kept():
    """A picture needs no gradient: a pool or ReLU before the first parameter keeps nothing."""
    with without_gc():
        y, refs = mf.Tensor(np.ones((1, 8, 8, 2))), []
        for layer in (lambda y: mf.max_pool2d(y, 2), mf.relu, lambda y: y * 2):
            y = layer(y)
            refs.append(weakref.ref(y.data))
        assert alive(refs) == [False, False, True]
