"""Where arrays live and who computes on them: NumPy's on the CPU (cpu/), CuPy's on a GPU (gpu/).

    start("gpu:1")   once, before the first array goes there; a process uses one GPU
    of(array)        cpu or gpu: the module whose functions work on this array
    xp(array)        numpy or cupy: the module that makes more arrays like it

Layers call `of(x).conv_forward(...)` and know no device; a network is moved with `model.to("gpu")`.
"""

from types import ModuleType

import numpy as np

from . import cpu, gpu
from .errors import InputError


def start(name: str) -> ModuleType:
    """Return cpu or gpu, ready to use: "cpu", "gpu" (the first) or "gpu:1". Raises InputError where that cannot be."""
    if name == "cpu":
        cpu.start()
        return cpu
    kind, colon, number = name.partition(":")
    if kind != "gpu" or (colon and not number.isdecimal()):
        raise InputError(f"--device {name}: expected cpu, gpu or gpu:N with N the number of a GPU, such as gpu:0")
    gpu.start(int(number or 0))
    return gpu


def of(array) -> ModuleType:
    """The module whose functions work on this array, cpu or gpu."""
    return gpu if gpu.owns(array) else cpu


def xp(array) -> ModuleType:
    """numpy or cupy, as the array is one or the other's."""
    return gpu.cuda.xp if gpu.owns(array) else np


def asnumpy(array) -> np.ndarray:
    """The array on the host; a copy if it lives on a GPU."""
    return array.get() if gpu.owns(array) else np.asarray(array)
