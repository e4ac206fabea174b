"""What a weight file holds, whatever its format: arrays that are read one at a time, and what belongs to them."""

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import numpy as np

from ..datasets.transforms import Preprocessing
from ..errors import InputError

FLOATS = ("float32", "float64", "float16", "bfloat16")


@dataclass(frozen=True)
class Stored:
    """An array as its file has it.

    dtype: NumPy's name for it, or bfloat16.
    read: returns the array, bfloat16 as float32. It is read only then; where the file is mapped, it is a view of it.
    """

    name: str
    shape: tuple[int, ...]
    dtype: str
    read: Callable[[], np.ndarray]


@dataclass(frozen=True)
class Array:
    """An array of a file, and its place in minifcn.

    name, shape: minifcn's. Where it has no place there, name is "", and `why` is the reason.
    read: returns it in minifcn's layout, weights (KH,KW,C,K) and biases (K,). It may be a read-only view of the file.
    """

    stored: Stored
    name: str = ""
    shape: tuple[int, ...] = ()
    why: str = ""
    read: Callable[[], np.ndarray] | None = None


@dataclass(frozen=True)
class WeightFile:
    """A weight file, recognised, and verified as far as its format allows.

    format: what it is, in words.  preprocessing, classes: what its network was trained with, None where that is not
    known.  meta: what a checkpoint or an export of minifcn says; {} for others.
    """

    format: str
    arrays: list[Array]
    preprocessing: Preprocessing | None = None
    classes: list[str] | None = None
    meta: dict = field(default_factory=dict)


def itemsize(dtype: str) -> int:
    """Return the bytes of one number of that dtype."""
    return 2 if dtype == "bfloat16" else np.dtype(dtype).itemsize


@contextmanager
def errors_of(path) -> Iterator[str]:
    """Make every error of a block that reads a file an InputError that begins with its name. Yields the name.

    A file from elsewhere may be damaged in any way: what the readers do not expect of it, and do not say, is told as
    damage, with the cause.
    """
    name = os.fspath(path)
    try:
        if os.path.exists(name) and not os.path.isfile(name):
            raise InputError("is a folder or a device. Give a file, of a run its last.safetensors")
        yield name
    except InputError as error:
        raise InputError(f"{name}: {error}") from error
    except OSError as error:  # safetensors raises some without strerror
        raise InputError(f"{name}: cannot be read ({error.strerror or plain(str(error))}). Check the path") from error
    except MemoryError:
        raise
    except Exception as error:  # zipfile, pickle and safetensors raise many kinds where a file makes no sense
        what = f"truncated, damaged or more than weights ({plain(f'{type(error).__name__}: {error}')})"
        raise InputError(f"{name}: {what}. Get the file again, or save the weights alone") from error


def plain(text: str) -> str:
    """Return a name from a file as it can be printed: one line of ASCII, not too long."""
    text = ascii(text)[1:-1]
    return text if len(text) <= 80 else f"{text[:77]}..."
