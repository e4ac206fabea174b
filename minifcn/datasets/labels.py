"""Label files, and what their values mean; a picture with its labels.

A label file holds one value a pixel; a LabelCoding tells what the values mean. Its *entries* are the names that the
values 0, 1, 2, ... stand for. An entry named "void" or the like is no class: its pixels become 255, and the classes
after it move down by one. The value 255 is always void. Accepted are paletted files (the index counts, not the colour),
grey files of 1 to 16 bits, and, where the entries have colours, RGB files; none that are compressed with loss.

    file value   0       1      2      255             entries  road, void, car
                 |       |      |       |              classes  road, car
    class id     0      255     1      255

What one file cannot tell, the files of the set decide together, all splits: whether grey values are numbers of entries,
grey colours of entries, or a mask of 0 and one other value; and for a picture with an EXIF orientation whether its
labels, which have none, are drawn on the picture as it is displayed or as it is stored.

    size of the labels   as displayed (H, W)      as stored (W, H)         both (square, or turned by 180 degrees)
    they are             left as they are         turned as the picture    as the set's files that the size decides
"""

from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from functools import cached_property, lru_cache
from pathlib import Path

import numpy as np
from PIL import Image

from ..errors import InputError
from .colours import palette as colours_for
from .pictures import IGNORE_LABEL, Example, decode, opened, orientation_of, pixels_of, several, turned

VOID_NAMES = {"void", "ignore", "__ignore__", "_ignore_", "ignored", "unlabeled", "unlabelled"}  # in any case
_SHOWN = 10  # at most so many values in one message
DIGITS = np.array([1 << 16, 1 << 8, 1], np.int32)  # (..., 3) @ DIGITS: one number for a colour


def cleaned(text: str) -> str:
    """A text without what a terminal obeys instead of showing it; odd spaces become plain ones, tabs stay."""
    return "".join(c if c.isprintable() or c == "\t" else " " for c in text if c.isprintable() or c.isspace())


