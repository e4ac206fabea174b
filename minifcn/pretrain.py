"""Pretrain the VGG trunk as a classifier of whole pictures: python -m minifcn.pretrain --data PICTURES

PICTURES is a folder or a zip in the layout of ImageNet or of Tiny ImageNet. The run ends with trunk.safetensors, which
`python -m minifcn.train --init` starts an FCN from. training/settings.py declares the options.
"""

import argparse
from pathlib import Path

from . import device
from .command import command_line, command_parser
from .datasets.classification import open_pictures, title
from .errors import InputError
from .training import options
from .training.classification import TRUNK_FILE, Classification, Splits, check_start
from .training.folder import go_on_with, new_folder, read_config, stopping, write_config
from .training.loop import Stopped
from .training.settings import PRETRAIN_EPOCHS, ClassificationSettings, Options
from .training.stage import complete
from .weights import WeightFile, open_weights

STRIDE = 32  # of fc6


def parser(everything: bool = False) -> argparse.ArgumentParser:
    p = command_parser("pretrain", "--data PICTURES [options]", "Train a VGG trunk as a classifier of whole pictures.")
    p.epilog = "Layers are normalised over each batch by itself, also where several are accumulated for an update."
    return options.add_options(p, ClassificationSettings, Options, everything=everything)


def main(argv=None) -> int:
    opts, given = options.read(parser, argv, Options, ClassificationSettings)
    device.start(opts.device)
    if opts.resume is not None:
        folder, task = Path(opts.resume), None
        [settings] = read_config(folder, ClassificationSettings, given.get("data"))
    else:
        folder, settings, task = begin(opts, given)
    try:
        with stopping() as stop:
            metrics = complete(Classification, folder, settings, opts.device, stop, task)
    except Stopped as stopped:
        print(f"\n{stopped}\n{go_on_with('pretrain', folder, opts.device)}")
        return 130
    report(folder, settings, metrics)
    return 0


def begin(opts: Options, given: dict) -> tuple[Path, ClassificationSettings, Classification]:
    """Build the network, then make the folder: a refused run leaves none. Return folder, settings and network."""
    settings, splits, file = plan(opts, given)
    task = Classification(settings, opts.device, splits)
    task.initialise(file)
    folder = new_folder(Path(opts.out), opts.name or title(given["data"]))
    write_config(folder, [settings], opts.device)
    return folder, settings, task


def plan(opts: Options, given: dict) -> tuple[ClassificationSettings, Splits, WeightFile | None]:
    """Open pictures and weights; return the settings, and what was opened."""
    if "data" not in given:
        raise InputError("--data: give a folder or zip of classified pictures; data/README.md says where to get some")
    file = None
    if "init" in given:
        file = open_weights(given["init"])
        check_start(given["init"], file)
    splits = open_pictures(given["data"])
    for pictures in filter(None, splits):
        pictures[0]  # an encrypted or strangely packed archive is reported now
    chosen = given | {name: str(Path(given[name]).resolve()) for name in ("data", "init") if name in given}
    chosen.setdefault("crop", max(1, given.get("size", ClassificationSettings.size) * 7 // 8))
    s = ClassificationSettings(**{"steps": 1} | chosen)
    s.steps = options.steps_for(opts, given, s, len(splits[0]), PRETRAIN_EPOCHS)
    check_together(s)
    return s, splits, file


def check_together(s: ClassificationSettings) -> None:
    """Raise InputError for options that do not go together."""
    if s.crop > s.size:
        raise InputError(f"--crop: expected 1 to {s.size}, the --size, received {s.crop}")
    if s.batch == 1 and s.crop <= STRIDE:
        raise InputError(
            f"--batch 1: with --crop {s.crop} fc6 has one place, and every layer is normalised over the places of a "
            "batch; choose a larger one of them"
        )


def report(folder: Path, settings: ClassificationSettings, metrics: dict) -> None:
    """The last lines: the score, every file written, and what to do with them."""
    if metrics["validations"]:
        top1, top5 = (f"top-{k} {100 * metrics['validations'][-1][f'top{k}']:.1f} %" for k in (1, 5))
        print(f"held-out pictures: {top1}, {top5}")
    else:
        print(f"{settings.data} has no val/: nothing was held out, so there is no score")
    print(f"wrote {', '.join(str(path) for path in sorted(folder.iterdir()))}")
    print(f"start an FCN from it: python -m minifcn.train --init {folder / TRUNK_FILE} --trunk {settings.trunk}")


if __name__ == "__main__":
    command_line(main)
