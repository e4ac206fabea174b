"""Segment pictures with a checkpoint: python -m minifcn.predict CHECKPOINT PICTURES... --out DIR

For each picture, of any size, it writes NAME.png (paletted: pixel values are class ids, and it shows colours) and
NAME_overlay.png, and prints the time it took. Preprocessing, classes and colours come from the checkpoint.
"""

import argparse
import time
from pathlib import Path

import numpy as np
from PIL import Image

from . import device
from .checkpoint import atomic_file
from .datasets.pictures import read_picture
from .datasets.transforms import Preprocessing
from .errors import InputError, command_line
from .evaluate import predict
from .figures import overlay, save_label_png
from .weights import load_model


def main(argv=None) -> int:
    parser = argparse.ArgumentParser(
        prog="python -m minifcn.predict", description="Segment pictures with a checkpoint."
    )
    parser.add_argument("checkpoint", help="last.safetensors or best.safetensors of a run")
    parser.add_argument("pictures", nargs="+", type=Path, help="picture files, of any size")
    parser.add_argument(
        "--out", type=Path, default=Path("predictions"), help="folder to write to (default: %(default)s)"
    )
    device.add_option(parser)
    args = parser.parse_args(argv)
    model, meta = load_model(args.checkpoint, args.device)
    preprocessing = Preprocessing.from_dict(meta["preprocessing"])
    palette = np.array(meta["palette"], np.uint8)
    check_targets(args.pictures, args.out)
    args.out.mkdir(parents=True, exist_ok=True)
    for path in args.pictures:
        picture = read_picture(path)
        start = time.perf_counter()
        labels = predict(model, preprocessing.apply(picture)[None])[0]  # (H, W)
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
