"""Labels as other tools write them in JSON: labelme, COCO and Supervisely.

    labelme       NAME.json beside NAME.jpg; polygons, rectangles, circles and masks. A later shape lies over an earlier
                  one; group_id joins the parts of an object and says nothing about its class.
    COCO          one file for a split; polygons and run lengths, plain or packed. The order of the annotations says
                  nothing, so smaller areas lie over larger ones. A crowd (iscrowd) is void, below all of them; where
                  all files have crowds only, they are objects: CVAT calls all that a brush painted so.
    Supervisely   NAME.jpg.json; polygons with holes, rectangles and bitmaps. A later object lies over an earlier one.

What no shape covers is background, the first class. Shapes without an area (points, lines, polygons of fewer than three
corners) are left out, and counted. Pillow draws polygons with the pixels on their edges, as labelme does.
"""

import json
import re
import zlib
from base64 import b64decode
from collections import defaultdict
from collections.abc import Iterator
from functools import partial
from io import BytesIO
from pathlib import Path
from types import SimpleNamespace

import numpy as np
from PIL import Image, ImageDraw
from tqdm import tqdm

from ..errors import InputError
from .labels import VOID_NAMES, LabelCoding, cleaned, read_example
from .pictures import IGNORE_LABEL, reading
from .sources import Source

# --- the formats: (picture's name, labels' size, shapes) for each picture that a file tells of ---
# A shape is (label, kind, points, more), as draw_shape takes them.


def labelme(path: Path, document: dict) -> Iterator[tuple]:
    told = document["shapes"]
    shapes = [(clean(s["label"]), s.get("shape_type") or "polygon", s["points"], s.get("mask") or "") for s in told]
    yield str(document["imagePath"]), (document["imageHeight"], document["imageWidth"]), shapes


def supervisely(path: Path, document: dict) -> Iterator[tuple]:
    shapes = []
    for thing in document["objects"]:
        if small := thing.get("bitmap"):
            data = [small["origin"]], small["data"]
        else:
            data = thing["points"]["exterior"], thing["points"].get("interior", ())
        shapes.append((clean(thing["classTitle"]), thing["geometryType"], *data))
    yield path.stem, (document["size"]["height"], document["size"]["width"]), shapes


class Crowd(str):
    """The label of a COCO annotation that is a crowd."""


def coco(path: Path, document: dict) -> Iterator[tuple]:
    names = {category["id"]: clean(category["name"]) for category in document["categories"]}
    shapes = defaultdict(list)
    for thing in sorted(document["annotations"], key=lambda a: (not a.get("iscrowd"), -(a.get("area") or box(a)))):
        label = names[thing["category_id"]]
        label = Crowd(label) if thing.get("iscrowd") else label
        outline = thing.get("segmentation") or [[]]  # without one it has a box alone
        parts = [("run lengths", (), outline)] if isinstance(outline, dict) else [("polygon", p, ()) for p in outline]
        shapes[thing["image_id"]] += [(label, *part) for part in parts]
    for image in document["images"]:
        yield str(image["file_name"]), (image["height"], image["width"]), shapes[image["id"]]


def box(thing: dict) -> float:
    """The pixels in the box (x, y, width, height) around a COCO annotation; 1 where it tells of none."""
    return np.prod((thing.get("bbox") or ())[2:])


FORMATS = ({"shapes"}, labelme), ({"categories", "annotations"}, coco), ({"objects", "size"}, supervisely)


def pictures_of_json(source: Source) -> tuple | None:
    """Read what the files of JSON tell -> the format, and more as pictures_of_labels has it; or None."""
    told = defaultdict(list)  # by format: the file, and what it tells of a picture
    for path in tqdm([path for path in source.files if path.suffix.lower() == ".json"], "reading", leave=False):
        with source.leaving_out(path), reading(path, "JSON file", "export it again"):
            document = json.loads(path.read_bytes())
            for keys, read in FORMATS:
                if isinstance(document, dict) and keys <= document.keys():
                    told[read.__name__] += [(path, *one) for one in read(path, document)]
    if not told:
        return None
    kind = max(told, key=lambda name: len(told[name]))
    # COCO has key points of the same pictures in files of other names.
    found = [one for one in told[kind] if one[0].name.startswith("instances_")] or told[kind]
    for path in dict.fromkeys(one[0] for name in told for one in told[name] if name != kind):
        source.note(path, f"JSON of another format than {kind}, left out")
    source.coco = kind == "coco"
    settle_crowds(source, found)
    used = sorted({label for *_, shapes in found for label, *_ in shapes})
    listed = map(clean, source.coding.classes if source.coding else used)
    names = ["background", *(name for name in listed if name not in ("background", "void"))]
    if len(names) > 255:
        raise InputError(f"{source.folder}: {len(names)} classes, expected 255 at most; name those with --classes FILE")
    if unknown := ", ".join(name for name in used if name not in [*names, "void"]):
        source.note(source.folder, f"left as background, since the list of classes does not have it: {unknown}")
    ids, items = {"void": IGNORE_LABEL} | {name: i for i, name in enumerate(names)}, []
    for where, name, size, shapes in found:
        with source.leaving_out(where):
            picture = source.find_picture(name, where)
            drawing = SimpleNamespace(read=partial(draw, source, size, shapes, ids), drawn_as_stored=False)
            items.append((picture, where, partial(read_example, picture, where, drawing)))
    return f"JSON of {kind}", LabelCoding(names), items


