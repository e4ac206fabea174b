"""Bad input: exit status 2, one clear line that names the file or the value, and no harm to any checkpoint."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from commands import evaluate, predict
from PIL import Image
from small_data import (
    CLASSES,
    WITH_TINY,
    assert_one_error_line,
    assert_same_run,
    draw,
    exit_status,
    fails,
    make_set,
)

from minifcn import check_gradients, command, files, train
from minifcn.models import MODELS
from minifcn.training import evaluation, loop
from minifcn.weights import checkpoint

pytestmark = pytest.mark.usefixtures("tiny_trunk", "no_drawing")


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    return make_set(tmp_path_factory.mktemp("sets") / "shapes", [("train", 4), ("val", 2), ("test", 2)])


@pytest.fixture(scope="module")
def finished(data, tmp_path_factory):
    """A run of two steps that ended well; tests change copies of it."""
    out = tmp_path_factory.mktemp("runs")
    assert train.main(training(data, out, "--steps", "2")) == 0
    return out / "run"


@pytest.fixture
def run(finished, tmp_path):
    """A copy of the finished run, as if interrupted before its end: there is no metrics.json, and two steps remain."""
    folder = Path(shutil.copytree(finished, tmp_path / "runs" / "run"))
    (folder / "metrics.json").unlink()
    config = json.loads((folder / "config.json").read_text())
    config["stages"][0]["steps"] = 4
    (folder / "config.json").write_text(json.dumps(config))
    for name in ("last", "best"):
        tensors, meta = checkpoint.load(folder / f"{name}.safetensors")
        meta["settings"]["steps"] = 4
        checkpoint.save(folder / f"{name}.safetensors", tensors, meta)
    return folder


@pytest.fixture
def copy(data, tmp_path):
    """A copy of the data to spoil."""
    return Path(shutil.copytree(data, tmp_path / "spoilt"))


def training(data, out, *more):
    return f"--data {data} --out {out} --name run --model fcn32s --trunk tiny --batch 2 --warmup 0".split() + list(more)


def bytes_below(folder):
    return {path: path.read_bytes() for path in Path(folder).rglob("*") if path.is_file()}


def cut(path, share=0.6):
    content = path.read_bytes()
    path.write_bytes(content[: int(len(content) * share)])


# --- pictures and labels ---


def cut_picture(copy):
    path = copy / "images" / "train01.png"
    cut(path)
    return path, "unreadable picture"


def enlarge_labels(copy):
    path = copy / "labels" / "train02.png"
    Image.fromarray(np.zeros((32, 41), np.uint8)).save(path)
    return path, "41 x 32 pixels (width x height), but its picture"


def label_out_of_range(copy):
    path = copy / "labels" / "train03.png"
    _, labels = draw(0)
    labels[4, 7] = 3
    Image.fromarray(labels).save(path)
    return path, "value 3 at 1 pixel, first at row 4, column 7: expected 0 to 2 (3 classes)"


def rgb_labels(copy):
    path = copy / "labels" / "train00.png"
    Image.fromarray(np.full((32, 40, 3), (0, 0, 1), np.uint8)).save(path)
    return path, "an RGB label picture, but the classes have no colours"


def missing_labels(copy):
    path = copy / "labels" / "train01.png"
    path.unlink()
    return path, "this label picture is missing"


@pytest.mark.parametrize("spoil", [cut_picture, enlarge_labels, label_out_of_range, rgb_labels, missing_labels])
def test_bad_files_stop_training(spoil, copy, tmp_path, capsys):
    path, complaint = spoil(copy)
    line = fails(capsys, train.main, *training(copy, tmp_path / "runs"))
    assert line.startswith(f"error: {path}: ") and complaint in line


@pytest.mark.parametrize("spoil", [cut_picture, enlarge_labels, label_out_of_range, rgb_labels, missing_labels])
def test_bad_files_stop_a_resumed_run_and_leave_its_checkpoint(spoil, copy, run, capsys):
    path, complaint = spoil(copy)
    config = json.loads((run / "config.json").read_text())
    config["stages"][0]["data"] = str(copy)
    (run / "config.json").write_text(json.dumps(config))
    before = bytes_below(run)
    line = fails(capsys, train.main, "--resume", run)
    assert line.startswith(f"error: {path}: ") and complaint in line
    after = bytes_below(run)
    del before[run / "log.csv"], after[run / "log.csv"]
    assert after == before
    assert evaluate.main([str(run / "last.safetensors"), "--data", str(copy)]) is None


@pytest.mark.parametrize("name", ["val", "test"])
def test_bad_files_of_other_splits(name, copy, tmp_path, capsys):
    path = copy / "labels" / f"{name}01.png"
    Image.fromarray(np.full((32, 40), 77, np.uint8)).save(path)
    line = fails(capsys, train.main, *training(copy, tmp_path, "--steps", "2"))
    assert line.startswith(f"error: {path}: value 77 at 1280 pixels")
    assert not (tmp_path / "run").exists(), "refused before anything is written"


def test_splits_empty_unknown_and_listing_what_is_not_there(copy, finished, tmp_path, capsys):
    best = finished / "best.safetensors"
    line = fails(capsys, evaluate.main, best, "--data", copy, "--split", "testing")
    assert f"{copy}: no split 'testing'; there are: train, val, test" in line
    for split in ("train", "val", "test"):
        whole = (copy / f"{split}.txt").read_text()
        for content, complaint in (("", f"{split}.txt"), ("nowhere\n", "nowhere")):
            (copy / f"{split}.txt").write_text(content)
            assert complaint in fails(capsys, train.main, *training(copy, tmp_path / "runs"))
            assert complaint in fails(capsys, evaluate.main, best, "--data", copy, "--split", split)
        (copy / f"{split}.txt").write_text(whole)


def test_data_that_is_none(tmp_path, finished, capsys):
    (tmp_path / "notes").mkdir()
    (tmp_path / "notes" / "todo.txt").write_text("x")
    for main, start in ((train.main, ["--out", tmp_path / "runs"]), (evaluate.main, [finished / "best.safetensors"])):
        assert f"{tmp_path / 'no'}: no such folder" in fails(capsys, main, *start, "--data", tmp_path / "no")
        file = tmp_path / "notes" / "todo.txt"
        assert f"{file}: not a folder" in fails(capsys, main, *start, "--data", file)
        line = fails(capsys, main, *start, "--data", tmp_path / "notes")
        assert f"{tmp_path / 'notes'}: not the layout of a data set" in line and "todo.txt" in line
    assert not (tmp_path / "runs").exists()


def test_training_data_that_is_all_void(copy, tmp_path, capsys):
    """Refused before anything is written."""
    labels = sorted((copy / "labels").glob("train*.png"))
    for path in labels:
        Image.fromarray(np.full((32, 40), 255, np.uint8)).save(path)
    line = fails(capsys, train.main, *training(copy, tmp_path / "runs"))
    assert "train: every pixel of the labels is void" in line and f"check_data {copy}" in line
    assert not (tmp_path / "runs").exists()


# --- checkpoints ---


@pytest.fixture
def bad_checkpoints(finished, tmp_path):
    """name -> a file that is no usable checkpoint, and what the line must say."""
    folder = tmp_path / "bad"
    folder.mkdir()
    whole = (finished / "last.safetensors").read_bytes()
    tensors, meta = checkpoint.load(finished / "last.safetensors")
    half = {name: x[..., ::2] for name, x in tensors.items()}
    (folder / "short").write_bytes(whole[:-100])
    (folder / "flipped").write_bytes(whole[:-100] + bytes([whole[-100] ^ 1]) + whole[-99:])
    (folder / "empty").write_bytes(b"")
    Image.fromarray(np.zeros((4, 4), np.uint8)).save(folder / "picture", format="PNG")
    (folder / "folder").mkdir()
    checkpoint.save(folder / "narrower", half, meta)
    checkpoint.save(folder / "bare", tensors, {})
    checkpoint.save(folder / "unknown", tensors, {**meta, "model": {**meta["model"], "name": "segnet"}})
    return {
        folder / "short": "truncated",
        folder / "flipped": "checksum",
        folder / "empty": "is empty",
        folder / "picture": "not a weight file of any known kind",
        folder / "folder": "is a folder",
        folder / "nowhere": "No such file",
        folder / "narrower": "none of its weights fit",
        folder / "bare": "describes no FCN",
        folder / "unknown": "describes no FCN",
    }


def test_bad_checkpoints_in_evaluate_and_predict(bad_checkpoints, data, tmp_path, capsys):
    picture = Path(data) / "images" / "test00.png"
    for path, complaint in bad_checkpoints.items():
        line = fails(capsys, evaluate.main, path, "--data", data)
        assert str(path) in line and complaint in line
        line = fails(capsys, predict.main, path, picture, "--out", tmp_path / "out")
        assert str(path) in line and complaint in line
    assert not (tmp_path / "out").exists()


def test_bad_checkpoints_to_start_from(bad_checkpoints, data, tmp_path, capsys):
    others = {"bare": "says nothing of its"}
    for path, complaint in bad_checkpoints.items():
        if path.name == "unknown":  # weights are weights: another network's may serve
            continue
        line = fails(capsys, train.main, *training(data, tmp_path / "runs"), "--init", path)
        assert str(path) in line and others.get(path.name, complaint) in line


def test_bad_checkpoints_to_resume_from(bad_checkpoints, run, capsys):
    """Whatever stands in the place of last.safetensors stays as it is, and so does best.safetensors."""
    last = run / "last.safetensors"
    for path in bad_checkpoints:
        if not path.is_file() or path.name == "unknown":
            continue
        shutil.copy(path, last)
        before = bytes_below(run)
        assert str(last) in fails(capsys, train.main, "--resume", run), path.name
        assert bytes_below(run) == before


def test_weights_of_another_trunk(finished, data, tmp_path, capsys):
    """Only score_fr.bias and the upsampling, whose sizes are those of the classes, would fit."""
    init = finished / "last.safetensors"
    arguments = [*training(data, tmp_path / "runs"), "--trunk", "vgg_quarter", "--init", init]
    assert f"{init}: none of its weights fit" in fails(capsys, train.main, *arguments)


def test_a_checkpoint_of_other_classes_cannot_be_scored(finished, tmp_path, capsys):
    path = finished / "best.safetensors"
    for classes in ((*CLASSES, "triangle"), ("ground", "square", "ball"), ("square", "ground", "disc")):
        data = make_set(tmp_path / "-".join(classes), [("test", 1)], classes=classes)
        line = fails(capsys, evaluate.main, path, "--data", data)
        assert f"{path}: trained on 3 classes (ground, square, disc), but" in line and ", ".join(classes) in line


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


# --- predict ---


def test_bad_pictures_in_predict(finished, data, tmp_path, capsys):
    best, picture = finished / "best.safetensors", Path(data) / "images" / "test00.png"
    (tmp_path / "text.png").write_text("not a picture")
    shutil.copy(picture, tmp_path / "cut.png")
    cut(tmp_path / "cut.png")
    (tmp_path / "empty").mkdir()
    for name in ("nowhere.png", "text.png", "cut.png", "empty"):
        bad = tmp_path / name
        assert f"error: {bad}: " in fails(capsys, predict.main, best, bad, "--out", tmp_path / "out")
    assert not list((tmp_path / "out").glob("*")) if (tmp_path / "out").exists() else True


def test_predictions_overwrite_neither_each_other_nor_their_pictures(finished, data, tmp_path, capsys):
    best, picture = finished / "best.safetensors", Path(data) / "images" / "test00.png"
    for name in ("a/x.png", "b/x.jpg", "a/x_overlay.png"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        shutil.copy(picture, tmp_path / name)
    before = bytes_below(tmp_path)
    for names, out in ((["a/x.png", "b/x.jpg"], "out"), (["a/x.png", "a/x_overlay.png"], "out"), (["a/x.png"], "a")):
        pictures = [tmp_path / name for name in names]
        assert "x" in fails(capsys, predict.main, best, *pictures, "--out", tmp_path / out)
        assert bytes_below(tmp_path) == before


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


def test_networks_of_the_shapes_that_a_checkpoint_names(finished):
    """What makes the tests above mean something: the run's own checkpoint is good."""
    tensors, meta = checkpoint.load(finished / "last.safetensors")
    own = MODELS["fcn32s"](3, "tiny", "same").parameters()
    assert {name: tensors[f"model/{name}"].shape for name in own} == {name: p.shape for name, p in own.items()}
    assert meta["step"] == 2
