"""What resuming goes on with, and what it refuses: other settings or data, damaged files."""

import json
import shutil
import signal

import pytest
from resumed_runs import MARKS, arguments, signal_in_step, train_all, two_sizes
from small_data import assert_same_run, fails, make_set, planned

from minifcn import pretrain, train
from minifcn.errors import InputError
from minifcn.training import loop, segmentation
from minifcn.training.folder import Log, read_config, read_log
from minifcn.training.segmentation import Segmentation
from minifcn.training.settings import SegmentationSettings
from minifcn.training.task import open_run
from minifcn.weights import checkpoint

pytestmark = MARKS


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    return two_sizes(tmp_path_factory)


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
