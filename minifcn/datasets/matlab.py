"""Reads MATLAB's file format 5 (save -v6 and -v7): cells, structs, texts and arrays of numbers.

MatConvNet's weights (weights/matconvnet.py) and SBD's labels come in it.

    header       128 bytes: text, version 0x0100, "IM" (the bytes of "MI" in little-endian order)
    elements     tag: type, bytes, 4 each; content; padding to a multiple of 8
                 or, where the upper half of the type is not 0: type, bytes, 2 each; content in the other 4 bytes

An element of type 14 is a matrix, whose content is elements again:

    flags (the class in the lowest byte), sizes, name, and then
    numbers      an element with them, in Fortran's order
    char         an element with the text
    cell         a matrix for each cell
    struct       length of the fields' names, the names, a matrix for each field of each struct

An element of type 15 is another one, compressed by zlib. (The MathWorks, MAT-File Format.)

scipy.io.loadmat would read it too, but it is a dependency of 90 MB, crashes the process on a damaged file of 1 MB (a
cell in a cell in a cell ...), and holds every variable in memory. The tests compare with it.
"""

import math
import struct
import zlib
from contextlib import suppress
from itertools import count
from mmap import mmap

import numpy as np

from ..errors import InputError

DTYPES = {1: "i1", 2: "u1", 3: "<i2", 4: "<u2", 5: "<i4", 6: "<u4", 7: "<f4", 9: "<f8", 12: "<i8", 13: "<u8"}
INT8, INT32, UINT32 = 1, 5, 6
ENCODINGS = {1: "utf-8", 2: "utf-8", 4: "utf-16-le", 16: "utf-8", 17: "utf-16-le"}
MATRIX, COMPRESSED = 14, 15
CELL, STRUCT, CHAR, NUMBERS = 1, 2, 4, range(6, 16)
DEPTH = 17  # of a file's elements; MatConvNet nests matrices five deep
ELEMENTS = 1 << 17  # in a file; VGG-16 has some 10,000, most of them names of ImageNet's classes
LONGEST_TEXT = 1 << 20  # bytes of a text, or of the names of all fields
LONGEST = 1 << 32  # bytes of all decompressed variables; VGG-16 is an eighth of that
COMPLEX = 0x0800  # a flag: imaginary parts follow
STEP = 1 << 12  # bytes decompressed at a time, to a thousand times as many at most


def require(sound: bool) -> None:
    """Raise InputError unless what a file says makes sense."""
    if not sound:
        raise InputError("truncated or damaged: its MATLAB elements make no sense. Get the file again")


def read_variables(data: bytes | mmap, wanted: tuple[str, ...], limit: int = 0) -> dict[str, object]:
    """Return the variables of a file, None for those that are not wanted.

    Structs come as a list of dict, cells as a list, char as str, real numbers as an array that is a view of the file or
    of the decompressed variable, all else as None. All variables may have `limit` bytes when decompressed; 0: as many
    as weights have, which hardly shrink: 16 times the file's. Raises InputError for a damaged file, without its name.
    """
    if data[124:128] != b"\0\1IM":
        raise InputError("not a MATLAB file of format 5, or of another byte order. Save it again in MATLAB, with -v7")
    left = limit or min(LONGEST, (1 << 24) + 16 * len(data))
    variables, elements = {}, Elements(data, 128, len(data))
    while elements.at < elements.stop:
        kind, start, stop = elements.take()
        buffer = data
        if kind == COMPRESSED:
            buffer = inflate(data, start, stop, left)
            left -= len(buffer)
            kind, start, stop = Elements(buffer, 0, len(buffer)).take()
        if kind == MATRIX:
            name, value = read_matrix(buffer, start, stop, elements, wanted)
            variables[name] = value
    return variables


def struct_of(value: object) -> dict:
    """Return a struct, which read_variables gives as a list of one; {} for anything else."""
    value = value[0] if isinstance(value, list) and len(value) == 1 else value
    return value if isinstance(value, dict) else {}


