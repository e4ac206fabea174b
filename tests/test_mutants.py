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
from slips import (
    argument,
    average_not_divided,
    crop_gradient_shifted,
    crop_off_by_one,
    dropout_draws_again,
    dropout_scale_forgotten,
    exchange_where_equal,
    first_picture_only,
    flip,
    half_pixel_off,
    norm_of_n_minus_1,
    norm_relu_let_through,
    norm_statistics_held_constant,
    one_sided_add,
    overwrite_leaf,
    padding_forgotten,
    padding_one_less,
    pool_last_of_ties,
    pool_loses_nan,
    pool_pads_with_zero,
    pool_winner_changed,
    relu_forgotten,
    result,
    shift,
    stride_exchanged,
    transpose_where_square,
    turn,
    without_bias,
    without_last_strip,
)
from slips_training import (
    bias_decays,
    bias_lr_forgotten,
    damped,
    decay_outside_momentum,
    loss_alters_scores,
    loss_counts_ignored,
    loss_divides_by_pixels,
    loss_gradient_unweighted,
    loss_teaches_ignored,
    loss_without_max_shift,
    nesterov,
    sgd_with,
)
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
