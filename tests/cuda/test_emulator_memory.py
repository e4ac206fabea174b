"""The emulator's device memory: what is there, what is written, what a kernel may touch, when it is freed."""

import gc

import numpy as np
import pytest
from emulator import KernelError, array, empty, initialised, is_device, mark_initialised
from emulator_helpers import kernel, needs_compiler, resident_bytes, zeros
from emulator_memory import load_runtime

pytestmark = needs_compiler


def test_array_is_a_copy():
    host = np.arange(12, dtype=np.float32).reshape(3, 4).T
    a = array(host)
    assert a.flags.c_contiguous and a.ctypes.data % 256 == 0
    host[0] = -1
    assert np.array_equal(a, np.arange(12).reshape(3, 4).T)
    assert is_device(a) and is_device(a[1:, ::-2]) and is_device(a.T)
    assert not is_device(host) and not is_device(a.copy())
    assert initialised(a)


def test_new_memory_is_poisoned_and_uninitialised():
    a = empty((5, 3), np.float64)
    assert np.isnan(a).all() and not initialised(a)
    assert (empty(7, np.uint8) == 255).all()
    assert empty((2, 0), np.int32).shape == (2, 0) and initialised(empty(0, np.int32))


def test_initialised_follows_views():
    a = empty((4, 6), np.float32)
    mark_initialised(a[1::2, ::-3])
    assert initialised(a[1::2, 2::3]) and initialised(a[3, 5:]) and initialised(a.T[5, ::-2])
    for view in (a, a[1], a[:, 5], a[0, 2:3], a[1, 1:3]):
        assert not initialised(view)
    with pytest.raises(ValueError, match="does not lie in device memory"):
        initialised(np.zeros(3))


def test_kernels_initialise():
    """A kernel that leaves elements out is noticed, on the host or in the next kernel."""
    half = kernel("if (threadIdx.x % 2) y[threadIdx.x] = n;")
    use = kernel("z[threadIdx.x] = y[threadIdx.x];", "const float* y, float* z")
    y = empty(8, np.float32)
    half.launch("k", (1,), (8,), (y, np.int32(5)))
    assert initialised(y[1::2]) and not initialised(y) and not initialised(y[::2])
    with pytest.raises(KernelError, match=r"k: block \(0,0,0\) thread \(0,0,0\): read of uninitialised memory"):
        use.launch("k", (1,), (8,), (y, empty(8, np.float32)))
    y[::2] = 1
    mark_initialised(y[::2])
    z = empty(8, np.float32)
    use.launch("k", (1,), (8,), (y, z))
    assert z.tolist() == [1, 5] * 4


@pytest.mark.parametrize("index, fault", [(-1, "byte -4 of"), (0, None), (3, None), (4, "byte 16 of")])
def test_a_view_is_all_that_may_be_touched(index, fault):
    """The elements next to a view are in the same allocation, yet not the kernel's."""
    a = zeros((3, 4), np.float32)
    launch = kernel("y[n] = 7;").launch
    if fault:
        with pytest.raises(KernelError, match=f"out-of-bounds write of 4 bytes at {fault} argument 0"):
            launch("k", (1,), (1,), (a[1], np.int32(index)))
        assert not a.any()
    else:
        launch("k", (1,), (1,), (a[1], np.int32(index)))
        assert a[1, index] == 7 and a.sum() == 7


def test_access_over_the_edge():
    """Eight bytes of which four are the kernel's."""
    x, y = array(np.zeros(64, np.float32)), empty(1, np.float64)
    module = kernel("y[0] = *(const double*)(x + 62);", "const float* x, double* y")
    module.launch("k", (1,), (1,), (x, y))
    with pytest.raises(KernelError, match=r"out-of-bounds read of 8 bytes at byte 248 of argument 0 .*252 bytes"):
        module.launch("k", (1,), (1,), (x[:63], y))


