"""Caffe's .caffemodel, such as VGG_ILSVRC_16_layers or fcn32s-heavy-pascal: the few fields with names and numbers.

It is a message of Google's protocol buffers: fields one after the other, each a key, 8 number + kind, and a value.

    kind 0   a varint: 7 bits a byte, the lowest first; the eighth says whether there are more
    kind 2   a length, which is a varint, and so many bytes: a text, packed numbers, or a message
    kind 1   eight bytes                    kind 5   four bytes

    network    100 a layer; until 2014 2 a layer (V1), in which 1 may be an older one (V0)
    layer      1 name, 7 blob              V1   4 name, 6 blob              V0   1 name, 50 blob
    blob       7 shape {1 size}, or 1 num, 2 channels, 3 height, 4 width; 5 float32 or 8 float64, packed or one by one

Blobs are laid out as PyTorch's tensors. With num ... width all have four sizes: a matrix (1,1,K,C), a bias (1,1,1,K).
"""

import math
from collections.abc import Iterator
from mmap import mmap

import numpy as np

from ..errors import InputError
from .weight_file import Stored, plain

VARINT, EIGHT, BYTES, FOUR = 0, 1, 2, 5
NETWORK = {1: BYTES, 2: BYTES, 3: BYTES, 4: VARINT, 5: VARINT, 6: BYTES, 7: VARINT, 8: BYTES, 100: BYTES}  # its fields
NUMBERS = {(5, BYTES): "<f4", (5, FOUR): "<f4", (8, BYTES): "<f8", (8, EIGHT): "<f8"}  # of a blob
ALIASES = {"score59": "score_fr", "score": "score_fr", "score2": "upscore2", "score4": "upscore_pool4"}  # until 2015


def read_caffe(data: mmap) -> list[Stored]:
    """Return a network's blobs, called LAYER.blob0 (weight) and LAYER.blob1 (bias). InputError if it is damaged."""
    found = {}
    for number, _, start, stop in fields(data, 0, len(data), 2048):
        if number in (2, 100):
            name, blobs = read_layer(data, start, stop, *((1, 7) if number == 100 else (4, 6)))
            for i, (first, last) in enumerate(blobs):
                found[f"{name}.blob{i}"] = read_blob(data, first, last, f"{name}.blob{i}")
    return list(found.values())


def read_layer(data: mmap, start: int, stop: int, name: int, blob: int) -> tuple[str, list[tuple[int, int]]]:
    """Return a layer's name, and where its blobs are. name, blob: the numbers of their fields."""
    called, blobs = "", []
    for number, kind, at, end in fields(data, start, stop, 128):
        if (number, kind) == (name, BYTES):
            called = data[at : min(end, at + 256)].decode("utf-8", "replace").replace("-", "_")
        elif (number, kind) == (blob, BYTES):
            blobs.append((at, end))
        elif (number, kind, blob) == (1, BYTES, 6):
            return read_layer(data, at, end, 1, 50)
    return ALIASES.get(called, called), blobs


def read_blob(data: mmap, start: int, stop: int, name: str) -> Stored:
    """Return a blob, which is a view of the file."""
    sizes, legacy, numbers = [], [1, 1, 1, 1], []
    for number, kind, at, end in fields(data, start, stop, 32):
        if (number, kind) in NUMBERS:
            item = np.dtype(NUMBERS[number, kind])
            step = item.itemsize + (kind != BYTES)  # with a key between two, if they are not packed
            numbers.append((item, at, (end - at + step - item.itemsize) // step, step))
        elif number == 7 and kind == BYTES:
            sizes = read_sizes(data, at, end)
        elif 1 <= number <= 4 and kind == VARINT:
            legacy[number - 1] = at
    item, at, count, step = numbers[0] if len(numbers) == 1 else (np.dtype("<f4"), start, 0, 4)  # never in pieces
    shape = tuple(sizes or legacy)
    if name.endswith("blob1"):
        shape = (math.prod(shape),)
    elif name.startswith("fc") and shape[:2] == (1, 1):
        shape = shape[2:]
    if count == 0 or math.prod(shape) != count:
        raise InputError(f"damaged: {plain(name)} has {count} numbers, not {plain(str(shape))}. Get the file again")
    return Stored(name, shape, item.name, lambda: np.ndarray((count,), item, data, at, (step,)).reshape(shape))


def read_sizes(data: mmap, start: int, stop: int) -> list[int]:
    sizes = []
    for _, kind, at, end in fields(data, start, stop, 8):
        while kind == BYTES and at < end and len(sizes) < 8:
            size, at = varint(data, at, end)
            sizes.append(size)
        if kind == VARINT:
            sizes.append(at)
    return sizes


def fields(data: mmap | bytes, at: int, stop: int, most: int) -> Iterator[tuple[int, int, int, int]]:
    """Yield number, kind, start and stop of the fields between two positions; for a varint its value is the start.

    Numbers that are not packed, each with a key, are one field. InputError where there are more than `most` fields.
    """
    for _ in range(most):
        if at == stop:
            return
        key, start = varint(data, at, stop)
        number, kind, size = key >> 3, key & 7, {EIGHT: 8, FOUR: 4}.get(key & 7)
        if kind in (VARINT, BYTES):
            size, start = varint(data, start, stop)
        end = start if kind == VARINT else start + (stop if size is None else size)
        if end > stop:
            break
        if kind in (EIGHT, FOUR) and start == at + 1 and stop <= len(data):
            keys = np.ndarray((stop - at) // (1 + size), "u1", data, at, (1 + size,))
            alike = keys == data[at]
            end = at + (1 + size) * (len(keys) if alike.all() else int(alike.argmin()))
        yield (number, kind, size, 0) if kind == VARINT else (number, kind, start, end)
        at = end
    raise InputError("truncated or damaged: its fields make no sense. Get the file again")


def varint(data: mmap | bytes, at: int, stop: int) -> tuple[int, int]:
    """Return the number at a position, and where the next thing is."""
    value = 0
    for i, byte in enumerate(data[at : min(at + 10, stop)]):
        value |= (byte & 0x7F) << 7 * i
        if byte < 0x80:
            return value, at + i + 1
    raise InputError("truncated or damaged: a number has no end. Get the file again")


def may_be_caffe(head: bytes) -> bool:
    """Whether a file begins as a network: there is no other mark than the fields up to the first layer."""
    try:
        for number, kind, start, _ in fields(head, 0, 1 << 60, 32):
            if NETWORK.get(number) != kind:
                return False
            if number in (2, 100):
                return head[start : start + 1] in (b"\n", b"\x12", b"\x1a", b'"', b"(")  # keys of a layer's fields
    except InputError:  # longer than the head
        pass
    return False
