"""The test of the tests: every planted bug must make the battery of its op fail, and without it the battery passes.

A Mutant replaces one function, by its public name, with a wrapper that is slightly wrong: what a slip in that function
would do. A wrong result must be *seen*: only an AssertionError counts, never a crash.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache

import battery
import numpy as np
import pytest
from helpers import assert_close
from reference import CROPS
from test_optim import OPTIONS, check_sgd

import minifcn as mf
from minifcn import cpu
from minifcn.models.geometry import Grid, trunk_grids
from minifcn.ops.arithmetic import Add, Mul, Scale, Sum
from minifcn.ops.average import GlobalAverage
from minifcn.ops.crop import Crop
from minifcn.ops.dropout import Dropout


@cache
def cases(op):
    return battery.cases(op)


def check_op(op):
    """Forward and gradients of every case of an op, the forward passes first because they are cheap."""
    for check in (battery.forward_float64, battery.forward_float32, battery.gradients, battery.nothing_altered):
        for case in cases(op):
            check(case)


def check_optimizer(_):
    for options in OPTIONS:
        check_sgd(options)


def check_engine(_):
    x = mf.Tensor(np.array([1.0, -2]), requires_grad=True)
    for _ in range(2):  # two graphs, in each of which x is used three times
        middle = x * 3
        (middle + (middle * 2 + x)).backward(np.array([1.0, 10]))
    assert_close(x.grad, np.array([20.0, 200]))


def check_geometry(_):
    grids = trunk_grids(100, 0)
    assert grids["fc7"].conv_transpose(64, 32).crop_to(Grid()) == CROPS["fcn32s", 100]["score"]
    assert grids["pool4"].crop_to(grids["fc7"].conv_transpose(4, 2)) == CROPS["fcn16s", 100]["score_pool4"]


CHECKS = {"sgd": check_optimizer, "engine": check_engine, "geometry": check_geometry}


def check(target):
    CHECKS.get(target, check_op)(target)


@dataclass(frozen=True)
class Mutant:
    name: str
    targets: str  # the ops whose battery must fail, each by itself
    owner: object
    attribute: str
    spoil: Callable  # original function -> wrong function

    def __str__(self):
        return self.name

    def plant(self, monkeypatch):
        original = getattr(self.owner, self.attribute)
        monkeypatch.setattr(self.owner, self.attribute, self.spoil(original))


# ---- what slips look like ----


def result(change):
    """The original's result, changed."""
    return lambda original: lambda *args, **options: change(original(*args, **options))


def argument(i, change):
    """The original on a changed argument i (no-op where that argument is absent)."""

    def spoil(original):
        def wrong(*args, **options):
            args = list(args)
            if i < len(args) and args[i] is not None:
                args[i] = change(args[i])
            return original(*args, **options)

        return wrong

    return spoil


def flip(axis):
    return lambda a: np.ascontiguousarray(np.flip(a, axis))


def shift(rows=0, columns=0):
    return lambda a: np.roll(a, (rows, columns), (1, 2))


def turn(w):
    return np.ascontiguousarray(w[::-1, ::-1])


def exchange_where_equal(w):
    """C and K exchanged, where the shape lets that go unnoticed."""
    return np.ascontiguousarray(w.swapaxes(2, 3)) if w.shape[2] == w.shape[3] else w


def transpose_where_square(w):
    return np.ascontiguousarray(w.swapaxes(0, 1)) if w.shape[0] == w.shape[1] else w


def without_last_strip(y):
    y = y.copy()
    y[-1, -1] = 0
    return y


def padding_one_less(original):
    """The convolution reads from one row too low, at the size it should have."""

    def wrong(x, w, b, stride, padding, *args, **options):
        return original(np.roll(x, -1, 1) if padding[0] else x, w, b, stride, padding, *args, **options)

    return wrong


