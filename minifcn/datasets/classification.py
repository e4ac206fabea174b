"""Pictures with one class each, from a folder or straight from a zip, for minifcn.pretrain.

ImageNet's layout, a folder a class:              Tiny ImageNet's, as its zip unpacks:

    DIR/train/CLASS/NAME.jpg                          DIR/train/WNID/images/NAME.JPEG
    DIR/val/CLASS/NAME.jpg                            DIR/val/images/NAME.JPEG
                                                      DIR/val/val_annotations.txt      NAME.JPEG <tab> WNID <tab> ...

DIR, in a zip and on the disk, may be what is given or a folder in it. Without val/ nothing is held out. Classes are the
folders of train/ in order of name. Whatever begins with a dot, __MACOSX/ and files that are no pictures are left aside,
and so is test/, whose pictures have no labels. Nothing is unpacked: a picture's bytes go from the archive to the
decoder.
"""

import io
import os
import threading
import zipfile
from collections.abc import Iterable, Iterator
from functools import partial
from itertools import chain
from operator import itemgetter
from pathlib import Path

import numpy as np
from PIL import Image

from ..errors import InputError
from .pictures import EXTENSIONS, read_bytes, read_picture, reading
from .transforms import Augmentation, Preprocessing

ANNOTATIONS = ("val", "val_annotations.txt")
LONGEST = 10  # times a picture's shorter side
LARGEST = 1 << 26  # bytes of a picture's file
LONGEST_LINE = 1000  # bytes a picture in val_annotations.txt; Tiny ImageNet's have 40

Parts = tuple[str, ...]  # of a path, from the folder that holds train/: ("train", "CLASS", "NAME.jpg")


class Pictures:
    """One split of a set of classified pictures: data[i] is a picture uint8 (H, W, 3) in RGB and its class, an int.

    where: a folder, a zip, or the Files of one. classes: their names, one word or WordNet id each. names: the pictures'
    paths. Construction only lists files, and raises InputError where there is no such file, layout or split; a bad
    picture raises it on reading.
    """

    def __init__(self, where: "str | Path | Files", split: str):
        self.files = where if isinstance(where, Files) else Files(where)
        self.split, self.name, self.classes = split, title(self.files.where), self._classes()
        named = self._in_folders(split)
        if split == "val" and ANNOTATIONS in self.files.paths and any(name == "images" for _, name in named):
            named = self._listed(len(named))
        ids = {name: label for label, name in enumerate(self.classes)}
        for name in sorted({name for _, name in named} - ids.keys()):
            way_out = f"remove or rename it, or restore {'/'.join(ANNOTATIONS)}"
            raise InputError(f"{self.files.where}: {split}/{name} is a class that train/ does not have; {way_out}")
        self._examples = sorted(((path, ids[name]) for path, name in named), key=itemgetter(1))
        self.names = ["/".join(path) for path, _ in self._examples]
        if not self.names:
            hint = "; ImageNet's val must be sorted into such folders first" if split == "val" else ""
            raise InputError(f"{self.files.where}: no pictures in {split}/; expected {split}/CLASS/NAME.jpg{hint}")

    def __len__(self) -> int:
        return len(self._examples)

    def __getitem__(self, index: int) -> tuple[np.ndarray, int]:
        path, label = self._examples[index]
        return read_picture(self.files.name(path), io.BytesIO(self.files.read(path))), label

    def _classes(self) -> list[str]:
        """The folders of train/; each must hold a picture, or copying was not finished."""
        with_pictures = {name for _, name in self._in_folders("train")}
        folders = {path[1] for path in self.files.folders if path[0] == "train" and len(path) > 1}
        for name in sorted(folders - with_pictures):
            where = f"{self.files.where}: train/{name}"
            raise InputError(f"{where} holds no pictures ({', '.join(EXTENSIONS)}); add some, or remove the folder")
        if odd := [name for name in sorted(with_pictures) if not name.isprintable()]:
            raise InputError(f"{self.files.where}: train/{odd[0]!r} is a name that cannot be shown; rename the folder")
        return sorted(with_pictures)

    def _in_folders(self, split: str) -> list[tuple[Parts, str]]:
        """split/CLASS/NAME.jpg or split/CLASS/images/NAME.JPEG -> the pictures, in order of name, and their classes."""
        paths = [path for path in self.files.paths if path[0] == split and len(path) > 2]
        return [(path, path[1]) for path in paths if path[-1].lower().endswith(EXTENSIONS)]

    def _listed(self, pictures: int) -> list[tuple[Parts, str]]:
        """The pictures in val/images/ and their classes, by val_annotations.txt; others are left aside."""
        found, classes = {}, set(self.classes)
        text = self.files.read(ANNOTATIONS, LONGEST_LINE * pictures).decode("utf-8-sig", "replace")
        for number, line in ((i, line) for i, line in enumerate(text.splitlines(), 1) if line.strip()):
            name, label = (*line.split("\t"), "")[:2]
            path = ("val", "images", name)
            if path not in self.files.paths or path in found or label not in classes:
                expected = "expected a picture in val/images/, listed once, a tab, and a class in train/"
                where = f"{self.files.name(ANNOTATIONS)}, line {number}"
                raise InputError(f"{where}: {expected}, received {line[:80]!r}; correct the line")
            found[path] = label
        return list(found.items())


