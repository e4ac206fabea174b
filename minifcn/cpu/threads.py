"""A pool of threads over strips of work, with single-threaded BLAS inside; and what this process may use.

NumPy releases the interpreter lock in its loops and products, so threads that each take whole strips use all cores,
where BLAS threading each small product would not. Strips are cut by shape alone and every product runs with one BLAS
thread, so results do not depend on the number of threads. The variables MINIFCN_THREADS and MINIFCN_CONV are read once.
"""

import ctypes
import math
import os
import threading
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import AbstractContextManager, nullcontext, suppress
from functools import cache, partial
from itertools import product
from pathlib import Path, PurePosixPath

import numpy as np
from threadpoolctl import ThreadpoolController

from ..errors import InputError

LIMITS = {"": ["cpu.max"], "cpu": ["cpu.cfs_quota_us", "cpu.cfs_period_us"]}  # files of control groups 2 and 1


def parallel(work: Callable, items: Iterable) -> list:
    """Call work(item) for every item, on the pool; return the results in order. Items must not depend on each other."""
    items = list(items)
    results, queue = [None] * len(items), iter(range(len(items)))

    def take() -> None:
        for i in queue:  # shared: each thread takes the next item when it is done with one
            results[i] = work(items[i])

    with _one_blas_thread():
        helpers = [_pool().submit(take) for _ in range(min(num_threads(), len(items)) - 1)]
        try:
            take()  # this thread works too
        finally:
            wait(helpers)
    for helper in helpers:
        helper.result()  # raises what the work raised there
    return results


def serial(work: Callable, items: Iterable) -> None:
    """Call work(item) for every item, here: what a thread does with its own share."""
    for item in items:
        work(item)


@cache
def _pool() -> ThreadPoolExecutor:
    # A diverging network overflows; its user looks at the loss, not at warnings from the pool's threads.
    quiet = partial(np.seterr, all="ignore")
    return ThreadPoolExecutor(num_threads(), thread_name_prefix="minifcn", initializer=quiet)


def _one_blas_thread() -> AbstractContextManager:
    """Products of one thread each. Asking takes longer than looking: of a small network's step a twentieth."""
    libraries = _blas().lib_controllers
    return nullcontext() if all(x.get_num_threads() == 1 for x in libraries) else _blas().limit(limits=1)


def limit_blas() -> None:
    """Leave BLAS one thread for as long as this process lives. The commands call it."""
    _blas().limit(limits=1)


@cache
def _blas() -> ThreadpoolController:
    return ThreadpoolController().select(user_api="blas")


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
    with suppress(AttributeError, OSError, TypeError):
        mallopt = ctypes.CDLL(None).mallopt
        mallopt(M_MMAP_MAX, 0)  # no array in a mapping of its own
        mallopt(M_TRIM_THRESHOLD, -1)  # never


# --- what this process may use ---


def start() -> None:
    """Read both variables, so that a bad one is reported before anything is written."""
    num_threads()
    conv_choice()


@cache
def conv_choice() -> str | None:
    """MINIFCN_CONV: im2col or winograd, wherever that one is defined; None: whichever pays (winograd.py)."""
    choice = os.environ.get("MINIFCN_CONV") or None
    if choice not in (None, "im2col", "winograd"):
        raise InputError(f"MINIFCN_CONV: expected im2col or winograd, received {choice!r}")
    return choice


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
    groups, quotas = root / "proc/self/cgroup", [math.inf]
    for line in groups.read_text(errors="replace").splitlines() if groups.exists() else ():
        _, controllers, path = line.split(":", 2)  # no controllers: version 2
        group = PurePosixPath(path.strip("/"))
        for kind, folder in product(LIMITS.keys() & controllers.split(","), (group, *group.parents)):
            files = [root / "sys/fs/cgroup" / kind / folder / name for name in LIMITS[kind]]
            with suppress(OSError, ValueError):  # no such file, or "max"
                quota, period = map(int, " ".join(file.read_text() for file in files).split())
                quotas.append(quota / period if quota > 0 else math.inf)  # -1: no limit
    return min(quotas)


def blas_kernel() -> str:
    """The BLAS that products run on, such as 'openblas 0.3.31 SkylakeX', for the record beside measurements."""
    found = [(i["internal_api"], i["version"], i.get("architecture")) for i in _blas().info()]
    return ", ".join(" ".join(str(part) for part in parts if part) for parts in found) or "unknown BLAS"


def describe() -> str:
    """The machine, for the record beside measurements."""
    return f"BLAS {blas_kernel()}, {num_threads()} threads"
