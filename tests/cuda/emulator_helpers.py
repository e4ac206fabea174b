"""What the tests of the emulator share: the probes, CUDA files of their own, and how to build them.

probes/guide.cu    worked examples of NVIDIA's CUDA C++ Programming Guide: what a device computes
probes/correct.cu  correct kernels, in which nothing may be found
probes/errors.cu   a kernel for each error, which has to be found in any order of threads and blocks
"""

import resource
import shutil
from pathlib import Path

import numpy as np
import pytest
from emulator import Module, array

PROBES = Path(__file__).with_name("probes")
GUIDE, CORRECT, ERRORS = ((PROBES / f"{name}.cu").read_text() for name in ("guide", "correct", "errors"))
ORDERS = [("forward", 0), ("reverse", 0), *(("random", seed) for seed in range(4))]
REALS = {np.float32: {"REAL": "float"}, np.float64: {"REAL": "double"}}
LANES = np.arange(32)

needs_compiler = pytest.mark.skipif(shutil.which("g++") is None, reason="the emulator needs g++")
every_order = pytest.mark.parametrize("order, seed", ORDERS)
both_dtypes = pytest.mark.parametrize("dtype", [np.float32, np.float64])


def guide(dtype=np.float32):
    return Module(GUIDE, "guide.cu", REALS[dtype])


def correct(dtype=np.float32):
    return Module(CORRECT, "correct.cu", REALS[dtype])


def kernel(body, parameters="float* y, int n"):
    """A module of one kernel, `k`."""
    return Module(f'extern "C" __global__ void k({parameters}) {{\n{body}\n}}', "k.cu")


def zeros(shape, dtype):
    return array(np.zeros(shape, dtype))


def resident_bytes():
    return int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize()
