"""The stand-in for CuPy: devices, memory pools, threads, kernels."""

import gc
import shutil
import threading

import emulator
import numpy as np
import pytest
import standin
import standin_cuda
from standin_helpers import HOST, evaluate, every_expression

cupy = pytest.importorskip("cupy", reason="cupy is not installed: the stand-in checks its names against it")


def test_arrays_know_their_device(xp):
    with xp.cuda.Device(1) as device:
        b = xp.ones(3)
        assert xp.cuda.Device().id == device.id == 1
    assert (xp.cuda.Device().id, b.device.id, xp.ones(3).device.id, b[1:].device.id) == (0, 1, 0, 1)
    assert b.device == xp.cuda.Device(1)


@every_expression(
    """
    a + b;  b + 1;  b.sum();  xp.matmul(a, b);  xp.concatenate([a, b]);  a.__setitem__(0, b[0]);  b.fill(0)
    xp.exp(a, out=b);  a[b];  b[[0]];  xp.sum(a, out=b[0])
    """
)
def test_devices_do_not_mix(expression, xp):
    a = xp.ones(3)
    with xp.cuda.Device(1):
        b = xp.ones(3)
    with pytest.raises(ValueError, match=r"array resides \(1\) is different from the current device \(0\)"):
        evaluate(expression, xp, a=a, b=b)


def test_copies_between_devices(xp, a):
    with xp.cuda.Device(1):
        for b in (xp.asarray(a), a.copy(), a.astype(np.float32, copy=False)):
            assert b.device.id == 1
            assert b.data.ptr != a.data.ptr
            np.testing.assert_array_equal(b.get(), HOST)
        np.testing.assert_array_equal(a.get(), HOST)


def test_devices_nest_and_are_each_thread_s_own(xp):
    seen = []
    with xp.cuda.Device(1):
        with xp.cuda.Device(0):
            assert xp.cuda.Device().id == 0
        assert xp.cuda.Device().id == 1
        thread = threading.Thread(target=lambda: seen.append(xp.cuda.Device().id))
        thread.start()
        thread.join()
    assert seen == [0]
    xp.cuda.Device(1).use()
    assert xp.zeros(1).device.id == 1
    with pytest.raises(xp.cuda.runtime.CUDARuntimeError, match="invalid device ordinal"):
        xp.cuda.Device(2).use()


def test_the_pool_counts_and_limits(xp):
    pool = xp.get_default_memory_pool()
    assert (pool.used_bytes(), pool.total_bytes(), pool.get_limit()) == (0, 0, 0)
    a = xp.zeros(1000, np.float32)  # 4000 bytes: rounded up to 4096
    view = a[10:].reshape(-1, 10)
    assert pool.used_bytes() == 4096
    del a
    gc.collect()
    assert pool.used_bytes() == 4096, "the view is alive"
    del view
    gc.collect()
    assert (pool.used_bytes(), pool.total_bytes()) == (0, 4096)
    pool.free_all_blocks()
    assert pool.total_bytes() == 0
    pool.set_limit(size=6000)
    a = xp.zeros(1000, np.float32)
    with pytest.raises(MemoryError) as error:
        a + 1
    assert isinstance(error.value, xp.cuda.memory.OutOfMemoryError)
    assert str(error.value) == str(cupy.cuda.memory.OutOfMemoryError(4096, 4096, 6000))
    assert pool.used_bytes() == 4096
    with xp.cuda.Device(1):
        assert xp.zeros(10_000).device.id == 1, "the limit is one device's"


def test_a_device_has_an_end(xp):
    with pytest.raises(
        xp.cuda.memory.OutOfMemoryError,
        match=r"Out of memory allocating 9,\d{3},\d{3},\d{3} bytes \(allocated so far: 0 bytes\)",
    ):
        xp.empty((9 << 30,), np.uint8)
    assert xp.cuda.Device(0).mem_info == (standin_cuda.DEVICE_BYTES, standin_cuda.DEVICE_BYTES)


