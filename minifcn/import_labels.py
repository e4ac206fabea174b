"""Make a data set of pictures that another tool labelled: python -m minifcn.import_labels SOURCE --out mydata

SOURCE is a folder with labelme, COCO or Supervisely JSON, or with label pictures: CVAT's and PASCAL VOC's folders,
NAME_mask.png, masks/NAME.png, ... (data/README.md, "Labels as people have them"). It is only read. The set is made
beside --out and renamed at the end, so it is whole or not there; then check_data reads it.

Exit status: that of check_data; 1 if a file had to be left out, 2 if nothing could be made.
"""

import os
import re
import shutil
import signal
import subprocess
import sys
from collections import Counter, defaultdict
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from tqdm import tqdm

from .command import command_line, command_parser
from .datasets.annotations import pictures_of_json
from .datasets.labels import LabelCoding
from .datasets.pictures import IGNORE_LABEL, decode
from .datasets.sources import Source, pictures_of_labels
from .errors import InputError, say
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
    if args.snap is not None and not args.snap >= 0:
        raise InputError(f"--snap {args.snap:g}: a distance in RGB is 0 or more; 60 takes in what JPEG blurs")
    out = args.out.resolve()
    if not args.source.is_dir():
        raise InputError(f"{args.source}: no folder; give a folder, unpacked")
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise InputError(f"{args.out}: is there already; choose another --out, or delete it first")
    if args.source.resolve() in (out, *out.parents):
        raise InputError(f"{args.out}: lies in {args.source}, which stays as it is; choose another --out")
    out.parent.mkdir(parents=True, exist_ok=True)
    source = Source(args.source, args.classes, args.snap, out.with_name(f"{out.name}-colours.txt"))
    kind, coding, items = pictures_of_json(source) or pictures_of_labels(source) or nothing_fits(source)
    with TemporaryDirectory(prefix=f".{out.name}.", dir=out.parent) as temporary:
        root = Path(temporary, out.name)
        splits = build(root, source, items, coding.palette)
        source.note_unused()
        classes = number(root, source, coding, args.classes is not None)
        os.replace(root, out)
    counts = ", ".join(f"{len(names)} {split or 'in no list'}" for split, names in splits.items())
    say(f"found      {kind}", f"pictures   {counts}", f"classes    {', '.join(classes)}")
    say(*coding.notes, *source.told(), "", f"python -m minifcn.check_data {args.out}")
    checked = subprocess.run([sys.executable, "-m", "minifcn.check_data", str(args.out)])
    return max(checked.returncode, source.faults > 0)


def nothing_fits(source: Source) -> None:
    """Raise InputError: what there is instead of labels, and the way out."""
    kinds = Counter(path.suffix.lower() for path in source.files)
    found = ", ".join(f"{count} {suffix or 'without extension'}" for suffix, count in kinds.most_common(5)) or "no file"
    way_out = "put label pictures into masks/, with the pictures' names, or call them NAME_mask.png"
    if kinds.keys() & {".json", ".xml", ".txt", ".npy", ".zip"}:
        way_out = "unpack archives; export other labels as labelme or COCO JSON, or as CVAT's 'Segmentation mask'"
    parts = f"{source.folder}: no labels among {found}", *source.told(), way_out, "see data/README.md"
    raise InputError("; ".join(parts))


def build(root: Path, source: Source, items: list[tuple], palette: np.ndarray) -> dict[str | None, list[str]]:
    """Copy the pictures byte for byte and write labels and lists; return the names in each split, or in None."""
    (root / "images").mkdir(parents=True)
    (root / "labels").mkdir()
    same = Counter(picture.stem.lower() for picture, *_ in items)
    names, claims = defaultdict(list), defaultdict(list)
    for picture, where, _ in items:
        claims[picture].append(where)
        source.used.update((picture, where))
    for picture, where, read in tqdm(items, "importing", leave=False):
        with source.leaving_out(where):
            if len(claims[picture]) > 1:
                both = "' and '".join(map(str, claims[picture][:2]))
                raise InputError(f"{where}: '{picture}' has labels in both '{both}'; take one of them out")
            below = picture.relative_to(source.folder).with_suffix("").parts
            name = "_".join(below) if same[below[-1].lower()] > 1 else below[-1]
            # What a line of a list cannot hold, and what a terminal would obey.
            name = re.sub(r"^[#\s]|\s$|[^\S ]|[\0-\x1f\x7f-\x9f\ud800-\udfff]", "_", name)
            while (root / "labels" / f"{name}.png").exists():
                name += "_"
            save_label_png(root / "labels" / f"{name}.png", read()[1], palette)
            shutil.copyfile(picture, root / "images" / f"{name}{picture.suffix}")
            names[source.split(picture, where)].append(name)
    if not names:
        raise InputError("; ".join([f"{source.folder}: no picture could be used", *source.told()]))
    for split in names.keys() - {None} if "train" in names else ():
        (root / f"{split}.txt").write_text("\n".join([*names[split], ""]), encoding="utf-8")
    return names


def number(root: Path, source: Source, coding: LabelCoding, all_of_them: bool) -> list[str]:
    """Write classes.txt, and if not all of them are to stay, without those that occur nowhere; return the names."""
    paths, kept = [*(root / "labels").iterdir()], [*range(len(coding.classes))]
    if not all_of_them:
        found = set().union(*(np.unique(decode(path, "label picture")).tolist() for path in paths))
        kept = [i for i in kept if i in found] or [0]
    names, palette = [coding.classes[i] for i in kept], coding.palette[kept]
    if absent := ", ".join(name for name in coding.classes if name not in names):
        source.note(source.folder, f"classes that occur nowhere, left out: {absent}")
        ids = np.full(256, IGNORE_LABEL, np.uint8)
        ids[kept] = np.arange(len(kept))
        for path in paths:
            save_label_png(path, ids[np.asarray(decode(path, "label picture"))], palette)
    lines = [f"{name} {r} {g} {b}\n" for name, (r, g, b) in zip(names, palette, strict=True)]
    (root / "classes.txt").write_text("".join(lines), encoding="utf-8", errors="replace")
    return names


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # takes the unfinished set away
    command_line(main)
