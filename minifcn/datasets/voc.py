"""PASCAL VOC 2011 or 2012, SBD, and the reference's setting of both: photographs, twenty classes and the background.

VOC:

    VOC2012/JPEGImages/NAME.jpg                   the pictures of all of the challenge's tasks; some have labels:
    VOC2012/SegmentationClass/NAME.png            paletted: 0 background, 1..20 a class, 255 void (the objects' edges)
    VOC2012/ImageSets/Segmentation/train.txt      the splits, each a list of NAMEs, one a line. There may be a test.txt
    VOC2012/ImageSets/Segmentation/val.txt        too, but the labels of its pictures are not public

Given may be this folder, or one of those around it in the archive: VOCdevkit, TrainVal, or where it was unpacked. A
classes.txt in either folder (or what else classes.py reads) says that the classes are others.

SBD, the Semantic Boundaries Dataset (Hariharan et al. 2011), has VOC's classes on many more of VOC's pictures:

    benchmark_RELEASE/dataset/img/NAME.jpg        the pictures, VOC's own
    benchmark_RELEASE/dataset/cls/NAME.mat        a MATLAB struct GTcls; its field Segmentation is uint8 (H, W):
                                                  0 background, 1..20 a class; nothing is void
    benchmark_RELEASE/dataset/train.txt           the splits. They are not VOC's: SBD's training set has pictures of
    benchmark_RELEASE/dataset/val.txt             VOC's validation set

Given may be dataset/, benchmark_RELEASE/, or where that was unpacked.

The reference's setting, where a folder holds both: train on SBD, validate on what VOC's val has beyond SBD's train:

    VOC's val            |------ our val ------|-- left out --|
    SBD's train                                |---------- our train ----------|
    SBD's val     |----- not used -----|

train has 8,498 pictures, with SBD's labels. val has VOC's labels and their void; of VOC 2011 these are the 736 pictures
that the reference calls seg11valid, of another year they are others.
"""

from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import numpy as np

from ..errors import InputError
from .classes import find_classes, read_classes, read_lines
from .dataset import Dataset, from_files, part
from .labels import LabelCoding
from .matlab import read_variables, struct_of
from .pictures import read_bytes, reading, unused

CLASSES = (
    "background", "aeroplane", "bicycle", "bird", "boat", "bottle", "bus", "car", "cat", "chair", "cow", "diningtable",
    "dog", "horse", "motorbike", "person", "pottedplant", "sheep", "sofa", "train", "tvmonitor",
)  # fmt: skip
_LONGEST = 1 << 25  # bytes of a .mat file, also decompressed; SBD's labels have a quarter of a million


def palette(n: int) -> np.ndarray:
    """Return VOC's colours of the ids below n <= 256, uint8 (n, 3); entry 255 is the cream of void.

    Bits 0, 3, 6 of the id are the highest bits of red, bits 1, 4, 7 those of green, bits 2, 5 those of blue.
    """
    ids = np.arange(n)[:, None]  # (n, 1)
    bits = [(ids >> 3 * i + np.arange(3) & 1) << 7 - i for i in range(3)]  # each (n, 3)
    return sum(bits).astype(np.uint8)


class _MatCoding(LabelCoding):
    """A LabelCoding that reads .mat files."""

    def read(self, path: Path) -> tuple[np.ndarray, int]:
        with reading(path, "label file", "unpack it again"):
            variables = read_variables(read_bytes(path, _LONGEST), ("GTcls",), _LONGEST)
            values = np.asarray(struct_of(variables.get("GTcls")).get("Segmentation"))
            if values.ndim != 2 or values.dtype.kind not in "ui":
                raise InputError(f"expected integers (H, W) as Segmentation, received {values.dtype} {values.shape}")
        return self.labels_of(path, values), 1


class Archive(NamedTuple):
    """A set with VOC's classes whose splits are lists of pictures. {}: a split's or a picture's name."""

    name: str
    places: tuple[str, ...]  # where in a given folder the set may be
    lists: str
    pictures: str
    labels: str
    coding: LabelCoding

    def root(self, folder: Path) -> tuple[Path | None, Path | None]:
        """Return the folder of the set, `folder` itself or the one in it, and the list of classes if they are one's own
        (SBD's files know its own alone). Raises InputError where there are more such folders."""
        parts = {Path(files).parent for files in (self.lists, self.pictures, self.labels)}
        places = [folder, *(path for place in self.places for path in sorted(folder.glob(place)))]
        found = [path for path in places if all((path / part).is_dir() for part in parts)]
        if len(found) > 1 and folder not in found:
            there = " and ".join(str(path.relative_to(folder)) for path in found)
            raise InputError(f"{folder}: holds {there}; give the folder of one of them, or move the others elsewhere")
        own = find_classes(folder, *found[:1]) if found and self.name == "voc" else None
        return (found[0] if found else None), own

    def splits(self, folder: Path) -> list[str]:
        """Return the splits that have a list; none where the layout is another."""
        root, classes = self.root(folder)
        known = ("train", "val", "test")[: 3 if classes else 2]
        return [split for split in known if root and (root / self.lists.format(split)).is_file()]

    def open(self, folder: Path, split: str) -> Dataset:
        """Open one of its splits."""
        root, classes = self.root(folder)
        files = self.files(root, split)
        if not classes:
            return from_files(self.name, split, self.coding, files)
        of_set = {name: pair for other in self.splits(folder) for name, pair in self.files(root, other).items()}
        notes = unused((root / self.labels).parent, [labels for _, labels in of_set.values()])
        return from_files(root.resolve().name, split, read_classes(classes).for_set(of_set.values(), notes), files)

    def files(self, root: Path, split: str) -> dict[str, tuple[Path, Path]]:
        """The pictures and label files in the list of a split, by name."""
        path = root / self.lists.format(split)
        names = [line.split()[0] for _, line in read_lines(path)]  # other lists of VOC have a number after it
        if not names:
            raise InputError(f"{path}: the list is empty; unpack the archive again")
        return {name: (root / self.pictures.format(name), root / self.labels.format(name)) for name in names}


VOC = Archive(
    "voc",
    ("VOC20*", "VOCdevkit/VOC20*", "TrainVal/VOCdevkit/VOC20*"),
    *("ImageSets/Segmentation/{}.txt", "JPEGImages/{}.jpg", "SegmentationClass/{}.png"),
    LabelCoding(CLASSES, palette(len(CLASSES)), "VOC's labels hold 0 to 20 and 255; unpack the file again"),
)
SBD = Archive(
    "sbd",
    ("dataset", "benchmark_RELEASE/dataset"),
    *("{}.txt", "img/{}.jpg", "cls/{}.mat"),
    _MatCoding(CLASSES, palette(len(CLASSES)), "SBD's labels hold 0 to 20; unpack the file again"),
)


def open_both(folder: Path, split: str) -> Dataset:
    """Open a split of the reference's setting. Raises InputError where nothing is left of val."""
    data = train = SBD.open(folder, "train")
    if split == "val":
        val, trained_on = VOC.open(folder, "val"), set(train.names)
        data = part(val, [i for i, name in enumerate(val.names) if name not in trained_on])
        if not data.names:
            raise InputError(f"{folder}: all of VOC's val is in SBD's train.txt; unpack both archives again")
    return replace(data, name="voc_sbd")


def splits_of_both(folder: Path) -> list[str]:
    """Return both splits, or none: val takes both lists, and train is nothing new without val."""
    both = "train" in SBD.splits(folder) and "val" in VOC.splits(folder)
    return ["train", "val"] if both else []
