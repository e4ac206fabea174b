"""Networks as ONNX graphs: onnxruntime says of pictures what minifcn says, and planted bugs are seen."""

import json

import numpy as np
import pytest
from helpers import randomise, relative_error
from small_checkpoint import CAFFE, IMAGENET, make_checkpoint
from small_data import draw

import minifcn as mf
from minifcn import export
from minifcn.datasets.transforms import Preprocessing
from minifcn.models import MODELS, TRUNKS, Widths
from minifcn.weights import checkpoint

LIMIT = 1e-4  # of relative errors: two other implementations in float32, of about twenty layers
SIZES = [(1, 1), (2, 33), (37, 53), (64, 64), (100, 180), (225, 160)]
pytestmark = pytest.mark.usefixtures("tiny_trunk")


@pytest.fixture
def onnx():
    pytest.importorskip("onnxruntime")
    return pytest.importorskip("onnx")


def make_network(path, name, pad, preprocessing=CAFFE, **options):
    """Write a checkpoint as of toytown; every parameter, the last upsampling's too, is random and not 0."""
    options = {"trunk": "vgg_quarter", "num_classes": 9, "pad": pad} | options
    parameters = randomise(MODELS[name](**options), seed=3)
    assert all(p.data.any() for p in parameters.values())
    meta = {"model": {"name": name, **options}, "classes": [f"c{i}" for i in range(9)], "palette": [[1, 2, 3]] * 9}
    checkpoint.save(
        path, {f"model/{n}": p.data for n, p in parameters.items()}, meta | {"preprocessing": preprocessing}
    )
    return path


def export_onnx(path, out, *more):
    """Export a checkpoint, or ["--model", NAME]; return what onnxruntime makes of pictures."""
    import onnx
    from onnxruntime import InferenceSession

    export.main([*map(str, path if isinstance(path, list) else [path]), "--to", "onnx", "--out", str(out), *more])
    onnx.checker.check_model(str(out), full_check=True)
    session = InferenceSession(str(out))
    return lambda pictures: session.run(None, {"pictures": pictures})[0]


def pictures_of(size, count=2):
    return np.random.default_rng(size).integers(0, 256, (count, *size, 3), np.uint8)


def scores_of(model, pictures):
    preprocessing = Preprocessing.from_dict(model.meta["preprocessing"])
    with mf.no_grad():
        return model(np.stack([preprocessing.apply(picture) for picture in pictures])).data


def assert_same_scores(run, model, sizes=SIZES):
    for size in sizes:
        pictures = pictures_of(size)
        scores, expected = run(pictures), scores_of(model, pictures)
        assert scores.dtype == np.float32 and scores.shape == expected.shape == (2, *size, model.num_classes)
        error = relative_error(scores, expected)
        assert error < LIMIT, f"{size}: relative error {error:.1e}"  # also fails for NaN


def assert_same_labels(run, model, sizes=SIZES):
    for size in sizes:
        pictures = pictures_of(size)
        labels, scores = run(pictures), scores_of(model, pictures)
        best = np.sort(scores, axis=3)
        clear = best[..., -1] - best[..., -2] > LIMIT * np.abs(best).max()
        assert labels.dtype == np.uint8 and labels.shape == (2, *size) and clear.mean() > 0.99
        np.testing.assert_array_equal(labels[clear], scores.argmax(axis=3)[clear])


@pytest.mark.parametrize("pad", [100, "same"])
@pytest.mark.parametrize(
    "name, options",
    [
        ("fcn32s", {}),
        ("fcn16s", {"skip_scale": [0.3, 1.0]}),
        ("fcn8s", {"skip_scale": [0.5, 0.125], "upsampling": "fixed"}),
    ],
)
def test_scores_and_labels(name, options, pad, onnx, tmp_path):
    path = make_network(tmp_path / "network", name, pad, **options)
    model = mf.load(path)
    assert_same_scores(export_onnx(path, tmp_path / "scores.onnx"), model)
    assert_same_labels(export_onnx(path, tmp_path / "labels.onnx", "--labels"), model, SIZES[2:])


@pytest.mark.parametrize("preprocessing", [IMAGENET, CAFFE])
def test_bilinear_upsampling_and_a_single_class(preprocessing, onnx, tmp_path):
    path = make_checkpoint(tmp_path / "network", "fcn8s", preprocessing)
    assert_same_scores(export_onnx(path, tmp_path / "scores.onnx"), mf.load(path))
    path = make_checkpoint(tmp_path / "network", "fcn16s", preprocessing, ["all"], palette=[[1, 2, 3]])
    assert_same_scores(export_onnx(path, tmp_path / "one.onnx"), mf.load(path))


