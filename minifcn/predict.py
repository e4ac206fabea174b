"""Segment pictures with a checkpoint: python -m minifcn.predict CHECKPOINT PICTURE ... --out DIR

Or with a network that comes with minifcn, before any training: python -m minifcn.predict --model voc PICTURE ...

A PICTURE is a file of any size, a folder (all pictures in it and below it; DIR gets the same sub-folders) or a pattern
such as "holiday/**/*.jpg". Preprocessing, classes, colours and label values come from the checkpoint. Written are

    NAME.png             paletted: pixels have the label values of the data set that was learnt, and it shows colours
    NAME_overlay.png     the picture in these colours, and what they mean
    NAME_compare.png     picture, truth, prediction and errors, with --compare LABELS: files such as NAME.png, in the
                         form of the data set that was learnt, or as a list of classes beside them says
    gallery.html         all pictures on one page, with --page; --also adds what other networks say

A picture that cannot be read is told at the end, and does not stop the others; the exit status is then 1. Files that
minifcn did not make are replaced only with --overwrite, pictures and label files never.
"""

import math
import sys
import time
from collections import deque
from contextlib import suppress
from glob import glob, has_magic
from itertools import takewhile
from pathlib import Path
from zlib import crc32

import numpy as np
from tqdm import tqdm

from . import device, figures, gallery, ranks
from .command import add_network_options, add_overwrite_option, command_line, command_parser, describe
from .datasets.classes import find_classes, read_classes
from .datasets.labels import LabelCoding, read_example
from .datasets.pictures import EXTENSIONS, opened, pixel_counts, read_picture, several
from .errors import InputError, printable, say
from .files import MARK, check_replaceable, is_ours
from .training.evaluation import MARGIN, TILE, check_classes, load, predict, seen_size
from .weights.checkpoint import checksum
from .weights.shipped import find_model

LARGE, LONG = 1_500_000, 20  # pixels of all pictures that are worth a look at the clock, seconds worth telling
PIECE = 256  # rows and columns of what is timed for that


def main(argv=None) -> int:
    args = options(argv)
    args.device = ranks.begin(args.device, together=False)
    networks = {name: load(name, args.device) for name in (*args.also, args.checkpoint)}
    model = networks[args.checkpoint] = networks.pop(args.checkpoint)  # the last one
    for name, other in networks.items():
        check_classes(name, other.meta, args.checkpoint, model.meta["classes"])
    places = find_pictures(args.files, args.out)
    truths = find_truths(places, args.compare) if args.compare else {}
    page = args.out / "gallery.html"
    targets = targets_of(places, truths, args.out) + [page] * bool(args.page or args.also)
    check_replaceable(targets, (*places, *truths.values(), *networks), args.overwrite)
    if page in targets and ranks.size() > 1:
        raise InputError("--page, --also: expected one process, as it writes the page; leave these out, or mpiexec")
    network, every = fingerprint(model, args.side), len(places)
    if page not in targets and ranks.rank() == 0:  # which shows all of them; one rank looks, for all
        places = {path: place for path, place in places.items() if not is_done(path, place, truths, args.out, network)}
    left = ranks.first_said([*places.items()])
    places = dict(ranks.share(left))
    announce(networks.values(), places, args.side)
    args.out.mkdir(parents=True, exist_ok=True)
    bad: dict[str, list[str]] = {}
    begun, entries = time.monotonic(), segmented(networks, places, truths, args, bad, network)
    if page in targets:
        gallery.write(page, entries, model.meta["classes"], np.array(model.meta["palette"], np.uint8))
        say(f"wrote {page}")
    deque(entries, 0)  # where no page has asked for them
    found, good = ranks.total([*bad.items()]), len(left)
    for reason, paths in found:
        say(f"error: {', '.join(paths)}: {reason}", file=sys.stderr)
        good -= len(paths)
    if ranks.size() > 1 or len(left) < every:
        rate = f", {good / (time.monotonic() - begun):.2f} a second" * bool(left)
        say(f"{good} of {every} pictures{rate}; {every - len(left)} were done before", file=sys.stderr)
    return bool(found) + (len(left) - good == every)


def fingerprint(model, side: int | None) -> str:
    """A number for a network: its weights, what it says of itself, and the side at which it sees pictures."""
    arrays = ((name, device.asnumpy(p.data)) for name, p in model.parameters().items())
    return checksum(repr((model.meta, side)), arrays)


def mark_of(network: str, path: Path, truth: Path | None) -> str:
    """What a picture's files say of how they were made: by which network, from which bytes."""
    return f"{MARK} {network} {crc32(truth.read_bytes() if truth else b'', crc32(path.read_bytes())):08x}"


