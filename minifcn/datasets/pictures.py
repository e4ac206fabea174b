"""Reading picture files, and finding them.

A picture becomes 8-bit RGB whatever its file holds: grey and paletted pictures are converted, 16-bit grey is scaled
(65535 -> 255), transparent parts show white, CMYK is converted, and the EXIF orientation is applied.
"""

import glob
import math
import os
import re
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from io import BytesIO
from pathlib import Path

import numpy as np
from PIL import ExifTags, Image, UnidentifiedImageError

from ..errors import InputError, printable

IGNORE_LABEL = 255
Example = tuple[np.ndarray, np.ndarray]  # a picture uint8 (H, W, 3) in RGB and its labels uint8 (H, W)
EXTENSIONS = (".png", ".jpg", ".jpeg", ".jpe", ".jfif", ".bmp", ".gif", ".tif", ".tiff", ".webp", ".ppm", ".pgm")

_T = Image.Transpose
_TURN = {
    2: _T.FLIP_LEFT_RIGHT, 3: _T.ROTATE_180, 4: _T.FLIP_TOP_BOTTOM, 5: _T.TRANSPOSE, 6: _T.ROTATE_270,
    7: _T.TRANSVERSE, 8: _T.ROTATE_90,
}  # fmt: skip
# Pillow stretches grey PNGs of 2 and 4 bits to 0..255; label values must be shrunk back.
_GREY_STEP = {"L;2": 85, "L;4": 17}
# The formats that Pillow may read a picture by (MPO counts as JPEG): of its 43, PostScript would start Ghostscript.
FORMATS = ("PNG", "JPEG", "TIFF", "WEBP", "BMP", "GIF", "PPM")
_LOSSLESS = ("PNG", "BMP", "GIF", "TIFF", "PPM")  # formats that give back the pixels that were saved, but for these:
_LOSSY_TIFF = ("jpeg", "tiff_jpeg", "webp", "tiff_sgilog", "tiff_sgilog24")  # compressions
WEBP_PIXELS = 1 << 25  # Pillow decodes WebP to four copies of them
ROWS = 256  # of a picture, converted at a time: a large one would need three more copies
_CLUTTER = ("thumbs.db", "desktop.ini", "__macosx")  # what file managers leave behind


@contextmanager
def reading(path: str | Path, what: str, remedy: str = "save or copy it again") -> Iterator[None]:
    """Inside this block, whatever is wrong with a file is raised as an InputError, which names the file.

    Damaged files make their decoders raise errors of many kinds. Pipes and devices, which may never end, are not read.
    """
    try:
        if os.path.exists(path) and not os.path.isfile(path):
            raise InputError("a folder, pipe or device")
        yield
    except FileNotFoundError:
        raise InputError(f"{path}: this {what} is missing; {_mend(Path(path))}") from None
    except (MemoryError, Image.DecompressionBombError, Image.DecompressionBombWarning):
        limit = f"{Image.MAX_IMAGE_PIXELS or math.inf:,} pixels, or too many for the memory"
        raise InputError(f"{path}: this {what} has more than {limit}; scale it down or cut it into parts") from None
    except Exception as error:
        # Pillow ends with the file; other decoders may repeat all that is in it.
        reason = re.sub(r" ('.*'|<.*>)$", "", str(error)[:5000].split(". ")[0]).rstrip(".")
        reason = getattr(error, "strerror", None) or reason or type(error).__name__
        raise InputError(f"{path}: unreadable {what} ({reason}); {remedy}") from error


def read_picture(path: str | Path, file: BytesIO | None = None) -> np.ndarray:
    """Read any picture file -> uint8 (H, W, 3) RGB, upright. Raises InputError, which names the file.

    Where `path` is only its name (in an archive), `file` holds its bytes.
    """
    return pixels_of(path, decode(path, "picture", file))


