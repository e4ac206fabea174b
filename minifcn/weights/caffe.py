"""Caffe's .caffemodel, such as VGG_ILSVRC_16_layers or fcn32s-heavy-pascal: the few fields with names and numbers.

It is a message of Google's protocol buffers: fields one after the other, each a key, 8 number + kind, and a value.

    kind 0   a varint: 7 bits a byte, the lowest first; the eighth says whether there are more
    kind 2   a length, which is a varint, and so many bytes: a text, packed numbers, or a message
    kind 1   eight bytes                    kind 5   four bytes

    network    1 name; 100 a layer; until 2014 2 a layer (V1), in which 1 may be an older one (V0)
    layer      1 name, 7 blob              V1   4 name, 6 blob              V0   1 name, 50 blob
    blob       7 shape {1 size}, or 1 num, 2 channels, 3 height, 4 width; 5 float32 or 8 float64, packed or one by one

Blobs are laid out as PyTorch's tensors. With num ... width all have four sizes: a matrix (1,1,K,C), a bias (1,1,1,K).
"""

import math
import re
from collections.abc import Iterator
from mmap import mmap

import numpy as np

from ..errors import InputError
from .weight_file import Stored, plain

VARINT, BYTES, WIDTHS = 0, 2, {1: 8, 5: 4}  # kinds; bytes of those of fixed width
NUMBERS = {(5, BYTES): "<f4", (5, 5): "<f4", (8, BYTES): "<f8", (8, 1): "<f8"}  # of a blob
MOST = 1024  # fields of a message
LAYERS = {100: (1, 7), 2: (4, 6)}  # fields of a network -> those of a layer's name and blobs
# a layer, with a field in it; an input; an input's size
BEGINS = re.compile(rb'(\x12|\xa2\x06)[\x80-\xff]*[\0-\x7f][\n\x12\x1a"(]|\x1a|\x20[\x01-\x08]')
ALIASES = {"score59": "score_fr", "score": "score_fr", "score2": "upscore2", "score4": "upscore_pool4"}  # until 2015


def may_be_caffe(head: bytes) -> bool:
    """Whether a file begins as a network: there is no other mark than what follows its name, of up to 127 bytes."""
    return BEGINS.match(head, 2 + head[1] if len(head) > 1 and head[:1] == b"\n" else 0) is not None


def read_caffe(data: mmap) -> list[Stored]:
    """Return a network's blobs, called LAYER.blob0 (weight) and LAYER.blob1 (bias). InputError if it is damaged."""
    found = {}
    for number, _, start, stop in fields(data, 0, len(data)):
        if number in LAYERS:
            name, blobs = read_layer(data, start, stop, *LAYERS[number])
            for i, (first, last) in enumerate(blobs):
                found[f"{name}.blob{i}"] = read_blob(data, first, last, f"{name}.blob{i}")
    return list(found.values())


def read_layer(data: mmap, start: int, stop: int, name: int, blob: int) -> tuple[str, list[tuple[int, int]]]:
    """Return a layer's name, and where its blobs are. name, blob: the numbers of their fields."""
    called, blobs = "", []
    for number, kind, at, end in fields(data, start, stop):
        if (number, kind) == (name, BYTES):
            called = data[at : min(end, at + 256)].decode("utf-8", "replace").replace("-", "_")
        elif (number, kind) == (blob, BYTES):
            blobs.append((at, end))
        elif (number, kind, blob) == (1, BYTES, 6):
            return read_layer(data, at, end, 1, 50)
    return ALIASES.get(called, called), blobs


def read_blob(data: mmap, start: int, stop: int, name: str) -> Stored:
    """Return a blob, which is a view of the file."""
    shape, numbers = [], []
    for number, kind, at, end in fields(data, start, stop):
        if (number, kind) in NUMBERS:
            item = np.dtype(NUMBERS[number, kind])
            step = item.itemsize + (kind != BYTES)  # with a key between two, if they are not packed
            numbers.append((item, at, (end - at + step - item.itemsize) // step, step))
        elif (number, kind) == (7, BYTES):
            shape = read_sizes(data, at, end)
        elif number in (1, 2, 3, 4) and kind == VARINT:
            shape.append(at)
    item, at, count, step = numbers[0] if len(numbers) == 1 else (np.dtype("<f4"), start, 0, 4)  # never in pieces
    if name.endswith("blob1"):
        shape = [math.prod(shape)]
    elif name.startswith("fc") and shape[:2] == [1, 1]:
        shape = shape[2:]
    if count == 0 or math.prod(shape) != count:
        raise InputError(f"damaged: {plain(name)} has {count} numbers, not {plain(str(shape))}. Get the file again")
    return Stored(name, tuple(shape), item.name, lambda: np.ndarray((count,), item, data, at, (step,)).reshape(shape))


def read_sizes(data: mmap, at: int, stop: int) -> list[int]:
    """Return the sizes in a shape, whose fields are one key, a length and all of them, or a key and a size each."""
    found = []
    while at < stop and len(found) < 20:
        number, at = varint(data, at, stop)
        found.append(number)
    return found[2:] if found[:1] == [8 + BYTES] else found[1::2]


def fields(data: mmap, at: int, stop: int) -> Iterator[tuple[int, int, int, int]]:
    """Yield number, kind, start and stop of the fields between two positions; of a varint its value is the start.

    Numbers that are not packed, each with a key, are one field.
    """
    for _ in range(MOST):
        if at == stop:
            return
        key, start = varint(data, at, stop)
        number, kind, size = key >> 3, key & 7, stop  # of kinds that there are not: too much
        if kind in (VARINT, BYTES):
            size, start = varint(data, start, stop)
        elif kind in WIDTHS:
            step = start - at + WIDTHS[kind]
            others = np.ndarray(max(1, (stop - at) // step), "u1", data, at, (step,)) != data[at]  # the keys
            size = at + step * (int(others.argmax()) or len(others)) - start
        at = start if kind == VARINT else start + size
        if at > stop:
            break
        yield (number, kind, size, at) if kind == VARINT else (number, kind, start, at)
    raise InputError("truncated or damaged: its fields make no sense. Get the file again")


def varint(data: mmap, at: int, stop: int) -> tuple[int, int]:
    """Return the number at a position, and where the next thing is."""
    value = 0
    for i, byte in enumerate(data[at : min(at + 10, stop)]):
        value |= (byte & 0x7F) << 7 * i
        if byte < 0x80:
            return value, at + i + 1
    raise InputError("truncated or damaged: a number has no end. Get the file again")
