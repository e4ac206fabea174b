"""What the tests of python -m minifcn.emulate share: a kernel, its NumPy function, and how to run the command."""

from pathlib import Path

import pytest
from small_data import exit_status

from minifcn import emulate

SOFTMAX = """typedef REAL real;
// a warp a pixel; scores, p (P, L)
extern "C" __global__ void softmax(const real* __restrict__ scores, real* __restrict__ p, int P, int L)
{
    int lane = threadIdx.x % 32, pixel = blockIdx.x * blockDim.x / 32 + threadIdx.x / 32;
    if (pixel >= P) return;
    real largest = -__int_as_float(0x7f800000);
    for (int l = lane; l < L; l += 32) largest = max(largest, scores[pixel * L + l]);
    for (int step = 16; step > 0; step /= 2) largest = max(largest, __shfl_xor_sync(0xffffffff, largest, step));
    real total = 0;
    for (int l = lane; l < L; l += 32) total += exp(scores[pixel * L + l] - largest);
    for (int step = 16; step > 0; step /= 2) total += __shfl_xor_sync(0xffffffff, total, step);
    for (int l = lane; l < L; l += 32) p[pixel * L + l] = exp(scores[pixel * L + l] - largest) / total;
}
"""
NUMPY = """import numpy as np
def softmax(scores):
    e = np.exp(scores - scores.max(axis=1, keepdims=True))
    return e / e.sum(axis=1, keepdims=True)
"""
LAUNCH = "--grid 4 --block 64 P=7 L=40 scores=P,L p=P,L".split()
COMPARED = [*LAUNCH, "--numpy", "my.py"]


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("my.py").write_text(NUMPY)


def emulated(capsys, source, *argv, old="", new=""):
    """(exit status, the printed lines) of the command for a kernel's source, with a bug planted."""
    assert old in source
    Path("my.cu").write_text(source.replace(old, new))
    status = exit_status(emulate.main, "my.cu", *argv)
    said = capsys.readouterr()
    assert said.err == ""
    return status, said.out.splitlines()


def wrong(capsys, source, *argv, old="", new=""):
    """The one line about a wrong kernel."""
    status, lines = emulated(capsys, source, *argv, old=old, new=new)
    assert status == 1 and len(lines) == 1 and lines[0].startswith("WRONG: "), lines
    return lines[0].removeprefix("WRONG: ")
