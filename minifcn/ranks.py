"""Data-parallel training: several processes, called ranks, each with its share of every batch.

    mpiexec -n 2 python -m minifcn.train ...        or, on one machine, python -m minifcn.train --processes 2 ...

    batch of 4     a b | c d         rank 0 takes a and b, rank 1 c and d; each runs forward and backward on its own
    gradients      g0  +  g1         MPI's Allreduce: now every rank has the sum
    weights         w  =  w          so every rank makes the same step

A mean divides by what is labelled in all shares, and dropout draws the masks of the whole batch: but for rounding it is
the step of one process. Rank 0 alone writes and prints. docs/many_processes.md has more. In a process that mpiexec did
not start all of this leaves things as they are.
"""

import ctypes
import os
import signal
import subprocess
import sys
import time
from contextlib import suppress
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from shutil import which

import numpy as np

from . import cpu, device, files
from .autograd import Tensor
from .errors import InputError, say
from .ops.batch_norm import BatchNorm

STARTERS = ("PMI_SIZE", "OMPI_COMM_WORLD_SIZE")  # one is set in what mpiexec started
ALIKE = 2.0  # seconds within which all ranks meet an error that they have in common
KILLED = b"BAD TERMINATION"  # what MPICH's mpiexec says of that, among much else
INSTALL = 'pip install "minifcn[mpi]"'
TERMINAL = "MINIFCN_TERMINAL"  # set where the errors of ranks, which go through pipes, come to a terminal


@cache
def world():
    """The communicator of all ranks, or None in a process that mpiexec did not start. (MPI's own is for errors.)"""
    with suppress(ImportError, RuntimeError):  # no mpi4py, or no MPI for it: begin() tells
        if any(name in os.environ for name in STARTERS):
            from mpi4py.MPI import COMM_WORLD  # whose import starts MPI

            return COMM_WORLD.Dup()
    return None


def rank() -> int:
    return world().rank if world() else 0


def size() -> int:
    return world().size if world() else 1


def describe() -> str:
    return f" in each of {size()} processes (--processes 1: all in one)" if size() > 1 else ""


def begin(where: str, together: bool = True) -> str:
    """Start this rank's device and return its name (of "gpu" each has its own).

    Rank 0 alone is to print and, where all work together at one thing, to write.
    """
    if size() != next((int(os.environ[name]) for name in STARTERS if name in os.environ), 1):
        why = "mpi4py, or an MPI for it, is missing, or it is another one's than mpiexec"
        raise InputError(f"{why}; each process would work alone: {INSTALL}, or start one process without mpiexec")
    if rank() > 0:
        sys.stderr = open(os.devnull, "w")
        if together:
            files.WRITE, sys.stdout = False, sys.stderr
    if where == "gpu" and world():
        from mpi4py.MPI import COMM_TYPE_SHARED

        where += f":{world().Split_type(COMM_TYPE_SHARED).rank}"  # its number on this machine
    device.start(where)
    return where


