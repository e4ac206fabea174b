"""Module: a network's parameters by name, its initialisation, and its mode (training or not)."""

from zlib import crc32

import numpy as np

from . import cpu, device
from .autograd import Tensor
from .ops import dropout
from .ops.frugal import frugal_conv2d
from .randomness import counted_rng


class Module:
    """A network with named parameters. A subclass adds them in __init__ and defines forward(x).

    seed fixes the initial weights (each layer draws by its own name, so two networks that share a layer start it alike)
    and the dropout masks. dtype is that of the parameters and of the pictures it takes.
    """

    def __init__(self, dtype=np.float32, seed: int = 0):
        self.dtype, self.seed = np.dtype(dtype), seed
        self.training = True
        self.meta: dict = {}  # what its checkpoint says: classes, palette, preprocessing, ...
        self.loops = cpu  # or gpu: whose functions work on the parameters
        self._parameters: dict[str, Tensor] = {}
        self.start_step(0)

    def __call__(self, x) -> Tensor:
        return self.forward(x if isinstance(x, Tensor) else Tensor(self.loops.asarray(x)))

    def parameters(self) -> dict[str, Tensor]:
        """Return name -> Tensor, in the order of the network, names as in the paper: conv1_1.weight, ..."""
        return dict(self._parameters)

    def to(self, name: str) -> "Module":
        """Move the parameters to a device: "cpu", "gpu" or "gpu:1". Arrays that are given to the network follow.

        Gradients and momentum do not: move a network before it trains. Raises InputError where there is no such device.
        """
        self.loops = device.start(name)
        for parameter in self._parameters.values():
            parameter.data = self.loops.asarray(device.asnumpy(parameter.data))
        return self

    def train(self, training: bool = True) -> "Module":
        """Switch dropout on, and a classifier's normalisation to the batch's statistics; False does what eval does."""
        self.training = training
        return self

    def eval(self) -> "Module":
        """Switch dropout off, and a classifier's normalisation to the averages."""
        return self.train(False)

    def start_step(self, step: int) -> None:
        """Key the dropout masks to (seed, step, layer). Pictures that follow, in one batch or several, share the draw:
        accumulating gradients over small batches sees the same masks as one large batch."""
        self._step, self._dropout_rngs = step, {}

    def add_conv(self, name, kernel: int, channels: int, outputs: int, initial=None, bias=True, learnt=True) -> None:
        """Add NAME.weight (kernel, kernel, channels, outputs) and NAME.bias (outputs,).

        initial: a number or an array; None draws N(0, 2 / fan_in) (He, Zhang, Ren, Sun 2015).
        """
        shape = (kernel, kernel, channels, outputs)
        if initial is None:
            weight = counted_rng(self.seed, crc32(name.encode())).standard_normal(shape, dtype=np.float32)
            weight *= np.float32((2 / (kernel * kernel * channels)) ** 0.5)
        else:
            weight = np.full(shape, initial, self.dtype)
        self._parameters[f"{name}.weight"] = Tensor(weight.astype(self.dtype, copy=False), learnt)
        if bias:
            self._parameters[f"{name}.bias"] = Tensor(np.zeros(outputs, self.dtype), learnt)

    def conv(self, name: str, x: Tensor, padding: int = 0, relu: bool = False) -> Tensor:
        """Apply the convolution of that name."""
        w, b = self._parameters[f"{name}.weight"], self._parameters[f"{name}.bias"]
        return frugal_conv2d(x, w, b, padding=padding, relu=relu)

    def dropout(self, name: str, x: Tensor, p: float) -> Tensor:
        """Drop elements of x with probability p in training mode."""
        if not self.training:
            return x
        rng = self._dropout_rngs.setdefault(name, counted_rng(self.seed, self._step, crc32(name.encode())))
        return dropout(x, p, rng)
