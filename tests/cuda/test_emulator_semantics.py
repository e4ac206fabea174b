"""What the emulator computes: the worked examples of NVIDIA's CUDA C++ Programming Guide, in probes/guide.cu."""

import re

import numpy as np
import pytest
from emulator import KernelError, Module, array, empty
from emulator_helpers import GUIDE, LANES, REALS, both_dtypes, every_order, guide, kernel, needs_compiler, zeros

pytestmark = needs_compiler


@every_order
def test_broadcast(order, seed):
    """Warp Shuffle Functions, "Broadcast of a single value across a warp": each lane has lane 0's value."""
    y = empty(64, np.int32)
    guide().launch("broadcast", (1,), (64,), (y, np.int32(1234)), order=order, seed=seed)
    assert np.array_equal(y, np.full(64, 1234))


@every_order
def test_scan(order, seed):
    """Warp Shuffle Functions, "Inclusive plus-scan across sub-partitions of 8 threads" of 31 - lane."""
    y = empty(32, np.int32)
    guide().launch("scan8", (1,), (32,), (y,), order=order, seed=seed)
    assert np.array_equal(y, np.cumsum((31 - LANES).reshape(4, 8), axis=1).ravel())


@both_dtypes
@every_order
def test_reduction(dtype, order, seed):
    """Warp Shuffle Functions, "Reduction across a warp": all lanes have the sum of 31 - lane, in each of two warps."""
    y = empty(64, dtype)
    guide(dtype).launch("warp_reduce", (1,), (64,), (y,), order=order, seed=seed)
    assert np.array_equal(y, np.full(64, 31 * 32 / 2))


@pytest.mark.parametrize("width", [1, 2, 8, 16, 32])
@pytest.mark.parametrize("operand", [0, 1, 3, 8, 31, 32, 40])
def test_shuffle_modes(width, operand):
    """Warp Shuffle Functions, "Description": source lanes by mode; a segment of `width` lanes is a warp of its own."""
    sources = np.random.default_rng(width).integers(0, 64, 32).astype(np.int32)
    y = empty(128, np.int32)
    guide().launch("shuffle_table", (1,), (32,), (array(sources), y, np.int32(operand), np.int32(width)))
    segment = LANES // width * width
    expected = [
        segment + sources % width,  # "srcLane modulo width"
        np.where(LANES - operand >= segment, LANES - operand, LANES),  # "will not wrap around the value of width"
        np.where(LANES + operand < segment + width, LANES + operand, LANES),
        np.where(LANES ^ operand < segment + width, LANES ^ operand, LANES),  # earlier segments may be read, later not
    ]
    assert np.array_equal(y.reshape(4, 32) - 100, expected)


@every_order
def test_votes(order, seed):
    """Warp Vote Functions: bit N of a ballot is lane N's predicate; any and all over the lanes of a warp."""
    x = np.random.default_rng(0).integers(-1, 2, 128).astype(np.int32)
    x[32:64], x[64:96] = 0, 5
    ballot, any_, all_ = empty(128, np.uint32), empty(128, np.int32), empty(128, np.int32)
    guide().launch("votes", (1,), (128,), (array(x), ballot, any_, all_), order=order, seed=seed)
    warps = x.reshape(4, 32) != 0
    assert np.array_equal(ballot.reshape(4, 32), np.repeat(warps @ (1 << LANES), 32).reshape(4, 32))
    assert np.array_equal(any_.reshape(4, 32), np.repeat(warps.any(axis=1), 32).reshape(4, 32))
    assert np.array_equal(all_.reshape(4, 32), np.repeat(warps.all(axis=1), 32).reshape(4, 32))


POISON = {  # what a lane gives that takes no part, as a float; as an integer its bits
    ("forward", 0): np.nan,
    ("reverse", 0): np.inf,
    ("random", 0): np.nan,
    ("random", 1): np.inf,
    ("random", 2): -np.inf,
    ("random", 3): np.nan,
    ("random", 4): np.inf,
}
ABSENT = {  # threads of the block, and a shuffle from lane 20 that is undefined in the lanes below 8
    "never there": (20, "y[t] = __shfl_sync(0xffffffffu, value, 20);"),
    "exited": (32, "if (t == 20) return;\ny[t] = __shfl_sync(0xffffffffu, value, 20);"),
    "outside the mask": (32, "if (t < 8) y[t] = __shfl_sync(0xffu, value, 20);"),
}


@pytest.mark.parametrize("absent", ABSENT)
@pytest.mark.parametrize("name, dtype", [("float", np.float32), ("double", np.float64), ("int", np.int32)])
@pytest.mark.parametrize("order, seed", POISON)
def test_value_of_an_absent_lane(absent, name, dtype, order, seed):
    """Warp Shuffle Functions: "If the target thread is inactive, the retrieved value is undefined". Here, poison."""
    (threads, line), y = ABSENT[absent], empty(32, dtype)
    module = kernel(f"int t = threadIdx.x;\n{name} value = t;\n{line}", f"{name}* y")
    module.launch("k", (1,), (threads,), (y,), order=order, seed=seed)
    poison = np.full(8, POISON[order, seed], np.float64 if name == "double" else np.float32)
    if name == "int":
        poison = np.where(np.isnan(poison), -1, poison.view(np.int32))
    assert np.array_equal(y[:8], poison, equal_nan=name != "int")


