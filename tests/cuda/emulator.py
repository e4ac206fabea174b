"""Runs CUDA kernels on the CPU and finds their errors: the Python side of the emulator.

The same kernels/*.cu that NVRTC compiles for a GPU are compiled by g++ (emulator_build.py) with emulator/cuda_shim.h in
front, and instrumented: each access to memory is checked (emulator/checks.cpp, emulator/shadow.h), and threads wait for
each other as on a GPU (emulator/scheduler.cpp, emulator/warp.cpp). What is wrong becomes a KernelError with kernel,
block, thread and line: out-of-bounds and misaligned accesses, reads of what nobody wrote, races, divergent barriers,
undefined arithmetic.

    module = Module("extern \\"C\\" __global__ void twice(float* x) { x[threadIdx.x] *= 2.0f; }")
    x = array(np.ones(8, np.float32))
    module.launch("twice", (1,), (8,), (x,))

Not found are: accesses beyond a static shared array into the next one, or beyond a local array (which can crash the
process), unless the compiler sees the array's size where it is indexed; reads of local variables that nobody wrote. A
loop that never ends is found after 8 million accesses and waits of its block, or BLOCK_SECONDS (emulator/watch.cpp).

Importing this file needs no compiler; building a Module does, even one from the cache, which asks for its version.
"""

import ctypes
import math
import operator
import os
import shutil
import subprocess
import threading
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from emulator_build import KernelError, LaunchError, cache_folder, library, prebuild
from emulator_memory import address_of, array, empty, initialised, is_device, load_runtime, mark_initialised, written

__all__ = [
    "DTYPES",
    "KernelError",
    "LaunchError",
    "Module",
    "Traffic",
    "array",
    "cache_folder",
    "empty",
    "initialised",
    "is_device",
    "mark_initialised",
    "prebuild",
    "written",
]

SHARED_LIMIT = 48 << 10  # bytes of shared memory a block gets without asking for more
ORDERS = ("forward", "reverse", "random")
MAX_THREADS = 1024
BLOCK_SECONDS = 5  # of processor time, after which a block fails; those of the kernels here take less than a hundredth

DTYPES = {
    "float": np.dtype(np.float32),
    "double": np.dtype(np.float64),
    "int": np.dtype(np.int32),
    "unsigned int": np.dtype(np.uint32),
    "long long": np.dtype(np.int64),
    "unsigned long long": np.dtype(np.uint64),
    "unsigned char": np.dtype(np.uint8),
}

_launching = threading.Lock()  # one thread at a time: arguments and error stand in buffers that all launches share


class _Argument(ctypes.Structure):  # emu::Argument in interface.h
    _fields_ = [
        ("value", ctypes.c_uint64),
        ("bytes", ctypes.c_uint64),
        ("itemsize", ctypes.c_uint32),
        ("writable", ctypes.c_uint32),
    ]


class _Launch(ctypes.Structure):  # Launch in launch.cpp
    _fields_ = [
        ("grid", ctypes.c_uint32 * 3),
        ("block", ctypes.c_uint32 * 3),
        ("shared", ctypes.c_uint64),
        ("seed", ctypes.c_uint64),
        ("order", ctypes.c_uint64),
        ("n_blocks", ctypes.c_uint64),
        ("blocks", ctypes.c_void_p),
        ("arguments", ctypes.c_void_p),
        ("count_sectors", ctypes.c_uint64),
        ("block_seconds", ctypes.c_double),
        ("bytes_read", ctypes.c_uint64),
        ("bytes_written", ctypes.c_uint64),
        ("bytes_shared", ctypes.c_uint64),
        ("sectors_read", ctypes.c_uint64),
        ("sectors_written", ctypes.c_uint64),
    ]


@dataclass(frozen=True)
class Traffic:
    """Bytes that a launch's threads read and wrote in global memory, each access counted, as if there were no cache.

    sectors_read, sectors_written: the bytes of the sectors that its warps asked for (emulator/sectors.cpp), and
    shared: those that its threads read and wrote in shared memory; if counted.
    """

    read: int
    written: int
    sectors_read: int = 0
    sectors_written: int = 0
    shared: int = 0