def pixels_of(path: str | Path, image: Image.Image) -> np.ndarray:
    """The pixels of a decoded picture, uint8 (H, W, 3) in RGB. Raises InputError as read_picture does."""
    if image.mode[0] in "IF":  # grey of 16 bits and more
        values = np.asarray(image)  # (H, W)
        if image.mode == "F" or values.min() < 0 or values.max() > 65535:
            found = f"{values.dtype} from {values.min()} to {values.max()}"
            raise InputError(f"{path}: grey values {found}, expected integers from 0 to 65535; save it as 8-bit PNG")
        image = Image.fromarray((values // 257 + (values % 257 > 128)).astype(np.uint8))  # 65535 becomes 255
    clear = image.mode in ("LA", "La", "PA", "RGBA", "RGBa") or "transparency" in image.info
    pixels = np.empty((image.height, image.width, 3), np.uint8)
    for top in range(0, image.height, ROWS):
        rows = image.crop((0, top, image.width, min(top + ROWS, image.height)))
        if clear:
            rows = Image.alpha_composite(Image.new("RGBA", rows.size, "white"), rows.convert("RGBA"))
        pixels[top : top + ROWS] = np.asarray(rows.convert("RGB"))
    return pixels


def pixel_counts(labels: np.ndarray) -> np.ndarray:
    """How many pixels of labels (H, W) have each of the values 0 to 255, (256,). np.bincount takes 8 bytes a pixel."""
    return np.array(Image.fromarray(labels.astype(np.uint8)).histogram())


def decode(path: str | Path, what: str, file: BytesIO | None = None) -> Image.Image:
    """Open, decode and turn upright. Raises InputError, which names the file.

    The image's info has besides what Pillow says "orientation", EXIF's, which was undone; "step", by which Pillow
    stretched grey values; and "lossy", the format's name where that does not keep pixels exactly, else "".
    """
    with opened(path, what, file) as image:
        if image.width * image.height > (Image.MAX_IMAGE_PIXELS or math.inf):
            raise Image.DecompressionBombError
        if image.format == "WEBP" and image.width * image.height > WEBP_PIXELS:
            raise ValueError(f"WebP of more than {WEBP_PIXELS:,} pixels, which takes much memory: convert it to PNG")
        step = _GREY_STEP.get(image.tile[0][3], 1) if image.format == "PNG" and image.tile else 1
        exact = image.format in _LOSSLESS and image.info.get("compression") not in _LOSSY_TIFF
        undone = orientation_of(image) if image.format == "TIFF" else 1  # by Pillow, while loading
        image.load()
        left = orientation_of(image)
        image.info |= {"step": step, "lossy": "" if exact else image.format, "orientation": max(undone, left)}
        return turned(image, left)


@contextmanager
def opened(path: str | Path, what: str = "picture", file: BytesIO | None = None) -> Iterator[Image.Image]:
    """Open a picture, not decoded yet, as all are opened here. Errors of the block, too, are raised as by `reading`.

    A PNG is opened without its EXIF if that makes Pillow refuse all of it.
    """
    with reading(path, what):
        try:
            image = Image.open(file or path, formats=FORMATS)
        except UnidentifiedImageError:  # a chunk: the content's length (4 bytes), a name (4), content, checksum (4)
            head, _, tail = (file.getvalue() if file else read_bytes(path, 1 << 28)).partition(b"eXIf")
            without = BytesIO(head[:-4] + tail[int.from_bytes(head[-4:], "big") + 4 :])
            image = Image.open(without, formats=FORMATS)
        with image:
            yield image


def read_bytes(path: str | Path, longest: int) -> bytes:
    """The bytes of a file. Raises InputError, without its name, where they are more than make sense, `longest`."""
    if os.path.getsize(path) > longest:
        raise InputError(f"over {longest:,} bytes")
    return Path(path).read_bytes()


def orientation_of(image: Image.Image) -> int:
    """EXIF's orientation of an open image, 1 to 8; 1 where there is none, or what is there is damaged."""
    with suppress(Exception):  # Pillow raises errors of many kinds; the pixels are good all the same
        found = image.getexif().get(ExifTags.Base.Orientation)
        return found if found in _TURN else 1
    return 1


def turned(image: Image.Image, orientation: int) -> Image.Image:
    """Turn an image upright."""
    return image if orientation == 1 else image.transpose(_TURN[orientation])


def visible(folder: Path) -> list[Path]:
    """What is in a folder, in order of name, without hidden files and what file managers leave."""
    return sorted(p for p in folder.iterdir() if not p.name.startswith(".") and p.name.lower() not in _CLUTTER)


def noted(text: str, things: list, what: str) -> list[str]:
    """A note on these things, if there are any; what: the word for one."""
    return [f"{text}: {several(things, what)}"] if things else []


def several(things: list, what: str) -> str:
    """ "3 files, the first: a.txt" for three things in order, to be printed; what: the word for one."""
    return printable(f"{len(things)} {what}s, the first: {things[0]}" if len(things) > 1 else f"{what} {things[0]}")


def unused(folder: Path, used: Iterable[Path]) -> list[str]:
    """A note on what else is in a folder, if there is anything."""
    return noted("not used", [path for path in visible(folder) if path not in used], "item")


def list_pictures(folder: Path, extensions: tuple[str, ...] = EXTENSIONS) -> tuple[dict[str, Path], list[Path]]:
    """Return a folder's picture files by stem, in order of name, and all else in it.

    Raises InputError where two share a stem, or pictures lie in folders of their own.
    """
    found, others = {}, []
    for path in visible(folder):
        if path.is_dir() and any(inner.suffix.lower() in extensions for inner in path.rglob("*")):
            way_out = "move them up, and list each split's names in train.txt, val.txt, test.txt beside that folder"
            raise InputError(f"{path}: pictures in a folder of their own; {folder} is to hold them directly: {way_out}")
        same = found.setdefault(path.stem, path) if path.suffix.lower() in extensions and path.is_file() else None
        if same is None:
            others.append(path)
        elif same is not path:
            raise InputError(f"{folder}: {same.name} and {path.name} differ only in extension; rename one")
    return found, others


def pair(images: Path, labels: Path) -> tuple[dict[str, tuple[Path, Path]], list[str]]:
    """Return {name: (picture, labels)} of two folders, whether the labels are there or not, and notes on all else.

    Raises InputError where there is no picture, or a file with labels is none that is read.
    """
    (pictures, others), (annotations, more) = list_pictures(images), list_pictures(labels, (".png",))
    if lost := [path for path in others if path.stem in annotations.keys() - pictures.keys()]:
        kinds = f"files of a kind that is not read ({', '.join(sorted({path.suffix for path in lost}))})"
        raise InputError(f"{several(lost, 'picture')}: {kinds}, though with labels; convert them to PNG or JPEG")
    if not pictures:
        raise InputError(f"{images}: no pictures (.png, .jpg, ...) in this folder; put them there")
    alone = [path for name, path in annotations.items() if name not in pictures]
    notes = noted("without a picture, not used", alone, "label file")
    notes += noted("not used", others, "file") + noted("not used", more, "file")
    return {name: (path, annotations.get(name, labels / f"{name}.png")) for name, path in pictures.items()}, notes


def _mend(path: Path) -> str:
    """What to do about a file that is missing, which may be there under another name."""
    alike = re.compile(re.escape(path.stem) + r"([ _-]?(masks?|labels?|gt|l|seg|ids?))?\.\w+", re.IGNORECASE)
    there = [p for p in sorted(path.parent.glob("*")) if alike.fullmatch(p.name)]
    there += sorted(path.parent.parent.glob(f"*/{glob.escape(path.stem)}.json"))
    names = " and ".join(str(p.relative_to(path.parent.parent)) for p in dict.fromkeys(there))
    known = f"there is {names}: rename it, or convert it (python -m minifcn.import_labels); else " if names else ""
    return f"{known}add the file, or correct or remove its name where that is given"
