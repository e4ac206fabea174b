"""The engine: a Tensor remembers which Function made it, and backward() walks that graph once, from the end.

    x = Tensor(array, requires_grad=True)        leaf: a parameter or an input
    y = conv2d(x, w, b)                          y.creator is the Conv2d Function, whose parents are x, w and b
    loss.backward()                              fills x.grad, w.grad, b.grad

The graph is made of Functions, not of Tensors: a Function keeps only what its own backward needs, so an activation
that no gradient needs is freed as soon as the forward pass has left it. First order only: a graph serves one backward.
"""

from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np

from . import device

FLOATS = (np.dtype(np.float32), np.dtype(np.float64))
_recording = True


@contextmanager
def no_grad():
    """Inside `with no_grad():` nothing is recorded; activations are freed as soon as the next layer is done."""
    global _recording
    before, _recording = _recording, False
    try:
        yield
    finally:
        _recording = before


class Tensor:
    """An array of float32 or float64 and, after backward(), its gradient.

    Its attributes:

        data           array, NumPy's or (on a GPU) CuPy's, float32 or float64 (another dtype raises TypeError)
        grad           array of the same kind, shape and dtype, or None; only leaves with requires_grad keep one, and
                       backward() adds to it
        requires_grad  whether a gradient is wanted here
        creator        the Function that made this tensor, None for a leaf
        in_parts       whether accept, below, also takes a gradient in parts
        latest         the last gradient, even after `.grad = None`: the next may be written to its memory
                       (ops/frugal.py)
    """

    __array_ufunc__ = None  # np.float64(2) * t is ours, not NumPy's

    def __init__(self, data, requires_grad: bool = False):
        data = device.of(data).asarray(data)
        if data.dtype not in FLOATS:
            raise TypeError(f"Tensor: expected float32 or float64, received {data.dtype}")
        self.data, self.requires_grad = data, requires_grad
        self.grad = self.latest = self.creator = None
        self.in_parts = False

    @property
    def shape(self) -> tuple[int, ...]:
        return self.data.shape

    @property
    def dtype(self) -> np.dtype:
        return self.data.dtype

    def item(self) -> float:
        """Return the one element as a Python number. Raises ValueError where there are more, or none."""
        return device.asnumpy(self.data).item()

    __float__ = item

    def accept(self, part, grad) -> None:
        """Take a finished gradient of this leaf from backward(): add it to `.grad`.

        part is ..., for the whole gradient. An optimiser may put a function of its own in this one's place; if it also
        sets in_parts, a large gradient comes in parts along the first axis, each an array that is only lent.
        """
        total = grad if self.grad is None else self.grad + grad
        self.grad = self.latest = device.of(self.data).asarray(total)  # NumPy's 0-d sums are not arrays

    def __repr__(self) -> str:
        made_by = f", from {self.creator}" if self.creator else ""
        return f"Tensor({self.shape}, {self.dtype}{made_by})"

    def backward(self, grad=None) -> None:
        """Add d(self . grad)/d(leaf) to `.grad` of every leaf below that requires it, and release the graph.

        grad: array of this tensor's shape and dtype, on its device or the host; may be left out for a single number,
        where it is 1. Raises RuntimeError where nothing was recorded or the graph was already used, ValueError /
        TypeError for a grad of the wrong shape / dtype.
        """
        if not self.requires_grad:
            raise RuntimeError("backward: nothing was recorded here (no input requires a gradient, or inside no_grad)")
        if grad is None and self.data.size == 1:
            grad = device.xp(self.data).ones_like(self.data)
        if grad is not None:
            grad = device.of(self.data).asarray(grad).copy()  # gradients handed on must be nobody else's
        _check_edge("backward", "grad", grad, self.shape, self.dtype)
        if self.creator is None:
            self.accept(..., grad)
            return
        order = list(graph(self))
        pending = {self.creator: grad}  # gradient of each Function's output, until its turn comes
        del grad
        while order:
            function = order.pop()
            for i, dx in enumerate(function.backward(pending.pop(function))):
                parent = function.parents[i]
                if parent is None or (dx is None and getattr(parent, "in_parts", False)):
                    continue  # nobody asks, or it was handed over in parts
                _check_edge(function, f"gradient of input {i}", dx, function.shapes[i], self.dtype)
                if isinstance(parent, Tensor):
                    parent.accept(..., dx)
                else:
                    pending[parent] = pending[parent] + dx if parent in pending else dx
            vars(function).clear()  # its parents, and everything kept for backward
            del dx, parent  # the last names for arrays that nothing needs any more


def as_tensor(x) -> Tensor:
    """Return x, or a Tensor of the array x."""
    return x if isinstance(x, Tensor) else Tensor(x)


class Function:
    """One operation in the graph. Function(name=value, ...) has its options as attributes. A subclass defines

    forward(*arrays) -> array       may keep what backward needs as attributes of self
    backward(dy) -> tuple           one gradient for each input, None where self.needs[i] is False. dy is its own, to
                                    alter or to hand on once; each gradient is an array that nobody else holds. A leaf
                                    with `in_parts` may be given its gradient in parts, and None is returned

    and, where it chooses (a sign, a winner), branch() -> the array of choices, so that gradient checks can see that a
    finite difference stayed on one side of every kink.

    forward and backward may read self.needs (for each input, whether its gradient is wanted), backward also self.shapes
    (the inputs'). An input may be None where the operation can do without it: no gradient is wanted, its shape is None.
    """

    def __init__(self, **options):
        vars(self).update(options)

    def __repr__(self) -> str:
        return type(self).__name__

    def branch(self):
        return None

    def __call__(self, *inputs) -> Tensor:
        inputs = [None if x is None and i else as_tensor(x) for i, x in enumerate(inputs)]  # the first must be there
        kinds = {f"{type(x.data).__module__} {x.dtype}" for x in inputs if x is not None}  # such as "cupy float32"
        if len(kinds) > 1:
            raise TypeError(f"{self}: all inputs must have one dtype and be on one device, received {sorted(kinds)}")
        self.needs = tuple(_recording and x is not None and x.requires_grad for x in inputs)
        y = Tensor(self.forward(*(None if x is None else x.data for x in inputs)))
        if any(self.needs):
            y.requires_grad, y.creator = True, self
            self.parents = [(x.creator or x) if need else None for x, need in zip(inputs, self.needs, strict=True)]
            self.shapes = [None if x is None else x.shape for x in inputs]
        return y


def graph(y: Tensor) -> Iterator[Function]:
    """Yield the Functions that y was computed by, each after those it depends on.

    Raises RuntimeError where a backward pass has already released one of them.
    """
    seen, stack = set(), [(y.creator, False)]
    while stack:
        function, parents_done = stack.pop()
        if parents_done:
            yield function
        elif function not in seen:
            if not hasattr(function, "parents"):
                raise RuntimeError("backward: this graph was already used and released; run the forward pass again")
            seen.add(function)
            stack.append((function, True))
            stack.extend((parent, False) for parent in function.parents if isinstance(parent, Function))


def _check_edge(op, what: str, grad, shape: tuple, dtype) -> None:
    """Every edge of the graph: a gradient has the shape and dtype of what it is the gradient of."""
    if grad is None or grad.shape != shape:
        raise ValueError(f"{op}: {what}: expected shape {shape}, received {None if grad is None else grad.shape}")
    if grad.dtype != dtype:
        raise TypeError(f"{op}: {what}: expected {dtype}, received {grad.dtype}")
