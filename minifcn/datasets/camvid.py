"""CamVid in the layout of the SegNet tutorial: 480x360 frames of a drive, eleven classes.

    DIR/train/NAME.png       DIR/val/NAME.png       DIR/test/NAME.png          the pictures (.png, .jpg or .jpeg)
    DIR/trainannot/NAME.png  DIR/valannot/NAME.png  DIR/testannot/NAME.png     one byte a pixel: 0..10 a class, 11 void

A split is there if both of its folders are.
"""

from pathlib import Path

import numpy as np

from ..errors import InputError
from .pictures import IGNORE_LABEL, VOID, LabelCoding, list_pictures, read_example

SPLITS = ("train", "val", "test")
CLASSES = (
    "sky",
    "building",
    "pole",
    "road",
    "pavement",
    "tree",
    "sign_symbol",
    "fence",
    "car",
    "pedestrian",
    "bicyclist",
)
PALETTE = np.array(
    [
        (128, 128, 128),
        (128, 0, 0),
        (192, 192, 128),
        (128, 64, 128),
        (60, 40, 222),
        (128, 128, 0),
        (192, 128, 128),
        (64, 64, 128),
        (64, 0, 128),
        (64, 64, 0),
        (0, 128, 192),
    ],
    np.uint8,
)


class Camvid:
    """One split of CamVid; see Dataset for the contract."""

    name = "camvid"
    ignore_label = IGNORE_LABEL

    def __init__(self, folder: str | Path, split: str):
        folder = Path(folder)
        if split not in splits(folder):
            there, needed = ", ".join(splits(folder)), f"{split}/ and {split}annot/"
            raise InputError(f"{folder}: no split {split!r}; there are: {there}. It takes the folders {needed}")
        self.split, self.classes, self.palette = split, list(CLASSES), PALETTE.copy()
        self._pictures = list_pictures(folder / split)
        self._labels = folder / f"{split}annot"
        self._coding = LabelCoding(
            (*CLASSES, VOID), remedy="CamVid labels hold 0 to 10 and 11 for void, one byte a pixel"
        )
        self.names = list(self._pictures)
        if not self.names:
            raise InputError(f"{folder / split}: no pictures (.png, .jpg) in this folder; put them there")

    def __len__(self) -> int:
        return len(self.names)

    def __getitem__(self, index: int) -> tuple[np.ndarray, np.ndarray]:
        name = self.names[index]
        return read_example(self._pictures[name], self._labels / f"{name}.png", self._coding)


def recognised(folder: Path) -> bool:
    """Whether a folder has CamVid's layout: at least one split with both of its folders."""
    return bool(splits(folder))


def splits(folder: Path) -> list[str]:
    """Return the splits whose two folders are there."""
    return [split for split in SPLITS if (folder / split).is_dir() and (folder / f"{split}annot").is_dir()]
