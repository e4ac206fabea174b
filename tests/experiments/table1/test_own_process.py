"""A measurement in a process of its own."""

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest


def test_a_measurement_ends_with_the_process_that_wanted_it(tmp_path):
    """kill -9: it must not go on and slow down the next one."""
    pytest.importorskip("resource", reason="kill -9 is of Unix")
    code = "import os, sys; from experiments.table1.own_process import in_own_process; "
    code += "in_own_process('waiting', {'path': sys.argv[1]})"
    (tmp_path / "waiting.py").write_text(
        "import os, time\ndef run(path):\n    open(path, 'w').write(str(os.getpid()))\n    time.sleep(60)\n"
    )
    environment = os.environ | {"PYTHONPATH": str(tmp_path)}
    parent = subprocess.Popen([sys.executable, "-c", code, str(tmp_path / "pid")], env=environment)
    wait_until(lambda: (tmp_path / "pid").exists() and (tmp_path / "pid").read_text())
    child = int((tmp_path / "pid").read_text())
    parent.kill()
    parent.wait()
    wait_until(lambda: not alive(child))


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