def share(things):
    """This rank's share of things in order, such as the indices of a batch; shares differ by one at most."""
    return things[len(things) * rank() // size() : len(things) * (rank() + 1) // size()]


def total(x):
    """The sum over all ranks, in their order, of what has a +: numbers, arrays, lists."""
    if not world() or not hasattr(x, "shape"):
        return world().allreduce(x) if world() else x
    host = np.array(device.asnumpy(x), order="C")
    world().Allreduce(None, host)  # in place; many times faster than what is pickled
    return device.of(x).asarray(host)


def total_gradients(parameters: dict) -> None:
    """Add up every parameter's gradient over all ranks."""
    for parameter in parameters.values() if world() else ():
        if parameter.grad is not None:
            host = device.asnumpy(parameter.grad)
            world().Allreduce(None, host)  # in place
            parameter.grad = device.of(parameter.grad).asarray(host)


def first_said(x):
    """What rank 0 has of something that can be pickled."""
    return world().bcast(x) if world() else x


def same_size(x, labels: np.ndarray) -> tuple:
    """Pad pictures x (n,H,W,3) and labels (n,H,W) as one batch of all shares would be: to its largest sizes."""
    room = [(0, 0), *((0, int(most)) for most in np.max(total([x.shape[1:3]]), axis=0) - x.shape[1:3])]
    if any(more for _, more in room):
        x, labels = device.xp(x).pad(x, [*room, (0, 0)]), np.pad(labels, room, constant_values=255)
    return x, labels


def check(processes: int, batch: int, low_memory: bool) -> None:
    """Raise InputError where a batch cannot be shared out."""
    if processes > (most := 1 if low_memory else batch):
        why = f"--batch {batch}{' with --low-memory' * low_memory}"
        raise InputError(f"{processes} processes: {why} can be shared out to {most} at most")


def share_batches(model, batch: int, low_memory: bool) -> None:
    """Have a network with its share of each batch normalise over whole ones, and draw their dropout masks.

    Raises InputError where a batch cannot be shared out.
    """
    check(size(), batch, low_memory)
    own, mine = model.dropout, share(range(batch))

    def dropout(name: str, x: Tensor, p: float) -> Tensor:
        before, after = (Tensor(np.empty((n, *x.shape[1:]), x.dtype)) for n in (mine.start, batch - mine.stop))
        return [own(name, part, p) for part in (before, x, after)][1]

    model.dropout, BatchNorm.total = dropout, staticmethod(total)


def tell(error: str, status: int) -> int:
    """Print an error, once if all ranks have it, else with the rank, and end the others; return the exit status."""
    if not world():
        say(error, file=sys.stderr)
        return status
    from mpi4py.MPI import COMM_WORLD

    alike, until = COMM_WORLD.Ibarrier(), time.monotonic() + ALIKE
    while not (all_have_it := alike.Test()) and time.monotonic() < until:
        time.sleep(0.01)
    if not all_have_it or rank() == 0:
        whose = "error: " if all_have_it else f"error: rank {rank()}: "
        say(*[""] * (not all_have_it), *error.replace("error: ", whose, 1).splitlines(), file=sys.__stderr__)
    if not all_have_it:
        time.sleep(0.5)  # what mpiexec has not passed on when it is told of the end, it drops
        os.dup2(os.open(os.devnull, os.O_WRONLY), 2)  # MPI would add words of its own
        COMM_WORLD.Abort(status)  # ends all, if not at once
    return status


# --- starting them on this machine ---


def choose(settings: type, given: dict, where: str, begun: list | None) -> int:
    """How many processes are to be started here: what is given, or what a run has begun with, or what is fastest.

    A small network on the CPU: as many as there are cores and a batch can be shared out to evenly, as its layers are so
    short that threads would wait for one another. A large one: one process, whose threads share the weights' memory.
    """
    s = begun[0] if begun else None
    trunk, batch, less = (given.get(name, getattr(s or settings, name)) for name in ("trunk", "batch", "low_memory"))
    if s or "processes" in given:
        check(processes := given.get("processes") or s.processes, batch, less)
        return processes
    most = cpu.num_threads() if trunk == "vgg_quarter" and where == "cpu" and not less else 1
    best = max(n for n in range(1, most + 1) if batch % n == 0)
    if best > 1 and not (mpiexec() and find_spec("mpi4py")):
        say(f"one process; {best} would be faster: {INSTALL}")
        return 1
    return best


def end_with_parent() -> None:
    """Ask Linux to stop this process when the one that started it ends, even by SIGKILL."""
    with suppress(AttributeError, OSError):
        ctypes.CDLL(None).prctl(1, signal.SIGTERM)  # PR_SET_PDEATHSIG


def mpiexec() -> str | None:
    return which("mpiexec", path=str(Path(sys.executable).parent)) or which("mpiexec")


def launch(processes: int) -> int:
    """Run this command as so many processes through mpiexec, which share the cores; return the exit status."""
    if not (mpiexec() and find_spec("mpi4py")):
        raise InputError(f"{processes} processes: mpiexec or mpi4py is missing: {INSTALL}, or take --processes 1")
    threads = max(1, cpu.num_threads() // processes)
    environment = os.environ | {"MINIFCN_THREADS": str(threads)} | ({TERMINAL: "1"} if sys.stderr.isatty() else {})
    line = [mpiexec(), "-n", str(processes), sys.executable, *sys.orig_argv[1:]]
    pipes = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE}
    with subprocess.Popen(line, env=environment, **pipes, start_new_session=True, preexec_fn=end_with_parent) as job:
        asked, killed = [], False
        for number in (signal.SIGINT, signal.SIGTERM):  # to all ranks, as if each had got it
            signal.signal(number, lambda *_: asked.append(job.terminate()))
        for text in job.stdout:
            killed |= KILLED in text
            if not (killed or text.startswith(b"=" * 40)):  # the line before
                print(text.decode(errors="replace"), end="", flush=True)
    if not killed and job.returncode in (0, 1, 2, 130):
        return job.returncode
    if asked:
        raise KeyboardInterrupt
    why = "a process of the job was killed, and so it ended; go on with --resume"
    raise InputError(f"{why}; if MPI cannot start (is /dev/shm small?), --processes 1; this was {mpiexec()}")
