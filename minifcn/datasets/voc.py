"""PASCAL VOC 2011 or 2012: photographs, twenty classes of objects and the background.

    VOC2012/JPEGImages/NAME.jpg                   the pictures of all of the challenge's tasks; some have labels:
    VOC2012/SegmentationClass/NAME.png            paletted: 0 background, 1..20 a class, 255 void (the objects' edges)
    VOC2012/ImageSets/Segmentation/train.txt      the splits, each a list of NAMEs, one a line. There may be a test.txt
    VOC2012/ImageSets/Segmentation/val.txt        too, but the labels of its pictures are not public

Given may be this folder, or one of those around it in the archive: VOCdevkit, TrainVal, or where it was unpacked.
"""

from pathlib import Path

import numpy as np

from ..errors import InputError
from .pictures import IGNORE_LABEL, LabelCoding, read_example

SPLITS = ("train", "val")
CLASSES = (
    "background",
    "aeroplane",
    "bicycle",
    "bird",
    "boat",
    "bottle",
    "bus",
    "car",
    "cat",
    "chair",
    "cow",
    "diningtable",
    "dog",
    "horse",
    "motorbike",
    "person",
    "pottedplant",
    "sheep",
    "sofa",
    "train",
    "tvmonitor",
)


def palette(n: int) -> np.ndarray:
    """Return VOC's colours of the ids below n <= 256, uint8 (n, 3); entry 255 is the cream of void.

    Bits 0, 3, 6 of the id are the highest bits of red, bits 1, 4, 7 those of green, bits 2, 5 those of blue.
    """
    ids = np.arange(n)[:, None]  # (n, 1)
    bits = [(ids >> 3 * i + np.arange(3) & 1) << 7 - i for i in range(3)]  # each (n, 3)
    return sum(bits).astype(np.uint8)


class Listed:
    """The pictures in a list, with VOC's classes; see Dataset for the contract.

    Args:
        split: its name.
        list_file: names the pictures, one a line.
        pictures, labels: the folders of NAME.jpg and of NAME with `suffix`.
        coding: reads the labels.
    """

    ignore_label = IGNORE_LABEL

    def __init__(self, split: str, list_file: Path, pictures: Path, labels: Path, suffix: str, coding: LabelCoding):
        self.split, self.classes, self.palette = split, list(CLASSES), palette(len(CLASSES))
        self._pictures, self._labels, self._suffix, self._coding = pictures, labels, suffix, coding
        self.names = _read_names(list_file)
        if not self.names:
            raise InputError(f"{list_file}: the list is empty; unpack the archive again")

    def __len__(self) -> int:
        return len(self.names)

    def __getitem__(self, index: int) -> tuple[np.ndarray, np.ndarray]:
        name = self.names[index]
        return read_example(self._pictures / f"{name}.jpg", self._labels / f"{name}{self._suffix}", self._coding)


class Voc(Listed):
    """One split of VOC."""

    name = "voc"

    def __init__(self, folder: str | Path, split: str):
        check_split(folder, split, splits(Path(folder)))
        root = find_root(Path(folder))
        coding = LabelCoding(CLASSES, palette(len(CLASSES)), "VOC's labels hold 0 to 20 and 255; unpack the file again")
        super().__init__(split, _list(root, split), root / "JPEGImages", root / "SegmentationClass", ".png", coding)


def find_root(folder: Path) -> Path | None:
    """Return the folder of VOC that is a folder or in it, None where there is none. InputError: more than one year."""
    if _is_root(folder):
        return folder
    places = (folder, folder / "VOCdevkit", folder / "TrainVal" / "VOCdevkit")
    found = [path for place in places for path in sorted(place.glob("VOC20*")) if _is_root(path)]
    if len(found) > 1:
        there = " and ".join(str(path.relative_to(folder)) for path in found)
        raise InputError(f"{folder}: holds {there}; give the folder of one of them, or move the others elsewhere")
    return found[0] if found else None


def recognised(folder: Path) -> bool:
    """Whether a folder is VOC's, or holds it, with the list of a split."""
    return bool(splits(folder))


def splits(folder: Path) -> list[str]:
    """Return the splits that have a list."""
    root = find_root(folder)
    return [split for split in SPLITS if root and _list(root, split).is_file()]


def check_split(folder: str | Path, split: str, there: list[str]) -> None:
    """InputError unless `split` is among those there."""
    if split not in there:
        hint = "The labels of VOC's test pictures are not public" if split == "test" else f"It takes {split}.txt"
        raise InputError(f"{folder}: no split {split!r}; there are: {', '.join(there) or 'none'}. {hint}")


def _is_root(folder: Path) -> bool:
    parts = ("JPEGImages", "SegmentationClass", "ImageSets/Segmentation")
    return all((folder / part).is_dir() for part in parts)


def _list(root: Path, split: str) -> Path:
    return root / "ImageSets" / "Segmentation" / f"{split}.txt"


def _read_names(path: Path) -> list[str]:
    """The first word of each line; other lists of VOC have a number after it."""
    lines = path.read_text(encoding="utf-8-sig", errors="replace").splitlines()
    return [line.split()[0] for line in lines if line.strip()]
