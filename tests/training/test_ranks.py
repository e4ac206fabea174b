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
from pathlib import Path
from shutil import which

import numpy as np
import pytest
from small_data import WITH_TINY, assert_same_tensors, make_pictures, make_set, read_rows

from minifcn.weights import checkpoint

pytest.importorskip("mpi4py")
MPIEXEC = which("mpiexec", path=str(Path(sys.executable).parent)) or which("mpiexec")
pytestmark = pytest.mark.skipif(MPIEXEC is None or sys.platform == "win32", reason="no mpiexec")

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


def job(processes, name, *arguments, **environment) -> list[str]:
    """The command line of a job of so many processes."""
    return [MPIEXEC, "-n", str(processes), sys.executable, "-c", JOB, name, *map(str, arguments)]


def run(processes, name, *arguments, status=0, **environment) -> subprocess.CompletedProcess:
    known = os.environ | {"MINIFCN_THREADS": "1"} | environment
    line = job(processes, name, *arguments)
    ended = subprocess.run(line, capture_output=True, text=True, timeout=120, env=known)
    assert ended.returncode == status, ended.stdout + ended.stderr
    return ended


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    """Pictures of three sizes, so that shares must be padded alike."""
    return make_set(tmp_path_factory.mktemp("sets") / "shapes", sizes=[(32, 40), (27, 45), (40, 30)])


def trained(out, processes, data, *more, name="run", **environment):
    run(processes, "train", "--data", data, "--out", out, "--name", name, *ALL, *more, **environment)
    return out / name


