"""Data sets: pictures and a class for each of their pixels."""

from collections.abc import Callable
from pathlib import Path
from typing import Protocol

import numpy as np

from ..errors import InputError
from . import camvid, folder, sbd, voc, voc_sbd

TOYTOWN = "toytown"
DRAWN = {TOYTOWN: "Toytown", "toytown_sizes": "ToytownSizes"}  # sets that have a name, not a folder; their classes
# What opens a split of each layout, and its module. The first that is recognised counts: voc_sbd holds voc and sbd.
_LAYOUTS = {
    camvid.Camvid: camvid,
    folder.Folder: folder,
    voc_sbd.open_split: voc_sbd,
    voc.Voc: voc,
    sbd.Sbd: sbd,
}


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


def open_dataset(where: str | Path, split: str) -> Dataset:
    """Open a split of "toytown" or "toytown_sizes", or of the data set in a folder, whose layout is recognised.

    InputError: the folder or its layout is unknown (the message shows those expected and what is there), it has no
    such split (the message lists those it has), or the split is empty.
    """
    if str(where) in DRAWN:
        return getattr(_toytown(), DRAWN[str(where)])(split)
    return _layout(Path(where))(where, split)


def list_splits(where: str | Path) -> list[str]:
    """Return the splits that a data set has, such as ["train", "val"]. InputError as for open_dataset."""
    if str(where) in DRAWN:
        return list(_toytown().SPLITS)
    return _LAYOUTS[_layout(Path(where))].splits(Path(where))


def has_split(where: str | Path, split: str) -> bool:
    """Whether a data set has a split. InputError where there is no data set at all."""
    return split in list_splits(where)


def lasting_name(where: str | Path) -> str:
    """Return how a configuration names a data set, wherever it is read: a drawn one's name, a folder's full path."""
    return str(where) if str(where) in DRAWN else str(Path(where).resolve())


def _toytown():
    from . import toytown  # only here: users' sets do not need the code that draws it

    return toytown


def _layout(path: Path) -> Callable[[str | Path, str], Dataset]:
    """Return what opens a split of a folder of this layout."""
    if not path.is_dir():
        what = "not a folder" if path.exists() else "no such folder"
        raise InputError(f"{path}: {what}; give the folder of a data set, or {' or '.join(map(repr, DRAWN))}")
    for opens, module in _LAYOUTS.items():
        if module.recognised(path):
            return opens
    entries = sorted(entry.name + "/" * entry.is_dir() for entry in path.iterdir())
    found = ", ".join(entries[:10]) + (f" and {len(entries) - 10} more" if len(entries) > 10 else "") or "nothing"
    raise InputError(
        f"{path}: not the layout of a data set. Expected either images/, labels/ and classes.txt, "
        "or (CamVid) train/ and trainannot/, val/ and valannot/, "
        "or (VOC) JPEGImages/, SegmentationClass/ and ImageSets/Segmentation/train.txt, val.txt, "
        "or (SBD) img/, cls/ and train.txt, val.txt, "
        f"or (the reference's setting) VOCdevkit/ and benchmark_RELEASE/. Found: {found}"
    )
