"""predict over several processes, and the command that starts them by itself: kills, signals, what is done already."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from mpi_job import commandline, needs_mpiexec, run, trained
from small_data import make_set

pytestmark = needs_mpiexec


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    return make_set(tmp_path_factory.mktemp("sets") / "shapes", sizes=[(32, 40), (27, 45), (40, 30)])


# --- predict ---


@pytest.fixture(scope="module")
def network(data, tmp_path_factory):
    return (
        trained(tmp_path_factory.mktemp("networks"), 1, data, "--model", "fcn32s", "--steps", "2") / "last.safetensors"
    )


def masks(folder):
    return {path.relative_to(folder): path.read_bytes() for path in sorted(folder.rglob("*.png"))}


def test_predict_shares_out_a_folder_and_skips_what_is_done(network, data, tmp_path):
    pictures = Path(data) / "images"
    run(1, "predict", network, pictures, "--out", tmp_path / "alone")
    shared = run(3, "predict", network, pictures, "--out", tmp_path / "shared")
    assert shared.stderr.count("18 of 18 pictures, ") == shared.stderr.count(" a second; 0 were done before") == 1
    assert masks(tmp_path / "shared") == masks(tmp_path / "alone")
    (tmp_path / "shared" / "train03.png").unlink()
    (tmp_path / "shared" / "val00_overlay.png").unlink()
    again = run(2, "predict", network, pictures, "--out", tmp_path / "shared")
    assert "2 of 18 pictures, " in again.stderr and "16 were done before" in again.stderr
    assert masks(tmp_path / "shared") == masks(tmp_path / "alone")
    newer = max(path.stat().st_mtime for path in (tmp_path / "shared").iterdir()) + 10
    os.utime(pictures / "train05.png", (newer, newer))
    again = run(1, "predict", network, pictures, "--out", tmp_path / "shared")
    assert "1 of 18 pictures, " in again.stderr
    again = run(2, "predict", network, pictures, "--out", tmp_path / "shared", "--side", "20")  # seen otherwise
    assert "18 of 18 pictures, " in again.stderr


def test_a_bad_picture_does_not_stop_the_others(network, data, tmp_path):
    pictures = tmp_path / "pictures"
    pictures.mkdir()
    for path in sorted((Path(data) / "images").glob("train0*.png")):
        (pictures / path.name).write_bytes(path.read_bytes())
    (pictures / "train04.png").write_bytes(b"no picture")
    told = run(3, "predict", network, pictures, "--out", tmp_path / "out", status=1)
    assert told.stderr.count("train04.png") == 1 and "9 of 10 pictures, " in told.stderr
    assert len(masks(tmp_path / "out")) == 18


def test_a_page_needs_one_process(network, data, tmp_path):
    told = run(2, "predict", network, Path(data) / "images", "--out", tmp_path, "--page", status=2)
    assert told.stderr.count("error: --page, --also: expected one process") == 1


# --- what starts them ---


def launched(data, out, *more, **how):
    """The command as users give it, which starts its ranks; the shipped width, as a child knows no tiny trunk."""
    line = [sys.executable, "-m", "minifcn.train", "--data", data, "--out", str(out), "--name", "run"]
    line += ["--model", "fcn32s", "--init", "scratch", "--val-every", "0", *more]
    return subprocess.Popen(line, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, **how)


def said(process) -> str:
    try:
        return process.communicate(timeout=120)[0]
    finally:
        process.kill()


def ranks_of(name: str) -> list[int]:
    """The processes of a job that were started by mpiexec."""
    pids = [int(path.name) for path in Path("/proc").iterdir() if path.name.isdecimal()]
    return [pid for pid in pids if name.encode() in commandline(pid) and b"mpiexec" not in commandline(pid)]


def wait_for(condition, seconds=60):
    begun = time.monotonic()
    while not condition():
        assert time.monotonic() - begun < seconds
        time.sleep(0.05)


def test_the_command_starts_its_ranks_and_resumes_with_as_many(data, tmp_path):
    text = said(launched(data, tmp_path, "--steps", "3", "--processes", "2"))
    assert " in each of 2 processes (" in text and "fcn32s: test Jaccard" in text
    config = json.loads((tmp_path / "run" / "config.json").read_text())
    assert config["stages"][0]["processes"] == 2
    (tmp_path / "run" / "metrics.json").unlink()
    line = [sys.executable, "-m", "minifcn.train", "--resume", str(tmp_path / "run")]
    again = subprocess.run(line, capture_output=True, text=True, timeout=120)
    assert " in each of 2 processes (" in again.stdout and "NOTE" not in again.stdout, again.stdout + again.stderr


@pytest.mark.skipif(sys.platform != "linux", reason="/proc")
@pytest.mark.parametrize("who", ["a rank", "the command"])
def test_a_kill_ends_all_of_them(who, data, tmp_path):
    process = launched(data, tmp_path, "--steps", "100000", "--processes", "2")
    wait_for((tmp_path / "run" / "log.csv").exists)
    ours = [pid for pid in ranks_of(str(tmp_path)) if pid != process.pid]
    assert len(ours) == 2
    os.kill(ours[1] if who == "a rank" else process.pid, signal.SIGKILL)
    text = said(process)
    wait_for(lambda: not [pid for pid in ranks_of(str(tmp_path)) if pid != process.pid], 10)
    if who == "a rank":
        assert process.returncode == 2
        line = "error: a process of the job was killed, and so it ended; go on with --resume"
        assert text.rstrip().endswith(line) and "BAD TERMINATION" not in text


@pytest.mark.skipif(sys.platform != "linux", reason="/proc")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_asked_to_stop_they_save(number, data, tmp_path):
    process = launched(data, tmp_path, "--steps", "100000", "--processes", "2", start_new_session=True)
    wait_for((tmp_path / "run" / "last.safetensors").exists)  # both are at work
    os.killpg(process.pid, number)  # as a terminal does
    text = said(process)
    assert process.returncode == 130 and "go on with: python -m minifcn.train --resume" in text
    assert (tmp_path / "run" / "last.safetensors").exists()
