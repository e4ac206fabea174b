"""Values and places that cannot be, and what ends a command: one clear line, nothing lost, status 2 (of Ctrl-C 130)."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from commands import evaluate, predict
from small_data import WITH_TINY, assert_one_error_line, assert_same_run, exit_status, fails
from spoiling import bytes_below, training

from minifcn import check_gradients, command, files, train
from minifcn.training import evaluation, loop

pytestmark = pytest.mark.usefixtures("tiny_trunk", "no_drawing")


# --- where to write ---


def test_output_below_a_file(data, finished, tmp_path, capsys):
    (tmp_path / "file").write_text("keep me")
    below, picture = tmp_path / "file" / "out", Path(data) / "images" / "test00.png"
    assert f"{below}" in fails(capsys, train.main, *training(data, below))
    assert f"{below}" in fails(capsys, predict.main, finished / "best.safetensors", picture, "--out", below)
    line = fails(capsys, predict.main, finished / "best.safetensors", picture, "--out", tmp_path / "file")
    assert str(tmp_path / "file") in line
    line = fails(capsys, evaluate.main, finished / "best.safetensors", "--data", data, "--out", below / "scores.json")
    assert str(below) in line
    assert (tmp_path / "file").read_text() == "keep me"


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no named pipes")
def test_scores_replace_nothing_but_files_and_this_is_told_first(data, finished, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(evaluate, "evaluate", None)  # never called
    os.mkfifo(tmp_path / "pipe")
    for where, told in (
        (tmp_path / "pipe", "not a regular file"),
        (tmp_path, "not a regular file"),
        (tmp_path / "no" / "scores.json", "No such file or directory"),
    ):
        line = fails(capsys, evaluate.main, finished / "best.safetensors", "--data", data, "--out", where)
        assert line.startswith(f"error: {where if told[0] == 'n' else where.parent}")
        assert line.endswith(f": {told}; check this path, or choose another")
    with pytest.raises(OSError, match="not a regular file"), files.atomic_file(tmp_path / "pipe"):
        pass
    assert (tmp_path / "pipe").is_fifo()


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="permissions do not bind this user")
def test_read_only_folders(data, run, tmp_path, capsys):
    locked = tmp_path / "locked"
    locked.mkdir()
    before = bytes_below(run)
    for folder in (locked, run):
        folder.chmod(0o555)
    try:
        assert f"{locked / 'run'}: Permission denied; check this path" in fails(
            capsys, train.main, *training(data, locked)
        )
        assert f"{run / 'log.csv'}: " in fails(capsys, train.main, "--resume", run)
    finally:
        for folder in (locked, run):
            folder.chmod(0o755)
    assert bytes_below(run) == before


def test_a_folder_that_refuses_every_write(run, capsys, monkeypatch):
    """As a read-only file system does, also to root."""
    before, real = bytes_below(run), open

    def refuse(path, mode="r", *arguments, **options):
        if str(path).startswith(str(run)) and mode[0] in "wa":
            raise OSError(30, "Read-only file system", str(path))
        return real(path, mode, *arguments, **options)

    monkeypatch.setattr("builtins.open", refuse)
    line = fails(capsys, train.main, "--resume", run)
    monkeypatch.undo()
    assert str(run) in line and "Read-only file system" in line
    assert bytes_below(run) == before


FILE_SIZE_LIMIT = (
    WITH_TINY
    + """
