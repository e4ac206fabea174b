"""A pool of threads over strips of work, with single-threaded BLAS inside.

NumPy releases the interpreter lock in its loops and products, so threads that each take whole strips use all cores,
where BLAS threading each small product would not. Strips are cut by shape alone and every product runs with one BLAS
thread, so results do not depend on the number of threads.
"""

import math
import os
import threading
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor, wait
from functools import cache, partial

import numpy as np
from threadpoolctl import ThreadpoolController


@cache
def num_threads() -> int:
    """MINIFCN_THREADS, or the cores that this process may use."""
    wanted = os.environ.get("MINIFCN_THREADS")
    if wanted is not None:
        if not wanted.isdecimal() or int(wanted) < 1:
            raise ValueError(f"MINIFCN_THREADS: expected a positive number of threads, received {wanted!r}")
        return int(wanted)
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


@cache
def _pool() -> ThreadPoolExecutor:
    # A diverging network overflows; who trains it looks at the loss, not at warnings from the pool's threads.
    quiet = partial(np.seterr, all="ignore")
    return ThreadPoolExecutor(num_threads(), thread_name_prefix="minifcn", initializer=quiet)


@cache
def _blas() -> ThreadpoolController:
    return ThreadpoolController().select(user_api="blas")


def blas_kernel() -> str:
    """The BLAS that products run on, such as 'openblas 0.3.31 SkylakeX', for the record beside measurements."""
    found = [(i["internal_api"], i["version"], i.get("architecture")) for i in _blas().info()]
    return ", ".join(" ".join(str(part) for part in parts if part) for parts in found) or "unknown BLAS"


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


def strips(total: int, size: int) -> Iterator[slice]:
    """Cut range(total) into slices of about `size`, evenly, and into an even number of them where that is possible."""
    count = -(-total // max(1, size))
    count = min(total, count + count % 2)
    for i in range(count):
        yield slice(total * i // count, total * (i + 1) // count)


_own = threading.local()


def workspace(name: str, shape: tuple[int, ...], dtype):
    """This thread's uninitialised buffer of that name, reused: fresh pages cost as much as arithmetic."""
    size = math.prod(shape) * np.dtype(dtype).itemsize
    buffer = getattr(_own, name, None)
    if buffer is None or buffer.nbytes < size:
        buffer = np.empty(size, np.uint8)
        setattr(_own, name, buffer)
    return buffer[:size].view(dtype).reshape(shape)
