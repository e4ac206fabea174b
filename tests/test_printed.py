"""What a name holds never moves a terminal's cursor, forges a line, leaves --out, or hides which file it was."""

import re
import sys
from pathlib import Path

import numpy as np
import pytest
from commands import evaluate, predict
from PIL import Image
from small_checkpoint import make_checkpoint
from small_data import draw, exit_status, fails, make_set

import minifcn
from minifcn import pretrain, train
from minifcn.errors import printable, say
from minifcn.metrics import ConfusionMatrix
from minifcn.training import evaluation

pytestmark = pytest.mark.usefixtures("tiny_trunk")

NASTY = "a\x1b[2J\nerror: b\u202e\udcff"
SHOWN = r"a\x1b[2J\nerror: b\u202e\udcff"


@pytest.mark.parametrize("text", ["", "straße 水 عربى 😀.jpg", "a b"])
def test_letters_of_all_scripts_stay(text):
    assert printable(text) == text and printable(Path(text)) == str(Path(text))


def test_what_is_no_letter_is_written_out():
    assert printable(NASTY) == SHOWN and printable("\0\t\r\x7f\x9b") == r"\x00\t\r\x7f\x9b"


def test_what_names_are_in_is_printed_by_say_alone():
    root = Path(minifcn.__file__).parents[1]
    modules = "command evaluate figures files gallery predict pretrain train training/*"
    files = [path for name in modules.split() for path in root.glob(f"minifcn/{name}.py")]
    for path in (*files, *root.glob("experiments/table1/*.py")):
        assert not re.search(r"\bprint\(|tqdm\.write\((?!printable)", path.read_text("utf-8")), path


def test_say_prints_each_part_in_one_line(capsys):
    say(NASTY, Path("b"), "", file=sys.stderr)
    say("c")
    assert capsys.readouterr() == ("c\n", f"{SHOWN}\nb\n\n")


def test_a_table_of_nasty_classes():
    counts = ConfusionMatrix(2)
    counts.update(np.zeros((2, 2), np.uint8), np.zeros((2, 2), np.uint8))
    table = counts.table([NASTY, "b"])
    assert len(table.splitlines()) == 10 and "\x1b" not in table and table.count(SHOWN) == 2


@pytest.fixture
def nasty(tmp_path, monkeypatch):
    """A checkpoint, and photographs with nasty names. It is worked in."""
    monkeypatch.chdir(tmp_path)
    make_checkpoint(tmp_path / "net.safetensors", "fcn32s")
    name = NASTY.replace("\udcff", "")
    try:
        Path("hol").mkdir()
        Image.fromarray(draw(1, 20, 24)[0]).save(Path("hol", f"{name}.jpg"), "jpeg")
        for what in ("bad.jpg", "text"):
            Path("hol", name + what).write_text("no picture")
    except OSError:
        pytest.skip("no such names here")
    return name


def test_predict_prints_no_names_raw(nasty, capsys):
    status = exit_status(predict.main, "net.safetensors", "hol", "--page")
    said = capsys.readouterr()
    assert status == 1 and "\x1b" not in said.out + said.err and "\u202e" not in said.out + said.err
    lines = said.out.splitlines()
    assert len(lines) == 2 and lines[0].startswith(str(Path("hol", printable(nasty))))
    assert len(said.err.splitlines()) == 2


@pytest.mark.parametrize("main", [predict.main, evaluate.main, train.main, pretrain.main])
def test_errors_print_no_names_raw(main, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert exit_status(main, f"--{NASTY}") == 2
    assert exit_status(main, NASTY, "--data", NASTY) == 2
    assert "\x1b" not in capsys.readouterr().err


@pytest.mark.parametrize("name", ["", ".", "..", "../x", "a/b", "a/", "/x", "a\nb", "\x1b[2J"])
@pytest.mark.parametrize("main", [train.main, pretrain.main])
def test_a_run_stays_below_out(main, name, tmp_path, capsys):
    line = fails(capsys, main, "--name", name, "--out", tmp_path / "runs", "--data", tmp_path)
    assert line.startswith("error: --name: expected a folder's name, without a path, received")
    assert [*tmp_path.iterdir()] == []


def test_a_picture_too_large_for_the_memory_is_named(tmp_path, monkeypatch, capsys):
    """Whether reading it or the network takes too much."""
    data = make_set(tmp_path / "shapes", [("test", 3)])
    make_checkpoint(tmp_path / "net.safetensors", "fcn32s")
    real, calls = evaluation.segment, []

    def large(*given):
        if calls:
            raise MemoryError("Unable to allocate 20 GiB")
        calls.append(1)
        return real(*given)

    monkeypatch.setattr(evaluation, "segment", large)
    line = fails(capsys, evaluate.main, tmp_path / "net.safetensors", "--data", data)
    assert line.startswith("error: out of memory (test01: Unable to allocate 20 GiB): use smaller pictures")
    monkeypatch.setattr("minifcn.datasets.dataset.read_example", lambda *_: large())
    line = fails(capsys, evaluate.main, tmp_path / "net.safetensors", "--data", data)
    assert line.startswith("error: out of memory (test00: Unable to allocate 20 GiB): use")