def test_threads(xp):
    """Sixteen threads copy to the device and compute; nothing is lost, and all memory comes back."""
    hosts = [np.full((50, n + 1), n, np.float32) for n in range(16)]
    results = [None] * 16

    def work(n):
        results[n] = [float((xp.asarray(hosts[n]) + 1).sum()) for _ in range(20)]

    threads = [threading.Thread(target=work, args=(n,)) for n in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert results == [[(n + 1.0) ** 2 * 50] * 20 for n in range(16)]
    assert xp.get_default_memory_pool().used_bytes() == 0


def test_events_and_versions(xp):
    start, end = xp.cuda.Event(), xp.cuda.Event()
    with pytest.raises(xp.cuda.runtime.CUDARuntimeError):
        xp.cuda.get_elapsed_time(start, end)
    start.record()
    xp.cuda.get_current_stream().synchronize()
    end.record(xp.cuda.Stream.null)
    end.synchronize()
    assert 0 <= xp.cuda.get_elapsed_time(start, end) < 1e4
    assert xp.cuda.is_available()
    assert xp.cuda.runtime.getDeviceCount() == 2
    assert xp.cuda.runtime.getDeviceProperties(1)["name"] == b"emulated device 1"


SOURCE = """
typedef REAL real;
extern "C" __global__ void scale(const real* __restrict__ x, real* __restrict__ y, real factor, int n)
{
    int i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i < n) y[i] = factor * x[i];
}
"""


@pytest.mark.skipif(not shutil.which("g++"), reason="g++ is not installed: the emulator cannot compile the kernel")
def test_a_kernel_runs_and_marks_what_it_wrote(xp, a):
    y = xp.empty(12, np.float32)
    kernel = xp.RawModule(code=SOURCE, options=("-std=c++17", "-DREAL=float")).get_function("scale")
    kernel((2,), (8,), (a, y, np.float32(3), np.int32(12)))
    np.testing.assert_array_equal(y.get(), 3 * HOST.ravel())
    assert xp.launches == [("scale", (2,), (8,), emulator.Traffic(read=48, written=48))]


@pytest.fixture
def launches(monkeypatch):
    """What reaches the emulator, without a compiler."""
    seen = []

    class Module:
        def __init__(self, source, name, defines):
            self.signatures = {"scale": ()}
            seen.append((name, defines))

        def launch(self, *args, **kwargs):
            seen.append((*args, kwargs))

    monkeypatch.setattr(emulator, "Module", Module)
    monkeypatch.setattr(standin.RawModule, "_built", {})
    return seen


def test_what_reaches_the_emulator(launches, a):
    xp = standin.CuPy(order="random", seed=5)
    kernel = xp.RawModule(code="...", options=("-DREAL=double", "-DFAST")).get_function("scale")
    xp.RawModule(code="...", options=("-DFAST", "-DREAL=double")).get_function("scale")
    xp.RawModule(code="...", options=("-DREAL=float",)).get_function("scale")
    kernel((0, np.int64(2)), (8,), (a[1:], np.int32(1)), shared_mem=64)
    assert launches[:2] == [("kernel.cu", {"REAL": "double", "FAST": "1"}), ("kernel.cu", {"REAL": "float"})], (
        "once each"
    )
    name, grid, block, (array, number), options = launches[2]
    assert (name, grid, block, number, type(number)) == ("scale", (1, 2), (8,), 1, np.int32)
    assert array.__array_interface__["data"][0] == a.data.ptr + 16
    assert options == {"shared": 64, "order": "random", "seed": 5}


def test_a_file_of_the_project_goes_by_its_name(launches, xp):
    for file in standin.KERNELS.glob("*.cu"):
        xp.RawModule(code=file.read_text(encoding="utf-8")).get_function("scale")
    assert launches == [(file.name, {}) for file in standin.KERNELS.glob("*.cu")]


@pytest.mark.parametrize("wrong", [1, 1.0, True, None, HOST, [1], "text"], ids=lambda value: type(value).__name__)
def test_only_device_arrays_and_numpy_scalars_are_arguments(wrong, launches, xp, a):
    kernel = xp.RawModule(code="...").get_function("scale")
    with pytest.raises(TypeError, match="Unsupported type"):
        kernel((1,), (1,), (a, wrong))


def test_a_kernel_takes_arrays_of_the_current_device(launches, xp, a):
    kernel = xp.RawModule(code="...").get_function("scale")
    with xp.cuda.Device(1), pytest.raises(ValueError, match="different from the current device"):
        kernel((1,), (1,), (a,))


def test_kernels_and_options_must_be_known(launches, xp):
    with pytest.raises(RuntimeError, match="named symbol not found: other"):
        xp.RawModule(code="...").get_function("other")
    with pytest.raises(ValueError, match="-funroll"):
        xp.RawModule(code="...", options=("-funroll",))
    for wrong in (["-DREAL=float"], "-DREAL=float"):
        with pytest.raises(TypeError, match="tuple"):
            xp.RawModule(code="...", options=wrong)
    with pytest.raises(TypeError):
        xp.RawModule(code="...", name_expressions=())
