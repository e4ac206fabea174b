"""A folder of pictures and labels in no layout of ours: which picture a label file belongs to, and what values mean.

Labels are JSON (annotations.py) or pictures. What a label file calls its picture is looked for among the pictures in
the folder, so nothing outside of it is ever read. Of label pictures all are read first, for one cannot tell what a
value means. Every pixel becomes a colour 0xRRGGBB; grey value v is 0xvvvvvv. What a colour is:

    a list of classes with colours        the class of that colour; of a paletted file the colours count, in any order
    a list of names, or grey ids 0, 1 ..  value i, or index i of a palette, is class i; 255 is void
    no list                               black and one other colour are background and object. More are given names,
                                          to be replaced in classes.txt

Colours that come of smoothed edges are refused, for they are no classes. So are JPEG and its like, which blur labels;
unless every pixel is snapped to the nearest listed colour, within a distance in RGB. What is farther off becomes void.
"""

import re
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path, PurePath
from typing import NamedTuple

import numpy as np
from PIL import Image
from tqdm import tqdm

from ..errors import InputError
from ..files import atomic_file
from .pictures import EXTENSIONS, IGNORE_LABEL, VOID_NAME, _decode, reading

VOID_NAMES = (VOID_NAME, "ignore", "__ignore__", "unlabeled", "unlabelled")
CLASS_LISTS = ("labelmap.txt", "class_dict.csv", "classes.txt", "labels.txt", "class_names.txt", "label_colors.txt")
LOSSY = ("JPEG", "MPO", "JPEG2000", "WEBP", "AVIF")
_LABELS = re.compile(r"masks?|ann|annotations?|labels?|gt|ground_?truth|segmentationclass(png)?", re.IGNORECASE)
_PICTURES = re.compile(r"images?|imgs?|jpegimages|photos?|pictures?", re.IGNORECASE)
_OTHER = re.compile(r"segmentation(object|classvisualization)", re.IGNORECASE)  # neither: objects, drawings
_SUFFIX = re.compile(r"(.+?)(?:[_-](?:masks?|gt|labels?|L)|annot)", re.IGNORECASE)
_SPLIT = re.compile(r"(?<![a-z])(train|val|test)(?:ing|id|idation)?(?![a-z])")
# A line of a list of classes: "128 64 128 road", "road", "road 128 64 128", "road,128,64,128", "road:128,64,128:parts:"
_RGB = r"\d+[\s,]+\d+[\s,]+\d+"
_CLASS = re.compile(rf'(?:({_RGB})[\s,]+)?"?(.+?)"?:*(?:[\s,:]+({_RGB}|#[0-9a-fA-F]{{6}})(?::.*)?)?')
_GREY, _RARE = 0x010101, 9  # times v; pixels in a picture


class Labelled(NamedTuple):
    """A picture and its labels, not drawn yet.

    content: the picture's bytes, where it is no file.  where: the file of the labels.  size: theirs, (H, W), or None.
    draw: from H, W to uint8 (H, W) of class ids, 255 for void.
    """

    picture: Path
    content: bytes | None
    where: Path
    size: tuple | None
    draw: Callable[[int, int], np.ndarray]


