"""Which pictures predict takes from files, folders and patterns; where masks go; what is done with bad pictures."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from commands import predict
from PIL import Image
from small_checkpoint import make_checkpoint
from small_data import draw, exit_status, fails

from minifcn.training import evaluation

pytestmark = pytest.mark.usefixtures("tiny_trunk")


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    return make_checkpoint(tmp_path_factory.mktemp("checkpoint") / "best.safetensors")


@pytest.fixture
def holiday(tmp_path, monkeypatch):
    """Pictures in sub-folders, two of one name, among other files; the working folder is the one above."""
    monkeypatch.chdir(tmp_path)
    for i, name in enumerate(
        ["a.jpg", "day 1/a.JPG", "day 1/b.c.png", "day[2]/far/a.tif", ".hidden.png", ".git/x.png"]
    ):
        place = tmp_path / "holiday" / name
        place.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(draw(i, 20, 24 + i)[0]).save(place)
    for name in ("notes.txt", "day 1/film.mp4", ".DS_Store"):
        (tmp_path / "holiday" / name).write_text("no picture")
    return tmp_path / "holiday"


def masks(out):
    return sorted(p.relative_to(out).as_posix() for p in Path(out).rglob("*.png") if not p.stem.endswith("_overlay"))


def run(capsys, *argv):
    """The exit status, and the lines on stdout and on stderr."""
    status = exit_status(predict.main, *argv)
    said = capsys.readouterr()
    return status, said.out.splitlines(), said.err.splitlines()


# --- which ---


def test_a_folder_is_walked_and_its_folders_kept(path, holiday, capsys):
    status, out, err = run(capsys, path, "holiday", "--out", "masks")
    assert status == 0 and masks("masks") == ["a.png", "day 1/a.png", "day 1/b.c.png", "day[2]/far/a.png"]
    assert [line.split(": ")[0] for line in out] == [
        str(Path("holiday", *name))
        for name in (["a.jpg"], ["day 1", "a.JPG"], ["day 1", "b.c.png"], ["day[2]", "far", "a.tif"])
    ]
    assert err == [f"left out, as no picture: 2 files, the first: {Path('holiday', 'day 1', 'film.mp4')}"]
    with Image.open("masks/day[2]/far/a.png") as mask:
        assert mask.size == (27, 20)


@pytest.mark.parametrize(
    "pattern, found",
    [
        ("holiday/*.jpg", ["a.png"]),
        ("holiday/*", ["a.png"]),
        ("holiday/**", ["a.png", "day 1/a.png", "day 1/b.c.png", "day[2]/far/a.png"]),
        ("holiday/**/*.JPG", ["day 1/a.png"]),
        ("h?liday/day 1/*.[Jp]*", ["holiday/day 1/a.png", "holiday/day 1/b.c.png"]),
        ("holiday/day[2]", ["far/a.png"]),  # a folder of that very name
    ],
)
def test_patterns_that_no_shell_expanded(pattern, found, path, holiday, capsys):
    assert run(capsys, path, pattern, "--out", "masks")[0] == 0 and masks("masks") == found


def test_files_folders_and_patterns_together(path, holiday, capsys):
    """A picture that is given twice is segmented once; a file is taken whatever it is called."""
    Path("holiday/a.jpg").rename("holiday/.photo")
    given = ["holiday/.photo", "holiday/day 1", "holiday/day 1/b.c.png", "holiday/day 1/*.png", "holiday/day[2]/far"]
    assert "would overwrite" in fails(capsys, predict.main, path, *given, "--out", "masks")  # two called a
    status, out, _ = run(capsys, path, *given[:-1], "--out", "masks")
    assert status == 0 and len(out) == 3 and masks("masks") == [".photo.png", "a.png", "b.c.png"]


def test_what_an_earlier_call_wrote_is_no_picture(path, holiday, capsys):
    """Where --out is below the folder; else it may well be a folder of pictures."""
    for _ in range(2):
        assert run(capsys, path, ".", "--out", "holiday/masks")[0] == 0
        assert len(masks("holiday/masks")) == 4
        assert run(capsys, path, "**", "--out", "holiday/masks")[0] == 0
        assert len(masks("holiday/masks")) == 4
    for overlay in Path("holiday/masks").rglob("*_overlay.png"):
        overlay.unlink()
    assert run(capsys, path, "holiday/masks", "--out", "again")[0] == 0 and len(masks("again")) == 4


def test_masks_beside_their_pictures_are_none(path, holiday, capsys):
    """But for one that stands alone, or is given by name."""
    for name in ("a_mask.png", "day 1/b.c_mask.png", "alone_mask.png"):
        Image.fromarray(draw(9, 20, 24)[1]).save(holiday / name)
    status, out, err = run(capsys, path, "holiday", "--out", "masks")
    assert status == 0 and len(out) == 5 and "alone_mask.png" in masks("masks")
    assert err == [f"left out, as no picture: 4 files, the first: {Path('holiday', 'a_mask.png')}"]
    assert run(capsys, path, "holiday/a_mask.png", "--out", "given")[0] == 0 and masks("given") == ["a_mask.png"]


def test_links_in_a_circle(path, holiday, capsys):
    try:
        os.symlink(holiday, holiday / "day 1" / "again")
    except OSError:
        pytest.skip("no symbolic links")
    assert run(capsys, path, "holiday", "--out", "masks")[0] == 0 and len(masks("masks")) == 4


@pytest.mark.parametrize(
    "given, told",
    [
        ("https://example.org/a.jpg", "a URL; download it first"),
        ("file:///photos/a.jpg", "a URL; download it first"),
        ("nowhere.jpg", "no picture is there; give a file (.png, .jpg, ...), or a folder"),
        ("holiday/*.gif", "no picture is there"),
        ("holiday/*.txt", "no picture is there"),
        ("holiday/.git", None),
        ("empty", "no picture is there"),
        ("holiday/notes.txt/a.jpg", "no picture is there"),
    ],
)
def test_nothing_to_segment(given, told, path, holiday, capsys):
    Path("empty").mkdir()
    if told is None:  # a hidden folder that is asked for
        assert run(capsys, path, given)[0] == 0
        return
    line = fails(capsys, predict.main, path, "holiday/a.jpg", given)
    assert line.startswith(f"error: {given}: ") and told in line
    assert not Path("predictions").exists()


# --- targets ---


def test_nothing_is_overwritten(path, holiday, capsys):
    Path("labels").mkdir()
    for folder, names in (("holiday", ["a.png"]), ("labels", ["a.png"]), (".", ["a_overlay.tif"])):
        for name in names:
            Image.fromarray(draw(3, 20, 24)[1]).save(Path(folder, name))
    for given in (
        ["holiday", "--out", "masks"],  # a.jpg and a.png
        ["holiday/a.jpg", "holiday/day 1/a.JPG", "--out", "masks"],
        ["holiday/a.jpg", "a_overlay.tif", "--out", "masks"],
        ["holiday/a.jpg", "holiday/a.png", "--out", "holiday"],
        ["holiday/a.jpg", "--compare", "labels", "--out", "labels"],
        ["holiday/a.jpg", "--compare", "labels/a.png", "--out", "labels"],
    ):
        assert "would overwrite " in fails(capsys, predict.main, path, *given), given
        assert not Path("masks").exists()
    with Image.open("labels/a.png") as labels:
        np.testing.assert_array_equal(np.array(labels), draw(3, 20, 24)[1])


# --- bad pictures ---


def test_bad_pictures_in_the_middle(path, holiday, capsys):
    """The others are done, and all that is wrong is told at the end: once, where it is the same."""
    for name in ("a0.png", "day 1/a0.png"):
        (holiday / name).write_text("not a picture")
    whole = (holiday / "a.jpg").read_bytes()
    (holiday / "a1.jpg").write_bytes(whole[: len(whole) // 2])
    status, out, err = run(capsys, path, "holiday", "--out", "masks")
    assert status == 1 and len(out) == 4 and len(masks("masks")) == 4
    assert len(err) == 3 and err[0].startswith("left out")
    first, second = Path("holiday/a0.png"), Path("holiday/day 1/a0.png")
    assert err[1].startswith(f"error: {first}, {second}: unreadable picture (cannot identify image file")
    assert err[2].startswith(f"error: {Path('holiday/a1.jpg')}: unreadable picture (")


def test_nothing_but_bad_pictures(path, holiday, capsys):
    (holiday / "a.jpg").write_text("not a picture")
    status, out, err = run(capsys, path, "holiday/a.jpg", "--page")
    assert status == 2 and out == [f"wrote {Path('predictions', 'gallery.html')}"] and len(err) == 1
    assert masks("predictions") == []


def test_a_picture_too_large_for_the_memory_is_a_bad_one(path, holiday, capsys, monkeypatch):
    real = evaluation.classify

    def small(model, x, look=None):
        if x.shape[2] > 24:
            raise MemoryError("Unable to allocate 20 GiB")
        return real(model, x, look)

    monkeypatch.setattr(evaluation, "classify", small)
    status, out, err = run(capsys, path, "holiday", "--out", "masks")
    assert status == 1 and masks("masks") == ["a.png"] and len(out) == 1 and len(err) == 2
    last = Path("holiday", "day[2]", "far", "a.tif")
    assert f"{last}: out of memory (Unable to allocate 20 GiB): use smaller pictures (--side" in err[1]


def test_a_disk_that_is_full_ends_it(path, holiday, capsys, monkeypatch):
    """As every other picture would fail alike."""

    def full(*_):
        raise OSError(28, "No space left on device", "masks/a.png")

    monkeypatch.setattr(predict.figures, "save_overlay", full)
    assert "masks/a.png: No space left on device" in fails(capsys, predict.main, path, "holiday", "--out", "masks")


def test_head_takes_the_first_line(holiday):
    """A real pipe, from the shell to head, where there are both."""
    if os.name != "posix":
        pytest.skip("no shell")
    command = f"{sys.executable} -m minifcn.predict --model camvid holiday --side 32 --out masks 2> said | head -1"
    child = subprocess.run(["bash", "-o", "pipefail", "-c", command], capture_output=True, text=True, timeout=120)
    assert child.returncode == 0 and len(child.stdout.splitlines()) == 1
    assert len(masks("masks")) == 4 and Path("said").read_text().startswith("left out, as no picture: 2 files")
