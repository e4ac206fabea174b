"""A pool of threads over strips of work, with single-threaded BLAS inside.

NumPy releases the interpreter lock in its loops and products, so threads that each take whole strips use all cores,
where BLAS threading each small product would not. Strips are cut by shape alone and every product runs with one BLAS
thread, so results do not depend on the number of threads.
"""

import ctypes
import math
import threading
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor, wait
from functools import cache, partial

import numpy as np
from threadpoolctl import ThreadpoolController

from .environment import num_threads


@cache
def _pool() -> ThreadPoolExecutor:
    # A diverging network overflows; its user looks at the loss, not at warnings from the pool's threads.
    quiet = partial(np.seterr, all="ignore")
    return ThreadPoolExecutor(num_threads(), thread_name_prefix="minifcn", initializer=quiet)


@cache
def _blas() -> ThreadpoolController:
    return ThreadpoolController().select(user_api="blas")


def blas_kernel() -> str:
    """The BLAS that products run on, such as 'openblas 0.3.31 SkylakeX', for the record beside measurements."""
    found = [(i["internal_api"], i["version"], i.get("architecture")) for i in _blas().info()]
    return ", ".join(" ".join(str(part) for part in parts if part) for parts in found) or "unknown BLAS"


def describe() -> str:
    """The machine, for the record beside measurements."""
    return f"BLAS {blas_kernel()}, {num_threads()} threads"


def parallel(work: Callable, items: Iterable) -> None:
    """Call work(item) for every item, on the pool; returns when all are done. Items must not depend on each other."""
    items = list(items)
    queue = iter(items)  # shared: each thread takes the next item when it is done with one

    def take() -> None:
        for item in queue:
            work(item)

    with _blas().limit(limits=1):
        helpers = [_pool().submit(take) for _ in range(min(num_threads(), len(items)) - 1)]
        try:
            take()  # this thread works too
        finally:
            wait(helpers)
    for helper in helpers:
        helper.result()  # raises what the work raised there


def serial(work: Callable, items: Iterable) -> None:
    """Call work(item) for every item, here: what a thread does with its own share."""
    for item in items:
        work(item)


_own = threading.local()


def workspace(name: str, shape: tuple[int, ...], dtype):
    """This thread's uninitialised buffer of that name, reused: fresh pages cost as much as arithmetic."""
    size = math.prod(shape) * np.dtype(dtype).itemsize
    buffer = getattr(_own, name, None)
    if buffer is None or buffer.nbytes < size:
        buffer = np.empty(size, np.uint8)
        setattr(_own, name, buffer)
    return buffer[:size].view(dtype).reshape(shape)


def keep_freed_memory() -> None:
    """Let this process keep the memory of arrays that are freed, for the next ones: glibc returns large ones at once.

    Fresh pages must be cleared by the system, which costs as much as the arithmetic on them. Elsewhere than on glibc
    (macOS, Windows, musl) nothing happens. The commands call it; a program of your own may, before its first array.
    """
    M_TRIM_THRESHOLD, M_MMAP_MAX = -1, -4  # malloc.h
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (AttributeError, OSError, TypeError):
        return
    mallopt(M_MMAP_MAX, 0)  # no array in a mapping of its own
    mallopt(M_TRIM_THRESHOLD, -1)  # never