class Source:
    """The folder. files: all that are not hidden.  pictures: those of them, labels too.

    listed: the name and colour, or None, of each class, from `classes` or else a file with a usual name; or None.
    snap: the largest distance of a pixel from a listed colour, or None.  ask: the file for colours that need names.
    notes: what was left out or assumed, in groups that differ in numbers and quoted names.  faults: files left out.
    """

    def __init__(self, folder: Path, classes: Path | None, snap: float | None, ask: Path):
        self.folder, self.snap, self.ask, self.fixed = folder, snap, ask, classes is not None or snap is not None
        self.notes, self.faults, self.by_stem = defaultdict(list), 0, defaultdict(list)
        inside = [path.relative_to(folder) for path in sorted(folder.rglob("*")) if path.is_file()]
        self.files = [folder / path for path in inside if not any(part[0] == "." for part in path.parts)]
        lists = [path for name in CLASS_LISTS for path in self.files if path.name.lower() == name]
        self.list_file = classes or next(iter(lists), None)
        self.listed = self.list_file and read_class_list(self.list_file)
        drawn = [path for path in self.files if not _OTHER.fullmatch(path.parent.name)]
        self.pictures = [path for path in drawn if path.suffix.lower() in EXTENSIONS]
        for path in self.pictures:
            self.by_stem[self.key(path)[0][-1]].append(path)

    def note(self, where: Path, text: str) -> None:
        self.notes[re.sub(r"(?s)\d+|'.*'", "", text)].append(" ".join(f"{where}: {text}".split()))

    @contextmanager
    def leaving_out(self, where: Path) -> Iterator[None]:
        """Inside this block an InputError does not end the import; it is a fault of one file."""
        try:
            yield
        except InputError as error:
            self.faults += 1
            self.note(where, str(error).removeprefix(f"{where}: "))

    def key(self, path: PurePath) -> tuple[list[str], bool]:
        """What the path of a picture and that of its labels have in common, and whether this one is of labels.

        train/images/a.jpg and train/masks/a_mask.png: train, a.
        """
        below = path.relative_to(self.folder) if self.folder in path.parents else path
        sides = [bool(_LABELS.fullmatch(part)) - bool(_PICTURES.fullmatch(part)) for part in below.parent.parts]
        names = [part for part, side in zip(below.parent.parts, sides, strict=True) if not side] + [below.stem]
        cut = [_SUFFIX.fullmatch(name) for name in names]
        marked = 1 in sides or (any(cut) and -1 not in sides)
        return [(match[1] if match else name).lower() for match, name in zip(cut, names, strict=True)], marked

    def split(self, path: PurePath) -> str | None:
        """Return train, val or test, where a name on a path says so."""
        return next(reversed(_SPLIT.findall("/".join(self.key(path)[0]))), None)

    def split_lists(self) -> dict[str, str | None]:
        """Return the split of each name that a train.txt, val.txt or test.txt lists."""
        lists = [path for path in self.files if path.suffix == ".txt" and _SPLIT.fullmatch(path.stem.lower())]
        listed = {}
        for path in [path for path in lists if path.parent.name == "Segmentation"] or lists:  # VOC has other tasks
            with reading(path, "list", "save it as plain UTF-8 text"):
                for line in filter(str.strip, path.read_text(encoding="utf-8-sig").splitlines()):
                    names = line.strip(), PurePath(line.strip()).stem, PurePath(line.split()[0]).stem
                    listed |= dict.fromkeys(names, self.split(PurePath(path.name)))
        return listed

    def find_picture(self, name: str, where: Path) -> Path | None:
        """Return the picture that a label file calls `name`, or None.

        Of several with its stem that one is taken which lies in no folder of labels, has the whole name, its folders,
        or is in the label file's folder or split. Raises InputError where two are equally near.
        """
        wanted = PurePath(name.replace("\\", "/"))
        key = self.key(wanted)[0]

        def likeness(path: Path) -> tuple[bool, ...]:
            names, marked = self.key(path)
            near = path.parent == where.parent, self.split(path) == self.split(where)
            return not marked, path.name == wanted.name, names == key, *near

        found = sorted(self.by_stem[key[-1]], key=likeness)
        if len(found) > 1 and likeness(found[-1]) == likeness(found[-2]):
            raise InputError(f"{where}: both {found[-2]} and {found[-1]} may be its picture; rename one")
        return found[-1] if found else None


def clean(name: object) -> str:
    """A class's name as a line of classes.txt can hold it."""
    return " ".join(str(name).split()).lstrip("# ") or "unnamed"


def is_void(name: str) -> bool:
    return name.lower() in VOID_NAMES


def read_class_list(path: Path) -> list[tuple[str, int | None]]:
    """Read a list of classes in any of the forms that tools write -> each name, and its colour 0xRRGGBB or None."""
    entries = []
    with reading(path, "list of classes", "save it as plain UTF-8 text"):
        for line in map(str.strip, path.read_text(encoding="utf-8-sig").splitlines()):
            if line and line[0] != "#" and not re.fullmatch(r"\w+\W+r\W+g\W+b", line, re.IGNORECASE):  # a CSV's head
                first, name, last = _CLASS.fullmatch(line).groups()
                colour = first or last
                if colour and colour[0] != "#":
                    colour = "#" + bytes(map(int, re.findall(r"\d+", colour))).hex()  # raises above 255
                entries.append((clean(name), int(colour[1:], 16) if colour else None))
        if not 0 < len(entries) <= 255 or len({colour is None for _, colour in entries}) > 1:
            raise ValueError(f"{len(entries)} classes; expected 1 to 255, all with a colour or none")
    return entries


