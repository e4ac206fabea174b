"""A pool of threads over strips of work, with single-threaded BLAS inside.

NumPy releases the interpreter lock in its loops and products, so threads that each take whole strips use all cores,
where BLAS threading each small product would not. Strips are cut by shape alone and every product runs with one BLAS
thread, so results do not depend on the number of threads.
"""

import ctypes
import math
import os
import threading
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor, wait
from functools import cache, partial
from pathlib import Path

import numpy as np
from threadpoolctl import ThreadpoolController

from ..errors import InputError


@cache
def num_threads() -> int:
    """MINIFCN_THREADS, or the cores that this process may use: by its affinity and by its control group's quota."""
    wanted = os.environ.get("MINIFCN_THREADS")
    if wanted:
        if not wanted.isdecimal() or int(wanted) < 1:
            raise InputError(f"MINIFCN_THREADS: expected a positive number of threads, received {wanted!r}")
        return int(wanted)
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return max(1, math.ceil(min(cores, cgroup_quota(Path("/")))))


def cgroup_quota(root: Path) -> float:
    """The cores' worth of time that Linux control groups (a container's limit) grant; infinity where none is set.

    The limit of a group holds for all below it, so every group on the way up is asked. root: where /proc and /sys are.
    """
    quota = math.inf
    try:
        groups = (root / "proc/self/cgroup").read_text().splitlines()
    except OSError:
        return quota
    for line in groups:
        _, controllers, path = line.split(":", 2)
        v1 = "cpu" in controllers.split(",")
        if controllers and not v1:
            continue
        base = root / "sys/fs/cgroup" / ("cpu" if v1 else "")
        group = base / path.strip("/")
        for place in (group, *(p for p in group.parents if p == base or base in p.parents)):
            try:
                if v1:
                    allowed, period = ((place / f"cpu.cfs_{what}_us").read_text() for what in ("quota", "period"))
                else:
                    allowed, period = (place / "cpu.max").read_text().split()
                if allowed.strip() not in ("max", "-1"):
                    quota = min(quota, int(allowed) / int(period))
            except (OSError, ValueError):
                continue  # no such file: no limit here
    return quota


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
    (macOS, Windows, musl) nothing happens.
    """
    M_TRIM_THRESHOLD, M_MMAP_MAX = -1, -4  # malloc.h
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (AttributeError, OSError, TypeError):
        return
    mallopt(M_MMAP_MAX, 0)  # no array in a mapping of its own
    mallopt(M_TRIM_THRESHOLD, -1)  # never
