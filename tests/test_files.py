"""No command writes over what it reads, nor, without --overwrite, over what minifcn did not make."""

import os
from pathlib import Path

import numpy as np
import pytest
from commands import evaluate, predict
from PIL import Image
from small_checkpoint import make_checkpoint
from small_data import draw, exit_status, fails, make_set

from minifcn.errors import InputError
from minifcn.files import LOCK, MARK, alone_in, atomic_file, check_replaceable, is_ours

pytestmark = pytest.mark.usefixtures("tiny_trunk")


def contents(folder):
    return {path: path.read_bytes() for path in Path(folder).rglob("*") if path.is_file()}


@pytest.fixture
def there(tmp_path, monkeypatch):
    """A checkpoint, a data set, a folder of photographs in which a.png is somebody's. It is worked in."""
    monkeypatch.chdir(tmp_path)
    make_checkpoint(tmp_path / "net.safetensors", "fcn32s")
    make_set(tmp_path / "shapes", [("test", 3)])
    for name in ("hol/a.jpg", "hol/b.jpg"):
        Path(name).parent.mkdir(exist_ok=True)
        Image.fromarray(draw(1, 20, 24)[0]).save(name)
    return tmp_path


# --- the rule ---


@pytest.mark.parametrize("head, ours", [(b"", True), (b"x" * 4000, True), (b"x" * 4096, False)])
def test_what_bears_the_mark_may_be_made_again(head, ours, tmp_path):
    (tmp_path / "a").write_bytes(head + MARK.encode())
    assert is_ours(tmp_path / "a") == ours
    check_replaceable([tmp_path / "a"], overwrite=not ours)
    check_replaceable([tmp_path / "new"], [tmp_path / "a"])
    if not ours:
        with pytest.raises(InputError, match=r"a: is there, and not made by minifcn; .* --overwrite"):
            check_replaceable([tmp_path / "a"])


@pytest.mark.parametrize("link", [os.symlink, os.link])
def test_an_input_stays_under_any_name(link, tmp_path):
    (tmp_path / "a").write_text(MARK)
    try:
        link(tmp_path / "a", tmp_path / "b")
    except OSError:
        pytest.skip("no links")
    for target in ("a", "b"):
        with pytest.raises(InputError, match=f"{target}: would overwrite .*a, which is read"):
            check_replaceable([tmp_path / target], [tmp_path / "a"], overwrite=True)


def test_a_folder_is_no_target(tmp_path):
    with pytest.raises(OSError, match="not a regular file"):
        check_replaceable([tmp_path], overwrite=True)


def test_a_half_written_file_has_a_name_that_no_input_has(tmp_path):
    """Nor is one lost that an earlier kill has left under the file's name and .tmp: it may be somebody's."""
    (tmp_path / "a.tmp").write_text("somebody's")
    with atomic_file(tmp_path / "a") as file:
        assert {path.name for path in tmp_path.iterdir()} == {"a.tmp", ".a.tmp"}
        file.write(b"ours")
    assert contents(tmp_path) == {tmp_path / "a": b"ours", tmp_path / "a.tmp": b"somebody's"}


def test_predict_keeps_a_checkpoint_called_tmp(there):
    Path("out").mkdir()
    Path("net.safetensors").rename("out/gallery.html.tmp")
    assert exit_status(predict.main, "out/gallery.html.tmp", "hol", "--out", "out", "--page") == 0
    assert exit_status(predict.main, "out/gallery.html.tmp", "hol", "--out", "out", "--page") == 0


@pytest.mark.skipif(os.name != "posix", reason="links")
def test_no_link_that_lies_there_is_followed(tmp_path):
    """Neither one under a half-written file's name, nor one under a lock's."""
    (tmp_path / "run").mkdir()
    for link, name in ((os.symlink, "a"), (os.link, "b")):
        (tmp_path / name).write_text("precious")
        link(tmp_path / name, tmp_path / "run" / ".q.png.tmp")
        with atomic_file(tmp_path / "run" / "q.png") as file:
            file.write(b"ours")
        link(tmp_path / name, tmp_path / "run" / LOCK)
        with pytest.raises(InputError, match="a link, not a lock"), alone_in(tmp_path / "run"):
            pytest.fail("worked in it")
        (tmp_path / "run" / LOCK).unlink()
        assert contents(tmp_path) == {tmp_path / name: b"precious", tmp_path / "run" / "q.png": b"ours"}
        (tmp_path / name).unlink()


# --- evaluate ---


