"""A data set of your own: a folder of pictures, a folder of label pictures, and a list of classes.

    DIR/images/NAME.jpg     pictures of any sizes (.png, .jpg, .bmp, .tif, .webp, ...)
    DIR/labels/NAME.png     the labels of each, of the same size: paletted, grey, or RGB
    DIR/classes.txt         the classes, one a line, in the order of their ids 0, 1, 2, ...
    DIR/train.txt           the splits (optional), each a list of NAMEs, one a line;
    DIR/val.txt, test.txt   a split without a file is not there

Without any of these lists every fifth picture in order of name, from the second one on, is in val and the others are in
train. That suits unrelated photographs; neighbouring frames of a video are nearly copies, so write lists for those.

A line of classes.txt is a name, or a name and a colour; either all lines have a colour, or none:

    road 128 64 128             The colours are needed if the label pictures are RGB, and are those of the
    traffic light #fa0000       predictions too. Empty lines and lines that start with # are skipped.
    void 0 0 0

"void" is no class: pixels with its value (here 2) or colour are ignored, as those of value 255 always are. It need not
be the last line; if it is not, the ids of the classes after it are one lower than their values in the files.
"""

import re
from pathlib import Path

import numpy as np

from ..errors import InputError
from . import voc
from .pictures import IGNORE_LABEL, VOID_NAME, Example, LabelCoding, list_pictures, read_example

_LINE = re.compile(r"(?P<name>.+?)(?:\s+(?:(\d+)[\s,]+(\d+)[\s,]+(\d+)|#(?P<hex>[0-9a-fA-F]{6})))?")


class Folder:
    """One split of a folder of pictures; see Dataset for the contract."""

    ignore_label = IGNORE_LABEL

    def __init__(self, folder: Path, split: str):
        self.name, self.split = folder.resolve().name, split
        self._coding = read_classes(folder / "classes.txt")
        self.classes = self._coding.classes
        if self._coding.colours is None:
            self.palette = voc.palette(len(self.classes))
        else:
            self.palette = self._coding.colours[[name != VOID_NAME for name in self._coding.entries]]
        pictures = list_pictures(folder / "images")
        if not pictures:
            raise InputError(f"{folder / 'images'}: no pictures (.png, .jpg, ...) in this folder; put them there")
        self.names = _names(folder, split, pictures)
        self._pictures = [pictures[name] for name in self.names]
        self._folder = folder / "labels"
        self._labels = {path.stem: path for path in self._folder.iterdir() if path.suffix.lower() == ".png"}

    def __len__(self) -> int:
        return len(self.names)

    def __getitem__(self, index: int) -> Example:
        name = self.names[index]
        if name not in self._labels:
            others = [path.name for path in sorted(self._folder.iterdir()) if path.stem == name]
            found = f" ({others[0]} is there, but labels are read from PNG only)" if others else ""
            remedy = "add it, or take its picture out of the set"
            raise InputError(f"{self._folder / f'{name}.png'}: this label picture is missing{found}; {remedy}")
        return read_example(self._pictures[index], self._labels[name], self._coding)


def splits(folder: Path) -> list[str]:
    """Return the splits that have a list; without any list, train and val; none where the layout is another."""
    if not (folder / "classes.txt").is_file() or not all((folder / part).is_dir() for part in ("images", "labels")):
        return []
    return [split for split in ("train", "val", "test") if (folder / f"{split}.txt").is_file()] or ["train", "val"]


def read_classes(path: Path) -> LabelCoding:
    """Read classes.txt. Raises InputError, which names the file and the line."""
    lines: dict[str, int] = {}
    colours: dict[str, tuple[int, int, int] | None] = {}
    for number, line in _lines(path):
        match = _LINE.fullmatch(line)
        name, colour = match["name"], _colour(match)
        if colour is not None and max(colour) > 255:
            raise InputError(f"{path}, line {number}: colour {colour}, expected three numbers from 0 to 255")
        if name in lines:
            raise InputError(f"{path}, line {number}: {name!r} again (also in line {lines[name]}); rename it")
        same = [other for other, its in colours.items() if its and its == colour]
        if same:
            raise InputError(f"{path}, line {number}: colour {colour} is that of {same[0]!r} too; change one")
        lines[name], colours[name] = number, colour
    lacking = [name for name, colour in colours.items() if colour is None]
    if 0 < len(lacking) < len(colours):
        raise InputError(f"{path}: {lacking[0]!r} has no colour but other classes have; give all of them one, or none")
    if not lines.keys() - {VOID_NAME} or len(lines) > 255:
        raise InputError(f"{path}: {len(lines)} lines, expected 1 to 255 and at least one class; list one class a line")
    known = None if lacking else np.array([*colours.values()], np.uint8)
    remedy = f"list its class{'' if lacking else ' and colour'} in {path}"
    return LabelCoding(list(lines), known, f"correct the file, or {remedy}")


def _colour(match: re.Match) -> tuple[int, int, int] | None:
    """The colour at the end of a line of classes.txt; None where there is none."""
    if match["hex"]:
        return tuple(bytes.fromhex(match["hex"]))
    return tuple(int(match[i]) for i in (2, 3, 4)) if match[2] else None


def _names(folder: Path, split: str, pictures: dict[str, Path]) -> list[str]:
    """The stems of a split's pictures."""
    path = folder / f"{split}.txt"
    if not path.is_file():
        names = [name for i, name in enumerate(pictures) if (i % 5 == 1) == (split == "val")]
        if not names:
            raise InputError(f"{folder / 'images'}: {len(pictures)} picture is too few for train and val; add more")
        return names
    names, missing = {}, []  # a dict: membership in a list of 10,000 names is slow
    for number, line in _lines(path):
        name = line if line in pictures else Path(line).stem  # lists may give NAME or NAME.jpg
        if name in names:
            again = f"a second time (first in line {names[name]}); remove the line"
            raise InputError(f"{path}, line {number}: {name!r} {again}")
        if name not in pictures:
            missing.append(f"{line!r} (line {number})")
        names[name] = number
    if missing:
        more = f" and {len(missing) - 10} more" if len(missing) > 10 else ""
        raise InputError(f"{path}: not in {folder / 'images'}: {', '.join(missing[:10])}{more}; add or unlist them")
    if not names:
        raise InputError(f"{path}: the list is empty; write the names of the split's pictures, one a line")
    return list(names)


def _lines(path: Path) -> list[tuple[int, str]]:
    """The lines of a text file that say something, with their numbers from 1."""
    try:
        text = path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError:
        raise InputError(f"{path}: not a text file in UTF-8; save it as plain UTF-8 text") from None
    lines = [(number, line.strip()) for number, line in enumerate(text.splitlines(), 1)]
    return [(number, line) for number, line in lines if line and not line.startswith("#")]
