"""Checkpoints of training scripts that keep scores as NumPy's numbers, and tensors whose strides are absurd."""

import io
import pickle
import zipfile

import handmade as by
import numpy as np
import pytest

from minifcn import load_weights
from minifcn.models import Widths, fcn32s
from minifcn.weights import open_weights

torch = pytest.importorskip("torch")
KEPT = {  # as pytorch-fcn's trainer, and others
    "epoch": 3,
    "arch": "FCN32s",
    "best_mean_iu": np.float64(0.625),
    "more": [np.float32(1), np.int64(2), np.bool_(True), np.str_("x"), np.dtype("float16"), np.zeros(0), np.eye(2)],
    "history": {"iu": np.array([[0.5, 0.25]], np.float32), "bytes": np.array([b"ab"]), "order": np.eye(3, order="F")},
}
NAMES = {1: (b"numpy._core.", b"numpy.core."), 2: (b"numpy.core.", b"numpy._core.")}  # what NumPy calls its inside


def saved(path, zipped, version, kept=KEPT):
    """A checkpoint as torch.save writes it under that version of NumPy."""
    state = {name: torch.tensor(x) for name, x in by.trunk().items()}
    torch.save(kept | {"model_state_dict": state, "optim_state_dict": {"state": {}}}, path,
               _use_new_zipfile_serialization=zipped)  # fmt: skip
    old, new = NAMES[version]
    if not zipped:
        content = path.read_bytes().replace(old, new)
        assert new in content
        path.write_bytes(content)
        return path
    with zipfile.ZipFile(path) as archive:
        files = {name: archive.read(name) for name in archive.namelist()}
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in files.items():
            archive.writestr(name, content.replace(old, new))
            assert new in content.replace(old, new) or not name.endswith("data.pkl")
    return path


@pytest.mark.parametrize("zipped", [False, True])
@pytest.mark.parametrize("version", [1, 2])
def test_a_training_script_s_checkpoint_is_read(zipped, version, tmp_path):
    path = saved(tmp_path / "model_best.pth.tar", zipped, version)
    report = load_weights(model := fcn32s(2, Widths(by.BLOCKS, 3), "same"), path)
    assert len(report.loaded) == len(by.trunk()) and report.skipped == []
    for name, x in by.trunk().items():
        theirs = x if x.ndim == 1 else x.transpose(2, 3, 1, 0)
        np.testing.assert_array_equal(model.parameters()[name].data, theirs)


def opcodes(value):
    """A value's instructions, without the frame around them."""
    return pickle.dumps(value, 2)[2:-1]


CALL = by.name("builtins", "exec") + by.text("open('canary', 'w').close()") + b"\x85R"
CORE = b"cnumpy.core.multiarray\n"
HOSTILE = {
    "in an array of objects": (opcodes(np.array([1], object)).replace(b"K\x01", CALL), "asks for builtins.exec"),
    "in a number's bytes": (CORE + b"scalar\ncnumpy\ndtype\n" + CALL + b"\x86R", "asks for builtins.exec"),
    "in an array's state": (CORE + b"_reconstruct\n)R" + CALL + b"b", "asks for builtins.exec"),
    "a neighbour": (b"cnumpy.core.multiarray\nfromfile\n)R", "asks for numpy.core.multiarray.fromfile"),
    "another codec": (b"c_codecs\nopen\n)R", "asks for _codecs.open"),
    "another builtin": (b"c__builtin__\neval\n)R", "asks for __builtin__.eval"),
    "frombuffer": (b"cnumpy.core.numeric\n_frombuffer\n)R", "asks for numpy.core.numeric._frombuffer"),
    "a number as a function": (opcodes(np.float64(1)) + b")R", "object is not callable"),
    "as a key": (b"}" + opcodes(np.float64(1)) + b"Ns", "keys that are no names"),
}


@pytest.mark.parametrize("container", ["legacy", "zip"])
@pytest.mark.parametrize("payload", [*HOSTILE])
def test_nothing_else_of_numpy_s_is_made(payload, container, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    value, told = HOSTILE[payload]
    content = by.CONTAINERS[container](by.state_dict({**by.GOOD, "x": value}))
    by.refused(by.write(tmp_path / "a", content), told)
    assert [file.name for file in tmp_path.iterdir()] == ["a"]


@pytest.mark.parametrize("build", [b"}" + by.text("shape") + b"K\1sb", b"N}" + by.text("x") + b"Ns\x86b", b"Nb"])
def test_a_stand_in_cannot_be_altered(build, tmp_path):
    """Nor can the class: what it stands for in the next file is the same."""
    for value in (CORE + b"scalar\n", opcodes(np.float64(1))):
        path = by.write(tmp_path / "a", by.CONTAINERS["zip"](by.state_dict({**by.GOOD, "x": value + build})))
        try:
            open_weights(path)
        except Exception as error:
            assert "truncated, damaged" in str(error)
    assert open_weights(saved(tmp_path / "b", True, 2)).format == "pytorch-fcn, zip"


def test_a_claimed_array_takes_no_memory(tmp_path):
    """The sizes that an array's state names are never made."""
    huge = opcodes(np.zeros(3)).replace(b"K\x03", by.integer(2**62))
    assert huge != opcodes(np.zeros(3))
    path = by.write(tmp_path / "a", by.CONTAINERS["zip"](by.state_dict({**by.GOOD, "x": huge})))
    assert len(open_weights(path).arrays) == len(by.GOOD)


# --- shapes and strides ---

FULL = by.storage("0", 81)


@pytest.mark.parametrize("container", ["legacy", "zip"])
@pytest.mark.parametrize(
    "offset, shape, strides",
    [
        (0, (1, 81), (2**62, 1)),
        (0, (3, 1, 3, 3), (9, 2**62, 3, 1)),
        (0, (1,), (2**63,)),
        (0, (0, 2**62), (1, 1)),
        (0, (0, 2**30, 2**30), (1, 1, 1)),
        (2**62, (0,), (1,)),
        (82, (0,), (1,)),
    ],
)
def test_absurd_strides_and_empty_tensors(offset, shape, strides, container, tmp_path):
    """NumPy cannot make such views: told when the file is opened, not when the layer is copied."""
    content = by.CONTAINERS[container](
        by.state_dict({**by.GOOD, "fc7.weight": by.tensor(FULL, offset, shape, strides)})
    )
    by.refused(by.write(tmp_path / "a", content), "a tensor that reaches beyond its storage")


@pytest.mark.parametrize("shape, strides", [((0, 3), (3, 1)), ((1, 81), (81, 1)), ((81, 1, 1), (1, 81, 999)), ((), ())])
def test_odd_but_honest_strides(shape, strides, tmp_path):
    """PyTorch gives sizes of one any stride, and there are empty tensors."""
    entries = by.tensors(by.ARRAYS, view=b"") | {"x": by.tensor(by.storage("0", 81, view=b""), 0, shape, strides)}
    content = by.CONTAINERS["zip"](by.state_dict(entries))
    (x,) = (a.stored for a in open_weights(by.write(tmp_path / "a", content)).arrays if a.stored.name == "x")
    theirs = torch.load(io.BytesIO(content), weights_only=True)["x"].numpy()
    np.testing.assert_array_equal(x.read(), theirs)