def is_done(path: Path, place: Path, truths: dict, out: Path, network: str) -> bool:
    """Whether a picture's files are all there, made by this network from these bytes."""
    files = files_of(out / place, path in truths)
    with suppress(OSError):  # which segmented() will tell
        mark = all(map(Path.is_file, files)) and mark_of(network, path, truths.get(path))  # else nothing is read
        return mark and all(is_ours(x, mark) for x in files)
    return False


def options(argv):
    """The command line's options, the checkpoint apart from the pictures."""
    parser = command_parser("predict", "[CHECKPOINT | --model NAME] PICTURE ... [options]", "Segment pictures.")
    add = parser.add_argument
    add("files", nargs="+", metavar="FILE", help="a run's last.safetensors, then pictures, folders, patterns")
    add_network_options(parser)
    add("--out", type=Path, default=Path("predictions"), help="folder to write to (default: %(default)s)")
    add("--compare", type=Path, metavar="LABELS", help="also draw predictions beside the label PNGs of this folder")
    add("--page", action="store_true", help="also write gallery.html, to look at all of it in a browser")
    add("--also", action="append", default=[], metavar="CHECKPOINT", help="another network on that page, to switch to")
    add_overwrite_option(parser)
    args = parser.parse_args(argv)
    args.checkpoint = find_model(args.model).stem if args.model else args.files.pop(0)
    if not args.files:
        raise InputError(f"{args.checkpoint}: no picture given after it; give some (or --model and pictures alone)")
    return args


def segmented(networks: dict, places: dict, truths: dict, args, bad: dict, network: str):
    """Write each picture's files, of what args.checkpoint says, and yield its entry in the gallery.

    bad: gets what is wrong with those that cannot be read, {what: pictures}.  network: its fingerprint.
    """
    meta = networks[args.checkpoint].meta
    classes, palette = meta["classes"], np.array(meta["palette"], np.uint8)
    values = np.array(meta.get("values", range(len(classes))), np.uint8)
    colours = np.full((int(values.max()) + 1, 3), figures.VOID_COLOUR, np.uint8)  # of the label files' values
    colours[values] = palette
    # What values mean is for the whole set to say, so that the other files in the folder of labels count, too.
    folder = args.compare and (args.compare if args.compare.is_dir() else args.compare.parent)
    others = [(file, file) for file in sorted(folder.rglob("*.png"))] if folder else []
    coding = truth_coding(meta, args.compare).for_set([*truths.items(), *others])
    for note in coding.notes:
        say(f"note: {note}", file=sys.stderr)
    for path, place in tqdm(places.items(), "predict", unit="picture", leave=False, disable=None):
        try:
            picture, truth = read_example(path, truths[path], coding) if path in truths else (read_picture(path), None)
            start = time.perf_counter()
            found = {title: predict(model, picture, args.side) for title, model in networks.items()}
            seconds, labels = time.perf_counter() - start, found[args.checkpoint]
            files, mark = files_of(args.out / place, truth is not None), mark_of(network, path, truths.get(path))
            files[0].parent.mkdir(parents=True, exist_ok=True)
            figures.save_label_png(files[0], values[labels], colours, mark)
            figures.save_overlay(files[1], picture, labels, classes, palette, mark)
            if truth is not None:
                figures.compare(files[2], [(picture, truth, labels)], classes, palette, mark)
        except (InputError, MemoryError) as error:
            bad.setdefault(describe(error).removeprefix(f"{path}: "), []).append(str(path))
            continue
        names = ", ".join(classes[label] for label in np.flatnonzero(pixel_counts(labels)))
        tqdm.write(printable(f"{path}: {seconds:.2f} s, {names} -> {', '.join(map(str, files))}"))
        yield f"{place}{path.suffix}", picture, found, truth


def truth_coding(meta: dict, labels: Path | None) -> LabelCoding:
    """What the values in the files of --compare mean: as the list of classes beside them says, else as in the data set
    that was learnt. Older checkpoints do not know that: of more than two classes, what is none is then void."""
    listed = labels and find_classes(labels, labels.parent)
    if listed:
        coding = read_classes(listed)
        check_classes("the network", meta, listed, coding.classes)
        return coding
    if "entries" in meta:
        return LabelCoding(meta["entries"], meta["colours"])
    values = meta.get("values", range(len(meta["classes"])))
    names = {value: f"class {name}" for value, name in zip(values, meta["classes"], strict=True)}  # "void" is a class
    colours = dict(zip(values, meta["palette"], strict=True))
    every = range(256 if len(values) > 2 else max(values) + 1)
    return LabelCoding([names.get(i, "void") for i in every], [colours.get(i, figures.VOID_COLOUR) for i in every])


