"""Files of Keras and of ONNX: not read, but the error has the lines of Python that convert them, and these do."""

import json
import sys
from pathlib import Path
from types import ModuleType

import handmade as by
import numpy as np
import pytest

from minifcn.datasets.transforms import Preprocessing
from minifcn.errors import InputError
from minifcn.weights import open_weights

STYLES = {  # Keras's names of a layer's arrays, until 2017 and since
    "old": {"weight": "{0}/{0}_W_1:0", "bias": "{0}/{0}_b_1:0"},
    "new": {"weight": "{0}/{0}/kernel:0", "bias": "{0}/{0}/bias:0"},
}


def of_keras(style):
    """The trunk as Keras has it, (KH,KW,C,K), under the names in its HDF5 files, and a dense layer."""
    found = {"fc1/fc1/kernel:0": np.zeros((98, 3), "f")}
    for name, x in by.trunk().items():
        layer, kind = name.split(".")
        called = STYLES[style][kind].format(f"block{layer[4]}_conv{layer[6]}")
        found[called] = x.transpose(2, 3, 1, 0) if x.ndim == 4 else x
    return found


def lines_for(content, told):
    """The Python in the message about such a file, which is called FILE."""
    path = by.write(Path("FILE"), content)
    with pytest.raises(InputError, match=told) as caught:
        open_weights(path)
    assert "\n" not in str(caught.value)
    return str(caught.value).split(" in Python: ")[1]


def assert_converted(path):
    found = {array.name: array.stored.read() for array in open_weights(path).arrays}
    assert found.keys() == by.trunk().keys()
    for name, x in by.trunk().items():
        np.testing.assert_array_equal(found[name], x)


def module(monkeypatch, name, **content):
    made = ModuleType(name)
    vars(made).update(content)
    monkeypatch.setitem(sys.modules, name, made)
    return made


class File:
    """What h5py.File does of it, where there is no h5py: groups have no shape."""

    def __init__(self, arrays):
        self.arrays = arrays

    def visititems(self, visit):
        for name, x in {"block1_conv1": object(), **self.arrays}.items():
            visit(name, x)


@pytest.mark.parametrize("style", [*STYLES])
def test_keras(style, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    lines = lines_for(b"\x89HDF\r\n\x1a\n" + bytes(100), "FILE: an HDF5 file, as of Keras, and not read. Convert")
    module(monkeypatch, "h5py", File=lambda _: File(of_keras(style)))
    exec(lines, {})
    assert_converted("vgg16.safetensors")


@pytest.mark.parametrize("style", [*STYLES])
def test_keras_by_h5py(style, tmp_path, monkeypatch):
    h5py = pytest.importorskip("h5py")
    monkeypatch.chdir(tmp_path)
    with h5py.File("made", "w") as file:
        for name, x in of_keras(style).items():
            file[name] = x
    exec(lines_for((tmp_path / "made").read_bytes(), "an HDF5 file"), {})
    assert_converted("vgg16.safetensors")


def test_onnx(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    lines = lines_for(
        b"\x08\x07\x12\x07pytorch\x1a\x031.9" + bytes(99), "FILE: an ONNX file, which is not read. Convert"
    )
    tensors = [ModuleType("tensor") for _ in by.trunk()]
    for tensor, name in zip(tensors, by.trunk(), strict=True):
        tensor.name = name
    model = ModuleType("model")
    model.graph = ModuleType("graph")
    model.graph.initializer, model.metadata_props = tensors, []
    helper = module(monkeypatch, "onnx.numpy_helper", to_array=lambda tensor: by.trunk()[tensor.name])
    module(monkeypatch, "onnx", load=lambda _: model, numpy_helper=helper, __path__=[])
    exec(lines, {})
    assert_converted("weights.safetensors")


def test_onnx_by_its_library(tmp_path, monkeypatch):
    onnx = pytest.importorskip("onnx")
    from onnx import helper, numpy_helper

    monkeypatch.chdir(tmp_path)
    tensors = [numpy_helper.from_array(x, name) for name, x in by.trunk().items()]
    for about in ({}, {"producer_name": "pytorch", "producer_version": "2.13"}):
        onnx.save(helper.make_model(helper.make_graph([], "g", [], [], tensors), **about), "made")
        exec(lines_for((tmp_path / "made").read_bytes(), "an ONNX file"), {})
        assert_converted("weights.safetensors")
    made = onnx.load("made")
    helper.set_model_props(made, {"preprocessing": json.dumps(Preprocessing().to_dict())})  # as minifcn.export does
    onnx.save(made, "made")
    exec(lines_for((tmp_path / "made").read_bytes(), "an ONNX file"), {})
    assert open_weights("weights.safetensors").preprocessing == Preprocessing()
