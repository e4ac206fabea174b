"""Pickles that mean harm: each is refused with a clear error, at once, and nothing in them runs. Needs no PyTorch."""

import os
import pickle
import re
import struct
import sys
import tracemalloc

import handmade as by
import numpy as np
import pytest

from minifcn.errors import InputError
from minifcn.weights import open_weights

ARRAYS = by.trunk()
GOOD = by.tensors(ARRAYS)
CONTAINERS = {
    "bare": lambda saved: saved,
    "legacy": lambda saved: by.legacy(saved, by.contents(ARRAYS)),
    "zip": lambda saved: by.zipped(saved, by.contents(ARRAYS)),
}


@pytest.fixture
def canary(tmp_path, monkeypatch):
    """The name of a file that must never come to be. The payloads name it relative to the folder they run in."""
    monkeypatch.chdir(tmp_path)
    return tmp_path / "canary"


class Call:
    """Pickles as a call of any function."""

    def __init__(self, function, *arguments):
        self.how = function, arguments

    def __reduce__(self):
        return self.how


TOUCH = "open('canary', 'w').close()"
EXEC = by.name("builtins", "exec")
CALL = EXEC + by.text(TOUCH) + b"\x85R"
ORDERED = by.name("collections", "OrderedDict")
REBUILD = by.name("torch._utils", "_rebuild_tensor_v2")
EVIL = {  # payload -> how the error tells it
    "os.system": (pickle.dumps(Call(os.system, "touch canary"), 2), r"asks for \w+.system"),
    "exec": (pickle.dumps(Call(exec, TOUCH), 2), "asks for __builtin__.exec"),
    "exec, protocol 0": (pickle.dumps(Call(exec, TOUCH), 0), "asks for __builtin__.exec"),
    "exec, protocol 4": (pickle.dumps(Call(exec, TOUCH), 4), "never writes FRAME"),
    "open": (pickle.dumps(Call(open, "canary", "w"), 2), r"asks for \w+.open"),
    "INST": (b"(" + by.text(TOUCH) + b"ibuiltins\nexec\n.", "never writes INST"),
    "OBJ": (b"(" + EXEC + by.text(TOUCH) + b"o.", "asks for builtins.exec"),
    "OBJ of an allowed name": (b"(" + ORDERED + b"o.", "never writes OBJ"),
    "NEWOBJ": (b"\x80\x02" + by.name("builtins", "type") + b"}\x85\x81.", "asks for builtins.type"),
    "STACK_GLOBAL": (
        by.text("builtins") + by.text("exec") + b"\x93" + by.text(TOUCH) + b"\x85R.",
        "never writes STACK_GL",
    ),
    "EXT1": (b"\x80\x02\x82\x01.", "never writes EXT1"),
    "an attribute of an allowed name": (
        by.name("collections", "OrderedDict.fromkeys") + b")R.",
        "asks for collections.O",
    ),
    "a neighbour of an allowed name": (by.name("torch", "load") + by.text("x") + b"\x85R.", "asks for torch.load"),
    "in a persistent id": (b"\x80\x02" + CALL + b"Q.", "asks for builtins.exec"),
    "in an array of objects": (
        pickle.dumps(np.array([Call(exec, TOUCH)], object), 2),
        r"asks for numpy[\w.]+_reconstruct",
    ),
    "among good tensors": (by.state_dict({**GOOD, "evil": CALL}), "asks for builtins.exec"),
    "before good tensors": (by.state_dict({"evil": CALL, **GOOD}), "asks for builtins.exec"),
    "in a tensor's hooks": (by.state_dict({"x": GOOD["conv1_1.bias"][:-2] + CALL + b"tR"}), "asks for builtins.exec"),
    "popped": (b"\x80\x02" + CALL + b"0}.", "asks for builtins.exec"),
    "set upon a name": (ORDERED + b"}" + by.text("__call__") + EXEC + b"sb.", "asks for builtins.exec"),
    "a string as a function": (by.text("run") + b")R.", "it calls what is no function"),
    "a tensor as a function": (GOOD["conv1_1.bias"] + b")R.", "it calls what is no function"),
    "a type of storage as a function": (by.name("torch", "FloatStorage") + b")R.", "it calls what is no function"),
    "a function without a tuple": (ORDERED + b"]R.", "it calls what is no function"),
}


@pytest.mark.parametrize("container", [*CONTAINERS])
@pytest.mark.parametrize("payload", [*EVIL])
def test_nothing_in_a_pickle_runs(payload, container, canary):
    saved, told = EVIL[payload]
    path = canary.parent / "weights.pth"
    path.write_bytes(CONTAINERS[container](saved))
    if container == "bare" and not saved.startswith(b"\x80"):
        told = None  # it is not even recognised as a pickle
    with pytest.raises(InputError, match=told) as caught:
        open_weights(path)
    message = str(caught.value)
    assert message.startswith(f"{path}: ") and "\n" not in message and message.isascii()
    assert os.listdir(canary.parent) == ["weights.pth"]


