"""Runs to stop or to kill, and to resume."""

import os
import signal
import subprocess
import sys
import time

import pytest
from small_data import WITH_TINY, make_set

from minifcn import train
from minifcn.optim import SGD
from minifcn.weights import checkpoint

MARKS = [
    pytest.mark.usefixtures("tiny_trunk", "no_drawing"),
    pytest.mark.skipif(sys.platform == "win32", reason="no SIGKILL and no fork"),
]

# All that a resume could get wrong is on: momentum, dropout, augmentation, accumulation, schedule, class weights.
OPTIONS = (
    "--trunk tiny --batch 2 --accumulate 2 --lr 0.05 --warmup 3 --scale-jitter 0.3 --crop 24 32 --balance --seed 5"
)

# Trains in a fork of itself, which the system kills (SIGKILL) at the given event; a fork saves the second that a start
# takes. Events: before an update, a row of the log, each fsync and rename, and the writing of a checkpoint's weights.
KILLER = (
    WITH_TINY
    + """
import json, os, signal
from minifcn import files, figures, optim
from minifcn.training import folder
from minifcn.weights import checkpoint
loop.SAVE_SECONDS = float(sys.argv[1])
start, run, kills = json.loads(sys.argv[2]), sys.argv[3], json.loads(sys.argv[4])

def draw(path, *_):
    with files.atomic_file(path):
        pass

figures.curves = figures.samples = draw

def count_down(owner, name):
    real = getattr(owner, name)
    def counted(*arguments):
        global left
        left -= 1
        if left == 0:
            os.kill(os.getpid(), signal.SIGKILL)
        return real(*arguments)
    setattr(owner, name, counted)

for owner, name in (
    (os, "fsync"), (os, "replace"), (checkpoint, "checksum"), (optim.SGD, "step"), (folder.Log, "writerow")
):
    count_down(owner, name)
for left in [*kills, 0]:
    child = os.fork()
    if child == 0:
        arguments = ["--resume", run] if os.path.exists(run + "/config.json") else start
        try:
            command.command_line(lambda: train.main(arguments))
        except SystemExit as ended:
            sys.stderr.flush()
            os._exit(ended.code)
    status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    print("ended", status, os.path.exists(run + "/fcn16s/last.safetensors"))
    if status != -signal.SIGKILL:
        break
"""
)


def two_sizes(tmp_path_factory):
    return make_set(tmp_path_factory.mktemp("sets") / "shapes", sizes=[(32, 40), (27, 45)])


def arguments(data, out, *more):
    return ["--data", data, "--out", str(out), "--name", "run", *OPTIONS.split(), "--steps", "9", *more]


def train_all(data, out, *more):
    assert train.main(arguments(data, out, *more)) == 0
    return out / "run"


def steps_logged(run):
    return len((run / "log.csv").read_text().splitlines()) - 1


def signal_in_step(monkeypatch, number, at):
    """Send this process a signal in the middle of an update, as Ctrl-C does."""
    real, calls = SGD.step, []

    def step(optimiser):
        real(optimiser)
        calls.append(1)
        if len(calls) == at:
            os.kill(os.getpid(), number)

    monkeypatch.setattr(SGD, "step", step)


def interrupt_from_outside(command, run):
    """Start python -m minifcn.COMMAND, a training too long to end, in a new run; Ctrl-C it once it has saved.

    It must stop in good order; returns what it said on stderr.
    """
    line = [sys.executable, "-m", *f"minifcn.{command} --out {run.parent} --name {run.name} --steps 1000000".split()]
    child = subprocess.Popen(line, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    while not (run / "last.safetensors").exists() and child.poll() is None:
        time.sleep(0.02)
    child.send_signal(signal.SIGINT)
    out, err = child.communicate(timeout=60)
    assert child.returncode == 130, err
    assert "Traceback" not in err and "stopping after this step" in err
    assert out.rstrip().endswith(f"go on with: python -m minifcn.{command.split()[0]} --resume {run}")
    assert checkpoint.load(run / "last.safetensors")[1]["step"] == steps_logged(run)
    return err
