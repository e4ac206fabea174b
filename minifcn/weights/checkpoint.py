"""Checkpoints: one safetensors file with the weights, the momenta and everything that must travel with them.

A checkpoint is either the old one or the new one, never half of each, whatever happens during a save (files.py).

Layout of the file (https://github.com/huggingface/safetensors, any reader of the format opens it):

    8 bytes   length of the header, little-endian
    header    JSON: {"__metadata__": {"minifcn": document, "crc32": "..."},
                     "model/conv1_1.weight": {"dtype": "F32", "shape": [3, 3, 3, 64], "data_offsets": [0, 6912]}, ...}
    tensors   little-endian, C order, one after the other

The document is a JSON string {"format": 1, "meta": {...}}. This module does not look into `meta`. The header is written
here, not by safetensors.numpy.save_file, because that one copies all weights (before 0.8) or ignores strides (0.8).
"""

import json
import os
import zlib
from collections.abc import Iterable
from functools import partial
from typing import Any

import numpy as np
from safetensors import safe_open

from ..errors import InputError
from ..files import atomic_file
from .weight_file import Stored, errors_of, plain

FORMAT = 1
KINDS = ("float", "int", "uint")
CODES = {f"{kind}{bits}": f"{kind[0].upper()}{bits}" for kind in KINDS for bits in (64, 32, 16, 8)} | {"bool": "BOOL"}
DTYPES = {code: dtype for dtype, code in CODES.items()}  # safetensors' names -> NumPy's


def save(path: str | os.PathLike, tensors: dict[str, np.ndarray], meta: dict[str, Any], **more: str) -> None:
    """Write a checkpoint atomically: one at `path` is replaced. No second copy of the weights is made.

    The tensors have names such as model/conv1_1.weight or momentum/conv1_1.weight, and any shape, also () and empty.
    meta is a JSON document; NaN and infinity are kept, and as always in JSON, tuples come back as lists.
    more: further entries of the file's metadata, for other readers; minifcn does not read them.

    Raises InputError where the file cannot be written (disk full, read-only folder ...); an earlier checkpoint is
    untouched. Raises TypeError where a tensor is not a NumPy array of a plain number type, or `meta` is not JSON.
    """
    document = json.dumps({"format": FORMAT, "meta": meta})
    crc = checksum(document, sorted(tensors.items()))
    write(path, tensors, more | {"minifcn": document, "crc32": crc})


def write(path: str | os.PathLike, tensors: dict[str, np.ndarray], metadata: dict[str, str]) -> None:
    """Write a safetensors file, as save does; the metadata is all that it says of its tensors."""
    # the widest dtype first: every tensor starts at a multiple of its item size
    tensors = dict(sorted(tensors.items(), key=lambda item: (-item[1].itemsize, item[0])))
    entries, end = {"__metadata__": metadata}, 0
    for name, x in tensors.items():
        begin, end = end, end + x.nbytes
        entries[name] = {"dtype": CODES[x.dtype.name], "shape": list(x.shape), "data_offsets": [begin, end]}
    header = json.dumps(entries, separators=(",", ":")).encode()
    header += b" " * (-len(header) % 8)
    try:
        with atomic_file(path) as file:
            file.write(len(header).to_bytes(8, "little"))
            file.write(header)
            for x in tensors.values():
                file.write(bytes_of(x))
    except OSError as error:
        what = f"cannot write the checkpoint ({error.strerror}); what was there before is unchanged"
        raise InputError(f"{os.fspath(path)}: {what}. Make room, or choose another, writable folder") from error


def load(path: str | os.PathLike) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
    """Return tensors and meta as they were given to `save`, bit for bit; the arrays are writable and the caller's.

    Raises InputError where the file is missing, truncated, damaged, not a checkpoint, or of a newer format.
    """
    with errors_of(path) as name:
        stored, meta, ours = read_safetensors(name)
        if not ours:
            raise InputError("not a checkpoint of minifcn: it has no minifcn metadata. Give a checkpoint of a run")
        return {x.name: x.read() for x in stored}, meta


def read_safetensors(name: str) -> tuple[list[Stored], dict, bool]:
    """Return the arrays of a safetensors file, what it says, and whether it is a checkpoint: then that is its meta.

    A checkpoint is verified by its checksum, one array in memory at a time. Raises InputError, without the file's name,
    where it is damaged or not of this format.
    """
    file, stored = safe_open(name, framework="np"), []
    metadata = file.metadata() or {}
    for key in file.keys():
        piece = file.get_slice(key)
        if (code := piece.get_dtype()) not in DTYPES:
            raise InputError(f"{plain(key)} is of type {code}, which is not read. Save it as float32")
        stored.append(Stored(key, tuple(piece.get_shape()), DTYPES[code], partial(file.get_tensor, key)))
    if "minifcn" not in metadata:
        return stored, metadata, False
    document = json.loads(metadata["minifcn"])
    if document["format"] != FORMAT:
        version = plain(str(document["format"]))
        raise InputError(f"checkpoint of format {version}, expected {FORMAT}. Install the minifcn that wrote it")
    arrays = ((x.name, x.read()) for x in sorted(stored, key=lambda x: x.name))
    if metadata.get("crc32") != checksum(metadata["minifcn"], arrays):
        raise InputError("damaged, its checksum does not match. Use another copy or an earlier checkpoint")
    return stored, document["meta"], True


def checksum(document: str, tensors: Iterable[tuple[str, np.ndarray]]) -> str:
    """Return a CRC-32 over the document and each tensor's name, dtype, shape and bytes. safetensors itself has none.

    The tensors come in the order of their names. TypeError where one is not a NumPy array of a plain number type.
    """
    crc = zlib.crc32(document.encode())
    for name, x in tensors:
        if not isinstance(x, np.ndarray) or x.dtype.name not in CODES:
            raise TypeError(f"{name}: expected a NumPy array of numbers; received {getattr(x, 'dtype', type(x))}")
        crc = zlib.crc32(f"{name} {x.dtype.name} {x.shape}".encode(), crc)
        crc = zlib.crc32(bytes_of(x), crc)
    return f"{crc:08x}"


def bytes_of(x: np.ndarray) -> np.ndarray:
    """Return the little-endian bytes of an array in C order, flat uint8; a view, but for strided or foreign arrays."""
    return np.ascontiguousarray(x, x.dtype.newbyteorder("<")).reshape(-1).view(np.uint8)
