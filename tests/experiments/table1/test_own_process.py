"""A run or a measurement in a process of its own."""

import os
import signal
import subprocess
import sys
import threading
import time
from concurrent.futures import wait
from pathlib import Path

import numpy as np
import pytest

from experiments.table1.own_process import end_all, in_own_process, start
from minifcn.cpu.threads import parallel
from minifcn.errors import InputError

UNIX = pytest.mark.skipif(not hasattr(os, "fork"), reason="kill -9 and sessions are of Unix")
LINUX = pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="only Linux binds processes to cores")
CHILDREN = Path(f"/proc/self/task/{threading.get_native_id()}/children")
PARENT = """
import sys
from pathlib import Path
from experiments.table1.own_process import in_own_process
from test_own_process import linger
in_own_process(linger, {"path": Path(sys.argv[1])})
"""


# --- what the processes do ---


def linger(path: Path):
    path.write_text(f"{os.getpid()} {os.getsid(0)}")
    time.sleep(60)


def kill_itself():
    os.kill(os.getpid(), signal.SIGKILL)


def refuse(what: str):
    raise InputError(f"{what} cannot be")


def probe(n: int):
    parallel(lambda _: np.ones((n, n)) @ np.ones((n, n)), range(4))
    bound = [sorted(os.sched_getaffinity(int(thread))) for thread in os.listdir("/proc/self/task")]
    return {"bound": bound, "threads": os.environ["MINIFCN_THREADS"]}


# --- what becomes of them ---


@UNIX
def test_a_process_ends_with_the_one_that_wanted_it(tmp_path):
    """kill -9: it must not go on and slow down the next one."""
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
    parent = subprocess.Popen([sys.executable, "-c", PARENT, str(tmp_path / "pid")], env=environment)
    child = started(tmp_path / "pid")
    parent.kill()
    parent.wait()
    wait_until(lambda: not alive(child))


@pytest.mark.skipif(not CHILDREN.exists(), reason="asks Linux for the processes that were started")
def test_a_process_is_ended_and_does_not_hear_of_ctrl_c(tmp_path):
    before = CHILDREN.read_text().split()
    future = start(linger, {"path": tmp_path / "pid"})
    for pid in {*CHILDREN.read_text().split()} - {*before}:
        os.kill(int(pid), signal.SIGINT)  # at once, before it has run a line
    child = started(tmp_path / "pid")
    assert alive(child) and (tmp_path / "pid").read_text() == f"{child} {child}", "not in a session of its own"
    assert signal.SIGINT not in signal.pthread_sigmask(signal.SIG_BLOCK, []), "Ctrl-C does not reach us either"
    end_all()
    assert wait([future], 30).done
    wait_until(lambda: not alive(child))


def started(path: Path) -> int:
    wait_until(lambda: path.exists() and path.read_text())
    return int(path.read_text().split()[0])


def alive(pid):
    try:
        os.kill(pid, 0)
        return Path(f"/proc/{pid}/stat").read_text().split()[2] != "Z"
    except OSError:
        return False


def wait_until(true):
    deadline = time.monotonic() + 30
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.02)


@UNIX
def test_a_process_that_is_killed_is_named():
    with pytest.raises(InputError, match=r"kill_itself of {}: its process was killed.*--without"):
        in_own_process(kill_itself, {})


def test_an_error_of_the_process_is_raised_here():
    with pytest.raises(InputError, match=r"^seven cannot be$"):
        in_own_process(refuse, {"what": "seven"})


@LINUX
def test_every_thread_of_a_process_is_bound():
    here = os.sched_getaffinity(0)
    found = in_own_process(probe, {"n": 300}, [max(here)], 3)
    assert found["threads"] == "3" and all(cores == [max(here)] for cores in found["bound"])


def test_where_nothing_can_be_bound_it_runs_unbound():
    assert in_own_process(os.getpid, {}, []) != os.getpid()