def test_the_shipped_network(onnx, tmp_path):
    model = mf.load("camvid")
    assert_same_scores(export_onnx(["--model", "camvid"], tmp_path / "scores.onnx"), model)
    run = export_onnx(["--model", "camvid"], tmp_path / "labels.onnx", "--labels")
    assert_same_labels(run, model)
    picture, _ = draw(5, 120, 160)
    [found] = run(picture[None])
    assert (found == mf.predict(model, picture, side=0)).mean() > 0.999 and len(np.unique(found)) > 1


def test_the_full_trunk(onnx, tmp_path, monkeypatch):
    """At its full width, but for fc6 and fc7, whose half a gigabyte shows nothing more."""
    monkeypatch.setitem(TRUNKS, "wide", Widths(TRUNKS["vgg16"].blocks, 32))
    path = make_network(tmp_path / "network", "fcn16s", "same", trunk="wide")
    assert_same_scores(export_onnx(path, tmp_path / "scores.onnx"), mf.load(path), [(37, 53)])


def test_what_the_graph_says_of_itself(onnx, tmp_path):
    export_onnx(["--model", "camvid"], tmp_path / "scores.onnx")
    made, meta = onnx.load(tmp_path / "scores.onnx"), mf.load("camvid").meta
    said = {entry.key: json.loads(entry.value) for entry in made.metadata_props}
    for name in ("classes", "palette", "preprocessing", "model", "side"):
        assert said[name] == meta[name]
    assert made.producer_name == "minifcn" and made.opset_import[0].version >= 17
    ends = [
        [dim.dim_param or dim.dim_value for dim in end.type.tensor_type.shape.dim]
        for end in (*made.graph.input, *made.graph.output)
    ]
    assert ends == [["N", "H", "W", 3], ["N", "H", "W", 11]]
    assert not [node for node in made.graph.node if node.op_type == "Dropout"]


MUTANTS = {  # what each of them does to Graph.add
    "pools round down": lambda kind, inputs, more: more | ({"ceil_mode": 0} if kind == "MaxPool" else {}),
    "convolutions pad one more": lambda kind, inputs, more: (
        more | ({"pads": [2] * 4} if more.get("pads") == [1] * 4 else {})
    ),
    "a ReLU is lost": lambda kind, inputs, more: None if kind == "Relu" and "fc7" in inputs[0] else more,
    "skips are not scaled": lambda kind, inputs, more: None if kind == "Mul" else more,
    "channels are in another order": lambda kind, inputs, more: None if kind == "Gather" else more,
    "no mean is taken off": lambda kind, inputs, more: None if kind == "Sub" else more,
    "crops do not begin at the offset": lambda kind, inputs, more: (
        None if kind == "Slice" and "up" in inputs[0] else more
    ),
}


@pytest.mark.parametrize("mutant", MUTANTS)
def test_planted_bugs_are_seen(mutant, onnx, tmp_path, monkeypatch):
    from minifcn.weights.onnx_files import Graph

    right = Graph.add

    def wrong(graph, kind, name, *inputs, **more):
        changed = MUTANTS[mutant](kind, inputs, more)
        if changed is not None:
            return right(graph, kind, name, *inputs, **changed)
        if kind == "Slice":
            nothing = np.int64([0, 0])
            size = right(graph, "Sub", f"{name}.length", inputs[2], inputs[1])
            return right(graph, kind, name, inputs[0], nothing, size, *inputs[3:])
        return right(graph, "Identity", name, inputs[0])

    path = make_checkpoint(tmp_path / "network", "fcn8s", CAFFE)
    tensors, meta = checkpoint.load(path)
    meta["model"]["skip_scale"] = [0.5, 0.25]
    checkpoint.save(path, tensors, meta)
    run = export_onnx(path, tmp_path / "right.onnx")
    assert_same_scores(run, mf.load(path), [(37, 53)])
    monkeypatch.setattr(Graph, "add", wrong)
    with pytest.raises(AssertionError, match=r"relative error|\(2, 36, 52, 3\)"):
        assert_same_scores(export_onnx(path, tmp_path / "wrong.onnx"), mf.load(path), [(37, 53)])
