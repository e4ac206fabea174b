"""What a weight file holds, whatever its format: arrays that are read one at a time, and what belongs to them."""

import math
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import numpy as np
from safetensors import SafetensorError

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

    @property
    def nbytes(self) -> int:
        return math.prod(self.shape) * itemsize(self.dtype)


@dataclass(frozen=True)
class Array:
    """An array of a file, and its place in minifcn.

    name, shape: minifcn's. Where it has no place there, name is "" and `why` says the reason.
    arrange: brings what is stored into minifcn's layout.
    """

    stored: Stored
    name: str = ""
    shape: tuple[int, ...] = ()
    why: str = ""
    arrange: Callable[[np.ndarray], np.ndarray] = lambda x: x

    def read(self) -> np.ndarray:
        """Return it in minifcn's layout: weights (KH,KW,C,K), biases (K,). It may be a read-only view of the file."""
        return self.arrange(self.stored.read())


@dataclass(frozen=True)
class WeightFile:
    """A weight file, recognised, and verified as far as its format allows.

    format: what it is, in words.  preprocessing, classes: what its network was trained with, None where that is not
    known.  meta: what a checkpoint of minifcn says; {} for others.
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
    """Make every error of a block that reads a file an InputError that begins with its name. Yields the name."""
    name = os.fspath(path)
    try:
        if os.path.exists(name) and not os.path.isfile(name):
            raise InputError(f"is a {'folder' if os.path.isdir(name) else 'device'}. Give a file")
        yield name
    except InputError as error:
        raise InputError(f"{name}: {error}") from error
    except OSError as error:  # safetensors raises some without strerror
        cause = "no such file" if isinstance(error, FileNotFoundError) else error.strerror or plain(str(error))
        raise InputError(f"{name}: cannot be read ({cause}). Check the path") from error
    except SafetensorError as error:
        cause = plain(str(error))
        raise InputError(
            f"{name}: not a whole safetensors file ({cause}). It is truncated, damaged or of another kind; "
            "use another copy"
        ) from error


def plain(text: str) -> str:
    """Return a name from a file as it can be printed: one line of ASCII, not too long."""
    text = ascii(text)[1:-1]
    return text if len(text) <= 60 else f"{text[:57]}..."
