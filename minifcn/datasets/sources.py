"""A folder of pictures and labels in no layout of ours: which picture a label file belongs to, and what values mean.

Labels are JSON (annotations.py) or pictures. What a label file calls its picture is looked for among the pictures in
the folder, so nothing outside of it is ever read. What the values of label pictures mean is told by a list of classes,
as labels.py has it; without one, by all label pictures together:

    black and one other value or colour    background and object
    other grey values, or indices          class 0, class 1, ... by their values; 255 is void
    colours                                class 0, class 1, ... in their order

Colours that come of smoothed edges are refused, for they are no classes. So are JPEG and its like, which blur labels;
unless every pixel is snapped to the nearest listed colour, within a distance in RGB. What is farther off becomes void.
"""

import re
from collections import Counter, defaultdict
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path, PurePath

import numpy as np
from tqdm import tqdm

from ..errors import InputError, printable
from ..files import atomic_file
from .classes import CLASS_FILES, read_classes, read_lines
from .labels import DIGITS, LabelCoding, read_example
from .pictures import EXTENSIONS, IGNORE_LABEL, decode, several

CLASS_LISTS = (*CLASS_FILES, "labels.txt", "class_names.txt", "label_colors.txt")
_LABELS = re.compile(r"masks?|ann|annotations?|labels?|gt|ground_?truth|segmentationclass(png)?", re.IGNORECASE)
_PICTURES = re.compile(r"images?|imgs?|jpegimages|photos?|pictures?", re.IGNORECASE)
_OTHER = re.compile(r"segmentation(object|classvisualization)", re.IGNORECASE)  # neither: objects, drawings
_SUFFIX = re.compile(r"(?<=.)([_-](masks?|gt|labels?|L)|annot)$", re.IGNORECASE)
_SPLIT = re.compile(r"(?<![a-z])(train|val|test)(?:ing|id|idation)?(?![a-z])")
_RARE = 9  # pixels a picture: colours of fewer are noise, if most are so


