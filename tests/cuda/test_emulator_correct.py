"""Where nothing is wrong the emulator finds nothing: probes/correct.cu, functions, built-in variables, orders."""

import numpy as np
import pytest
from emulator import KernelError, Module, array, empty, initialised
from emulator_helpers import CORRECT, LANES, REALS, both_dtypes, correct, every_order, kernel, needs_compiler, zeros

pytestmark = needs_compiler


@every_order
def test_bytes_side_by_side(order, seed):
    x = np.random.default_rng(4).integers(0, 256, 128).astype(np.uint8)
    y = empty(128, np.uint8)
    correct().launch("bytes", (2,), (64,), (array(x), y, np.int32(128)), order=order, seed=seed)
    assert np.array_equal(y, x.reshape(2, 64)[:, ::-1].ravel())


@both_dtypes
@every_order
def test_wide_loads(dtype, order, seed):
    x = np.random.default_rng(5).standard_normal((50, 4)).astype(dtype)
    y = empty((50, 4), dtype)
    correct(dtype).launch("wide", (2,), (32,), (array(x), y, np.int32(50)), order=order, seed=seed)
    rows, columns = np.indices((50, 4))
    assert np.array_equal(y, x[rows, (rows + columns) % 4] * np.array([3, 1, 4, 1], dtype))


@every_order
def test_same_array_twice(order, seed):
    x = array(np.arange(100, dtype=np.float32))
    correct().launch("in_place", (4,), (32,), (x, x, np.int32(100)), order=order, seed=seed)
    assert np.array_equal(x, np.arange(100) + 1)


@every_order
def test_two_views_of_one_array(order, seed):
    a = array(np.arange(300, dtype=np.float32).reshape(3, 100))
    correct().launch("in_place", (4,), (32,), (a[0], a[2], np.int32(100)), order=order, seed=seed)
    assert np.array_equal(a[2], np.arange(100) + 1)
    assert np.array_equal(a[:2].ravel(), np.arange(200))


@both_dtypes
@every_order
def test_shared_memory_of_a_template(dtype, order, seed):
    x = np.random.default_rng(6).integers(-99, 99, (5, 96)).astype(dtype)
    y = empty(5, dtype)
    correct(dtype).launch("block_sums", (5,), (96,), (array(x), y), order=order, seed=seed)
    assert np.array_equal(y, x.sum(axis=1))


def test_same_template_in_two_files():
    """Each library has its own shared variables, though their names are the same."""
    for source in (CORRECT, "\n" + CORRECT):
        y = empty(1, np.float32)
        args = (array(np.ones(64, np.float32)), y)
        Module(source, "correct.cu", REALS[np.float32]).launch("block_sums", (1,), (64,), args)
        assert y[0] == 64


def test_loops_that_look_like_memset_and_memcpy():
    """Compilers like to replace them by calls, which no check would see."""
    x, y = array(np.arange(64, dtype=np.float32)), empty((2, 64), np.float32)
    module = kernel(
        "for (int i = 0; i < n; i++) y[i] = 0;\nfor (int i = 0; i < n; i++) y[64 + i] = x[i];",
        "const float* __restrict__ x, float* __restrict__ y, int n",
    )
    module.launch("k", (1,), (1,), (x, y, np.int32(64)))
    assert initialised(y) and np.array_equal(y, [np.zeros(64), x])
    with pytest.raises(KernelError, match="out-of-bounds read of 4 bytes at byte 256"):
        module.launch("k", (1,), (1,), (x, y, np.int32(65)))


def test_structs_between_their_sizes():
    """Twelve bytes lie at any multiple of four, in global, shared and local memory."""
    source = """struct rgb { float r, g, b; };
    extern "C" __global__ void k(const float* x, float* y, int n)
    {
        __shared__ rgb shared[3];
        rgb local[3];
        shared[1] = *(const rgb*)(x + 1);
        local[n] = shared[1];
        *(rgb*)(y + 1) = local[n];
    }"""
    x, y = array(np.arange(4, dtype=np.float32)), zeros(4, np.float32)
    Module(source).launch("k", (1,), (1,), (x, y, np.int32(1)))
    assert np.array_equal(x, y)


def test_large_local_arrays():
    """A device gives each thread 512 KB."""
    y = empty(64, np.int32)
    module = kernel(
        "int v[128 * 1024 - 64];\nv[n] = threadIdx.x;\n__syncthreads();\ny[threadIdx.x] = v[n];", "int* y, int n"
    )
    module.launch("k", (1,), (64,), (y, np.int32(5)))
    assert np.array_equal(y, np.arange(64))


@every_order
def test_histogram(order, seed):
    x = np.random.default_rng(7).integers(0, 200, 1000).astype(np.uint8)
    counts = zeros(256, np.int32)
    correct().launch("histogram", (3,), (64,), (array(x), counts, np.int32(1000)), order=order, seed=seed)
    assert np.array_equal(counts, np.bincount(x, minlength=256))


