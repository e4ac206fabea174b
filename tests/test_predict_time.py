"""predict says beforehand how long it will take, where that is long, and what helps."""

import numpy as np
import pytest
from commands import predict
from PIL import Image
from small_checkpoint import make_checkpoint
from small_data import exit_status

from minifcn.models import MODELS

pytestmark = pytest.mark.usefixtures("tiny_trunk")


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    return make_checkpoint(tmp_path_factory.mktemp("checkpoint") / "best.safetensors", "fcn32s")


def said(path, folder, capsys, monkeypatch, sizes, *more, pace=1e-5):
    """What stands on stderr for pictures (H, W), where the network takes so many seconds for a pixel."""
    folder.mkdir()
    for i, (H, W) in enumerate(sizes):
        Image.fromarray(np.zeros((H, W), np.uint8)).save(folder / f"{i}.png")
    monkeypatch.setattr(predict, "pace", lambda model: pace)
    monkeypatch.setattr(predict, "segmented", lambda *_: iter([]))
    assert exit_status(predict.main, path, folder, "--out", folder / "out", *more) == 0
    return capsys.readouterr().err.splitlines()


@pytest.mark.parametrize(
    "sizes, more, told",
    [
        ([(1000, 1600)], [], []),
        ([(1000, 2400)], [], ["about 1.1 minutes; --side 1200 takes a quarter of it"]),
        ([(2400, 1000)], ["--side", 400], []),
        ([(100, 100)], ["--side", 1600], ["about 0.4 minutes; --side 800 takes a quarter of it"]),
        ([(300, 400)] * 10, [], []),
        ([(300, 400), (500, 400)] * 40, [], ["about 2.2 minutes; --side 250 takes a quarter of it"]),
    ],
)
def test_what_is_long_is_said(sizes, more, told, path, tmp_path, capsys, monkeypatch):
    assert said(path, tmp_path / "pictures", capsys, monkeypatch, sizes, *more) == told


def test_bad_pictures_are_left_to_the_end(path, tmp_path, capsys, monkeypatch):
    (tmp_path / "broken.png").write_text("no picture")
    Image.fromarray(np.zeros((1500, 1500), np.uint8)).save(tmp_path / "large.png")
    monkeypatch.setattr(predict, "pace", lambda model: 1e-5)
    assert exit_status(predict.main, path, tmp_path, "--out", tmp_path / "out") == 1
    first, second = capsys.readouterr().err.splitlines()
    assert first == "about 0.4 minutes; --side 750 takes a quarter of it" and second.startswith("error: ")


@pytest.mark.parametrize("twice", [False, True])
def test_networks_to_switch_between_add_up(twice, path, tmp_path, capsys, monkeypatch):
    """A checkpoint that is given twice counts once."""
    other = make_checkpoint(tmp_path / "other.safetensors", "fcn16s")
    more = ["--also", other, "--also", path if twice else other]
    [line] = said(path, tmp_path / "pictures", capsys, monkeypatch, [(1000, 1600)], *more)
    assert line.startswith("about 0.5 minutes; ")


def test_the_work_counts_padding_and_the_margins_of_windows():
    same, padded = (MODELS["fcn32s"](3, "tiny", pad) for pad in ("same", 100))
    assert predict.work(same, 100, 200) == 102 * 202 and predict.work(padded, 100, 200) == 300 * 400
    assert predict.work(same, 1664, 1664) == 1666**2
    assert predict.work(same, 1664, 1665) == 1666 * 1667 * (1 + 640 / 1024) ** 2


def test_the_pace_is_that_of_a_second_look(path, monkeypatch):
    """The first one sets things up."""
    clock, calls = iter([0, 100, 103]), []
    monkeypatch.setattr(predict, "predict", lambda model, piece, side: calls.append((piece.shape, side)))
    monkeypatch.setattr(predict.time, "perf_counter", lambda: next(clock))
    assert predict.pace(MODELS["fcn32s"](3, "tiny", "same")) == 3 / 258**2
    assert calls == [((256, 256, 3), 0)] * 2
