"""Files in torch.save's formats made by hand, without PyTorch: whole ones, and whatever an attacker may think of."""

import io
import pickle
import struct
import zipfile

import numpy as np
import pytest

from minifcn.errors import InputError
from minifcn.weights import open_weights

STORAGES = {"float32": "FloatStorage", "float64": "DoubleStorage", "float16": "HalfStorage", "int64": "LongStorage"}
CONVS = [f"conv{block}_{i}" for block, n in enumerate((2, 2, 3, 3, 3), 1) for i in range(1, n + 1)]
BLOCKS = (3, 2, 3, 4, 2)  # channels


def trunk(seed=0):
    """The arrays of a narrow VGG-16 up to conv5_3, named and laid out as in PyTorch."""
    rng, arrays, channels = np.random.default_rng(seed), {}, 3
    for layer in CONVS:
        width = BLOCKS[int(layer[4]) - 1]
        arrays[f"{layer}.weight"] = rng.standard_normal((width, channels, 3, 3)).astype(np.float32)
        arrays[f"{layer}.bias"] = rng.standard_normal(width).astype(np.float32)
        channels = width
    return arrays


# --- opcodes ---


def name(module, attribute):
    return f"c{module}\n{attribute}\n".encode()


def text(value):
    return b"X" + struct.pack("<I", len(value.encode())) + value.encode()


def integer(value):
    encoded = pickle.encode_long(value)
    return b"\x8a" + bytes([len(encoded)]) + encoded


def tuple_of(*items):
    return b"(" + b"".join(items) + b"t"


def storage(key, numel, dtype="float32", view=b"N"):
    """view: in the legacy format, None for ten years now; the zip format has no such thing."""
    return (
        tuple_of(text("storage"), name("torch", STORAGES[dtype]), text(key), text("cpu"), integer(numel), view) + b"Q"
    )


def tensor(stored, offset, shape, strides):
    """A tensor as torch.save has it since 2018."""
    hooks = name("collections", "OrderedDict") + b")R"
    sizes = (tuple_of(*map(integer, numbers)) for numbers in (shape, strides))
    return name("torch._utils", "_rebuild_tensor_v2") + tuple_of(stored, integer(offset), *sizes, b"\x89", hooks) + b"R"


def state_dict(entries):
    """entries: name -> opcodes."""
    return b"\x80\x02}(" + b"".join(text(key) + value for key, value in entries.items()) + b"u."


def tensors(arrays, view=b"N"):
    """name -> opcodes, of each array in a storage of its own."""
    entries = {}
    for i, (key, x) in enumerate(arrays.items()):
        strides = [stride // x.itemsize for stride in x.strides]
        entries[key] = tensor(storage(str(i), x.size, x.dtype.name, view), 0, x.shape, strides)
    return entries


# --- containers ---


def legacy(saved, contents):
    """saved: a pickle.  contents: key -> array, the storages."""
    start = io.BytesIO()
    for value in (0x1950A86A20F9469CFC6C, 1001, {"protocol_version": 1001, "little_endian": True, "type_sizes": {}}):
        pickle.dump(value, start, protocol=2)
    start.write(saved)
    pickle.dump(list(contents), start, protocol=2)
    for x in contents.values():
        start.write(struct.pack("<q", x.size) + x.tobytes())
    return start.getvalue()


def zipped(saved, contents, compression=zipfile.ZIP_STORED, extra=()):
    """The same in the zip format. extra: (name, bytes) of more files."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", compression) as archive:
        archive.writestr("weights/data.pkl", saved)
        archive.writestr("weights/byteorder", "little")
        archive.writestr("weights/version", "3\n")
        for key, x in contents.items():
            archive.writestr(f"weights/data/{key}", x.tobytes())
        for key, content in extra:
            archive.writestr(key, content)
    return file.getvalue()


def contents(arrays):
    return {str(i): x for i, x in enumerate(arrays.values())}


ARRAYS = trunk()
GOOD = tensors(ARRAYS)
CONTAINERS = {  # what a pickle may be in
    "bare": lambda saved: saved,
    "legacy": lambda saved: legacy(saved, contents(ARRAYS)),
    "zip": lambda saved: zipped(saved, contents(ARRAYS)),
}
ORDERED = name("collections", "OrderedDict")
REBUILD = name("torch._utils", "_rebuild_tensor_v2")
STORAGE = storage("0", 81)


def matlab(*variables):
    return b"MATLAB 5.0 MAT-file".ljust(124) + b"\0\1IM" + b"".join(variables)


def element(kind, content):
    """An element, padded to a multiple of 8 bytes, unless it is compressed."""
    return struct.pack("<II", kind, len(content)) + content + (bytes(-len(content) % 8) if kind != 15 else b"")


def matrix(kind, sizes, content, called=b""):
    """A MATLAB matrix. kind: 1 a cell, 2 a struct, 4 text, 7 single."""
    head = element(6, struct.pack("<II", kind, 0)) + element(5, struct.pack(f"<{len(sizes)}i", *sizes))
    return element(14, head + element(1, called) + content)


# --- checkpoints ---

META = {"num_classes": 3, "class_names": ["sky", "Straße", "car"], "palette": [[0, 0, 0], [128, 0, 0]], "best": 0.5}


def example(seed=0):
    rng = np.random.default_rng(seed)
    return {
        "model/conv1_1.weight": rng.standard_normal((3, 3, 3, 5)).astype(np.float32),
        "model/conv1_1.bias": rng.standard_normal(5),  # float64
        "momentum/conv1_1.weight": rng.standard_normal((3, 3, 3, 5)).astype(np.float16),
        "counts": rng.integers(-(2**62), 2**62, (2, 3)),
        "scale": np.array(0.1),  # 0-d
        "none": np.zeros((0, 4), np.float32),
        "labels": rng.integers(0, 255, 7).astype(np.uint8),
        "mask": rng.random(3) < 0.5,
    }


# --- files ---


def write(path, content):
    path.write_bytes(content)
    return path


def refused(path, message):
    """The file is refused in one line, which begins with its name."""
    with pytest.raises(InputError, match=message) as caught:
        open_weights(path)
    assert str(caught.value).startswith(f"{path}: ") and "\n" not in str(caught.value)


def arrays_of(path):
    """minifcn's name -> array as stored."""
    return {array.name or array.stored.name: array.stored.read() for array in open_weights(path).arrays}
