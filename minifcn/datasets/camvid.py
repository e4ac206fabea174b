"""CamVid in the layout of the SegNet tutorial: 480x360 frames of a drive, eleven classes.

    DIR/train/NAME.png       DIR/val/NAME.png       DIR/test/NAME.png          the pictures (.png, .jpg or .jpeg)
    DIR/trainannot/NAME.png  DIR/valannot/NAME.png  DIR/testannot/NAME.png     one byte a pixel: 0..10 a class, 11 void

A split is there if both of its folders are.
"""

from pathlib import Path

import numpy as np

from .dataset import Dataset, from_files
from .pictures import VOID_NAME, LabelCoding, list_pictures

COLOURS = {
    "sky": (128, 128, 128), "building": (128, 0, 0), "pole": (192, 192, 128), "road": (128, 64, 128),
    "pavement": (60, 40, 222), "tree": (128, 128, 0), "sign_symbol": (192, 128, 128), "fence": (64, 64, 128),
    "car": (64, 0, 128), "pedestrian": (64, 64, 0), "bicyclist": (0, 128, 192),
}  # fmt: skip
CLASSES = tuple(COLOURS)
_CODING = LabelCoding((*CLASSES, VOID_NAME), None, "CamVid labels hold 0 to 10 and 11 for void, one byte a pixel")


def open_split(folder: Path, split: str) -> Dataset:
    """Open a split of CamVid. Raises InputError where it has no pictures."""
    labels = folder / f"{split}annot"
    files = {name: (path, labels / f"{name}.png") for name, path in list_pictures(folder / split).items()}
    return from_files("camvid", split, _CODING, np.array([*COLOURS.values()], np.uint8), files)


def splits(folder: Path) -> list[str]:
    """Return the splits whose two folders are there; none where the layout is another."""
    whole = ("train", "val", "test")
    return [split for split in whole if (folder / split).is_dir() and (folder / f"{split}annot").is_dir()]