@pytest.mark.parametrize("more", [[], ["--overwrite"]])
@pytest.mark.parametrize("out", ["net.safetensors", "./hol/../net.safetensors", "shapes/classes.txt"])
def test_evaluate_keeps_what_it_reads(out, more, there, capsys):
    before = contents(there)
    line = fails(capsys, evaluate.main, "net.safetensors", "--data", "shapes", "--out", out, *more)
    assert line.startswith(f"error: {Path(out)}: would overwrite ") and contents(there) == before


@pytest.mark.parametrize("name", ["s.json", "s_worst.png", "s_confusion.png"])
def test_evaluate_replaces_its_own_files_alone(name, there, capsys):
    options = ["net.safetensors", "--data", "shapes", "--worst", 2, "--out", "s.json"]
    Path(name).write_text("somebody's")
    assert f"error: {name}: is there, and not made by minifcn" in fails(capsys, evaluate.main, *options)
    assert Path(name).read_text() == "somebody's" and not [*Path(".").glob("s[._]*")][1:]
    assert exit_status(evaluate.main, *options, "--overwrite") == 0
    written = contents(".")
    assert exit_status(evaluate.main, *options) == 0 and contents(".") == written
    assert all(is_ours(name) for name in ("s.json", "s_worst.png", "s_confusion.png"))


@pytest.mark.skipif(os.name != "posix", reason="links")
def test_evaluate_keeps_labels_that_lie_behind_a_link(there, capsys):
    Path("shapes").rename("real")
    Path("shapes").mkdir()
    for path in Path("real").iterdir():
        Path("shapes", path.name).symlink_to(path.resolve())
    label = next(path for path in Path("real").rglob("*.png") if "labels" in path.parts)
    label = label.rename(label.with_name("p_worst.png"))
    options = ["--data", "shapes", "--worst", 1, "--out", label.with_name("p.json"), "--overwrite"]
    assert "which is read" in fails(capsys, evaluate.main, "net.safetensors", *options)


def test_evaluate_again_into_the_data_sets_folder(there):
    for _ in range(2):
        options = ["--data", "shapes", "--worst", 1, "--out", "shapes/scores.json"]
        assert exit_status(evaluate.main, "net.safetensors", *options) == 0


@pytest.mark.parametrize("name", ["config.json", "metrics.json", "last.safetensors"])
def test_a_runs_own_files_are_not_evaluates(name, there, capsys):
    """They say by what version they were written, but cannot be made again so easily."""
    (there / "run").mkdir()
    make_checkpoint(there / "run" / name) if name.endswith("s") else Path("run", name).write_text('{"minifcn": "1"}')
    assert "is there" in fails(capsys, evaluate.main, "net.safetensors", "--data", "shapes", "--out", f"run/{name}")


# --- predict ---


@pytest.mark.parametrize("name", ["a.png", "a_overlay.png", "a_compare.png", "gallery.html"])
def test_predict_replaces_its_own_files_alone(name, there, capsys):
    labels = Image.fromarray(np.zeros((20, 24), np.uint8))
    Path("labels").mkdir()
    labels.save("labels/a.png")
    options = ["net.safetensors", "hol/a.jpg", "--out", "hol", "--compare", "labels", "--page"]
    Path("hol", name).write_text("somebody's")
    assert f"error: {Path('hol', name)}: is there, and not made by" in fails(capsys, predict.main, *options)
    assert Path("hol", name).read_text() == "somebody's" and len([*Path("hol").iterdir()]) == 3
    assert exit_status(predict.main, *options, "--overwrite") == 0
    for _ in range(2):
        assert exit_status(predict.main, *options) == 0
    assert all(is_ours(path) for path in Path("hol").iterdir() if path.suffix != ".jpg")


def test_predict_again_into_the_folder_of_the_pictures(there, capsys):
    """What it wrote there is no picture the second time, and is not made again."""
    for lines in (2, 0):
        assert exit_status(predict.main, "net.safetensors", "hol", "--out", "hol") == 0
        assert len(capsys.readouterr().out.splitlines()) == lines
    assert {path.name for path in Path("hol").glob("*.png")} == {"a.png", "a_overlay.png", "b.png", "b_overlay.png"}


@pytest.mark.parametrize("more", [[], ["--overwrite"]])
def test_predict_keeps_what_it_reads(more, there, capsys):
    Path("net.safetensors").rename("hol/a.png")
    before = contents(there)
    line = fails(capsys, predict.main, "hol/a.png", "hol/a.jpg", "--out", "hol", *more)
    assert (
        "hol/a.png: would overwrite hol/a.png, which is read" in line.replace("\\", "/") and contents(there) == before
    )
