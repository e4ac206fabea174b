"""python -m minifcn.emulate: a good kernel, and each kind of wrong one, told in one line."""

import os
from pathlib import Path

import numpy as np
import pytest
from emulate_helpers import COMPARED, LAUNCH, NUMPY, SOFTMAX, emulated, folder, wrong  # noqa: F401
from emulator_helpers import needs_compiler
from kernel_values import Parameter, make
from small_data import fails

from minifcn import emulate
from minifcn.gpu import signatures

pytestmark = [needs_compiler, pytest.mark.usefixtures("folder")]

SUM = """extern "C" __global__ void sum(const float* x, float* y)
{
    __shared__ float part[64];
    int t = threadIdx.x;
    part[t] = x[t];
    for (int n = 32; n > 0; n /= 2) {
        __syncthreads();
        if (t < n) part[t] += part[t + n];
    }
    if (t == 0) y[0] = part[0];
}
"""


def counted(lines, what):
    """[least, by threads, by warps] of the last lines."""
    row = next(line for line in lines if line.startswith(what))
    return [int(part.replace(",", "")) for part in row.split() if part.replace(",", "").isdigit()]


@pytest.mark.parametrize("real, within", [("float", "1e-05"), ("double", "1e-12")])
def test_a_good_kernel(real, within, capsys):
    status, lines = emulated(capsys, SOFTMAX, *COMPARED, "--real", real)
    assert status == 0 and len(lines) == 5
    assert lines[0].startswith("softmax, grid 4, block 64: every access checked, 3 orders")
    assert lines[0].endswith("the same bits")
    assert lines[1] == f"p (7,40): as in NumPy, within {within} of the largest number"
    size = 7 * 40 * (4 if real == "float" else 8)
    read, written = counted(lines, "read"), counted(lines, "written")
    assert read[:2] == [size, 3 * size] and written[:2] == [size, size]
    assert read[2] == 3 * written[2] >= 3 * size


def test_what_a_numpy_function_may_leave_out(capsys):
    text = NUMPY.replace("(scores)", "(scores, *a, eps=1e-3, p=None, L=1, **kw)")
    Path("my.py").write_text(text.replace("e = ", "assert (a, eps, p, L, kw) == ((), 1e-3, None, 40, {})\n    e = "))
    assert emulated(capsys, SOFTMAX, *COMPARED)[0] == 0


def test_files_that_begin_with_a_byte_order_mark(capsys):
    Path("my.py").write_text(f"\ufeff{NUMPY}", encoding="utf-8")
    assert emulated(capsys, f"\ufeff{SOFTMAX}", *COMPARED)[0] == 0


SLIPS = {  # what is planted, and what the line says
    "missing guard": (
        "if (pixel >= P) return;",
        "",
        "out-of-bounds read of 4 bytes at scores[280] (const float*, 1120 ",
    ),
    "mask that lacks a lane": ("0xffffffff, total", "0x7fffffff, total", "mask 7fffffff lacks the calling lane 31"),
    "wrong sum": ("total += exp", "total = exp", "p[0, 0] is "),
    "not all written": ("pixel >= P", "pixel >= P - 1", "p[6, 0] was not written, and 40 of 280 numbers were not"),
    "writes what is const": (
        "p[pixel * L + l] =",
        "((real*)scores)[pixel * L + l] =",
        "scores (const float*), which is",
    ),
    "does not compile": ("total = 0", "totl = 0", "my.cu:11: does not compile: 'total' was not declared"),
    "no kernel": ('extern "C" __global__', "static", "each kernel has to be written"),
    "endless": ("step /= 2) largest", "step /= 1) largest", "an endless loop"),
}


@pytest.mark.parametrize("slip", SLIPS)
def test_a_slip_is_told(slip, capsys):
    old, new, told = SLIPS[slip]
    line = wrong(capsys, SOFTMAX, *COMPARED, old=old, new=new)
    assert told in line
    if slip in ("missing guard", "mask that lacks a lane", "writes what is const"):
        assert line.startswith("softmax: block (") and "thread (" in line
        assert line.endswith(f"at my.cu:{SOFTMAX[: SOFTMAX.index(old if new else 'scores[')].count(chr(10)) + 1}")


def test_a_race_is_told(capsys):
    Path("sum.py").write_text("def sum(x):\n    return x.sum(keepdims=True)\n")
    argv = ["--grid", "1", "--block", "64", "x=64", "y=1", "--numpy", "sum.py"]
    status, lines = emulated(capsys, SUM, *argv)
    assert status == 0 and lines[-1].split() == ["shared", "memory", f"{4 * (64 + 3 * 63 + 1):,}"]
    line = wrong(capsys, SUM, *argv, old="        __syncthreads();\n")
    assert "race: " in line or "uninitialised shared memory" in line
    late = wrong(capsys, SUM, *argv, old="        __syncthreads();\n", new="        if (n > 16) __syncthreads();\n")
    assert "race: " in late and "no barrier between at my.cu:8" in late


