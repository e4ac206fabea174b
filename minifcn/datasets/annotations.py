"""Labels as other tools write them in JSON: labelme, COCO and Supervisely.

    labelme       NAME.json beside NAME.jpg; polygons, rectangles, circles and masks. A later shape lies over an earlier
                  one; group_id joins the parts of an object and says nothing about its class. A picture that is not
                  there is taken from imageData.
    COCO          one file for a split; polygons and run lengths, plain or packed. The order of the annotations says
                  nothing, so smaller areas lie over larger ones. A crowd (iscrowd) is void, below all of them; where a
                  file has crowds only, they are objects: CVAT calls all that a brush painted so.
    Supervisely   NAME.jpg.json; polygons with holes, rectangles and bitmaps. A later object lies over an earlier one.

What no shape covers is background, the first class. Shapes without an area (points, lines, polygons of fewer than three
corners) are left out, and counted. Pillow draws polygons with the pixels on their edges, as labelme does.
"""

import json
import zlib
from base64 import b64decode
from collections import defaultdict
from collections.abc import Iterator
from functools import partial
from io import BytesIO
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw
from tqdm import tqdm

from ..errors import InputError
from .pictures import IGNORE_LABEL, VOID_NAME, reading
from .sources import VOID_NAMES, Labelled, Source, clean

GROUND_NAMES = ("background", "_background_")
_LONGEST = 1 << 26  # bytes of a bitmap, unpacked
_FARTHEST = 1e6  # pixels from the picture: Pillow counts in 32 bits

# --- the formats: (picture's name, labels' size, shapes, picture's bytes) for each picture that a file tells of ---
# A shape is (label, kind, data, more), as draw_shape takes them.


def labelme(path: Path, document: dict) -> Iterator[tuple]:
    shapes = []
    for shape in document["shapes"]:
        kind, points = shape.get("shape_type") or "polygon", shape["points"]
        data = (b64decode(shape["mask"]), points[0]) if kind == "mask" else (points, ())
        shapes.append((shape["label"], kind, *data))
    size = (document.get("imageHeight"), document.get("imageWidth"))
    yield document.get("imagePath") or path.name, None if None in size else size, shapes, document.get("imageData")


def supervisely(path: Path, document: dict) -> Iterator[tuple]:
    shapes = []
    for thing in document["objects"]:
        if small := thing.get("bitmap"):
            data = zlib.decompressobj().decompress(b64decode(small["data"]), _LONGEST), small["origin"]
        else:
            data = thing["points"]["exterior"], thing["points"].get("interior", ())
        shapes.append((thing["classTitle"], thing["geometryType"], *data))
    yield path.stem, (document["size"]["height"], document["size"]["width"]), shapes, None


def coco(path: Path, document: dict) -> Iterator[tuple]:
    names = {category["id"]: category["name"] for category in document["categories"]}
    shapes = defaultdict(list)
    crowds = not all(thing.get("iscrowd") for thing in document["annotations"])  # CVAT marks all that a brush painted
    for thing in sorted(document["annotations"], key=lambda a: (not a.get("iscrowd"), -(a.get("area") or 0))):
        label = VOID_NAME if crowds and thing.get("iscrowd") else names[thing["category_id"]]
        outline = thing.get("segmentation") or [[]]  # without one it has a box alone
        if isinstance(outline, dict):
            shapes[thing["image_id"]].append((label, "run lengths", outline, ()))
        else:
            shapes[thing["image_id"]] += [(label, "polygon", ring, ()) for ring in outline]
    for image in document["images"]:
        yield image["file_name"], (image["height"], image["width"]), shapes[image["id"]], None


FORMATS = ({"shapes"}, labelme), ({"categories", "annotations"}, coco), ({"objects", "size"}, supervisely)


