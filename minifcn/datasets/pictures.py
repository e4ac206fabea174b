"""Reading picture files and label files.

A picture becomes 8-bit RGB whatever its file holds: grey and paletted pictures are converted, 16-bit grey is scaled
(65535 -> 255), transparent parts show white, CMYK is converted, and the EXIF orientation is applied.

A label file holds one value a pixel; a LabelCoding tells what the values mean. Its *entries* are the names that the
values 0, 1, 2, ... stand for. An entry named "void" is no class: its pixels become 255, and the classes after it move
down by one. The value 255 is always void. Accepted are paletted files (the index counts, not the colour), grey files of
1 to 16 bits, and, where the entries have colours, RGB files.

    file value   0       1      2      255             entries  road, void, car
                 |       |      |       |              classes  road, car
    class id     0      255     1      255

A picture with an EXIF orientation and its labels: labels of the displayed size are taken as drawn on the picture as it
is displayed; labels of the stored size (width and height swapped) are turned along with the picture.
"""

import math
import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

import numpy as np
from PIL import Image

from ..errors import InputError

IGNORE_LABEL = 255
VOID_NAME = "void"  # in a list of classes
Example = tuple[np.ndarray, np.ndarray]  # a picture uint8 (H, W, 3) in RGB and its labels uint8 (H, W)
EXTENSIONS = (".png", ".jpg", ".jpeg", ".bmp", ".gif", ".tif", ".tiff", ".webp", ".ppm", ".pgm")

_ORIENTATION = 0x0112  # the EXIF tag
_T = Image.Transpose
_TURN = {
    2: _T.FLIP_LEFT_RIGHT, 3: _T.ROTATE_180, 4: _T.FLIP_TOP_BOTTOM, 5: _T.TRANSPOSE, 6: _T.ROTATE_270,
    7: _T.TRANSVERSE, 8: _T.ROTATE_90,
}  # fmt: skip
# Pillow stretches grey PNGs of 2 and 4 bits to 0..255; label values must be shrunk back.
_GREY_STEP = {"L;2": 85, "L;4": 17}
_SHOWN = 10  # at most so many values in one message