RUN = ("os.system", "exec", "exec, protocol 0", "exec, protocol 4", "INST", "OBJ", "STACK_GLOBAL", "popped")


@pytest.mark.skipif(sys.platform == "win32", reason="touch")
@pytest.mark.parametrize("payload", RUN)
def test_the_payloads_are_real(payload, canary):
    """Python's own unpickler does run them: otherwise the test above would show nothing."""
    pickle.loads(EVIL[payload][0])
    assert canary.exists()


def test_the_error_says_what_to_do(tmp_path):
    (tmp_path / "weights.pth").write_bytes(CONTAINERS["zip"](EVIL["exec"][0]))
    message = r"which has no place among weights. Refused, and nothing of it was run. .* its state_dict\(\) alone"
    with pytest.raises(InputError, match=message):
        open_weights(tmp_path / "weights.pth")


def tuples(levels):
    """A tuple of tuples of tuples ..., each twice the same: hashed or printed, it has 2^levels parts."""
    return b")" + b"q\x00h\x00\x86" * levels


def of_storage(numel, shape, strides=None):
    """A state of one tensor, which is of a storage of so many numbers. Strides are those of a whole array of ones."""
    return by.state_dict({"conv1_1.weight": by.tensor(by.storage("0", numel), 0, shape, strides or (1,) * len(shape))})


NOTHING = "holds no dictionary of tensors|lists storages that no tensor uses"
PAIRS = b"](" + b"K\x01K\x02\x86" * 60_000 + b"e\x85q\x00"
BOMBS = {
    "memo index": (b"\x80\x02}r\xff\xff\xff\x0f.", NOTHING),
    "memo index, no object": (b"\x80\x02r\xff\xff\xff\xff.", "makes no sense"),
    "a key of tuples": (b"\x80\x02}" + tuples(100) + b"Ns.", "it has keys that are no names"),
    "a pair's key of tuples": (ORDERED + b"](" + tuples(100) + b"N\x86e\x85R.", "it has keys that are no names"),
    "a global of tuples": (REBUILD + tuples(100) + b"R.", "makes no sense"),
    "a shape of tuples": (
        REBUILD + by.tuple_of(by.storage("0", 1), b"K\0", tuples(100), b")") + b"R.",
        "impossible shape",
    ),
    "a storage's key of tuples": (
        b"(" + by.text("storage") + by.name("torch", "FloatStorage") + tuples(100) + b"NK\1tQ.",
        "without a key",
    ),
    "BINUNICODE": (b"\x80\x02X\xff\xff\xff\xff.", "makes no sense"),
    "BINUNICODE8": (b"\x8d" + struct.pack("<Q", 2**60) + b".", "makes no sense"),
    "BINBYTES8": (b"\x8e" + struct.pack("<Q", 2**60) + b".", "makes no sense"),
    "BYTEARRAY8": (b"\x96" + struct.pack("<Q", 2**60) + b".", "makes no sense"),
    "LONG4": (b"\x8b" + struct.pack("<i", 2**31 - 1) + b".", "makes no sense"),
    "a long number": (b"\x80\x02I" + b"9" * 100_000 + b"\n.", "makes no sense"),
    "no end of a line": (b"\x80\x02c" + b"a" * 500_000, "makes no sense"),
    "deep tuples": (b"\x80\x02" + b")" + b"\x85" * 200_000 + b".", NOTHING),
    "deep lists": (b"\x80\x02" + b"]" * 100_000 + b"a" * 99_999 + b".", NOTHING),
    "many dictionaries": (b"\x80\x02" + b"}" * 900_000 + b".", NOTHING),
    "too many of them": (
        b"\x80\x02" + b"}" * 1_100_000 + b".",
        r"pickles of more than 1,048,576 bytes, .* state_dict\(\)",
    ),
    "many marks": (b"\x80\x02}" + b"(" * 400_000 + b".", NOTHING),
    "copies of a list": (ORDERED + b"q\1" + PAIRS + b"h\1h\0R" * 100_000 + b".", "copies dictionaries without end"),
    "two gigabytes of numbers": (of_storage(2**29, (2**29,)), "truncated: storage 0 ends|storage 0 is missing"),
    "2^60 numbers": (of_storage(2**60, (2**60,)), "truncated: storage 0 ends|storage 0 is missing"),
    "2^2000 numbers": (of_storage(2**2000, (2**2000,)), "truncated: storage 0 ends|storage 0 is missing"),
    "a number, a million times": (of_storage(81, (10**6,), (0,)), "reaches beyond its storage"),
    "too many dimensions": (of_storage(81, (1,) * 9), "impossible shape"),
}


