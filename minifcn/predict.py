"""Segment pictures with a checkpoint: python -m minifcn.predict CHECKPOINT PICTURES... --out DIR

Or with a network that comes with minifcn, before any training: python -m minifcn.predict --model camvid PICTURES...

For each picture, of any size, it writes NAME.png (paletted: pixel values are class ids, and it shows colours) and
NAME_overlay.png, and prints the time it took. Preprocessing, classes and colours come from the checkpoint.
"""

import argparse
import time
from pathlib import Path

import numpy as np
from PIL import Image

from .command import add_device_option, command_line
from .datasets.pictures import read_picture
from .datasets.transforms import Preprocessing
from .errors import InputError
from .figures import overlay, save_label_png
from .files import atomic_file
from .training.evaluation import segment
from .weights import load_model
from .weights.shipped import find_model, shipped_models


def parser() -> argparse.ArgumentParser:
    p = argparse.ArgumentParser(
        prog="python -m minifcn.predict",
        usage="python -m minifcn.predict [CHECKPOINT | --model NAME] PICTURE ... [options]",
        description="Segment pictures with a checkpoint.",
    )
    add = p.add_argument
    add("files", nargs="+", type=Path, metavar="FILE", help="a run's last.safetensors, then pictures of any size")
    shipped = ", ".join(shipped_models())
    add("--model", metavar="NAME", help=f"instead of a checkpoint: a shipped network ({shipped})")
    add("--side", type=int, help="scale pictures to a longer side of so many pixels for the network, 0: leave them "
        "(default: what the checkpoint asks for, mostly nothing)")  # fmt: skip
    add("--out", type=Path, default=Path("predictions"), help="folder to write to (default: %(default)s)")
    add_device_option(p)
    return p


def main(argv=None) -> int:
    args = parser().parse_args(argv)
    checkpoint = find_model(args.model) if args.model else args.files.pop(0)
    if not args.files:
        raise InputError(f"{checkpoint}: no picture given after it; give one or more (or --model and pictures alone)")
    for path in args.files:
        if path.suffix in (".safetensors", ".pth"):
            raise InputError(f"{path}: weights among the pictures; give one checkpoint before them, or --model alone")
    if args.side is not None and args.side < 0:
        raise InputError(f"--side: expected 0 or more, received {args.side}")
    model, meta = load_model(checkpoint, args.device)
    side = meta.get("side", 0) if args.side is None else args.side
    preprocessing = Preprocessing.from_dict(meta["preprocessing"])
    palette = np.array(meta["palette"], np.uint8)
    check_targets(args.files, args.out)
    args.out.mkdir(parents=True, exist_ok=True)
    for path in args.files:
        picture = read_picture(path)
        start = time.perf_counter()
        labels = segment(model, preprocessing, picture, side)  # (H, W)
        seconds = time.perf_counter() - start
        mask, blend = targets(path, args.out)
        save_label_png(mask, labels, palette)
        with atomic_file(blend) as file:
            Image.fromarray(overlay(picture, labels, palette)).save(file, format="PNG")
        found = [meta["classes"][label] for label in np.unique(labels)]
        print(f"{path}: {seconds:.2f} s, {', '.join(found)} -> {mask}, {blend}")
    return 0


def targets(picture: Path, out: Path) -> tuple[Path, Path]:
    """The two files that a picture's prediction goes to."""
    return out / f"{picture.stem}.png", out / f"{picture.stem}_overlay.png"


def check_targets(pictures: list[Path], out: Path) -> None:
    """Raise InputError where a prediction would overwrite a picture or another prediction."""
    taken = {path.resolve(): path for path in pictures}
    for path in pictures:
        for target in targets(path, out):
            if target.resolve() in taken:
                other = taken[target.resolve()]
                raise InputError(
                    f"{target}: the prediction of {path} would overwrite the picture {other} or its prediction; "
                    "choose another --out, or rename one"
                )
            taken[target.resolve()] = path


if __name__ == "__main__":
    command_line(main)
