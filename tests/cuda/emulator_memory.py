"""The emulator's device memory: where arrays lie, and which bytes of them somebody has written.

Arrays are NumPy arrays over memory that the runtime, the emulator's C++ part, hands out (emulator/memory.cpp).
"""

import ctypes
import functools
import gc
import math

import numpy as np
from emulator_build import runtime

POISON_LIMIT = 64 << 20  # larger arrays are not filled with 0xFF: that would commit their memory


@functools.lru_cache(maxsize=1)
def load_runtime() -> ctypes.PyDLL:
    """The runtime, its functions' types declared, its address space reserved.

    Its state is global: PyDLL, unlike CDLL, keeps the interpreter's lock during a call.
    """
    lib = ctypes.PyDLL(str(runtime()), mode=ctypes.RTLD_GLOBAL)  # kernel files find the __tsan functions in it
    pointer, size, text = ctypes.c_void_p, ctypes.c_size_t, ctypes.c_char_p
    for name, result, arguments in [
        ("emu_reserve", ctypes.c_int, []),
        ("emu_allocate", pointer, [size]),
        ("emu_free", None, [pointer]),
        ("emu_flags", pointer, [pointer, size]),
        ("emu_load", size, [pointer]),
        ("emu_kernel_count", ctypes.c_uint, [pointer]),
        ("emu_kernel", pointer, [pointer, ctypes.c_uint]),
        ("emu_kernel_name", text, [pointer]),
        ("emu_kernel_type", text, [pointer, ctypes.c_uint]),
        ("emu_kernel_max_threads", ctypes.c_uint, [pointer]),
        ("emu_launch", ctypes.c_int, [pointer, pointer, pointer]),
        ("emu_error", text, []),
        ("emu_error_offset", size, []),
    ]:
        function = getattr(lib, name)
        function.restype, function.argtypes = result, arguments
    if not lib.emu_reserve():
        raise MemoryError("the emulator can not reserve 75 TB of address space")
    return lib


class _Raw:
    """Memory at an address, for np.asarray, which keeps this object alive as the base of the array and its views."""

    def __init__(self, address: int, shape: tuple[int, ...], strides: tuple[int, ...] | None, dtype: np.dtype):
        self.__array_interface__ = {
            "version": 3,
            "data": (address, False),
            "shape": shape,
            "strides": strides,
            "typestr": dtype.str,
        }


class _Allocation(_Raw):
    """Device memory that is freed after the last view of it."""

    def __init__(self, lib: ctypes.PyDLL, address: int, shape: tuple[int, ...], dtype: np.dtype):
        super().__init__(address, shape, None, dtype)
        self._free, self._address = lib.emu_free, address

    def __del__(self):
        self._free(self._address)


def address_of(a: np.ndarray) -> int:
    return a.__array_interface__["data"][0]


def _extent(a: np.ndarray) -> tuple[int, int]:
    """(first byte's address, bytes up to the last one's end) of an array, strided or not."""
    if a.flags.c_contiguous:
        return address_of(a), a.nbytes
    if a.size == 0:
        return address_of(a), 0
    reach = [(n - 1) * stride for n, stride in zip(a.shape, a.strides, strict=True)]
    before = sum(r for r in reach if r < 0)
    return address_of(a) + before, sum(abs(r) for r in reach) + a.itemsize


def empty(shape: int | tuple[int, ...], dtype) -> np.ndarray:
    """An uninitialised array in device memory, filled with 0xFF. MemoryError above 32 GB or 1200 arrays."""
    lib, dtype = load_runtime(), np.dtype(dtype)
    shape = (shape,) if isinstance(shape, int | np.integer) else tuple(shape)
    if dtype.hasobject or min(shape, default=0) < 0:
        raise ValueError(f"no array of shape {shape} and {dtype} can lie in device memory")
    n_bytes = math.prod(map(int, shape)) * dtype.itemsize
    address = lib.emu_allocate(n_bytes)
    if address is None:
        gc.collect()  # arrays in cycles of references hold their slots
        address = lib.emu_allocate(n_bytes)
    if address is None:
        raise MemoryError(f"the emulator has no room for {n_bytes} bytes: at most 32 GB an array and 1200 arrays")
    if n_bytes <= POISON_LIMIT:
        ctypes.memset(address, 0xFF, n_bytes)
    return np.asarray(_Allocation(lib, address, shape, dtype))


def array(host_array: np.ndarray) -> np.ndarray:
    """A C-contiguous, initialised copy of a host array in device memory."""
    host_array = np.asarray(host_array)
    a = empty(host_array.shape, host_array.dtype)
    a[...] = host_array
    mark_initialised(a)
    return a


def is_device(a: np.ndarray) -> bool:
    """Does the array, which may be a view, lie in device memory?"""
    return load_runtime().emu_flags(*_extent(a)) is not None


def _flags(view: np.ndarray) -> np.ndarray:
    """The flags of a view's bytes, (*view.shape, itemsize), as a view of the emulator's records."""
    address, n_bytes = _extent(view)
    flags = load_runtime().emu_flags(address, n_bytes)
    if flags is None:
        raise ValueError(f"array of shape {view.shape} does not lie in device memory")
    flags += address_of(view) - address
    return np.asarray(_Raw(flags, (*view.shape, view.itemsize), (*view.strides, 1), np.dtype(np.uint8)))


def written(view: np.ndarray) -> np.ndarray:
    """Which elements of this device array or view were written, by a kernel or according to mark_initialised."""
    return _flags(view).all(axis=-1)


def initialised(view: np.ndarray) -> bool:
    """Were all of them?"""
    return bool(written(view).all())


def mark_initialised(view: np.ndarray) -> None:
    """Tells that the host has written all of this device array or view."""
    _flags(view)[...] = 1
