"""Make a data set of pictures that another tool labelled: python -m minifcn.import_labels SOURCE --out mydata

SOURCE is a folder with labelme, COCO or Supervisely JSON, or with label pictures: CVAT's and PASCAL VOC's folders,
NAME_mask.png, masks/NAME.png, ... (data/README.md, "Labels as people have them"). It is only read. The set is made
beside --out and renamed at the end, so it is whole or not there; then check_data reads it.

Exit status: that of check_data; 1 if a file had to be left out, 2 if nothing could be made.
"""

import os
import re
import shutil
import subprocess
import sys
from collections import Counter, defaultdict
from io import BytesIO
from pathlib import Path

import numpy as np
from PIL import Image
from tqdm import tqdm

from .command import command_line, command_parser
from .datasets import voc
from .datasets.annotations import pictures_of_json
from .datasets.pictures import read_picture, reading
from .datasets.sources import Labelled, Source, channels, pictures_of_labels
from .errors import InputError
from .figures import save_label_png


def main(argv: list[str] | None = None) -> int:
    """Run the command; return its exit status."""
    parser = command_parser("import_labels", "SOURCE --out DIR [options]", "Make a data set of labelled pictures.")
    add = parser.add_argument
    add("source", type=Path, metavar="SOURCE", help="a folder with pictures and labels; it is only read")
    add("--out", type=Path, required=True, metavar="DIR", help="the data set to make; not there yet, or empty")
    add("--classes", type=Path, metavar="FILE", help="a line each: NAME, or NAME R G B (default: SOURCE's own)")
    add("--snap", type=float, metavar="D", help="take pixels to the nearest listed colour, up to D away; void beyond")
    args = parser.parse_args(argv)
    out = args.out.resolve()
    if not args.source.is_dir():
        raise InputError(f"{args.source}: {'unpack it' if args.source.exists() else 'no such folder'}; give a folder")
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise InputError(f"{args.out}: is there already; choose another --out, or delete it first")
    if args.source.resolve() in (out, *out.parents):
        raise InputError(f"{args.out}: lies in {args.source}, which stays as it is; choose another --out")
    out.parent.mkdir(parents=True, exist_ok=True)
    source = Source(args.source, args.classes, args.snap, out.with_name(f"{out.name}-colours.txt"))
    kind, classes, items = pictures_of_json(source) or pictures_of_labels(source) or nothing_fits(source)
    temporary = out.with_name(f".{out.name}.{os.getpid()}.tmp")
    try:
        names = build(temporary, source, classes, items)
        if out.exists():
            out.rmdir()
        os.replace(temporary, out)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
    counts = ", ".join(f"{len(some)} {split or 'in no split'}" for split, some in names.items())
    about = f"found      {kind}", f"pictures   {counts}", f"classes    {', '.join(classes)}"
    print(*about, *lines(source.notes), sep="\n")
    command = ["-m", "minifcn.check_data", str(args.out)]
    print("\npython", *command, flush=True)
    return max(subprocess.run([sys.executable, *command]).returncode, source.faults > 0)


def lines(notes: dict[str, list[str]]) -> list[str]:
    """A line for each group."""
    return [f"{len(texts)} times, the first: {texts[0]}" if texts[1:] else texts[0] for texts in notes.values()]


def nothing_fits(source: Source) -> None:
    """Raise InputError: what there is instead of labels, and the way out."""
    kinds = Counter(path.suffix.lower() for path in source.files)
    found = ", ".join(f"{count} {suffix or 'without extension'}" for suffix, count in kinds.most_common(5)) or "no file"
    way_out = "put label pictures into masks/, with the pictures' names, or call them NAME_mask.png"
    if kinds.keys() & {".json", ".xml", ".txt", ".npy", ".zip"}:
        way_out = "unpack archives; export other labels as labelme or COCO JSON, or as CVAT's 'Segmentation mask'"
    parts = f"{source.folder}: no labels among {found}", *lines(source.notes), way_out, "see data/README.md"
    raise InputError("; ".join(parts))


def build(root: Path, source: Source, classes: dict, items: list[Labelled]) -> dict[str | None, list[str]]:
    """Write the set; return the names in each split, or in None."""
    if not 0 < len(classes) <= 255:
        raise InputError(f"{source.folder}: {len(classes)} classes, expected 1 to 255; merge some with --classes")
    palette = voc.palette(len(classes))
    if None not in classes.values():
        palette = channels(np.array([*classes.values()])).astype(np.uint8)
    for folder in ("images", "labels"):
        (root / folder).mkdir(parents=True)
    text = "".join(f"{name} {' '.join(map(str, rgb))}\n" for name, rgb in zip(classes, palette.tolist(), strict=True))
    (root / "classes.txt").write_text(text, encoding="utf-8")
    listed, same = source.split_lists(), Counter(item.picture.stem.lower() for item in items)
    splits = [listed.get(i.picture.stem) if listed else source.split(i.picture) or source.split(i.where) for i in items]
    names, taken = defaultdict(list), set()
    for item, split in zip(tqdm(items, "importing", unit="picture", leave=False), splits, strict=True):
        if split is None and "train" in splits:
            source.note(item.picture, "in no split, left out")
            continue
        with source.leaving_out(item.where):
            below = item.picture.relative_to(source.folder).with_suffix("").parts
            name = "_".join(below) if same[below[-1].lower()] > 1 else below[-1]
            name = re.sub(r"^[#\s]|\s$|[^\S ]|[\ud800-\udfff]", "_", name)  # a line of a list cannot hold these
            if name.lower() in taken:
                raise InputError(f"{item.where}: another picture is called {name!r} already; rename one")
            write_pair(root, name, item, palette)
            taken.add(name.lower())
            names[split].append(name)
    if not names:
        raise InputError("; ".join([f"{source.folder}: no picture could be used", *lines(source.notes)]))
    for split in names if "train" in names else ():
        (root / f"{split}.txt").write_text("".join(f"{name}\n" for name in names[split]), encoding="utf-8")
    return names


def write_pair(root: Path, name: str, item: Labelled, palette: np.ndarray) -> None:
    """Copy a picture byte for byte, and write its labels at the size that it is shown or, if EXIF turns it, stored."""
    data = item.content or item.picture.read_bytes()
    H, W = read_picture(item.picture, BytesIO(data)).shape[:2]
    with reading(item.picture, "picture"), Image.open(BytesIO(data)) as image:
        size, suffix, sizes = item.size or (H, W), f".{image.format.lower()}", [(H, W), image.size[::-1]]
    if size not in sizes:
        sides = f"labels of {size[1]} x {size[0]} pixels, but its picture has {W} x {H}"
        raise InputError(f"{item.where}: {sides}; export both at one size")
    labels = item.draw(*sizes[sizes.index(size)])
    (root / "images" / f"{name}{suffix if item.content else item.picture.suffix}").write_bytes(data)
    save_label_png(root / "labels" / f"{name}.png", labels, palette)


if __name__ == "__main__":
    command_line(main)
