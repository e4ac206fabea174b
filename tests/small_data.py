"""Tiny sets in the folder layout, a tiny trunk, commands run as users run them: what the tests of training share.

make_voc and make_sbd write sets in the exact layouts of PASCAL VOC and of SBD, make_pictures classified pictures in
those of ImageNet and Tiny ImageNet.
"""

import csv
import zipfile
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from minifcn import pretrain, train
from minifcn.command import command_line
from minifcn.models import Widths
from minifcn.training.segmentation import Segmentation
from minifcn.training.settings import ClassificationSettings, SegmentationSettings
from minifcn.training.task import open_run
from minifcn.weights import checkpoint

CLASSES = ("ground", "square", "disc")
COLOURS = np.array([(90, 140, 60), (200, 60, 50), (60, 80, 200), (210, 200, 80)], np.uint8)
TINY = Widths((4, 6, 8, 8, 8), 16)  # a step takes milliseconds
VOID = 255
VOC_IDS = np.array([0, 1, 15, 20], np.uint8)  # the classes in make_voc and make_sbd: the first two, person, the last

# What a child process needs to train with --trunk tiny; the rest of its code follows.
WITH_TINY = """
import sys
from minifcn import command, train
from minifcn.training import loop
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


def voc_example(name):
    """The picture and labels that make_voc and make_sbd give to a name, with void, of a size of its own."""
    seed = zlib.crc32(name.encode())
    picture, drawn = draw(seed, 32 + seed % 5, 40 + seed % 7, classes=4)
    labels = np.where(drawn == VOID, VOID, VOC_IDS[drawn % 4]).astype(np.uint8)
    labels[0, :3] = VOID
    return picture, labels


def voc_colours():
    """VOC's colours of the 256 values, as its development kit makes them, bit by bit."""
    colours = []
    for value in range(256):
        red = green = blue = 0
        for bit in range(8):
            red, value = red | (value & 1) << (7 - bit), value >> 1
            green, value = green | (value & 1) << (7 - bit), value >> 1
            blue, value = blue | (value & 1) << (7 - bit), value >> 1
        colours.append((red, green, blue))
    return colours


def make_voc(root, lists):
    """Write a folder such as VOCdevkit/VOC2012 with the pictures in `lists`, names by split; return it."""
    root = Path(root)
    for folder in ("Annotations", "ImageSets/Segmentation", "JPEGImages", "SegmentationClass", "SegmentationObject"):
        (root / folder).mkdir(parents=True)
    for split, names in lists.items():
        (root / "ImageSets" / "Segmentation" / f"{split}.txt").write_text("".join(f"{name}\n" for name in names))
        for name in names:
            picture, labels = voc_example(name)
            Image.fromarray(picture).save(root / "JPEGImages" / f"{name}.jpg", quality=95)
            save_voc_labels(root / "SegmentationClass" / f"{name}.png", labels)
    return root


def save_voc_labels(path, labels, colours=None):
    image = Image.fromarray(labels)
    image.putpalette(np.array(colours or voc_colours(), np.uint8).tobytes())
    image.save(path)


def make_sbd(root, lists):
    """Write a folder such as benchmark_RELEASE/dataset with the pictures in `lists`, names by split; return it."""
    root = Path(root)
    for folder in ("img", "cls", "inst"):
        (root / folder).mkdir(parents=True)
    for split, names in lists.items():
        (root / f"{split}.txt").write_text("".join(f"{name}\n" for name in names))
        for name in names:
            picture, labels = voc_example(name)
            Image.fromarray(picture).save(root / "img" / f"{name}.jpg", quality=95)
            labels[labels == VOID] = 0  # SBD knows no void
            save_sbd_labels(root / "cls" / f"{name}.mat", labels)
            save_sbd_labels(root / "inst" / f"{name}.mat", (labels > 0).astype(np.uint8), "GTinst")
    return root