# --- label pictures ---


def read_colours(path: Path, palette: dict | None, lossless: bool) -> np.ndarray:
    """Read a label picture -> int64 (H, W): 0xRRGGBB. With a dict, index i of a palette as grey i.

    The dict keeps the colour of each index: files that give an index another one do not go together.
    """
    image, step = _decode(path, "label picture")
    with Image.open(path) as opened:
        if lossless and (opened.format in LOSSY or opened.info.get("compression") == "jpeg"):
            way_out = "export PNG, or give --classes FILE with colours and --snap 60"
            raise InputError(f"{path}: {opened.format} by its content, which blurs the values of labels; {way_out}")
    colours = np.asarray(image.convert("RGB")).astype(np.int64) @ np.array([1 << 16, 1 << 8, 1])  # (H, W)
    if image.mode not in ("1", "L") and image.mode[0] != "I" and (image.mode != "P" or palette is None):
        return colours
    values = np.asarray(image).astype(np.int64) // step  # (H, W)
    if not 0 <= values.min() <= values.max() <= 255:
        raise InputError(f"{path}: values {values.min()} to {values.max()}, expected 0 to 255; save 8-bit PNG")
    if image.mode == "P":
        found, first = np.unique(values, return_index=True)
        for value, colour in zip(found.tolist(), colours.ravel()[first].tolist(), strict=True):
            if palette.setdefault(value, colour) != colour:
                raise InputError(f"{path}: its palette gives {value} another colour than files before; save it as RGB")
    return values * _GREY


