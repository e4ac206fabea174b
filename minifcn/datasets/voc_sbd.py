"""The reference's setting: train on SBD, validate on the pictures of VOC 2011 that SBD's training set has not.

    DIR/VOCdevkit/VOC2011/...            VOC as minifcn.datasets.voc finds it in DIR, and
    DIR/benchmark_RELEASE/dataset/...    SBD as minifcn.datasets.sbd finds it in DIR

    VOC's val            |------ our val ------|-- left out --|
    SBD's train                                |---------- our train ----------|
    SBD's val     |----- not used -----|

train is SBD's train (8,498 pictures), with SBD's labels. val is VOC's val less SBD's train, with VOC's labels and their
void; of VOC 2011 these are the 736 pictures that the reference calls seg11valid, of another year they are others.
"""

from pathlib import Path

from ..errors import InputError
from . import sbd, voc

SPLITS = ("train", "val")


def open_split(folder: str | Path, split: str) -> voc.Listed:
    """Open a split of the reference's setting. InputError: there is no such split, or it is empty."""
    voc.check_split(folder, split, splits(Path(folder)))
    data = train = sbd.Sbd(folder, "train")
    if split == "val":
        data, trained_on = voc.Voc(folder, "val"), set(train.names)
        data.names = [name for name in data.names if name not in trained_on]
        if not data.names:
            raise InputError(f"{folder}: all of VOC's val is in SBD's train.txt; unpack both archives again")
    data.name = "voc_sbd"
    return data


def recognised(folder: Path) -> bool:
    """Whether a folder holds both, VOC with its val and SBD with its train."""
    return bool(splits(folder))


def splits(folder: Path) -> list[str]:
    """Return both splits, or none: val takes both lists, and train is nothing new without val."""
    both = "train" in sbd.splits(folder) and "val" in voc.splits(folder)
    return list(SPLITS) if both else []
