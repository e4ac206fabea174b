"""Several processes make the steps of one: the same losses, weights and scores; kills, resumes and errors among them.

Every job here is started by the mpiexec of MPICH, as `pip install "minifcn[mpi]"` brings it.
"""

import json
import os
import random
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest
from mpi_job import ALL, JOB, MPIEXEC, commandline, job, needs_mpiexec, run, trained
from small_data import assert_same_tensors, make_pictures, make_set, read_rows

from minifcn.weights import checkpoint

pytestmark = needs_mpiexec


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    """Pictures of three sizes, so that shares must be padded alike."""
    return make_set(tmp_path_factory.mktemp("sets") / "shapes", sizes=[(32, 40), (27, 45), (40, 30)])


@pytest.mark.parametrize(
    "options",
    [
        "--model fcn8s --batch 4 --steps 10".split(),
        "--model fcn16s --batch 5 --accumulate 2 --steps 6 --clip 0.5".split(),
        "--model fcn32s --batch 4 --steps 6 --reduction sum --lr 1e-5 --scale-jitter 0.3".split(),
    ],
    ids=["mean", "accumulated, clipped, shares of different sizes", "sum, jitter"],
)
def test_one_two_and_four_processes_make_the_same_steps(options, data, tmp_path):
    """Losses to 1e-5 in float32; weights to 1e-12 in float64: what is left is the order of sums."""
    runs = {n: trained(tmp_path, n, data, *options, name=f"float32 {n}") for n in (1, 2, 4)}
    exact = {n: trained(tmp_path, n, data, *options, name=f"float64 {n}", FLOAT64="1") for n in (1, 2, 4)}
    losses = {n: [float(row["loss"]) for row in read_rows(folder / "log.csv")] for n, folder in runs.items()}
    weights = {n: checkpoint.load(folder / "last.safetensors")[0] for n, folder in exact.items()}
    assert len(set(losses[1])) == len(losses[1])  # it learns
    for n in (2, 4):
        np.testing.assert_allclose(losses[n], losses[1], rtol=1e-5)
        for name, x in weights[1].items():
            assert x.dtype == np.float64
            np.testing.assert_allclose(weights[n][name], x, rtol=1e-12, atol=1e-12 * abs(x).max(), err_msg=name)
    scores = {n: json.loads((folder / "metrics.json").read_text())["test"] for n, folder in exact.items()}
    assert scores[1]["confusion"] == scores[2]["confusion"] == scores[4]["confusion"]


def test_pretraining_normalises_over_the_whole_batch(tmp_path):
    pictures = make_pictures(tmp_path / "pictures")
    options = ["--data", pictures, *"--trunk tiny --batch 6 --size 34 --crop 32 --steps 8".split()]
    found = {}
    for n in (1, 2, 3):
        run(n, "pretrain", *options, "--out", tmp_path, "--name", f"run{n}", FLOAT64="1")
        found[n] = checkpoint.load(tmp_path / f"run{n}" / "last.safetensors")
    for n in (2, 3):
        for name, x in found[1][0].items():
            np.testing.assert_allclose(found[n][0][name], x, rtol=1e-11, atol=1e-11 * abs(x).max(), err_msg=name)
        scores = [[row["top1"], row["top5"]] for row in found[n][1]["validations"]]
        assert scores == [[row["top1"], row["top5"]] for row in found[1][1]["validations"]]


def test_evaluate_shares_out_pictures(data, tmp_path):
    folder = trained(tmp_path, 2, data, "--model", "fcn32s", "--steps", "4")
    found = {}
    for n in (1, 3, 5):  # more processes than pictures, too
        out = tmp_path / f"scores{n}.json"
        run(n, "evaluate", folder / "last.safetensors", "--data", data, "--out", out)
        found[n] = out.read_text()
    assert found[1] == found[3] == found[5]


# --- kills, resumes ---


