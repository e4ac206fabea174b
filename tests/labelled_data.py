"""Pictures with labels as other tools write them, each layout written by hand; import_labels reads them."""

import base64
import io
import json
import zlib
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw

from minifcn.datasets.sources import Source, pictures_of_labels

H, W = 40, 56
NAMES = tuple(f"photo{i}" for i in range(6))
CAR, TREE = (200, 30, 40), (20, 120, 60)


def boxes(i):
    """(class, x0, y0, x1, y1) of picture i, both ends included."""
    return [("car", 10 + 2 * i, 8 + i, 30 + 2 * i, 20 + i), ("tree", 5, 25, 15, 35)]


def labels_of(i, ids=(("car", 1), ("tree", 2))):
    """Picture i's labels uint8 (H, W)."""
    labels = np.zeros((H, W), np.uint8)
    for name, x0, y0, x1, y1 in boxes(i):
        labels[y0 : y1 + 1, x0 : x1 + 1] = dict(ids)[name]
    return labels


def picture(path, i=0, size=(W, H)):
    """Write a picture whose objects have their class's colour."""
    path.parent.mkdir(parents=True, exist_ok=True)
    image = Image.new("RGB", size, (90, 90, 90 + i))
    for name, *box in boxes(i):
        ImageDraw.Draw(image).rectangle(box, CAR if name == "car" else TREE)
    image.save(path, quality=95)


def label_picture(path, values, palette=None, **options):
    """Write labels (H, W) or (H, W, 3)."""
    path.parent.mkdir(parents=True, exist_ok=True)
    image = Image.fromarray(values)
    if palette is not None:
        image.putpalette(np.array(palette, np.uint8).tobytes())
    image.save(path, **options)


def coloured(i):
    """Picture i's labels in RGB, uint8 (H, W, 3)."""
    return np.array([(0, 0, 0), CAR, TREE], np.uint8)[labels_of(i)]


def write_json(path, document):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(document), encoding="utf-8")


def make_rgb(root):
    for i, name in enumerate(NAMES):
        picture(root / "images" / f"{name}.jpg", i)
        label_picture(root / "masks" / f"{name}.png", coloured(i))


def make_binary(root):
    for i, name in enumerate(NAMES):
        picture(root / f"{name}.jpg", i)
        label_picture(root / f"{name}_mask.png", np.where(labels_of(i) == 1, 255, 0).astype(np.uint8))


def make_labelme(root):
    for i, name in enumerate(NAMES):
        picture(root / f"{name}.jpg", i)
        (_, x0, y0, x1, y1), (_, *tree) = boxes(i)
        car = {"label": "car", "points": [[x0, y0], [x1, y0], [x1, y1], [x0, y1]], "shape_type": "polygon"}
        shapes = [car, {"label": "tree", "points": [tree[2:], tree[:2]], "shape_type": "rectangle", "group_id": 3}]
        head = {"version": "5.4.1", "flags": {}, "imagePath": f"..\\raw\\{name}.jpg", "imageData": None}
        write_json(root / f"{name}.json", head | {"imageHeight": H, "imageWidth": W, "shapes": shapes})


def make_coco(root):
    for split, indices in (("train", range(4)), ("val", range(4, 6))):
        images, annotations = [], []
        for i in indices:
            picture(root / f"{split}2017" / f"{NAMES[i]}.jpg", i)
            images.append({"id": 100 + i, "file_name": f"{NAMES[i]}.jpg", "height": H, "width": W})
            for name, x0, y0, x1, y1 in boxes(i):
                ring = [x0, y0, x1, y0, x1, y1, x0, y1]
                thing = {"id": len(annotations), "image_id": 100 + i, "category_id": {"car": 3, "tree": 17}[name]}
                area = (x1 - x0) * (y1 - y0)
                annotations.append(thing | {"segmentation": [ring], "area": area, "iscrowd": 0})
        kinds = [{"id": 3, "name": "car"}, {"id": 9, "name": "never"}, {"id": 17, "name": "tree"}]
        document = {"images": images, "annotations": annotations, "categories": kinds}
        write_json(root / "annotations" / f"instances_{split}2017.json", document)


