"""What this process may use, and MINIFCN_THREADS and MINIFCN_CONV, which decide otherwise. Each is found out once."""

import math
import os
from functools import cache
from pathlib import Path, PurePosixPath

from ..errors import InputError


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
    quotas, groups = [math.inf], root / "sys/fs/cgroup"
    for line in read(root / "proc/self/cgroup").splitlines():
        _, controllers, path = line.split(":", 2)
        if not controllers:  # version 2
            top, names = groups, ["cpu.max"]
        elif "cpu" in controllers.split(","):  # version 1
            top, names = groups / "cpu", ["cpu.cfs_quota_us", "cpu.cfs_period_us"]
        else:
            continue
        parts = PurePosixPath(path.strip("/")).parts
        for depth in range(len(parts) + 1):
            words = " ".join(read(top.joinpath(*parts[:depth], name)) for name in names).split()
            if len(words) == 2 and all(word.isdecimal() for word in words):  # otherwise "max", -1 or no such file
                quotas.append(int(words[0]) / int(words[1]))
    return min(quotas)


def read(path: Path) -> str:
    """The text of a file, empty where there is none to read."""
    try:
        return path.read_text()
    except (OSError, ValueError):
        return ""
