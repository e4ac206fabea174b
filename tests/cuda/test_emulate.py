"""python -m minifcn.emulate: a good kernel, each kind of wrong one, and bad input, each told in one line."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from emulator_helpers import needs_compiler
from kernel_values import Parameter, make
from small_data import assert_one_error_line, exit_status, fails

from minifcn import command, emulate
from minifcn.gpu import signatures

pytestmark = needs_compiler

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
LAUNCH = "--grid 4 --block 64 P=7 L=40 scores=P,L p=P,L".split()
COMPARED = [*LAUNCH, "--numpy", "my.py"]


@pytest.fixture(autouse=True)
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


BAD = {  # what the command line has after my.cu -> what the error says
    "--grid 0 --block 64 P=7 L=40 scores=P,L p=P,L": "invalid launch, grid (0, 1, 1)",
    "--grid 1 --block 64,64 P=7 L=40 scores=P,L p=P,L": "more than 1024 threads",
    "--grid 1 --block 64x2 P=7 L=40 scores=P,L p=P,L": "--block: expected 1 to 3 whole numbers such as 32,8, received",
    "--grid 1 --block 64 --kernel other P=7 L=40 scores=P,L p=P,L": "has no kernel other, but softmax",
    "--grid 1 --block 64 P=7 L=40 scores=P,L": "no value for p; the kernel takes const float* scores, float* p",
    "--grid 1 --block 64 P=7 L=40 scores=P,L p=P,L q=3": "q=3: the kernel has no q, but const float* scores",
    "--grid 1 --block 64 P=7 L=40 scores=P,L p=P,L P=8": "P: given twice, 7 and 8",
    "--grid 1 --block 64 P=7 L=40 scores=P,L p=P,L 8": "8: expected NAME=VALUE",
    "--grid 1 --block 64 P=7.5 L=40 scores=P,L p=P,L": "P: expected a whole number that fits int, received 7.5",
    "--grid 1 --block 64 P=3000000000 L=40 scores=P,L p=P,L": "P: expected a whole number that fits int",
    "--grid 1 --block 64 P=7 L=40 scores=P,K p=P,L": "K is no size, and none of the kernel's numbers (P, L)",
    "--grid 1 --block 64 P=-7 L=40 scores=P,L p=7,L": "P is no size",
    "--grid 1 --block 64 P=7 L=40 scores= p=7,L": "is no size",
    "--grid 1 --block 64 P=7 L=40 scores=ones:P,L p=7,L": "scores: expected an array: 100,21 or random:100,21 or zeros",
    "--grid 1 --block 64 P=7 L=40 scores=9..0:P,L p=7,L": "scores: expected an array: 100,21",
    "--grid 1 --block 64 P=7 L=40 scores=99999,99999 p=7,L": "at most 268,435,456 numbers",
    "--grid 1 --block 64 P=7 L=40 scores=none.npy p=7,L": "none.npy: No such file",
    "--grid 1 --block 64 P=7 L=40 scores=text.npy p=7,L": "text.npy: is no array",
    "--grid 1 --block 64 P=7 L=40 scores=P,L p=P,L --numpy none.py": "none.py: No such file",
    "--grid 1 --block 64 P=7 L=40 scores=P,L p=P,L --numpy text.npy": "text.npy: SyntaxError",
    "--grid 1 --block 64 P=7 L=40 scores=P,L p=P,L --shared -1": "shared memory below 0",
}


@pytest.mark.parametrize("argv", BAD)
def test_bad_input_is_one_line(argv, capsys):
    Path("my.cu").write_text(SOFTMAX)
    Path("text.npy").write_text("no array")
    assert BAD[argv] in fails(capsys, emulate.main, "my.cu", *argv.split(" "))


FUNCTIONS = {
    "def other(scores): return scores": "my.py: has no function softmax()",
    "softmax = 3": "my.py: has no function softmax()",
    "def softmax(p): return p": "softmax() asks for p; it may ask for scores, P, L",
    "def softmax(scores): return scores[0]": "wrong p: expected numbers of shape (7, 40), received float32 of shape",
    "def softmax(scores): return None": "wrong p: expected numbers of shape (7, 40), received object of shape ()",
    "def softmax(scores): return scores, scores": "softmax() returned 2 arrays; the kernel writes p",
    "def softmax(scores): return scores[99]": "my.py: softmax() raised IndexError",
    "1 / 0": "my.py: ZeroDivisionError",
}


@pytest.mark.parametrize("text", FUNCTIONS)
def test_a_numpy_function_that_does_not_fit(text, capsys):
    Path("my.cu").write_text(SOFTMAX)
    Path("my.py").write_text(text)
    assert FUNCTIONS[text] in fails(capsys, emulate.main, "my.cu", *COMPARED)


def test_several_kernels(capsys):
    source = SUM + SUM.replace("void sum", "void total")
    argv = ["--grid", "1", "--block", "64", "x=64", "y=1"]
    status, lines = emulated(capsys, source, *argv, "--kernel", "total")
    assert status == 0 and lines[0].startswith("total, ")
    assert "has several kernels, choose one: --kernel sum or total" in fails(capsys, emulate.main, "my.cu", *argv)


def test_no_file_no_checkout(capsys, monkeypatch, tmp_path):
    assert "none.cu: No such file" in fails(capsys, emulate.main, "none.cu", *LAUNCH)
    monkeypatch.setattr(command, "SOURCE", tmp_path)
    assert "it is part of a source checkout" in fails(capsys, emulate.main, "none.cu", *LAUNCH)


def test_no_compiler(tmp_path):
    Path("my.cu").write_text(SOFTMAX)
    bare = os.environ | {"PATH": "", "PYTHONPATH": str(command.SOURCE), "MINIFCN_EMULATOR_CACHE": str(tmp_path)}
    line = [sys.executable, "-m", "minifcn.emulate", "my.cu", *LAUNCH]
    done = subprocess.run(line, env=bare, capture_output=True, text=True, check=False)
    assert done.returncode == 2 and "needs the compiler g++" in assert_one_error_line(done.stderr)


def test_names_that_hide_things(capsys):
    """A file's name goes into C++ and into messages."""
    name = 'my "\\file\x1b.cu'
    Path(name).write_text(SOFTMAX.replace("total = 0", "totl = 0"))
    assert exit_status(emulate.main, name, *LAUNCH) == 1
    assert capsys.readouterr().out.startswith("WRONG: my___file_.cu:11: does not compile")


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
