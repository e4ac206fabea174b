"""Opens weight files of every known format. What a file is, its first bytes say, never its name."""

import mmap
import os
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial

import numpy as np
from safetensors import SafetensorError, safe_open

from ..datasets.transforms import Preprocessing
from ..errors import InputError
from . import checkpoint
from .matconvnet import read_matconvnet
from .names import place
from .torch_files import read_legacy, read_zip
from .weight_file import Array, Stored, WeightFile, plain

KNOWN = (
    "Known are checkpoints of minifcn, torchvision's VGG-16 and pytorch-fcn's FCNs as .pth or .safetensors, and "
    "MatConvNet's imagenet-vgg-verydeep-16.mat"
)
MISTAKES = {  # how files begin that are given by mistake
    b"version https://git-lfs": "a pointer of Git LFS instead of the file. Get the file with: git lfs pull",
    b"MATLAB 7.3 MAT-file": "a MATLAB 7.3 file, which is HDF5 inside and not read. Save it again in MATLAB, with -v7",
    b"\x89HDF\r\n\x1a\n": f"an HDF5 file, which is not read. {KNOWN}",
    b"\x1f\x8b": "compressed with gzip. Unpack it",
}
HTML = (b"<!doctype", b"<html", b"<?xml", b"<head", b"<body")
DTYPES = {code: name for name, code in checkpoint.DTYPE_CODES.items()}
LONGEST_HEADER = 1 << 24  # bytes of a safetensors file; VGG-16's has 3,000
MOMENTUM = "momentum, which only --resume reads"


def open_weights(path) -> WeightFile:
    """Recognise a weight file, verify what its format lets one verify, and return it; its arrays are not read yet.

    Raises InputError where the file is missing, of a kind that is not read, damaged, or not a VGG-16's or an FCN's. Of
    the numbers themselves only the zip .pth and minifcn's checkpoints have checksums.
    """
    name = os.fspath(path)
    with errors_that_name(name):
        data = map_file(name)
        kind = recognise(data)
        if kind == "safetensors":
            file = safe_open(name, framework="np")
            metadata = file.metadata() or {}
            if "minifcn" in metadata:
                return open_checkpoint(name, file, metadata)
            stored, preprocessing = [stored_in(file, key) for key in file.keys()], None
        elif kind == "MATLAB 5":
            stored, preprocessing = read_matconvnet(data)
        else:
            stored, preprocessing = read_zip(data, name) if kind == "zip" else read_legacy(data), None
        whose, usual, arrays = place(stored)
        return WeightFile(f"{whose}, {kind}", arrays, preprocessing or usual)


@contextmanager
def errors_that_name(name: str) -> Iterator[None]:
    """Make every error of this block an InputError that begins with the file's name."""
    try:
        yield
    except InputError as error:
        raise InputError(f"{name}: {str(error).removeprefix(f'{name}: ')}") from error
    except OSError as error:  # safetensors raises some without strerror
        cause = "no such file" if isinstance(error, FileNotFoundError) else error.strerror or plain(str(error))
        raise InputError(f"{name}: cannot be read ({cause}). Check the path") from error
    except SafetensorError as error:
        cause = plain(str(error))
        raise InputError(
            f"{name}: not a whole safetensors file ({cause}). It is truncated or damaged; use another copy"
        ) from error


def map_file(name: str) -> mmap.mmap:
    """Map a file into memory: what is not read takes none."""
    if os.path.exists(name) and not os.path.isfile(name):
        raise InputError(f"is a {'folder' if os.path.isdir(name) else 'device'}. Give a file")
    with open(name, "rb") as file:
        if os.fstat(file.fileno()).st_size == 0:
            raise InputError("is empty. Get the file again")
        return mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)


def recognise(data: mmap.mmap) -> str:
    """Return "zip", "legacy pickle", "MATLAB 5" or "safetensors". InputError, with what it is instead, for all else."""
    head = data[:512]
    if head[8:9] == b"{" and int.from_bytes(head[:8], "little") <= LONGEST_HEADER:
        return "safetensors"  # first, as the bytes of its header's length may look like anything
    if head.startswith(b"PK"):
        return "zip"
    if head.startswith(b"\x80"):
        return "legacy pickle"
    if head.startswith(b"MATLAB 5.0 MAT-file"):
        return "MATLAB 5"
    for beginning, what in MISTAKES.items():
        if head.startswith(beginning):
            raise InputError(what)
    if head.lstrip().lower().startswith(HTML):
        raise InputError("a web page was saved instead of the file. Open its address in a browser and see")
    if all(byte >= 32 or byte in b"\t\n\r\f" for byte in head):
        raise InputError(f"a text file. {KNOWN}")
    if is_caffe(head):
        raise InputError(f"a .caffemodel, which is not read yet. {KNOWN}")
    raise InputError(f"not a weight file of any known kind. {KNOWN}")


def is_caffe(head: bytes) -> bool:
    """Whether it begins as Caffe's NetParameter: field 1, the name of the network, then a layer or an input."""
    if head[0] != 0x0A or len(head) < 3 + head[1]:
        return False
    name, after = head[2 : 2 + head[1]].decode("latin-1"), head[2 + head[1]]
    return name.isascii() and name.isprintable() and after in b"\x12\x1a\x22\xa2"


# --- safetensors ---


def stored_in(file, key: str) -> Stored:
    """Describe an array of a safetensors file."""
    piece = file.get_slice(key)
    code = piece.get_dtype()
    if code not in DTYPES:
        raise InputError(f"{plain(key)} is of type {code}, which is not read. Save it as float32")
    return Stored(key, tuple(piece.get_shape()), DTYPES[code], partial(file.get_tensor, key))


class OneByOne:
    """Arrays of a safetensors file by name, as a dict would have them, but none is kept."""

    def __init__(self, file):
        self.file = file

    def __iter__(self) -> Iterator[str]:
        return iter(self.file.keys())

    def __getitem__(self, key: str) -> np.ndarray:
        return self.file.get_tensor(key)


def open_checkpoint(name: str, file, metadata: dict[str, str]) -> WeightFile:
    """Return a checkpoint of minifcn. Its weights are called model/NAME."""
    document = checkpoint.read_document(name, metadata)
    meta = document if isinstance(document, dict) else {}
    stored = [stored_in(file, key) for key in file.keys()]
    if metadata.get("crc32") != checkpoint.checksum(metadata["minifcn"], OneByOne(file)):
        raise InputError("damaged, its checksum does not match. Use another copy or an earlier checkpoint")
    try:
        preprocessing = Preprocessing.from_dict(meta["preprocessing"]) if "preprocessing" in meta else None
        classes = list(map(str, meta["classes"])) if "classes" in meta else None
        dict(meta.get("model", {}))  # whoever reads it may take it for one
    except (TypeError, ValueError) as error:
        raise InputError(f"not a checkpoint of a run: {plain(str(error))}. Use another checkpoint") from error
    arrays = [
        Array(x, x.name.removeprefix("model/"), x.shape) if x.name.startswith("model/") else Array(x, why=MOMENTUM)
        for x in stored
    ]
    return WeightFile("minifcn checkpoint", arrays, preprocessing, classes, meta)
