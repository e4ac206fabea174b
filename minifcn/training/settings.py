"""Everything that a command line of training takes, each declared once: default, help, range, choices.

declarations --read--> what is given, no defaults in it --> settings --> config.json
                                                               '--revived <--'

A field without a help has no option; one that is `often` used stands in --help, the others in --help-all.
"""

import argparse
import math
import sys
from collections.abc import Callable
from dataclasses import MISSING, Field, dataclass, field, fields
from functools import partial
from pathlib import Path
from types import UnionType
from typing import Any, NamedTuple, get_args

from ..datasets import TOYTOWN
from ..errors import InputError
from ..models import MODELS, TRUNKS
from ..weights import metadata
from .recipes import RECIPES

TOYTOWN_STEPS = 240  # of each network of a chain
EPOCHS = 40  # on other data
PRETRAIN_EPOCHS = 10


class Range(NamedTuple):
    """The values that a test allows, and what they are in words. None, "not given", is in all of them."""

    allows: Callable
    text: str

    def __contains__(self, value) -> bool:
        return value is None or self.allows(value)


POSITIVE = Range(lambda x: 0 < x < math.inf, "more than 0")
NOT_NEGATIVE = Range(lambda x: 0 <= x < math.inf, "0 or more")
BELOW_ONE = Range(lambda x: 0 <= x < 1, "0 <= value < 1")
SEED, SIDE = Range(metadata.SEED, "0 to 2^53"), Range(metadata.SIDE, "0 to 16384")
SCALES, FC = Range(metadata.SCALE, "-1e6 to 1e6"), Range(metadata.FC, "1 to 16384")
BLOCKS = Range(lambda x: 0 <= x <= 5, "0 to 5")
NAME = Range(lambda x: x.isprintable() and x != ".." and Path(x).parts == (x,), "a folder's name, without a path")


def option(help: str | None, default: Any = MISSING, within: Range | None = None, often=False, **argument):
    """Declare a field. argument: more for argparse's add_argument, such as choices."""
    metadata = {"help": help, "within": within or argument.get("choices"), "often": often, "argument": argument}
    return field(default=default, metadata=metadata)


usual = partial(option, often=True)  # in --help, too


def int_or_text(text: str) -> int | str:
    return int(text) if text.isdecimal() else text


# --- the declarations ---


@dataclass(kw_only=True)
class Settings:
    """What decides a run's result, for any network; each kind has data, steps and init, too."""

    trunk: str = usual("width of the network", "vgg_quarter", choices=TRUNKS)
    fc: int | None = option("channels of fc6, fc7 (default: --init's, or by trunk, 4096 or 256)", None, FC, metavar="N")
    batch: int = usual("pictures at a time", 2, POSITIVE)
    accumulate: int = option("batches for each update", 1, POSITIVE)
    lr: float = usual("learning rate (default: 0.01; for a sum, divided by the pixels)", 0.01, NOT_NEGATIVE)
    reduction: str = "mean"
    schedule: str = option("of the learning rate", "poly", choices=("poly", "constant"))
    pretrained_lr: float = option("learning rate of weights taken over, times F", 1.0, NOT_NEGATIVE, metavar="F")
    warmup: int = option("steps with a rising learning rate", 20, NOT_NEGATIVE)
    clip: float = option("largest gradient norm, 0: any (default: 5; for a sum, times the pixels)", 5.0, NOT_NEGATIVE)
    momentum: float = option("share of the last update that is kept", 0.9, BELOW_ONE)
    weight_decay: float = option("not on biases", 5e-4, NOT_NEGATIVE, metavar="W")
    dropout: float = option("probability at fc6 and fc7; the papers: 0.5", 0.0, BELOW_ONE)
    flip: bool = option("mirror half of the pictures (default)", True)
    val_every: float = option("epochs between validations; 0: one at the end", 1.0, NOT_NEGATIVE, metavar="E")
    patience: float = option("stop E epochs after the best validation score; 0: never", 0.0, NOT_NEGATIVE, metavar="E")
    low_memory: bool = False
    processes: int = option("that share a batch (default: 1; small networks: fastest)", 1, POSITIVE, metavar="P")
    seed: int = option("of weights, order and augmentation", 0, SEED)

    @property
    def title(self) -> str:
        """The network's name: an FCN's, or a classifier's trunk."""
        return getattr(self, "model", self.trunk)