class _Kernel:
    """One kernel of a module: its parameters, and the buffers that a launch fills in."""

    def __init__(self, lib: ctypes.PyDLL, handle: int):
        self.handle = handle
        self.name = lib.emu_kernel_name(handle).decode()
        self.max_threads = lib.emu_kernel_max_threads(handle)
        types = []
        while (text := lib.emu_kernel_type(handle, len(types))) is not None:
            types.append(text.decode())
        self.types = tuple(types)
        self.dtypes = [DTYPES[t.removeprefix("const ").rstrip("*")] for t in types]
        self.arguments = (_Argument * len(types))()
        for argument, t, dtype in zip(self.arguments, types, self.dtypes, strict=True):
            if t.endswith("*"):
                argument.itemsize, argument.writable = dtype.itemsize, not t.startswith("const ")

    def fill(self, args: Sequence) -> None:
        """Checks the arguments, but for where arrays lie, and puts them where emu_launch finds them."""
        if len(args) != len(self.types):
            raise TypeError(f"{self.name}: expected {len(self.types)} arguments, received {len(args)}")
        for i, (argument, a, dtype) in enumerate(zip(self.arguments, args, self.dtypes, strict=True)):
            if argument.itemsize:
                if not isinstance(a, np.ndarray) or a.dtype != dtype or not a.flags.c_contiguous:
                    raise self.mismatch(i, a)
                argument.value, argument.bytes = address_of(a), a.nbytes
            else:
                if not isinstance(a, np.generic) or a.dtype != dtype:
                    raise self.mismatch(i, a)
                argument.value = int.from_bytes(a.tobytes(), "little")

    def mismatch(self, i: int, a) -> TypeError:
        """What is wrong with the i-th argument."""
        array = self.arguments[i].itemsize
        expected = f"a C-contiguous device array of {self.dtypes[i]}" if array else f"a numpy.{self.dtypes[i]} scalar"
        received = type(a).__name__
        if isinstance(a, np.ndarray):
            where = "device" if is_device(a) else "host"
            layout = "" if a.flags.c_contiguous else ", not C-contiguous"
            received = f"a {where} array of {a.dtype}, shape {a.shape}{layout}"
        return TypeError(f"{self.name}: argument {i} ({self.types[i]}): expected {expected}, received {received}")