def settle_crowds(source: Source, found: list[tuple]) -> None:
    """Make crowds void, unless there is nothing else."""
    crowds = [isinstance(label, Crowd) for *_, shapes in found for label, *_ in shapes]
    if any(crowds):
        what = "objects: there is nothing else, as where CVAT's brush was used" if all(crowds) else "void"
        source.note(source.folder, f"{sum(crowds)} crowds (iscrowd) are {what}")
    for *_, shapes in () if all(crowds) else found:
        shapes[:] = [("void" if isinstance(label, Crowd) else label, *shape) for label, *shape in shapes]


def clean(label: object) -> str:
    """A class's name as a line of classes.txt can hold it, of some 200 letters at most; "void" and "background" for all
    that mean these."""
    name = " ".join(re.sub(r"[,;:{}\[\]=|]|\s#+", " ", cleaned(str(label)[:200])).split()).lstrip("#-*+/ ")
    name = re.sub(r"(?<=\d) (?=\d)", "_", name)
    if name.lower() in VOID_NAMES:
        return "void"
    name = "background" if name.lower().strip("_") == "background" else name
    return name if name and not name[0].isdigit() else f"class {name}".rstrip()


# --- shapes ---


def draw(source: Source, size: tuple, shapes: list, ids: dict[str, int], where: Path) -> tuple[np.ndarray, int]:
    """Draw shapes, one over the other -> uint8 (H, W) of class ids, and 1, as LabelCoding.read: no EXIF turns them."""
    with reading(where, "drawing", "export it again"):
        if np.prod(size, dtype=float) > Image.MAX_IMAGE_PIXELS:
            raise Image.DecompressionBombError
        labels = np.zeros(size, np.uint8)
        for label, kind, points, more in shapes:
            mask = draw_shape(kind, points, more, *size)
            if mask is None:
                source.note(where, f"a shape without an area left out ({kind!s:.40})")
            elif label in ids:
                labels[mask] = ids[label]
    return labels, 1


def draw_shape(kind: str, points: list, more, H: int, W: int) -> np.ndarray | None:
    """Where a shape is, bool (H, W), or None if it has no area.

    points: the corners, more: those of each hole; or a bitmap's origin and a PNG in base64, which Supervisely packs
    again; or none and COCO's run lengths.
    A rectangle has two opposite corners, a circle its centre and a point on it.
    """
    if kind == "run lengths":
        return run_lengths(more, H, W)
    image, points = Image.new("1", (W, H)), corners(points)
    pen = ImageDraw.Draw(image)
    if kind in ("bitmap", "mask"):
        data = b64decode(more)
        if kind == "bitmap":
            data = zlib.decompressobj().decompress(data, 8 * H * W + (1 << 16))  # pixels, and what else a PNG has
        image.paste(Image.fromarray(bitmap(data, H * W)), tuple(points[0].astype(int).tolist()))
    elif kind == "polygon" and len(points) > 2:
        pen.polygon(points.ravel().tolist(), 1)
        for hole in more:
            pen.polygon(corners(hole).ravel().tolist(), 0)
    elif kind == "rectangle":
        pen.rectangle([*points.min(axis=0), *points.max(axis=0)], 1)
    elif kind == "circle":
        radius = np.hypot(*points[1] - points[0])
        pen.ellipse([*points[0] - radius, *points[0] + radius], 1)
    else:
        return None
    return np.asarray(image)


def corners(points: list) -> np.ndarray:
    """[[x, y], ...] or [x, y, x, y, ...] -> float64 (corners, 2)."""
    array = np.asarray(points, np.float64).reshape(-1, 2)
    if np.isnan(array).any():
        raise ValueError("a corner is not a number")
    return array.clip(-1e5, 1e5)  # of larger circles Pillow takes half a minute


def bitmap(data: bytes, pixels: int) -> np.ndarray:
    """A PNG of at most so many pixels: bool where it is not transparent or, if it is opaque, not black."""
    with Image.open(BytesIO(data), formats=("PNG",)) as image:
        if image.width * image.height > pixels:
            raise ValueError(f"a bitmap of {image.width} x {image.height} pixels is larger than its picture")
        clear = image.mode.endswith("A") or "transparency" in image.info
        return np.asarray(image.convert("RGBA").getchannel("A") if clear else image.convert("L")) > 0


def run_lengths(rle: dict, H: int, W: int) -> np.ndarray:
    """COCO's run lengths, down the columns: so many pixels outside, so many inside, and so on -> bool (H, W)."""
    counts = unpack(rle["counts"])
    if rle["size"] != [H, W] or sum(counts) != H * W:
        raise ValueError(f"run lengths of size {rle['size']} with {sum(counts)} pixels in a picture of {[H, W]}")
    return np.repeat(np.arange(len(counts)) % 2 == 1, counts).reshape(W, H).T


def unpack(text: str | list[int]) -> list[int]:
    """COCO's run lengths, packed or not -> the counts.

    A letter holds five bits, the lowest first; its bit 5 says that more follow. The last bit of a number is its sign.
    From the fourth count on, it is the difference to the count two before it.
    """
    if not isinstance(text, str):
        return text
    counts, value, shift = [], 0, 0
    for bits in (letter - 48 for letter in text.encode()):
        value |= (bits & 31) << shift
        shift += 5
        if shift > 60:
            raise ValueError("a run length of more than 60 bits")
        if not bits & 32:
            value -= (bits >> 4 & 1) << shift
            counts.append(value + (counts[-2] if len(counts) > 2 else 0))
            value, shift = 0, 0
    return counts
