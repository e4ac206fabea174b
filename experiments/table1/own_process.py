"""A run or a measurement in a process of its own: its peak memory is then its own, and it can be bound to cores.

When this process ends, even by kill -9, or calls end_all(), the new one gets SIGTERM: a run saves its checkpoint first.
Each process is a pool of one. In a pool of many a process that is killed takes the others with it, and before Python
3.11 a process would serve one run after the other and keep the memory of the largest.
"""

import os
import signal
import threading
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from multiprocessing import active_children, get_context, parent_process

import minifcn
from minifcn.cpu import limit_blas
from minifcn.errors import InputError


def start(function, arguments: dict, cores: list[int] | None = None, threads: int | None = None) -> Future:
    """Start a process that does function(**arguments), bound to the cores and with so many threads, where told."""
    pool = ProcessPoolExecutor(1, get_context("spawn"), initializer=_begin, initargs=(cores, threads))
    mask = getattr(signal, "pthread_sigmask", lambda *_: None)  # Windows has none
    before = mask(signal.SIG_BLOCK, {signal.SIGINT})  # inherited: Ctrl-C is for this process, which ends the new one
    try:
        return pool.submit(_call, function, arguments)
    finally:
        mask(signal.SIG_SETMASK, before)
        pool.shutdown(wait=False)  # the process ends with the call


def result(future: Future, what: str):
    """The result of that process, or its error. InputError where it was killed; what: it did, for the message."""
    try:
        return future.result()
    except BrokenProcessPool:
        why = "its process was killed, as happens where memory runs out; the same command goes on"
        raise InputError(f"{what}: {why}, with --jobs 1 or --without this part if need be") from None


def in_own_process(function, arguments: dict, cores: list[int] | None = None, threads: int | None = None):
    """Return function(**arguments) of a new process, which ends with this call whatever happens."""
    try:
        return result(start(function, arguments, cores, threads), f"{function.__name__} of {arguments}")
    finally:
        end_all()


def end_all() -> None:
    for child in active_children():
        child.terminate()


# --- in the new process ---


def _begin(cores: list[int] | None, threads: int | None) -> None:
    if hasattr(os, "setsid"):
        os.setsid()  # nor does it get what the parent's terminal or its group is sent
    for thread in os.listdir("/proc/self/task") if cores else ():  # NumPy has started some
        os.sched_setaffinity(int(thread), cores)
    if threads is not None:
        os.environ["MINIFCN_THREADS"] = str(threads)
    minifcn.keep_freed_memory()
    limit_blas()
    threading.Thread(target=_watch, daemon=True).start()


def _watch() -> None:
    parent_process().join()
    signal.raise_signal(signal.SIGTERM)


def _call(function, arguments: dict):
    try:
        return function(**arguments)
    finally:
        if not parent_process().is_alive():
            os._exit(1)  # nobody waits for the result, and the pool's process would wait for more to do