def inflate(data: bytes | mmap, start: int, stop: int, limit: int) -> bytearray:
    """Return the element that a compressed one holds, of at most `limit` bytes. zlib verifies its checksum."""
    stream, content = zlib.decompressobj(), bytearray()
    with suppress(zlib.error):  # then eof stays False
        for at in range(start, stop, STEP):
            content += stream.decompress(data[at : min(at + STEP, stop)], max(1, limit - len(content) + 1))
    require(stream.eof and len(content) <= limit)
    return content


class Elements:
    """The elements between two positions, to be taken one after the other. around: those that hold them."""

    def __init__(self, data, at: int, stop: int, around: "Elements | None" = None):
        self.data, self.at, self.stop = data, at, stop
        self.depth, self.taken = (around.depth + 1, around.taken) if around else (0, count())
        require(self.depth <= DEPTH)

    def take(self, *kinds: int) -> tuple[int, int, int]:
        """Return the type of the next element, and where its content starts and stops. kinds: possible types."""
        require(self.at + 8 <= self.stop and next(self.taken) < ELEMENTS)
        kind, size = struct.unpack_from("<II", self.data, self.at)
        start, after = self.at + 8, self.at + 8 + size + (-size % 8 if kind != COMPRESSED else 0)
        if kind >> 16:  # a short one
            kind, size, start, after = kind & 0xFFFF, kind >> 16, self.at + 4, self.at + 8
        self.at = after
        require(start + size <= min(after, self.stop) and (kind in kinds or not kinds))
        return kind, start, start + size

    def numbers(self, *kinds: int) -> np.ndarray:
        """Return the numbers in the next element, a view (n,). kinds: possible types, or any."""
        kind, start, stop = self.take(*(kinds or DTYPES))
        dtype = np.dtype(DTYPES[kind])
        return np.ndarray((stop - start) // dtype.itemsize, dtype, self.data, start)

    def text(self) -> str:
        """Return the text in the next element."""
        kind, start, stop = self.take(*ENCODINGS)
        require(stop - start <= LONGEST_TEXT)
        return bytes(self.data[start:stop]).decode(ENCODINGS[kind], "replace")

    def matrix(self) -> object:
        """Return the value of the matrix that the next element is."""
        _, start, stop = self.take(MATRIX)
        return read_matrix(self.data, start, stop, self)[1]

    def field_names(self) -> list[str]:
        """Return the names in the next two elements: each takes as many bytes as the first one says."""
        length, names = self.numbers(INT32), self.numbers(INT8).tobytes()
        require(len(length) == 1 and length[0] >= 1 and len(names) <= LONGEST_TEXT)
        step = int(length[0])
        return [names[i : i + step].split(b"\0")[0].decode("latin-1") for i in range(0, len(names), step)]


def read_matrix(data, start: int, stop: int, around: Elements, wanted: tuple[str, ...] = ()) -> tuple[str, object]:
    """Return name and value of the matrix between two positions, in the elements `around`. wanted: the names that
    matter; empty: all do."""
    if start == stop:  # []
        return "", None
    elements = Elements(data, start, stop, around)
    flags, sizes, name = elements.numbers(UINT32), elements.numbers(INT32), elements.text()
    require(len(flags) > 0 and 1 <= len(sizes) <= 8 and min(sizes) >= 0)
    kind, real, sizes = int(flags[0]) & 0xFF, not flags[0] & COMPLEX, tuple(map(int, sizes))
    count = math.prod(sizes)
    if wanted and name not in wanted:
        return name, None
    if kind in NUMBERS and real:
        x = elements.numbers()
        require(len(x) == count)
        return name, x.reshape(sizes, order="F")
    if kind == CHAR:
        return name, elements.text()
    if kind not in (CELL, STRUCT):  # sparse matrices, complex numbers, objects, functions
        return name, None
    fields = elements.field_names() if kind == STRUCT else [""]
    require(8 * count * max(1, len(fields)) <= stop - start)  # there must at least be room for their tags
    if kind == CELL:
        return name, [elements.matrix() for _ in range(count)]
    return name, [{field: elements.matrix() for field in fields} for _ in range(count)]