class Module:
    """A compiled kernel file.

    source: the file's text. name: for messages. defines: macros. KernelError with the compiler's messages if it fails.
    signatures: kernel name -> its parameters' types as the compiler deduced them, like ("const float*", "int").
    """

    def __init__(self, source: str, name: str = "kernel.cu", defines: dict[str, str] | None = None):
        self._lib = load_runtime()
        self._path = library(source, name, defines)
        try:
            self._library = ctypes.PyDLL(str(self._path))  # binds to the runtime's functions
        except OSError as error:  # instrumentation of what no kernel should do, like __atomic_fetch_add
            raise KernelError(f"{name} needs what the emulator lacks: {error}") from error
        self._handle = ctypes.addressof(ctypes.c_char.in_dll(self._library, "emu_module"))
        self._static_shared = self._lib.emu_load(self._handle)
        handles = [self._lib.emu_kernel(self._handle, i) for i in range(self._lib.emu_kernel_count(self._handle))]
        self._kernels = {kernel.name: kernel for kernel in (_Kernel(self._lib, handle) for handle in handles)}
        self.signatures = {name: kernel.types for name, kernel in self._kernels.items()}

    def launch(
        self,
        name: str,
        grid: tuple[int, ...],
        block: tuple[int, ...],
        args: Sequence,
        shared: int = 0,
        order: str = "forward",
        seed: int = 0,
        blocks: Sequence[int] | range | None = None,
        sectors: bool = False,
    ) -> Traffic:
        """Runs a kernel to its end.

        grid, block: 1 to 3 numbers. args: one a parameter: C-contiguous device arrays (views too; the kernel may touch
        just them) or numpy scalars, of exactly the parameter's dtype. shared: bytes of dynamic shared memory.
        order: of blocks and threads, "random" by seed. blocks: linear numbers (x fastest) of those to run, None: all.
        sectors: count those too, which takes longer, and shared memory's traffic.
        KernelError: what the kernel did wrong, or a launch beyond a GPU's limits. TypeError: an argument.
        ValueError: grid, block, order or blocks.
        """
        if name not in self._kernels:
            raise KernelError(f"{name}: no such kernel, only {', '.join(self._kernels)}")
        kernel = self._kernels[name]
        grid, block = _three_numbers("grid", grid), _three_numbers("block", block)
        self._check_limits(kernel, grid, block, shared)
        total = math.prod(grid)
        chosen = None if blocks is None else _chosen_blocks(blocks, total)
        if order not in ORDERS:
            raise ValueError(f"order: expected forward, reverse or random, received {order!r}")
        launch = _Launch(
            grid=grid,
            block=block,
            shared=shared,
            seed=seed,
            order=ORDERS.index(order),
            n_blocks=total if chosen is None else chosen.size,
            blocks=None if chosen is None else address_of(chosen),
            arguments=ctypes.addressof(kernel.arguments),
            count_sectors=sectors,
            block_seconds=BLOCK_SECONDS,
        )
        with _launching:
            kernel.fill(args)
            failed = self._lib.emu_launch(self._handle, kernel.handle, ctypes.addressof(launch))
            if failed == 2:
                raise next(kernel.mismatch(i, a) for i, a in enumerate(args) if _is_host_array(a))
            if failed:
                raise KernelError(f"{name}: {self._lib.emu_error().decode()}{self._place()}")
        more = (32 * launch.sectors_read, 32 * launch.sectors_written, launch.bytes_shared) if sectors else ()
        return Traffic(launch.bytes_read, launch.bytes_written, *more)

    def _check_limits(self, kernel: _Kernel, grid: Sequence[int], block: Sequence[int], shared: int) -> None:
        """The limits of compute capability 7.5 and up."""
        threads = math.prod(block)
        if min(*grid, *block) < 1 or shared < 0:
            wrong = "a size below 1, or shared memory below 0"
        elif threads > MAX_THREADS or block[2] > 64:
            wrong = f"more than {MAX_THREADS} threads, or 64 in z"
        elif threads > kernel.max_threads:
            wrong = f"{threads} threads, __launch_bounds__ says {kernel.max_threads}"
        elif grid[0] > 2**31 - 1 or max(grid[1:]) > 65535:
            wrong = "grid above 2^31 - 1 in x or 65535 in y or z"
        # All static shared variables of the file count: the compiler does not tell which kernel uses which.
        elif self._static_shared + shared > SHARED_LIMIT:
            wrong = (
                f"{self._static_shared} bytes of static and {shared} of dynamic shared memory, at most {SHARED_LIMIT}"
            )
        else:
            return
        raise LaunchError(f"{kernel.name}: invalid launch, grid {grid}, block {block}: {wrong}")

    def _place(self) -> str:
        """ " at file:line" of the code that the last error names by address."""
        offset = self._lib.emu_error_offset()
        if not offset or shutil.which("addr2line") is None:
            return ""
        # The address is that of the return, one past the call.
        command = ["addr2line", "-e", str(self._path), hex(offset - 1)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        return f" at {os.path.basename(done.stdout.split(' ')[0].strip())}"


def _is_host_array(a) -> bool:
    return isinstance(a, np.ndarray) and not is_device(a)


def _three_numbers(what: str, size: Sequence[int]) -> tuple[int, int, int]:
    """The size of a grid or block, 1 for what it leaves out."""
    numbers = tuple(map(operator.index, size))
    if not 1 <= len(numbers) <= 3:
        raise ValueError(f"{what}: expected 1 to 3 numbers, received {size}")
    return (*numbers, 1, 1)[:3]


def _chosen_blocks(blocks: Sequence[int] | range, total: int) -> np.ndarray:
    """The block numbers as (n,) uint64; ValueError if one is not in the grid or comes twice."""
    chosen = np.array(blocks, dtype=np.int64)
    if chosen.size and (chosen.min() < 0 or chosen.max() >= total or np.unique(chosen).size != chosen.size):
        raise ValueError(f"blocks: expected different numbers from 0 to {total - 1}, received {blocks}")
    return chosen.astype(np.uint64)
