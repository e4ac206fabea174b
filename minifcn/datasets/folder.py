"""A data set of your own: a folder of pictures, a folder of label pictures, and a list of classes.

    DIR/images/NAME.jpg     pictures of any sizes (.png, .jpg, .bmp, .tif, .webp, ...)
    DIR/labels/NAME.png     the labels of each, of the same size: paletted, grey, or RGB
    DIR/classes.txt         the classes, one a line, in the order of their values 0, 1, 2, ... (see classes.py)
    DIR/train.txt           the splits (optional), each a list of NAMEs, one a line;
    DIR/val.txt, test.txt   a split without a file is not there

Without any of these lists every fifth picture in order of name, from the second one on, is in val and the others are in
train. That suits unrelated photographs; neighbouring frames of a video are nearly copies, so write lists for those.
What else lies there is named in the set's notes.
"""

import re
from pathlib import Path

from ..errors import InputError
from .classes import find_classes, read_classes, read_lines
from .dataset import Dataset, from_files
from .pictures import noted, pair, unused, visible

_LIST = re.compile(r"(train|val|test)(ing|idation|id|s|set|_?list)?(\.(txt|csv|lst|list|json))?", re.IGNORECASE)


def open_split(folder: Path, split: str) -> Dataset:
    """Open a split of a folder of pictures."""
    classes, lists = find_classes(folder), _lists(folder)
    pairs, notes = pair(folder / "images", folder / "labels")
    files = {name: pairs[name] for name in _names(folder, split, pairs)}
    for path in visible(folder):
        like = _LIST.fullmatch(path.name) if path.is_file() else None
        if like and (wanted := folder / f"{like[1].lower()}.txt") not in lists:
            raise InputError(f"{path}: a list of pictures, one name a line, must be called {wanted.name}; rename it")
    if lists:
        listed = {name for path in lists for _, line in read_lines(path) for name in (line, Path(line).stem)}
        alone = [path for name, (path, _) in pairs.items() if name not in listed]
        notes += noted("in no list, not used", alone, "picture")
        pairs = {name: pairs[name] for name in pairs if name in listed}
    notes += unused(folder, [folder / "images", folder / "labels", classes, *lists])
    coding = read_classes(classes).for_set(pairs.values(), notes)
    return from_files(folder.resolve().name, split, coding, files)


def splits(folder: Path) -> list[str]:
    """Return the splits that have a list; without any list, train and val; none where the layout is another."""
    if not find_classes(folder) or not all((folder / part).is_dir() for part in ("images", "labels")):
        return []
    return [path.stem for path in _lists(folder)] or ["train", "val"]


def _lists(folder: Path) -> list[Path]:
    """The lists of splits that are there."""
    return [path for split in ("train", "val", "test") if (path := folder / f"{split}.txt").is_file()]


def _names(folder: Path, split: str, pictures: dict[str, Path]) -> list[str]:
    """The stems of a split's pictures."""
    path = folder / f"{split}.txt"
    if not path.is_file():
        if len(pictures) == 1 and split == "val":
            raise InputError(f"{folder / 'images'}: one picture is too few for train and val; add more")
        return [name for i, name in enumerate(pictures) if (i % 5 == 1) == (split == "val")]
    found, bad = {}, []  # a dict: membership in a list of 10,000 names is slow
    for number, line in read_lines(path):
        name = line if line in pictures else Path(line).stem  # lists may give NAME or NAME.jpg
        if name in found or name not in pictures:
            bad.append(f"{line!r} (line {number})")
        found[name] = number
    if bad or not found:
        expected = f"expected names of pictures in {folder / 'images'}, one a line and each once"
        raise InputError(f"{path}: {expected}, received {', '.join(bad[:10]) or 'none'}; correct the list")
    return list(found)
