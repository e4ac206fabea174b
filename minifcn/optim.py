"""Stochastic gradient descent with momentum and weight decay, learning-rate schedules, gradient clipping."""

import math
from functools import partial

from . import device
from .autograd import Tensor
from .ops.checks import number, one_of


class SGD:
    """v = momentum v + (g + weight_decay w);  w -= lr v          (PyTorch's form; v starts at zero)

    parameters: dict name -> Tensor. Names that end in ".bias" use lr bias_lr, and no decay if bias_decay is False
    (Caffe's habit: bias_lr 2, no decay). A parameter whose grad is None is left alone. `lr` may be changed between
    steps. momentum_buffers: dict name -> array v, made when a parameter first has a gradient. factors: dict
    name -> what the learning rate of that parameter is multiplied by, empty at first.
    """

    def __init__(self, parameters: dict, lr, momentum=0.9, weight_decay=5e-4, bias_lr=1.0, bias_decay=True):
        if not isinstance(parameters, dict):
            raise TypeError(f"SGD: parameters: expected a dict name -> Tensor, received {type(parameters).__name__}")
        self.parameters, self.momentum_buffers, self.factors, self.bias_decay = parameters, {}, {}, bias_decay
        self.lr, self.bias_lr = number("SGD: lr", lr, 0), number("SGD: bias_lr", bias_lr, 0)
        self.momentum = number("SGD: momentum", momentum, 0, 1)
        self.weight_decay = number("SGD: weight_decay", weight_decay, 0)

    def zero_grad(self) -> None:
        """Forget the gradients of the last step."""
        for parameter in self.parameters.values():
            parameter.grad = None

    def step(self) -> None:
        """Update every parameter that has a gradient, in place."""
        for name, parameter in self.parameters.items():
            if parameter.grad is not None:
                self._update(name, ..., parameter.grad)

    def step_during_backward(self) -> None:
        """From now on let backward() update each parameter as soon as its gradient is there, and keep no gradient.

        The same updates as step() makes, with less memory: a large weight's gradient comes a kernel row at a time and
        never exists whole. Set `lr` before backward(). A parameter must be used once in a graph, and gradients cannot
        be added up or clipped.
        """
        for name, parameter in self.parameters.items():
            parameter.accept, parameter.in_parts = partial(self._update, name), True
            if parameter.requires_grad:  # now, in one piece of memory, rather than between activations
                self._buffer(name)

    def _buffer(self, name: str):
        """The momentum buffer of a parameter, made beside it when it is first asked for."""
        if name not in self.momentum_buffers:
            data = self.parameters[name].data
            self.momentum_buffers[name] = device.xp(data).zeros_like(data)
        return self.momentum_buffers[name]

    def _update(self, name: str, part, grad) -> None:
        w, v, bias = self.parameters[name].data[part], self._buffer(name)[part], name.endswith(".bias")
        lr = self.lr * self.factors.get(name, 1.0) * (self.bias_lr if bias else 1.0)
        decay = 0.0 if bias and not self.bias_decay else self.weight_decay
        device.of(w).sgd_update(w, grad, v, lr, self.momentum, decay)


def clip_gradients(parameters: dict[str, Tensor], max_norm: float) -> float:
    """Scale all gradients so that their joint 2-norm is at most max_norm; return the norm before."""
    grads = [p.grad for p in parameters.values() if p.grad is not None]
    norm = math.sqrt(sum(device.of(g).sum_of_squares(g) for g in grads))
    if norm > max_norm:
        for g in grads:
            g *= g.dtype.type(max_norm / norm)
    return norm


def learning_rate(step: int, lr: float, schedule: str, steps: int, warmup: int = 0, power: float = 0.9) -> float:
    """The learning rate of step 0 .. steps - 1.

    "constant": lr. "poly": lr (1 - step / steps)^power (Chen et al. 2015). During the first `warmup` steps it is
    multiplied by (step + 1) / warmup.
    """
    if one_of("schedule", schedule, ("constant", "poly")) == "poly":
        lr *= (1 - step / steps) ** power
    return lr * min(1.0, (step + 1) / warmup) if warmup else lr
