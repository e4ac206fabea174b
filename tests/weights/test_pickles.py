"""Pickles that mean harm: each is refused with a clear error, at once, and nothing in them runs. Needs no PyTorch."""

import os
import pickle
import pickletools
import re
import struct
import sys

import handmade as by
import numpy as np
import pytest
from handmade import ARRAYS, CONTAINERS, GOOD, ORDERED, REBUILD, STORAGE

from minifcn.errors import InputError
from minifcn.weights import open_weights


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
EVIL = {  # payload -> how the error tells it
    "os.system": (pickle.dumps(Call(os.system, "touch canary"), 2), r"asks for \w+.system"),
    "exec": (pickle.dumps(Call(exec, TOUCH), 2), "asks for __builtin__.exec"),
    "exec, protocol 0": (pickle.dumps(Call(exec, TOUCH), 0), "asks for __builtin__.exec"),
    "exec, protocol 4": (pickle.dumps(Call(exec, TOUCH), 4), "an instruction that torch.save never writes"),
    "open": (pickle.dumps(Call(open, "canary", "w"), 2), r"asks for \w+.open"),
    "INST": (b"(" + by.text(TOUCH) + b"ibuiltins\nexec\n.", "an instruction that torch.save never writes"),
    "OBJ": (b"(" + EXEC + by.text(TOUCH) + b"o.", "asks for builtins.exec"),
    "OBJ of an allowed name": (b"(" + ORDERED + b"o.", "an instruction that torch.save never writes"),
    "NEWOBJ": (b"\x80\x02" + by.name("builtins", "type") + b"}\x85\x81.", "asks for builtins.type"),
    "STACK_GLOBAL": (
        by.text("builtins") + by.text("exec") + b"\x93" + by.text(TOUCH) + b"\x85R.",
        "an instruction that torch.save never writes",
    ),
    "EXT1": (b"\x80\x02\x82\x01.", "an instruction that torch.save never writes"),
    "an attribute of an allowed name": (
        by.name("collections", "OrderedDict.fromkeys") + b")R.",
        "asks for collections.O",
    ),
    "a neighbour of an allowed name": (by.name("torch", "load") + by.text("x") + b"\x85R.", "asks for torch.load"),
    "in a persistent id": (b"\x80\x02" + CALL + b"Q.", "asks for builtins.exec"),
    "in an array of objects": (
        pickle.dumps(np.array([Call(exec, TOUCH)], object), 2),
        "asks for __builtin__.exec",
    ),
    "among good tensors": (by.state_dict({**GOOD, "evil": CALL}), "asks for builtins.exec"),
    "before good tensors": (by.state_dict({"evil": CALL, **GOOD}), "asks for builtins.exec"),
    "in a tensor's hooks": (by.state_dict({"x": GOOD["conv1_1.bias"][:-2] + CALL + b"tR"}), "asks for builtins.exec"),
    "popped": (b"\x80\x02" + CALL + b"0}.", "asks for builtins.exec"),
    "set upon a name": (ORDERED + b"}" + by.text("__call__") + EXEC + b"sb.", "asks for builtins.exec"),
    "a string as a function": (by.text("run") + b")R.", "'str' object is not callable"),
    "a tensor as a function": (GOOD["conv1_1.bias"] + b")R.", "object is not callable"),
    "a type of storage as a function": (by.name("torch", "FloatStorage") + b")R.", "object is not callable"),
    "a function with a list": (ORDERED + b"]K\1aR.", "damaged .*int"),
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


WRITTEN = (  # what torch.save writes, or has written
    "PROTO STOP MARK BINPUT LONG_BINPUT BINGET LONG_BINGET NONE NEWTRUE NEWFALSE BINFLOAT BININT BININT1 BININT2 LONG1 "
    "BINUNICODE BINSTRING SHORT_BINSTRING EMPTY_TUPLE EMPTY_LIST EMPTY_DICT TUPLE TUPLE1 TUPLE2 TUPLE3 APPEND APPENDS "
    "SETITEM SETITEMS GLOBAL REDUCE NEWOBJ BUILD BINPERSID"
).split()


@pytest.mark.parametrize("opcode", [op for op in pickletools.opcodes if op.name not in WRITTEN], ids=lambda op: op.name)
def test_no_other_instruction_is_carried_out(opcode, tmp_path):
    """Each with an argument that it takes."""
    argument, lines = b"", {"INST": b"builtins\nexec\n", "FLOAT": b"1.5\n", "STRING": b"'a'\n"}
    if opcode.arg is not None and opcode.arg.n == pickletools.UP_TO_NEWLINE:
        argument = lines.get(opcode.name, b"1\n")
    elif opcode.arg is not None:  # numbers, and the lengths of texts: 0
        argument = bytes(max(opcode.arg.n, 8))
    path = by.write(tmp_path / "weights.pth", CONTAINERS["zip"](b"\x80\x02" + opcode.code.encode("latin-1") + argument))
    by.refused(path, "an instruction that torch.save never writes")


FLOATS = by.name("torch", "FloatStorage")
FUNCTIONS = {"OrderedDict": ORDERED, "_rebuild_tensor_v2": REBUILD, "FloatStorage": FLOATS}
CHANGES = {
    "attributes": b"}(" + by.text("dtype") + by.text("int64") + by.text("__call__") + b"Nu",
    "slots": b"N}(" + by.text("__setstate__") + b"N" + by.text("__init__") + b"Nu\x86",
    "a view": by.tuple_of(by.storage("0", 81), b"K\0", b"K\x51\x85", b"K\1\x85"),
}


@pytest.mark.parametrize("container", ["legacy", "zip"])
@pytest.mark.parametrize("change", [*CHANGES])
@pytest.mark.parametrize("name", [*FUNCTIONS])
def test_what_a_pickle_names_cannot_be_altered(name, change, container, tmp_path):
    """BUILD sets attributes. What stands for the name is there for the next file as well."""
    evil = by.write(tmp_path / "evil", CONTAINERS[container](b"\x80\x02" + FUNCTIONS[name] + CHANGES[change] + b"b."))
    by.refused(evil, "truncated, damaged or more than weights")
    good = by.write(tmp_path / "good", CONTAINERS[container](by.state_dict(GOOD)))
    for key, x in by.arrays_of(good).items():
        np.testing.assert_array_equal(x, ARRAYS[key])


@pytest.mark.parametrize("container", ["legacy", "zip"])
@pytest.mark.parametrize(
    "change",
    [b"}(" + by.text("numel") + b"K\1u", b"N}" + by.text("numel") + b"K\1s\x86", b"N}" + by.text("key") + b"Ns\x86"],
)
def test_storages_cannot_be_altered(change, container, tmp_path):
    saved = by.state_dict({**GOOD, "conv1_1.weight": STORAGE + b"q\0" + change + b"b"})
    by.refused(by.write(tmp_path / "weights", CONTAINERS[container](saved)), "truncated, damaged or more than weights")


@pytest.mark.parametrize("container", ["legacy", "zip"])
def test_a_tensor_is_the_view_that_it_was_made(container, tmp_path):
    """What BUILD brings afterwards, is dropped, if it is another view of another storage, too."""
    another = by.tuple_of(by.storage("1", 3), b"K\0", b"K\1\x85", b"K\1\x85")
    saved = by.state_dict({**GOOD, "conv1_1.weight": GOOD["conv1_1.weight"] + another + b"b"})
    found = by.arrays_of(by.write(tmp_path / "weights", CONTAINERS[container](saved)))
    np.testing.assert_array_equal(found["conv1_1.weight"], ARRAYS["conv1_1.weight"])


RUN = ("os.system", "exec", "exec, protocol 0", "exec, protocol 4", "INST", "OBJ", "STACK_GLOBAL", "popped")


@pytest.mark.skipif(sys.platform == "win32", reason="touch")
@pytest.mark.parametrize("payload", RUN)
def test_the_payloads_are_real(payload, canary):
    """Python's own unpickler does run them: otherwise the test above would show nothing."""
    pickle.loads(EVIL[payload][0])
    assert canary.exists()


def test_the_error_says_what_to_do(tmp_path):
    (tmp_path / "weights.pth").write_bytes(CONTAINERS["zip"](EVIL["exec"][0]))
    message = r"refused: its pickle asks for \w+.exec; none of it was run. Save its state_dict\(\) alone"
    with pytest.raises(InputError, match=message):
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