def open_pictures(where: str | Path) -> tuple[Pictures, Pictures | None]:
    """Return the splits train and val of a folder or zip; None for val where there is no val/. Raises as Pictures."""
    files = Files(where)
    return Pictures(files, "train"), Pictures(files, "val") if any(path[0] == "val" for path in files.folders) else None


def title(where: str | Path) -> str:
    """The name of a set of pictures, after its folder or zip."""
    where = Path(where).resolve()
    return where.name if where.is_dir() else where.stem


class Files:
    """What a folder or a zip holds, but for hidden files; opened or unpacked only on reading.

    paths: the files, in order, from the folder that holds train/; with the name that each has in `where`.
    folders: the folders that files are in or that are listed, which may be empty ones.

    A folder and a zip differ in two functions alone: what lists the names, and what reads one. (zipfile.Path has the
    interface of a folder too, but looks through the whole archive for what is in each of its folders.)
    """

    def __init__(self, where: str | Path):
        self.where = Path(where)
        self._lock = threading.Lock()  # validation may begin while training pictures are still read ahead
        if self.where.is_dir():
            names, self._read = _walk(self.where), lambda name, longest: read_bytes(self.where / name, longest)
        elif not self.where.exists():
            raise InputError(f"{where}: no such folder or zip; give the pictures to train on with --data")
        else:
            with reading(where, "zip", "copy it again, or give a folder"):
                archive = zipfile.ZipFile(where)
            names, self._read = archive.namelist(), partial(_unpack, archive)
        found = {tuple(part for part in name.split("/") if part not in ("", ".")): name for name in names}
        seen = sorted(path for path in found if path and not any(p[0] == "." or p == "__MACOSX" for p in path))
        root = _root(self.where, seen)
        inside = {path[len(root) :]: found[path] for path in seen if path[: len(root)] == root != path}
        self.paths = {path: name for path, name in inside.items() if not name.endswith("/")}
        self.folders = (inside.keys() - self.paths.keys()) | {path[:-1] for path in self.paths if path[1:]}

    def name(self, path: Parts) -> Path:
        """The name of a file for messages."""
        return self.where / self.paths[path].lstrip("/")

    def read(self, path: Parts, longest: int = LARGEST) -> bytes:
        """Read a file of at most so many bytes. Raises InputError, which names it."""
        again = "it again" if self.where.is_dir() else "the archive again, or unpack it and give the folder"
        with reading(self.name(path), "file", f"copy {again}"), self._lock:
            return self._read(self.paths[path], longest)


