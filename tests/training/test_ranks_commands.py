"""predict over several processes, and the command that starts them by itself: kills, signals, what is done already."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from shutil import copytree

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
    pictures = tmp_path / "pictures"
    copytree(Path(data) / "images", pictures)
    run(1, "predict", network, pictures, "--out", tmp_path / "alone")
    shared = run(3, "predict", network, pictures, "--out", tmp_path / "shared")
    assert shared.stderr.count("18 of 18 pictures, ") == shared.stderr.count(" a second; 0 were done before") == 1
    assert masks(tmp_path / "shared") == masks(tmp_path / "alone")
    (tmp_path / "shared" / "train03.png").unlink()
    (tmp_path / "shared" / "val00_overlay.png").unlink()
    again = run(2, "predict", network, pictures, "--out", tmp_path / "shared")
    assert "2 of 18 pictures, " in again.stderr and "16 were done before" in again.stderr
    assert masks(tmp_path / "shared") == masks(tmp_path / "alone")
    (pictures / "train05.png").write_bytes((pictures / "train04.png").read_bytes())
    again = run(1, "predict", network, pictures, "--out", tmp_path / "shared")
    assert "1 of 18 pictures, " in again.stderr
    again = run(2, "predict", network, pictures, "--out", tmp_path / "shared", "--side", "20")  # seen otherwise
    assert "18 of 18 pictures, " in again.stderr


def test_another_picture_of_that_name_is_not_done(network, data, tmp_path):
    """Older than the masks, as after cp -p, mv or unzip."""
    first, second = sorted((Path(data) / "images").glob("train0*.png"))[:2]
    for at, source in (("a", first), ("b", second)):
        (tmp_path / at).mkdir()
        (tmp_path / at / "one.png").write_bytes(source.read_bytes())
        os.utime(tmp_path / at / "one.png", (1e9, 1e9))
    found = []
    for at in "aba":
        run(1, "predict", network, tmp_path / at / "one.png", "--out", tmp_path / "out")
        found.append((tmp_path / "out" / "one.png").read_bytes())
    assert found[0] == found[2] != found[1]


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


START = """
import sys
from minifcn import command, ranks, train
failing = sys.argv.pop(1)
ranks.mpiexec = lambda: failing
command.command_line(train.main)
"""


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
        assert text.splitlines()[-1].startswith(line) and "BAD TERMINATION" not in text


@pytest.mark.skipif(sys.platform != "linux", reason="/proc")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_asked_to_stop_they_save(number, data, tmp_path):
    process = launched(data, tmp_path, "--steps", "100000", "--processes", "2", start_new_session=True)
    wait_for((tmp_path / "run" / "last.safetensors").exists)  # both are at work
    os.killpg(process.pid, number)  # as a terminal does
    text = said(process)
    assert process.returncode == 130 and "go on with: python -m minifcn.train --resume" in text
    assert (tmp_path / "run" / "last.safetensors").exists()


@pytest.mark.parametrize("options", ["--low-memory", "--recipe reference"])
def test_what_cannot_be_shared_out_takes_one_process(options, data, tmp_path):
    text = said(launched(data, tmp_path, "--steps", "1", *options.split()))
    assert "fcn32s: test Jaccard" in text and "processes" not in text, text


@pytest.mark.parametrize("options", ["--processes 3", "--processes 99999", "--processes 2 --low-memory"])
def test_more_processes_than_shares_are_refused_before_they_start(options, data, tmp_path):
    text = said(launched(data, tmp_path, "--steps", "1", *options.split()))
    assert text.count("can be shared out to") == 1 and text.startswith("error: ") and not (tmp_path / "run").exists()


def test_mpiexec_of_another_mpi(data, tmp_path):
    """It says that there are two processes, and mpi4py's MPI finds one."""
    process = launched(data, tmp_path, "--steps", "1", env=os.environ | {"OMPI_COMM_WORLD_SIZE": "2"})
    assert "each process would work alone" in said(process) and process.returncode == 2


def test_an_mpiexec_that_fails_is_named(data, tmp_path):
    failing = tmp_path / "bin" / "mpiexec"
    failing.parent.mkdir()
    failing.write_text("#!/bin/sh\nexit 213\n")
    failing.chmod(0o755)
    line = [sys.executable, "-c", START, str(failing), "--data", str(data), "--out", str(tmp_path), "--processes", "2"]
    done = subprocess.run(line, capture_output=True, text=True, timeout=120)
    assert done.returncode == 2 and str(failing) in done.stderr.splitlines()[-1] and "--processes 1" in done.stderr


@pytest.mark.skipif(sys.platform == "win32", reason="a shell")
def test_what_started_it_keeps_its_input(data, tmp_path):
    """A loop of a shell, which reads names, goes on with the second one."""
    command = (
        f"{sys.executable} -m minifcn.train --data {data} --out {tmp_path} --model fcn32s --init scratch --steps 1"
    )
    loop = f"printf 'a\\nb\\n' | while read name; do {command} --val-every 0 --processes 2 --name $name; done"
    subprocess.run(["bash", "-c", loop], capture_output=True, timeout=240, check=True)
    assert (tmp_path / "a" / "metrics.json").exists() and (tmp_path / "b" / "metrics.json").exists()
