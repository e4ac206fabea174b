"""CamVid in the layout of the SegNet tutorial: 480x360 frames of a drive, eleven classes.

    DIR/train/NAME.png       DIR/val/NAME.png       DIR/test/NAME.png          the pictures (.png, .jpg or .jpeg)
    DIR/trainannot/NAME.png  DIR/valannot/NAME.png  DIR/testannot/NAME.png     one byte a pixel: 0..10 a class, 11 void

A split is there if both of its folders are.
"""

from pathlib import Path

import numpy as np

from ..errors import InputError
from .pictures import IGNORE_LABEL, VOID_NAME, Example, LabelCoding, list_pictures, read_example

COLOURS = {
    "sky": (128, 128, 128),
    "building": (128, 0, 0),
    "pole": (192, 192, 128),
    "road": (128, 64, 128),
    "pavement": (60, 40, 222),
    "tree": (128, 128, 0),
    "sign_symbol": (192, 128, 128),
    "fence": (64, 64, 128),
    "car": (64, 0, 128),
    "pedestrian": (64, 64, 0),
    "bicyclist": (0, 128, 192),
}
CLASSES = tuple(COLOURS)


class Camvid:
    """One split of CamVid; see Dataset for the contract."""

    name = "camvid"
    ignore_label = IGNORE_LABEL
    _coding = LabelCoding((*CLASSES, VOID_NAME), None, "CamVid labels hold 0 to 10 and 11 for void, one byte a pixel")

    def __init__(self, folder: Path, split: str):
        self.split, self.classes, self.palette = split, list(CLASSES), np.array([*COLOURS.values()], np.uint8)
        self._pictures, self._labels = list_pictures(folder / split), folder / f"{split}annot"
        self.names = list(self._pictures)
        if not self.names:
            raise InputError(f"{folder / split}: no pictures (.png, .jpg) in this folder; put them there")

    def __len__(self) -> int:
        return len(self.names)

    def __getitem__(self, index: int) -> Example:
        name = self.names[index]
        return read_example(self._pictures[name], self._labels / f"{name}.png", self._coding)


def splits(folder: Path) -> list[str]:
    """Return the splits whose two folders are there; none where the layout is another."""
    parts = {split: (folder / split, folder / f"{split}annot") for split in ("train", "val", "test")}
    return [split for split, folders in parts.items() if all(part.is_dir() for part in folders)]
