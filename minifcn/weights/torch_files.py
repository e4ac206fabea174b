"""The two kinds of file that torch.save writes, read through a memory map: a tensor is a view of the file.

The legacy format, until PyTorch 1.6, as of torchvision's and pytorch-fcn's published weights:

    five pickles    a magic number, 1001, a dictionary about the machine, the object, the storages' keys in order
    storages        for each key: the count of its numbers in 8 bytes, then the numbers, little-endian

The zip format, since then. Nothing in it is compressed, so a storage is a piece of the file:

    local header: 30 bytes, name, extra; content        of NAME/data.pkl, NAME/byteorder, NAME/data/KEY, ...
    directory: 46 bytes, name, extra, comment           for each of these: its CRC-32, size, and where its header is
    end record: 22 bytes                                where the directory is

The directory is read here rather than by zipfile, which does not say where content starts, and allocates what a
directory claims.
"""

import io
import struct
import zlib
from functools import partial
from mmap import mmap

import numpy as np

from ..errors import InputError
from .pickles import LIMIT, Machine, Storage, TorchTensor
from .weight_file import Stored, itemsize, plain

MAGIC = 0x1950A86A20F9469CFC6C
WRAPPERS = ("model_state_dict", "state_dict", "model")  # keys under which training scripts keep a network's weights


def read_legacy(data: mmap) -> list[Stored]:
    """Return the tensors of a file in the legacy format. InputError if it is damaged, or holds more than tensors."""
    pickles, machine = io.BytesIO(data[:LIMIT]), Machine()
    if machine.run(pickles) != MAGIC:
        raise InputError("a Python pickle, but not one of torch.save. Give weights as PyTorch saved them")
    version, system = machine.run(pickles), machine.run(pickles)
    if version != 1001 or type(system) is not dict or system.get("little_endian") is not True:
        raise InputError("damaged, or from a machine with another byte order. Get the file again")
    saved, keys = machine.run(pickles), machine.run(pickles)
    starts, at = {}, pickles.tell()
    for key in keys if type(keys) is list else []:
        storage = machine.storages.get(key) if type(key) is str else None
        if storage is None or key in starts:
            raise InputError("damaged: it lists storages that no tensor uses. Get the file again")
        count, starts[key] = data[at : at + 8], at + 8
        at += 8 + nbytes(storage)
        if at > len(data):
            raise InputError(f"truncated: storage {plain(key)} ends beyond the file's end. Get the file again")
        if count != storage.numel.to_bytes(8, "little"):
            raise InputError(f"damaged: storage {plain(key)} is of another size than its tensors. Get the file again")
    if starts.keys() != machine.storages.keys():
        raise InputError("damaged: it lacks storages that its tensors use. Get the file again")
    return tensors(data, saved, starts, "<")


def read_zip(data: mmap) -> list[Stored]:
    """Return the tensors of a file in the zip format. InputError if it is damaged, or holds more than tensors."""
    entries = read_directory(data)
    pickles = [name for name in entries if name.split("/")[-1] == "data.pkl"]
    if len(pickles) != 1 or any(name.endswith("constants.pkl") for name in entries):
        raise InputError(
            "a zip archive, but not of torch.save: it holds no data.pkl, or also TorchScript's code. "
            "Give a state_dict() as PyTorch saved it, not in an archive of your own"
        )
    folder, machine = pickles[0].removesuffix("data.pkl"), Machine()
    start, stop = entries[pickles[0]]
    saved = machine.run(io.BytesIO(data[start : min(stop, start + LIMIT)]))
    starts = {}
    for key, storage in machine.storages.items():
        starts[key], stop = entries.get(f"{folder}data/{key}", (0, -1))
        if stop - starts[key] != nbytes(storage):
            raise InputError(f"damaged: storage {plain(key)} is missing, or of another size. Get the file again")
    start, stop = entries.get(f"{folder}byteorder", (0, 0))
    big = data[start : min(stop, start + 4)] == b"big"
    return tensors(data, saved, starts, ">" if big else "<")


