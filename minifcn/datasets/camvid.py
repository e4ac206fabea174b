"""CamVid in the layout of the SegNet tutorial: 480x360 frames of a drive, eleven classes.

    DIR/train/NAME.png       DIR/val/NAME.png       DIR/test/NAME.png          the pictures (.png, .jpg or .jpeg)
    DIR/trainannot/NAME.png  DIR/valannot/NAME.png  DIR/testannot/NAME.png     one byte a pixel: 0..10 a class, 11 void

A split is there if both of its folders are. A set of your own may lie in the same way: its classes.txt counts then.
"""

from pathlib import Path

from .classes import find_classes, read_classes
from .dataset import Dataset, from_files
from .labels import LabelCoding
from .pictures import pair, unused

COLOURS = {
    "sky": (128, 128, 128), "building": (128, 0, 0), "pole": (192, 192, 128), "road": (128, 64, 128),
    "pavement": (60, 40, 222), "tree": (128, 128, 0), "sign_symbol": (192, 128, 128), "fence": (64, 64, 128),
    "car": (64, 0, 128), "pedestrian": (64, 64, 0), "bicyclist": (0, 128, 192),
}  # fmt: skip
CLASSES = tuple(COLOURS)
_CODING = LabelCoding((*CLASSES, "void"), (*COLOURS.values(), (0, 0, 0)))


def open_split(folder: Path, split: str) -> Dataset:
    """Open a split of CamVid. Raises InputError where one has no pictures."""
    classes, there = find_classes(folder), splits(folder)
    pairs = {name: pair(folder / name, folder / f"{name}annot") for name in there}
    used = [classes, *(folder / f"{name}{end}" for name in there for end in ("", "annot"))]
    coding = read_classes(classes) if classes else _CODING
    of_set = [files for found, _ in pairs.values() for files in found.values()]
    coding = coding.for_set(of_set, [note for _, found in pairs.values() for note in found] + unused(folder, used))
    return from_files(folder.resolve().name if classes else "camvid", split, coding, pairs[split][0])


def splits(folder: Path) -> list[str]:
    """Return the splits whose two folders are there; none where the layout is another."""
    found = ("train", "val", "test")
    return [split for split in found if all((folder / f"{split}{end}").is_dir() for end in ("", "annot"))]
