"""Reads the pickles that torch.save writes. It can make tensors and nothing else.

A pickle is a program for a small machine with a stack. It is read twice:

    scan      goes through its instructions with pickletools, which runs none of them. It refuses every instruction that
              torch.save does not write, every name but those in NAMES, and keys that are no strings or integers.
    Reader    is Python's own machine, pickle.Unpickler. The names that it finds stand for the classes below, so nothing
              outside this file is ever called.

Without the scan, 150 bytes would keep the Reader busy for hours (a tuple of tuples, as the key of a dictionary, is
hashed 2^60 times), and 9 bytes would make it ask for 4 GB (a memo with the index 2^28). A pickle may also set
attributes of whatever it has made or found (BUILD): so that is strings, tuples, or classes with their own __setstate__.
"""

import math
import pickle
import pickletools
from io import BytesIO
from typing import NamedTuple

from ..errors import InputError
from .weight_file import plain

LIMIT = 1 << 20  # bytes of pickles in a file. VGG-16's have 5,000. Each makes at most about 100 bytes of objects
DTYPES = {
    **{"Float": "float32", "Double": "float64", "Half": "float16", "BFloat16": "bfloat16", "Bool": "bool"},
    **{"Long": "int64", "Int": "int32", "Short": "int16", "Char": "int8", "Byte": "uint8"},
}
KEYS = {"BININT", "BININT1", "BININT2", "LONG1", "BINUNICODE", "BINSTRING", "SHORT_BINSTRING"}  # integers and strings
OPCODES = KEYS | {
    *("PROTO", "STOP", "MARK", "BINPUT", "LONG_BINPUT", "BINGET", "LONG_BINGET"),
    *("NONE", "NEWTRUE", "NEWFALSE", "BINFLOAT", "EMPTY_TUPLE", "EMPTY_LIST", "EMPTY_DICT"),
    *("TUPLE", "TUPLE1", "TUPLE2", "TUPLE3", "APPEND", "APPENDS", "SETITEM", "SETITEMS"),
    *("GLOBAL", "REDUCE", "NEWOBJ", "BUILD", "BINPERSID"),
}


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


class OrderedDict(dict):
    """Stands for Python's. Python 2 gives the pairs at once, Python 3 sets items afterwards. Attributes are dropped."""

    __slots__ = ()

    def __init__(self, pairs=()):
        for key, value in pairs:
            if type(key) not in (str, int):
                raise TypeError("it has keys that are no names")
            self[key] = value
        if pairs:
            pairs.clear()  # a list is copied once, however often the pickle asks for it

    def __setstate__(self, state):
        pass


TENSORS = ("_utils _rebuild_tensor_v2", "_utils _rebuild_tensor", "_utils _rebuild_parameter", "nn.parameter Parameter")
NAMES = {  # what a pickle may name, as "module name" -> what it gets
    "collections OrderedDict": OrderedDict,
    **{f"torch.{name}": TorchTensor for name in TENSORS},  # the second one until 2018, as in vgg16-397923af.pth
    **{f"{module} {name}Tensor": TorchTensor for name in DTYPES for module in ("torch", "torch.cuda")},  # 2016
    **{f"{module} {name}Storage": dtype for name, dtype in DTYPES.items() for module in ("torch", "torch.cuda")},
    "torch.storage UntypedStorage": "uint8",
}


class Reader(pickle.Unpickler):
    """Python's unpickler, which finds no names but ours. storages: those of the file that are named so far, by key."""

    def __init__(self, source: BytesIO, storages: dict[str, Storage]):
        super().__init__(source, encoding="latin1")  # of the strings of Python 2
        self.storages = storages

    def find_class(self, module: str, name: str) -> object:
        return NAMES[f"{module} {name}"]

    def persistent_load(self, identity: tuple) -> Storage:
        kind, dtype, key, _, numel, *view = identity  # the fourth is the device it was on
        if kind != "storage" or dtype not in DTYPES.values() or view not in ([], [None]):
            raise TypeError("it names something other than a storage")
        if type(key) is not str or type(numel) is not int or numel < 0:
            raise TypeError("it names a storage without a key or size")
        storage = self.storages.setdefault(key, Storage(key, dtype, numel))
        if storage != Storage(key, dtype, numel):
            raise ValueError("it gives a storage two sizes or types")
        return storage