@pytest.mark.parametrize("name, dtype", [("long long", np.int64), ("unsigned int", np.uint32)])
def test_value_of_an_absent_lane_as_an_integer(name, dtype):
    """No lane's number, and in one order larger than all that a kernel may hold against it."""
    values = []
    for order in POISON:
        y = empty(8, dtype)
        line = "y[threadIdx.x] = __shfl_sync(0xffffffffu, value, 9);"
        kernel(f"{name} value = 5;\n{line}", f"{name}* y").launch("k", (1,), (8,), (y,), order=order[0], seed=order[1])
        assert not np.isin(y, LANES).any()
        values.append(int(y[0]))
    assert max(values) >= {8: 0x7FF0000000000000, 4: 0x7F800000}[np.dtype(dtype).itemsize]
    assert len(set(values)) == 3


REDUCE = """int t = threadIdx.x;
real v = x[t];
for (int step = 16; step > 0; step /= 2) {{
    real other = __shfl_down_sync(0xffffffffu, v, step);
    {guard}v = {joined};
}}
if (t == 0) y[0] = v;"""
JOINED = {"max": "v < other ? other : v", "min": "other < v ? other : v", "sum": "v + other"}


@pytest.mark.parametrize("joined", JOINED)
@both_dtypes
def test_reduction_without_its_guard(joined, dtype):
    """Twenty lanes: with the guard no order shows anything, without it at least one does."""
    x = np.random.default_rng(8).integers(-99, 99, 20).astype(dtype)

    def results(guard):
        body = REDUCE.format(guard=guard, joined=JOINED[joined]).replace("real", REALS[dtype]["REAL"])
        module, y = kernel(body, "const real* x, real* y".replace("real", REALS[dtype]["REAL"])), empty(1, dtype)
        for order, seed in POISON:
            module.launch("k", (1,), (20,), (array(x), y), order=order, seed=seed)
            yield float(y[0])

    right = getattr(x, joined)()
    assert all(result == right for result in results("if (t + step < 20) "))
    wrong = [order for order, result in zip(POISON, results(""), strict=True) if result != right]
    assert {"max": ("reverse", 0), "min": ("random", 2), "sum": ("forward", 0)}[joined] in wrong


@every_order
def test_cas_sum(order, seed):
    """Atomic Functions: atomicAdd for double made of atomicCAS, over several blocks."""
    x = np.random.default_rng(1).integers(-1000, 1000, 150) / 8  # sums without rounding in any order
    total = zeros(1, np.float64)
    guide().launch("sum_by_cas", (3,), (64,), (total, array(x), np.int32(150)), order=order, seed=seed)
    assert total[0] == x.sum()


@every_order
def test_atomics(order, seed):
    """Atomic Functions: what each leaves, 64 threads on elements that start as 12."""
    y, u, q = array(np.full(4, 12, np.int32)), array(np.full(4, 12, np.uint32)), array(np.full(2, 12, np.uint64))
    guide().launch("atomics", (2,), (32,), (y, u, q), order=order, seed=seed)
    assert y.tolist() == [12 + 64, 12 - 64, 10, 31]
    assert u.tolist() == [12 & 10, 12 | 0xFFFFFFFF, 12, 7]
    assert q[0] == 12 + 64 * 2**40
    assert q[1] - 1000 in ([0] if order == "forward" else [31] if order == "reverse" else range(32))


@both_dtypes
@every_order
def test_matrix_product(dtype, order, seed):
    """Shared Memory: the matrix product by tiles in shared memory."""
    rng = np.random.default_rng(2)
    a, b = rng.integers(-8, 8, (16, 24)).astype(dtype), rng.integers(-8, 8, (24, 32)).astype(dtype)
    c = empty((16, 32), dtype)
    args = (array(a), array(b), c, np.int32(24), np.int32(32))
    traffic = guide(dtype).launch("matmul", (4, 2), (8, 8), args, order=order, seed=seed)
    assert np.array_equal(c, a @ b)
    itemsize = np.dtype(dtype).itemsize
    assert traffic.read == 2 * 16 * 32 * 24 // 8 * itemsize  # each tile of A and of B, once a block
    assert traffic.written == c.nbytes


@every_order
def test_warp_sum_in_shared_memory(order, seed):
    """Independent Thread Scheduling: lanes communicate through shared memory with __syncwarp in between."""
    x = np.random.default_rng(3).integers(-99, 99, 32).astype(np.int32)
    y = empty(1, np.int32)
    guide().launch("warp_sum_shared", (1,), (32,), (array(x), y), order=order, seed=seed)
    assert y[0] == x.sum()


def without(source, text, number):
    """The source without the number-th occurrence of a text."""
    start = [match.start() for match in re.finditer(re.escape(text), source)][number]
    return source[:start] + " " * len(text) + source[start + len(text) :]


@pytest.mark.parametrize("number", range(2))
@every_order
def test_matrix_product_needs_each_barrier(number, order, seed):
    module = Module(without(GUIDE, "__syncthreads();", number), "guide.cu", REALS[np.float32])
    a, b, c = zeros((8, 16), np.float32), zeros((16, 8), np.float32), empty((8, 8), np.float32)
    with pytest.raises(KernelError, match=r"race: |uninitialised shared"):
        module.launch("matmul", (1, 1), (8, 8), (a, b, c, np.int32(16), np.int32(8)), order=order, seed=seed)


@pytest.mark.parametrize("number", range(3))
@every_order
def test_warp_sum_needs_each_syncwarp(number, order, seed):
    module = Module(without(GUIDE, "__syncwarp();", number), "guide.cu", REALS[np.float32])
    with pytest.raises(KernelError, match=r"race: |uninitialised shared"):
        args = (zeros(32, np.int32), empty(1, np.int32))
        module.launch("warp_sum_shared", (1,), (32,), args, order=order, seed=seed)
