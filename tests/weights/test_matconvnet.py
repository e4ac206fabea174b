"""MatConvNet's networks as its training and its DagNN save them, beside the published ones (test_formats.py)."""

import handmade as by
import numpy as np
import pytest

from minifcn import load_weights
from minifcn.models import Widths, fcn32s
from minifcn.weights import open_weights

scipy_io = pytest.importorskip("scipy.io")
from written import RGB_MEAN, cell  # noqa: E402  (needs scipy)

MEAN = np.array(RGB_MEAN, np.float32).reshape(1, 1, 3)
META = {"normalization": {"averageImage": MEAN, "imageSize": np.array([[224.0, 224, 3]])}}


def filters():
    """layer -> filters (KH,KW,C,K) and biases, up to fc7."""
    x = by.trunk()
    found = {name: (x[f"{name}.weight"].transpose(2, 3, 1, 0), x[f"{name}.bias"]) for name in by.CONVS}
    rng = np.random.default_rng(3)
    for name, shape in (("fc6", (7, 7, 2, 3)), ("fc7", (1, 1, 3, 3))):
        found[name] = rng.standard_normal(shape).astype("f"), rng.standard_normal(3).astype("f")
    return found


def layers(named=True):
    found = []
    for name, (w, b) in filters().items():
        called = {"name": name} if named else {}
        found.append({**called, "type": "conv", "weights": cell(w, b[None]), "stride": np.ones((1, 2))})
        found.append({"type": "relu"})
    found.append({**({"name": "fc8"} if named else {}), "type": "conv", "weights": cell(np.zeros((1, 1, 3, 9), "f"))})
    return [*found, {"type": "softmaxloss"}]


def params():
    """A DagNN's, as DagNN.fromSimpleNN names them."""
    values = [(f"{name}{kind}", x) for name, both in filters().items() for kind, x in zip("fb", both, strict=True)]
    array = np.empty((1, len(values)), [("name", object), ("value", object), ("learningRate", object)])
    for i, (name, x) in enumerate(values):
        array[0, i] = (name, x if x.ndim == 4 else x[:, None], 1.0)
    return array


DAG = {
    "params": params(),
    "vars": cell(),
    "layers": np.array([[("conv1_1", "dagnn.Conv")]], [("name", "O"), ("type", "O")]),
}
TRAINED = {"state": {"epoch": 3.0}, "stats": {"train": np.ones((1, 3))}}
FORMS = {
    "net": {"net": {"layers": cell(*layers()), "meta": META}, **TRAINED},
    "net, unnamed": {"net": {"layers": cell(*layers(named=False)), "meta": META}, **TRAINED},
    "published, unnamed": {"layers": cell(*layers(named=False)), "meta": META},
    "published DagNN": {**DAG, "meta": META},
    "net, a DagNN": {"net": {**DAG, "meta": META}, **TRAINED},
}


@pytest.mark.parametrize("compressed", [False, True])
@pytest.mark.parametrize("form", [*FORMS])
def test_every_form(form, compressed, tmp_path):
    scipy_io.savemat(tmp_path / "a.mat", FORMS[form], do_compression=compressed)
    report = load_weights(model := fcn32s(2, Widths(by.BLOCKS, 3), "same"), tmp_path / "a.mat")
    assert len(report.loaded) == 30 and report.preprocessing.mean == RGB_MEAN and report.preprocessing.order == "RGB"
    for name, (w, b) in filters().items():
        np.testing.assert_array_equal(model.parameters()[f"{name}.weight"].data, w, err_msg=name)
        np.testing.assert_array_equal(model.parameters()[f"{name}.bias"].data, b, err_msg=name)


BATCH = {"type": "bnorm", "weights": cell(np.ones((3, 1)), np.ones((3, 1)), np.ones((3, 2)))}
OTHERS = {
    "other variables": ({"data": 1.0, "labels": "x"}, "a MATLAB file with data, labels, but no network of MatConvNet"),
    "nothing": ({}, "a MATLAB file with nothing in it, but no network"),
    "a net of something else": ({"net": {"weights": 1.0, "bias": 2.0}}, "a MATLAB file with weights, bias, but no"),
    "another kind of net": ({"net": "text", "opts": 1.0}, "a MATLAB file with net, opts, but no network"),
    "layers that are none": ({"net": {"layers": 7.0}}, "a MATLAB file with layers, but no network"),
    "layers of another network": ({"net": {"layers": cell(*layers(named=False)[:10])}}, "but lacks conv"),
    "names of another network": (
        {"net": {"layers": cell({"name": "conv1", "type": "conv", "weights": cell(np.ones((3, 3)), np.ones(3))})}},
        "weights of another network: its arrays are conv1.filters, conv1.biases",
    ),
    "normalised by batch": ({"net": {"layers": cell(*layers()[:1], BATCH, *layers()[1:])}}, "normalised by batch"),
    "names that are numbers": ({"net": {"layers": cell({"name": np.eye(2), "type": "relu"})}}, "another network"),
    "a DagNN without arrays": ({"net": {"params": np.zeros((1, 0))}}, "no network of MatConvNet"),
}


@pytest.mark.parametrize("what", [*OTHERS])
def test_what_was_found_is_told(what, tmp_path):
    content, told = OTHERS[what]
    scipy_io.savemat(tmp_path / "a.mat", content)
    by.refused(tmp_path / "a.mat", told)


def test_names_that_would_spoil_the_screen(tmp_path):
    content = by.matlab(by.matrix(7, (1, 1), by.element(7, b"\0\0\0\0"), b"a\x1b[2J"))
    by.refused(by.write(tmp_path / "a.mat", content), r"with a\\x1b\[2J, but no network")


def test_format_says_whose_it_is(tmp_path):
    scipy_io.savemat(tmp_path / "a.mat", FORMS["net"])
    assert open_weights(tmp_path / "a.mat").format == "MatConvNet VGG-16, MATLAB 5"