def pictures_of_json(source: Source) -> tuple | None:
    """Read what the files of JSON tell -> the format, the classes' names and colours, a Labelled each; or None."""
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
    told = [one for one in told[kind] if one[0].name.startswith("instances_")] or told[kind]
    used = sorted({clean(label) for *_, shapes, _ in told for label, *_ in shapes})
    ids = dict.fromkeys(VOID_NAMES, IGNORE_LABEL) | dict.fromkeys(GROUND_NAMES, 0)
    names = [name for name in dict(source.listed or dict.fromkeys(used)) if name.lower() not in ids]
    ids |= {name: i for i, name in enumerate(names, 1)}
    items = []
    for where, name, size, shapes, data in told:
        with source.leaving_out(where):
            picture, content = source.find_picture(str(name), where), None
            if picture is None and data is None:
                raise InputError(f"{where}: its picture {name!r} is not in {source.folder}; put it there")
            if picture is None:
                with reading(where, "embedded picture", "export it again"):
                    content = b64decode(data)
            items.append(
                Labelled(picture or where, content, where, size, partial(draw_shapes, source, where, shapes, ids))
            )
    return f"JSON of {kind}", dict.fromkeys(["background", *names]), items


# --- shapes ---


def draw_shapes(source: Source, where: Path, shapes: list, ids: dict[str, int], H: int, W: int) -> np.ndarray:
    """Draw shapes, one over the other -> uint8 (H, W) of class ids, 255 for void."""
    labels = np.zeros((H, W), np.uint8)
    with reading(where, "labels", "export it again"):
        for label, *shape in shapes:
            mask = draw_shape(*shape, H, W)
            if mask is None:
                source.note(where, f"a shape without an area left out ({shape[0]})")
            elif (found := ids.get(clean(label), ids.get(clean(label).lower()))) is not None:
                labels[mask] = found
            else:
                source.note(where, f"a shape left as background, since {source.list_file} does not list {label!r}")
    return labels


def draw_shape(kind: str, data, more, H: int, W: int) -> np.ndarray | None:
    """Where a shape is, bool (H, W), or None if it has no area.

    data: run lengths, or the bytes of a bitmap and, as more, its origin (x, y); or corners, and more has the holes'.
    A rectangle has two opposite corners, a circle its centre and a point on it.
    """
    if kind == "run lengths":
        return run_lengths(data, H, W)
    image = Image.new("1", (W, H))
    if kind in ("bitmap", "mask"):
        image.paste(Image.fromarray(bitmap(data, H, W)), tuple(map(int, more)))
        return np.asarray(image)
    pen, (points, *holes) = ImageDraw.Draw(image), map(corners, [data, *more])
    if kind == "polygon" and len(points) > 2:
        pen.polygon(points.ravel().tolist(), 1)
    elif kind == "rectangle":
        pen.rectangle([*points.min(axis=0), *points.max(axis=0)], 1)
    elif kind == "circle":
        radius = np.hypot(*points[1] - points[0])
        pen.ellipse([*points[0] - radius, *points[0] + radius], 1)
    else:
        return None
    for hole in holes:
        pen.polygon(hole.ravel().tolist(), 0)
    return np.asarray(image)


def corners(points: list) -> np.ndarray:
    """[[x, y], ...] or [x, y, x, y, ...] -> float64 (corners, 2)."""
    array = np.asarray(points, np.float64).reshape(-1, 2)
    if not np.isfinite(array).all():
        raise ValueError("a corner is not a finite number")
    return array.clip(-_FARTHEST, _FARTHEST)


def bitmap(data: bytes, H: int, W: int) -> np.ndarray:
    """A small picture of at most H x W: bool where it is not transparent or, if it is opaque, not black."""
    with Image.open(BytesIO(data)) as image:
        if image.width > W or image.height > H:
            raise ValueError(f"a bitmap of {image.width} x {image.height} pixels in a picture of {W} x {H}")
        clear = image.mode.endswith("A") or "transparency" in image.info
        return np.asarray(image.convert("RGBA").getchannel("A") if clear else image.convert("L")) > 0


def run_lengths(rle: dict, H: int, W: int) -> np.ndarray:
    """COCO's run lengths, down the columns: so many pixels outside, so many inside, and so on -> bool (H, W)."""
    counts = unpack(rle["counts"]) if isinstance(rle["counts"], str) else rle["counts"]
    if rle["size"] != [H, W] or sum(counts) != H * W:
        raise ValueError(f"run lengths of size {rle['size']} with {sum(counts)} pixels in a picture of {[H, W]}")
    return np.repeat(np.arange(len(counts)) % 2 == 1, counts).reshape(W, H).T


def unpack(text: str) -> list[int]:
    """COCO's packed run lengths -> the counts.

    A letter holds five bits, the lowest first; its bit 5 says that more follow. The last bit of a number is its sign.
    From the fourth count on, it is the difference to the count two before it.
    """
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