@pytest.mark.parametrize("container", ["legacy", "zip"])
@pytest.mark.parametrize("bomb", [*BOMBS])
def test_bombs_do_not_go_off(bomb, container, tmp_path):
    saved, told = BOMBS[bomb]
    (tmp_path / "weights.pth").write_bytes(CONTAINERS[container](saved))
    tracemalloc.start()
    try:
        with pytest.raises(InputError, match=told) as caught:
            open_weights(tmp_path / "weights.pth")
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 2**27  # a megabyte of the smallest instructions takes 70 MB
    assert len(str(caught.value)) < 1000


STORAGE = by.storage("0", 81)
BROKEN = {
    "an empty stack": (b"\x80\x02\x86.", "it takes from an empty stack"),
    "an end of nothing": (b"\x80\x02.", "makes no sense"),
    "a mark that is not there": (b"\x80\x02K\1t.", "makes no sense"),
    "something that is not in the memo": (b"\x80\x02h\7.", "makes no sense"),
    "an item of a list": (b"]K\1K\2s.", "it sets items of what is no dictionary"),
    "items of a tensor": (GOOD["conv1_1.bias"] + b"(K\1K\2u.", "it sets items of what is no dictionary"),
    "a key without a value": (b"}(K\1u.", "makes no sense"),
    "an item appended to a dictionary": (b"}K\1a.", "it appends to what is no list"),
    "items appended to a tuple": (b")(K\1e.", "it appends to what is no list"),
    "pairs of three": (ORDERED + b"]K\1K\1K\1\x87a\x85R.", "makes no sense"),
    "a number of pairs": (ORDERED + b"K\7\x85R.", "makes no sense"),
    "a storage of another kind": (STORAGE.replace(b"storage", b"storagE") + b".", "something other than a storage"),
    "a storage of no type": (STORAGE.replace(b"ctorch\nFloatStorage\n", b"N") + b".", "something other than a storage"),
    "a storage in a storage": (by.storage("0", 81, view=b"K\1") + b".", "something other than a storage"),
    "a storage of another size": (by.tuple_of(STORAGE, by.storage("0", 80)) + b".", "a storage two sizes or types"),
    "a storage of another type": (by.tuple_of(STORAGE, by.storage("0", 81, "int64")) + b".", "two sizes or types"),
    "a storage of negative size": (by.storage("0", -1) + b".", "without a key or size"),
    "a storage of no parts": (b")Q.", "makes no sense"),
    "a number as a storage": (b"K\7Q.", "makes no sense"),
    "a tensor of a number": (REBUILD + b"(K\7K\0)))tR.", "without a storage, shape or strides"),
    "a tensor of no parts": (REBUILD + b")R.", "makes no sense"),
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
        "makes no sense|without",
    ),
    "an unfinished tensor": (
        by.state_dict({"x": by.name("torch", "FloatTensor") + b")R"}),
        NOTHING,
    ),
    "an instruction that is none": (b"\x80\x02\xff.", "makes no sense"),
    "a name that Python warns of": (b"c\\\xbf\nx\n.", "makes no sense .*escape"),
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
    with pytest.raises(InputError, match=r"damaged: its pickle (describes a tensor|makes no sense)"):
        open_weights(tmp_path / "weights.pth")


@pytest.mark.parametrize("container", ["legacy", "zip"])
def test_a_good_file_made_by_hand(container, tmp_path):
    """So that the refusals above are of what they say, and not of how the files are made."""
    saved = by.state_dict(by.tensors(ARRAYS, view=b"N" if container == "legacy" else b""))
    (tmp_path / "weights.pth").write_bytes(CONTAINERS[container](saved))
    file = open_weights(tmp_path / "weights.pth")
    assert [array.name for array in file.arrays] == [*ARRAYS]
    for array in file.arrays:
        np.testing.assert_array_equal(array.stored.read(), ARRAYS[array.name])
        assert not array.stored.read().flags.writeable
    assert file.arrays[0].read().shape == file.arrays[0].shape == (3, 3, 3, 3)
    torch = pytest.importorskip("torch")
    theirs = torch.load(tmp_path / "weights.pth", weights_only=True)
    for name, x in ARRAYS.items():
        np.testing.assert_array_equal(theirs[name].numpy(), x)


def test_keys_that_would_spoil_the_screen(tmp_path):
    """Names from the file are printed as one line of ASCII, and not at any length."""
    evil = "conv9\n\x1b[2J\udc80" + "x" * 10_000
    key = b"X" + struct.pack("<I", len(evil.encode("utf-8", "surrogatepass"))) + evil.encode("utf-8", "surrogatepass")
    saved = b"\x80\x02}" + key + by.tensor(by.storage("0", 81), 0, (81,), (1,)) + b"s."
    (tmp_path / "weights.pth").write_bytes(by.legacy(saved, {"0": ARRAYS["conv1_1.weight"]}))
    with pytest.raises(InputError, match=re.escape(r"its arrays are conv9\n\x1b[2J\udc80xxx")) as caught:
        open_weights(tmp_path / "weights.pth")
    assert str(caught.value).isascii() and str(caught.value).isprintable() and len(str(caught.value)) < 500
