"""Runs to stop or to kill, and to resume."""

import os

from small_data import WITH_TINY

from minifcn import train
from minifcn.optim import SGD

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
