"""The emulator's modules: building and its cache, signatures, arguments of a launch."""

import subprocess
import sys
import threading
from pathlib import Path

import emulator
import numpy as np
import pytest
from emulator import KernelError, Module, empty
from emulator_helpers import kernel, needs_compiler, zeros

pytestmark = needs_compiler


def test_signatures():
    types = "const float*, double*, int, unsigned int, long long, unsigned long long, unsigned char*, float"
    module = Module(
        'typedef float real; extern "C" __global__ void a(const real* __restrict__ p, double* q, const int i, '
        "unsigned j, long long k, unsigned long long l, unsigned char* m, real r) {}\n"
        '// extern "C" __global__ void comment(int i) {}\n'
        'extern "C" __global__ void __launch_bounds__(2 * (8), 2) b() {}'
    )
    assert module.signatures == {"a": tuple(types.split(", ")), "b": ()}


@pytest.mark.parametrize(
    "args, message",
    [
        (lambda y, n: (y,), "k: expected 2 arguments, received 1"),
        (lambda y, n: (y, 4), r"k: argument 1 \(int\): expected a numpy.int32 scalar, received int"),
        (lambda y, n: (y, np.int64(4)), r"k: argument 1 \(int\): expected a numpy.int32 scalar, received int64"),
        (lambda y, n: (np.zeros(4, "f4"), n), r"k: argument 0 \(float\*\): .*received a host array of float32"),
        (lambda y, n: (zeros(4, "f8"), n), "expected a C-contiguous device array of float32, received .* of float64"),
        (lambda y, n: (y[::2], n), "received a device array of float32, shape \\(2,\\), not C-contiguous"),
        (lambda y, n: (n, n), "received int32"),
    ],
)
def test_wrong_arguments(args, message):
    with pytest.raises(TypeError, match=message):
        kernel("").launch("k", (1,), (1,), args(zeros(4, np.float32), np.int32(4)))


@pytest.mark.parametrize(
    "options, message",
    [({"blocks": [0, 8]}, "from 0 to 7"), ({"blocks": [1, 1]}, "different"), ({"order": "sorted"}, "'sorted'")],
)
def test_wrong_options(options, message):
    with pytest.raises(ValueError, match=message):
        kernel("").launch("k", (8,), (1,), (zeros(4, np.float32), np.int32(4)), **options)


@pytest.mark.parametrize("size", [(), (1, 1, 1, 1)])
def test_wrong_number_of_dimensions(size):
    args = (zeros(4, np.float32), np.int32(4))
    with pytest.raises(ValueError, match="grid: expected 1 to 3 numbers"):
        kernel("").launch("k", size, (1,), args)
    with pytest.raises(ValueError, match="block: expected 1 to 3 numbers"):
        kernel("").launch("k", (1,), size, args)


def test_threads_may_launch():
    """Each gets its own arguments, shared memory and error."""
    body = (
        "__shared__ float s[32];\ns[threadIdx.x] = n;\n__syncthreads();\ny[threadIdx.x + n / 4] = s[31 - threadIdx.x];"
    )
    module, results = kernel(body), [None] * 8

    def work(n):
        for _ in range(200):
            y = empty(32, np.float32)
            try:
                module.launch("k", (1,), (32,), (y, np.int32(n)))
                results[n] = y.tolist()
            except KernelError as error:
                results[n] = str(error)

    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        threads = [threading.Thread(target=work, args=(n,)) for n in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    finally:
        sys.setswitchinterval(interval)
    assert results[:4] == [[n] * 32 for n in range(4)]
    assert all("out-of-bounds write" in result for result in results[4:])


def test_unknown_kernel():
    with pytest.raises(KernelError, match="q: no such kernel, only k"):
        kernel("").launch("q", (1,), (1,), ())


@pytest.mark.parametrize(
    "source, message",
    [
        ('extern "C" __global__ void k(float* y) { y[0] = z; }', r"bad.cu:1:\d+: error: .z. was not declared"),
        ("__global__ void k(float* y) {}", 'has to be written `extern "C" __global__ void'),
        ('extern "C" __global__ void k(short* y) {}', "TypeName<short"),  # not among the types that kernels may take
        (
            'extern "C" __global__ void k(float* y) { atomicAdd(y, 1.0f); }',
            "no matching function for call to .atomicAdd",
        ),
        ('extern "C" __global__ void k(float* y) { y[0] = INFINITY; }', "INFINITY. was not declared"),
        # What would go past the checks
        ('extern "C" __global__ void k(float* y) { memset(y, 0, 4); }', 'poisoned "memset"'),
        ('extern "C" __global__ void k(int* y) { __atomic_fetch_add(y, 1, 0); }', "needs what the emulator lacks"),
    ],
)
def test_compile_errors(source, message):
    with pytest.raises(KernelError, match=message):
        Module(source, "bad.cu")


def test_cache(tmp_path, monkeypatch):
    """The second time no compiler runs; another source, define or name is another library."""
    monkeypatch.setenv("MINIFCN_EMULATOR_CACHE", str(tmp_path))
    source = 'extern "C" __global__ void k(int* y) { y[0] = VALUE; }'
    runs = []
    run = subprocess.run
    monkeypatch.setattr(
        subprocess, "run", lambda command, **keywords: runs.append(command[0]) or run(command, **keywords)
    )

    def build(*arguments):
        runs.clear()
        y = empty(1, np.int32)
        Module(*arguments).launch("k", (1,), (1,), (y,))
        return y[0], len(runs)

    assert build(source, "a.cu", {"VALUE": "1"}) == (1, 2)  # compiled and linked
    assert build(source, "a.cu", {"VALUE": "1"}) == (1, 0)
    assert build(source, "a.cu", {"VALUE": "2"}) == (2, 2)
    assert build(source + " ", "a.cu", {"VALUE": "1"}) == (1, 2)
    assert build(source, "b.cu", {"VALUE": "1"}) == (1, 2)
    runs.clear()
    emulator.prebuild([(source, "c.cu", {"VALUE": str(i)}) for i in (3, 4)] + [(source, "a.cu", {"VALUE": "1"})])
    assert len(runs) == 2 * 2 + 1  # the runtime too is new in this folder
    assert build(source, "c.cu", {"VALUE": "3"}) == (3, 0)


def test_cache_that_can_not_be_written(tmp_path, monkeypatch):
    (tmp_path / "file").touch()
    monkeypatch.setenv("MINIFCN_EMULATOR_CACHE", str(tmp_path / "file" / "cache"))
    with pytest.raises(
        KernelError, match=r"can not keep compiled kernels in .*cache \(.*MINIFCN_EMULATOR_CACHE.*Not a dir"
    ):
        kernel("y[0] = n;")


def test_import_needs_no_compiler(tmp_path):
    """Without g++ the import works, and building says what is missing."""
    code = "import emulator\ntry: emulator.Module('')\nexcept emulator.KernelError as error: print(error)"
    environment = {
        "PATH": str(tmp_path),
        "PYTHONPATH": str(Path(__file__).parent),
        "MINIFCN_EMULATOR_CACHE": str(tmp_path),
    }
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True)
    assert "needs g++" in done.stdout