@pytest.mark.parametrize("name, dtype", [("reverse_dynamic", np.float32), ("reverse_dynamic_int", np.int32)])
@every_order
def test_dynamic_shared_memory(name, dtype, order, seed):
    x, y = np.arange(48, dtype=dtype), empty(48, dtype)
    correct().launch(name, (1,), (48,), (array(x), y), shared=48 * 4, order=order, seed=seed)
    assert np.array_equal(y, x[::-1])


@every_order
def test_subgroups_of_a_warp(order, seed):
    y = empty(32, np.int32)
    correct().launch("subgroups", (1,), (32,), (y,), order=order, seed=seed)
    s = np.concatenate([LANES[:16][::-1], LANES[16:]])
    assert np.array_equal(y, s[::-1])


@every_order
def test_chain_of_lanes(order, seed):
    y = empty(1, np.int32)
    correct().launch("chain_of_lanes", (1,), (32,), (y,), order=order, seed=seed)
    assert y[0] == 5


@every_order
def test_counter_of_a_warp(order, seed):
    y = empty(32, np.int32)
    correct().launch("warp_counter", (1,), (32,), (y,), order=order, seed=seed)
    assert np.array_equal(y, np.full(32, 64))


@pytest.mark.parametrize("threads, n", [(48, 48), (20, 20), (32, 11), (1, 1)])
@every_order
def test_partial_warp(threads, n, order, seed):
    """Lanes that do not exist or have returned: not waited for; what a shuffle reads from them is poison."""
    y = empty(threads, np.int32)
    correct().launch("partial_warp", (1,), (threads,), (y, np.int32(n)), order=order, seed=seed)
    last_warp = (n - 1) // 32 * 32
    assert np.array_equal(y[last_warp:n], np.full(n - last_warp, n - last_warp))
    assert not y[:last_warp].any()  # in a full warp lane 31 is there


@pytest.mark.parametrize(
    "expression, expected",
    [
        ("max(x[0], x[1])", 2.5),  # x = 1.5, 2.5, NaN, -0.5, ...
        ("min(x[2], x[1]) + max(x[1], x[2])", 5.0),  # a number rather than NaN
        ("fmax(x[2], x[0])", 1.5),
        ("max(-1, 1u)", 4294967295.0),
        ("min(-1ll, 1ll)", -1.0),
        ("exp(x[3]) * 0 + isnan(x[2]) + fabs(x[3]) + floor(x[1])", 3.5),
        ("sizeof(exp(x[0])) + sizeof(sqrt(x[0])) + sizeof(exp((double)x[0]))", 16.0),  # overloaded, not promoted
        ("__float_as_int(x[1]) == 0x40200000 && __int_as_float(0x7f800000) > 3e38f", 1.0),
        ("__popc(0xf0u) + __ffs(8) + __clz(1)", 39.0),
        ("x[4] * x[4] - x[5]", 0.0),  # the product is rounded: no fused multiply-add
        ("warpSize + blockDim.x + gridDim.y", 35.0),
    ],
)
def test_functions(expression, expected):
    y = empty(1, np.float32)
    odd = np.float32(1 + 2**-12)
    x = array(np.array([1.5, 2.5, np.nan, -0.5, odd, odd * odd], np.float32))
    kernel(f"y[0] = {expression};", "const float* x, float* y").launch("k", (1, 2), (1,), (x, y), blocks=[0])
    assert y[0] == np.float32(expected)


def test_built_in_variables():
    """x runs fastest, in blocks and in grids."""
    module = kernel(
        "unsigned b = blockIdx.x + gridDim.x * (blockIdx.y + gridDim.y * blockIdx.z);"
        "unsigned t = threadIdx.x + blockDim.x * (threadIdx.y + blockDim.y * threadIdx.z);"
        "y[b * 24 + t] = 1000000 * blockIdx.z + 100000 * blockIdx.y + 10000 * blockIdx.x"
        " + 100 * threadIdx.z + 10 * threadIdx.y + threadIdx.x;",
        "int* y",
    )
    y = empty((4, 3, 2, 4, 3, 2), np.int32)
    module.launch("k", (2, 3, 4), (2, 3, 4), (y,), order="random")
    weights = np.array([1000000, 100000, 10000, 100, 10, 1])
    assert np.array_equal(y, np.tensordot(weights, np.indices(y.shape), 1))


def test_orders_differ():
    """Threads and blocks really run in the order that is asked for; random repeats by seed."""
    module = kernel("ticket[blockIdx.x * 8 + threadIdx.x] = atomicAdd(counter, 1);", "int* ticket, int* counter")

    def tickets(**order):
        y = empty(32, np.int32)
        module.launch("k", (4,), (8,), (y, zeros(1, np.int32)), **order)
        return y.tolist()

    assert tickets() == list(range(32))
    assert tickets(order="reverse") == list(range(32))[::-1]
    shuffled = [tickets(order="random", seed=seed) for seed in (1, 2, 1)]
    assert shuffled[0] == shuffled[2] != shuffled[1]
    blocks = np.array(shuffled[0]).reshape(4, 8)
    assert np.array_equal(np.sort(blocks.ravel()), np.arange(32))
    assert sorted(blocks.min(axis=1)) == [0, 8, 16, 24] != blocks.min(axis=1).tolist()  # blocks whole, in another order
    assert (np.abs(np.diff(blocks[0])) != 1).any()
