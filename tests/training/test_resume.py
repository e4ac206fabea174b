"""A run that is killed at any moment and resumed ends bit for bit like one that was left alone."""

import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time

import pytest
from small_data import WITH_TINY, assert_same_run, exit_status, fails, make_set, planned

from minifcn import pretrain, train
from minifcn.errors import InputError
from minifcn.optim import SGD
from minifcn.training import loop, segmentation
from minifcn.training.folder import Log, read_config, read_log
from minifcn.training.segmentation import Segmentation
from minifcn.training.settings import SegmentationSettings
from minifcn.training.task import open_run
from minifcn.weights import checkpoint

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

pytestmark = [
    pytest.mark.usefixtures("tiny_trunk", "no_drawing"),
    pytest.mark.skipif(sys.platform == "win32", reason="no SIGKILL and no fork"),
]


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    return make_set(tmp_path_factory.mktemp("sets") / "shapes", sizes=[(32, 40), (27, 45)])


@pytest.fixture(scope="module")
def undisturbed(data, tmp_path_factory):
    """fcn32s, then fcn16s, three epochs of three steps each."""
    return train_all(data, tmp_path_factory.mktemp("undisturbed"))


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


# --- SIGKILL ---


@pytest.mark.parametrize("save_seconds", [0, 1000], ids=["saving after every step", "saving after every epoch"])
def test_killed_at_many_moments(save_seconds, data, undisturbed, tmp_path):
    """The chain, killed more than a dozen times: early in a start, in steps, in saves, in either network."""
    rng = random.Random(7 + save_seconds)
    kills = [40, *range(1, 12), *(rng.randrange(8, 40) for _ in range(10))]  # each event of a start and of a save
    start = json.dumps(arguments(data, tmp_path))
    command = [sys.executable, "-c", KILLER, str(save_seconds), start, str(tmp_path / "run"), json.dumps(kills)]
    child = subprocess.run(command, capture_output=True, text=True, timeout=240)
    ends = [line.split()[1:] for line in child.stdout.splitlines() if line.startswith("ended")]
    assert ends[-1] == ["0", "True"], child.stdout + child.stderr
    assert sum(status == "-9" for status, _ in ends) >= 9
    assert ["-9", "True"] in ends  # some of them in the second network
    for model in ("fcn32s", "fcn16s"):
        assert_same_run(tmp_path / "run" / model, undisturbed / model)
    names = [path.relative_to(tmp_path / "run") for path in sorted((tmp_path / "run").rglob("*"))]
    assert names == [path.relative_to(undisturbed) for path in sorted(undisturbed.rglob("*"))]  # no litter


def test_killed_from_outside(data, tmp_path):
    """The real command, killed by another process after a random while."""
    options = ["--model", "fcn32s", "--batch", "2", "--accumulate", "2", "--steps", "6", "--seed", "2"]
    command = [sys.executable, "-m", "minifcn.train"]
    start = [*command, "--data", data, "--out", str(tmp_path), *options]
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    whole = subprocess.Popen([*start, "--name", "whole"], **quiet)
    run, rng = tmp_path / "killed", random.Random(1)
    child = subprocess.Popen([*start, "--name", "killed"], **quiet)
    while not (run / "last.safetensors").exists() and child.poll() is None:
        time.sleep(0.01)
    time.sleep(rng.uniform(0, 0.15))
    child.kill()
    child.wait()
    subprocess.run([*command, "--resume", str(run)], check=True, timeout=120, **quiet)
    assert whole.wait(timeout=120) == 0
    assert_same_run(run, tmp_path / "whole")


def test_rows_of_the_log_are_never_lost_while_it_is_opened(tmp_path, monkeypatch):
    """Resuming writes log.csv anew, without the rows after the checkpoint: it must be the old one or the new one."""
    rows = [{"step": k, "epoch": 0, "lr": 0.1, "loss": 1 / k} for k in range(1, 6)]
    Log(tmp_path / "log.csv", rows, Segmentation.scores)
    assert read_log(tmp_path / "log.csv", 5, Segmentation.scores) == rows

    def killed(*_):
        raise KeyboardInterrupt

    for name in ("fsync", "replace"):
        with monkeypatch.context() as patch:
            patch.setattr(os, name, killed)
            with pytest.raises(KeyboardInterrupt):
                Log(tmp_path / "log.csv", rows[:4], Segmentation.scores)
        assert read_log(tmp_path / "log.csv", 5, Segmentation.scores) == rows
    Log(tmp_path / "log.csv", rows[:4], Segmentation.scores)
    assert read_log(tmp_path / "log.csv", 4, Segmentation.scores) == rows[:4]
    with pytest.raises(InputError, match="expected the rows of steps 1 to 5"):
        read_log(tmp_path / "log.csv", 5, Segmentation.scores)