def read_pickle(source: BytesIO, storages: dict[str, Storage]) -> object:
    """Return what the next pickle in `source` describes, and leave `source` after it. Adds the storages that it names.

    Raises InputError where the pickle holds anything but numbers, strings, tensors, and lists, tuples and dictionaries
    of them.
    """
    start = source.tell()
    try:
        scan(source)
        source.seek(start)
        return Reader(source, storages).load()
    except (InputError, MemoryError):
        raise
    except Exception as error:  # pickle raises many kinds where a file is damaged
        if source.tell() >= LIMIT:
            raise InputError(
                f"has pickles of more than {LIMIT:,} bytes, so of more than weights. Save its state_dict() alone"
            ) from error
        cause = plain(str(error))
        raise InputError(f"truncated or damaged: its pickle makes no sense ({cause}). Get the file again") from error


def scan(source: BytesIO) -> None:
    """Go through the next pickle and raise an error unless it is harmless. Nothing of it is run.

    The stack and the memo are followed as far as this takes: of each value, whether it may be a key.
    """
    stack, marks, memo = [], [], {}
    for opcode, argument, _ in pickletools.genops(source):
        if opcode.name not in OPCODES:
            raise ValueError(f"torch.save never writes {opcode.name}")
        if opcode.name == "GLOBAL" and argument not in NAMES:
            raise InputError(
                f"its pickle asks for {plain(argument.replace(' ', '.'))}, which has no place among weights. "
                "Refused, and nothing of it was run. If you trust it, save its state_dict() alone with PyTorch"
            )
        if opcode.name == "MARK":
            marks.append(len(stack))
        elif opcode.name.endswith("PUT"):
            if argument > LIMIT:  # the Reader makes room for all below
                raise ValueError(f"it shares {argument} values")
            memo[argument] = stack[-1]
        elif opcode.name.endswith("GET"):
            stack.append(memo[argument])
        else:
            follow(opcode, stack, marks)


def follow(opcode: pickletools.OpcodeInfo, stack: list[bool], marks: list[int]) -> None:
    """Take from the stack what an instruction takes, and put there what it makes. TypeError where a key is no name."""
    takes = opcode.stack_before
    if pickletools.markobject in takes:  # all since the last MARK, and what it lists before that
        start = marks.pop() - takes.index(pickletools.markobject)
    else:
        start = len(stack) - len(takes)
    if start < 0:
        raise IndexError("it takes from an empty stack")
    if opcode.name in ("SETITEM", "SETITEMS") and not all(stack[start + 1 :: 2]):  # dictionary, key, value, key, ...
        raise TypeError("it has keys that are no names")
    stack[start:] = [opcode.name in KEYS] * len(opcode.stack_after)


def within_storage(storage, offset, shape, strides) -> tuple:
    """Return a tensor's view. Raises InputError unless it lies within its storage."""
    if not isinstance(storage, Storage) or type(shape) is not tuple or type(strides) is not tuple:
        raise InputError("damaged: its pickle describes a tensor without a storage, shape or strides")
    if any(type(number) is not int or number < 0 for number in (offset, *shape, *strides)) or len(shape) > 8:
        raise InputError("damaged: its pickle describes a tensor of an impossible shape")
    last = offset + sum((size - 1) * stride for size, stride in zip(shape, strides, strict=True))
    numel = math.prod(shape)
    if numel > storage.numel or (numel > 0 and last >= storage.numel):
        raise InputError("damaged: its pickle describes a tensor that reaches beyond its storage")
    return storage, offset, shape, strides
