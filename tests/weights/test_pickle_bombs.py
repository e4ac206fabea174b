"""Pickles that ask for hours or gigabytes, or that are broken: each is refused with a clear error. Needs no PyTorch."""

import struct
import tracemalloc

import handmade as by
import numpy as np
import pytest
from handmade import ARRAYS, CONTAINERS, GOOD, ORDERED, REBUILD, STORAGE

from minifcn.errors import InputError
from minifcn.weights import open_weights


def tuples(levels):
    """A tuple of tuples of tuples ..., each twice the same: hashed or printed, it has 2^levels parts."""
    return b")" + b"q\x00h\x00\x86" * levels


def of_storage(numel, shape, strides=None):
    """A state of one tensor, which is of a storage of so many numbers. Strides are those of a whole array of ones."""
    return by.state_dict({"conv1_1.weight": by.tensor(by.storage("0", numel), 0, shape, strides or (1,) * len(shape))})


NOTHING = "holds no dictionary of tensors|lists other storages than its tensors use"
PAIRS = b"](" + b"K\x01K\x02\x86" * 60_000 + b"e\x85q\x00"
BOMBS = {
    "memo index": (b"\x80\x02}r\xff\xff\xff\x0f.", NOTHING),
    "memo index, no object": (b"\x80\x02r\xff\xff\xff\xff.", "damaged"),
    "a key of tuples": (b"\x80\x02}" + tuples(100) + b"Ns.", "it has keys that are no names"),
    "keys of tuples": (b"\x80\x02}(" + tuples(100) + b"N" + tuples(100) + b"Nu.", "it has keys that are no names"),
    "a shared key of tuples": (b"\x80\x02(" + tuples(100) + b"q\x01}h\x01Nst.", "it has keys that are no names"),
    "a key of tuples after a good one": (b"\x80\x02}(K\1N" + tuples(100) + b"Nu.", "it has keys that are no names"),
    "a key of tuples, of an OrderedDict": (ORDERED + b")R" + tuples(100) + b"Ns.", "it has keys that are no names"),
    "a pair's key of tuples": (ORDERED + b"](" + tuples(100) + b"N\x86e\x85R.", "it has keys that are no names"),
    "a global of tuples": (REBUILD + tuples(100) + b"R.", "damaged"),
    "a shape of tuples": (
        REBUILD + by.tuple_of(by.storage("0", 1), b"K\0", tuples(100), b")") + b"R.",
        "impossible shape",
    ),
    "a storage's key of tuples": (
        b"(" + by.text("storage") + by.name("torch", "FloatStorage") + tuples(100) + b"NK\1tQ.",
        "other than a whole storage",
    ),
    "BINUNICODE": (b"\x80\x02X\xff\xff\xff\xff.", "damaged"),
    "BINUNICODE8": (b"\x8d" + struct.pack("<Q", 2**60) + b".", "damaged"),
    "BINBYTES8": (b"\x8e" + struct.pack("<Q", 2**60) + b".", "damaged"),
    "BYTEARRAY8": (b"\x96" + struct.pack("<Q", 2**60) + b".", "damaged"),
    "LONG4": (b"\x8b" + struct.pack("<i", 2**31 - 1) + b".", "damaged"),
    "a long number": (b"\x80\x02I" + b"9" * 100_000 + b"\n.", "damaged"),
    "no end of a line": (b"\x80\x02c" + b"a" * 500_000, "damaged|asks for a{50}"),
    "deep tuples": (b"\x80\x02" + b")" + b"\x85" * 200_000 + b".", NOTHING),
    "deep lists": (b"\x80\x02" + b"]" * 100_000 + b"a" * 99_999 + b".", NOTHING),
    "many dictionaries": (b"\x80\x02" + b"}" * 900_000 + b".", NOTHING),
    "too many of them": (
        b"\x80\x02" + b"}" * 1_100_000 + b".",
        "more than weights .*EOFError|its pickle is over 1,048,576 bytes",
    ),
    "many marks": (b"\x80\x02}" + b"(" * 400_000 + b".", "damaged"),
    "copies of a list": (ORDERED + b"q\1" + PAIRS + b"h\1h\0R" * 100_000 + b".", NOTHING),
    "two gigabytes of numbers": (of_storage(2**29, (2**29,)), "storage 0 is of another size|storage 0 is missing"),
    "2^60 numbers": (of_storage(2**60, (2**60,)), "storage 0 is of another size|storage 0 is missing"),
    "2^2000 numbers": (of_storage(2**2000, (2**2000,)), "storage 0 is of another size|storage 0 is missing"),
    "a number, a million times": (of_storage(81, (10**6,), (0,)), "reaches beyond its storage"),
    "too many dimensions": (of_storage(81, (1,) * 9), "impossible shape"),
}


@pytest.mark.parametrize("container", ["legacy", "zip"])
@pytest.mark.parametrize("bomb", [*BOMBS])
def test_bombs_do_not_go_off(bomb, container, tmp_path):
    saved, told = BOMBS[bomb]
    make = by.legacy if container == "legacy" else by.zipped
    arrays = by.contents(ARRAYS) if "storage 0" not in told else {"0": ARRAYS["conv1_1.weight"]}  # as many as it names
    by.write(tmp_path / "weights.pth", make(saved, arrays))
    tracemalloc.start()
    try:
        with pytest.raises(InputError, match=told) as caught:
            open_weights(tmp_path / "weights.pth")
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 2**27  # a megabyte of the smallest instructions takes 70 MB
    assert len(str(caught.value)) < 1000


