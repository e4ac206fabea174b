"""Checkpoints of tiny networks with random weights, and their predictions worked out by hand."""

import numpy as np
from helpers import randomise
from small_data import CLASSES

from minifcn.autograd import no_grad
from minifcn.models import MODELS
from minifcn.weights import checkpoint, load_model

PALETTE = [[10, 20, 30], [200, 100, 0], [0, 90, 180]]
IMAGENET = {"order": "RGB", "mean": [123.675, 116.28, 103.53], "std": [58.395, 57.12, 57.375]}
CAFFE = {"order": "BGR", "mean": [104.0, 117.0, 123.0], "std": [1.0, 2.0, 4.0]}


def make_checkpoint(path, name="fcn8s", preprocessing=IMAGENET, classes=CLASSES, **more):
    """A network of random weights that tells pixels apart: all classes are predicted somewhere."""
    model = MODELS[name](len(classes), "tiny", "same", seed=1)
    randomise(model, seed=2, last_upscore=False)
    spec = {"name": name, "num_classes": len(classes), "trunk": "tiny", "pad": "same"}
    meta = {
        "model": spec,
        "classes": list(classes),
        "palette": PALETTE,
        "preprocessing": preprocessing,
        "step": 7,
    } | more
    checkpoint.save(path, {f"model/{name}": p.data for name, p in model.parameters().items()}, meta)
    return path


def classes_by_hand(path, picture):
    """Preprocess, run, take the class of the highest score: the definition, in double precision where it is cheap."""
    model, meta = load_model(path)
    p = meta["preprocessing"]
    pixels = picture[..., ::-1] if p["order"] == "BGR" else picture
    x = ((pixels.astype(np.float64) - p["mean"]) / p["std"]).astype(np.float32)
    with no_grad():
        scores = model.eval()(x[None]).data[0]  # (H, W, L)
    return scores.argmax(axis=2), np.sort(scores, axis=2)


def assert_predicted(found, path, picture):
    """The classes are those worked out by hand, but for pixels whose best two scores are equal to rounding."""
    expected, scores = classes_by_hand(path, picture)
    clear = scores[..., -1] - scores[..., -2] > 1e-4
    assert clear.mean() > 0.99 and len(np.unique(expected)) > 1, "the test's own network says too little"
    assert found.shape == expected.shape
    np.testing.assert_array_equal(found[clear], expected[clear])
