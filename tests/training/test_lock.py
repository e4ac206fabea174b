"""One process at a time works in the folder of a run; a dead one never stands in the way."""

import os
import re
import signal
import subprocess
import sys
import time
from contextlib import ExitStack

import pytest
from small_data import assert_one_error_line, assert_same_run, fails, make_pictures, make_set

from minifcn import files, train
from minifcn.errors import InputError
from minifcn.files import LOCK, alone_in
from minifcn.training import segmentation

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="no SIGKILL")

COMMANDS = {
    "train": ("--model fcn32s --steps 12 --batch 2", make_set),
    "pretrain": ("--trunk vgg_quarter --size 40 --crop 36 --batch 2 --steps 12", make_pictures),
}


@pytest.fixture
def start():
    """Starts a command; whatever the test comes to, its process and pipes are gone after it."""
    with ExitStack() as ends:

        def started(command, *options):
            alone = () if "--resume" in options else ("--processes", "1")  # it is the one that holds the lock
            arguments = [sys.executable, "-m", f"minifcn.{command}", *map(str, options), *alone]
            pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
            process = ends.enter_context(subprocess.Popen(arguments, **pipes, text=True))
            ends.callback(process.kill)
            return process

        yield started


def wait_for_holder(path, process):
    """Until the lock says who holds it: a moment after the file is there."""
    deadline = time.monotonic() + 100
    while not (path.exists() and path.stat().st_size) and process.poll() is None and time.monotonic() < deadline:
        time.sleep(0.01)
    assert path.exists(), process.communicate()


@pytest.mark.parametrize("command", COMMANDS)
def test_a_second_resume_is_refused_and_a_killed_one_is_not_in_the_way(command, start, tmp_path):
    options, make = COMMANDS[command]
    data, run = make(tmp_path / "data"), tmp_path / "run"
    given = ["--data", data, "--out", tmp_path, *options.split()]
    whole = start(command, *given, "--name", "whole")
    first = start(command, *given, "--name", "run")
    wait_for_holder(run / LOCK, first)
    first.send_signal(signal.SIGSTOP)  # at any moment of its work
    second = start(command, "--resume", run)
    said = second.communicate(timeout=100)
    holder = (
        rf"{re.escape(str(run))}: process {first.pid} on \S+, since [-\d]+ [:\d]+: .*minifcn.{command} .*--name run "
    )
    assert second.returncode == 2 and re.search(holder, assert_one_error_line(said[1])), said
    first.kill()
    first.communicate()
    assert (run / LOCK).exists(), "the dead one's"
    third = start(command, "--resume", run)
    said = third.communicate(timeout=100)
    assert third.returncode == 0 and not (run / LOCK).exists(), said
    assert LOCK not in said[0].split("wrote ")[1]
    said = whole.communicate(timeout=100)
    assert whole.returncode == 0, said
    if command == "train":
        assert_same_run(run, tmp_path / "whole")


def test_a_network_of_a_chain_is_held_too(tmp_path, capsys, tiny_trunk, no_drawing):
    data = make_set(tmp_path / "data")
    options = ["--data", data, "--out", str(tmp_path), "--name", "run", "--trunk", "tiny", "--steps", "3"]
    assert train.main(options) == 0
    (tmp_path / "run" / "fcn16s" / "metrics.json").unlink()
    before = {path: path.read_bytes() for path in (tmp_path / "run").rglob("*.*")}
    with alone_in(tmp_path / "run" / "fcn16s"):
        for folder in (tmp_path / "run", tmp_path / "run" / "fcn16s"):
            assert f"fcn16s: process {os.getpid()} on " in fails(capsys, train.main, "--resume", folder)
    assert {path: path.read_bytes() for path in (tmp_path / "run").rglob("*.*")} == before


def test_the_lock_of_who_left_is_no_lock(tmp_path, monkeypatch):
    """It is deleted between the opening and the locking of it, and another one is made: twice."""
    real, left = files._lock, [1, 2]

    def lock(file, wait):
        if left:
            os.unlink(tmp_path / LOCK)
            if left.pop() == 2:
                (tmp_path / LOCK).write_text("another's")
        return real(file, wait)

    monkeypatch.setattr(files, "_lock", lock)
    with alone_in(tmp_path), pytest.raises(InputError, match=f"process {os.getpid()} on "), alone_in(tmp_path):
        pytest.fail("two in one folder")
    assert not left and not (tmp_path / LOCK).exists()


@pytest.mark.skipif(os.name != "posix", reason="no flock")
def test_where_there_can_be_no_lock_a_note_says_so(tmp_path, monkeypatch, capsys):
    def refuse(*_):
        raise OSError(37, "No locks available")

    monkeypatch.setattr("fcntl.flock", refuse)
    with alone_in(tmp_path):
        pass
    assert capsys.readouterr().err.startswith(f"note: {tmp_path / LOCK}: no lock (No locks available)")


def test_a_folder_that_takes_no_lock_is_told(tmp_path):
    (tmp_path / LOCK).mkdir()  # which cannot be opened for writing, even by root
    with pytest.raises(OSError) as refused, alone_in(tmp_path):
        pytest.fail("worked in it")
    assert refused.value.filename == str(tmp_path / LOCK)


def test_a_lock_file_with_anything_in_it(tmp_path):
    """What an older one or a stranger left there is no lock; what it says is told in one short line."""
    (tmp_path / LOCK).write_bytes(b"\xff\n\x1b[2J" * 1000)
    with alone_in(tmp_path):
        (tmp_path / LOCK).write_bytes(b"\xff\n\x1b[2J" * 1000)
        with pytest.raises(InputError) as refused, alone_in(tmp_path):
            pass
    assert "\n" not in str(refused.value) and len(str(refused.value)) < 600


def test_a_chain_opens_its_data_once(tmp_path, monkeypatch, tiny_trunk, no_drawing):
    """So that no picture is surveyed twice."""
    data, opened = make_set(tmp_path / "data"), []
    real = segmentation.open_dataset
    monkeypatch.setattr(segmentation, "open_dataset", lambda *given: opened.append(given) or real(*given))
    options = ["--data", data, "--out", str(tmp_path), "--name", "run", "--trunk", "tiny", "--steps", "2"]
    assert train.main(options) == 0
    assert [split for _, split in opened] == ["train", "val", "test"]