BROKEN = {
    "an empty stack": (b"\x80\x02\x86.", "damaged .*IndexError"),
    "an end of nothing": (b"\x80\x02.", "damaged"),
    "a mark that is not there": (b"\x80\x02K\1t.", "damaged"),
    "something that is not in the memo": (b"\x80\x02h\7.", "damaged"),
    "an item of a list": (b"]K\1K\2s.", "damaged .*assignment"),
    "items of a tensor": (GOOD["conv1_1.bias"] + b"(K\1K\2u.", "damaged .*assignment"),
    "a key without a value": (b"}(K\1u.", "damaged"),
    "an item appended to a dictionary": (b"}K\1a.", "damaged .*no attribute"),
    "items appended to a tuple": (b")(K\1e.", "damaged .*no attribute"),
    "pairs of three": (ORDERED + b"]K\1K\1K\1\x87a\x85R.", "damaged"),
    "a number of pairs": (ORDERED + b"K\7\x85R.", "damaged"),
    "a storage of another kind": (STORAGE.replace(b"storage", b"storagE") + b".", "other than a whole storage"),
    "a storage of no type": (STORAGE.replace(b"ctorch\nFloatStorage\n", b"N") + b".", "other than a whole storage"),
    "a storage in a storage": (by.storage("0", 81, view=b"K\1") + b".", "other than a whole storage"),
    "a storage of another size": (by.tuple_of(STORAGE, by.storage("0", 80)) + b".", "a storage two sizes or types"),
    "a storage of another type": (by.tuple_of(STORAGE, by.storage("0", 81, "int64")) + b".", "two sizes or types"),
    "a storage of negative size": (by.storage("0", -1) + b".", "other than a whole storage"),
    "a storage of no parts": (b")Q.", "damaged"),
    "a number as a storage": (b"K\7Q.", "damaged"),
    "a tensor of a number": (REBUILD + b"(K\7K\0)))tR.", "without a storage"),
    "a tensor of no parts": (REBUILD + b")R.", NOTHING),
    "a tensor with a list of sizes": (REBUILD + by.tuple_of(STORAGE, b"K\0", b"]", b")") + b"R.", "without a storage"),
    "a tensor with a list of strides": (
        REBUILD + by.tuple_of(STORAGE, b"K\0", b")", b"]") + b"R.",
        "without a storage",
    ),
    "a fraction of a size": (
        REBUILD + by.tuple_of(STORAGE, b"K\0", b"G" + bytes(8) + b"\x85", b"K\1\x85") + b"R.",
        "impossible",
    ),
    "True as an offset": (REBUILD + by.tuple_of(STORAGE, b"\x88", b")", b")") + b"R.", "impossible shape"),
    "a view of an empty parameter": (
        by.name("torch.nn.parameter", "Parameter") + b")R(NNNNNtb.",
        "damaged|without",
    ),
    "an unfinished tensor": (
        by.state_dict({"x": by.name("torch", "FloatTensor") + b")R"}),
        NOTHING,
    ),
    "an instruction that is none": (b"\x80\x02\xff.", "damaged"),
    "a name that is no text": (b"c\\\xbf\nx\n.", "damaged .*UnicodeDecodeError"),
}


@pytest.mark.parametrize("container", ["legacy", "zip"])
@pytest.mark.parametrize("case", [*BROKEN])
def test_broken_pickles(case, container, tmp_path):
    saved, told = BROKEN[case]
    (tmp_path / "weights.pth").write_bytes(CONTAINERS[container](saved))
    with pytest.raises(InputError, match=told) as caught:
        open_weights(tmp_path / "weights.pth")
    assert "\n" not in str(caught.value)


VIEWS = {
    "beyond the end": ((3, 3), (3, 1), 1),
    "beyond the end by a stride": ((3, 3), (4, 1), 0),
    "beyond the end by an offset": ((1,), (1,), 9),
    "before the beginning": ((3,), (1,), -1),
    "backwards": ((3,), (-1,), 5),
    "of negative size": ((-3, -3), (3, 1), 0),
    "larger than its storage": ((10,), (0,), 0),
    "of many sizes and few strides": ((3, 3), (1,), 0),
}


@pytest.mark.parametrize("container", ["legacy", "zip"])
@pytest.mark.parametrize("view", [*VIEWS])
def test_views_stay_within_their_storage(view, container, tmp_path):
    """conv1_1.bias is made a view of a storage of nine numbers, which lies in the midst of others."""
    shape, strides, offset = VIEWS[view]
    arrays = {**ARRAYS, "other": np.arange(9, dtype=np.float32)}
    entries = by.tensors(arrays)
    key = str(len(ARRAYS))
    entries["conv1_1.bias"] = by.tensor(by.storage(key, 9), offset, shape, strides)
    saved = by.state_dict(entries)
    whole = by.legacy(saved, by.contents(arrays)) if container == "legacy" else by.zipped(saved, by.contents(arrays))
    (tmp_path / "weights.pth").write_bytes(whole)
    with pytest.raises(InputError, match=r"damaged .*(it has a tensor|zip\(\) argument)"):
        open_weights(tmp_path / "weights.pth")