def save_sbd_labels(path, labels, struct="GTcls"):
    """Write a .mat file with the fields of SBD's: sparse boundaries of each value, the labels, and the values there."""
    import scipy.io  # only here: most tests do without
    import scipy.sparse

    boundaries = np.empty((20, 1), object)
    for k in range(20):
        boundaries[k, 0] = scipy.sparse.csc_matrix(np.diff(labels.reshape(len(labels), -1) == k + 1, prepend=0) != 0)
    there = "CategoriesPresent" if struct == "GTcls" else "Categories"
    fields = {"Boundaries": boundaries, "Segmentation": labels, there: np.unique(labels[labels > 0])[:, None]}
    scipy.io.savemat(path, {struct: fields}, do_compression=True)


COLOUR_CLASSES = ("blue", "green", "red")  # in order of name
PURE = np.array([(40, 60, 200), (50, 170, 60), (200, 50, 40)], np.uint8)


def class_picture(label, seed, size):
    """A noisy picture uint8 (H, W, 3) of a class's colour."""
    noise = np.random.default_rng((label, seed)).integers(-35, 36, (*size, 3))
    return (PURE[label % 3] + noise).clip(0, 255).astype(np.uint8)


def make_pictures(root, layout="imagenet", counts=(("train", 6), ("val", 2)), classes=COLOUR_CLASSES, size=(30, 36)):
    """Write classified pictures, so many of each class in a split, in the layout "imagenet" or "tiny"; return it."""
    root, lines = Path(root), []
    for split, count in counts:
        for label, name in enumerate(classes):
            for i in range(count):
                image = Image.fromarray(class_picture(label, i if split == "train" else 1000 + i, size))
                if layout == "imagenet":
                    path = root / split / name / f"{split}_{i:02}.png"
                elif split == "train":
                    path = root / "train" / name / "images" / f"{name}_{i}.JPEG"
                else:
                    path = root / "val" / "images" / f"val_{3 * i + label}.JPEG"  # in another order than the classes
                    lines.append(f"{path.name}\t{name}\t0\t0\t{size[1] - 1}\t{size[0] - 1}\n")
                path.parent.mkdir(parents=True, exist_ok=True)
                image.save(path, quality=95)
    if layout == "tiny":
        (root / "words.txt").write_text("".join(f"{name}\t{name}, a colour\n" for name in classes))
        (root / "val" / "val_annotations.txt").write_text("".join(sorted(lines)))
    return root


def zipped(folder, path, inside="", folders=True):
    """Pack what is in a folder, in no order, as `inside` in a zip; folders: with entries for those too. Return it."""
    entries = sorted(Path(folder).rglob("*"), key=lambda entry: zlib.crc32(str(entry.relative_to(folder)).encode()))
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for entry in entries:
            if folders or entry.is_file():
                archive.write(entry, f"{inside}{entry.relative_to(folder).as_posix()}")
    return path


def planned(argv) -> list[SegmentationSettings]:
    """The settings of each network that a command line of minifcn.train would train."""
    return train.plan(*train.options(argv))[0]


def pretrain_planned(argv) -> ClassificationSettings:
    """The settings that a command line of minifcn.pretrain would train with."""
    [settings] = pretrain.plan(*pretrain.options(argv))[0]
    return settings


class NoStop:
    requested = False


def train_run(folder, data, **settings):
    """Train without drawing; return the run."""
    folder.mkdir()
    defaults = {"model": "fcn32s", "steps": 6, "trunk": "tiny", "batch": 4, "dropout": 0.5, "lr": 0.05}
    defaults |= {"seed": 3, "val_every": 0, "warmup": 0, "clip": 0.0}
    run = open_run(Segmentation, folder, SegmentationSettings(data=data, **defaults | settings))
    run.train(NoStop)
    return run


def losses(run):
    return np.array([row["loss"] for row in run.log])


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


def read_rows(path):
    """The rows of a log.csv."""
    with open(path, newline="") as file:
        return list(csv.DictReader(file))


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