def stride_exchanged(original):
    """Wherever the exchanged stride gives the same size."""

    def wrong(x, w, b, stride, padding, *args, **options):
        right = original(x, w, b, stride, padding, *args, **options)
        swapped = original(x, w, b, stride[::-1], padding, *args, **options)
        rows, columns = min(right.shape[1], swapped.shape[1]), min(right.shape[2], swapped.shape[2])
        right[:, :rows, :columns] = swapped[:, :rows, :columns]
        return right

    return wrong


def without_bias(original):
    return lambda dy, w, shape, stride, padding, b=None, *args, **options: original(
        dy, w, shape, stride, padding, None, *args, **options
    )


def first_picture_only(original):
    return lambda x, dy, *args, **options: original(x[:1], dy[:1], *args, **options)


def relu_forgotten(original):
    return lambda x, w, b, stride, padding, relu=False: original(x, w, b, stride, padding)


def pool_last_of_ties(original):
    """The largest is found from the last tap back."""

    def wrong(x, kernel, stride, padding, out_size):
        y, winner = original(x, kernel, stride, padding, out_size)
        taps = kernel[0] * kernel[1]
        for tap in range(taps):
            ky, kx = divmod(tap, kernel[1])
            for n, oy, ox, c in np.ndindex(*y.shape):
                iy, ix = oy * stride[0] + ky - padding[0], ox * stride[1] + kx - padding[1]
                if 0 <= iy < x.shape[1] and 0 <= ix < x.shape[2] and x[n, iy, ix, c] == y[n, oy, ox, c]:
                    winner[n, oy, ox, c] = tap
        return y, winner

    return wrong


def pool_pads_with_zero(original):
    """Where a window reaches beyond the picture, 0 takes part."""

    def wrong(x, kernel, stride, padding, out_size):
        y, winner = original(x, kernel, stride, padding, out_size)
        for oy, ox in np.ndindex(*out_size):
            top, left = oy * stride[0] - padding[0], ox * stride[1] - padding[1]
            if min(top, left) < 0 or top + kernel[0] > x.shape[1] or left + kernel[1] > x.shape[2]:
                y[:, oy, ox] = np.maximum(y[:, oy, ox], 0)
        return y, winner

    return wrong


def pool_winner_changed(change):
    def spoil(original):
        def wrong(*args):
            y, winner = original(*args)
            return y, change(winner)

        return wrong

    return spoil


def pool_loses_nan(original):
    return lambda x, *args: original(np.where(np.isnan(x), -np.inf, x).astype(x.dtype), *args)


def loss_counts_ignored(original):
    def wrong(scores, labels, class_weight, ignore_label):
        loss, weight, dscores = original(scores, labels, class_weight, ignore_label)
        return loss, weight + (labels == ignore_label).sum(), dscores

    return wrong


def loss_teaches_ignored(original):
    """Ignored pixels count nothing in the loss, but their softmax stays in the gradient."""

    def wrong(scores, labels, class_weight, ignore_label):
        loss, weight, dscores = original(scores, labels, class_weight, ignore_label)
        dscores[labels == ignore_label] = 1 / scores.shape[1]
        return loss, weight, dscores

    return wrong


def loss_divides_by_pixels(original):
    """The class weights are forgotten in the divisor."""

    def wrong(scores, labels, class_weight, ignore_label):
        loss, _, dscores = original(scores, labels, class_weight, ignore_label)
        return loss, float((labels != ignore_label).sum()), dscores

    return wrong


def loss_gradient_unweighted(original):
    def wrong(scores, labels, class_weight, ignore_label):
        loss, weight, _ = original(scores, labels, class_weight, ignore_label)
        return loss, weight, original(scores, labels, None, ignore_label)[2]

    return wrong


