"""What the environment decides: threads by affinity, MINIFCN_THREADS and control groups; MINIFCN_CONV."""

import math
import os
import subprocess
import sys

import pytest
from small_data import make_set

from minifcn.cpu.threads import cgroup_quota, conv_choice


def count(prefix="", **environment):
    environment = {k: v for k, v in os.environ.items() if k != "MINIFCN_THREADS"} | environment
    code = prefix + "from minifcn.cpu import num_threads; print(num_threads())"
    return subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True)


def test_the_environment_decides():
    assert count(MINIFCN_THREADS="3").stdout == "3\n"
    assert count(MINIFCN_THREADS="").stdout == count().stdout
    for wrong in ("0", "-1", "two", "1.5"):
        assert (
            f"InputError: MINIFCN_THREADS: expected a positive number of threads, received {wrong!r}"
            in count(MINIFCN_THREADS=wrong).stderr
        )


@pytest.mark.parametrize("variable, bad", [("MINIFCN_THREADS", "0"), ("MINIFCN_CONV", "fast")])
def test_a_bad_value_is_reported_before_anything_is_written(variable, bad, tmp_path):
    command = [sys.executable, "-m", "minifcn.train", "--data", make_set(tmp_path / "set"), "--out", tmp_path / "runs"]
    done = subprocess.run(command, env=os.environ | {variable: bad}, capture_output=True, text=True)
    assert done.returncode == 2 and done.stderr.startswith(f"error: {variable}: expected")
    assert len(done.stderr.splitlines()) == 1 and repr(bad) in done.stderr
    assert not (tmp_path / "runs").exists()


def test_the_choice_of_convolution_is_read_once(set_conv, monkeypatch):
    set_conv("im2col")
    assert conv_choice() == "im2col"
    monkeypatch.setenv("MINIFCN_CONV", "winograd")
    assert conv_choice() == "im2col"


@pytest.mark.skipif(not hasattr(os, "sched_getaffinity"), reason="this system has no affinity")
def test_affinity_is_respected():
    one = min(os.sched_getaffinity(0))
    prefix = f"import os; os.sched_setaffinity(0, [{one}]); "
    assert count(prefix).stdout == "1\n"


def tree(root, files):
    for name, text in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return cgroup_quota(root)


@pytest.mark.parametrize(
    "files, quota",
    [
        ({}, math.inf),
        ({"proc/self/cgroup": "0::/\n", "sys/fs/cgroup/cpu.max": "max 100000\n"}, math.inf),
        ({"proc/self/cgroup": "0::/\n", "sys/fs/cgroup/cpu.max": "150000 100000\n"}, 1.5),
        ({"proc/self/cgroup": "0::/a/b\n", "sys/fs/cgroup/a/cpu.max": "50000 100000\n"}, 0.5),
        (
            {
                "proc/self/cgroup": "0::/a/b\n",
                "sys/fs/cgroup/a/cpu.max": "100000 100000\n",
                "sys/fs/cgroup/a/b/cpu.max": "300000 100000\n",
            },
            1,
        ),
        (
            {
                "proc/self/cgroup": "0::/a/b\n",
                "sys/fs/cgroup/a/cpu.max": "400000 100000\n",
                "sys/fs/cgroup/a/b/cpu.max": "200000 100000\n",
            },
            2,
        ),
        (
            {
                "proc/self/cgroup": "5:pids:/x\n4:cpu,cpuacct:/x\n",
                "sys/fs/cgroup/cpu/x/cpu.cfs_quota_us": "300000\n",
                "sys/fs/cgroup/cpu/x/cpu.cfs_period_us": "100000\n",
                "sys/fs/cgroup/cpu/cpu.cfs_quota_us": "-1\n",
                "sys/fs/cgroup/cpu/cpu.cfs_period_us": "100000\n",
            },
            3,
        ),
        ({"proc/self/cgroup": "0::/\n", "sys/fs/cgroup/cpu.max": "nonsense\n"}, math.inf),
        ({"proc/self/cgroup": "1:name=systemd:/\n", "sys/fs/cgroup/cpu.max": "100000 100000\n"}, math.inf),
    ],
)
def test_control_groups(tmp_path, files, quota):
    assert tree(tmp_path, files) == quota