def make_cvat(root):
    for i, name in enumerate(NAMES):
        picture(root / "JPEGImages" / f"{name}.jpg", i)
        label_picture(root / "SegmentationClass" / f"{name}.png", coloured(i))
        label_picture(root / "SegmentationObject" / f"{name}.png", coloured(i)[:, ::-1].copy())
    lists = root / "ImageSets" / "Segmentation"
    lists.mkdir(parents=True)
    (lists / "train.txt").write_text("".join(f"{name}\n" for name in NAMES[:4]))
    (lists / "val.txt").write_text("".join(f"{name}\n" for name in NAMES[4:]))
    colour = ",".join(map(str, CAR))
    lines = [
        "# label:color_rgb:parts:actions",
        "background:0,0,0::",
        "tree:20,120,60::",
        f"car:{colour}::",
        "bus:1,2,3::",
    ]
    (root / "labelmap.txt").write_text("\n".join(lines) + "\n")


LAYOUTS = {"rgb": make_rgb, "binary": make_binary, "labelme": make_labelme, "coco": make_coco, "cvat": make_cvat}


def contents(root: Path) -> dict:
    """Every file and its bytes and time."""
    return {path: (path.read_bytes(), path.stat().st_mtime_ns) for path in root.rglob("*") if path.is_file()}


# --- what the files of JSON hold ---


SQUARE = [[10, 5], [20, 5], [20, 15], [10, 15]]
FLAT = [10, 5, 20, 5, 20, 15, 10, 15]


def source_of(raw, classes=None):
    """A source, with the path of a list or without one."""
    return Source(raw, classes, None, raw.parent / "ask.txt")


def opened(raw, classes=None, snap=None):
    """A source, with a list of this text."""
    path = raw.parent / "names.txt"
    if classes is not None:
        path.write_text(classes, encoding="utf-8")
    return Source(raw, path if classes is not None else None, snap, raw.parent / "mydata-colours.txt")


def drawn(source):
    """What is found: the coding, and the labels of each picture by its path in the source."""
    _, coding, items = pictures_of_labels(source)
    return coding, {str(picture.relative_to(source.folder)): read()[1] for picture, _, read in items}


def notes(source):
    return [text for texts in source.notes.values() for text in texts]


def make(raw, *values, **options):
    """images/0.jpg ... with masks of these values."""
    for i, mask in enumerate(values):
        picture(raw / "images" / f"{i}.jpg", i)
        label_picture(raw / "masks" / f"{i}.png", mask, **options)


def labelme(*shapes, **head):
    return {"imagePath": "a.jpg", "imageHeight": H, "imageWidth": W, "imageData": None, "shapes": shapes} | head


def shape(label, points, kind="polygon", **more):
    return {"label": label, "points": points, "shape_type": kind} | more


def coco(*annotations, **image):
    image = {"id": 1, "file_name": "a.jpg", "height": H, "width": W} | image
    kinds = [{"id": 7, "name": "cat"}, {"id": 90, "name": "dog"}]
    return {"images": [image], "annotations": list(annotations), "categories": kinds}


def thing(outline, kind=7, area=100, crowd=0):
    return {"image_id": 1, "category_id": kind, "segmentation": outline, "area": area, "iscrowd": crowd}


def png(values):
    stream = io.BytesIO()
    Image.fromarray(values).save(stream, format="PNG")
    return stream.getvalue()


def text(data):
    return base64.b64encode(data).decode()


def supervisely(*objects):
    return {"description": "", "size": {"height": H, "width": W}, "objects": objects}


def bitmap(values, origin):
    return {
        "geometryType": "bitmap",
        "classTitle": "cat",
        "bitmap": {"data": text(zlib.compress(png(values))), "origin": origin},
    }