import resource
limit = int(sys.argv.pop(1))
resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
command.command_line(train.main)
"""
)


@pytest.mark.skipif(sys.platform == "win32", reason="no file-size limits")
@pytest.mark.parametrize("hit", ["last.safetensors", "log.csv"])
def test_a_file_size_limit_while_saving(hit, run, tmp_path):
    """The save fails, the checkpoint stays, and with the limit gone the run goes on to the end it would have had."""
    whole = Path(shutil.copytree(run, tmp_path / "whole"))
    before = {path: path.read_bytes() for path in (run / "last.safetensors", run / "best.safetensors")}
    limit = len(before[run / hit]) - 10 if hit in before else os.path.getsize(run / hit) + 20
    command = [sys.executable, "-c", FILE_SIZE_LIMIT, str(limit), "--resume", str(run)]
    child = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert child.returncode == 2, child.stderr
    line = assert_one_error_line(child.stderr)
    assert "File too large" in line and str(run / hit) in line.replace("best.safetensors", "last.safetensors")
    assert before == {path: path.read_bytes() for path in before}
    assert not [path for path in run.iterdir() if path.suffix == ".tmp"]
    assert train.main(["--resume", str(run)]) == 0
    assert train.main(["--resume", str(whole)]) == 0
    assert_same_run(run, whole)


# --- values on the command line ---


@pytest.mark.parametrize(
    "options, named",
    [
        ("--batch 0", "--batch"),
        ("--batch -3", "-3"),
        ("--accumulate 0", "--accumulate"),
        ("--steps 0", "--steps"),
        ("--epochs -1", "--epochs"),
        ("--epochs nan", "--epochs"),
        ("--steps 1 --epochs 5", "--steps 1 and --epochs 5: leave one of them out"),
        ("--warmup -1", "--warmup"),
        ("--clip -5", "--clip"),
        ("--clip nan", "--clip"),
        ("--val-every -1", "--val-every"),
        ("--seed -1", "--seed"),
        ("--weight-decay -1", "--weight-decay"),
        ("--weight-decay inf", "--weight-decay"),
        ("--momentum 1", "--momentum"),
        ("--momentum nan", "--momentum"),
        ("--scale-jitter 1", "--scale-jitter"),
        ("--lr -1", "--lr"),
        ("--lr nan", "--lr"),
        ("--lr inf", "--lr"),
        ("--crop 0 8", "--crop"),
        ("--crop 8 -8", "--crop"),
        ("--skip-scale nan 1", "--skip-scale"),
        ("--skip-scale 1 2e6", "--skip-scale"),
        ("--seed 9007199254740993", "--seed: expected 0 to 2^53"),
        ("--side 16385", "--side"),
        ("--model fcn32s fcn32s", "each network once"),
        ("--low-memory --accumulate 2", "--low-memory and --accumulate 2"),
        ("--low-memory --clip 5", "--low-memory and --clip 5"),
        ("--batch 3 --accumulate 2", "more than the 4 training pictures"),
    ],
)
def test_values_out_of_range(options, named, data, tmp_path, capsys):
    line = fails(capsys, train.main, *training(data, tmp_path / "runs"), *options.split())
    assert named in line
    assert not (tmp_path / "runs").exists()  # nothing is written before all is checked


def test_a_seed_out_of_range_in_check_gradients(capsys):
    assert fails(capsys, check_gradients.main, "--seed", "-1") == "error: --seed: expected 0 to 2^53, received -1"


def test_a_missing_start_leaves_no_folder_behind(data, tmp_path, capsys):
    fails(capsys, train.main, *training(data, tmp_path / "runs"), "--init", tmp_path / "nowhere.safetensors")
    assert not (tmp_path / "runs").exists()


# --- as users run it ---


@pytest.mark.parametrize(
    "command",
    [
        "minifcn.train --data nowhere",
        "minifcn.train --resume nowhere",
        "minifcn.evaluate nowhere.safetensors",
        "minifcn.predict nowhere.safetensors picture.png",
        "minifcn.predict --model camvid nowhere.safetensors picture.png",
    ],
)
def test_real_processes(command, tmp_path):
    child = subprocess.run(
        [sys.executable, "-m", *command.split()], capture_output=True, text=True, cwd=tmp_path, timeout=60
    )
    assert child.returncode == 2
    assert child.stderr.startswith("error: nowhere") and child.stderr.count("\n") == 1
    assert child.stdout == "" and list(tmp_path.iterdir()) == []


def test_running_out_of_memory_is_told(data, tmp_path, capsys, monkeypatch):
    def exhausted(*_):
        raise MemoryError("Unable to allocate 20 GiB")

    monkeypatch.setattr(loop.Run, "train_step", exhausted)
    line = fails(capsys, train.main, *training(data, tmp_path))
    assert line.startswith("error: out of memory (Unable to allocate 20 GiB)") and "--batch" in line
    assert command.describe(MemoryError()).startswith("out of memory: ")


def test_interrupting_evaluate_and_predict_is_no_traceback(finished, data, capsys, monkeypatch):
    def interrupted(*_):
        raise KeyboardInterrupt

    picture = Path(data) / "images" / "test00.png"
    for module, work, arguments in ((evaluate, "classify", ["--data", data]), (predict, "classify", [str(picture)])):
        with monkeypatch.context() as patch:
            patch.setattr(evaluation, work, interrupted)
            assert exit_status(module.main, finished / "best.safetensors", *arguments) == 130
        assert "Traceback" not in capsys.readouterr().err
