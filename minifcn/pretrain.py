"""Pretrain the VGG trunk as a classifier of whole pictures: python -m minifcn.pretrain --data PICTURES

PICTURES is a folder or a zip in the layout of ImageNet or of Tiny ImageNet. The run ends with trunk.safetensors, which
`python -m minifcn.train --init` starts an FCN from. training/settings.py declares the options.
"""

from pathlib import Path

from .command import command_line, command_parser
from .datasets.classification import open_pictures
from .errors import InputError, say
from .training.classification import TRUNK_FILE, Classification
from .training.folder import say_written
from .training.settings import PRETRAIN_EPOCHS, ClassificationSettings, Options, read, steps_for
from .training.task import run_command
from .weights import WeightFile, open_weights

STRIDE = 32  # of fc6


def options(argv=None) -> tuple[Options, dict]:
    p = command_parser("pretrain", "--data PICTURES [options]", "Train a VGG trunk as a classifier of whole pictures.")
    p.epilog = "Layers are normalised over each batch by itself, also where several are accumulated for an update."
    return read(p, argv, ClassificationSettings, Options)


def main(argv=None) -> int:
    return run_command(Classification, *options(argv), plan, report, own=argv is None)


def plan(opts: Options, given: dict) -> tuple[list[ClassificationSettings], tuple, WeightFile | None]:
    """Open pictures and weights; return the settings, and what was opened."""
    if "data" not in given:
        raise InputError("--data: give a folder or zip of classified pictures; data/README.md says where to get some")
    file = open_weights(given["init"]) if "init" in given else None
    if file and not {"conv1_1.mean", "fc8.weight"} <= {array.name for array in file.arrays}:  # a plain VGG has no means
        way_out = "give the last.safetensors of a run of minifcn.pretrain"
        raise InputError(f"{given['init']}: not a classifier in training; {way_out}")
    splits = open_pictures(given["data"])
    for pictures in filter(None, splits):
        pictures[0]  # an encrypted or strangely packed archive is reported now
    chosen = given | {name: str(Path(given[name]).resolve()) for name in ("data", "init") if name in given}
    chosen.setdefault("crop", max(1, given.get("size", ClassificationSettings.size) * 7 // 8))
    s = ClassificationSettings(**{"steps": 1} | chosen)
    s.steps = steps_for(opts, given, s, len(splits[0]), PRETRAIN_EPOCHS)
    if s.crop > s.size:
        raise InputError(f"--crop: expected 1 to {s.size}, the --size, received {s.crop}")
    if s.batch == 1 and s.crop <= STRIDE:
        why = f"with --crop {s.crop} fc6 has one place, and every layer is normalised over the places of a batch"
        raise InputError(f"--batch 1: {why}; choose a larger one of them")
    return [s], splits, file


def report(folder: Path, _, stages: list[ClassificationSettings], metrics: list[dict], *__) -> None:
    """The last lines: the score, every file written, and what to do with them."""
    say(metrics[0]["summary"])
    say_written(folder)
    say(f"start an FCN from it: python -m minifcn.train --init {folder / TRUNK_FILE} --trunk {stages[0].trunk}")


if __name__ == "__main__":
    command_line(main)
