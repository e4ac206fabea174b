"""SBD, the Semantic Boundaries Dataset (Hariharan et al. 2011): VOC's classes on many more of VOC's pictures.

    benchmark_RELEASE/dataset/img/NAME.jpg      the pictures, VOC's own
    benchmark_RELEASE/dataset/cls/NAME.mat      a MATLAB struct GTcls; its field Segmentation is uint8 (H, W):
                                                0 background, 1..20 a class; nothing is void
    benchmark_RELEASE/dataset/train.txt         the splits, each a list of NAMEs, one a line. They are not VOC's:
    benchmark_RELEASE/dataset/val.txt           SBD's training set has pictures of VOC's validation set

Given may be dataset/, benchmark_RELEASE/, or where that was unpacked.
"""

import io
import struct
import zlib
from pathlib import Path

import numpy as np

from ..errors import InputError
from . import voc
from .pictures import LabelCoding

SPLITS = ("train", "val")
_COMPRESSED = 15  # miCOMPRESSED in the description of MAT-files, level 5


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
    """The array GTcls.Segmentation of a .mat file. InputError names the file."""
    try:
        from scipy.io import loadmat  # only here: no other data set needs scipy
    except ImportError:
        raise InputError(f"{path}: it takes scipy to read .mat files; install it: pip install scipy") from None
    try:
        content = Path(path).read_bytes()
        _verify(content)
        found = loadmat(io.BytesIO(content), variable_names=["GTcls"])["GTcls"]  # (1, 1), of objects
        return np.asarray(found["Segmentation"][0, 0])
    except FileNotFoundError:
        raise InputError(f"{path}: these labels are missing; add the file, or take its name out of the set") from None
    except Exception as error:  # damaged files make scipy raise many kinds
        reason = f"{type(error).__name__}: {error}"
        raise InputError(f"{path}: no GTcls.Segmentation can be read ({reason}); unpack the file again") from error


def _verify(content: bytes) -> None:
    """Raise zlib.error where a compressed .mat file is damaged: scipy may not come to its checksum, and may crash."""
    kind, size = struct.unpack_from("<2I", content, offset=128)  # of the first variable, after the header
    if kind == _COMPRESSED:
        zlib.decompress(content[136 : 136 + size])
