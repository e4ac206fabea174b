"""Reads the pickles that torch.save writes. It can make tensors, and of NumPy's numbers stand-ins; nothing else.

A pickle is a program for a small machine with a stack. The machine here is Python's own, in the form that is written in
Python: its table of instructions is cut to those that torch.save writes. None of them calls anything but what the
program has named, and the names that it may use stand for the classes below: nothing outside this file is ever called.

Some hostile programs are tiny and ask for hours or gigabytes. A dictionary takes no key but strings and integers: a
tuple of tuples, each twice the same, 60 deep, would be hashed 2^60 times. What is shared (the memo) is in a dictionary,
where the machine in C makes room for all numbers below the largest. BUILD sets attributes of whatever the program has
made or named: so that is strings, tuples, or classes with their own __setstate__.
"""

import math
import pickle
from io import BytesIO
from typing import NamedTuple

from ..errors import InputError
from .weight_file import plain

LIMIT = 1 << 20  # bytes of pickles in a file. VGG-16's have 5,000. Each makes at most about 100 bytes of objects
HUGE = 1 << 40  # more elements than any tensor has, in bytes less than NumPy can count
DTYPES = {
    **{"Float": "float32", "Double": "float64", "Half": "float16", "BFloat16": "bfloat16", "Bool": "bool"},
    **{"Long": "int64", "Int": "int32", "Short": "int16", "Char": "int8", "Byte": "uint8"},
}
WRITTEN = (
    *("PROTO", "STOP", "MARK", "BINPUT", "LONG_BINPUT", "BINGET", "LONG_BINGET", "NONE", "NEWTRUE", "NEWFALSE"),
    *("BININT", "BININT1", "BININT2", "LONG1", "BINFLOAT", "BINUNICODE", "BINSTRING", "SHORT_BINSTRING"),
    *("EMPTY_TUPLE", "EMPTY_LIST", "TUPLE", "TUPLE1", "TUPLE2", "TUPLE3", "APPEND", "APPENDS", "SETITEM", "SETITEMS"),
    *("GLOBAL", "REDUCE", "NEWOBJ", "BUILD", "BINPERSID"),
)


class Storage(NamedTuple):
    """A row of numbers in the file. Several tensors may be views of it."""

    key: str
    dtype: str
    numel: int


class TorchTensor:
    """A view of a storage: element (i, j, ...) is number offset + i strides[0] + j strides[1] + ... of it.

    view: storage, offset, shape, strides; None until they are known. They came with the call, in files of 2016 later,
    by BUILD. A Parameter's first argument is its tensor. Gradients, hooks and the like, which follow, are dropped.
    """

    view: tuple[Storage, int, tuple[int, ...], tuple[int, ...]] | None = None

    def __init__(self, *state):
        if state:
            self.__setstate__(state)

    def __setstate__(self, state):
        if self.view is None:
            self.view = state[0].view if isinstance(state[0], TorchTensor) else within_storage(*state[:4])


class Dictionary(dict):
    """Stands for dict and OrderedDict. Python 2 gives the pairs of the latter at once. Attributes are dropped."""

    def __init__(self, pairs=()):
        for key, value in pairs:
            self[key] = value
        if pairs:
            pairs.clear()  # a list is copied once, however often the pickle asks for it

    def __setitem__(self, key, value):
        if type(key) not in (str, int):
            raise TypeError("it has keys that are no names")
        super().__setitem__(key, value)

    def __setstate__(self, state):
        pass


class Dropped:
    """Stands for NumPy's numbers, types and arrays, and for their bytes: scores and the like, which nobody asks for."""

    __slots__ = ()

    def __init__(self, *state):
        pass

    def __setstate__(self, state):
        pass


TENSORS = ("_utils _rebuild_tensor_v2", "_utils _rebuild_tensor", "_utils _rebuild_parameter", "nn.parameter Parameter")
NAMES = {  # what a pickle may name, as "module name" -> what it gets
    "collections OrderedDict": Dictionary,
    **{f"torch.{name}": TorchTensor for name in TENSORS},  # the second one until 2018, as in vgg16-397923af.pth
    **{f"{module} {name}Tensor": TorchTensor for name in DTYPES for module in ("torch", "torch.cuda")},  # 2016
    **{f"{module} {name}Storage": dtype for name, dtype in DTYPES.items() for module in ("torch", "torch.cuda")},
    "torch.storage UntypedStorage": "uint8",
    **{f"numpy.{core}.multiarray {name}": Dropped for core in ("core", "_core") for name in ("scalar", "_reconstruct")},
    **dict.fromkeys(("numpy dtype", "numpy ndarray", "_codecs encode", "__builtin__ bytes"), Dropped),
}


class Reader(pickle._Unpickler):
    """Python's machine with few instructions and names. storages: those of the file that are named so far, by key.

    Its load() returns what the next pickle in `source` describes, leaves `source` after it, and adds the storages that
    it names. It raises an error of any kind where the pickle is damaged, or holds anything but numbers, strings,
    tensors, and lists, tuples and dictionaries of them.
    """

    def __init__(self, source: BytesIO, storages: dict[str, Storage]):
        super().__init__(source, encoding="latin1")  # of the strings of Python 2
        self.storages = storages

    def find_class(self, module: str, name: str) -> object:
        if f"{module} {name}" not in NAMES:
            name = plain(f"{module}.{name}")
            raise InputError(f"refused: its pickle asks for {name}; none of it was run. Save its state_dict() alone")
        return NAMES[f"{module} {name}"]

    def persistent_load(self, identity: tuple) -> Storage:
        kind, dtype, key, _, numel, *view = identity  # the fourth is the device it was on
        storage = Storage(key, dtype, numel)
        whole = type(key) is str and dtype in DTYPES.values() and type(numel) is int and numel >= 0
        if kind != "storage" or not whole or view not in ([], [None]):
            raise TypeError("it names something other than a whole storage")
        if self.storages.setdefault(key, storage) != storage:
            raise ValueError("it gives a storage two sizes or types")
        return storage

    def load_empty_dictionary(self) -> None:
        self.append(Dictionary())

    def refuse(self) -> None:
        raise ValueError("it has an instruction that torch.save never writes")

    dispatch = dict.fromkeys(range(256), refuse) | {
        code: pickle._Unpickler.dispatch[code] for code in (getattr(pickle, name)[0] for name in WRITTEN)
    }
    dispatch[pickle.EMPTY_DICT[0]] = load_empty_dictionary


def within_storage(storage, offset, shape, strides) -> tuple:
    """Return a tensor's view. Raises ValueError unless it lies within its storage, and NumPy can make it."""
    whole = isinstance(storage, Storage) and type(shape) is type(strides) is tuple and len(shape) <= 8
    if not whole or any(type(number) is not int or number < 0 for number in (offset, *shape, *strides)):
        raise ValueError("it has a tensor without a storage, or of an impossible shape")
    last = offset + sum((size - 1) * stride for size, stride in zip(shape, strides, strict=True))
    numel, extent = math.prod(shape), math.prod(size or 1 for size in shape)  # an empty one may have huge sizes, too
    makeable = max(extent, *strides, 0) <= max(HUGE, storage.numel)
    if max(numel, offset) > storage.numel or (numel > 0 and last >= storage.numel) or not makeable:
        raise ValueError("it has a tensor that reaches beyond its storage")
    return storage, offset, shape, strides
