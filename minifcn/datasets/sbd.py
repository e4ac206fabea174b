"""SBD, the Semantic Boundaries Dataset (Hariharan et al. 2011): VOC's classes on many more of VOC's pictures.

    benchmark_RELEASE/dataset/img/NAME.jpg      the pictures, VOC's own
    benchmark_RELEASE/dataset/cls/NAME.mat      a MATLAB struct GTcls; its field Segmentation is uint8 (H, W):
                                                0 background, 1..20 a class; nothing is void
    benchmark_RELEASE/dataset/train.txt         the splits, each a list of NAMEs, one a line. They are not VOC's:
    benchmark_RELEASE/dataset/val.txt           SBD's training set has pictures of VOC's validation set

Given may be dataset/, benchmark_RELEASE/, or where that was unpacked.
"""

from pathlib import Path

import numpy as np

from ..errors import InputError
from . import voc
from .matlab import read_variables, struct_of
from .pictures import LabelCoding

SPLITS = ("train", "val")
_LONGEST = 1 << 26  # bytes of a label file, decompressed; SBD's have a quarter of a million


class Sbd(voc.Listed):
    """One split of SBD."""

    name = "sbd"

    def __init__(self, folder: str | Path, split: str):
        voc.check_split(folder, split, splits(Path(folder)))
        root = find_root(Path(folder))
        coding = _MatCoding(voc.CLASSES, remedy="SBD's labels hold 0 to 20; unpack the file again")
        super().__init__(split, root / f"{split}.txt", root / "img", root / "cls", ".mat", coding)


def find_root(folder: Path) -> Path | None:
    """Return the folder that holds img/ and cls/: a folder itself or one in it; None where there is none."""
    places = (folder, folder / "dataset", folder / "benchmark_RELEASE" / "dataset")
    return next((place for place in places if all((place / part).is_dir() for part in ("img", "cls"))), None)


def recognised(folder: Path) -> bool:
    """Whether a folder is SBD's, or holds it, with the list of a split."""
    return bool(splits(folder))


def splits(folder: Path) -> list[str]:
    """Return the splits that have a list."""
    root = find_root(folder)
    return [split for split in SPLITS if root and (root / f"{split}.txt").is_file()]


class _MatCoding(LabelCoding):
    """A LabelCoding that reads .mat files."""

    def read(self, path: str | Path) -> np.ndarray:
        values = _segmentation(path)
        if values.ndim != 2 or values.dtype.kind not in "ui":
            found = f"{values.dtype} {values.shape}"
            raise InputError(f"{path}: GTcls.Segmentation is {found}, expected integers (H, W); unpack the file again")
        return self.labels_of(path, values)


def _segmentation(path: str | Path) -> np.ndarray:
    """Return the array GTcls.Segmentation of a .mat file. InputError names the file."""
    try:
        variables = read_variables(Path(path).read_bytes(), ("GTcls",), _LONGEST)
    except FileNotFoundError:
        raise InputError(f"{path}: these labels are missing; add the file, or take its name out of the set") from None
    except (InputError, OSError) as error:
        reason = error.strerror if isinstance(error, OSError) else str(error).removesuffix(". Get the file again")
        raise InputError(f"{path}: no GTcls.Segmentation can be read ({reason}); unpack the file again") from error
    values = struct_of(variables.get("GTcls")).get("Segmentation")
    if not isinstance(values, np.ndarray):
        raise InputError(f"{path}: it holds no array GTcls.Segmentation; unpack the file again")
    return values