class LabelCoding:
    """What the values in a set's label files mean.

    entries are the names of the values 0, 1, 2, ..., at most 255, "void" at most once; colours the RGB colour of each,
    uint8 (len(entries), 3), or None, and then RGB label files are refused. Messages about a bad value end with remedy,
    the way out.
    """

    def __init__(self, entries: Sequence[str], colours: np.ndarray | None = None, remedy: str = "correct the file"):
        self.entries, self.colours, self.remedy = list(entries), colours, remedy
        self.classes = [name for name in entries if name != VOID_NAME]
        self._class_of = np.full(256, IGNORE_LABEL, np.uint8)  # file value -> class id
        kept = [value for value, name in enumerate(entries) if name != VOID_NAME]
        self._class_of[kept] = np.arange(len(kept))

    def read(self, path: str | Path) -> np.ndarray:
        """Read one label file -> uint8 (H, W) of class ids, 255 for void.

        Raises InputError, which names the file and the values, where it cannot be read or a value has no meaning.
        """
        image, step = _decode(path, "label picture")
        if image.mode in ("LA", "RGBA") and image.getchannel("A").getextrema()[0] == 255:  # all of it is opaque
            image = image.convert(image.mode[:-1])
        if image.mode == "RGB":
            return self._class_of[self._from_colours(path, np.asarray(image))]
        if image.mode not in ("1", "L", "P") and not image.mode.startswith("I"):
            way_out = "save it as a paletted or grey PNG without transparency"
            raise InputError(f"{path}: a label picture cannot be of mode {image.mode}; {way_out}")
        values = np.asarray(image) // step  # (H, W)
        labels = self.labels_of(path, values)
        if image.mode == "P" and self.colours is not None:
            self._check_palette(path, image, np.unique(values[values != IGNORE_LABEL]))
        return labels

    def labels_of(self, path: str | Path, values: np.ndarray) -> np.ndarray:
        """The values of a file, integers (H, W) -> uint8 (H, W) of class ids, 255 for void. Raises as read does."""
        values = values.astype(np.int64)  # (H, W)
        bad = (values != IGNORE_LABEL) & ((values < 0) | (values >= len(self.entries)))
        expected = f"expected 0 to {len(self.entries) - 1} ({len(self.classes)} classes), or 255 for void"
        _check(path, values, bad, "value {}".format, f"{expected}; {self.remedy}")
        return self._class_of[values]

    def _from_colours(self, path: str | Path, pixels: np.ndarray) -> np.ndarray:
        """RGB pixels uint8 (H, W, 3) -> the entry that each colour stands for, int64 (H, W)."""
        if self.colours is None:
            hint = "save it as a paletted or grey PNG of class ids"
            raise InputError(f"{path}: an RGB label picture, but the classes have no colours; {hint}, or {self.remedy}")
        codes, known = _codes(pixels), _codes(self.colours)  # (H, W), (entries,)
        order = np.argsort(known)
        values = order[np.searchsorted(known[order], codes).clip(max=len(known) - 1)]  # (H, W)
        expected = f"not the colour of any class; {self.remedy}"
        _check(path, codes, known[values] != codes, lambda c: f"colour {(c >> 16, c >> 8 & 255, c & 255)}", expected)
        return values

    def _check_palette(self, path: str | Path, image: Image.Image, used: np.ndarray) -> None:
        """Refuse a paletted file whose colours are the classes' but in another order, as PNG optimisers leave it."""
        palette = np.array(image.getpalette("RGB")).reshape(-1, 3)
        used = used[used < len(palette)]
        same = (palette[used][:, None] == self.colours).all(axis=2)  # (used, entries)
        entries = same.argmax(axis=1)
        if same.any(axis=1).all() and (entries != used).any():
            value, entry = next((v, e) for v, e in zip(used, entries, strict=True) if v != e)
            clash = f"index {value} is {self.entries[value]!r} but has the colour of {self.entries[entry]!r}"
            raise InputError(f"{path}: {clash}; save it as RGB, or with the palette in the order of the classes")


@contextmanager
def reading(path: str | Path, what: str, remedy: str = "save or copy it again") -> Iterator[None]:
    """Inside this block, whatever is wrong with a file is raised as an InputError, which names the file.

    Damaged files make their decoders raise errors of many kinds.
    """
    try:
        yield
    except MemoryError:
        raise
    except FileNotFoundError:
        raise InputError(f"{path}: this {what} is missing; add the file, or take its name out of the set") from None
    except (Image.DecompressionBombError, Image.DecompressionBombWarning):
        limit = f"{Image.MAX_IMAGE_PIXELS:,} pixels"
        raise InputError(f"{path}: this {what} has more than {limit}; scale it down or cut it into parts") from None
    except Exception as error:
        reason = re.sub(r" ('.*'|<.*>)$", "", str(error).split(". ")[0]).rstrip(".")  # Pillow ends with the file
        reason = getattr(error, "strerror", None) or reason or type(error).__name__
        raise InputError(f"{path}: unreadable {what} ({reason}); {remedy}") from error