def loss_without_max_shift(original):
    def wrong(scores, labels, class_weight, ignore_label):
        _, weight, dscores = original(scores, labels, class_weight, ignore_label)
        labelled = labels != ignore_label
        cw = np.ones(scores.shape[1]) if class_weight is None else class_weight
        s, label = scores[labelled].astype(np.float64), labels[labelled]
        nll = np.log(np.exp(s).sum(axis=1)) - s[np.arange(len(s)), label]
        return (cw[label] * nll).sum(), weight, dscores

    return wrong


def loss_alters_scores(original):
    def wrong(scores, labels, class_weight, ignore_label):
        found = original(scores, labels, class_weight, ignore_label)
        scores -= scores.max(axis=1, keepdims=True)
        return found

    return wrong


def half_pixel_off(original):
    """The interpolation lies between the pixels where it should lie on them."""

    def wrong(x, stride):
        y = original(x, stride)
        return (y + np.roll(y, 1, 1)) / 2

    return wrong


def dropout_scale_forgotten(original):
    def wrong(self, x):
        y = original(self, x)
        self.scale = x.dtype.type(1)
        return y * x.dtype.type(1 - self.p)

    return wrong


def dropout_draws_again(original):
    def wrong(self, dy):
        self.mask = self.rng.random(dy.shape, dtype=np.float32) >= self.p
        return original(self, dy)

    return wrong


def sgd_with(change):
    def spoil(original):
        def wrong(w, dw, v, lr, momentum, weight_decay):
            change(original, w, dw, v, lr, momentum, weight_decay)

        return wrong

    return spoil


def decay_outside_momentum(original, w, dw, v, lr, momentum, weight_decay):
    w *= w.dtype.type(1 - lr * weight_decay)
    original(w, dw, v, lr, momentum, 0.0)


def damped(original, w, dw, v, lr, momentum, weight_decay):
    """As an average of gradients would be kept: v (1 - momentum)."""
    original(w, dw, v, lr, momentum, weight_decay)
    v *= w.dtype.type(1 - momentum)


def nesterov(original, w, dw, v, lr, momentum, weight_decay):
    decayed = dw + w.dtype.type(weight_decay) * w
    original(w, dw, v, lr, momentum, weight_decay)
    w -= w.dtype.type(lr) * (decayed + w.dtype.type(momentum) * v - v)


def bias_decays(original):
    def wrong(self, *args, **options):
        original(self, *args, **options)
        self.bias_decay = True

    return wrong


def bias_lr_forgotten(original):
    def wrong(self, *args, **options):
        original(self, *args, **options)
        self.bias_lr = 1.0

    return wrong


def overwrite_leaf(original):
    def wrong(leaf, part, grad):
        leaf.grad = grad

    return wrong


def one_sided_add(original):
    return lambda self, dy: (dy, np.zeros_like(dy))


def crop_gradient_shifted(original):
    return lambda self, dy: (np.roll(original(self, dy)[0], 1, 2),)


def padding_forgotten(original):
    return lambda self, kernel, stride=1, padding=0: original(self, kernel, stride, 0)


def crop_off_by_one(original):
    def wrong(self, x):
        pictures, rows, columns = self.inside
        up = min(1, rows.start)
        self.inside = pictures, slice(rows.start - up, rows.stop - up), columns
        return original(self, x)

    return wrong


def norm_of_n_minus_1(original):
    def wrong(x, b, eps, relu, total):
        n = x.size // x.shape[-1]
        y, xhat, mean, var = original(x, b * 0, eps, False, total)
        shrink = np.sqrt((n - 1) / n).astype(x.dtype)
        y = y * shrink + b
        return (np.maximum(y, 0) if relu else y), xhat * shrink, mean, var

    return wrong


def norm_statistics_held_constant(_):
    def wrong(dy, y, xhat, var, eps, total):
        dy = dy.reshape(xhat.shape) * (1 if y is None else y > 0)
        return dy / np.sqrt(var + dy.dtype.type(eps)), dy.sum(0)

    return wrong


def norm_relu_let_through(original):
    return lambda dy, y, xhat, var, eps, total: original(dy, None, xhat, var, eps, total)


