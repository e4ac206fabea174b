"""What slips in a layer look like: most take the right function and return a wrong one; test_mutants plants them."""

import numpy as np


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