class LabelPictures:
    """The label pictures of a source, read once. sizes: path -> (H, W).  pixels, pictures: how often a colour occurs.

    classes: name -> colour or None.  ids: colour -> class id, or 255.
    """

    def __init__(self, source: Source):
        self.source, self.pixels, self.pictures, self.sizes = source, Counter(), Counter(), {}
        self.palette = {} if None in dict(source.listed or [("", None)]).values() else None  # classes without colours
        for path in tqdm(source.pictures, "counting colours", unit="picture", leave=False):
            if source.key(path)[1]:
                with source.leaving_out(path):
                    colours = read_colours(path, self.palette, source.snap is None)
                    found, counts = np.unique(colours, return_counts=True)
                    self.pixels.update(dict(zip(found.tolist(), counts.tolist(), strict=True)))
                    self.pictures.update(found.tolist())
                    self.sizes[path] = colours.shape
        entries = self.entries() if self.sizes else []
        if source.listed and not source.fixed:
            if absent := [name for name, colour in entries if colour not in self.pixels and not is_void(name)]:
                source.note(source.list_file, f"classes that occur nowhere, left out: {', '.join(absent)}")
            entries = [entry for entry in entries if entry[1] in self.pixels]
        names = list(dict.fromkeys(name for name, _ in entries if not is_void(name)))
        coloured = any(colour % _GREY for _, colour in entries)
        found = source.listed or (entries if coloured else ())
        self.classes = {name: dict(found).get(name) for name in names}
        self.ids = {colour: names.index(name) if name in names else IGNORE_LABEL for name, colour in entries}
        if source.snap is not None and self.sizes:
            self.snap()

    def entries(self) -> list[tuple[str, int]]:
        """The name of each class and of void, and the colour that it has in the files."""
        listed, found = self.source.listed, sorted(self.pixels)
        greys = [colour // _GREY for colour in found if colour % _GREY == 0]
        if listed and self.palette is None and (len(greys) < len(found) or greys[-1] >= len(listed)):
            return listed
        names = [name for name, _ in listed or [("background", 0), ("object", 1)] if not is_void(name)]
        if len(found) == len(names) == 2 and found[0] == 0:
            if found[1] != _GREY:
                self.source.note(self.source.folder, f"labels of 0 and {text_of(found[1])}: {' and '.join(names)}")
            return list(zip(names, found, strict=True))
        if listed and len(greys) < len(found):
            self.ask_names(f"the labels have colours, and {self.source.list_file} has none")
        if listed:
            return [(name, i * _GREY) for i, (name, _) in enumerate(listed)] + [(VOID_NAME, IGNORE_LABEL * _GREY)]
        rare = sum(self.pixels[colour] < _RARE * self.pictures[colour] for colour in found)
        if len(found) > 255 or (rare > 2 and 2 * rare > len(found)):
            self.ask_names(f"{len(found)} colours, {rare} of fewer than {_RARE} pixels a picture, as at smoothed edges")
        ids = len(greys) == len(found) and max(set(greys) - {IGNORE_LABEL}, default=0) < 64  # and no spread of greys
        void = IGNORE_LABEL * _GREY if ids else None
        self.source.note(self.source.folder, "no list of classes; replace the names in the new classes.txt by yours")
        numbers = greys if ids else range(len(found))
        return [(VOID_NAME if c == void else f"class {i}", c) for i, c in zip(numbers, found, strict=True)]

    def ask_names(self, reason: str) -> None:
        """Write the colours to a file for the user to name, and end with the reason."""
        ask, shown = self.source.ask, enumerate(self.pixels.most_common(255))
        if not ask.exists():
            lines = [f"# {n:,} pixels in {self.pictures[c]} pictures\nclass {i} {text_of(c)}\n" for i, (c, n) in shown]
            with atomic_file(ask) as file:
                file.write("".join(lines).encode())
        way_out = f"in {ask} take out the colours that are no classes and name the others, then add --classes {ask}"
        raise InputError(f"{self.source.folder}: {reason}; {way_out} --snap 60")

    def snap(self) -> None:
        """Give every colour the class of the nearest listed one, or void beyond the bound."""
        found, counts, listed = np.array(list(self.pixels)), np.array([*self.pixels.values()]), np.array([*self.ids])
        gaps = np.stack([np.linalg.norm(channels(found) - channels(colour), axis=-1) for colour in listed])  # (L, U)
        gap, nearest = gaps.min(axis=0), listed[gaps.argmin(axis=0)]
        far = gap > self.source.snap
        moved, void = 100 * counts[(gap > 0) & ~far].sum() / counts.sum(), 100 * counts[far].sum() / counts.sum()
        text = f"{moved:.2f} % of the pixels snapped to a listed colour, by up to {max([0, *gap[~far]]):.0f}"
        self.source.note(self.source.folder, f"{text}; {void:.2f} % are farther than {self.source.snap:g} off: void")
        self.ids = {
            c: IGNORE_LABEL if f else self.ids[n] for c, f, n in zip(found.tolist(), far, nearest.tolist(), strict=True)
        }

    def draw(self, path: Path, H: int, W: int) -> np.ndarray:
        """Read the labels of a picture -> uint8 (H, W) of class ids, 255 for void."""
        colours = read_colours(path, self.palette, self.source.snap is None)
        found, places, counts = np.unique(colours, return_inverse=True, return_counts=True)
        for colour, count in zip(found.tolist(), counts, strict=True):
            if colour not in self.ids:
                way_out = f"list it in {self.source.list_file}, or give --snap 60"
                raise InputError(f"{path}: colour {text_of(colour)} at {count} pixels is no class; {way_out}")
        return np.array([self.ids[colour] for colour in found.tolist()], np.uint8)[places].reshape(H, W)


def pictures_of_labels(source: Source) -> tuple | None:
    """Read the label pictures -> what they are, the classes' names and colours, a Labelled for each; or None."""
    labels, items = LabelPictures(source), []
    for path, size in labels.sizes.items():
        with source.leaving_out(path):
            picture = source.find_picture(str(path.relative_to(source.folder)), path)
            if picture is None or source.key(picture)[1]:
                raise InputError(f"{path}: no picture has its name; put it into images/")
            items.append(Labelled(picture, None, path, size, partial(labels.draw, path)))
    return ("label pictures", labels.classes, items) if items else None


def channels(colours: np.ndarray) -> np.ndarray:
    """0xRRGGBB (...) -> red, green, blue (..., 3)."""
    return np.asarray(colours)[..., None] >> np.array([16, 8, 0]) & 255


def text_of(colour: int) -> str:
    return " ".join(map(str, channels(colour)))