def test_half_a_row_at_the_end_of_the_log_is_dropped(tmp_path):
    rows = [{"step": k, "epoch": 0, "lr": 0.1, "loss": 0.1 + 0.2} for k in range(1, 4)]
    Log(tmp_path / "log.csv", rows, Segmentation.scores)
    whole = (tmp_path / "log.csv").read_bytes()
    for cut in range(len(whole) - 1, len(whole) - 12, -1):
        (tmp_path / "log.csv").write_bytes(whole[:cut])
        assert read_log(tmp_path / "log.csv", 2, Segmentation.scores) == rows[:2]


# --- Ctrl-C ---


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM], ids=["Ctrl-C", "SIGTERM"])
@pytest.mark.parametrize("at", [5, 14], ids=["in the first network", "in the second network"])
def test_a_request_to_stop(number, at, data, undisturbed, tmp_path, monkeypatch, capsys):
    handlers = signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)
    with monkeypatch.context() as patch:
        signal_in_step(patch, number, at)
        assert exit_status(train.main, *arguments(data, tmp_path)) == 130
    assert (signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)) == handlers
    run = tmp_path / "run"
    stage, step = ("fcn32s", at) if at <= 9 else ("fcn16s", at - 9)
    said = capsys.readouterr()
    assert f"stopped after step {step} of 9" in said.out and "Traceback" not in said.err
    assert said.out.rstrip().endswith(f"--resume {run}")
    assert checkpoint.load(run / stage / "last.safetensors")[1]["step"] == step == steps_logged(run / stage)
    assert train.main(["--resume", str(run)]) == 0
    for model in ("fcn32s", "fcn16s"):
        assert_same_run(run / model, undisturbed / model)


