"""PASCAL VOC 2011 or 2012, SBD, and the reference's setting of both: photographs, twenty classes and the background.

VOC:

    VOC2012/JPEGImages/NAME.jpg                   the pictures of all of the challenge's tasks; some have labels:
    VOC2012/SegmentationClass/NAME.png            paletted: 0 background, 1..20 a class, 255 void (the objects' edges)
    VOC2012/ImageSets/Segmentation/train.txt      the splits, each a list of NAMEs, one a line. There may be a test.txt
    VOC2012/ImageSets/Segmentation/val.txt        too, but the labels of its pictures are not public

Given may be this folder, or one of those around it in the archive: VOCdevkit, TrainVal, or where it was unpacked.

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

from pathlib import Path

import numpy as np

from ..errors import InputError
from .matlab import read_variables, struct_of
from .pictures import IGNORE_LABEL, Example, LabelCoding, read_example

CLASSES = (
    "background", "aeroplane", "bicycle", "bird", "boat", "bottle", "bus", "car", "cat", "chair", "cow", "diningtable",
    "dog", "horse", "motorbike", "person", "pottedplant", "sheep", "sofa", "train", "tvmonitor",
)  # fmt: skip
_LONGEST = 1 << 26  # bytes of a .mat file's labels, decompressed; SBD's have a quarter of a million


def palette(n: int) -> np.ndarray:
    """Return VOC's colours of the ids below n <= 256, uint8 (n, 3); entry 255 is the cream of void.

    Bits 0, 3, 6 of the id are the highest bits of red, bits 1, 4, 7 those of green, bits 2, 5 those of blue.
    """
    ids = np.arange(n)[:, None]  # (n, 1)
    bits = [(ids >> 3 * i + np.arange(3) & 1) << 7 - i for i in range(3)]  # each (n, 3)
    return sum(bits).astype(np.uint8)


class _MatCoding(LabelCoding):
    """A LabelCoding that reads .mat files."""

    def read(self, path: Path) -> np.ndarray:
        values = _segmentation(path)
        if values.ndim != 2 or values.dtype.kind not in "ui":
            found = f"{values.dtype} {values.shape}"
            raise InputError(f"{path}: GTcls.Segmentation is {found}, expected integers (H, W); unpack the file again")
        return self.labels_of(path, values)


class _Listed:
    """Pictures in a list, with VOC's classes; see Dataset for the contract. {}: a split's or a picture's name."""

    ignore_label = IGNORE_LABEL
    name: str
    places: tuple[str, ...]  # where in a given folder the set may be
    lists: str
    pictures: str
    labels: str
    coding: LabelCoding

    def __init__(self, folder: Path, split: str):
        (self._root,) = self.roots(folder)[:1]
        self.split, self.classes, self.palette = split, list(CLASSES), palette(len(CLASSES))
        path = self._root / self.lists.format(split)
        lines = path.read_text(encoding="utf-8-sig", errors="replace").splitlines()
        self.names = [line.split()[0] for line in lines if line.strip()]  # other lists of VOC have a number after it
        if not self.names:
            raise InputError(f"{path}: the list is empty; unpack the archive again")

    def __len__(self) -> int:
        return len(self.names)

    def __getitem__(self, index: int) -> Example:
        picture, labels = (self._root / files.format(self.names[index]) for files in (self.pictures, self.labels))
        return read_example(picture, labels, self.coding)

    @classmethod
    def splits(cls, folder: Path) -> list[str]:
        """Return the splits that have a list; none where the layout is another."""
        roots = cls.roots(folder)
        return [split for split in ("train", "val") if roots and (roots[0] / cls.lists.format(split)).is_file()]

    @classmethod
    def roots(cls, folder: Path) -> list[Path]:
        """Return the folders of the set: `folder` itself where it is one, else those in it."""
        places = [folder, *(path for place in cls.places for path in sorted(folder.glob(place)))]
        parts = {Path(files).parent for files in (cls.lists, cls.pictures, cls.labels)}
        found = [path for path in places if all((path / part).is_dir() for part in parts)]
        return found[:1] if folder in found else found


class Voc(_Listed):
    """One split of VOC."""

    name = "voc"
    places = ("VOC20*", "VOCdevkit/VOC20*", "TrainVal/VOCdevkit/VOC20*")
    lists, pictures, labels = "ImageSets/Segmentation/{}.txt", "JPEGImages/{}.jpg", "SegmentationClass/{}.png"
    coding = LabelCoding(CLASSES, palette(len(CLASSES)), "VOC's labels hold 0 to 20 and 255; unpack the file again")

    @classmethod
    def roots(cls, folder: Path) -> list[Path]:
        """The same. Raises InputError where there is more than one year."""
        found = super().roots(folder)
        if len(found) > 1:
            there = " and ".join(str(path.relative_to(folder)) for path in found)
            raise InputError(f"{folder}: holds {there}; give the folder of one of them, or move the others elsewhere")
        return found


class Sbd(_Listed):
    """One split of SBD."""

    name = "sbd"
    places = ("dataset", "benchmark_RELEASE/dataset")
    lists, pictures, labels = "{}.txt", "img/{}.jpg", "cls/{}.mat"
    coding = _MatCoding(CLASSES, remedy="SBD's labels hold 0 to 20; unpack the file again")


def open_both(folder: Path, split: str) -> _Listed:
    """Open a split of the reference's setting. Raises InputError where nothing is left of val."""
    data = train = Sbd(folder, "train")
    if split == "val":
        data, trained_on = Voc(folder, "val"), set(train.names)
        data.names = [name for name in data.names if name not in trained_on]
        if not data.names:
            raise InputError(f"{folder}: all of VOC's val is in SBD's train.txt; unpack both archives again")
    data.name = "voc_sbd"
    return data


def splits_of_both(folder: Path) -> list[str]:
    """Return both splits, or none: val takes both lists, and train is nothing new without val."""
    both = "train" in Sbd.splits(folder) and "val" in Voc.splits(folder)
    return ["train", "val"] if both else []


def _segmentation(path: Path) -> np.ndarray:
    """Return the array GTcls.Segmentation of a .mat file. Raises InputError, which names the file."""
    try:
        variables = read_variables(path.read_bytes(), ("GTcls",), _LONGEST)
    except FileNotFoundError:
        raise InputError(f"{path}: these labels are missing; add the file, or take its name out of the set") from None
    except (InputError, OSError) as error:
        reason = error.strerror if isinstance(error, OSError) else str(error).removesuffix(". Get the file again")
        raise InputError(f"{path}: no GTcls.Segmentation can be read ({reason}); unpack the file again") from error
    values = struct_of(variables.get("GTcls")).get("Segmentation")
    if not isinstance(values, np.ndarray):
        raise InputError(f"{path}: it holds no array GTcls.Segmentation; unpack the file again")
    return values