def average_not_divided(_):
    def wrong(self, dy):
        return (np.broadcast_to(dy, self.shapes[0]).copy(),)

    return wrong


CONVS = "conv2d conv_transpose2d"
MUTANTS = [
    # ---- convolutions ----
    Mutant("input gradient: dy flipped", CONVS, cpu, "conv_input_grad", argument(0, flip(1))),
    Mutant("input gradient: kernel not turned", CONVS, cpu, "conv_input_grad", argument(1, turn)),
    Mutant("input gradient: C and K exchanged", CONVS, cpu, "conv_input_grad", argument(1, exchange_where_equal)),
    Mutant("input gradient: cropped one off", CONVS, cpu, "conv_input_grad", result(shift(rows=1))),
    Mutant("input gradient: bias forgotten", "conv_transpose2d", cpu, "conv_input_grad", without_bias),
    Mutant("weight gradient: kernel turned", CONVS, cpu, "conv_weight_grad", result(turn)),
    Mutant("weight gradient: KH and KW exchanged", "conv2d", cpu, "conv_weight_grad", result(transpose_where_square)),
    Mutant("weight gradient: C and K exchanged", CONVS, cpu, "conv_weight_grad", result(exchange_where_equal)),
    Mutant("weight gradient: of the first picture", CONVS, cpu, "conv_weight_grad", first_picture_only),
    Mutant("weight gradient: one column off", CONVS, cpu, "conv_weight_grad", argument(0, shift(columns=1))),
    Mutant("bias gradient: zero", CONVS, cpu, "bias_grad", result(np.zeros_like)),
    Mutant("bias gradient: mean instead of sum", CONVS, cpu, "bias_grad", lambda _: lambda dy: dy.mean(axis=(0, 1, 2))),
    Mutant("forward: padding off by one", "conv2d", cpu, "conv_forward", padding_one_less),
    Mutant("forward: stride pair exchanged", "conv2d", cpu, "conv_forward", stride_exchanged),
    Mutant("forward: last strip dropped", "conv2d", cpu, "conv_forward", result(without_last_strip)),
    Mutant("forward: convolution, not correlation", CONVS, cpu, "conv_forward", argument(1, turn)),
    Mutant("forward: bias forgotten", "conv2d", cpu, "conv_forward", argument(2, np.zeros_like)),
    Mutant("forward: ReLU forgotten", "conv2d", cpu, "conv_forward", relu_forgotten),
    # ---- upsampling, pooling, crop ----
    Mutant("upsampling: half a pixel off", "bilinear_upsample", cpu, "upsample_forward", half_pixel_off),
    Mutant("upsampling: gradient off by one", "bilinear_upsample", cpu, "upsample_backward", argument(0, shift(1, 0))),
    Mutant("pool: last of ties", "max_pool2d", cpu, "pool_forward", pool_last_of_ties),
    Mutant("pool: pads with 0", "max_pool2d", cpu, "pool_forward", pool_pads_with_zero),
    Mutant("pool: NaN lost", "max_pool2d", cpu, "pool_forward", pool_loses_nan),
    Mutant("pool: always the first tap", "max_pool2d", cpu, "pool_forward", pool_winner_changed(np.zeros_like)),
    Mutant("pool: the neighbour's winner", "max_pool2d", cpu, "pool_forward", pool_winner_changed(shift(columns=1))),
    Mutant("pool: gradient to the wrong window", "max_pool2d", cpu, "pool_backward", argument(0, shift(rows=1))),
    Mutant("crop: off by one", "crop", Crop, "forward", crop_off_by_one),
    Mutant("crop: gradient off by one", "crop", Crop, "backward", crop_gradient_shifted),
    # ---- means ----
    Mutant("batch_norm: variance of n - 1", "batch_norm", cpu, "batch_norm_forward", norm_of_n_minus_1),
    Mutant("batch_norm: constant statistics", "batch_norm", cpu, "batch_norm_backward", norm_statistics_held_constant),
    Mutant("batch_norm: ReLU let through", "batch_norm", cpu, "batch_norm_backward", norm_relu_let_through),
    Mutant("global_average: gradient not divided", "global_average", GlobalAverage, "backward", average_not_divided),
    # ---- elementwise ----
    Mutant("relu: leaks", "relu", cpu, "relu_forward", lambda _: lambda x: np.maximum(x, x * x.dtype.type(0.01))),
    Mutant("relu: gradient everywhere", "relu conv2d", cpu, "relu_backward", lambda _: lambda dy, y: dy.copy()),
    Mutant("relu: gradient where y >= 0", "relu conv2d", cpu, "relu_backward", lambda _: lambda dy, y: dy * (y >= 0)),
    Mutant("dropout: scale", "dropout", Dropout, "forward", dropout_scale_forgotten),
    Mutant("dropout: another mask", "dropout", Dropout, "backward", dropout_draws_again),
    Mutant("add: gradient to one side", "add", Add, "backward", one_sided_add),
    Mutant("multiply: gradients exchanged", "multiply", Mul, "backward", result(lambda gradients: gradients[::-1])),
    Mutant("sum: gradient of a mean", "sum", Sum, "backward", result(lambda dx: (dx[0] / dx[0].size,))),
    Mutant("scale: gradient unscaled", "scale", Scale, "backward", lambda _: lambda self, dy: (dy,)),
    # ---- loss ----
    Mutant("loss: ignored in the divisor", "softmax_cross_entropy", cpu, "cross_entropy", loss_counts_ignored),
    Mutant("loss: ignored given gradient", "softmax_cross_entropy", cpu, "cross_entropy", loss_teaches_ignored),
    Mutant("loss: divisor unweighted", "softmax_cross_entropy", cpu, "cross_entropy", loss_divides_by_pixels),
    Mutant("loss: gradient unweighted", "softmax_cross_entropy", cpu, "cross_entropy", loss_gradient_unweighted),
    Mutant("loss: no max shift", "softmax_cross_entropy", cpu, "cross_entropy", loss_without_max_shift),
    Mutant("loss: alters the scores", "softmax_cross_entropy", cpu, "cross_entropy", loss_alters_scores),
    # ---- optimiser, engine, geometry ----
    Mutant("sgd: decay outside the momentum", "sgd", cpu, "sgd_update", sgd_with(decay_outside_momentum)),
    Mutant("sgd: momentum damped", "sgd", cpu, "sgd_update", sgd_with(damped)),
    Mutant("sgd: Nesterov", "sgd", cpu, "sgd_update", sgd_with(nesterov)),
    Mutant("sgd: bias decays", "sgd", mf.optim.SGD, "__init__", bias_decays),
    Mutant("sgd: bias_lr forgotten", "sgd", mf.optim.SGD, "__init__", bias_lr_forgotten),
    Mutant("engine: gradient overwritten", "engine", mf.Tensor, "accept", overwrite_leaf),
    Mutant("geometry: padding forgotten", "geometry", Grid, "conv", padding_forgotten),
    Mutant("geometry: crop one off", "geometry", Grid, "crop_to", result(lambda offset: offset + 1)),
]
PLANTED = [(mutant, target) for mutant in MUTANTS for target in mutant.targets.split()]


@pytest.mark.parametrize("target", sorted({target for _, target in PLANTED}))
def test_passes_without_a_bug(target):
    check(target)


@pytest.mark.parametrize("mutant, target", PLANTED, ids=str)
def test_fails_with_the_bug(mutant, target, monkeypatch):
    mutant.plant(monkeypatch)
    with np.errstate(all="ignore"), pytest.raises(AssertionError):
        check(target)


def test_there_are_enough():
    names = {mutant.name for mutant in MUTANTS}
    assert len(names) == len(MUTANTS) >= 24