def test_array_of_an_earlier_launch():
    """An array that is initialised and was an argument before is none now."""
    x, y = zeros(4, np.float32), zeros(4, np.float32)
    kernel("x[0] = y[0] = 1;", "float* x, float* y").launch("k", (1,), (1,), (x, y))
    distance = np.int64((y.ctypes.data - x.ctypes.data) // 4)
    assert abs(distance) * 4 >= 2**36  # arrays lie 64 GB apart
    with pytest.raises(KernelError, match="out-of-bounds write of 4 bytes"):
        kernel("x[n] = 2;", "float* x, long long n").launch("k", (1,), (1,), (x, distance))
    assert y[0] == 1


def test_views_of_another_type():
    """A byte array used as floats: records are kept for the element size of each launch."""
    raw = empty(64, np.uint8)
    y = raw[16:48].view(np.float32)
    module = kernel("y[threadIdx.x] = n; __syncthreads(); if (threadIdx.x) y[threadIdx.x - 1] = y[threadIdx.x];")
    with pytest.raises(KernelError, match="race"):
        module.launch("k", (1,), (8,), (y, np.int32(3)))
    assert initialised(y) and not initialised(raw) and not initialised(raw[:16])
    kernel("y[threadIdx.x] = threadIdx.x;", "unsigned char* y").launch("k", (1,), (32,), (raw[16:48],))
    assert np.array_equal(raw[16:48], np.arange(32))


def test_indices_past_two_to_the_31():
    """2^31 + 64 floats: nothing is committed but what the chosen blocks touch."""
    n, before = 2**31 + 64, resident_bytes()
    y = empty(n, np.float32)
    assert y.nbytes > 8 << 30
    module = kernel(
        "long long i = (long long)blockIdx.x * blockDim.x + threadIdx.x;\n if (i < n) y[i] = i % 1000;",
        "float* y, long long n",
    )
    last = -(-n // 256) - 1
    module.launch("k", (last + 1,), (256,), (y, np.int64(n)), blocks=range(last - 1, last + 1))
    expected = np.arange(n - 64 - 256, n) % 1000
    assert np.array_equal(y[-320:], expected) and initialised(y[-320:]) and not initialised(y[-321:])
    assert resident_bytes() - before < 200e6
    wrong = kernel("int i = blockIdx.x * blockDim.x + threadIdx.x;\n y[i] = 1;", "float* y, long long n")
    with pytest.raises(KernelError, match="out-of-bounds write of 4 bytes at byte -8589934592 of argument 0"):
        wrong.launch("k", (last + 1,), (256,), (y, np.int64(n)), blocks=[last])


def test_memory_comes_back():
    """More arrays than there are slots, one after the other; 1000 at a time; freed with the last view."""
    module = kernel("y[threadIdx.x] = n;")
    for _ in range(1300):
        empty(3, np.float32)
    many = [empty(3, np.float32) for _ in range(1000)]
    module.launch("k", (1,), (3,), (many[-1], np.int32(1)))
    assert len({a.ctypes.data for a in many}) == 1000
    view = many[-1][1:]
    address = view.ctypes.data
    del many
    assert is_device(view) and view.tolist() == [1, 1]
    del view
    gc.collect()
    assert load_runtime().emu_flags(address, 8) is None


def test_memory_in_cycles_comes_back():
    gc.disable()
    try:
        for _ in range(1300):
            cycle = [empty(1, np.float32)]
            cycle.append(cycle)
    finally:
        gc.enable()


def test_pages_are_given_back():
    """Data and records of 300 MB, one MB at a time."""
    before = resident_bytes()
    for _ in range(300):
        mark_initialised(empty(1 << 20, np.uint8))
    gc.collect()
    assert resident_bytes() - before < 50e6


def test_used_memory_is_new_again():
    """What an earlier array in the same place held is neither visible nor initialised."""
    seen = set()
    for _ in range(1300):  # more than there are slots
        a = empty(2, np.float32)
        assert np.isnan(a).all() and not initialised(a)
        seen.add(a.ctypes.data)
        a[...] = 1
        mark_initialised(a)
        del a
    assert len(seen) < 1300


def test_too_much_memory():
    with pytest.raises(MemoryError, match="34359738369 bytes"):
        empty(2**35 + 1, np.uint8)


@pytest.mark.parametrize("shape, dtype", [((2, -1), np.float32), (3, object)])
def test_impossible_arrays(shape, dtype):
    with pytest.raises(ValueError, match="can lie in device memory"):
        empty(shape, dtype)
