"""Every format: the file's own writer, then minifcn's scores of a picture against those of the network in PyTorch."""

import tracemalloc

import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("scipy")

import written  # noqa: E402  (needs torch and scipy)
from written import CLASSES, RGB_MEAN, WIDTHS  # noqa: E402

import minifcn as mf  # noqa: E402
from minifcn import load_weights  # noqa: E402
from minifcn.autograd import no_grad  # noqa: E402
from minifcn.models import MODELS, Widths, fcn32s  # noqa: E402
from minifcn.weights import open_weights  # noqa: E402

PICTURE = np.random.default_rng(5).integers(0, 256, (41, 50, 3), dtype=np.uint8)  # RGB
WRITERS = {"legacy pickle": written.write_legacy, "zip": written.write_zip, "safetensors": written.write_safetensors}
MATS = {
    "MatConvNet": {},
    "MatConvNet, compressed": {"compressed": True},
    "MatConvNet, older": {"old": True, "average": "picture"},
}


def preprocess(source):
    """The picture as each program feeds it to its network: (1,H,W,3), in its own order of operations."""
    x = torch.tensor(PICTURE).double()
    if source == "torchvision":
        x = (x / 255 - torch.tensor([0.485, 0.456, 0.406])) / torch.tensor([0.229, 0.224, 0.225])
    elif source == "pytorch-fcn":
        x = x.flip(-1) - torch.tensor([104.00698793, 116.66876762, 122.67891434], dtype=torch.float64)
    else:
        x = x - torch.tensor(RGB_MEAN)
    return x[None].numpy()


def scores(model, preprocessing):
    """minifcn's scores of the picture under the preprocessing that came with the file."""
    with no_grad():
        return model.eval()(preprocessing.apply(PICTURE)[None].astype(model.dtype)).data


def assert_same_scores(model, report, state, source, tolerance=1e-6):
    """The tensors as they were before they were written, in PyTorch, give the scores that minifcn gives.

    Score layers that the file does not have are given random weights here and there.
    """
    tensors = {name: tensor.double() for name, tensor in written.by_our_names(state).items()}
    rng = np.random.default_rng(7)
    for name, parameter in model.parameters().items():
        if name not in report.loaded:
            parameter.data[...] = rng.standard_normal(parameter.shape) / 4
            tensors[name] = torch.tensor(parameter.data)
            if name.endswith(".weight"):
                tensors[name] = tensors[name].permute(3, 2, 0, 1)
    expected = written.scores_of_twin(model.name, model.pad, tensors, preprocess(source))
    ours = scores(model, report.preprocessing)
    assert ours.shape == (1, 41, 50, CLASSES) and np.ptp(expected, axis=(1, 2)).min() > 1e-3 * np.abs(expected).max()
    error = np.linalg.norm(ours - expected) / np.linalg.norm(expected)
    assert error < tolerance, f"relative error {error:.1e}"


def network(name, pad, **options):
    return MODELS[name](CLASSES, WIDTHS, pad, dtype=np.float64, seed=3, **options)


@pytest.mark.parametrize("pad", [100, "same"])
@pytest.mark.parametrize("name, form", [("fcn32s", "legacy pickle"), ("fcn16s", "zip"), ("fcn8s", "safetensors")])
def test_torchvision(name, form, pad, tmp_path):
    state = written.torchvision_vgg().state_dict()
    WRITERS[form](tmp_path / "file", state)
    assert open_weights(tmp_path / "file").format == f"torchvision VGG-16, {form}"
    model = network(name, pad)
    report = load_weights(model, tmp_path / "file")
    trunk = [n for n in model.parameters() if n.startswith(("conv", "fc"))]
    assert report.loaded == trunk and len(trunk) == 30 and report.reinitialised == []
    assert report.missing == [n for n in model.parameters() if n not in trunk]
    assert sorted(report.skipped) == ["classifier.6.bias", "classifier.6.weight"]
    assert_same_scores(model, report, state, "torchvision")