@pytest.mark.parametrize(
    "options",
    [
        "--model fcn8s --batch 4 --steps 10".split(),
        "--model fcn16s --batch 5 --accumulate 2 --steps 6 --clip 0.5".split(),
        [
            "--model",
            "fcn32s",
            "--batch",
            "4",
            "--steps",
            "6",
            "--reduction",
            "sum",
            "--lr",
            "1e-5",
            "--scale-jitter",
            "0.3",
        ],
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
    environment, killed = os.environ | {"MINIFCN_THREADS": "1", "SAVE_SECONDS": "0"}, 0
    for _ in range(10):
        there = (tmp_path / "killed" / "config.json").exists()
        line = job(2, "train", *(["--resume", tmp_path / "killed"] if there else begin))
        with subprocess.Popen(line, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, env=environment) as started:
            time.sleep(rng.uniform(0.8, 2.5))
            victims = [pid for pid in children(started.pid) if b"mpiexec" not in commandline(pid)]
            if ranks := [pid for pid in victims if b"proxy" not in commandline(pid)]:
                os.kill(rng.choice(ranks), signal.SIGKILL)
                killed += 1
                begun = time.monotonic()
                started.wait(timeout=30)
                assert time.monotonic() - begun < 10
    run(2, "train", "--resume", tmp_path / "killed")
    assert killed >= 5
    assert (tmp_path / "killed" / "log.csv").read_bytes() == (whole / "log.csv").read_bytes()
    assert_same_tensors(tmp_path / "killed" / "last.safetensors", whole / "last.safetensors")


def children(pid: int) -> list[int]:
    """The processes below one, on Linux."""
    below = []
    for path in Path(f"/proc/{pid}/task").glob("*/children"):
        for child in map(int, path.read_text().split()):
            below += [child, *children(child)]
    return below


def commandline(pid: int) -> bytes:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return b"mpiexec"


def test_another_number_of_processes_goes_on_and_says_so(data, tmp_path):
    options = ["--model", "fcn32s", "--batch", "4"]
    folder = trained(tmp_path, 2, data, *options, "--steps", "6", name="half")
    config = json.loads((folder / "config.json").read_text())
    assert config["processes"] == 2
    (folder / "metrics.json").unlink()
    config["stages"][0]["steps"] = 8
    (folder / "config.json").write_text(json.dumps(config))
    told = run(1, "train", "--resume", folder, status=2)  # the settings differ: nothing was changed
    assert "steps 6, now 8" in told.stderr
    config["stages"][0]["steps"] = 6
    (folder / "config.json").write_text(json.dumps(config))
    told = run(1, "train", "--resume", folder)
    assert "with 2 processes so far, now 1: equal but for rounding" in told.stdout


# --- errors ---


def test_an_error_that_all_have_is_said_once(data, tmp_path):
    told = run(3, "train", "--data", tmp_path / "nowhere", "--out", tmp_path, *ALL, status=2)
    assert told.stderr.count("error:") == 1 and "rank" not in told.stderr
    told = run(3, "train", "--data", data, "--out", tmp_path, *ALL, "--batch", "2", status=2)
    assert told.stderr.count("error: 3 processes: --batch 2") == 1
    told = run(2, "train", "--data", data, "--out", tmp_path, *ALL, "--batch", "2", "--low-memory", status=2)
    assert told.stderr.count("error: 2 processes: --batch 2 with --low-memory") == 1


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
    assert len(said) == 1 and said[0].startswith(("rank 0: error: ", "rank 1: error: ")), ended.stderr
    assert "Traceback" not in ended.stderr and ended.returncode == 2


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
    alone = run(1, "predict", network, pictures, "--out", tmp_path / "alone")
    assert "18 of 18 pictures, " in alone.stdout and "0 were done before" in alone.stdout
    shared = run(3, "predict", network, pictures, "--out", tmp_path / "shared")
    assert shared.stdout.count("18 of 18 pictures, ") == 1
    assert masks(tmp_path / "shared") == masks(tmp_path / "alone")
    (tmp_path / "shared" / "train03.png").unlink()
    (tmp_path / "shared" / "val00_overlay.png").unlink()
    again = run(2, "predict", network, pictures, "--out", tmp_path / "shared")
    assert "2 of 18 pictures, " in again.stdout and "16 were done before" in again.stdout
    assert masks(tmp_path / "shared") == masks(tmp_path / "alone")
    newer = max(path.stat().st_mtime for path in (tmp_path / "shared").iterdir()) + 10
    os.utime(pictures / "train05.png", (newer, newer))
    again = run(1, "predict", network, pictures, "--out", tmp_path / "shared")
    assert "1 of 18 pictures, " in again.stdout
    again = run(1, "predict", network, pictures, "--out", tmp_path / "shared", "--side", "20")  # seen otherwise
    assert "18 of 18 pictures, " in again.stdout


def test_a_bad_picture_does_not_stop_the_others(network, data, tmp_path):
    pictures = tmp_path / "pictures"
    pictures.mkdir()
    for path in sorted((Path(data) / "images").glob("train0*.png")):
        (pictures / path.name).write_bytes(path.read_bytes())
    (pictures / "train04.png").write_bytes(b"no picture")
    told = run(3, "predict", network, pictures, "--out", tmp_path / "out", status=1)
    assert told.stderr.count("train04.png") == 1 and "9 of 10 pictures, " in told.stdout
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
    assert text.startswith("2 processes, ") and "fcn32s: test Jaccard" in text
    config = json.loads((tmp_path / "run" / "config.json").read_text())
    assert config["stages"][0]["processes"] == 2
    (tmp_path / "run" / "metrics.json").unlink()
    line = [sys.executable, "-m", "minifcn.train", "--resume", str(tmp_path / "run")]
    again = subprocess.run(line, capture_output=True, text=True, timeout=120)
    assert again.stdout.startswith("2 processes, ") and "NOTE" not in again.stdout, again.stdout + again.stderr


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
    wait_for((tmp_path / "run" / "log.csv").exists)
    os.killpg(process.pid, number)  # as a terminal does
    text = said(process)
    assert process.returncode == 130 and "go on with: python -m minifcn.train --resume" in text
    assert (tmp_path / "run" / "last.safetensors").exists()
