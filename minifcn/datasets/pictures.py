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

from collections.abc import Callable, Sequence
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
_TURN = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
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
        if image.mode in ("LA", "RGBA"):
            if image.getchannel("A").getextrema()[0] < 255:
                raise InputError(f"{path}: the label picture has transparent pixels; save it without transparency")
            image = image.convert(image.mode[:-1])
        if image.mode == "RGB":
            return self._class_of[self._from_colours(path, np.asarray(image))]
        if image.mode not in ("1", "L", "P") and not image.mode.startswith("I"):
            remedy = "save it as a paletted or grey PNG"
            raise InputError(f"{path}: a label picture cannot be of mode {image.mode}; {remedy}")
        values = np.asarray(image) // step  # (H, W)
        labels = self.labels_of(path, values)
        if image.mode == "P" and self.colours is not None:
            self._check_palette(path, image, np.unique(values[values != IGNORE_LABEL]))
        return labels

    def labels_of(self, path: str | Path, values: np.ndarray) -> np.ndarray:
        """The values of a file, integers (H, W) -> uint8 (H, W) of class ids, 255 for void. Raises as read does."""
        values = values.astype(np.int64)  # (H, W)
        bad = (values != IGNORE_LABEL) & ((values < 0) | (values >= len(self.entries)))
        if bad.any():
            places = _places(values, bad, lambda value: f"value {value}")
            expected = f"0 to {len(self.entries) - 1} ({len(self.classes)} classes), or 255 for void"
            raise InputError(f"{path}: {places}: expected {expected}; {self.remedy}")
        return self._class_of[values]

    def _from_colours(self, path: str | Path, pixels: np.ndarray) -> np.ndarray:
        """RGB pixels uint8 (H, W, 3) -> the entry that each colour stands for, int64 (H, W)."""
        if self.colours is None:
            hint = "save it as a paletted or grey PNG of class ids"
            raise InputError(f"{path}: an RGB label picture, but the classes have no colours; {hint}, or {self.remedy}")
        codes, known = _codes(pixels), _codes(self.colours)  # (H, W), (entries,)
        order = np.argsort(known)
        slots = np.searchsorted(known[order], codes).clip(max=len(known) - 1)
        values = order[slots]  # (H, W)
        bad = known[values] != codes
        if bad.any():
            places = _places(codes, bad, lambda code: f"colour ({code >> 16}, {code >> 8 & 255}, {code & 255})")
            raise InputError(f"{path}: {places}: not the colour of any class; {self.remedy}")
        return values

    def _check_palette(self, path: str | Path, image: Image.Image, used: np.ndarray) -> None:
        """Refuse a paletted file whose colours are the classes' but in another order, as PNG optimisers leave it."""
        palette = np.array(image.getpalette("RGB")).reshape(-1, 3)
        used = used[used < len(palette)]
        entry_of = {code: value for value, code in enumerate(_codes(self.colours).tolist())}
        entries = [entry_of.get(code) for code in _codes(palette[used]).tolist()]
        if None in entries or entries == used.tolist():
            return
        value, entry = next(pair for pair in zip(used.tolist(), entries, strict=True) if pair[0] != pair[1])
        clash = f"index {value} is {self.entries[value]!r} but has the colour of {self.entries[entry]!r}"
        raise InputError(f"{path}: {clash}; save it as RGB, or with the palette in the order of the classes")


