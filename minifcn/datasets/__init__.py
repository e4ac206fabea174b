"""Data sets: pictures and a class for each of their pixels."""

from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple, Protocol

import numpy as np

from ..errors import InputError
from . import camvid, folder, voc

TOYTOWN = "toytown"
DRAWN = {TOYTOWN: "Toytown", "toytown_sizes": "ToytownSizes"}  # sets that have a name, not a folder; their classes


class Dataset(Protocol):
    """One split of a data set.

    `data[i]`, 0 <= i < len(data), is a picture uint8 (H, W, 3) in RGB and its labels uint8 (H, W): class ids from 0 to
    len(classes) - 1, or `ignore_label` where the class is unknown (void). Sizes may differ from picture to picture.
    Construction only lists files; what is in them is checked on reading, and InputError names the file.
    """

    name: str
    split: str
    classes: list[str]  # L names
    palette: np.ndarray  # uint8 (L, 3), RGB
    ignore_label: int  # 255
    names: list[str]  # the pictures' names, one each, without extension

    def __len__(self) -> int: ...

    def __getitem__(self, index: int) -> tuple[np.ndarray, np.ndarray]: ...


class Layout(NamedTuple):
    """How data sets of a kind lie in a folder."""

    splits: Callable[[Path], list[str]]  # those of a folder; none where it has another layout
    open: Callable[[Path, str], Dataset]  # one of these splits
    files: str  # what makes a split, for messages


_VOC = "JPEGImages/, SegmentationClass/ and ImageSets/Segmentation/train.txt, val.txt (test's labels are not public)"
LAYOUTS = (  # the first that finds a split counts: the reference's setting holds VOC and SBD
    Layout(camvid.splits, camvid.Camvid, "(CamVid) train/ and trainannot/, val/ and valannot/, test/ and testannot/"),
    Layout(folder.splits, folder.Folder, "images/, labels/ and classes.txt; splits in train.txt, val.txt, test.txt"),
    Layout(voc.splits_of_both, voc.open_both, "(the reference's setting) VOCdevkit/ and benchmark_RELEASE/"),
    Layout(voc.Voc.splits, voc.Voc, f"(VOC) {_VOC}"),
    Layout(voc.Sbd.splits, voc.Sbd, "(SBD) img/, cls/ and train.txt, val.txt"),
)


def open_dataset(where: str | Path, split: str) -> Dataset:
    """Open a split of "toytown" or "toytown_sizes", or of the data set in a folder, whose layout is recognised.

    Raises InputError where the folder or its layout is unknown (the message shows those expected and what is there),
    it has no such split (the message lists those it has), or the split is empty.
    """
    if str(where) in DRAWN:
        return getattr(_toytown(), DRAWN[str(where)])(split)
    layout, there = _recognise(Path(where))
    if split not in there:
        raise InputError(f"{where}: no split {split!r}; there are: {', '.join(there)}. Expected {layout.files}")
    return layout.open(Path(where), split)


def list_splits(where: str | Path) -> list[str]:
    """Return the splits that a data set has, such as ["train", "val"]. Raises InputError as open_dataset does."""
    return list(_toytown().SPLITS) if str(where) in DRAWN else _recognise(Path(where))[1]


def has_split(where: str | Path, split: str) -> bool:
    """Whether a data set has a split. Raises InputError where there is no data set at all."""
    return split in list_splits(where)


def lasting_name(where: str | Path) -> str:
    """Return how a configuration names a data set, wherever it is read: a drawn one's name, a folder's full path."""
    return str(where) if str(where) in DRAWN else str(Path(where).resolve())


def _toytown():
    from . import toytown  # only here: users' sets do not need the code that draws it

    return toytown


def _recognise(path: Path) -> tuple[Layout, list[str]]:
    """Return the layout of a folder and its splits."""
    if not path.is_dir():
        what = "not a folder" if path.exists() else "no such folder"
        raise InputError(f"{path}: {what}; give the folder of a data set, or {' or '.join(map(repr, DRAWN))}")
    for layout in LAYOUTS:
        if there := layout.splits(path):
            return layout, there
    entries = sorted(entry.name + "/" * entry.is_dir() for entry in path.iterdir())
    found = ", ".join(entries[:10]) + (f" and {len(entries) - 10} more" if len(entries) > 10 else "") or "nothing"
    expected = ", or ".join(layout.files for layout in LAYOUTS)
    raise InputError(f"{path}: not the layout of a data set. Expected {expected}. Found: {found}")
