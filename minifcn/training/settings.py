"""Everything that a command line of training takes, each declared once: default, help, range, choices.

options.py makes from these fields the parser, its help, the checks of ranges and those of a config.json. A field
without a help has no option; one that is `often` used stands in --help, the others in --help-all.
"""

import math
from dataclasses import MISSING, dataclass, field
from functools import partial
from typing import Any, NamedTuple

from ..datasets import TOYTOWN
from ..models import AT_ONCE, MODELS, TRUNKS
from .recipes import RECIPES

TOYTOWN_STEPS = 240  # of each network of a chain
EPOCHS = 40  # on other data
PRETRAIN_EPOCHS = 10


class Range(NamedTuple):
    """low <= value < high, and that in words."""

    low: float
    high: float
    text: str


POSITIVE = Range(math.nextafter(0, 1), math.inf, "more than 0")
NOT_NEGATIVE = Range(0, math.inf, "0 or more")
BELOW_ONE = Range(0, 1, "0 <= value < 1")
FINITE = Range(-math.inf, math.inf, "finite numbers")


def option(help: str | None, default: Any = MISSING, within=None, choices=None, often=False, **argument):
    """Declare a field. within: a Range.  argument: more for argparse's add_argument."""
    metadata = {"help": help, "within": within, "choices": choices, "often": often, "argument": argument}
    return field(default=default, metadata=metadata)


usual = partial(option, often=True)  # in --help, too


def int_or_text(text: str) -> int | str:
    return int(text) if text.isdecimal() else text


@dataclass(kw_only=True)
class Settings:
    """What decides a run's result, for any network."""

    data: str
    steps: int
    init: str | None = None
    trunk: str = usual("width of the network", "vgg_quarter", choices=TRUNKS)
    batch: int = usual("pictures at a time", 2, POSITIVE)
    accumulate: int = option("batches for each update", 1, POSITIVE)
    lr: float = usual("learning rate (default: 0.01; for a sum, divided by the pixels)", 0.01, NOT_NEGATIVE)
    reduction: str = "mean"
    schedule: str = option("of the learning rate", "poly", choices=("poly", "constant"))
    warmup: int = option("steps with a rising learning rate", 20, NOT_NEGATIVE)
    clip: float = option("largest gradient norm, 0: any (default: 5; for a sum, times the pixels)", 5.0, NOT_NEGATIVE)
    momentum: float = option("share of the last update that is kept", 0.9, BELOW_ONE)
    weight_decay: float = option("not on biases", 5e-4, NOT_NEGATIVE, metavar="W")
    dropout: float = option("probability at fc6 and fc7; the papers: 0.5", 0.0, BELOW_ONE)
    flip: bool = option("mirror half of the pictures (default)", True)
    val_every: float = option("epochs between validations; 0: one at the end", 1.0, NOT_NEGATIVE, metavar="E")
    low_memory: bool = False
    seed: int = option("of weights, order and augmentation", 0, NOT_NEGATIVE)

    def __post_init__(self):
        for name, value in vars(self).items():
            if isinstance(value, list):  # as argparse and JSON have it
                setattr(self, name, tuple(value))


@dataclass(kw_only=True)
class SegmentationSettings(Settings):
    """What decides the result of training an FCN."""

    model: str = usual(
        f"{', '.join(MODELS)}; several: a chain (default: fcn32s fcn16s)", choices=MODELS, nargs="+", metavar="M"
    )
    data: str = usual("toytown, or a data set's folder (default: toytown); with --resume: where it is now", TOYTOWN)
    steps: int = usual(
        f"updates of each network (default: {TOYTOWN_STEPS}, or {EPOCHS} epochs of your data)", within=POSITIVE
    )
    init: str | None = usual("weights: a file, vgg (those shipped; default where there are any) or scratch", None)
    reduction: str = option("of the pixels' losses", "mean", choices=("mean", "sum"))
    low_memory: bool = option("update while the gradient is computed; the same weights, no clipping", False)
    pad: str | int = option("as the reference: 100", "same", choices=("same", 100), type=int_or_text)
    upsampling: str = option("learnt: all but the last (the paper); fixed: none", "learnt", choices=("learnt", "fixed"))
    skip_scale: tuple[float, float] = option(
        f"of pool4 and pool3, before their scores; 8s at once: {AT_ONCE[0]} {AT_ONCE[1]}", (1.0, 1.0), FINITE
    )
    balance: bool = option("weight classes by median frequency", False)
    crop: tuple[int, int] | None = option("train on random crops of that size", None, POSITIVE, metavar=("H", "W"))
    scale_jitter: float = option("scale pictures by 1-J..1+J", 0.0, BELOW_ONE, metavar="J")
    # The lab report's (experiments/table1), without options: all pictures at this scale; this share of the training
    # pictures; and whether the last tenth of them is held out, to choose the checkpoint on, so that test (or val, where
    # there is none) is scored only once.
    scale: float = option(None, 1.0, POSITIVE)
    fraction: float = option(None, 1.0, POSITIVE)
    held_out: bool = False


@dataclass(kw_only=True)
class ClassificationSettings(Settings):
    """What decides the result of pretraining."""

    data: str = usual("folder or zip: train/CLASS/NAME.jpg and val/ alike, or Tiny ImageNet's layout")
    steps: int = usual(f"updates (default: {PRETRAIN_EPOCHS} epochs)", within=POSITIVE)
    init: str | None = usual("start from another run's last.safetensors (default: from scratch)", None, metavar="FILE")
    batch: int = usual("pictures at a time", 32, POSITIVE)
    lr: float = usual("learning rate", 0.05, NOT_NEGATIVE)
    warmup: int = option("steps with a rising learning rate", 100, NOT_NEGATIVE)
    clip: float = option("largest gradient norm, 0: any", 5.0, NOT_NEGATIVE)
    size: int = usual("pictures are scaled to this shorter side", 128, POSITIVE)
    crop: int = option("train on random squares of this side (default: 7/8 of --size)", 112, POSITIVE)


@dataclass(kw_only=True)
class Options:
    """What is no setting: where a run is and goes on, and another way to say how long it is."""

    resume: str | None = usual("go on with an interrupted run and its settings, bit for bit", None, metavar="RUN")
    name: str | None = usual("the run's folder under --out (default: after the data)", None)
    out: str = option("where runs are kept", "runs")
    epochs: float | None = option("--steps, in passes over the training set", None, POSITIVE)
    device: str = usual("cpu, gpu or gpu:1", "cpu")


@dataclass(kw_only=True)
class TrainOptions(Options):
    """minifcn.train takes a recipe, too."""

    recipe: str = option(
        "presets for all the rest; paper: CVPR 2015, reference: its solvers", "default", choices=RECIPES
    )