def test_killed_at_random_moments_and_resumed_ends_bit_for_bit(data, tmp_path):
    options = ["--model", "fcn16s", "--batch", "4", "--steps", "30"]
    whole = trained(tmp_path, 2, data, *options, name="whole")
    again = trained(tmp_path, 2, data, *options, name="again")
    assert (again / "log.csv").read_bytes() == (whole / "log.csv").read_bytes()
    assert_same_tensors(again / "last.safetensors", whole / "last.safetensors")
    rng, begin = random.Random(3), ["--data", data, "--out", tmp_path, "--name", "killed", *ALL, *options]
    environment, log = os.environ | {"MINIFCN_THREADS": "1", "SAVE_SECONDS": "0"}, tmp_path / "killed" / "log.csv"
    for step in [0, 0, *sorted(rng.sample(range(1, 29), 8))]:  # after which it is killed; 0: while it starts
        there = (tmp_path / "killed" / "config.json").exists()
        line = job(2, "train", *(["--resume", tmp_path / "killed"] if there else begin))
        with subprocess.Popen(line, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, env=environment) as started:
            while len(ranks := ranks_below(started.pid)) < 2 or (
                step and len(read_rows(log)) < step if log.exists() else step
            ):
                assert started.poll() is None, started.stdout.read()
                time.sleep(0.01)
            os.kill(rng.choice(ranks), signal.SIGKILL)
            begun = time.monotonic()
            started.wait(timeout=30)
            assert time.monotonic() - begun < 10
    run(2, "train", "--resume", tmp_path / "killed")
    assert (tmp_path / "killed" / "log.csv").read_bytes() == (whole / "log.csv").read_bytes()
    assert_same_tensors(tmp_path / "killed" / "last.safetensors", whole / "last.safetensors")


def ranks_below(pid: int) -> list[int]:
    """The ranks that an mpiexec has started, on Linux."""
    below, found = [pid], []
    while below:
        for path in Path(f"/proc/{below.pop()}/task").glob("*/children"):
            with suppress(OSError):
                below += map(int, path.read_text().split())
        found += [pid for pid in below if b"-c\0" in commandline(pid)]
    return sorted({*found})


def test_another_number_of_processes_goes_on_and_says_so(data, tmp_path):
    options = ["--model", "fcn32s", "--batch", "4"]
    folder = trained(tmp_path, 2, data, *options, "--steps", "6", name="half")
    config = json.loads((folder / "config.json").read_text())
    assert config["stages"][0]["processes"] == 2
    (folder / "metrics.json").unlink()
    config["stages"][0]["steps"] = 8
    (folder / "config.json").write_text(json.dumps(config))
    told = run(1, "train", "--resume", folder, status=2)  # the settings differ: nothing was changed
    assert "steps 6, now 8" in told.stderr
    config["stages"][0]["steps"] = 6
    (folder / "config.json").write_text(json.dumps(config))
    told = run(1, "train", "--resume", folder)
    assert "NOTE: 2 processes so far, now 1: the same but for rounding" in told.stdout


# --- errors ---


def test_an_error_that_all_have_is_said_once(data, tmp_path):
    told = run(3, "train", "--data", tmp_path / "nowhere", "--out", tmp_path, *ALL, status=2)
    assert told.stderr.count("error:") == 1 and "rank" not in told.stderr
    told = run(3, "train", "--data", data, "--out", tmp_path, *ALL, "--batch", "2", status=2)
    assert told.stderr.count("error: 3 processes: --batch 2") == 1
    told = run(2, "train", "--data", data, "--out", tmp_path, *ALL, "--batch", "2", "--low-memory", status=2)
    assert told.stderr.count("error: 2 processes: --batch 2 with --low-memory") == 1
    assert not any(tmp_path.iterdir())  # all of it before there is a folder


def test_one_ranks_bad_picture_is_named_once_with_the_rank(data, tmp_path):
    """The picture is damaged after the survey has read all of them: it is met in training, by the rank that has it."""
    broken = make_set(tmp_path / "broken")
    victim = Path(broken) / "images" / "train03.png"
    code = JOB.replace(
        "name, arguments =",
        f"""
from minifcn.training.segmentation import Segmentation
built = Segmentation.initialise
def initialise(task, file=None):
    built(task, file)
    open({str(victim)!r}, "wb").write(b"no picture")
Segmentation.initialise = initialise
name, arguments =""",
    )
    arguments = ["train", "--data", broken, "--out", tmp_path, *ALL, "--model", "fcn32s", "--steps", "12"]
    line = [MPIEXEC, "-n", "2", sys.executable, "-c", code, *map(str, arguments)]
    ended = subprocess.run(line, capture_output=True, text=True, timeout=120, env=os.environ | {"MINIFCN_THREADS": "1"})
    said = [line for line in ended.stderr.splitlines() if "train03.png" in line]
    assert len(said) == 1 and said[0].startswith(("error: rank 0: ", "error: rank 1: ")), ended.stderr
    assert "Traceback" not in ended.stderr and "Abort" not in ended.stderr and ended.returncode == 2
