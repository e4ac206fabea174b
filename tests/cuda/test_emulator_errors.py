"""What the emulator finds: each error of probes/errors.cu, and launches beyond a device's limits."""

import re

import emulator
import numpy as np
import pytest
from emulator import KernelError, Module, array, empty
from emulator_helpers import ERRORS, correct, every_order, kernel, needs_compiler, resident_bytes, zeros

pytestmark = needs_compiler

READ_WRITE = "race: (read after a write|write after a read)"
RETURNED = "returned while thread .* waits in __syncthreads|after [0-9]+ thread.s. of the block returned"
OUT_READ, OUT_WRITE = "out-of-bounds read of 4 bytes", "out-of-bounds write of 4 bytes"
FOUND = {  # kernel: (blocks, threads, what the message says)
    "read_one_past_the_end": (1, 64, OUT_READ + r" at byte 256 of argument 0 \(const float\*, 256 bytes\)"),
    "write_one_past_the_end": (1, 64, OUT_WRITE + r" at byte 256 of argument 1 \(float\*, 256 bytes\)"),
    "read_a_whole_array_further": (1, 64, OUT_READ),
    "write_four_gigabytes_further": (1, 64, OUT_WRITE),
    "read_of_another_argument": (1, 1, OUT_READ + " at byte 256 of argument 2"),
    "negative_index": (1, 64, OUT_READ + " at byte -4 of argument 0"),
    "null_pointer": (1, 64, OUT_WRITE),
    "wide_load_over_the_end": (1, 16, "out-of-bounds read of .* at byte 256 of argument 0"),
    "write_to_const": (1, 64, r"write of 4 bytes to argument 0 \(const float\*\), which is const"),
    "misaligned_wide_load": (1, 4, "misaligned"),
    "misaligned_float": (1, 1, "misaligned"),
    "misaligned_atomic": (1, 1, "misaligned atomic access of 4 bytes"),
    "index_outside_static_array": (1, 32, "index outside the array's bounds"),
    "index_outside_local_array": (1, 32, "index outside the array's bounds"),
    "outside_dynamic_shared": (1, 64, OUT_WRITE + r" at byte [0-9]+ of the dynamic shared memory \(128 bytes\)"),
    "uninitialised_global": (1, 32, "read of uninitialised memory: 4 bytes at byte [0-9]+ of argument 1"),
    "uninitialised_shared": (1, 64, r"thread \(7,0,0\): read of uninitialised shared memory"),
    "uninitialised_half_of_a_double": (1, 1, "read of uninitialised shared memory"),
    "uninitialised_shared_counter": (1, 32, "atomic access of uninitialised shared memory"),
    "shared_of_the_block_before": (2, 32, r"block \(1,0,0\) .* uninitialised shared memory"),
    "race_write_write_shared": (1, 32, "race: write after a write"),
    "race_read_write_shared": (1, 64, READ_WRITE + "|uninitialised shared"),
    "race_second_of_two_barriers_missing": (1, 64, READ_WRITE),
    "race_for_half_of_a_double": (1, 32, READ_WRITE),
    "race_of_two_warps": (1, 64, READ_WRITE + "|uninitialised shared"),
    "race_write_after_reads_of_a_warp": (1, 32, READ_WRITE),
    "race_write_after_reads_of_two_warps": (1, 64, READ_WRITE),
    "race_write_after_the_second_read": (1, 32, READ_WRITE),
    "race_missing_syncwarp": (1, 32, READ_WRITE),
    "race_syncwarp_of_half_a_warp": (1, 32, READ_WRITE + "|uninitialised shared"),
    "race_write_write_between_blocks": (2, 32, "race: write after a write .* blocks are not ordered"),
    "race_read_write_between_blocks": (2, 32, READ_WRITE + " .* blocks are not ordered"),
    "race_write_after_reads_of_all_blocks": (3, 32, "race: .* blocks are not ordered"),
    "race_update_without_atomic": (1, 32, READ_WRITE),
    "race_atomic_and_plain_read": (1, 32, "race: (read after an atomic access|atomic access after a read)"),
    "race_atomic_and_plain_write": (1, 32, "race: (write after an atomic access|atomic access after a write)"),
    "race_own_atomic_hides_plain_write": (1, 32, "race: (write after an atomic access|atomic access after a write)"),
    "barrier_in_a_branch": (1, 64, RETURNED),
    "barriers_in_both_branches": (1, 64, "divergent __syncthreads"),
    "return_before_barrier": (1, 64, RETURNED),
    "mask_without_own_lane": (1, 32, "__shfl_sync: mask 0000ffff lacks the calling lane (1[6-9]|2.|3.)"),
    "shuffle_with_a_lane_missing": (1, 32, r"deadlock: waits in __shfl_xor_sync.* thread \(9,0,0\) waits in __sync"),
    "different_operations": (1, 32, "(__ballot_sync|__shfl_sync), mask ffffffff.* lane [0-9]+ of the mask executes __"),
    "different_masks": (1, 32, "__syncwarp, mask .* executes __syncwarp, mask "),
    "width_of_three": (1, 32, "width 3 is no power of two"),
    "endless_loop": (1, 1, "an endless loop"),
    "endless_barriers": (1, 64, "an endless loop"),
    "signed_overflow": (1, 32, r"signed overflow of \*"),
    "shift_out_of_range": (1, 32, "shift out of range"),
    "division_by_zero": (1, 32, "division by zero"),
    "float_outside_int": (1, 32, "outside the integer type's range"),
}


