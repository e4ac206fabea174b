"""Dropout in the networks: what keys its masks, and what switches it off."""

import numpy as np
from helpers import assert_close, randomise, relative_error
from test_fcn import build, picture, scores

import minifcn as mf


def gradients_of_a_step(model, batches, step):
    """Accumulate the gradients of a summed loss over batches, all in one step."""
    parameters = model.parameters()
    for parameter in parameters.values():
        parameter.grad = None
    model.start_step(step)
    for x, labels in batches:
        mf.softmax_cross_entropy(model(x), labels, reduction="sum").backward()
    return {name: p.grad.copy() for name, p in parameters.items() if p.grad is not None}


def test_masks_are_keyed_by_seed_step_and_layer():
    x, labels = picture(4, 40, 35), np.random.default_rng(0).integers(0, 3, (4, 40, 35))
    whole, halves = [(x, labels)], [(x[:2], labels[:2]), (x[2:], labels[2:])]
    wide = mf.models.Widths((2, 3, 2, 3, 2), 16)
    model = build("fcn32s", trunk=wide)
    randomise(model)
    once = gradients_of_a_step(model, whole, step=7)
    for name, gradient in gradients_of_a_step(model, halves, step=7).items():
        assert_close(gradient, once[name], "network", name)  # the two halves see the masks of the whole
    again = gradients_of_a_step(model, whole, step=7)
    assert all(np.array_equal(again[name], once[name]) for name in once)
    assert relative_error(gradients_of_a_step(model, whole, step=8)["fc7.weight"], once["fc7.weight"]) > 1e-2
    other = build("fcn32s", trunk=wide, seed=1)
    for name, parameter in other.parameters().items():
        parameter.data[:] = model.parameters()[name].data
    assert relative_error(gradients_of_a_step(other, whole, step=7)["fc7.weight"], once["fc7.weight"]) > 1e-2


def test_fc6_and_fc7_have_different_masks():
    model = build("fcn32s")
    ones = mf.Tensor(np.ones((2, 5, 4, 4)))
    masks = {name: model.dropout(name, ones, 0.5).data for name in ("fc6", "fc7")}
    assert not np.array_equal(masks["fc6"], masks["fc7"])
    assert set(np.unique(masks["fc6"])) == {0, 2}  # half are dropped, the others doubled


def test_eval_switches_dropout_off():
    model = build("fcn32s")
    randomise(model)
    x = picture(1, 20, 11)
    assert model.training
    assert not np.array_equal(scores(model, x), scores(model, x))  # the draw goes on within a step
    assert model.eval() is model
    assert np.array_equal(scores(model, x), scores(model, x))
    assert model.train().training


def test_dropout_zero_is_eval():
    model = build("fcn32s", dropout=0)
    randomise(model)
    x = picture(1, 20, 11)
    assert np.array_equal(scores(model, x), scores(model.eval(), x))