def test_fc6_and_fc7_are_the_matrices_of_torchvision(tmp_path):
    """On a picture of 224 x 224 the classifier of VGG-16 sees what fc6 sees in the middle of its map."""
    vgg = written.torchvision_vgg()
    torch.save(vgg.state_dict(), tmp_path / "file", _use_new_zipfile_serialization=False)
    model = fcn32s(CLASSES, WIDTHS, "same").eval()
    report = load_weights(model, tmp_path / "file")
    picture = np.random.default_rng(0).integers(0, 256, (224, 224, 3), dtype=np.uint8)
    with no_grad(), torch.no_grad():
        x = report.preprocessing.apply(picture)[None]
        _, _, fc7 = model.features(mf.Tensor(x))
        expected = vgg.classifier[:5](vgg.flatten(vgg.features(torch.tensor(x).permute(0, 3, 1, 2))))
    assert fc7.shape == (1, 7, 7, WIDTHS.fc) and np.count_nonzero(expected.numpy()) > 3
    np.testing.assert_allclose(fc7.data[0, 3, 3], expected[0].numpy(), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("form", [*WRITERS])
@pytest.mark.parametrize("name", ["fcn32s", "fcn16s", "fcn8s"])
def test_pytorch_fcn(name, form, tmp_path):
    state = written.pytorch_fcn(name).state_dict()
    WRITERS[form](tmp_path / "file", state)
    assert open_weights(tmp_path / "file").format == f"pytorch-fcn FCN-{name[3:]}, {form}"
    model = network(name, 100)
    report = load_weights(model, tmp_path / "file")
    assert sorted(report.loaded) == sorted(model.parameters())
    assert report.skipped == report.missing == report.reinitialised == []
    assert_same_scores(model, report, state, "pytorch-fcn")


def test_pytorch_fcn_chain(tmp_path):
    """An FCN-16s from the file of an FCN-32s, as its training goes: all but the last upsampling is taken over."""
    written.write_legacy(tmp_path / "file", written.pytorch_fcn("fcn32s").state_dict())
    report = load_weights(network("fcn16s", 100), tmp_path / "file")
    assert report.missing == ["score_pool4.weight", "score_pool4.bias", "upscore2.weight", "upscore16.weight"]
    assert report.skipped == ["upscore32.weight"]


def test_pytorch_fcn_of_another_class_count(tmp_path):
    written.write_zip(tmp_path / "file", written.pytorch_fcn("fcn8s", classes=7).state_dict())
    model = network("fcn8s", 100)
    before = {name: p.data.copy() for name, p in model.parameters().items()}
    report = load_weights(model, tmp_path / "file")
    assert sorted(report.reinitialised) == sorted(n for n in before if n.startswith(("score", "upscore")))
    assert "REINITIALISED (other shape in the file)" in report.table()
    for name in report.reinitialised:
        np.testing.assert_array_equal(model.parameters()[name].data, before[name])


@pytest.mark.parametrize("pad", [100, "same"])
@pytest.mark.parametrize("form", [*MATS])
def test_matconvnet(form, pad, tmp_path):
    state = written.torchvision_vgg(seed=2).state_dict()
    written.write_mat(tmp_path / "file", state, **MATS[form])
    assert open_weights(tmp_path / "file").format == "MatConvNet VGG-16, MATLAB 5"
    model = network("fcn32s", pad)
    report = load_weights(model, tmp_path / "file")
    assert len(report.loaded) == 30 and report.skipped == ["fc8.filters", "fc8.biases"]
    assert_same_scores(model, report, state, "MatConvNet")


@pytest.mark.parametrize("form", ["legacy pickle", "zip", "safetensors", "MatConvNet"])
def test_features_alone(form, tmp_path):
    """A file without a classifier: fc6 and fc7 start anew, and the report says so."""
    state = {k: v for k, v in written.torchvision_vgg().state_dict().items() if k.startswith("features")}
    {**WRITERS, "MatConvNet": written.write_mat}[form](tmp_path / "file", state)
    model = network("fcn32s", "same")
    report = load_weights(model, tmp_path / "file")
    assert report.missing[:4] == ["fc6.weight", "fc6.bias", "fc7.weight", "fc7.bias"] and len(report.loaded) == 26
    assert "initialised anew (not in the file)       7 arrays: fc6, fc7, score_fr, upscore32" in report.table()
    assert_same_scores(model, report, state, "MatConvNet" if form == "MatConvNet" else "torchvision")


@pytest.mark.parametrize("form", ["legacy pickle", "zip"])
@pytest.mark.parametrize("dtype", ["float64", "float16", "bfloat16"])
def test_other_floats(dtype, form, tmp_path):
    state = {k: v.to(getattr(torch, dtype)) for k, v in written.torchvision_vgg().state_dict().items()}
    WRITERS[form](tmp_path / "file", state)
    model = network("fcn32s", "same")
    report = load_weights(model, tmp_path / "file")
    assert_same_scores(model, report, state, "torchvision")


@pytest.mark.parametrize("form", [*WRITERS, "MatConvNet"])
def test_one_array_in_memory_at_a_time(form, tmp_path):
    """What loading allocates is at most the largest array, fc6. The file is mapped, and never there as a whole."""
    widths = Widths((8, 8, 16, 32, 64), 192)
    state = written.torchvision_vgg(widths).state_dict()
    {**WRITERS, "MatConvNet": written.write_mat}[form](tmp_path / "file", state)
    model = fcn32s(CLASSES, widths, "same")
    largest = max(p.data.nbytes for p in model.parameters().values())
    tracemalloc.start()
    report = load_weights(model, tmp_path / "file")
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert len(report.loaded) == 30
    slack = 2**18 + (2**20 if form == "legacy pickle" else 0)  # the start of a legacy file is read as pickles
    assert peak < slack + (largest if form == "safetensors" else 0)
