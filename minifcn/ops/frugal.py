"""The convolution as networks use it: the numbers of conv2d, to the last bit, in less memory.

    forget_input(y)       y's input, where a convolution made it, is not kept but computed again in backward
    w.in_parts            a large dw never exists whole: the optimiser takes it a kernel row at a time, while it is made
    w.latest              dw is written to the memory of the last step's, once that is forgotten

What each saves is in docs/architecture.md.
"""

import sys
from functools import partial

from .. import device
from ..autograd import Tensor
from .conv import Conv2d, conv2d


class FrugalConv2d(Conv2d):
    def forward(self, x, w, b):
        self.b = b
        return super().forward(x, w, b)

    def branch(self):
        return self.output() > 0 if self.relu else None

    def output(self):
        """y, computed again where it was not kept."""
        if self.y is not None:
            return self.y
        return device.of(self.x).conv_forward(self.x, self.w, self.b, *self.rule, self.relu)

    def backward(self, dy):
        backend, forgotten = device.of(dy), self.x is None  # see forget_input
        if self.relu:
            dy, self.y = backend.relu_backward(dy, self.output()), None
        # --- dw of a forgotten input ---   which is computed again here, and freed before there is a dx
        dw = self.weight_grad(self.parents[0].output(), dy) if forgotten and self.needs[1] else None
        # --- dx ---
        dx = backend.conv_input_grad(dy, self.w, self.shapes[0], *self.rule) if self.needs[0] else None  # (N, H, W, C)
        # --- dw ---   after dx: an optimiser that takes dw in parts changes w meanwhile
        if self.needs[1] and not forgotten:
            dw = self.weight_grad(self.x, dy)
        # --- db ---
        db = backend.bias_grad(dy) if self.needs[2] else None  # (K,)
        return dx, dw, db

    def weight_grad(self, x, dy):
        """dw (KH,KW,C,K), or None where the optimiser took it in parts."""
        w, out, emit = self.parents[1], None, None
        if isinstance(w, Tensor):  # a leaf
            out, emit = memory_of_latest(w), w.accept if w.in_parts and self.x is not None else None
        return device.of(dy).conv_weight_grad(x, dy, self.w.shape, *self.rule, out=out, emit=emit)


def memory_of_latest(w: Tensor):
    """Return the array of a leaf's latest gradient if nobody else holds it, or None.

    Freed, its memory would be cut up for activations, and the next gradient would need as much again.
    """
    latest, w.latest = w.latest, None
    mine = object()  # this function alone holds it, so it has the count of what nobody else holds
    free = latest is not None and sys.getrefcount(latest) == sys.getrefcount(mine)
    return latest if free and latest.flags.c_contiguous else None


def forget_input(y: Tensor) -> None:
    """Compute the input of y = frugal_conv2d(frugal_conv2d(x, ...), ...) again in backward, instead of keeping it.

    Worth it where the first convolution is cheap and its output large. Without effect where nothing was recorded.
    """
    if isinstance(y.creator, FrugalConv2d) and isinstance(y.creator.parents[0], FrugalConv2d):
        y.creator.x = y.creator.parents[0].y = None


frugal_conv2d = partial(conv2d, layer=FrugalConv2d)  # what conv2d does, with the same arguments, in less memory