@dataclass(kw_only=True)
class SegmentationSettings(Settings):
    """What decides the result of training an FCN."""

    command = "train"
    model: str = usual(
        "fcn32s, fcn16s, fcn8s; several: a chain (default: fcn32s fcn16s)", choices=MODELS, nargs="+", metavar="M"
    )
    data: str = usual("toytown, or a folder (default: toytown); with --resume: where it is now", TOYTOWN)
    steps: int = usual(f"updates a network (default: {TOYTOWN_STEPS}; your data: {EPOCHS} epochs)", within=POSITIVE)
    init: str | None = usual("weights: a file, vgg (default where there), camvid, voc, scratch", None, metavar="FILE")
    reduction: str = option("of the pixels' losses", "mean", choices=("mean", "sum"))
    low_memory: bool = option("update while the gradient is computed; the same weights, no clipping", False)
    pad: str | int = option("as the reference: 100", "same", choices=("same", 100), type=int_or_text)
    upsampling: str = option("learnt: all but the last (the paper); fixed: none", "learnt", choices=("learnt", "fixed"))
    skip_scale: tuple[float, float] = option("of pool4 and pool3", (1.0, 1.0), SCALES, metavar=("POOL4", "POOL3"))
    balance: bool = option("weight classes by median frequency", False)
    side: int = usual("longer side that pictures are scaled to; 0: as they are", 0, SIDE, metavar="S")
    crop: tuple[int, int] | None = option("train on random crops of that size", None, POSITIVE, metavar=("H", "W"))
    scale_jitter: float = option("scale pictures by 1-J..1+J", 0.0, BELOW_ONE, metavar="J")
    colour_jitter: float = option("brightness, contrast, saturation, each times 1-J..1+J", 0.0, BELOW_ONE, metavar="J")
    freeze: int = option("the first N of the trunk's 5 blocks do not learn", 0, BLOCKS, metavar="N")
    # The lab report's (experiments/table1), without options: all pictures at this scale; this share of the training
    # pictures; and whether the last of them are held out, to choose the checkpoint on, so that test (or val, where
    # there is none) is scored only once.
    scale: float = option(None, 1.0, Range(lambda x: 0 < x <= 16, "more than 0, up to 16"))
    fraction: float = option(None, 1.0, Range(lambda x: 0 < x <= 1, "more than 0, up to 1"))
    held_out: bool = False

    def __post_init__(self):
        self.skip_scale, self.crop = tuple(self.skip_scale), self.crop and tuple(self.crop)  # argparse, JSON have lists


@dataclass(kw_only=True)
class ClassificationSettings(Settings):
    """What decides the result of pretraining."""

    command = "pretrain"
    data: str = usual("folder or zip: train/CLASS/NAME.jpg and val/ alike, or Tiny ImageNet's layout")
    steps: int = usual(f"updates (default: {PRETRAIN_EPOCHS} epochs)", within=POSITIVE)
    init: str | None = usual("start from another run's last.safetensors (default: from scratch)", None, metavar="FILE")
    batch: int = usual("pictures at a time", 32, POSITIVE)
    lr: float = usual("learning rate", 0.05, NOT_NEGATIVE)
    warmup: int = option("steps with a rising learning rate", 100, NOT_NEGATIVE)
    clip: float = option("largest gradient norm, 0: any", 5.0, NOT_NEGATIVE)
    size: int = usual("pictures are scaled to this shorter side", 128, POSITIVE)
    crop: int = usual("train on random squares of this side (default: 7/8 of --size)", 112, POSITIVE)


@dataclass(kw_only=True)
class Options:
    """What is no setting: where a run is and goes on, and another way to say how long it is."""

    resume: str | None = usual("go on with an interrupted run and its settings, bit for bit", None, metavar="RUN")
    name: str | None = option("the run's folder under --out (default: after the data)", None, NAME)
    out: str = option("where runs are kept", "runs")
    epochs: float | None = option("--steps, in passes over the training set", None, POSITIVE)
    device: str = usual("cpu, gpu or gpu:1", "cpu")