class Source:
    """The folder. files: all that are not hidden.  pictures: those of them, labels too, by what key() leaves of a name.

    coding: what the list of classes says, `classes` or else a file with a usual name; or None.
    snap: the largest distance of a pixel from a listed colour, or None.  ask: the file for colours that need names.
    folders: the names of folders that pictures lie in.  used: files that were read, or are named in a note.
    coco: whether JSON files are COCO's, whose own names tell the split.
    notes: what was left out or assumed, in groups that differ in numbers and quoted names.  faults: files left out.
    """

    def __init__(self, folder: Path, classes: Path | None, snap: float | None, ask: Path):
        self.folder, self.snap, self.ask = folder, snap, ask
        self.notes, self.faults, self.pictures = defaultdict(list), 0, defaultdict(list)
        self.folders, self.used, self.coco = set(), set(), False
        files = [path for path in sorted(folder.rglob("*")) if path.is_file()]
        self.files = [path for path in files if "/." not in f"/{path.relative_to(folder).as_posix()}"]
        lists = [path for name in CLASS_LISTS for path in self.files if path.name.lower() == name]
        self.used.update(map(Path.resolve, lists := [classes] if classes else lists[:1]))
        self.coding = next(map(read_classes, lists), None)
        self.lists = self.read_lists()
        for path in self.files:
            if path.suffix.lower() in EXTENSIONS and not _OTHER.fullmatch(path.parent.name):
                (*folders, name), marked = self.key(path)
                self.pictures[name].append(path)
                self.folders.update(() if marked else folders)

    def note(self, where: Path, text: str) -> None:
        self.used.add(where)
        self.notes[re.sub(r"(?s)\d+|'.*'", "", text)].append(printable(" ".join(f"{where}: {text}".split())))

    def note_unused(self) -> None:
        """Note each file that was neither read nor named in a note."""
        for path in [path for path in self.files if self.used.isdisjoint((path, path.resolve()))]:
            (*_, name), marked = self.key(path)
            alone = path in self.pictures[name] and not marked
            self.note(path, "no labels for this picture" if alone else f"not used ({path.suffix or 'no extension'})")

    def told(self) -> list[str]:
        """A line for each group of notes."""
        return [several(texts, "note") for texts in self.notes.values()]

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
        labels, pictures = (set(filter(kind.fullmatch, below.parent.parts)) for kind in (_LABELS, _PICTURES))
        names = [*(name for name in below.parent.parts if name not in labels | pictures), below.stem]
        cut = [_SUFFIX.sub("", name) for name in names]
        return [name.lower() for name in cut], bool(labels) or (cut != names and not pictures)

    def split(self, *paths: PurePath) -> str | None:
        """Return train, val or test: that of the source's lists, if it has any, or as folders and COCO files say."""
        if self.lists:
            return self.lists.get(paths[0].stem)
        ends = [(path, None if self.coco and path.suffix.lower() == ".json" else -1) for path in paths]
        names = ["/".join(self.key(path)[0][:end]) for path, end in ends]
        return next((split for text in names for split in reversed(_SPLIT.findall(text))), None)

    def read_lists(self) -> dict[str, str]:
        """The split of each name that a train.txt, val.txt or test.txt lists."""
        lists = [path for path in self.files if path.suffix == ".txt" and _SPLIT.fullmatch(path.stem.lower())]
        lists = [path for path in lists if path.parent.name == "Segmentation"] or lists  # VOC has other tasks
        self.used.update(lists)
        rows = [(line, _SPLIT.fullmatch(path.stem.lower())[1]) for path in lists for _, line in read_lines(path)]
        return {s: split for line, split in rows for s in (line, PurePath(line).stem, PurePath(line.split()[0]).stem)}

    def find_picture(self, name: str, where: Path) -> Path:
        """Return the picture that a label file calls `name`. Raises InputError if there is none, or several fit alike.

        Of those with its stem that one is taken which lies in no folder of labels, has the whole name, its folders, or
        is in the label file's folder or split. None is taken that lies in other folders than those asked for: the
        folders of pictures in the label file's path and in `name`; in JSON all of `name`, if it is a relative path.
        """
        json, wanted = where.suffix.lower() == ".json", PurePath(name.replace("\\", "/"))
        key = self.key(wanted)[0]
        asked = {*self.key(where)[0][:-1], *key[:-1]} & self.folders
        if json and not re.match(r"/|\w:|\.\.", wanted.as_posix()):
            asked |= {*key[:-1]}

        def likeness(path: Path) -> tuple[bool, ...]:
            names, marked = self.key(path)
            near = path.parent == where.parent, self.split(path) == self.split(where)
            same = path.name == wanted.name  # in JSON it is the picture's own name, else that of the labels
            return not marked, json and same, names == key, same, *near

        alike = [p for p in self.pictures[key[-1]] if json or not self.key(p)[1]]
        found = [p for p in alike if asked <= (folders := {*self.key(p)[0][:-1]}) or folders <= asked]
        if not found:
            other = f" ('{alike[0]}' is in another folder)" if alike else ""
            reason = f"its picture {key[-1]!r} is not in {self.folder}{other}"
            raise InputError(f"{where}: {reason}; put it there, into images/")
        *others, best = sorted(found, key=likeness)
        if others and likeness(others[-1]) == likeness(best):
            raise InputError(f"{where}: both {others[-1]} and {best} may be its picture; rename one")
        return best


def pictures_of_labels(source: Source) -> tuple | None:
    """Find the label pictures -> what they are, their coding, and for each its picture, itself, and a function that
    reads both; or None."""
    pairs, coding = [], source.coding
    for path in [path for paths in source.pictures.values() for path in paths if source.key(path)[1]]:
        with source.leaving_out(path):
            pairs.append((source.find_picture(str(path.relative_to(source.folder)), path), path))
    if not pairs:
        return None
    if coding is None or (source.snap is not None and coding.colours is None):
        coding = guess(source, [path for _, path in pairs])
    if source.snap is None or coding.colours is None:
        coding = coding.for_set(pairs)
    else:
        coding = Snapping(coding, pairs, source.snap)
    return "label pictures", coding, [(*pair, partial(read_example, *pair, coding)) for pair in pairs]


