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
            host = device.asnumpy(parameter.data)
            parameter.data = self.loops.asarray(host)
        return self

    def train(self) -> "Module":
        """Switch dropout on, and a classifier's normalisation to the batch's statistics."""
        self.training = True
        return self

    def eval(self) -> "Module":
        """Switch dropout off, and a classifier's normalisation to the averages."""
        self.training = False
        return self

    def start_step(self, step: int) -> None:
        """Key the dropout masks to (seed, step, layer). Pictures that follow, in one batch or several, share the draw:
        accumulating gradients over small batches sees the same masks as one large batch."""
        self._step, self._dropout_rngs = step, {}

    def add_conv(
        self, name: str, kernel: int, channels: int, outputs: int, initial="he", bias=True, learnt=True
    ) -> None:
        """Add NAME.weight (kernel, kernel, channels, outputs) and NAME.bias (outputs,).

        initial: "he" draws N(0, 2 / fan_in) (He, Zhang, Ren, Sun 2015), "zero", or an array of that shape.
        """
        shape = (kernel, kernel, channels, outputs)
        if isinstance(initial, np.ndarray):
            weight = initial
        elif initial == "he":
            rng = counted_rng(self.seed, crc32(name.encode()))
            weight = rng.standard_normal(shape, dtype=np.float32)
            weight *= np.float32((2 / (kernel * kernel * channels)) ** 0.5)
        else:
            weight = np.zeros(shape)
        # an array that the caller gave is copied
        self._parameters[f"{name}.weight"] = Tensor(
            weight.astype(self.dtype, copy=initial is weight), requires_grad=learnt
        )
        if bias:
            self._parameters[f"{name}.bias"] = Tensor(np.zeros(outputs, self.dtype), requires_grad=learnt)

    def conv(self, name: str, x: Tensor, padding: int = 0, relu: bool = False) -> Tensor:
        """Apply the convolution of that name."""
        w, b = self._parameters[f"{name}.weight"], self._parameters[f"{name}.bias"]
        return frugal_conv2d(x, w, b, padding=padding, relu=relu)

    def dropout(self, name: str, x: Tensor, p: float) -> Tensor:
        """Drop elements of x with probability p in training mode."""
        if not self.training:
            return x
        if name not in self._dropout_rngs:
            self._dropout_rngs[name] = counted_rng(self.seed, self._step, crc32(name.encode()))
        return dropout(x, p, self._dropout_rngs[name])
