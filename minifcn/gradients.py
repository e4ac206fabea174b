"""Gradient checks: what backward() says against central differences, in float64.

For a function y = f(x) the numeric derivative along v is (f(x + h v) - f(x - h v)) / 2 h. Where the Jacobian is small
all of it is compared, entry by entry; where it is large, its product with a random cotangent, along random directions.
The error for an input is max |analytic - numeric| / max(|analytic|, |numeric|), both maxima over that input.

A finite difference across a kink (a ReLU's sign, a pool's winner) means nothing, so both difference points must make
the same choices as each other; they are compared for every Function in the graph.
"""

from collections.abc import Callable, Sequence

import numpy as np

from . import device
from .autograd import Tensor, graph
from .randomness import counted_rng

FULL_JACOBIAN = 1 << 14  # entries up to which a whole Jacobian is compared
ALL_ENTRIES = 64  # an input up to this size is perturbed entry by entry
DIRECTIONS = 8  # random directions for a larger one


class GradientError(AssertionError):
    """An analytic gradient that differs from the numeric one, or a check that could not be made."""


def gradcheck(function: Callable, inputs: Sequence, linear=False, step=None, tolerance=None, seed=0, name="") -> float:
    """Compare the gradients of `function` with central differences and return the worst error.

    function(*tensors) -> Tensor of any shape. inputs: float64 arrays or leaf Tensors of any shapes, on any device; the
    Tensors are used themselves (so a function may also reach them in another way, as a model does) and restored.
    linear: the function is linear in each input; the step is then 1e-2 and the tolerance 1e-7, otherwise 1e-6 and 1e-6.
    Raises GradientError with the name (the function's own, unless given), the input, the index and both numbers where
    the error is above the tolerance or a finite difference crosses a kink; TypeError for inputs that are not float64.
    """
    return check(function, inputs, linear, step, tolerance, seed, name)[0]


def check(function, inputs, linear=False, step=None, tolerance=None, seed=0, name="") -> tuple[float, int]:
    """Do what gradcheck does; return the worst error over all inputs and the number of derivatives compared.

    Each is a derivative of <cotangent, y> along a direction of an input. A small Jacobian is compared whole, and once
    more with a random cotangent, which a backward pass that is right only for one-hot ones would fail.
    """
    name = name or getattr(function, "__name__", "f").replace("<lambda>", "f")
    step, tolerance = step or (1e-2 if linear else 1e-6), tolerance or (1e-7 if linear else 1e-6)
    leaves, rng = [_leaf(x, name, i) for i, x in enumerate(inputs)], counted_rng(seed)
    y = function(*leaves).data
    small = y.size * sum(x.data.size for x in leaves) <= FULL_JACOBIAN
    cotangents = [*([np.eye(y.size)] if small else []), rng.standard_normal((1, y.size))]  # groups (n, outputs)
    gradients = [[_gradients(function, leaves, one.reshape(y.shape)) for one in some] for some in cotangents]
    worst, entries = 0.0, 0
    for i, leaf in enumerate(leaves):
        by_entry = small or leaf.data.size <= ALL_ENTRIES
        directions = np.eye(leaf.data.size) if by_entry else rng.uniform(-1, 1, (DIRECTIONS, leaf.data.size))
        differences = [_difference(function, leaves, i, v.reshape(leaf.shape), step, name).ravel() for v in directions]
        for some, rows in zip(cotangents, gradients, strict=True):
            analytic = np.stack([row[i].ravel() for row in rows])
            analytic = analytic if by_entry else analytic @ directions.T  # (cotangents, directions)
            numeric = some @ np.stack(differences, axis=1)  # (cotangents, directions)
            error, at = _error(analytic, numeric)
            worst, entries = max(worst, error), entries + analytic.size
            if not error <= tolerance:  # also NaN
                where = f"index {_index(at[1], leaf.shape)}" if by_entry else f"random direction {at[1]}"
                where += f" (output {_index(at[0], y.shape)})" if len(some) > 1 else ""
                raise GradientError(
                    f"{name}: input {i}, {where}: analytic {analytic[at]:.12g}, numeric {numeric[at]:.12g}; "
                    f"error {error:.2e} of the input's largest, tolerance {tolerance:.0e}"
                )
    return worst, entries


def _index(flat, shape) -> tuple[int, ...]:
    return tuple(int(k) for k in np.unravel_index(flat, shape))


def _leaf(x, name: str, i: int) -> Tensor:
    leaf = x if isinstance(x, Tensor) else Tensor(np.array(x), requires_grad=True)
    if leaf.dtype != np.float64 or leaf.creator is not None or not leaf.requires_grad:
        raise TypeError(f"{name}: input {i}: expected a float64 array or a leaf with requires_grad, received {leaf}")
    leaf.grad = None
    return leaf


def _error(analytic, numeric):
    """Return the error as defined above and the index of the worst entry; two all-zero gradients agree."""
    difference = abs(analytic - numeric)
    at = np.unravel_index(np.argmax(difference), difference.shape)
    largest = max(abs(analytic).max(), abs(numeric).max())
    return (float(difference[at] / largest) if largest != 0 else 0.0), at


def _gradients(function, leaves, cotangent):
    """backward() from a cotangent of y; returns one array a leaf (zeros where the leaf is not reached)."""
    function(*leaves).backward(cotangent)
    grads = [np.zeros(leaf.shape) if leaf.grad is None else device.asnumpy(leaf.grad) for leaf in leaves]
    for leaf in leaves:
        leaf.grad = None
    return grads


def _difference(function, leaves, i, v, step, name):
    """(f(x + step v) - f(x - step v)) / 2 step for input i; GradientError unless both points make the same choices."""
    leaf, x = leaves[i], leaves[i].data
    sides = []
    try:
        for sign in (1, -1):
            leaf.data = x + device.of(x).asarray(sign * step * v)
            y = function(*leaves)
            choices = [function.branch() for function in graph(y)] if y.creator else []
            sides.append((device.asnumpy(y.data), [device.asnumpy(c) for c in choices if c is not None]))
    finally:
        leaf.data = x
    (above, choices_above), (below, choices_below) = sides
    if not all(np.array_equal(a, b) for a, b in zip(choices_above, choices_below, strict=True)):
        raise GradientError(f"{name}: input {i}: a finite difference crosses a kink (ReLU sign or pool winner)")
    return (above - below) / (2 * step)
