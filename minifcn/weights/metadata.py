"""What a checkpoint may say beside its weights, declared once and checked where it is read: all others rely on it.

A file from elsewhere may say anything under a right checksum. Under names that nobody here reads it may.
"""

import re
from collections.abc import Callable, Iterable

from ..datasets.labels import VOID_NAMES
from ..errors import InputError
from .weight_file import plain

CONTROL = re.compile("[\0-\x1f\x7f-\x9f\ud800-\udfff\u2028\u2029]")  # escapes, ends of lines, halves of characters


# --- what a value may be, as functions that say whether it is ---


def text(x) -> bool:
    return type(x) is str and len(x) <= 256 and not CONTROL.search(x)


def number(low: float, high: float, kinds=(int, float)) -> Callable:
    return lambda x: type(x) in kinds and low <= x <= high


def whole(low: int, high: int = 2**53) -> Callable:
    return number(low, high, (int,))


def items(fits: Callable, low: int, high: int) -> Callable:
    return lambda x: type(x) is list and low <= len(x) <= high and all(map(fits, x))


def optional(fits: Callable) -> Callable:
    return lambda x: x is None or fits(x)


def record(kinds: dict[str, Callable], needed: Iterable[str] = (), others: Callable = lambda x: False) -> Callable:
    """A dictionary. kinds: of the values under these names.  needed: those that must be there.  others: of all else."""
    return lambda x: type(x) is dict and {*needed} <= x.keys() and all(kinds.get(k, others)(x[k]) for k in x)


# --- the declarations ---

# Options of training allow what these do (training/settings.py), or its checkpoints could not be read.
SEED, SIDE, SCALE, FC = whole(0), whole(0, 2**14), number(-1e6, 1e6), whole(1, 2**14)
BYTE, COUNT, SCORE = whole(0, 255), whole(0), optional(number(-(2**53), 2**53))
COLOUR, THREE, POSITIVE = items(BYTE, 3, 3), items(number(-1e6, 1e6), 3, 3), items(number(1e-6, 1e6), 3, 3)
SPEC = {"name": text, "num_classes": whole(1, 2**16), "trunk": text, "pad": lambda x: x in (100, "same")}
SPEC |= {"skip_scale": items(SCALE, 2, 2), "upsampling": text, "dropout": number(0, 1), "seed": SEED}
SPEC |= {"fc": optional(FC)}
PIXELS = {"order": lambda x: x in ("RGB", "BGR"), "mean": THREE, "std": POSITIVE}
META = {
    "model": record(SPEC, ("name", "num_classes")),  # how to build it
    "classes": items(text, 1, 2**16),  # a classifier may have more than a byte holds
    "palette": items(COLOUR, 1, 255),
    "values": items(BYTE, 1, 256),  # of the classes in label files
    "entries": items(text, 1, 256),  # what the values in label files stand for, void, too
    "colours": optional(items(COLOUR, 1, 256)),  # of the entries
    "preprocessing": record(PIXELS, tuple(PIXELS)),
    "side": SIDE,  # pictures are scaled to it
    "settings": lambda x: type(x) is dict,  # compared with those of a run
    "validations": items(record({"step": COUNT}, ("step",), SCORE), 0, 2**20),
    "pretrained": items(text, 0, 2**10),  # parameters that came from --init
    "best_score": SCORE,
    "seconds": number(0, 2**53),
    **dict.fromkeys(("step", "epoch", "pictures", "longest"), COUNT),
}


def checked(meta: object) -> dict:
    """Return a file's metadata. Raises InputError, without its name, unless all is as declared and fits together."""
    require(type(meta) is dict, "metadata", meta)
    for name in META.keys() & meta.keys():
        require(META[name](meta[name]), name, meta[name])
    counts = [len(meta[name]) for name in ("classes", "palette", "values") if name in meta]
    counts += [meta["model"]["num_classes"]] if "model" in meta else []
    if "entries" in meta:
        entries, colours = meta["entries"], meta.get("colours", [])
        require(colours is None or len(colours) == len(entries), "colours", colours)
        counts.append(sum(name.lower() not in VOID_NAMES for name in entries))
    require(len({*counts}) <= 1, "numbers of classes", counts)
    return meta


def require(sound: bool, name: str, value: object) -> None:
    if not sound:
        what = f"its {name} cannot be {plain(repr(value))}; names have up to 256 letters"
        raise InputError(f"damaged, or not of this minifcn: {what}. Use another copy or an earlier checkpoint")


def shapes_of(network: type, spec: dict) -> dict[str, tuple[int, ...]]:
    """Return the shapes of a network's parameters, by name, without making them. Raises as network(**spec)."""
    shapes = {}

    class Outline(network):
        def add_conv(self, name, kernel, channels, outputs, *_):
            shapes.update({f"{name}.weight": (kernel, kernel, channels, outputs), f"{name}.bias": (outputs,)})

        def add_upscore(self, name, stride, learnt):
            shapes[f"{name}.weight"] = (2 * stride, 2 * stride, self.num_classes, self.num_classes)

    Outline(**spec)
    return shapes