def nbytes(storage: Storage) -> int:
    return storage.numel * itemsize(storage.dtype)


def tensors(data: mmap, saved: object, starts: dict[str, int], order: str) -> list[Stored]:
    """Return the tensors of the state dictionary in what was saved. starts: where each storage is.  order: < or >."""
    candidates = [*map(saved.get, WRAPPERS), saved] if type(saved) is dict else []
    for candidate in candidates:
        items = candidate.items() if type(candidate) is dict else []
        found = {str(name): x for name, x in items if isinstance(x, TorchTensor) and x.storage is not None}
        if found:
            return [
                Stored(name, x.shape, x.storage.dtype, partial(view, data, starts[x.storage.key], x, order))
                for name, x in found.items()
            ]
    raise InputError("holds no dictionary of tensors. Save a network's state_dict() with PyTorch")


def view(data: mmap, start: int, tensor: TorchTensor, order: str) -> np.ndarray:
    """Return a tensor as a view of the file. start: of its storage. bfloat16 and big-endian numbers are copied."""
    dtype = tensor.storage.dtype
    stored = np.dtype("uint16" if dtype == "bfloat16" else dtype).newbyteorder(order)
    strides = [stride * stored.itemsize for stride in tensor.strides]
    x = np.ndarray(tensor.shape, stored, data, start + tensor.offset * stored.itemsize, strides)
    if dtype == "bfloat16":  # the upper half of a float32
        return (x.astype(np.uint32) << 16).view(np.float32)
    return x if order == "<" else x.astype(dtype)


def read_directory(data: mmap) -> dict[str, tuple[int, int]]:
    """Return where the content of each file in a zip archive starts and stops. InputError if it is not torch.save's."""
    end = len(data) - 22  # torch.save puts no comment after the end record
    if end < 0 or data[end : end + 4] != b"PK\5\6":
        raise InputError("truncated: a zip archive (.pth) without its end. Get the file again")
    count, size, start = struct.unpack_from("<HII", data, end + 10)
    if start + size > end or size > LIMIT:
        raise InputError("damaged: its zip directory is out of place. Get the file again")
    directory, entries, total = io.BytesIO(data[start : start + size]), {}, 0
    for _ in range(count):
        header = directory.read(46)
        if len(header) < 46 or header[:4] != b"PK\1\2":
            raise InputError("damaged: its zip directory makes no sense. Get the file again")
        flags, method, _, _, crc, packed, unpacked, n, extra, comment, _, _, _, at = struct.unpack(
            "<HHHHIIIHHHHHII", header[8:]
        )
        name = directory.read(n).decode("utf-8", "replace")
        directory.seek(extra + comment, io.SEEK_CUR)
        if method != 0 or packed != unpacked or flags & 1:
            raise InputError("a compressed or encrypted zip archive. Give the .pth as PyTorch saved it")
        total += unpacked
        if total > start:  # they overlap
            raise InputError("damaged: its zip directory claims more than there is. Get the file again")
        entries[name] = find_content(data, name, at, unpacked, crc, start)
    return entries


def find_content(data: mmap, name: str, at: int, size: int, crc: int, end: int) -> tuple[int, int]:
    """Return where the content behind the local header at `at` starts and stops, verified by its CRC-32."""
    header = data[at : at + 30]
    if len(header) < 30 or header[:4] != b"PK\3\4":
        raise InputError(f"damaged: no zip header where {plain(name)} should be. Get the file again")
    start = at + 30 + sum(struct.unpack("<HH", header[26:]))
    if start + size > end:
        raise InputError(f"damaged: {plain(name)} reaches beyond the file's end. Get the file again")
    with memoryview(data) as whole, whole[start : start + size] as content:
        if crc not in (0, zlib.crc32(content)):  # 0: torch.serialization.set_crc32_options(False)
            raise InputError(f"damaged: {plain(name)} has another checksum. Get the file again")
    return start, start + size
