"""What a report trains: its options, and the settings of a run that all of its parts share."""

import math
from argparse import Namespace
from dataclasses import replace
from pathlib import Path

from minifcn.datasets import open_dataset
from minifcn.datasets.dataset import hold_out
from minifcn.errors import InputError
from minifcn.training.settings import SegmentationSettings
from minifcn.weights.shipped import SCRATCH
from minifcn.weights.shipped import SHIPPED as VGG

VALIDATIONS = 8  # of the held-out tenth, in a run


class Options(Namespace):
    """What the command line decides (see __main__.py), with seeds as a list and vgg, the file of VGG weights."""

    def pictures(self) -> int:
        """How many pictures a run trains on: all but the held-out tenth."""
        return len(hold_out(open_dataset(self.data, "train"))[0])

    def settings(self, model: str, start: str, **others) -> SegmentationSettings:
        """The settings of a run; whatever is not named is as `python -m minifcn.train` has it by default.

        start: VGG, SCRATCH or a checkpoint.
        """
        chosen = {name: getattr(self, name) for name in ("data", "steps", "trunk", "batch", "scale")}
        chosen |= {"model": model, "held_out": True, "init": {VGG: self.vgg, SCRATCH: None}.get(start, start)}
        settings = SegmentationSettings(**chosen | others)
        epoch = int(self.pictures() * settings.fraction) // settings.batch
        return replace(settings, val_every=math.ceil(settings.steps / VALIDATIONS) / epoch)


def best_run(names: list[str], records: dict[str, dict]) -> str:
    """The run that scored best on the held-out tenth. InputError where all diverged."""
    best = max(names, key=lambda name: held_out_score(records[name]))
    if "diverged" in records[best]:
        raise InputError(f"{best} and its like: every learning rate diverged; give lower ones with --lr")
    return best


def held_out_score(record: dict) -> float:
    """A run's best score on the held-out tenth; -1 where it diverged."""
    return -1.0 if "diverged" in record else record["chosen"]["jaccard"] or 0.0


def checkpoint_of(root: Path, name: str) -> str:
    """The chosen checkpoint of a run."""
    return str((root / name / "best.safetensors").resolve())
