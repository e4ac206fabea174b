"""Jobs of several processes, started by the mpiexec of MPICH, as `pip install "minifcn[mpi]"` brings it."""

import os
import subprocess
import sys
from pathlib import Path
from shutil import which

import pytest
from small_data import WITH_TINY

pytest.importorskip("mpi4py")
MPIEXEC = which("mpiexec", path=str(Path(sys.executable).parent)) or which("mpiexec")
needs_mpiexec = pytest.mark.skipif(MPIEXEC is None or sys.platform == "win32", reason="no mpiexec")

# The command that is named, with a tiny trunk and without matplotlib. FLOAT64 makes networks and pictures so.
JOB = (
    WITH_TINY
    + """
import os
from functools import partial
import numpy as np
from importlib import import_module
from minifcn import figures, models
from minifcn.datasets import classification, transforms
from minifcn.training import classification as classifying, task

figures.curves = figures.samples = lambda *_: None
if os.environ.get("FLOAT64"):
    def doubled(collate):
        def collated(samples, preprocessing):
            x, labels = collate(samples, preprocessing)
            return x.astype(np.float64), labels
        return collated
    task.Task.collate = staticmethod(doubled(transforms.collate))
    classification.collate = doubled(classification.collate)
    classifying.Classification.collate = staticmethod(classification.collate)
    models.MODELS = {name: partial(network, dtype="f8") for name, network in models.MODELS.items()}
    classifying.VGGClassifier = partial(classifying.VGGClassifier, dtype=np.float64)
loop.SAVE_SECONDS = float(os.environ.get("SAVE_SECONDS", 120))
name, arguments = sys.argv[1], sys.argv[2:]
main = import_module(f"minifcn.{name}").main
command.command_line(lambda: main(arguments))
"""
)
ALL = "--trunk tiny --lr 0.05 --warmup 3 --dropout 0.5 --balance --seed 5".split()


def job(processes, name, *arguments) -> list[str]:
    """The command line of a job of so many processes."""
    return [MPIEXEC, "-n", str(processes), sys.executable, "-c", JOB, name, *map(str, arguments)]


def run(processes, name, *arguments, status=0, **environment) -> subprocess.CompletedProcess:
    known = os.environ | {"MINIFCN_THREADS": "1"} | environment
    line = job(processes, name, *arguments)
    ended = subprocess.run(line, capture_output=True, text=True, timeout=120, env=known)
    assert ended.returncode == status, ended.stdout + ended.stderr
    return ended


def trained(out, processes, data, *more, name="run", **environment):
    run(processes, "train", "--data", data, "--out", out, "--name", name, *ALL, *more, **environment)
    return out / name


def commandline(pid: int) -> bytes:
    """Of a running process, on Linux; of one that is gone nothing that is asked for."""
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return b"mpiexec"
