"""Reads the pickles that torch.save writes. It can make tensors and nothing else.

A pickle is a program for a small machine with a stack. pickletools takes its bytes apart, which runs nothing; the
machine here carries out the instructions that torch.save writes, and knows no others:

    push a value      NONE NEWTRUE NEWFALSE BININT.. LONG1 BINFLOAT BINUNICODE BINSTRING.. EMPTY_TUPLE, _LIST, _DICT
    share it          BINPUT BINGET (and long forms)
    collect values    MARK TUPLE TUPLE1..3 APPEND APPENDS SETITEM SETITEMS
    name a function   GLOBAL                only those in GLOBALS: OrderedDict, and torch's ways of saying "tensor"
    call it           REDUCE NEWOBJ BUILD   what is called is a method of the machine, never what the file names
    name a storage    BINPERSID             where a tensor's numbers are in the file

pickle.Unpickler with a strict find_class would not do: 150 bytes keep it busy for hours (a tuple of tuples, as the key
of a dictionary, is hashed 2^60 times), and 9 bytes make it ask for 4 GB (a memo with the index 2^28).
"""

import math
import pickletools
import warnings
from dataclasses import dataclass
from typing import BinaryIO

from ..errors import InputError
from .weight_file import plain

LIMIT = 1 << 20  # bytes of pickles in a file. VGG-16's have 5,000. Each makes at most about 100 bytes of objects
DTYPES = {
    **{"Float": "float32", "Double": "float64", "Half": "float16", "BFloat16": "bfloat16", "Bool": "bool"},
    **{"Long": "int64", "Int": "int32", "Short": "int16", "Char": "int8", "Byte": "uint8"},
}
NUMBERS = ("BININT", "BININT1", "BININT2", "LONG1", "BINFLOAT")
STRINGS = ("BINUNICODE", "BINSTRING", "SHORT_BINSTRING")  # the last two: Python 2
CONSTANTS = {"NONE": None, "NEWTRUE": True, "NEWFALSE": False, "EMPTY_TUPLE": ()}
EMPTY = {"EMPTY_LIST": list, "EMPTY_DICT": dict}


@dataclass(frozen=True)
class StorageType:
    """What the name of a class such as torch.FloatStorage stands for."""

    dtype: str


@dataclass(frozen=True)
class Storage:
    """A row of numbers in the file. Several tensors may be views of it."""

    key: str
    dtype: str
    numel: int


class TorchTensor:
    """A view of a storage: element (i, j, ...) is number offset + i strides[0] + j strides[1] + ... of it."""

    def __init__(self):
        self.storage: Storage | None = None

    def set(self, storage, offset, shape, strides, *_) -> "TorchTensor":
        """Become that view. Raises InputError unless it lies within its storage."""
        if not isinstance(storage, Storage) or type(shape) is not tuple or type(strides) is not tuple:
            raise InputError("damaged: its pickle describes a tensor without a storage, shape or strides")
        if any(type(number) is not int or number < 0 for number in (offset, *shape, *strides)) or len(shape) > 8:
            raise InputError("damaged: its pickle describes a tensor of an impossible shape")
        last = offset + sum((size - 1) * stride for size, stride in zip(shape, strides, strict=True))
        numel = math.prod(shape)
        if numel > storage.numel or (numel > 0 and last >= storage.numel):
            raise InputError("damaged: its pickle describes a tensor that reaches beyond its storage")
        self.storage, self.offset, self.shape, self.strides = storage, offset, shape, strides
        return self