# --- which pictures, and where their files go ---


def find_pictures(given: list[str], out: Path) -> dict[Path, Path]:
    """Return {picture: its place below the folder that was given, without extension}; say which files are no pictures.

    given: files, folders and patterns. In folders, hidden files are left out, a_mask.png beside a.jpg, and `out` if it
    is below them, or what an earlier call wrote there. Raises InputError where no picture is.
    """
    places, others, out = {}, [], out.resolve()
    for name in given:
        root = Path(name)
        if root.is_file():
            places[root] = Path(root.stem)
            continue
        files = root.rglob("*") if root.is_dir() else map(Path, glob(name, recursive=True))
        root = root if root.is_dir() else Path(*takewhile(lambda part: not has_magic(part), root.parts))
        files = [x for x in sorted(files) if x.is_file() and "/." not in f"/{x.relative_to(root).as_posix()}"]
        if root.resolve() in out.parents:
            files = [x for x in files if out not in x.resolve().parents]
        elif root.resolve() == out:
            files = [x for x in files if not is_ours(x)]
        pictures = {x: x.relative_to(root).with_suffix("") for x in files if x.suffix.lower() in EXTENSIONS}
        masked = {x.with_name(f"{x.stem}_mask.png") for x in pictures}
        pictures = {x: place for x, place in pictures.items() if x not in masked}
        if not pictures:
            missing = "no picture is there; give a file (.png, .jpg, ...), or a folder with some"
            raise InputError(f"{name}: {'a URL; download it first, then give the file' if '://' in name else missing}")
        places |= pictures
        others += [x for x in files if x not in pictures]
    if others:
        say(f"left out, as no picture: {several(others, 'file')}", file=sys.stderr)
    return places


def find_truths(places: dict[Path, Path], labels: Path) -> dict[Path, Path]:
    """Return {picture: its label file}, which is one file or lies in a folder; say which pictures have none.

    Raises InputError where there are none at all.
    """
    one = labels.is_file() and len(places) == 1
    files = {path: labels if one else labels / f"{place}.png" for path, place in places.items()}
    found = {path: file for path, file in files.items() if file.is_file()}
    if not found:
        raise InputError(f"{labels}: no label file such as {files.popitem()[1]}; give their folder, or the only one")
    if len(found) < len(places):
        say(f"not compared: {len(places) - len(found)} pictures without a label file in {labels}", file=sys.stderr)
    return found


def files_of(stem: Path, compared: bool) -> list[Path]:
    """The files that are written for a picture."""
    return [Path(f"{stem}{kind}.png") for kind in ("", "_overlay", "_compare")[: 2 + compared]]


def targets_of(places: dict[Path, Path], truths: dict[Path, Path], out: Path) -> list[Path]:
    """The files that are written for all pictures. Raises InputError where two pictures have one."""
    taken: dict[Path, Path] = {}
    for path, place in places.items():
        for target in files_of(out / place, path in truths):
            if taken.setdefault(target, path) is not path:
                other = f"would overwrite {taken[target]}'s prediction"
                raise InputError(f"{target}, of {path}: {other}; choose another --out, or rename one")
    return [*taken]


# --- how long it will take ---


def announce(networks, paths, side: int | None) -> None:
    """Say how long it will take and what helps, where that is long."""
    shapes, seconds, longest = [], 0.0, 0
    for path in paths:
        with suppress(Exception), opened(path) as image:  # told when it is read
            shapes.append((image.height, image.width))
    for model in networks:
        seen = [seen_size(model.meta, *shape, side) for shape in shapes]
        if sum(map(math.prod, seen)) > LARGE:
            seconds += pace(model) * sum(work(model, *size) for size in seen)
            longest = max(longest, *map(max, seen))
    if seconds > LONG:
        say(f"about {seconds / 60:.1f} minutes; --side {longest // 2} takes a quarter of it", file=sys.stderr)


def pace(model) -> float:
    """Seconds that a network takes for a pixel of its work, measured on a small piece."""
    for _ in range(2):  # the first time sets things up
        start = time.perf_counter()
        predict(model, np.zeros((PIECE, PIECE, 3), np.uint8), 0)
    return (time.perf_counter() - start) / work(model, PIECE, PIECE)


def work(model, h: int, w: int) -> float:
    """About how many pixels go through a network for a picture (h, w), padding and the margins of windows included."""
    margins = 2 * MARGIN / TILE if max(h, w) > TILE + 2 * MARGIN else 0
    return math.prod((n + 2 * model.conv1_padding) * (1 + margins) for n in (h, w))


if __name__ == "__main__":
    command_line(main)