def test_ctrl_c_from_outside(data, tmp_path):
    command = f"-m minifcn.train --data {data} --out {tmp_path} --name run --model fcn32s --steps 1000000"
    child = subprocess.Popen(
        [sys.executable, *command.split()], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    while not (tmp_path / "run" / "last.safetensors").exists() and child.poll() is None:
        time.sleep(0.02)
    child.send_signal(signal.SIGINT)
    out, err = child.communicate(timeout=60)
    assert child.returncode == 130, err
    assert "Traceback" not in err and "stopping after this step" in err
    assert out.rstrip().endswith(f"go on with: python -m minifcn.train --resume {tmp_path / 'run'}")
    assert checkpoint.load(tmp_path / "run" / "last.safetensors")[1]["step"] == steps_logged(tmp_path / "run")


# --- what resuming must not do ---


def test_resuming_a_finished_run_changes_nothing(undisturbed, capsys):
    drawn = undisturbed / "samples.png"  # drawn again, from the same networks
    before = {path: path.read_bytes() for path in undisturbed.rglob("*") if path.is_file()}
    assert train.main(["--resume", str(undisturbed)]) == 0
    after = {path: path.read_bytes() for path in undisturbed.rglob("*") if path.is_file()}
    assert after == before, [path for path in after if after[path] != before.get(path)]
    out = capsys.readouterr().out
    assert "fcn32s: test Jaccard" in out and f"look at {drawn}" in out


@pytest.fixture
def stopped(data, tmp_path, monkeypatch):
    """A run of one network, stopped after step 5."""
    with monkeypatch.context() as patch:
        signal_in_step(patch, signal.SIGINT, 5)
        assert train.main(arguments(data, tmp_path, "--model", "fcn32s")) == 130
    return tmp_path / "run"


def test_other_settings_are_refused(stopped, capsys):
    config = json.loads((stopped / "config.json").read_text())
    before = {path: path.read_bytes() for path in stopped.iterdir()}
    other = {
        "lr": 0.1,
        "seed": 6,
        "batch": 4,
        "steps": 12,
        "momentum": 0.8,
        "flip": False,
        "model": "fcn16s",
        "pad": 100,
    }
    for name, value in other.items():
        changed = {**config, "stages": [{**config["stages"][0], name: value}]}
        (stopped / "config.json").write_text(json.dumps(changed))
        assert f"other settings or data: {name} " in fails(capsys, train.main, "--resume", stopped)
    for name, value in {"model": "segnet", "trunk": "alexnet", "lr": -1, "colour": "red"}.items():
        changed = {**config, "stages": [{**config["stages"][0], name: value}]}
        (stopped / "config.json").write_text(json.dumps(changed))
        assert str(stopped) in fails(capsys, train.main, "--resume", stopped), name
    (stopped / "config.json").write_bytes(before[stopped / "config.json"])
    assert {path: path.read_bytes() for path in stopped.iterdir()} == before
    assert train.main(["--resume", str(stopped)]) == 0


def test_a_log_that_lost_rows_is_refused(stopped, capsys):
    lines = (stopped / "log.csv").read_text().splitlines(keepends=True)
    (stopped / "log.csv").write_text("".join(lines[:2] + lines[3:]))
    assert "expected the rows of steps 1 to 5" in fails(capsys, train.main, "--resume", stopped)
    (stopped / "log.csv").unlink()
    assert f"{stopped / 'log.csv'}: " in fails(capsys, train.main, "--resume", stopped)


def test_resuming_what_is_no_run(tmp_path, capsys):
    assert f"{tmp_path}: no run here" in fails(capsys, train.main, "--resume", tmp_path)
    config = tmp_path / "config.json"
    for content in ('{"stages": 3}', '{"stages": []}'):
        config.write_text(content)
        assert f"{config}: not the configuration of a run" in fails(capsys, train.main, "--resume", tmp_path)
    assert f"{config}: no run here" in fails(capsys, train.main, "--resume", config)


@pytest.mark.parametrize(
    "damage", [b"\xff\0junk", b"step,epoch,lr,loss\nx,0,0.1,1\n", b"a,b\n1,2\n", b"step\n1\n2\n3\n4\n5\n"]
)
def test_a_damaged_log_is_refused(damage, stopped, capsys):
    (stopped / "log.csv").write_bytes(damage)
    line = fails(capsys, train.main, "--resume", stopped)
    assert line.startswith(f"error: {stopped / 'log.csv'}: expected the rows of steps 1 to 5")


@pytest.mark.parametrize("damage", ["{", "{}", "[]", "3", b"\xff", None])
def test_damaged_metrics_are_made_anew(damage, stopped):
    assert train.main(["--resume", str(stopped)]) == 0
    metrics = stopped / "metrics.json"
    expected = json.loads(metrics.read_text())
    metrics.unlink() if damage is None else metrics.write_bytes(
        damage if isinstance(damage, bytes) else damage.encode()
    )
    assert train.main(["--resume", str(stopped)]) == 0
    found = json.loads(metrics.read_text())
    assert found["test"] == expected["test"] and found["validations"] == expected["validations"]


@pytest.mark.parametrize("main", [train.main, pretrain.main])
def test_options_that_a_run_to_resume_would_not_follow(main, tmp_path, capsys):
    """Told even where their value is the default; the data and the device may be others."""
    extra = ("--steps", "50", "--momentum", "0.9", "--no-flip", "--val-every", "1")
    line = fails(capsys, main, "--resume", tmp_path, "--data", "toytown", "--device", "cpu", *extra)
    told = line.removeprefix("error: --resume: a run keeps its settings; leave out ").split(", or")[0]
    assert sorted(told.split(", ")) == ["--flip", "--momentum", "--steps", "--val-every"]
    assert "no run here" in fails(capsys, main, "--resume", tmp_path, "--data", "toytown", "--device", "cpu")


def test_a_moved_data_set_is_given_again(stopped, data, tmp_path, capsys):
    moved = shutil.copytree(data, tmp_path / "moved")
    config = json.loads((stopped / "config.json").read_text())
    config["stages"][0]["data"] = str(tmp_path / "gone")
    (stopped / "config.json").write_text(json.dumps(config))
    assert f"{tmp_path / 'gone'}: no such folder" in fails(capsys, train.main, "--resume", stopped)
    assert train.main(["--resume", str(stopped), "--data", str(moved)]) == 0
    train_all(data, tmp_path / "again", "--model", "fcn32s")
    assert_same_run(stopped, tmp_path / "again" / "run")


def test_a_chain_whose_data_moved_goes_on_to_its_last_picture(data, tmp_path, monkeypatch):
    there = shutil.copytree(data, tmp_path / "there")
    with monkeypatch.context() as patch:
        signal_in_step(patch, signal.SIGINT, 5)
        assert train.main(arguments(str(there), tmp_path, "--model", "fcn32s", "fcn16s")) == 130
    moved = there.rename(tmp_path / "moved")
    assert train.main(["--resume", str(tmp_path / "run"), "--data", str(moved)]) == 0
    assert (tmp_path / "run" / "samples.png").exists()


def test_a_moved_run_goes_on(stopped, data, tmp_path):
    """Folders may have moved: only what decides the result must agree."""
    moved = tmp_path / "elsewhere"
    stopped.rename(moved)
    assert train.main(["--resume", str(moved)]) == 0
    train_all(data, tmp_path / "again", "--model", "fcn32s")
    assert_same_run(moved, tmp_path / "again" / "run")


def test_saves_happen_between_epochs_too(data, tmp_path, monkeypatch):
    """Every few minutes: with no patience at all, after every step."""
    monkeypatch.setattr(loop, "SAVE_SECONDS", 0)
    saved, real = [], checkpoint.save
    monkeypatch.setattr(
        checkpoint, "save", lambda path, x, meta: (saved.append((path.name, meta["step"])), real(path, x, meta))
    )
    (tmp_path / "run").mkdir()
    settings = planned(arguments(data, tmp_path, "--model", "fcn32s", "--val-every", "0"))[0]
    open_run(Segmentation, tmp_path / "run", settings).train(type("NoStop", (), {"requested": False}))
    assert [step for name, step in saved if name == "last.safetensors"] == list(range(1, 10))
    assert [step for name, step in saved if name == "best.safetensors"] == [9]


def test_best_is_kept_over_a_resume(data, tmp_path, monkeypatch):
    """The best score came before the interruption; a worse one after it must not replace that network."""
    scores = iter([0.5, 0.6, 0.4])
    real = segmentation.evaluate

    def evaluate(*positional, **named):
        counts, score = real(*positional, **named), next(scores)
        counts.jaccard = lambda: score
        return counts

    monkeypatch.setattr(segmentation, "evaluate", evaluate)
    with monkeypatch.context() as patch:
        signal_in_step(patch, signal.SIGINT, 7)
        assert train.main(arguments(data, tmp_path, "--model", "fcn32s")) == 130
    last, best = tmp_path / "run" / "last.safetensors", tmp_path / "run" / "best.safetensors"
    before = best.read_bytes()
    run = open_run(Segmentation, tmp_path / "run", read_config(tmp_path / "run", SegmentationSettings)[0])
    run.train(type("NoStop", (), {"requested": False}))
    assert best.read_bytes() == before and checkpoint.load(best)[1]["step"] == 6
    assert checkpoint.load(last)[1]["best_score"] == 0.6
    assert [v["jaccard"] for v in checkpoint.load(last)[1]["validations"]] == [0.5, 0.6, 0.4]


def test_the_data_set_must_still_have_its_classes(stopped, data, capsys, tmp_path):
    other = make_set(tmp_path / "other", classes=("lawn", "brick", "ball"))
    config = json.loads((stopped / "config.json").read_text())
    config["stages"][0]["data"] = other
    (stopped / "config.json").write_text(json.dumps(config))
    line = fails(capsys, train.main, "--resume", stopped)
    assert "other settings or data: classes " in line and f"restore config.json and {other}" in line


def test_the_data_set_must_still_have_its_pictures(stopped, data, capsys, tmp_path):
    """With one more, the order of every epoch would be another: the run would not be the same one."""
    more = make_set(tmp_path / "more", [("train", 13), ("val", 3)])
    config = json.loads((stopped / "config.json").read_text())
    config["stages"][0]["data"] = more
    (stopped / "config.json").write_text(json.dumps(config))
    line = fails(capsys, train.main, "--resume", stopped)
    assert "other settings or data: pictures 12, now 13; " in line and f"{more}" in line


def test_the_log_holds_the_rows_that_the_checkpoint_counts(stopped):
    step = checkpoint.load(stopped / "last.safetensors")[1]["step"]
    assert [row["step"] for row in read_log(stopped / "log.csv", step, Segmentation.scores)] == [1, 2, 3, 4, 5]


@pytest.mark.parametrize(
    "content",
    ['{"model": "x"}', '"model"', '["model"]', '{"model": "x", "summary": null}', "[" * 100_000],
)
def test_damaged_metrics_are_written_anew(content, undisturbed, tmp_path):
    """What is left of metrics.json never ends in a traceback: the run's end is made again."""
    run = tmp_path / "run"
    shutil.copytree(undisturbed, run)
    whole = json.loads((run / "fcn16s" / "metrics.json").read_text())
    (run / "fcn16s" / "metrics.json").write_text(content)
    assert train.main(["--resume", str(run)]) == 0
    assert json.loads((run / "fcn16s" / "metrics.json").read_text())["test"] == whole["test"]


@pytest.mark.parametrize("cell", ["null", "true", "[1]", "{}", '"x"'])
def test_cells_of_the_log_that_are_no_numbers_are_refused(cell, tmp_path):
    rows = [{"step": k, "epoch": 0, "lr": 0.1, "loss": 0.5, "val_loss": 0.25} for k in (1, 2)]
    Log(tmp_path / "log.csv", rows, Segmentation.scores).close()
    text = (tmp_path / "log.csv").read_text()
    assert read_log(tmp_path / "log.csv", 2, Segmentation.scores) == rows
    (tmp_path / "log.csv").write_text(text.replace("0.5", cell, 1))
    with pytest.raises(InputError, match="expected the rows of steps 1 to 2"):
        read_log(tmp_path / "log.csv", 2, Segmentation.scores)
    for odd in (text.replace("\n", ",1\n").replace("loss,1", "loss,extra"), text.replace("loss\n", "\0loss\n")):
        (tmp_path / "log.csv").write_text(odd)
        with pytest.raises(InputError, match="expected the rows of steps 1 to 2"):
            read_log(tmp_path / "log.csv", 2, Segmentation.scores)