def guess(source: Source, paths: list[Path]) -> LabelCoding:
    """What the values mean in label pictures without a list of classes."""
    pixels, pictures, blurred = Counter(), Counter(), False  # by colour; a grey value or an index v is (v, v, v)
    for path in tqdm(paths, "counting colours", leave=False):
        with suppress(InputError):  # named when it is read
            image = decode(path, "label picture")
            blurred |= bool(image.info["lossy"])
            if image.mode in ("L", "P") or image.mode[0] == "I":
                values, counts = np.unique(np.asarray(image) // image.info["step"], return_counts=True)
                colours = {(v, v, v): n for v, n in zip(values.tolist(), counts.tolist(), strict=True) if 0 <= v < 256}
            else:
                colours = {colour: n for n, colour in image.convert("RGB").getcolors(1 << 24)}
            pixels.update(colours)
            pictures.update([*colours])
    found, rare = sorted(pixels), sum(pixels[colour] < _RARE * count for colour, count in pictures.items())
    if blurred or len(found) > 255 or (rare > 2 and 2 * rare > len(found)):
        shown = enumerate(pixels.most_common(255))
        lines = [f"# {n:,} pixels in {pictures[c]} pictures\nclass {i} {c[0]} {c[1]} {c[2]}\n" for i, (c, n) in shown]
        old = "; it was there before: delete it first if it is of other labels" if source.ask.exists() else ""
        if not old:
            with atomic_file(source.ask) as file:
                file.write("".join(lines).encode())
        reason = f"{len(found)} colours, {rare} of fewer than {_RARE} pixels a picture, as JPEG and smoothed edges have"
        way_out = "take out the colours that are no classes and name the others, then add"
        raise InputError(f"{source.folder}: {reason}; in {source.ask} {way_out} --classes {source.ask} --snap 60{old}")
    plain, values = all(len({*colour}) == 1 for colour in found), {red for red, *_ in found} - {IGNORE_LABEL} or {0}
    if len(found) == 2 and found[0] == (0, 0, 0):
        return LabelCoding(["background", "object"], None if plain else found)
    source.note(source.folder, "no list of classes; put yours into the new classes.txt, each in its place")
    if plain:
        return LabelCoding([f"class {i}" if i in values else "void" for i in range(max(values) + 1)])
    return LabelCoding([f"class {i}" for i in range(len(found))], found)


class Snapping(LabelCoding):
    """A coding that gives every pixel the class of the nearest colour, or void beyond `bound`. Lossy files will do."""

    def __init__(self, coding: LabelCoding, files: list, bound: float):
        super().__init__(coding.entries, coding.colours, notes=[""])
        self.files, self.bound, self.shares = files, bound, []

    def read(self, path: str | Path) -> tuple[np.ndarray, int]:
        image = decode(path, "label picture")
        codes = np.asarray(image.convert("RGB")) @ DIGITS  # (H, W)
        found, places = np.unique(codes, return_inverse=True)
        colours = found[:, None] >> np.array([16, 8, 0]) & 255  # (U, 3)
        gaps = np.stack([np.linalg.norm(colours - colour, axis=1) for colour in self.colours])  # (entries, U)
        labels, gap = self._class_of[gaps.argmin(axis=0)], gaps.min(axis=0)
        labels[gap > self.bound] = IGNORE_LABEL
        self.shares.append([(gap > 0)[places].mean(), (gap > self.bound)[places].mean()])
        other, void = 100 * np.mean(self.shares, axis=0)
        snapped = f"{other - void:.2f} % of the pixels snapped to a listed colour, up to {self.bound:g} away"
        self.notes[0] = f"{snapped}; {void:.2f} % are farther off: void"
        return labels.astype(np.uint8)[places].reshape(codes.shape), image.info["orientation"]
