"""What all commands do alike: they finish their work after the reader of their output has left."""

import json
import os
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
from PIL import Image
from small_data import WITH_TINY, draw, make_set

from minifcn.files import LOCK

TRAIN = f"{WITH_TINY}command.command_line(train.main)"
SMALL = "import sys; from minifcn.command import command_line; command_line(lambda: {work})"


def without_reader(*arguments, closed=("stdout",)):
    """Run Python in a child whose stdout, or stderr too, is a pipe that nobody reads any more."""
    reading, writing = os.pipe()
    os.close(reading)
    streams = {name: writing if name in closed else subprocess.PIPE for name in ("stdout", "stderr")}
    child = subprocess.run([sys.executable, *map(str, arguments)], text=True, timeout=120, **streams)
    os.close(writing)
    return child


@pytest.mark.parametrize("closed", [["stdout"], ["stdout", "stderr"]])
@pytest.mark.parametrize("work, status", [("print('a' * 100000)", 0), ("print(1) or 1", 1), ("[][0:print(1)] or 3", 3)])
def test_nobody_reads(work, status, closed):
    child = without_reader("-c", SMALL.format(work=work), closed=closed)
    assert child.returncode == status and not child.stderr


def test_an_error_keeps_its_status_and_line():
    code = SMALL.format(work="print(1) or open('nowhere')")
    child = without_reader("-c", code)
    assert child.returncode == 2 and child.stderr.startswith("error: nowhere: ") and child.stderr.count("\n") == 1
    assert without_reader("-c", code, closed=["stdout", "stderr"]).returncode == 2


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="no device that is always full")
def test_a_full_disk_is_still_told():
    with open("/dev/full", "w") as full:
        command = [sys.executable, "-c", SMALL.format(work="print(1)")]
        child = subprocess.run(command, stdout=full, stderr=subprocess.PIPE, text=True, timeout=60)
    assert child.returncode != 0 and "No space left" in child.stderr


def test_every_line_is_there_at_once_and_as_it_was():
    """Also letters that the stream's encoding lacks, and what stood in the stream before."""
    code = SMALL.format(work="print('\\u6c34') or sys.stdout.buffer.raw.write(b'!')")
    environment = os.environ | {"PYTHONIOENCODING": "ascii"}
    child = subprocess.run(
        [sys.executable, "-c", f"print('first', end=' '); {code}"], capture_output=True, env=environment, timeout=60
    )
    assert child.stdout.replace(b"\r", b"") == b"first \\u6c34\n!"


def test_predict_goes_on(tmp_path):
    for i in range(3):
        Image.fromarray(draw(i, 40, 60)[0]).save(tmp_path / f"{i}.png")
    child = without_reader(
        "-m", "minifcn.predict", "--model", "camvid", tmp_path, "--side", "60", "--out", tmp_path / "out"
    )
    assert child.returncode == 0 and child.stderr == ""
    assert {path.name for path in (tmp_path / "out").iterdir()} >= {"0.png", "1.png", "2.png", "2_overlay.png"}
    with Image.open(tmp_path / "out" / "2.png") as mask:
        assert np.array(mask).shape == (40, 60)


@pytest.mark.parametrize("closed", [["stdout"], ["stdout", "stderr"]])
def test_train_goes_on(closed, tmp_path):
    data = make_set(tmp_path / "shapes", [("train", 4), ("val", 2), ("test", 2)])
    options = "--name run --model fcn32s --trunk tiny --batch 2 --steps 2 --init scratch"
    child = without_reader("-c", TRAIN, "--data", data, "--out", tmp_path, *options.split(), closed=closed)
    assert child.returncode == 0, child.stderr
    assert (tmp_path / "run" / "metrics.json").exists() and (tmp_path / "run" / "samples.png").exists()


@pytest.mark.skipif(os.name != "posix", reason="no shell")
@pytest.mark.parametrize("interrupted", [False, True])
def test_a_run_whose_lines_go_to_head_is_complete(interrupted, tmp_path):
    """Also where Ctrl-C ends both of them, and --resume goes on."""
    data = make_set(tmp_path / "shapes", [("train", 4), ("val", 2), ("test", 2)])
    options = f"--name run --model fcn32s --batch 2 --steps {60 if interrupted else 2} --val-every 0"
    command = f"{sys.executable} -m minifcn.train --data {data} --out {tmp_path} {options} | head -1"
    shell = subprocess.Popen(["bash", "-c", command], stderr=subprocess.DEVNULL, start_new_session=True)
    if interrupted:
        while not (tmp_path / "run" / "last.safetensors").exists() and shell.poll() is None:
            time.sleep(0.02)
        os.killpg(shell.pid, signal.SIGINT)
    shell.wait(timeout=100)
    while (tmp_path / "run" / LOCK).exists():  # bash does not wait for it
        time.sleep(0.02)
    if interrupted:
        assert not (tmp_path / "run" / "metrics.json").exists()
        again = [sys.executable, "-m", "minifcn.train", "--resume", tmp_path / "run"]
        assert subprocess.run(again, capture_output=True, timeout=100).returncode == 0
    assert json.loads((tmp_path / "run" / "metrics.json").read_text())["steps"] == (60 if interrupted else 2)
