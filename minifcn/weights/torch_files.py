"""The two kinds of file that torch.save writes, read through a memory map: a tensor is a view of the file.

The legacy format, until PyTorch 1.6, as of torchvision's and pytorch-fcn's published weights:

    five pickles    a magic number, 1001, a dictionary about the machine, the object, the storages' keys in order
    storages        for each key: the count of its numbers in 8 bytes, then the numbers, little-endian

The zip format, since then: NAME/data.pkl with the object, NAME/byteorder, and NAME/data/KEY for each storage. Nothing
in it is compressed, so a storage is a piece of the file.
"""

import io
import struct
import zipfile
import zlib
from functools import partial
from mmap import mmap

import numpy as np

from ..errors import InputError
from .pickles import LIMIT, Reader, Storage, TorchTensor
from .weight_file import Stored, itemsize, plain

MAGIC = 0x1950A86A20F9469CFC6C
WRAPPERS = ("model_state_dict", "state_dict", "model")  # keys under which training scripts keep a network's weights


def read_legacy(data: mmap) -> list[Stored]:
    """Return the tensors of a file in the legacy format. InputError if it is damaged, or holds more than tensors."""
    pickles, storages, starts = io.BytesIO(data[:LIMIT]), {}, {}
    if Reader(pickles, storages).load() != MAGIC:
        raise InputError("a Python pickle, but not one of torch.save. Give weights as PyTorch saved them")
    version, system, saved, keys = (Reader(pickles, storages).load() for _ in range(4))
    if version != 1001 or not isinstance(system, dict) or system.get("little_endian") is not True:
        raise InputError("damaged, or from a machine with another byte order. Get the file again")
    if not isinstance(keys, list) or not all(isinstance(key, str) for key in keys) or sorted(keys) != sorted(storages):
        raise InputError("damaged: it lists other storages than its tensors use. Get the file again")
    at = pickles.tell()
    for key in keys:
        count, starts[key] = data[at : at + 8], at + 8
        at += 8 + nbytes(storages[key])
        if at > len(data) or count != storages[key].numel.to_bytes(8, "little"):
            raise InputError(f"truncated or damaged: storage {plain(key)} is of another size. Get the file again")
    return tensors(data, saved, starts, "<")


def read_zip(data: mmap, name: str) -> list[Stored]:
    """Return the tensors of a file in the zip format. InputError if it is damaged, or holds more than tensors."""
    entries, storages, starts = contents(data, name), {}, {}
    pickles = [name for name in entries if name.split("/")[-1] == "data.pkl"]
    if len(pickles) != 1 or any(name.endswith("constants.pkl") for name in entries):  # TorchScript has the latter
        raise InputError("a zip archive, but not of torch.save. Give a state_dict() as PyTorch saved it, in no archive")
    folder, (start, stop) = pickles[0].removesuffix("data.pkl"), entries[pickles[0]]
    if stop - start > LIMIT:
        raise InputError(f"its pickle is over {LIMIT:,} bytes, by what is saved beside the weights. Save them alone")
    saved = Reader(io.BytesIO(data[start:stop]), storages).load()
    for key, storage in storages.items():
        starts[key], stop = entries.get(f"{folder}data/{key}", (0, -1))
        if stop - starts[key] != nbytes(storage):
            raise InputError(f"damaged: storage {plain(key)} is missing, or of another size. Get the file again")
    start, _ = entries.get(f"{folder}byteorder", (0, 0))
    return tensors(data, saved, starts, ">" if data[start : start + 3] == b"big" else "<")


def nbytes(storage: Storage) -> int:
    return storage.numel * itemsize(storage.dtype)


def tensors(data: mmap, saved: object, starts: dict[str, int], order: str) -> list[Stored]:
    """Return the tensors of the state dictionary in what was saved. starts: where each storage is.  order: < or >."""
    candidates = [*map(saved.get, WRAPPERS), saved] if isinstance(saved, dict) else []
    for candidate in candidates:
        items = candidate.items() if isinstance(candidate, dict) else []
        found = {str(name): x.view for name, x in items if isinstance(x, TorchTensor) and x.view}
        if found:
            return [
                Stored(name, shape, storage.dtype, partial(view, data, starts[storage.key], order, *found[name]))
                for name, (storage, _, shape, _) in found.items()
            ]
    raise InputError("holds no dictionary of tensors. Save a network's state_dict() with PyTorch")


def view(data: mmap, start: int, order: str, storage: Storage, offset: int, shape: tuple, strides: tuple) -> np.ndarray:
    """Return a tensor as a view of the file. start: of its storage. bfloat16 and big-endian numbers are copied."""
    stored = np.dtype("uint16" if storage.dtype == "bfloat16" else storage.dtype).newbyteorder(order)
    steps = [stride * stored.itemsize for stride in strides]
    x = np.ndarray(shape, stored, data, start + offset * stored.itemsize, steps)
    if storage.dtype == "bfloat16":  # the upper half of a float32
        return (x.astype(np.uint32) << 16).view(np.float32)
    return x if order == "<" else x.astype(storage.dtype)


# --- zip ---


class ShortReads(io.FileIO):
    """A file that is read in pieces. zipfile asks for a whole directory at once, as long as the file says it is."""

    def read(self, size: int = -1) -> bytes:
        if size > LIMIT:
            raise ValueError(f"a zip directory of more than {LIMIT:,} bytes")
        return super().read(size)


def contents(data: mmap, name: str) -> dict[str, tuple[int, int]]:
    """Return where each file in a zip archive starts and stops. InputError if it is damaged, or not torch.save's."""
    with ShortReads(name) as file, zipfile.ZipFile(file) as archive:
        entries = archive.infolist()
    if any(entry.compress_type or entry.flag_bits & 1 or entry.compress_size != entry.file_size for entry in entries):
        raise InputError("a compressed or encrypted zip archive. Give the .pth as PyTorch saved it")
    return {entry.filename: find_content(data, entry) for entry in entries}


def find_content(data: mmap, entry: zipfile.ZipInfo) -> tuple[int, int]:
    """Return where the content of a file in a zip archive starts and stops, verified by its CRC-32."""
    at = max(0, entry.header_offset)
    signature, name, extra = struct.unpack("<4s22x2H", data[at : at + 30].ljust(30))  # lengths of what follows
    start = at + 30 + name + extra
    stop = start + entry.file_size
    with memoryview(data) as whole, whole[start:stop] as content:
        good = entry.CRC in (0, zlib.crc32(content))  # 0: torch.serialization.set_crc32_options(False)
    if signature != b"PK\3\4" or stop > len(data) or not good:
        raise InputError(f"damaged: {plain(entry.filename)} is elsewhere or has another checksum. Get the file again")
    return start, stop
