"""Gradient checks: what backward() says against central differences, in float64.

For a function y = f(x) the numeric derivative along v is (f(x + h v) - f(x - h v)) / 2 h. Where the Jacobian is small
all of it is compared, entry by entry; where it is large, its product with a random cotangent, along random directions.
The error for an input is max |analytic - numeric| / max(|analytic|, |numeric|), both maxima over that input.

A finite difference across a kink (a ReLU's sign, a pool's winner) means nothing, so both difference points must make
the same choices as each other; they are compared for every Function in the graph.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from . import device
from .autograd import Tensor, graph
from .randomness import counted_rng

FULL_JACOBIAN = 1 << 14  # entries up to which a whole Jacobian is compared
ALL_ENTRIES = 64  # an input up to this size is perturbed entry by entry
DIRECTIONS = 8  # random directions for a larger one


class GradientError(AssertionError):
    """An analytic gradient that differs from the numeric one, or a check that could not be made."""


@dataclass
class Report:
    """What a check found: the worst error over all inputs and the number of derivatives compared."""

    worst: float
    entries: int


def gradcheck(function: Callable, inputs: Sequence, linear=False, step=None, tolerance=None, seed=0, name="") -> float:
    """Compare the gradients of `function` with central differences and return the worst error.

    function(*tensors) -> Tensor of any shape. inputs: float64 arrays or leaf Tensors of any shapes, on any device; the
    Tensors are used themselves (so a function may also reach them in another way, as a model does) and restored.
    linear: the function is linear in each input; the step is then 1e-2 and the tolerance 1e-7, otherwise 1e-6 and 1e-6.
    Raises GradientError with the name (the function's own, unless given), the input, the index and both numbers where
    the error is above the tolerance or a finite difference crosses a kink; TypeError for inputs that are not float64.
    """
    return check(function, inputs, linear, step, tolerance, seed, name).worst


def check(function, inputs, linear=False, step=None, tolerance=None, seed=0, name="") -> Report:
    """Do what gradcheck does and return a Report."""
    name = name or _name(function)
    step = step or (1e-2 if linear else 1e-6)
    tolerance = tolerance or (1e-7 if linear else 1e-6)
    leaves = [_leaf(x, name, i) for i, x in enumerate(inputs)]
    rng = counted_rng(seed)
    y = function(*leaves)
    small = y.data.size * sum(x.data.size for x in leaves) <= FULL_JACOBIAN
    compare = _compare_jacobian if small else _compare_directions
    report = Report(0.0, 0)
    for i, label, analytic, numeric in compare(function, leaves, y.data, step, rng, name):
        error, at = _error(analytic, numeric)
        report = Report(max(report.worst, error), report.entries + analytic.size)
        if not error <= tolerance:  # also NaN
            raise GradientError(
                f"{name}: input {i}, {label(at)}: analytic {analytic[at]:.12g}, numeric {numeric[at]:.12g}; "
                f"error {error:.2e} of the input's largest, tolerance {tolerance:.0e}"
            )
    return report


def _name(function) -> str:
    """What errors call a function: its own name, or f where it has none."""
    name = getattr(function, "__name__", "<lambda>")
    return "f" if name == "<lambda>" else name


def _leaf(x, name: str, i: int) -> Tensor:
    leaf = x if isinstance(x, Tensor) else Tensor(np.array(x), requires_grad=True)
    if leaf.dtype != np.float64 or leaf.creator is not None or not leaf.requires_grad:
        raise TypeError(
            f"{name}: input {i}: expected a float64 array or a leaf that requires a gradient, received {leaf}"
        )
    return leaf


def _error(analytic, numeric):
    """Return the error as defined above and the index of the worst entry; two all-zero gradients agree."""
    difference = abs(analytic - numeric)
    at = np.unravel_index(np.argmax(difference), difference.shape)
    largest = max(abs(analytic).max(), abs(numeric).max())
    return (float(difference[at] / largest) if largest != 0 else 0.0), at


def _gradients(function, leaves, cotangent):
    """backward() from a cotangent of y; returns one array a leaf (zeros where the leaf is not reached)."""
    for leaf in leaves:
        leaf.grad = None
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


def _compare_jacobian(function, leaves, y, step, rng, name):
    """Yield (input, label, analytic, numeric) with whole Jacobians (outputs, inputs), and once more for a random
    cotangent, which a backward pass that is right only for one-hot ones would fail."""
    cotangent = rng.standard_normal(y.shape)
    rows = [_gradients(function, leaves, one.reshape(y.shape)) for one in np.eye(y.size)]
    mixed = _gradients(function, leaves, cotangent)
    for i, leaf in enumerate(leaves):
        units = (v.reshape(leaf.shape) for v in np.eye(leaf.data.size))
        columns = [_difference(function, leaves, i, v, step, name).ravel() for v in units]
        analytic = np.stack([row[i].ravel() for row in rows])  # (outputs, inputs)
        numeric = np.stack(columns, axis=1)  # (outputs, inputs)
        yield i, _jacobian_label(y.shape, leaf.shape), analytic, numeric
        yield (
            i,
            lambda at, shape=leaf.shape: f"index {_index(at[0], shape)}",
            mixed[i].ravel(),
            cotangent.ravel() @ numeric,
        )


def _compare_directions(function, leaves, y, step, rng, name):
    """Yield (input, label, analytic, numeric) derivatives of <cotangent, y>, by entry or along random directions."""
    cotangent = rng.standard_normal(y.shape)
    grads = _gradients(function, leaves, cotangent)
    for i, leaf in enumerate(leaves):
        by_entry = leaf.data.size <= ALL_ENTRIES
        if by_entry:
            directions = [v.reshape(leaf.shape) for v in np.eye(leaf.data.size)]
        else:
            directions = [rng.uniform(-1, 1, leaf.shape) for _ in range(DIRECTIONS)]
        analytic = np.array([np.vdot(grads[i], v) for v in directions])
        numeric = np.array([np.vdot(cotangent, _difference(function, leaves, i, v, step, name)) for v in directions])
        what = (lambda at, shape=leaf.shape: f"index {_index(at[0], shape)}") if by_entry else _direction_label
        yield i, what, analytic, numeric


def _index(flat, shape) -> tuple[int, ...]:
    return tuple(int(k) for k in np.unravel_index(flat, shape))


def _jacobian_label(y_shape, x_shape):
    return lambda at: f"index {_index(at[1], x_shape)} (output {_index(at[0], y_shape)})"


def _direction_label(at) -> str:
    return f"random direction {int(at[0])}"