def cropped(picture: np.ndarray, label: int, rng, *_, size: int, crop: int, flip: bool) -> tuple[np.ndarray, int]:
    """A random square of a picture whose shorter side is scaled to `size`, mirrored or not: a Loader's augmentation.

    Simonyan, Zisserman 2015, section 3.1, with 256 and 224.
    """
    picture = scale_shorter_side(picture, size)
    labels = picture[..., 0]  # any numbers (H, W): a label that has no pixels
    return Augmentation((crop, crop), flip)(picture, labels, rng)[0], label


def centred(picture: np.ndarray, label: int, *_, size: int) -> tuple[np.ndarray, int]:
    """The middle square of a picture whose shorter side is scaled to `size`; takes and ignores the random draws."""
    return middle(scale_shorter_side(picture, size), size, size), label


def scale_shorter_side(picture: np.ndarray, size: int) -> np.ndarray:
    """Scale a picture uint8 (H, W, 3) bilinearly so that its shorter side has `size` pixels.

    Of one more than LONGEST times as long as wide, the middle alone: enlarged, the whole would be huge.
    """
    H, W, _ = picture.shape
    picture = middle(picture, min(H, LONGEST * W), min(W, LONGEST * H))
    H, W, _ = picture.shape
    scale = size / min(H, W)
    height, width = max(size, round(H * scale)), max(size, round(W * scale))
    if (height, width) == (H, W):
        return picture
    return np.asarray(Image.fromarray(picture).resize((width, height), Image.Resampling.BILINEAR))


def middle(picture: np.ndarray, height: int, width: int) -> np.ndarray:
    """The part of a picture (H, W, 3) around its centre, (height, width, 3)."""
    H, W, _ = picture.shape
    top, left = (H - height) // 2, (W - width) // 2
    return picture[top : top + height, left : left + width]


def collate(samples: list[tuple[np.ndarray, int]], preprocessing: Preprocessing) -> tuple[np.ndarray, np.ndarray]:
    """Preprocess N pictures of one size -> x float32 (N, H, W, 3), classes int64 (N, 1, 1)."""
    x = np.stack([preprocessing.apply(picture) for picture, _ in samples])
    return x, np.array([label for _, label in samples], np.int64).reshape(-1, 1, 1)


def _walk(where: Path) -> Iterator[str]:
    """What is in a folder, and all below train/ and val/ in it or in the folders in it; folders end in a slash."""

    def refuse(error: OSError) -> None:
        raise error

    entries = sorted(where.iterdir())
    yield from (f"{entry.name}{'/' * entry.is_dir()}" for entry in entries)
    for root in [where] if (where / "train").is_dir() else entries:  # what else is there may be large
        tops = [root / split for split in ("train", "val") if (root / split).is_dir()]
        for folder, _, names in chain(*(os.walk(top, onerror=refuse, followlinks=True) for top in tops)):
            inside, real = Path(folder).relative_to(where), os.path.realpath(folder)
            if any(os.path.realpath(parent) == real for parent in Path(folder).parents):
                raise InputError(f"{folder}: a link to a folder that it lies in, so without end; remove it")
            yield from (f"{inside.as_posix()}/{name}" for name in ("", *names))


def _unpack(archive: zipfile.ZipFile, name: str, longest: int) -> bytes:
    """A file in a zip. Other methods than these two would unpack more at a time than is asked for."""
    entry = archive.getinfo(name)
    if entry.file_size > longest or entry.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        found = f"{entry.file_size:,} bytes packed by method {entry.compress_type}"
        raise InputError(f"{found}, expected at most {longest:,}, stored or deflated")
    with archive.open(entry) as file:
        return file.read(entry.file_size)


def _root(where: Path, paths: Iterable[Parts]) -> Parts:
    """The folder that holds train/: the top, else the only folder there that does."""
    roots = {path[:depth] for path in paths for depth in (0, 1) if path[depth : depth + 1] == ("train",)}
    if len(roots) == 1 or () in roots:
        return min(roots)
    found = [f"{path[0]}/train" for path in sorted(roots)] or sorted({path[0] for path in paths})
    expected = "expected train/CLASS/NAME.jpg, and val/ beside train/, at the top or in one folder there"
    raise InputError(f"{where}: {expected}; found: {', '.join(found[:10]) or 'nothing'}")
