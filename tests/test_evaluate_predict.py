"""evaluate counts what predict predicts; both take preprocessing, classes and colours from the checkpoint."""

import json
from pathlib import Path

import numpy as np
import pytest
from commands import evaluate
from PIL import Image
from small_checkpoint import CAFFE, IMAGENET, classes_by_hand, make_checkpoint
from small_data import CLASSES, exit_status, make_set

from minifcn.training import evaluation
from minifcn.weights import checkpoint, load_model

pytestmark = pytest.mark.usefixtures("tiny_trunk")


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    return make_checkpoint(tmp_path_factory.mktemp("checkpoint") / "best.safetensors")


def counted_by_hand(path, data, split):
    """The four scores and the Jaccard of each class from pixel counts, without a confusion matrix."""
    hits, true, predicted = np.zeros((3, 3), np.int64)
    for name in (Path(data) / f"{split}.txt").read_text().split():
        with Image.open(Path(data) / "images" / f"{name}.png") as image:
            picture = np.array(image)
        with Image.open(Path(data) / "labels" / f"{name}.png") as image:
            labels = np.array(image)
        found = classes_by_hand(path, picture)[0]
        for label in range(3):
            hits[label] += ((labels == label) & (found == label)).sum()
            true[label] += (labels == label).sum()
            predicted[label] += ((labels != 255) & (found == label)).sum()
    union = true + predicted - hits
    jaccard = [h / u if u else None for h, u in zip(hits, union, strict=True)]
    defined = [j for j in jaccard if j is not None]
    accuracies = [h / t for h, t in zip(hits, true, strict=True) if t]
    return jaccard, {
        "jaccard": sum(defined) / len(defined),
        "pixel_accuracy": hits.sum() / true.sum(),
        "mean_accuracy": sum(accuracies) / len(accuracies),
        "frequency_weighted_jaccard": sum(t * (j or 0) for t, j in zip(true, jaccard, strict=True)) / true.sum(),
    }


@pytest.mark.parametrize("preprocessing", [IMAGENET, CAFFE])
@pytest.mark.parametrize("sizes", [[(32, 40)], [(33, 41), (20, 50), (47, 29)]])
def test_scores_and_table(sizes, preprocessing, tmp_path, capsys):
    """Also on sets of mixed sizes, where nothing may be padded."""
    path = make_checkpoint(tmp_path / "best", preprocessing=preprocessing)
    data = make_set(tmp_path / "shapes", [("train", 1), ("val", 1), ("test", 4)], sizes=sizes)
    out = tmp_path / "scores.json"
    assert exit_status(evaluate.main, path, "--data", data, "--split", "test", "--out", out) == 0
    jaccard, scores = counted_by_hand(path, data, "test")
    written = json.loads(out.read_text())
    for name, score in scores.items():
        assert written[name] == pytest.approx(score, abs=1e-3), name
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "fcn8s of step 7 on shapes test, 4 pictures" and lines[-1] == f"wrote {out}"
    table = dict(line.rsplit(maxsplit=1) for line in lines[1:-1] if not line.startswith("---"))
    for name, score in zip(CLASSES, jaccard, strict=True):
        assert float(table[name]) == pytest.approx(100 * score, abs=0.15)
    assert float(table["Jaccard (mean IU)"]) == pytest.approx(100 * scores["jaccard"], abs=0.15)
    assert float(table["f.w. IU"]) == pytest.approx(100 * scores["frequency_weighted_jaccard"], abs=0.15)


def test_split_is_the_one_asked_for(path, tmp_path, capsys):
    data = make_set(tmp_path / "shapes", [("train", 2), ("val", 3), ("test", 1)])
    for split, count in (("train", 2), ("val", 3), ("test", 1)):
        evaluate.main([str(path), "--data", data, "--split", split])
        assert f"on shapes {split}, {count} pictures" in capsys.readouterr().out


def test_a_class_that_does_not_occur_is_absent(tmp_path, capsys):
    """A network that never predicts class 2, on labels without it."""
    path = make_checkpoint(tmp_path / "best", "fcn32s")
    tensors, meta = checkpoint.load(path)
    tensors["model/score_fr.bias"][2] = -1e4
    checkpoint.save(path, tensors, meta)
    data = make_set(tmp_path / "shapes", [("test", 1)])
    for label in (Path(data) / "labels").iterdir():
        Image.fromarray(np.arange(32 * 40, dtype=np.uint8).reshape(32, 40) % 2).save(label)
    evaluate.main([str(path), "--data", data])
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[-1] for line in lines if line.startswith("disc")] == ["absent"]


def test_predict_and_evaluate_agree_with_the_network_in_training_mode_too(path):
    """Dropout is off, whatever mode the network was left in, and nothing is recorded."""
    model, _ = load_model(path)
    x = np.random.default_rng(0).standard_normal((2, 32, 40, 3)).astype(np.float32)
    first = evaluation.classify(model.train(), x)
    np.testing.assert_array_equal(first, evaluation.classify(model.eval(), x))
    assert first.dtype == np.uint8 and first.shape == (2, 32, 40)
