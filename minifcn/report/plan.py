"""What a report trains: its options, and the settings of a run that all of its parts share."""

import math
from dataclasses import dataclass, replace
from pathlib import Path

from ..datasets import open_dataset
from ..datasets.views import hold_out
from ..segmentation import SegmentationSettings
from ..train import CLIP, WARMUP
from .jobs import Job

VALIDATIONS, OF_TRIAL = 8, 2  # of the held-out tenth, in a run


VGG, SCRATCH = "vgg", "scratch"


@dataclass(kw_only=True)
class Options:
    """What the command line of minifcn.table1 decides. steps: of every run, after whatever it starts from."""

    data: str
    steps: int
    trial_steps: int
    batch: int
    lrs: list[float]
    seeds: list[int]
    scale: float
    trunk: str
    vgg: str  # the file of VGG weights

    def pictures(self) -> int:
        """How many pictures a run trains on: all but the held-out tenth."""
        return len(hold_out(open_dataset(self.data, "train"))[0])

    def settings(self, model: str, start: str, validations: int = VALIDATIONS, **others) -> SegmentationSettings:
        """The settings of a run; whatever is not named is as `python -m minifcn.train` has it by default.

        start: VGG, SCRATCH or a checkpoint.
        """
        chosen = {"data": self.data, "steps": self.steps, "trunk": self.trunk, "batch": self.batch, "scale": self.scale}
        chosen |= {
            "warmup": WARMUP,
            "clip": CLIP,
            "held_out": True,
            "init": {VGG: self.vgg, SCRATCH: None}.get(start, start),
        }
        settings = SegmentationSettings(model=model, **chosen | others)
        epoch = int(self.pictures() * settings.fraction) // settings.batch
        return replace(settings, val_every=math.ceil(settings.steps / validations) / epoch)


def trials(name: str, options: Options, after: list[str], model: str, start: str) -> list[Job]:
    """Short runs of a network with the first seed, one for each learning rate; none where there is no choice."""

    def settings(lr: float):
        steps = options.trial_steps
        return options.settings(model, start, OF_TRIAL, lr=lr, steps=steps, seed=options.seeds[0], trial=True)

    return [
        Job(trial_name(name, lr), options.trial_steps, lambda _, lr=lr: settings(lr), after, keep=False)
        for lr in (options.lrs if len(options.lrs) > 1 else [])
    ]


def trial_name(name: str, lr: float) -> str:
    return f"{name}/lr{lr:g}"


def best_lr(name: str, lrs: list[float], records: dict[str, dict]) -> float:
    """The learning rate whose run scored best on the held-out tenth; a run that diverged scored nothing."""
    return max(lrs, key=lambda lr: held_out_score(records[trial_name(name, lr)])) if len(lrs) > 1 else lrs[0]


def held_out_score(record: dict) -> float:
    return -1.0 if "diverged" in record else record["chosen"]["jaccard"] or 0.0


def checkpoint_of(root: Path, name: str) -> str:
    """The chosen checkpoint of a run."""
    return str((root / name / "best.safetensors").resolve())
