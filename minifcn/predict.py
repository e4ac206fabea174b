"""Segment pictures with a checkpoint: python -m minifcn.predict CHECKPOINT PICTURES... --out DIR

Or with a network that comes with minifcn, before any training: python -m minifcn.predict --model camvid PICTURES...

For each picture, of any size, it writes NAME.png (paletted: pixel values are class ids, and it shows colours) and
NAME_overlay.png, and prints the time it took. Preprocessing, classes and colours come from the checkpoint.
"""

import time
from itertools import chain
from pathlib import Path

import numpy as np
from PIL import Image

from .command import add_device_option, command_line, command_parser
from .datasets.pictures import read_picture
from .datasets.transforms import Preprocessing
from .errors import InputError
from .figures import overlay, save_label_png
from .files import atomic_file
from .training.evaluation import segment
from .weights import load_model
from .weights.shipped import find_model, shipped_files


def main(argv=None) -> None:
    parser = command_parser("predict", "[CHECKPOINT | --model NAME] PICTURE ... [options]", "Segment pictures.")
    add = parser.add_argument
    add("files", nargs="+", type=Path, metavar="FILE", help="a run's last.safetensors, then pictures of any size")
    add("--model", metavar="NAME", help=f"instead of one: a shipped network ({', '.join(shipped_files('models'))})")
    add("--side", type=int, help="longer side of the pictures that the network sees, 0: theirs (default: checkpoint's)")
    add("--out", type=Path, default=Path("predictions"), help="folder to write to (default: %(default)s)")
    add_device_option(parser)
    args = parser.parse_args(argv)
    checkpoint = find_model(args.model) if args.model else args.files.pop(0)
    if not args.files:
        raise InputError(f"{checkpoint}: no picture given after it; give one or more (or --model and pictures alone)")
    if args.side is not None and args.side < 0:
        raise InputError(f"--side: expected 0 or more, received {args.side}")
    targets = {path: (args.out / f"{path.stem}.png", args.out / f"{path.stem}_overlay.png") for path in args.files}
    check_targets(targets)
    model, meta = load_model(checkpoint, args.device)
    side = meta.get("side", 0) if args.side is None else args.side
    preprocessing, palette = Preprocessing.from_dict(meta["preprocessing"]), np.array(meta["palette"], np.uint8)
    for path, (mask, blend) in targets.items():
        picture = read_picture(path)
        start = time.perf_counter()
        labels = segment(model, preprocessing, picture, side)  # (H, W)
        seconds = time.perf_counter() - start
        args.out.mkdir(parents=True, exist_ok=True)
        save_label_png(mask, labels, palette)
        with atomic_file(blend) as file:
            Image.fromarray(overlay(picture, labels, palette)).save(file, format="PNG")
        found = [meta["classes"][label] for label in np.unique(labels)]
        print(f"{path}: {seconds:.2f} s, {', '.join(found)} -> {mask}, {blend}")


def check_targets(targets: dict[Path, tuple[Path, Path]]) -> None:
    """Raise InputError where a prediction would overwrite a picture or another prediction. targets: picture -> both."""
    taken = {path.resolve() for path in targets}
    for target in chain(*targets.values()):
        if target.resolve() in taken:
            raise InputError(f"{target}: would overwrite a picture or prediction; choose another --out, or rename one")
        taken.add(target.resolve())


if __name__ == "__main__":
    command_line(main)
