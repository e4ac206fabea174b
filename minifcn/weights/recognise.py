"""Opens weight files of every known format. What a file is, its first bytes say, never its name."""

import mmap
import re

from ..datasets.transforms import Preprocessing
from ..errors import InputError
from .checkpoint import read_safetensors
from .matconvnet import read_matconvnet
from .names import place
from .torch_files import read_legacy, read_zip
from .weight_file import Array, Stored, WeightFile, errors_of, plain

KNOWN = (
    "Known are checkpoints of minifcn, torchvision's VGG-16 and pytorch-fcn's FCNs as .pth or .safetensors, and "
    "MatConvNet's imagenet-vgg-verydeep-16.mat"
)
MISTAKES = {  # how files begin that are given by mistake
    rb"\s*<(!doctype|html|\?xml|head|body)": "a web page was saved instead of the file. Open its address in a browser",
    rb"version https://git-lfs": "a pointer of Git LFS instead of the file. Get the file with: git lfs pull",
    rb"MATLAB 7.3 MAT-file": "a MATLAB 7.3 file, which is HDF5 and not read. Save it again in MATLAB, with -v7",
    rb"\x89HDF\r\n\x1a\n": f"an HDF5 file, which is not read. {KNOWN}",
    rb"\x1f\x8b": "compressed with gzip. Unpack it",
    rb"[\t\n\f\r -\xff]*\Z": f"a text file. {KNOWN}",
    rb"\n[\x01-\x7f][ -~]+[\x12\x1a\x22\xa2]": f"a .caffemodel, which is not read yet. {KNOWN}",  # a name, then a layer
    rb"": f"not a weight file of any known kind. {KNOWN}",
}
LONGEST_HEADER = 1 << 24  # bytes of a safetensors file; VGG-16's has 3,000
MOMENTUM = "momentum, which only --resume reads"


def open_weights(path) -> WeightFile:
    """Recognise a weight file, verify what its format lets one verify, and return it; its arrays are not read yet.

    Raises InputError where the file is missing, of a kind that is not read, damaged, or not a VGG-16's or an FCN's. Of
    the numbers themselves only the zip .pth and minifcn's checkpoints have checksums.
    """
    with errors_of(path) as name:
        data, preprocessing = map_file(name), None
        kind = recognise(data[:512])
        if kind == "safetensors":
            stored, meta = read_safetensors(name)
            if meta is not None:
                return of_checkpoint(stored, meta)
        elif kind == "MATLAB 5":
            stored, preprocessing = read_matconvnet(data)
        else:
            stored = read_zip(data, name) if kind == "zip" else read_legacy(data)
        whose, usual, arrays = place(stored)
        return WeightFile(f"{whose}, {kind}", arrays, preprocessing or usual)


def map_file(name: str) -> mmap.mmap:
    """Map a file into memory: what is not read takes none."""
    with open(name, "rb") as file:
        if not file.seek(0, 2):
            raise InputError("is empty. Get the file again")
        return mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)


def recognise(head: bytes) -> str:
    """Return "zip", "legacy pickle", "MATLAB 5" or "safetensors". InputError, with what it is instead, for all else."""
    if head[8:9] == b"{" and int.from_bytes(head[:8], "little") <= LONGEST_HEADER:
        return "safetensors"  # first, as the bytes of its header's length may look like anything
    for beginning, kind in ((b"PK", "zip"), (b"\x80", "legacy pickle"), (b"MATLAB 5.0 MAT-file", "MATLAB 5")):
        if head.startswith(beginning):
            return kind
    raise InputError(next(what for beginning, what in MISTAKES.items() if re.match(beginning, head, re.IGNORECASE)))


def of_checkpoint(stored: list[Stored], meta: object) -> WeightFile:
    """Return a checkpoint of minifcn. Its weights are called model/NAME."""
    meta = meta if isinstance(meta, dict) else {}
    try:
        preprocessing = Preprocessing.from_dict(meta["preprocessing"]) if "preprocessing" in meta else None
        classes = list(map(str, meta["classes"])) if "classes" in meta else None
        dict(meta.get("model", {}))  # raises where load_model could not read it
    except (TypeError, ValueError) as error:
        raise InputError(f"not a checkpoint of a run: {plain(str(error))}. Use another checkpoint") from error
    arrays = [
        Array(x, x.name.removeprefix("model/"), x.shape) if x.name.startswith("model/") else Array(x, why=MOMENTUM)
        for x in stored
    ]
    return WeightFile("minifcn checkpoint", arrays, preprocessing, classes, meta)