class Machine:
    """Runs pickles. storages: what BINPERSID has named, by key."""

    def __init__(self):
        self.storages: dict[str, Storage] = {}
        self.copied = 0

    def run(self, source: BinaryIO) -> object:
        """Return what the next pickle in `source` describes, and leave `source` after it.

        Dictionaries of all kinds come as dict, tensors as TorchTensor. Raises InputError where the pickle holds
        anything but numbers, strings, tensors, and lists, tuples and dictionaries of them.
        """
        self.stack, self.marks, self.memo = [], [], {}
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("error")  # Python warns of a name with a backslash; no name here has one
                for opcode, argument, _ in pickletools.genops(source):
                    if opcode.name == "STOP":
                        return self.stack.pop()
                    self.step(opcode.name, argument)
        except (ValueError, TypeError, LookupError, Warning) as error:
            if source.tell() >= LIMIT:
                raise InputError(
                    f"has pickles of more than {LIMIT:,} bytes, so of more than weights. Save its state_dict() alone"
                ) from error
            cause = plain(str(error))
            raise InputError(f"truncated or damaged: its pickle makes no sense ({cause}). Get it again") from error
        raise AssertionError("genops ends with STOP, or raises")

    def step(self, name: str, argument) -> None:
        """Carry out one instruction: here those that push, share and name."""
        if name in NUMBERS or name in STRINGS:
            self.stack.append(argument)
        elif name in CONSTANTS:
            self.stack.append(CONSTANTS[name])
        elif name in EMPTY:
            self.stack.append(EMPTY[name]())
        elif name in ("BINPUT", "LONG_BINPUT"):
            self.memo[argument] = self.stack[-1]
        elif name in ("BINGET", "LONG_BINGET"):
            self.stack.append(self.memo[argument])
        elif name == "GLOBAL":
            if argument not in GLOBALS:
                raise InputError(
                    f"its pickle asks for {plain(argument.replace(' ', '.'))}, which has no place among weights. "
                    "Refused, and nothing of it was run. If you trust it, save its state_dict() alone with PyTorch"
                )
            self.stack.append(GLOBALS[argument])
        elif name == "BINPERSID":
            (identity,) = self.pop(1)
            self.stack.append(self.name_storage(*identity))
        elif name != "PROTO":
            self.collect(name)

    def collect(self, name: str) -> None:
        """Carry out one instruction: here those that gather values, and those that call."""
        if name == "MARK":
            self.marks.append(len(self.stack))
        elif name in ("TUPLE1", "TUPLE2", "TUPLE3"):
            self.stack.append(tuple(self.pop(int(name[-1]))))
        elif name == "TUPLE":
            self.stack.append(tuple(self.pop_to_mark()))
        elif name in ("APPEND", "APPENDS"):
            items = self.pop(1) if name == "APPEND" else self.pop_to_mark()
            if type(self.stack[-1]) is not list:
                raise TypeError("it appends to what is no list")
            self.stack[-1].extend(items)
        elif name in ("SETITEM", "SETITEMS"):
            items = self.pop(2) if name == "SETITEM" else self.pop_to_mark()
            set_items(self.stack[-1], items[::2], items[1::2])
        elif name in ("REDUCE", "NEWOBJ"):
            method, arguments = self.pop(2)
            if not callable(method) or type(arguments) is not tuple:
                raise TypeError("it calls what is no function")
            self.stack.append(method(self, *arguments))
        elif name == "BUILD":
            (state,) = self.pop(1)
            build(self.stack[-1], state)
        else:
            raise ValueError(f"torch.save never writes {name}")

    # --- stacks ---

    def pop(self, count: int) -> list:
        """Take the last `count` values off the stack."""
        if count > len(self.stack):
            raise IndexError("it takes from an empty stack")
        items = self.stack[-count:]
        del self.stack[-count:]
        return items

    def pop_to_mark(self) -> list:
        """Take all values since the last MARK off the stack."""
        start = self.marks.pop()
        items = self.stack[start:]
        del self.stack[start:]
        return items

    # --- what the file may name ---

    def name_storage(self, kind, storage_type, key, location, numel, view=None) -> Storage:
        """location: the device it was on.  view: None, but for some files of 2016."""
        if kind != "storage" or not isinstance(storage_type, StorageType) or view is not None:
            raise TypeError("it names something other than a storage")
        if type(key) is not str or type(numel) is not int or numel < 0:
            raise TypeError("it names a storage without a key or size")
        storage = self.storages.setdefault(key, Storage(key, storage_type.dtype, numel))
        if storage != Storage(key, storage_type.dtype, numel):
            raise ValueError("it gives a storage two sizes or types")
        return storage

    def ordered_dict(self, pairs=()) -> dict:
        """Python 2 gives the pairs here, Python 3 sets items afterwards."""
        self.copied += len(pairs)
        if self.copied > LIMIT:  # the same long list, again and again
            raise ValueError("it copies dictionaries without end")
        items = {}
        set_items(items, [key for key, _ in pairs], [value for _, value in pairs])
        return items

    def tensor(self, *view) -> TorchTensor:
        """view: storage, offset, shape, strides, and then what only training needs."""
        return TorchTensor().set(*view)

    def parameter(self, data=None, *_) -> object:
        """A Parameter is its tensor. In files of 2016 that, and a tensor's view, come afterwards, by BUILD."""
        return TorchTensor() if data is None else data


GLOBALS = {
    "collections OrderedDict": Machine.ordered_dict,
    "torch._utils _rebuild_tensor_v2": Machine.tensor,
    "torch._utils _rebuild_tensor": Machine.tensor,  # until 2018, as in vgg16-397923af.pth
    "torch._utils _rebuild_parameter": Machine.parameter,
    "torch.nn.parameter Parameter": Machine.parameter,  # until 2018
    **{f"{module} {name}Tensor": Machine.parameter for name in DTYPES for module in ("torch", "torch.cuda")},  # 2016
    **{f"{module} {name}Storage": StorageType(DTYPES[name]) for name in DTYPES for module in ("torch", "torch.cuda")},
    "torch.storage UntypedStorage": StorageType("uint8"),
}


def build(target, state) -> None:
    """BUILD: in files of 2016 the view that a tensor is, or the tensor that a Parameter is. Hooks, versions and the
    like, which is what comes for all else, are dropped."""
    if isinstance(target, TorchTensor) and target.storage is None:
        if len(state) == 5 and isinstance(state[0], TorchTensor) and state[0].storage is not None:
            data = state[0]
            state = data.storage, data.offset, data.shape, data.strides
        target.set(*state)


def set_items(target, keys: list, values: list) -> None:
    """Set items of a dictionary. TypeError unless it is one, and its keys are strings or integers."""
    if type(target) is not dict:
        raise TypeError("it sets items of what is no dictionary")
    if any(type(key) not in (str, int) for key in keys):
        raise TypeError("it has keys that are no names")
    target.update(zip(keys, values, strict=True))
