"""Argument checks that the layers share: every error says what was expected and what was received."""

import math
from numbers import Integral, Real

import numpy as np

OPTIONAL = " or None"  # ends the letters of an argument that may be None


def fit(op: str, **arguments) -> list:
    """Return the arguments of name=(array, letters). Each letter must stand for one size, at least 1, in all of them.

    The letters are the glossary's, one for each axis: x=(x, "N H W C"), b=(b, "K or None"). Tensors and arrays stay
    what they are, anything else becomes an array. Raises ValueError for shapes that do not fit, TypeError for None.
    """
    sizes, fitting = {}, []  # letter -> its size, and the first argument that has it
    for name, (x, letters) in arguments.items():
        axes = letters.removesuffix(OPTIONAL).split()
        fitting.append(x if x is None or hasattr(x, "shape") else np.asarray(x))
        if x is None and letters.endswith(OPTIONAL):
            continue
        if x is None:
            raise TypeError(f"{op}: {name}: expected an array ({', '.join(axes)}), received None")
        shape = fitting[-1].shape
        if len(shape) != len(axes) or 0 in shape:
            raise ValueError(f"{op}: {name}: expected shape ({', '.join(axes)}), nothing empty, received {shape}")
        for letter, size in zip(axes, shape, strict=True):
            expected, first = sizes.setdefault(letter, (size, name))
            if size != expected:
                raise ValueError(f"{op}: {name}: expected {letter} = {expected}, as in {first}, received {size}")
    return fitting


def is_int(value) -> bool:
    """Whether the value is an int of Python or NumPy; True and False are none."""
    return isinstance(value, Integral) and not isinstance(value, bool)


def whole(what: str, value, least: int, most: float = math.inf) -> int:
    """Return an int, at least `least` and at most `most`, as Python's; raise ValueError for anything else."""
    if not is_int(value) or not least <= value <= most:
        at_most = f" and at most {most}" if most < math.inf else ""
        raise ValueError(f"{what}: expected an int, at least {least}{at_most}, received {value!r}")
    return int(value)


def number(what: str, value, least: float | None = None, below: float = math.inf) -> float:
    """Return a real number as a float; raise TypeError for anything else, ValueError for one outside [least, below)."""
    if not isinstance(value, Real):
        raise TypeError(f"{what}: expected a number, received {type(value).__name__}")
    if least is not None and not least <= value < below:
        raise ValueError(f"{what}: expected a number in [{least}, {below}), received {value}")
    return float(value)


def one_of(what: str, value, choices):
    """Return the value; raise ValueError unless it is one of the choices."""
    if value not in list(choices):
        raise ValueError(f"{what}: expected {' or '.join(map(repr, choices))}, received {value!r}")
    return value


def pair(what: str, value, least: int) -> tuple[int, int]:
    """Return an int or a pair of ints as a pair (vertical, horizontal), each at least `least`."""
    both = value if isinstance(value, tuple | list) else (value, value)
    if len(both) != 2 or not all(map(is_int, both)):
        raise TypeError(f"{what}: expected an int or a pair of ints, received {value!r}")
    if min(both) < least:
        raise ValueError(f"{what}: expected at least {least}, received {value!r}")
    return int(both[0]), int(both[1])


def nonempty(op: str, size: tuple[int, int]) -> tuple[int, int]:
    """Return the size of an output; raise ValueError where it has no pixel."""
    if min(size) < 1:
        raise ValueError(f"{op}: output size: expected at least 1 x 1, received {size[0]} x {size[1]}")
    return size


def check_labels(what: str, labels, num_classes: int, ignore_label: int) -> None:
    """Raise TypeError unless an array is of integers, ValueError unless all are in 0 .. L-1 or ignore_label."""
    if labels.dtype.kind not in "iu":
        raise TypeError(f"{what}: expected integers, received {labels.dtype}")
    if 255 == ignore_label < num_classes:
        raise ValueError(f"{what}: of {num_classes} classes one is {ignore_label}, void's; give another ignore_label")
    wrong = (labels != ignore_label) & ((labels < 0) | (labels >= num_classes))
    if wrong.any():  # argwhere alone would take longer than all the rest
        at, last = tuple(np.argwhere(wrong)[0].tolist()), num_classes - 1
        raise ValueError(f"{what}: expected 0..{last} or {ignore_label} (void), received {labels[at]} at {at}")