def test_a_wrong_step_that_stays_right_is_seen_in_the_traffic(capsys):
    """argmax with l += 1: each lane looks at all classes from its own on. 21 + 20 + ... + 1 is eleven times 21."""
    source = (signatures.folder() / "argmax.cu").read_text()
    Path("my.py").write_text("def argmax(scores):\n    return scores.argmax(axis=1)\n")
    argv = "--grid 5 --block 64 P=10 L=21 scores=P,L classes=P --numpy my.py".split()
    status, right = emulated(capsys, source, *argv)
    assert status == 0 and counted(right, "read")[:2] == [840, 840]
    status, slow = emulated(capsys, source, *argv, old="l += width", new="l += 1")
    assert status == 0 and counted(slow, "read")[:2] == [840, 840 * 11] and "11.00 x" in " ".join(slow)


def test_given_arrays_and_those_that_are_altered(capsys):
    source = (
        'extern "C" __global__ void add(int* x, const unsigned char* y, long long n)\n{ x[threadIdx.x] += y[0] * n; }'
    )
    np.save("y.npy", np.array([3], np.uint8))
    Path("my.py").write_text("def add(x, y, n):\n    return x + n * y\n")
    argv = "--grid 1 --block 8 n=2 y=y.npy --numpy my.py".split()
    status, lines = emulated(capsys, source, *argv, "x=-5..5:8")
    assert status == 0 and lines[1] == "x (8): as in NumPy"
    assert counted(lines, "read") == [33, 40, 64] and counted(lines, "written") == [32, 32, 32]
    assert emulated(capsys, source, *argv, "x=random:8")[0] == emulated(capsys, source, *argv, "x=zeros:2,4")[0] == 0
    assert "read of uninitialised memory: 4 bytes at x[0] (int*)" in wrong(capsys, source, *argv[:-2], "x=8")
    assert "add() asks for x; it may ask for y, n (x=random:... gives x" in fails(
        capsys, emulate.main, "my.cu", *argv, "x=8"
    )
    assert "out-of-bounds read of 4 bytes at x[7] (int*, 28 bytes)" in wrong(capsys, source, *argv, "x=zeros:7")
    np.save("y.npy", np.array([3]))
    assert "y.npy: expected uint8 for const unsigned char* y, received int64" in fails(
        capsys, emulate.main, "my.cu", *argv, "x=zeros:8"
    )
    np.savez("y.npz", a=np.zeros(1))
    os.replace("y.npz", "y.npy")
    assert "received an archive" in fails(capsys, emulate.main, "my.cu", *argv, "x=zeros:8")


def test_random_numbers_are_those_of_the_range_and_the_seed():
    labels, x = Parameter("labels", "const int*", np.dtype("int32")), Parameter("x", "float*", np.dtype("float32"))
    texts = {"labels": "-1..2:1000", "x": "random:9"}
    a, b, c = (make([labels, x], texts, seed) for seed in (0, 0, -1))
    assert set(a["labels"].tolist()) == {-1, 0, 1, 2} and a["labels"].dtype == np.int32
    assert all(np.array_equal(a[name], b[name]) and not np.array_equal(a[name], c[name]) for name in texts)


def test_nothing_to_compare_with(capsys):
    status, lines = emulated(capsys, SOFTMAX, *LAUNCH)
    assert status == 0 and lines[1] == "p (7,40): all written, not compared (--numpy says with what)"


def test_several_kernels(capsys):
    source = SUM + SUM.replace("void sum", "void total")
    argv = ["--grid", "1", "--block", "64", "x=64", "y=1"]
    status, lines = emulated(capsys, source, *argv, "--kernel", "total")
    assert status == 0 and lines[0].startswith("total, ")
    assert "has several kernels, choose one: --kernel sum or total" in fails(capsys, emulate.main, "my.cu", *argv)


ACCESSES = {  # an access of 64 threads -> the sectors of 32 bytes that two warps touch
    "y[t] = 0;": (0, 8),
    "y[t] = x[t];": (8, 8),
    "y[t] = x[t + 1];": (10, 8),
    "y[t] = x[2 * t];": (16, 8),
    "y[t] = x[8 * t];": (64, 8),
    "y[t] = x[5];": (2, 8),
    "y[t] = x[63 - t];": (8, 8),
    "if (t % 32 < 8) y[t] = x[t];": (2, 2),
    "for (int i = 0; i < 4; i++) y[64 * i + t] = x[64 * i + t];": (32, 32),
    "for (int i = 0; i < 4; i++) y[4 * t + i] = x[4 * t + i];": (128, 128),
    "struct quad { float a, b, c, d; }; ((quad*)y)[t] = ((const quad*)x)[t];": (32, 32),
}


@pytest.mark.parametrize("access", ACCESSES)
def test_sectors(access, capsys):
    source = f'extern "C" __global__ void k(const float* x, float* y) {{ int t = threadIdx.x; {access} }}'
    status, lines = emulated(capsys, source, *"--grid 1 --block 64 x=512 y=zeros:512".split())
    assert status == 0 and (counted(lines, "read")[2] / 32, counted(lines, "written")[2] / 32) == ACCESSES[access]
