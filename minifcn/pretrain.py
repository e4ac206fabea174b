"""Pretrain the VGG trunk as a classifier of whole pictures: python -m minifcn.pretrain --data PICTURES

PICTURES is a folder or a zip in the layout of ImageNet or of Tiny ImageNet. The run ends with trunk.safetensors, which
`python -m minifcn.train --init` starts an FCN from.
"""

import argparse
from dataclasses import fields
from pathlib import Path

from . import device
from .command import command_line, command_parser
from .datasets.classification import open_pictures, title
from .errors import InputError
from .training import folder as runs
from .training.classification import TRUNK_FILE, ClassificationRun, check_start
from .training.loop import Stopped
from .training.settings import ClassificationSettings
from .weights import open_weights

# --- defaults -----------------------------------------------------------------------------------------------------
EPOCHS = 10
LR = 0.05
BATCH = 32
WARMUP = 100  # steps
CLIP = 5.0

STRIDE = 32  # of fc6


def parser() -> argparse.ArgumentParser:
    p = command_parser("pretrain", "--data PICTURES [options]", "Train a VGG trunk as a classifier of whole pictures.")
    add = p.add_argument
    add("--data", help="folder or zip: train/CLASS/NAME.jpg and val/ alike, or Tiny ImageNet's layout")
    add("--init", metavar="FILE", help="start from another run's last.safetensors (default: from scratch)")
    add("--steps", type=int, help=f"updates (default: {EPOCHS} epochs)")
    add("--epochs", type=float, help="the same, in passes over the pictures")
    add("--size", type=int, default=128, help="pictures are scaled to this shorter side (default: 128)")
    add("--crop", type=int, help="train on random squares of this side (default: 7/8 of --size)")
    add("--lr", type=float, default=LR, help=f"learning rate (default: {LR})")
    add("--clip", type=float, default=CLIP, help=f"largest gradient norm, 0: any (default: {CLIP:g})")
    runs.add_training_options(p)
    p.epilog = "Layers are normalised over each batch by itself, also where several are accumulated for an update."
    p.set_defaults(batch=BATCH, warmup=WARMUP)
    return p


def main(argv=None) -> int:
    args = parser().parse_args(argv)
    device.start(args.device)
    if args.resume is not None:
        runs.check_resumed(parser(), argv)
        folder, stages = args.resume, runs.read_config(args.resume, ClassificationSettings, args.data)
        if len(stages) != 1:
            raise InputError(f"{folder / 'config.json'}: not the configuration of a run of minifcn.pretrain")
        settings = stages[0]
    else:
        settings = plan(args)
        folder = runs.new_folder(args.out, args.name or title(args.data))
        runs.write_config(folder, [settings], args.device)
    try:
        metrics = train(folder, settings, args.device)
    except Stopped as stopped:
        print(f"\n{stopped}\n{runs.go_on_with('pretrain', folder, args.device)}")
        return 130
    report(folder, settings, metrics)
    return 0


def plan(args: argparse.Namespace) -> ClassificationSettings:
    """Turn the command line into settings, checked before anything is written."""
    if args.data is None:
        raise InputError("--data: give a folder or zip of classified pictures; data/README.md says where to get some")
    runs.check_ranges(args)
    if args.size < 1:
        raise InputError(f"--size: expected 1 or more, received {args.size}")
    args.crop = max(1, args.size * 7 // 8) if args.crop is None else args.crop
    if not 1 <= args.crop <= args.size:
        raise InputError(f"--crop: expected 1 to {args.size}, the --size, received {args.crop}")
    if args.batch == 1 and args.crop <= STRIDE:
        raise InputError(
            f"--batch 1: with --crop {args.crop} fc6 has one place, and every layer is normalised over the places of a "
            "batch; choose a larger one of them"
        )
    if args.init is not None:
        check_start(args.init, open_weights(args.init))
    train_set, val_set = open_pictures(args.data)
    for pictures in (train_set, val_set or train_set):
        pictures[0]  # an encrypted or strangely packed archive is told now
    runs.check_batch(args, len(train_set))
    steps = runs.steps_for(args, len(train_set), EPOCHS)
    names = {f.name for f in fields(ClassificationSettings)} & vars(args).keys()
    chosen = {name: getattr(args, name) for name in names} | {"data": str(Path(args.data).resolve()), "steps": steps}
    chosen["init"] = args.init and str(Path(args.init).resolve())
    return ClassificationSettings(**chosen)


def train(folder: Path, settings: ClassificationSettings, where: str) -> dict:
    """Train the classifier, or finish it, or do nothing where it is finished; return its metrics."""
    metrics = runs.read_metrics(folder)
    if metrics is not None:
        return metrics
    with runs.stopping() as stop:
        run = ClassificationRun(folder, settings, where)
        print(run.describe())
        run.train(stop)
        return run.finish()


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
