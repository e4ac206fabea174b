"""Tiny sets in the folder layout, a tiny trunk, commands run as users run them: what the tests of training share."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from minifcn import checkpoint
from minifcn.errors import command_line
from minifcn.models import Widths

CLASSES = ("ground", "square", "disc")
COLOURS = np.array([(90, 140, 60), (200, 60, 50), (60, 80, 200), (210, 200, 80)], np.uint8)
TINY = Widths((4, 6, 8, 8, 8), 16)  # a step takes milliseconds
VOID = 255

# What a child process needs to train with --trunk tiny; the rest of its code follows.
WITH_TINY = """
import sys
from minifcn import errors, train, trainer
from minifcn.models import TRUNKS, Widths
TRUNKS["tiny"] = Widths((4, 6, 8, 8, 8), 16)
"""


def draw(seed, H=32, W=40, classes=3):
    """A picture uint8 (H, W, 3) of a ground with coloured shapes, and its labels uint8 (H, W), some rows void."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:H, :W]
    labels = np.zeros((H, W), np.uint8)
    for label in range(1, classes):
        cy, cx, r = rng.integers(4, H - 4), rng.integers(4, W - 4), rng.integers(4, 10)
        inside = abs(y - cy) + abs(x - cx) < r if label % 2 == 0 else np.maximum(abs(y - cy), abs(x - cx)) < r - 2
        labels[inside] = label
    picture = COLOURS[labels] + rng.integers(-25, 26, (H, W, 3))
    labels[: rng.integers(0, H // 2)] = VOID  # a share of its own for each picture
    return picture.clip(0, 255).astype(np.uint8), labels


def make_set(root, splits=(("train", 12), ("val", 3), ("test", 3)), classes=CLASSES, size=(32, 40), sizes=None):
    """Write a set in the folder layout and return its path as a string; `sizes` are taken in turn."""
    root = Path(root)
    for folder in ("images", "labels"):
        (root / folder).mkdir(parents=True)
    (root / "classes.txt").write_text("\n".join(classes) + "\n")
    seed = 0
    for split, count in splits:
        names = [f"{split}{i:02}" for i in range(count)]
        (root / f"{split}.txt").write_text("".join(f"{name}\n" for name in names))
        for name in names:
            H, W = sizes[seed % len(sizes)] if sizes else size
            picture, labels = draw(seed, H, W, len(classes))
            Image.fromarray(picture).save(root / "images" / f"{name}.png")
            Image.fromarray(labels).save(root / "labels" / f"{name}.png")
            seed += 1
    return str(root)


def exit_status(main, *argv) -> int:
    """Run a command's main as its command line does; return the exit status."""
    with pytest.raises(SystemExit) as ended:
        command_line(lambda: main([str(argument) for argument in argv]))
    return ended.value.code


def assert_one_error_line(stderr: str) -> str:
    """Exactly one line, the last one, is an error, and there is no traceback; return that line."""
    lines = stderr.replace("\r", "\n").rstrip("\n").split("\n")
    assert [line.startswith("error: ") for line in lines].count(True) == 1 and lines[-1].startswith("error: "), stderr
    assert "Traceback" not in stderr, stderr
    return lines[-1]


def fails(capsys, main, *argv) -> str:
    """A command that must end with exit status 2 and one line on stderr; return that line."""
    capsys.readouterr()
    status = exit_status(main, *argv)
    line = assert_one_error_line(capsys.readouterr().err)
    assert status == 2, line
    return line


def assert_same_tensors(path, expected) -> None:
    """Two checkpoints hold the same tensors, bit for bit, and agree on where the run stands."""
    (tensors, meta), (others, other_meta) = checkpoint.load(path), checkpoint.load(expected)
    assert tensors.keys() == others.keys()
    for name, x in tensors.items():
        assert x.dtype == others[name].dtype and x.shape == others[name].shape, name
        assert x.tobytes() == others[name].tobytes(), f"{path} differs from {expected} in {name}"
    for what in ("step", "epoch", "best_score", "seed", "classes", "preprocessing", "model"):
        assert meta[what] == other_meta[what], what


def assert_same_run(folder, expected) -> None:
    """Two runs of one network ended alike: weights, momenta, best network and log."""
    for name in ("last.safetensors", "best.safetensors"):
        assert_same_tensors(folder / name, expected / name)
    assert (folder / "log.csv").read_bytes() == (expected / "log.csv").read_bytes()