@dataclass(kw_only=True)
class TrainOptions(Options):
    """minifcn.train takes a recipe, too."""

    allow_absent: bool = option("train although a class occurs in no training picture", False)
    recipe: str = option("presets; paper: CVPR 2015, reference: its solvers", "default", choices=RECIPES)


# --- what is made of them ---


def read(p: argparse.ArgumentParser, argv: list[str] | None, settings: type, options: type) -> tuple[Any, dict]:
    """Give a parser the options that settings and options declare, and parse a command line with it.

    Return the options, with their defaults, and those of the settings that are given.
    """
    argv = sys.argv[1:] if argv is None else argv
    p.argument_default = argparse.SUPPRESS
    declared = [f for kind in (settings, options) for f in fields(kind) if f.metadata.get("help")]
    for f in sorted(declared, key=lambda f: not f.metadata["often"]):
        text = f.metadata["help"]
        if "(default" not in text and type(f.default) in (int, float, str):
            text += f" (default: {f.default})"
        shown = f.metadata["often"] or "--help-all" in argv
        p.add_argument(flag(f.name), help=text if shown else argparse.SUPPRESS, **_argument(f))
    p.add_argument("--help-all", action="help", help="show all options")
    given = vars(p.parse_args(argv))
    extra = ", ".join(flag(name) for name in given if name not in ("resume", "data", "device", "processes"))
    if "resume" in given and extra:
        way_out = f"to train longer or otherwise, start a new run with --init {given['resume']}/last.safetensors"
        raise InputError(f"--resume: a run keeps its settings; leave out {extra}, or {way_out}")
    check_ranges(given, options, settings)
    return options(**{f.name: given.pop(f.name) for f in fields(options) if f.name in given}), given


def _argument(f: Field) -> dict:
    """Keywords of add_argument: what the field's type says, and what it adds."""
    kind = get_args(f.type)[0] if isinstance(f.type, UnionType) else f.type
    if kind is bool:
        return {"action": argparse.BooleanOptionalAction if f.default else "store_true"}
    parts = get_args(kind)
    return ({"type": parts[0], "nargs": len(parts)} if parts else {"type": kind}) | f.metadata["argument"]


def steps_for(opts: Options, given: dict, s: Settings, pictures: int, epochs: float, preset: int | None = None) -> int:
    """The updates that --steps or --epochs ask for; where neither is given `preset`, or else `epochs`."""
    if "steps" in given and opts.epochs is not None:
        raise InputError(f"--steps {given['steps']} and --epochs {opts.epochs:g}: leave one of them out")
    if "steps" in given or (opts.epochs is None and preset is not None):
        return given.get("steps", preset)
    return max(1, round((opts.epochs or epochs) * (pictures // s.batch // s.accumulate)))


def check_ranges(values: dict, *kinds: type) -> None:
    """Raise InputError for a value that its declaration does not allow."""
    for f in (f for kind in kinds for f in fields(kind) if f.metadata.get("within") and f.name in values):
        value, within = values[f.name], f.metadata["within"]
        several = value if isinstance(value, list | tuple) else [value]
        if not all(x in within for x in several):
            expected = within.text if isinstance(within, Range) else " or ".join(map(str, within))
            raise InputError(f"{flag(f.name)}: expected {expected}, received {' '.join(map(str, several))}")


def revived(kind: type[Settings], values: dict) -> Settings:
    """Return the settings that a config.json holds. Raises InputError or TypeError for what they cannot be."""
    for f in fields(kind):
        if f.name in values and not _fits(values[f.name], f.type):
            raise InputError(f"{f.name}: expected {f.type}, received {values[f.name]!r}")
    check_ranges(values, kind)
    return kind(**values)


def _fits(value, kind) -> bool:
    """Whether a value, as JSON has it, is of a field's type."""
    parts = get_args(kind)
    if isinstance(kind, UnionType):
        return any(_fits(value, part) for part in parts)
    if parts:
        return isinstance(value, list) and len(value) == len(parts) and all(map(_fits, value, parts))
    return type(value) in ((int, float) if kind is float else (kind,))


def flag(name: str) -> str:
    """val_every -> --val-every"""
    return f"--{name.replace('_', '-')}"