def read_picture(path: str | Path, file: BinaryIO | None = None) -> np.ndarray:
    """Read any picture file -> uint8 (H, W, 3) RGB, upright. Raises InputError, which names the file.

    Where `path` is only its name (in an archive), `file` is the open file that holds it.
    """
    image, _ = _decode(path, "picture", file)
    if image.mode[0] in "IF":
        values = np.asarray(image)  # (H, W)
        if image.mode == "F" or values.min() < 0 or values.max() > 65535:
            found = f"{values.dtype} from {values.min()} to {values.max()}"
            raise InputError(f"{path}: grey values {found}, expected integers from 0 to 65535; save it as 8-bit PNG")
        grey = ((values.astype(np.int64) * 255 + 32767) // 65535).astype(np.uint8)
        return np.repeat(grey[..., None], 3, axis=2)  # (H, W, 3)
    if image.mode in ("LA", "La", "PA", "P", "RGBA", "RGBa") or "transparency" in image.info:
        image = Image.alpha_composite(Image.new("RGBA", image.size, "white"), image.convert("RGBA"))
    return np.array(image.convert("RGB"))


def read_example(picture_path: Path, labels_path: Path, coding: LabelCoding) -> Example:
    """Read a picture and its labels. Raises InputError unless their sizes agree."""
    picture, labels = read_picture(picture_path), coding.read(labels_path)
    (H, W), (h, w) = picture.shape[:2], labels.shape
    if (h, w) != (H, W):
        with Image.open(picture_path) as image:
            labels = np.array(_upright(Image.fromarray(labels), image))
    if labels.shape != (H, W):
        sizes = f"{w} x {h} pixels (width x height), but its picture {picture_path} has {W} x {H}"
        raise InputError(f"{labels_path}: {sizes}; give both the same size (scale labels by nearest neighbour)")
    return picture, labels


def list_pictures(folder: Path) -> dict[str, Path]:
    """Return the picture files of a folder by stem, in order of name. Raises InputError: none, or two share a stem."""
    found: dict[str, Path] = {}
    for path in sorted(folder.iterdir()):
        if path.suffix.lower() not in EXTENSIONS or path.name.startswith(".") or path.is_dir():
            continue
        if path.stem in found:
            raise InputError(f"{folder}: {found[path.stem].name} and {path.name} differ only in extension; rename one")
        found[path.stem] = path
    if not found:
        raise InputError(f"{folder}: no pictures (.png, .jpg, ...) in this folder; put them there")
    return found


def _decode(path: str | Path, what: str, file: BinaryIO | None = None) -> tuple[Image.Image, int]:
    """Open, decode and turn upright -> the image, and the factor by which Pillow stretched its grey values."""
    with reading(path, what), Image.open(file or path) as image:
        if image.width * image.height > (Image.MAX_IMAGE_PIXELS or math.inf):
            raise Image.DecompressionBombError
        step = _GREY_STEP.get(image.tile[0][3], 1) if image.format == "PNG" and image.tile else 1
        image.load()
        # Pillow turns TIFFs itself while loading, so the orientation is asked for afterwards.
        return _upright(image, image), step


def _upright(image: Image.Image, picture: Image.Image) -> Image.Image:
    """Turn an image as the EXIF orientation of a picture says."""
    turn = _TURN.get(picture.getexif().get(_ORIENTATION))
    return image if turn is None else image.transpose(turn)


def _codes(colours: np.ndarray) -> np.ndarray:
    """Colours uint8 (..., 3) -> one int64 each, (...)."""
    return colours.astype(np.int64) @ np.array([1 << 16, 1 << 8, 1])


def _check(path: str | Path, values: np.ndarray, bad: np.ndarray, describe: Callable, expected: str) -> None:
    """Raise InputError if any values (H, W) are `bad`: how many pixels each has, and where its first one is."""
    if not bad.any():
        return
    found, first, counts = np.unique(values[bad], return_index=True, return_counts=True)
    rows, columns = np.nonzero(bad)  # in the order of values[bad]
    places = [
        f"{describe(value)} at {count} pixel{'s' * (count > 1)}, first at row {rows[i]}, column {columns[i]}"
        for value, i, count in zip(found.tolist()[:_SHOWN], first, counts.tolist(), strict=False)
    ]
    places += [f"and {len(found) - _SHOWN} more values"] * (len(found) > _SHOWN)
    raise InputError(f"{path}: {'; '.join(places)}: {expected}")
