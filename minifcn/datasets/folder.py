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
from .dataset import Dataset, from_files
from .pictures import VOID_NAME, LabelCoding, list_pictures, reading

_LINE = re.compile(r"(.+?)(?:\s+(\d+[\s,]+\d+[\s,]+\d+|#[0-9a-fA-F]{6}))?")  # a name, and a colour or not


def open_split(folder: Path, split: str) -> Dataset:
    """Open a split of a folder of pictures."""
    coding, pictures = read_classes(folder / "classes.txt"), list_pictures(folder / "images")
    if coding.colours is None:
        palette = voc.palette(len(coding.classes))
    else:
        palette = coding.colours[[name != VOID_NAME for name in coding.entries]]
    labels = {path.stem: path for path in (folder / "labels").iterdir() if path.suffix.lower() == ".png"}
    names = _names(folder, split, pictures)
    files = {name: (pictures[name], labels.get(name, folder / "labels" / f"{name}.png")) for name in names}
    return from_files(folder.resolve().name, split, coding, palette, files)


def splits(folder: Path) -> list[str]:
    """Return the splits that have a list; without any list, train and val; none where the layout is another."""
    if not (folder / "classes.txt").is_file() or not all((folder / part).is_dir() for part in ("images", "labels")):
        return []
    return [split for split in ("train", "val", "test") if (folder / f"{split}.txt").is_file()] or ["train", "val"]


def read_classes(path: Path) -> LabelCoding:
    """Read classes.txt. Raises InputError, which names the file and the line."""
    colours: dict[str, tuple[int, ...] | None] = {}
    for number, line in _lines(path):
        name, text = _LINE.fullmatch(line).groups()
        colour = text and tuple(bytes.fromhex(text[1:]) if text[0] == "#" else map(int, re.findall(r"\d+", text)))
        new = name not in colours and (colour is None or colour not in colours.values())
        alike = not colours or (colour is None) == (None in colours.values())
        if not new or not alike or (colour and max(colour) > 255):
            wanted = "a name that is new, and if the other lines have colours, a new one of three numbers from 0 to 255"
            raise InputError(f"{path}, line {number}: expected {wanted}, received {line!r}; correct the line")
        colours[name] = colour
    if not colours.keys() - {VOID_NAME} or len(colours) > 255:
        raise InputError(f"{path}: {len(colours)} lines, expected 1 to 255, at least one a class; list each in a line")
    known = None if None in colours.values() else np.array([*colours.values()], np.uint8)
    remedy = f"correct the file, or list its class{'' if known is None else ' and colour'} in {path}"
    return LabelCoding(list(colours), known, remedy)


def _names(folder: Path, split: str, pictures: dict[str, Path]) -> list[str]:
    """The stems of a split's pictures."""
    path = folder / f"{split}.txt"
    if not path.is_file():
        names = [name for i, name in enumerate(pictures) if (i % 5 == 1) == (split == "val")]
        if not names:
            raise InputError(f"{folder / 'images'}: {len(pictures)} picture is too few for train and val; add more")
        return names
    found, bad = {}, []  # a dict: membership in a list of 10,000 names is slow
    for number, line in _lines(path):
        name = line if line in pictures else Path(line).stem  # lists may give NAME or NAME.jpg
        if name in found or name not in pictures:
            bad.append(f"{line!r} (line {number})")
        found[name] = number
    if bad or not found:
        expected = f"expected names of pictures in {folder / 'images'}, one a line and each once"
        raise InputError(f"{path}: {expected}, received {', '.join(bad[:10]) or 'none'}; correct the list")
    return list(found)


def _lines(path: Path) -> list[tuple[int, str]]:
    """The lines of a text file that say something, with their numbers from 1."""
    with reading(path, "text", "save it as plain UTF-8 text"):
        lines = [(i, line.strip()) for i, line in enumerate(path.read_text(encoding="utf-8-sig").splitlines(), 1)]
    return [(number, line) for number, line in lines if line and not line.startswith("#")]