def read_picture(path: str | Path, file: BinaryIO | None = None) -> np.ndarray:
    """Read any picture file -> uint8 (H, W, 3) RGB, upright. Raises InputError, which names the file.

    Where `path` is only its name (in an archive), `file` is the open file that holds it.
    """
    image, _ = _decode(path, "picture", file)
    if image.mode.startswith("I"):
        values = np.asarray(image).astype(np.int64)  # (H, W)
        if values.min() < 0 or values.max() > 65535:
            span = f"{values.min()} to {values.max()}"
            raise InputError(f"{path}: grey values {span}, expected 0 to 65535; save the picture as 8-bit PNG")
        grey = ((values * 255 + 32767) // 65535).astype(np.uint8)
        return np.repeat(grey[..., None], 3, axis=2)  # (H, W, 3)
    if image.mode == "F":
        raise InputError(f"{path}: a picture of floating-point values; save it as 8-bit PNG")
    if image.mode in ("LA", "La", "PA", "P", "RGBA", "RGBa") or "transparency" in image.info:
        image = image.convert("RGBA")
        white = Image.new("RGBA", image.size, "white")
        image = Image.alpha_composite(white, image)
    return np.array(image.convert("RGB"))


def read_example(picture_path: Path, labels_path: Path, coding: LabelCoding) -> Example:
    """Read a picture and its labels. Raises InputError unless their sizes agree."""
    picture, labels = read_picture(picture_path), coding.read(labels_path)
    if labels.shape == picture.shape[:2]:
        return picture, labels
    turn = _turn_of(picture_path)
    if turn is not None:
        turned = np.array(Image.fromarray(labels).transpose(turn))
        if turned.shape == picture.shape[:2]:
            return picture, turned
    (H, W), (h, w) = picture.shape[:2], labels.shape
    remedy = "give both the same size (scale labels by nearest neighbour)"
    sizes = f"{w} x {h} pixels (width x height), but its picture {picture_path} has {W} x {H}"
    raise InputError(f"{labels_path}: {sizes}; {remedy}")


def list_pictures(folder: Path) -> dict[str, Path]:
    """Return the picture files of a folder by stem, in order of name. Raises InputError where two share a stem."""
    found: dict[str, Path] = {}
    for path in sorted(folder.iterdir()):
        if path.suffix.lower() not in EXTENSIONS or path.name.startswith(".") or path.is_dir():
            continue
        if path.stem in found:
            raise InputError(f"{folder}: {found[path.stem].name} and {path.name} differ only in extension; rename one")
        found[path.stem] = path
    return found


def _decode(path: str | Path, what: str, file: BinaryIO | None = None) -> tuple[Image.Image, int]:
    """Open, decode and turn upright -> the image, and the factor by which Pillow stretched its grey values."""
    try:
        with Image.open(file or path) as image:
            limit = Image.MAX_IMAGE_PIXELS
            if limit is not None and image.width * image.height > limit:
                raise Image.DecompressionBombError
            step = _GREY_STEP.get(image.tile[0][3], 1) if image.format == "PNG" and image.tile else 1
            image.load()
            # Pillow turns TIFFs itself while loading, so the orientation is asked for afterwards.
            turn = _TURN.get(image.getexif().get(_ORIENTATION))
            return (image if turn is None else image.transpose(turn)), step
    except FileNotFoundError:
        raise InputError(f"{path}: this {what} is missing; add the file, or take its name out of the set") from None
    except (Image.DecompressionBombError, Image.DecompressionBombWarning):
        limit = f"{Image.MAX_IMAGE_PIXELS:,} pixels"
        raise InputError(f"{path}: this {what} has more than {limit}; scale it down or cut it into parts") from None
    except MemoryError:
        raise
    except Exception as error:  # damaged files make Pillow's decoders raise many kinds
        reason = getattr(error, "strerror", None) or str(error).replace(f" {file or str(path)!r}", "")
        reason = reason.replace(str(path), "file").rstrip(".") or type(error).__name__
        raise InputError(f"{path}: unreadable {what} ({reason}); save or copy it again") from error


def _turn_of(path: Path) -> Image.Transpose | None:
    """How the stored pixels of a picture must be turned to be upright; None where they already are."""
    with Image.open(path) as image:
        return _TURN.get(image.getexif().get(_ORIENTATION))


def _codes(colours: np.ndarray) -> np.ndarray:
    """Colours uint8 (..., 3) -> one int64 each, (...)."""
    return colours.astype(np.int64) @ np.array([1 << 16, 1 << 8, 1])


def _places(values: np.ndarray, bad: np.ndarray, describe: Callable[[int], str]) -> str:
    """List the values (H, W) where `bad`, with how many pixels each has and where its first one is."""
    found, first, counts = np.unique(values[bad], return_index=True, return_counts=True)
    rows, columns = np.nonzero(bad)  # in the order of values[bad]
    parts = []
    for value, i, count in list(zip(found.tolist(), first, counts, strict=True))[:_SHOWN]:
        pixels = "1 pixel" if count == 1 else f"{count} pixels"
        parts.append(f"{describe(value)} at {pixels}, first at row {rows[i]}, column {columns[i]}")
    if len(found) > _SHOWN:
        parts.append(f"and {len(found) - _SHOWN} more values")
    return "; ".join(parts)
