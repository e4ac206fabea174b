"""The size at which a network sees pictures: one rule for training, validation, evaluate and predict."""

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image
from small_data import losses, make_set, train_run

import minifcn as mf
from minifcn import train
from minifcn.training import evaluation
from minifcn.training.loop import Run
from minifcn.weights import checkpoint, shipped

pytestmark = pytest.mark.usefixtures("tiny_trunk", "no_drawing")


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    return make_set(tmp_path_factory.mktemp("sets") / "shapes", sizes=[(64, 80), (50, 40), (33, 64)])


@pytest.mark.parametrize(
    "meta, shape, side, expected",
    [
        ({}, (300, 400), None, (300, 400)),
        ({"side": 0}, (300, 400), None, (300, 400)),
        ({"side": 200}, (300, 400), None, (150, 200)),
        ({"side": 800}, (300, 400), None, (600, 800)),  # smaller pictures grow, as they did in training
        ({"side": 200}, (300, 400), 0, (300, 400)),
        ({"side": 200}, (300, 400), 100, (75, 100)),
        ({"side": 0, "longest": 100}, (300, 400), None, (75, 100)),  # larger than any that it was trained on
        ({"side": 0, "longest": 500}, (300, 400), None, (300, 400)),  # no larger
        ({"side": 0, "longest": 100}, (300, 400), 0, (300, 400)),
        ({"side": 10}, (1000, 1), None, (10, 1)),
    ],
)
def test_seen_size(meta, shape, side, expected):
    assert evaluation.seen_size(meta, *shape, side) == expected


def test_training_on_scaled_pictures_is_training_on_smaller_ones(data, tmp_path):
    """The same losses as on a copy of the set that Pillow scaled; the largest picture counts for the memory."""
    small = Path(make_set(tmp_path / "small", sizes=[(64, 80), (50, 40), (33, 64)]))
    for folder, how in (("images", Image.Resampling.BILINEAR), ("labels", Image.Resampling.NEAREST)):
        for path in (small / folder).iterdir():
            with Image.open(path) as image:
                scale = 48 / max(image.size)
                image.resize([round(length * scale) for length in image.size], how).save(path)
    scaled = train_run(tmp_path / "a", data, side=48)
    np.testing.assert_array_equal(losses(scaled), losses(train_run(tmp_path / "b", str(small))))
    assert (losses(scaled) != losses(train_run(tmp_path / "c", data))).any()
    assert checkpoint.load(scaled.last)[1]["side"] == 48


def test_the_checkpoint_knows_the_longest_side_of_training(data, tmp_path):
    meta = checkpoint.load(train_run(tmp_path / "run", data).last)[1]
    assert (meta["side"], meta["longest"], meta["values"]) == (0, 80, [0, 1, 2])


def test_load_and_predict_in_python(data, tmp_path):
    model = mf.load(train_run(tmp_path / "run", data, side=48).last)
    assert model.meta["classes"] == ["ground", "square", "disc"] and not model.training
    picture = np.random.default_rng(0).integers(0, 256, (70, 90, 3), np.uint8)
    labels = mf.predict(model, picture)
    assert labels.dtype == np.uint8 and labels.shape == (70, 90)
    assert (labels == mf.predict(model, picture, 48)).all()
    counts = mf.evaluate(model, mf.open_dataset(data, "test"))
    assert counts.counts.sum() > 0 and counts.num_classes == 3


def test_shipped_networks_have_a_name_everywhere():
    assert mf.load("camvid").meta["classes"][0] == "sky"
    assert shipped.find_weights("camvid", "vgg_quarter") == shipped.find_model("camvid")


def test_fine_tuning_starts_from_a_shipped_network(tmp_path, capsys):
    data = make_set(tmp_path / "shapes", [("train", 2), ("val", 1)])
    options = f"--data {data} --out {tmp_path} --model fcn8s --init camvid --steps 1".split()
    assert train.main(options) == 0
    said = capsys.readouterr().out
    assert "initialised from" in said and "camvid.safetensors" in said and "REINITIALISED" in said


@pytest.mark.parametrize("seconds, longest, said", [(50, 900, None), (500, 900, "--side 450"), (500, 300, "--steps")])
def test_hours_are_foretold(seconds, longest, said):
    """After 5 of 1,000 steps that took 500 seconds, 995 more take 27.6 hours."""
    notes = []
    bar = SimpleNamespace(format_dict={"elapsed": seconds}, write=notes.append)
    run = SimpleNamespace(settings=SimpleNamespace(steps=1000), begun=20, step=25, log=[])
    run.model = SimpleNamespace(meta={"longest": longest})
    Run.watch(run, bar)
    if said is None:
        assert not notes or "2.7 hours" in notes[0]
    else:
        assert "27.1 hours" in notes[0] and said in notes[0]


def test_more_classes_than_a_byte_holds_are_refused():
    for L in (256, 300):
        with pytest.raises(ValueError, match=rf"num_classes.*at most 255, received {L}"):
            mf.models.fcn32s(L, trunk="tiny")
    scores, labels = np.zeros((1, 2, 2, 300), np.float32), np.full((1, 2, 2), 255)
    with pytest.raises(ValueError, match=r"300 classes.*255.*another ignore_label"):
        mf.softmax_cross_entropy(scores, labels)
    with pytest.raises(ValueError, match=r"300 classes.*255.*another ignore_label"):
        mf.metrics.ConfusionMatrix(300).update(labels, labels)
    loss = mf.softmax_cross_entropy(scores, labels, ignore_label=-1)
    assert float(loss.data) == pytest.approx(np.log(300), rel=1e-5)
