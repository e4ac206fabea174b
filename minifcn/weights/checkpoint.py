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
from typing import Any

import numpy as np
from safetensors import SafetensorError, safe_open

from ..errors import InputError
from ..files import atomic_file

FORMAT = 1
DTYPE_CODES = {
    **{"float64": "F64", "float32": "F32", "float16": "F16", "bool": "BOOL"},
    **{"int64": "I64", "int32": "I32", "int16": "I16", "int8": "I8"},
    **{"uint64": "U64", "uint32": "U32", "uint16": "U16", "uint8": "U8"},
}


def save(path: str | os.PathLike, tensors: dict[str, np.ndarray], meta: dict[str, Any]) -> None:
    """Write a checkpoint atomically. No second copy of the weights is made.

    Args:
        path: the file; an earlier one is replaced.
        tensors: by name, such as "model/conv1_1.weight" or "momentum/conv1_1.weight"; any shape, also () and empty.
        meta: a JSON document. NaN and infinity are kept; as always in JSON, tuples come back as lists.

    Raises:
        InputError: the file could not be written (disk full, file-size limit, read-only folder ...). An earlier
            checkpoint at `path` is untouched.
        TypeError: a tensor is not a NumPy array of a plain number type, or `meta` is not JSON.
    """
    document = json.dumps({"format": FORMAT, "meta": meta})
    header = _header(tensors, {"minifcn": document, "crc32": checksum(document, tensors)})
    try:
        with atomic_file(path) as file:
            file.write(len(header).to_bytes(8, "little"))
            file.write(header)
            for name in _file_order(tensors):
                file.write(_bytes_of(tensors[name]))
    except OSError as error:
        raise InputError(
            f"{os.fspath(path)}: cannot write the checkpoint ({error.strerror}); what was there before is unchanged. "
            "Make room (disk, quota, file-size limit) or choose another, writable folder"
        ) from error


def load(path: str | os.PathLike) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
    """Read a checkpoint.

    Returns:
        (tensors, meta) as they were given to `save`, bit for bit; the arrays are writable and independent of the file.

    Raises:
        InputError: the file is missing, truncated, damaged, not a checkpoint, or of a newer format.
    """
    name = os.fspath(path)
    if os.path.isdir(path):
        raise InputError(f"{name}: is a folder. Give the checkpoint file in it")
    try:
        with safe_open(name, framework="np") as file:
            metadata = file.metadata() or {}
            meta = read_document(name, metadata)
            tensors = {key: file.get_tensor(key) for key in file.keys()}
    except OSError as error:
        # safetensors raises OSErrors without an errno
        cause = "no such file" if isinstance(error, FileNotFoundError) else error.strerror or error
        raise InputError(f"{name}: cannot read the checkpoint ({cause}). Check the path") from error
    except SafetensorError as error:
        raise InputError(
            f"{name}: not a whole safetensors file ({error}). It is truncated, damaged or of another kind; "
            "use another copy or an earlier checkpoint"
        ) from error
    if metadata.get("crc32") != checksum(metadata["minifcn"], tensors):
        raise InputError(f"{name}: damaged, its checksum does not match. Use another copy or an earlier checkpoint")
    return tensors, meta


def read_document(name: str, metadata: dict[str, str]) -> dict[str, Any]:
    """Return `meta` from a file's metadata, having checked that this version can read the format."""
    if "minifcn" not in metadata:
        raise InputError(
            f"{name}: a safetensors file, but not a checkpoint of minifcn (it has no minifcn metadata). "
            "Give a checkpoint written by minifcn, or use the file as plain weights"
        )
    try:
        document = json.loads(metadata["minifcn"])
        version, meta = document["format"], document["meta"]
    except (ValueError, KeyError, TypeError) as error:
        raise InputError(f"{name}: damaged, its minifcn metadata cannot be read. Use an earlier checkpoint") from error
    if version != FORMAT:
        raise InputError(
            f"{name}: checkpoint of format {version}, expected {FORMAT}. Install the minifcn version that wrote it"
        )
    return meta


def _header(tensors: dict[str, np.ndarray], metadata: dict[str, str]) -> bytes:
    """Return the JSON header with the byte range of every tensor, padded so that the tensors start aligned to 8."""
    entries: dict[str, Any] = {"__metadata__": metadata}
    begin = 0
    for name in _file_order(tensors):
        x = tensors[name]
        end = begin + x.nbytes
        entries[name] = {"dtype": DTYPE_CODES[x.dtype.name], "shape": list(x.shape), "data_offsets": [begin, end]}
        begin = end
    header = json.dumps(entries, separators=(",", ":")).encode()
    return header + b" " * (-len(header) % 8)


def _file_order(tensors: dict[str, np.ndarray]) -> list[str]:
    """Return the names, widest dtype first, so that every tensor starts at a multiple of its item size."""
    return sorted(tensors, key=lambda name: (-tensors[name].itemsize, name))


def _bytes_of(x: np.ndarray) -> np.ndarray:
    """Return the little-endian bytes of an array in C order, flat uint8; a view, but for strided or foreign arrays."""
    return np.ascontiguousarray(x, x.dtype.newbyteorder("<")).reshape(-1).view(np.uint8)


def checksum(document: str, tensors: dict[str, np.ndarray]) -> str:
    """Return a CRC-32 over the document and every tensor's name, dtype, shape and bytes. safetensors itself has none.

    Raises:
        TypeError: a tensor is not a NumPy array of a plain number type.
    """
    crc = zlib.crc32(document.encode())
    for name in sorted(tensors):
        x = tensors[name]
        if not isinstance(x, np.ndarray) or x.dtype.name not in DTYPE_CODES:
            kind = x.dtype if isinstance(x, np.ndarray) else type(x).__name__
            raise TypeError(f"{name}: expected a NumPy array of {', '.join(DTYPE_CODES)}; got {kind}")
        crc = zlib.crc32(f"{name} {x.dtype.name} {x.shape}".encode(), crc)
        crc = zlib.crc32(_bytes_of(x), crc)
    return f"{crc:08x}"
