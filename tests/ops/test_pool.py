"""max_pool2d: loops (with ties, NaN and padding), gradients, the size rule, and what it refuses."""

import numpy as np
import pytest
from battery import CHECKS, cases
from helpers import tensor

import minifcn as mf
from minifcn import cpu, device
from minifcn.cpu import pool


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
@pytest.mark.parametrize("case", cases("max_pool2d"), ids=str)
def test_max_pool2d(case, check, loops):
    check(case, loops)


def pooled(loops, values, *options, **more):
    """Pool one single-channel picture; return y and, for a dy of ones, dx."""
    x = tensor(loops, np.array(values, np.float64)[None, :, :, None])
    y = mf.max_pool2d(x, *options, **more)
    y.backward(np.ones(y.shape))
    return tuple(device.asnumpy(array)[0, :, :, 0].tolist() for array in (y.data, x.grad))


def test_ties_go_to_the_first_rows_before_columns(loops):
    assert pooled(loops, [[1, 2, 7, 7], [2, 2, 7, 7]], 2) == ([[2, 7]], [[0, 1, 1, 0], [0, 0, 0, 0]])


def test_nan_propagates_and_takes_the_gradient(loops):
    nan = np.nan
    y, dx = pooled(loops, [[1, nan, 3, 4], [nan, 5, 6, nan]], 2)
    assert np.isnan(y).all()
    assert dx == [[0, 1, 0, 0], [0, 0, 0, 1]]


def test_padding_never_wins(loops):
    y, dx = pooled(loops, [[-3, -1], [-2, -4]], 2, 2, 1)
    assert y == [[-3, -1], [-2, -4]]
    assert dx == [[1, 1], [1, 1]]


def test_overlapping_windows_add_up(loops):
    assert pooled(loops, [[0, 9, 1], [2, 3, 4]], 2, 1) == ([[9, 9]], [[0, 2, 0], [0, 0, 0]])


@pytest.mark.parametrize(
    "size, kernel, stride, padding, floor, ceil",
    [
        (4, 2, 2, 0, 2, 2),
        (5, 2, 2, 0, 2, 3),
        (1, 2, 2, 0, None, 1),  # VGG's last pools on tiny pictures
        (7, 3, 2, 1, 4, 4),
        (6, 3, 2, 1, 3, 4),
        (5, 3, 4, 1, 2, 2),  # ceil would start the third window in the right padding
        (2, 1, 3, 0, 1, 1),  # ceil would start the second window beyond the picture
        (10, 3, 3, 0, 3, 4),
    ],
)
def test_size_rule(size, kernel, stride, padding, floor, ceil, loops):
    x = loops.asarray(np.zeros((1, size, 3, 1)))
    for ceil_mode, expected in ((False, floor), (True, ceil)):
        options = (kernel, 1), (stride, 1), (padding, 0), ceil_mode
        if expected is None:
            with pytest.raises(ValueError, match=r"max_pool2d: picture .*output size: expected at least 1 x 1"):
                mf.max_pool2d(x, *options)
        else:
            assert mf.max_pool2d(x, *options).shape == (1, expected, 3, 1)


def test_stride_is_the_kernel_unless_told(loops):
    x = loops.asarray(np.random.default_rng(0).standard_normal((1, 9, 8, 2)))
    told, untold = mf.max_pool2d(x, (3, 2), (3, 2)), mf.max_pool2d(x, (3, 2))
    assert np.array_equal(device.asnumpy(untold.data), device.asnumpy(told.data))


def test_keeps_winners_instead_of_its_input(loops):
    y = mf.max_pool2d(tensor(loops, np.zeros((1, 4, 4, 2))), 2)
    assert y.creator.winner.dtype == np.uint8 and y.creator.winner.shape == y.shape


def test_a_kernel_of_256_taps(loops):
    """The last tap is the largest number that a byte holds."""
    y, dx = pooled(loops, np.arange(256).reshape(16, 16), 16)
    assert y == [[255]] and np.argmax(dx) == 255 and np.sum(dx) == 1


@pytest.mark.parametrize("case", cases("max_pool2d"), ids=str)
def test_pictures_in_strips_of_one_row(case, monkeypatch):
    monkeypatch.setattr(pool, "BLOCK", 1)
    for check in CHECKS:
        check(case, cpu)


@pytest.mark.parametrize("padding", [(1, 0), (0, 1)])
def test_what_no_window_covers_has_no_gradient(padding, monkeypatch):
    """The last row or column, and also where dx gets memory that somebody has written to: here, all bits are set."""
    empty = np.empty

    def dirty(*options, **more):
        array = empty(*options, **more)
        array.reshape(-1).view(np.uint8).fill(255)
        return array

    monkeypatch.setattr(np, "empty", dirty)
    x = mf.Tensor(np.random.default_rng(0).uniform(1, 2, (1, 3, 3, 4)), requires_grad=True)
    mf.max_pool2d(x, 3, 3, padding).backward(np.full((1, 1, 1, 4), 5.0))
    uncovered = x.grad[0, 2] if padding[0] else x.grad[0, :, 2]
    assert np.array_equal(uncovered, np.zeros((3, 4)))
    assert np.array_equal(x.grad.sum((0, 1, 2)), np.full(4, 5.0))


@pytest.mark.parametrize(
    "shape, options, error, match",
    [
        ((4, 4, 1), (2,), ValueError, r"max_pool2d: x: expected shape \(N, H, W, C\).*received \(4, 4, 1\)"),
        ((1, 4, 4, 1), (0,), ValueError, "max_pool2d: kernel_size: expected at least 1, received 0"),
        ((1, 4, 4, 1), (2.5,), TypeError, "max_pool2d: kernel_size: expected an int or a pair of ints, received 2.5"),
        ((1, 17, 17, 1), ((16, 17),), ValueError, "kernel_size: expected at most 256 taps, received 16 x 17"),
        ((1, 4, 4, 1), (2, 0), ValueError, "max_pool2d: stride: expected at least 1, received 0"),
        ((1, 4, 4, 1), (2, 2, -1), ValueError, "max_pool2d: padding: expected at least 0, received -1"),
        ((1, 4, 4, 1), ((3, 2), 2, (2, 1)), ValueError, r"max_pool2d: padding: .*half of kernel \(3, 2\), .*\(2, 1\)"),
        ((1, 4, 4, 1), (5,), ValueError, r"max_pool2d: picture \(4, 4\), kernel \(5, 5\), .*received 0 x 0"),
    ],
)
def test_refuses(shape, options, error, match):
    with pytest.raises(error, match=match):
        mf.max_pool2d(np.zeros(shape), *options)