def line_of(source, text):
    return source[: source.index(text)].count("\n") + 1


def launch_probe(name, order="forward", seed=0):
    blocks, threads, _ = FOUND.get(name, (1, 32, ""))
    x, y, k = array(np.arange(64, dtype=np.float32)), empty(64, np.float32), zeros(64, np.int32)
    shared = 128 if name == "outside_dynamic_shared" else 0
    module = Module(ERRORS, "errors.cu")
    module.launch(name, (blocks,), (threads,), (x, y, k, np.int32(64)), shared=shared, order=order, seed=seed)
    return x, y


@pytest.mark.parametrize("name", FOUND)
@every_order
def test_error_is_found(name, order, seed):
    """The message names kernel, block, thread, what is wrong, and a line marked `// !`; the next launch is well."""
    with pytest.raises(KernelError) as caught:
        launch_probe(name, order, seed)
    message = str(caught.value)
    assert re.match(rf"{name}: block \(\d,0,0\) thread \(\d+,0,0\): ", message), message
    assert re.search(FOUND[name][2], message), message
    start = ERRORS.index(f"void {name}(")
    body = ERRORS[start : ERRORS.index("\n}", start)].split("\n")
    first = line_of(ERRORS, f"void {name}(")
    marked = [f"errors.cu:{first + i}" for i, line in enumerate(body) if "// !" in line]
    assert message.rpartition(" at ")[2] in marked, message
    x, y = launch_probe("fine", order, seed)
    assert np.array_equal(y[:32], x[:32] + 64)


def test_stack_overflow():
    source = "__device__ __noinline__ float deeper(float x) { return x > 0 ? x + deeper(x + 1) : 0; }\n"
    source += 'extern "C" __global__ void k(float* y) { y[0] = deeper(1.0f); }'
    with pytest.raises(KernelError, match=r"k: block .* stack overflow: an endless recursion, .* at kernel.cu:1"):
        Module(source).launch("k", (1,), (1,), (empty(1, np.float32),))


ENDLESS = {  # loops that g++ leaves no access in
    "nothing": "while (true) {}",
    "step of 0": "float x = 0; for (int i = 0; i < n; i += 0) x += i; y[0] = x;",
    "mostly in the C library": "for (float x = 1; x > 0;) x = expf(sinf(x));",
}


