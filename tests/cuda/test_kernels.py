"""Every kernel, launched by itself in the emulator, against cpu's functions, in several orders of blocks and threads.

The emulator alone sees races, accesses out of bounds and reads of what nobody wrote; results are compared on top. What
this finds is tested in test_kernel_mutants.py.
"""

import shutil
from dataclasses import replace
from math import prod

import emulator
import flat_cases
import map_cases
import numpy as np
import pytest
from emulator import Traffic
from kernel_cases import CASES, cases_of
from kernel_run import REALS, Parts, build, module, run, work_of
from map_cases import Geometry

from minifcn.gpu.signatures import kernels

pytestmark = pytest.mark.skipif(shutil.which("g++") is None, reason="the emulator needs g++")

ORDERS = [("forward", 0), ("reverse", 0), *(("random", seed) for seed in range(3))]
FLOAT = np.dtype(np.float32)
every_real = pytest.mark.parametrize("real", REALS, ids=REALS.get)


@pytest.fixture(scope="module", autouse=True)
def built():
    """All kernels, compiled side by side."""
    emulator.prebuild([build(kernel, real) for kernel in kernels().values() for real in REALS])


@every_real
@pytest.mark.parametrize("case", CASES, ids=str)
def test_result(case, real):
    """As on the CPU, and the same bits in every order: no sum depends on who comes first."""
    compiled = module(kernels()[case.kernel], real)
    results, traffic = zip(*(run(compiled, case, real, *order) for order in ORDERS), strict=True)
    for order, result in zip(ORDERS, results, strict=True):
        assert result == results[0], f"order {order}: other bits than {ORDERS[0]}"
    if not work_of(case, real).expected:
        assert set(traffic) == {Traffic(0, 0)}, "nothing to do, but something was read or written"


def test_a_change_that_the_table_does_not_expect_is_noticed():
    case = flat_cases.bias_relu(13, 5, 1, (32, 8))
    silent = replace(case, make=lambda real: replace(case.make(real), expected={}))
    with pytest.raises(AssertionError, match=r"^altered: y"):
        run(module(kernels()["bias_relu"], FLOAT), silent, FLOAT)


# ---------------------------------------------------------------------------------- the table


@pytest.mark.parametrize("kernel", kernels())
def test_table_covers(kernel):
    """Each kernel with nothing to do, with more elements than 32 bits count, and with blocks of several sizes."""
    cases = cases_of(kernel)
    works = [work_of(case, FLOAT) for case in cases]
    assert any(work.args.get(rows) == 0 for work in works for rows in ("pixels", "n", "P", "outer"))
    threads = {prod(case.block) for case in cases}
    assert {1, 1000} <= threads and any(n % 32 for n in threads) and len(threads) >= 6
    large = [
        name
        for case, work in zip(cases, works, strict=True)
        if case.blocks
        for name, value in work.args.items()
        if isinstance(value, Parts) and prod(value.shape) > 2**31
    ]
    arrays = {p.name for p in kernels()[kernel].parameters if p.array}
    assert set(large) == arrays - {"b", "class_weight", "counts"}  # one a channel, class, pair of classes


def test_names_are_different():
    names = [str(case) for case in CASES]
    assert len(set(names)) == len(names)
    assert {case.kernel for case in CASES} == set(kernels())


# ---------------------------------------------------------------------------------- traffic

LANES, BLOCKS = 32, 2
SIDES = Geometry(2, 6, 8, 5, (2, 4), (2, 2))
REGULAR = [  # no padding, nothing left over, four numbers at a time where a kernel can
    map_cases.im2col(SIDES, (32, 8)),
    map_cases.im2col(Geometry(1, 5, 4, 12, (2, 3)), (32, 8)),
    map_cases.col2im(SIDES, (32, 8)),
    *map_cases.pool(SIDES, (32, 8)),
    *map_cases.upsample(3, 4, 21, 2, (32, 8)),
    flat_cases.bias_relu(70, 21, 1, (32, 8)),
    *(flat_cases.quads(kernel, 4096, 256) for kernel in ("relu_forward", "relu_backward", "sgd_update")),
    flat_cases.argmax(40, 21, 256),
    flat_cases.cross_entropy(40, 21, BLOCKS, 256, void=0.0),
    flat_cases.confusion(40, 1, BLOCKS, 32, wrong=0.0, void=0.0),
]


def expected_traffic(kernel, r, n, a):
    """(read, written) bytes. r: bytes of a real, n: elements of the arrays by name, a: the numbers.

    Counted are accesses by threads, while the heads of the .cu files speak of memory: what a GPU broadcasts or has in a
    cache is extra here, and named.
    """
    taps = a.get("KH", 0) * a.get("KW", 0)
    match kernel:
        case "im2col":
            return n["cols"] * r, n["cols"] * r
        case "col2im":
            assert n["dcols"] <= n["dx"] * taps / (a["sy"] * a["sx"])
            return n["dcols"] * r, n["dx"] * r
        case "max_pool_forward":
            return n["y"] * taps * r, n["y"] * (r + 1)
        case "max_pool_backward":
            assert n["winner"] * taps <= n["dx"] * taps / (a["sy"] * a["sx"])
            return n["winner"] * taps + n["dy"] * r, n["dx"] * r
        case "upsample_forward":
            assert n["x"] * 2 * a["stride"] <= 2 * n["y"]
            return n["x"] * 2 * a["stride"] * r, n["y"] * r
        case "upsample_backward":
            return n["dx"] * 2 * a["stride"] * r, n["dx"] * r
        case "bias_relu":
            return n["y"] * (r + r), n["y"] * r  # and its channel of b
        case "relu_forward":
            return n["x"] * r, n["y"] * r
        case "relu_backward":
            return n["dy"] * 2 * r, n["dy"] * r
        case "sgd_update":
            return n["w"] * 3 * r, n["w"] * 2 * r
        case "argmax":
            return n["scores"] * r, n["classes"]
        case "cross_entropy":  # and every lane the label, its weight and its score; every block its two sums
            return n["scores"] * 3 * r + n["labels"] * LANES * (4 + r + r), n["scores"] * r + BLOCKS * 2 * 8
        case "confusion":  # and every block adds its one count to the result
            return n["labels"] * (4 + 1) + BLOCKS * 8, BLOCKS * 8


@every_real
@pytest.mark.parametrize("case", REGULAR, ids=str)
def test_traffic(case, real):
    """As the kernel's head says."""
    args = work_of(case, real).args
    sizes = {name: prod(value.shape) for name, value in args.items() if hasattr(value, "shape")}
    _, traffic = run(module(kernels()[case.kernel], real), case, real)
    assert traffic == Traffic(*expected_traffic(case.kernel, real.itemsize, sizes, args))


def test_traffic_of_all_kernels_is_known():
    assert {case.kernel for case in REGULAR} == set(kernels())
