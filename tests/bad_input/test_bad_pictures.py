"""Bad data: exit status 2, one clear line that names the file, and no harm to any checkpoint."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from commands import evaluate, predict
from PIL import Image
from small_data import draw, fails
from spoiling import bytes_below, cut, training

from minifcn import train

pytestmark = pytest.mark.usefixtures("tiny_trunk", "no_drawing")


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