@pytest.mark.parametrize("loop", ENDLESS)
def test_endless_loops_without_accesses(loop, monkeypatch):
    monkeypatch.setattr(emulator, "BLOCK_SECONDS", 0.2)
    module, args = kernel(ENDLESS[loop]), (zeros(1, np.float32), np.int32(5))
    with pytest.raises(KernelError, match=r"k: block .0,0,0. thread .*: an endless loop\? .* at k.cu:[12]"):
        module.launch("k", (1,), (4,), args)
    with pytest.raises(KernelError, match="out-of-bounds"):
        kernel("y[1] = 1;").launch("k", (1,), (4,), args)


def test_the_time_is_that_of_one_block(monkeypatch):
    """Forty blocks of a twentieth of a second each: a block may take twenty times as long as here."""
    monkeypatch.setattr(emulator, "BLOCK_SECONDS", 1)
    module = kernel("unsigned a = n; for (unsigned i = 1; i < 20000000; i++) a = a * i + 1;\ny[blockIdx.x] = a;")
    module.launch("k", (40,), (1,), (zeros(40, np.float32), np.int32(1)))


def test_local_arrays_below_the_stack():
    """Beside the stack of the thread lie those of others."""
    module = kernel("float v[4];\nfloat* far = v + n;\n*far = 1;\n__syncthreads();\ny[threadIdx.x] = *far;")
    for elements in (-(2**18), 2**18):  # a stack has 2^18 floats
        with pytest.raises(KernelError, match=r"out-of-bounds write of 4 bytes .* at k.cu:4"):
            module.launch("k", (1,), (32,), (empty(32, np.float32), np.int32(elements)))


def test_stacks_of_failed_launches_are_used_again():
    before = resident_bytes()
    for _ in range(200):  # 63 threads wait when the error is found
        with pytest.raises(KernelError):
            launch_probe("return_before_barrier")
    assert resident_bytes() - before < 20e6


def test_all_error_kernels_are_tried():
    assert set(Module(ERRORS, "errors.cu").signatures) == {*FOUND, "fine"}


@pytest.mark.parametrize(
    "grid, block, shared, message",
    [
        ((1,), (1025,), 0, "more than 1024 threads"),
        ((1,), (32, 33), 0, "more than 1024 threads"),
        ((1,), (1, 1, 65), 0, "64 in z"),
        ((2**31,), (1,), 0, "grid above"),
        ((1, 65536), (1,), 0, "grid above"),
        ((1, 1, 65536), (1,), 0, "grid above"),
        ((0,), (1,), 0, "below 1"),
        ((1,), (0,), 0, "below 1"),
        ((1,), (1,), 48 * 1024 - 3, "shared memory, at most 49152"),
        ((1,), (1,), -4, "below 0"),
    ],
)
def test_limits_of_a_launch(grid, block, shared, message):
    module = kernel("__shared__ float s[1]; s[0] = n; __syncthreads(); y[0] = s[0];")
    with pytest.raises(KernelError, match=rf"^k: invalid launch.*{message}"):
        module.launch("k", grid, block, (empty(1, np.float32), np.int32(0)), shared=shared, blocks=[0])


def test_largest_launches():
    """Just inside the limits."""
    module, args = kernel("y[0] = 1;"), (empty(1, np.float32), np.int32(0))
    for grid in [(2**31 - 1,), (1, 65535, 65535)]:
        module.launch("k", grid, (1,), args, blocks=[0])
    module.launch("k", (1,), (1,), args, shared=48 * 1024)
    module = kernel("int t = threadIdx.x + 16 * threadIdx.z; y[t] = t;")
    module.launch("k", (1,), (16, 1, 64), (empty(1024, np.float32), np.int32(0)))


def test_launch_bounds():
    args = (zeros(1, np.uint8), zeros(256, np.int32), np.int32(1))
    correct().launch("histogram", (1,), (64,), args)
    with pytest.raises(KernelError, match=r"histogram: .* 65 threads, __launch_bounds__ says 64"):
        correct().launch("histogram", (1,), (65,), args)
