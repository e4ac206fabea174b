"""Data sets: pictures and a class for each of their pixels."""

from importlib import import_module
from pathlib import Path

from ..errors import InputError
from . import camvid, folder, voc
from .dataset import Dataset
from .pictures import visible

TOYTOWN = "toytown"
DRAWN = {TOYTOWN: "Toytown", "toytown_sizes": "ToytownSizes"}  # sets that have a name, not a folder; their classes

_VOC = "JPEGImages/, SegmentationClass/ and ImageSets/Segmentation/train.txt, val.txt (test's labels are not public)"
# How sets may lie in a folder: the splits there (none where the layout is another), how one is opened, what makes a
# split, for messages, and what must be there. The first that finds a split counts: the reference's setting holds VOC
# and SBD.
_OWN = "images/, labels/ and classes.txt; splits in train.txt, val.txt, test.txt"
_CAMVID = "(CamVid) train/ and trainannot/, val/ and valannot/, test/ and testannot/"
LAYOUTS = (
    (folder.splits, folder.open_split, _OWN, ("images", "labels", "classes.txt")),
    (camvid.splits, camvid.open_split, _CAMVID, ("train", "trainannot")),
    (voc.splits_of_both, voc.open_both, "(the reference's setting) VOCdevkit/ and benchmark_RELEASE/", ("VOCdevkit",)),
    (voc.VOC.splits, voc.VOC.open, f"(VOC) {_VOC}", ("JPEGImages", "SegmentationClass", "ImageSets")),
    (voc.SBD.splits, voc.SBD.open, "(SBD) img/, cls/ and train.txt, val.txt", ("img", "cls", "train.txt")),
)


def open_dataset(where: str | Path, split: str) -> Dataset:
    """Open a split of "toytown" or "toytown_sizes", or of the data set in a folder, whose layout is recognised.

    Raises InputError where the folder or its layout is unknown (the message shows those expected and what is there),
    it has no such split (the message lists those it has), or the split is empty.
    """
    if str(where) in DRAWN:
        town = getattr(import_module(".toytown", __name__), DRAWN[str(where)])(split)  # others' sets do not need it
        return Dataset(town.name, split, town.classes, town.palette, town.names, town.__getitem__, drawn=True)
    there, open_split, files = _recognise(Path(where))
    if split not in there:
        raise InputError(f"{where}: no split {split!r}; there are: {', '.join(there)}. Expected {files}")
    return open_split(Path(where), split)


def list_splits(where: str | Path) -> list[str]:
    """Return the splits that a data set has, such as ["train", "val"]. Raises InputError as open_dataset does."""
    return list(import_module(".toytown", __name__).SPLITS) if str(where) in DRAWN else _recognise(Path(where))[0]


def has_split(where: str | Path, split: str) -> bool:
    """Whether a data set has a split. Raises InputError where there is no data set at all."""
    return split in list_splits(where)


def lasting_name(where: str | Path) -> str:
    """Return how a configuration names a data set, wherever it is read: a drawn one's name, a folder's full path."""
    return str(where) if str(where) in DRAWN else str(Path(where).resolve())


def _recognise(path: Path) -> tuple:
    """Return the splits in a folder, how to open one, and what makes a split."""
    if not path.is_dir():
        what = "not a folder" if path.exists() else "no such folder"
        raise InputError(f"{path}: {what}; give the folder of a data set, or {' or '.join(map(repr, DRAWN))}")
    for splits, open_split, files, _ in LAYOUTS:
        if there := splits(path):
            return there, open_split, files
    raise InputError(f"{path}: not the layout of a data set; {_nearest(path)} (layouts: data/README.md)")


def _nearest(path: Path) -> str:
    """What a folder holds that is no data set, which layout is nearest, and what mends it."""
    entries = visible(path)
    for entry in entries:
        if entry.is_dir() and any(splits(entry) for splits, *_ in LAYOUTS):
            return f"but {entry} is one: give that folder"
    there = {entry.name.lower(): entry.name for entry in entries}
    *_, layout, needs = max(LAYOUTS, key=lambda entry: sum(need.lower() in there for need in entry[3]) / len(entry[3]))
    missing = [need for need in needs if need not in there.values()]
    mend = f"python -m minifcn.import_labels {path} --out mydata makes a set of labels in most other forms"
    if missing == ["classes.txt"]:
        mend = "write the names of the classes into it, one a line, in the order of their values"
    elif missing and all(need.lower() in there for need in missing):
        mend = ", ".join(f"rename {there[need.lower()]} to {need}" for need in missing)
    found = [entry.name + "/" * entry.is_dir() for entry in entries[:10]] + ["..."] * (len(entries) > 10)
    lacks = f"nearest is {layout}; missing: {', '.join(missing) or 'a list of a split'}"
    return f"found {', '.join(found) or 'nothing'}; {lacks}: {mend}"