class LabelCoding:
    """What the values in a set's label files mean.

    entries are the names of the values 0, 1, 2, ..., at most 255; colours the RGB colour of each, or None, and then RGB
    label files are refused. Messages about a bad value end with remedy, the way out. files are pairs of a picture and a
    label file, those of the whole set, which decide what one file cannot.

    classes: the entries that are no void, L of them.  values: the value that each has in the files.  palette: uint8
    (L, 3).  notes: what was assumed, a sentence each; reading may add to it.
    """

    def __init__(self, entries: Sequence[str], colours=None, remedy="correct the file", files=(), notes=(), stamps=()):
        self.entries, self.remedy, self.files, self.notes = list(entries), remedy, files, list(notes)
        self.colours = None if colours is None else np.array(colours, np.uint8)
        self.values = [value for value, name in enumerate(entries) if name.lower() not in VOID_NAMES]
        self.classes = [entries[value] for value in self.values]
        self.palette = colours_for(self.classes) if colours is None else self.colours[self.values]
        self._class_of = np.full(len(entries), IGNORE_LABEL)  # entry -> class id
        self._class_of[self.values] = np.arange(len(self.classes))
        self._colour_of: dict[int, tuple] = {}  # palette index -> its colour, and the first file that has it
        expected = f"expected 0 to {len(entries) - 1} ({len(self.classes)} classes), or 255 for void"
        self._use(dict(enumerate(self._class_of)), expected)
        self._decide()

    def for_set(self, files: Iterable[tuple[Path, Path]], notes: Iterable[str] = ()) -> "LabelCoding":
        """This coding for the pictures and label files of a set, all its splits: one object until a file changes."""
        files = tuple(files)
        stats = [path.stat() for pair in files for path in pair if path.is_file()]
        stamps = tuple((stat.st_mtime_ns, stat.st_size, stat.st_ino) for stat in stats)
        colours = None if self.colours is None else tuple(map(tuple, self.colours.tolist()))
        return _coding(tuple(self.entries), colours, self.remedy, files, tuple(notes), stamps)

    def read(self, path: str | Path) -> tuple[np.ndarray, int]:
        """Read one label file -> uint8 (H, W) of class ids, 255 for void, and the EXIF orientation that was undone.

        Raises InputError, which names the file and the values, where it cannot be read or a value has no meaning.
        """
        image = self._open(path)
        values = np.asarray(image) // image.info["step"]  # (H, W), or (H, W, 3)
        labels = self._from_colours(path, values) if image.mode == "RGB" else self.labels_of(path, values)
        if image.mode == "P":
            self._check_palette(path, image, np.unique(values[values != IGNORE_LABEL]).tolist())
        return labels, image.info["orientation"]

    def _open(self, path: str | Path) -> Image.Image:
        """Decode a label file -> grey, paletted, or RGB where colours count; one bit or equal channels become grey.
        image.info["step"]: by what its values must be divided."""
        image = decode(path, "label picture")
        if image.info["lossy"]:
            way_out = "export them again as PNG, or: python -m minifcn.import_labels SOURCE --out mydata --snap 40"
            raise InputError(f"{path}: labels in a {image.info['lossy']} file, which blurs their values; {way_out}")
        if image.mode == "1":
            image = image.convert("L")  # 0 and 255
            image.info["step"] = self._bit
        if image.mode in ("LA", "RGBA") and image.getchannel("A").getextrema()[0] == 255:  # nothing is hidden
            image = image.convert(image.mode[:-1])
        if image.mode == "RGB" and self.colours is None:
            if len({band.tobytes() for band in image.split()}) > 1:
                hint = "save it as a paletted or grey PNG of class ids, or give each class a colour in the list of them"
                raise InputError(f"{path}: an RGB label picture, but the classes have no colours; {hint}")
            image = image.getchannel(0)
        if image.mode not in ("L", "P", "RGB") and image.mode[0] != "I":
            way_out = "save it as a paletted or grey PNG without transparency"
            raise InputError(f"{path}: a label picture cannot be of mode {image.mode}; {way_out}")
        return image

    def labels_of(self, path: str | Path, values: np.ndarray) -> np.ndarray:
        """The values of a file, integers (H, W) -> uint8 (H, W) of class ids, 255 for void. Raises as read does."""
        places = values if values.dtype == np.uint8 else values.astype(np.int64).clip(-1, 256)  # both ends: the last
        remedy = "save it with 8 bits, a mask as 0 and 255" if values.max(initial=0) > IGNORE_LABEL else self.remedy
        return _checked(path, values, self._table[places], "value {}".format, f"{self._expected}; {remedy}")

    @cached_property
    def drawn_as_stored(self) -> bool:
        """Whether the set's labels are drawn on the pixels of turned pictures as they are stored."""
        votes, undecided = {True: 0, False: 0}, []
        for picture_path, labels_path in self.files:
            with suppress(Exception), opened(picture_path) as picture, opened(labels_path) as labels:
                orientation = orientation_of(picture) if orientation_of(labels) == 1 else 1
                if orientation > 4 and picture.width != picture.height:  # Pillow has the sizes of TIFFs as displayed
                    votes[(labels.size == picture.size) != (picture.format == "TIFF")] += 1
                elif orientation > 1:
                    undecided.append(picture_path.name)
        stored = votes[True] > votes[False]
        others = f"of the labels whose size tells {votes[True]} are drawn as stored, {votes[False]} as displayed"
        if undecided:
            drawn = f"taken as drawn on the picture as it is {'stored' if stored else 'displayed'} ({others})"
            self.notes.append(f"turned by EXIF: {several(undecided, 'picture')}; the labels are {drawn}")
        return stored

    def _decide(self) -> None:
        """Decide by all files of the set what their grey values are, where they may be no numbers of entries."""
        colours = enumerate(() if self.colours is None else self.colours.tolist())
        greys = {c[0]: self._class_of[entry] for entry, c in colours if len(set(c)) == 1}
        numbers, levels = set(range(len(self.entries))), {IGNORE_LABEL, None, *greys}
        mask = len(self.classes) == 2 and self.values[0] == 0
        found, told, self._bit = set(), set(), 1
        files = self.files if mask or greys else ()
        if files:
            from tqdm import tqdm  # only here: import minifcn alone does not need its 2 MB of modules

            files = tqdm(files, "what labels mean", leave=False, delay=1)
        for _, path in files:
            found |= self._values(path)
            told = found - {None}
            mask = mask and 1 not in told and len(told) < 3
            if not mask and not found <= levels:
                break
        if told and found <= levels and (found - numbers) & {None, *greys}:
            self._use(greys, f"expected the classes' greys, {', '.join(map(str, sorted(greys)))}, or 255 for void")
            self.notes.append("grey values in label files are taken as the classes' grey colours, not as their numbers")
            if len(greys) == len(self.entries):
                self.values = self.colours[self.values, 0].tolist()
        elif mask and 0 in told and len(told) == 2 and not told <= numbers and max(told) <= IGNORE_LABEL:
            self.values, high = sorted(told), max(told)
            self._use({0: 0, high: 1}, f"expected 0 or {high}, as in the set's other files")
            self.notes.append(f"label files hold only 0 and {high}: taken as {' and '.join(map(repr, self.classes))}")
        else:
            self._bit = 1 if IGNORE_LABEL in self.values else 255

    def _values(self, path: Path) -> set[int | None]:
        """The values in a label file; None stands for colours."""
        with suppress(Exception), opened(path) as image:
            if self.colours is not None and image.mode in ("RGB", "RGBA"):
                return {None}
            image = self._open(path)
            values = np.flatnonzero(image.histogram()) if image.mode in ("L", "P") else np.unique(image)
            return set((values // image.info["step"]).tolist())
        return set()  # what is wrong is told when it is read

    def _use(self, class_of: dict[int, int], expected: str) -> None:
        """Read values by {value: class id}; 255 is void unless it is there."""
        self._expected = expected
        self._table = np.full(257, -1, np.int16)  # the last one is that of what is no byte
        self._table[[IGNORE_LABEL, *class_of]] = [IGNORE_LABEL, *class_of.values()]

    @cached_property
    def _places(self) -> np.ndarray:
        """Where each colour, as a number, stands among the entries, counted from 1; 0: nowhere. uint8 (2^24,)."""
        places = np.zeros(1 << 24, np.uint8)
        places[self.colours @ DIGITS] = np.arange(len(self.colours)) + 1
        return places

    def _from_colours(self, path: str | Path, pixels: np.ndarray) -> np.ndarray:
        """RGB pixels uint8 (H, W, 3) -> the class that each colour stands for, uint8 (H, W)."""
        codes = pixels @ DIGITS  # (H, W)
        labels = np.append(-1, self._class_of).astype(np.int16)[self._places[codes]]
        expected = f"not the colour of any class; {self.remedy}"
        return _checked(path, codes, labels, lambda c: f"colour {(c >> 16, c >> 8 & 255, c & 255)}", expected)

    def _check_palette(self, path: str | Path, image: Image.Image, used: list[int]) -> None:
        """Refuse a paletted file whose used indices have the colours of other classes, as PNG optimisers leave it, or
        other colours than they have elsewhere in the set. A ramp of greys is no palette that anyone chose."""
        palette = list(zip(*[iter(image.getpalette("RGB"))] * 3, strict=True))
        used = [index for index in used if index < len(palette)]
        if self.colours is not None:
            entries = {tuple(colour): entry for entry, colour in enumerate(self.colours.tolist())}
            for value in used if entries.keys() >= {palette[value] for value in used} else ():
                entry = entries[palette[value]]
                if self._class_of[entry] != self._table[value]:  # by its colour, by its value
                    name = [*self.classes, "void"][min(self._table[value], len(self.classes))]
                    clash = f"index {value} is {name!r} but has the colour of {self.entries[entry]!r}"
                    way_out = "save it as RGB, or with the palette in the order of the classes"
                    raise InputError(f"{path}: {clash}; {way_out}")
        elif len(palette) == 1 or palette != [(i, i, i) for i in range(len(palette))]:
            for index in used:
                known, first = self._colour_of.setdefault(index, (palette[index], path))
                if palette[index] != known:
                    clash = f"index {index} has the colour {palette[index]}, in {first} {known}"
                    way_out = "save all with one palette, or as RGB with the classes' colours in the list of classes"
                    raise InputError(f"{path}: {clash}: which class is it? {way_out}")


_coding = lru_cache(maxsize=4)(LabelCoding)


def read_example(picture_path: Path, labels_path: Path, coding: LabelCoding) -> Example:
    """Read a picture and its labels. Raises InputError unless their sizes agree."""
    image, (labels, undone) = decode(picture_path, "picture"), coding.read(labels_path)
    picture, orientation = pixels_of(picture_path, image), image.info["orientation"]
    (H, W), (h, w) = picture.shape[:2], labels.shape
    undecided = orientation > 1 == undone and (h, w) == (H, W) and (H == W or orientation < 5)
    if (h, w) != (H, W) or (undecided and coding.drawn_as_stored):
        back = {1: orientation, 6: 8, 8: 6}.get(undone, undone)  # its own orientation was already in its pixels
        labels = np.array(turned(Image.fromarray(labels), back))
    if labels.shape != (H, W):
        sizes = f"{w} x {h} pixels (width x height), but its picture {picture_path} has {W} x {H}"
        raise InputError(f"{labels_path}: {sizes}; give both the same size (scale labels by nearest neighbour)")
    return picture, labels


def _checked(path: str | Path, values: np.ndarray, labels: np.ndarray, describe: Callable, expected: str) -> np.ndarray:
    """Return labels (H, W) as uint8. Raises InputError where any is negative: for each of these values (H, W), how many
    pixels have it, and where the first one is."""
    bad = labels < 0
    if not bad.any():
        return labels.astype(np.uint8)
    found, counts, places = *np.unique(values[bad], return_counts=True), []
    for value, count in zip(found[:_SHOWN].tolist(), counts.tolist(), strict=False):
        row, column = np.unravel_index(np.argmax(values == value), values.shape)
        places.append(f"{describe(value)} at {count} pixel{'s' * (count > 1)}, first at row {row}, column {column}")
    places += [f"and {len(found) - _SHOWN} more values"] * (len(found) > _SHOWN)
    raise InputError(f"{path}: {'; '.join(places)}: {expected}")
