"""Everything that a command line of training takes, each declared once: default, help, range, choices.

options.py makes from these fields the parser, its help, the checks of ranges and those of a config.json. A field
without a help has no option; one that is `often` used stands in --help, the others in --help-all.
"""

import math
from dataclasses import MISSING, dataclass, field
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


@dataclass(kw_only=True)
class Settings:
    """What decides a run's result, for any network."""

    data: str
    steps: int
    init: str | None = None
    trunk: str = option("width of the network", "vgg_quarter", choices=TRUNKS, often=True)
    batch: int = option("pictures at a time", 2, POSITIVE, often=True)
    accumulate: int = option("batches for each update", 1, POSITIVE)
    lr: float = option(
        "learning rate (default: 0.01; for a sum, divided by the pixels)", 0.01, NOT_NEGATIVE, often=True
    )
    reduction: str = "mean"
    schedule: str = option("of the learning rate", "poly", choices=("poly", "constant"))
    warmup: int = option("steps with a rising learning rate", 20, NOT_NEGATIVE)
    clip: float = option("largest gradient norm, 0: any (default: 5; for a sum, times the pixels)", 5.0, NOT_NEGATIVE)
    momentum: float = option("share of the last update that is kept", 0.9, BELOW_ONE)
    weight_decay: float = option("not on biases", 5e-4, NOT_NEGATIVE, metavar="W")
    dropout: float = option("probability at fc6 and fc7; the papers: 0.5", 0.0, BELOW_ONE)
    flip: bool = option("mirror half of the pictures (default)", True)
    val_every: float = option(
        "epochs between validations, such as 0.5; 0: one at the end", 1.0, NOT_NEGATIVE, metavar="E"
    )
    low_memory: bool = False
    seed: int = option("of weights, order and augmentation", 0, NOT_NEGATIVE)

    def __post_init__(self):
        for name, value in vars(self).items():
            if isinstance(value, list):  # as argparse and JSON have it
                setattr(self, name, tuple(value))


@dataclass(kw_only=True)
class SegmentationSettings(Settings):
    """What decides the result of training an FCN."""

    model: str = option(
        "fcn32s, fcn16s, fcn8s; several: a chain (default: fcn32s fcn16s)",
        **{"choices": MODELS, "often": True, "nargs": "+", "metavar": "M"},
    )
    data: str = option(
        "toytown, or a data set's folder (default: toytown); with --resume: where it is now", TOYTOWN, often=True
    )
    steps: int = option(
        f"updates of each network (default: {TOYTOWN_STEPS} on toytown, or {EPOCHS} epochs)",
        **{"within": POSITIVE, "often": True},
    )
    init: str | None = option(
        "weights to start from: a file, vgg, or scratch (default: vgg, the shipped ones, for vgg_quarter)",
        **{"default": None, "often": True, "metavar": "FILE"},
    )
    reduction: str = option("of the pixels' losses", "mean", choices=("mean", "sum"))
    low_memory: bool = option("update while the gradient is computed; the same weights, no clipping", False)
    pad: str | int = option(
        "as the reference: 100", "same", choices=("same", 100), type=lambda text: 100 if text == "100" else text
    )
    upsampling: str = option(
        "learnt: all but the last, as the paper; fixed: none, as the reference", "learnt", choices=("learnt", "fixed")
    )
    skip_scale: tuple[float, float] = option(
        f"scale the skips before their scores; 8s at once: {AT_ONCE[0]} {AT_ONCE[1]}",
        **{"default": (1.0, 1.0), "within": FINITE, "metavar": ("POOL4", "POOL3")},
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

    data: str = option("folder or zip: train/CLASS/NAME.jpg and val/ alike, or Tiny ImageNet's layout", often=True)
    steps: int = option(f"updates (default: {PRETRAIN_EPOCHS} epochs)", within=POSITIVE, often=True)
    init: str | None = option(
        "start from another run's last.safetensors (default: from scratch)", None, often=True, metavar="FILE"
    )
    batch: int = option("pictures at a time", 32, POSITIVE, often=True)
    lr: float = option("learning rate", 0.05, NOT_NEGATIVE, often=True)
    warmup: int = option("steps with a rising learning rate", 100, NOT_NEGATIVE)
    clip: float = option("largest gradient norm, 0: any", 5.0, NOT_NEGATIVE)
    size: int = option("pictures are scaled to this shorter side", 128, POSITIVE, often=True)
    crop: int = option("train on random squares of this side (default: 7/8 of --size)", 112, POSITIVE)


@dataclass(kw_only=True)
class Options:
    """What is no setting: where a run is and goes on, and how the number of its steps is said."""

    resume: str | None = option(
        "go on with an interrupted run and its settings, bit for bit", None, often=True, metavar="RUN"
    )
    name: str | None = option("the run's folder under --out (default: after the data)", None, often=True)
    out: str = option("where runs are kept", "runs")
    epochs: float | None = option("--steps, in passes over the training set", None, POSITIVE)
    device: str = option("cpu, gpu or gpu:1", "cpu", often=True)


@dataclass(kw_only=True)
class TrainOptions(Options):
    """minifcn.train takes a recipe, too."""

    recipe: str = option(
        "what else is not given: default, paper (CVPR 2015) or reference (its Caffe solvers)",
        **{"default": "default", "choices": RECIPES, "metavar": "R"},
    )
