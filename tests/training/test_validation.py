"""What validation measures beside the score, the loss; and when a run that no longer gets better ends."""

import json
import re
from types import SimpleNamespace

import numpy as np
import pytest
from small_data import NoStop, assert_same_run, fails, losses, make_set, read_rows, train_run

from minifcn import train
from minifcn.autograd import Tensor
from minifcn.datasets import open_dataset
from minifcn.datasets.dataset import sided
from minifcn.training import evaluation
from minifcn.training.loop import Diverged, Run, Stopped
from minifcn.training.segmentation import Segmentation
from minifcn.training.task import open_run
from minifcn.weights import checkpoint

pytestmark = pytest.mark.usefixtures("tiny_trunk", "no_drawing")


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    return make_set(tmp_path_factory.mktemp("sets") / "shapes", sizes=[(32, 40), (27, 45), (50, 44)])


def loss_by_hand(run, side=0):
    """The mean over all labelled pixels of all validation pictures, in float64; weighted by class, if training is."""
    total = weight = 0.0
    cw = np.ones(3) if run.task.class_weight is None else run.task.class_weight.astype(float)
    for i in range(3):
        picture, labels = sided(run.task.val_set, side)[i]
        scores = run.model.eval()(run.task.preprocessing.apply(picture)[None]).data[0].astype(float)
        nll = np.log(np.exp(scores).sum(2)) - np.take_along_axis(scores, np.minimum(labels, 2)[..., None], 2)[..., 0]
        known = labels != 255
        total += (cw[labels[known]] * nll[known]).sum()
        weight += cw[labels[known]].sum()
    return total / weight


@pytest.mark.parametrize("settings", [{}, {"balance": True}, {"side": 24}, {"reduction": "sum", "lr": 1e-5}])
def test_the_loss_of_validation_is_that_of_training(settings, data, tmp_path):
    run = train_run(tmp_path / "run", data, steps=7, model="fcn8s", val_every=1, **settings)
    rows = read_rows(tmp_path / "run" / "log.csv")
    assert list(rows[0]) == ["step", "epoch", "lr", "loss", "val_jaccard", "val_pixel_accuracy", "val_loss"]
    assert [row["step"] for row in rows if row["val_loss"]] == ["3", "6", "7"]
    assert float(rows[-1]["val_loss"]) == pytest.approx(loss_by_hand(run, settings.get("side", 0)), rel=1e-5)
    assert [v["loss"] for v in run.validations] == [float(row["val_loss"]) for row in rows if row["val_loss"]]


def test_untrained_it_is_the_logarithm_of_the_classes(data, tmp_path):
    run = train_run(tmp_path / "run", data, steps=1, lr=0.0)
    assert run.log[-1]["val_loss"] == pytest.approx(np.log(3), rel=1e-6) == losses(run)[0]


class Pixelwise:
    """A network whose scores of a pixel are those of its own colour."""

    dtype, meta = np.dtype(np.float32), {}

    def eval(self):
        return self

    def __call__(self, x):
        return Tensor(np.ascontiguousarray(x[..., ::-1]))


def test_windows_count_every_pixel_once(data, monkeypatch):
    seen = []

    def look(labels, scores, part=...):
        seen.append((scores.reshape(-1, 3), labels[part].ravel()))

    found = []
    for tile, margin in ((1024, 320), (16, 4)):
        monkeypatch.setattr(evaluation, "TILE", tile)
        monkeypatch.setattr(evaluation, "MARGIN", margin)
        seen.clear()
        evaluation.evaluate(Pixelwise(), open_dataset(data, "val"), look=look)
        pixels = np.concatenate([np.column_stack([scores, labels]) for scores, labels in seen])
        found.append((len(seen), pixels[np.lexsort(pixels.T)]))
    assert found[0][0] == 3 and found[1][0] > 20
    np.testing.assert_array_equal(found[1][1], found[0][1])


@pytest.mark.parametrize("loss", [np.nan, np.inf, 1e16])
def test_a_run_whose_validation_is_no_number_has_diverged(loss, data, tmp_path, monkeypatch):
    monkeypatch.setattr(Segmentation, "score", lambda self: {"jaccard": 0.5, "pixel_accuracy": 0.5, "loss": loss})
    with pytest.raises(Diverged, match=f"the validation loss is {re.escape(f'{loss:g}')} at step 1, with lr "):
        train_run(tmp_path / "run", data, steps=1)
    assert not list((tmp_path / "run").glob("*.safetensors"))


def test_scores_that_there_are_not_leave_a_gap(data, tmp_path, monkeypatch):
    monkeypatch.setattr(Segmentation, "score", lambda self: {"jaccard": None, "pixel_accuracy": 0.5, "loss": 0.0})
    run = train_run(tmp_path / "run", data, steps=1)
    assert run.log[-1].keys() & {"val_loss", "val_pixel_accuracy", "val_jaccard"} == {"val_loss", "val_pixel_accuracy"}
    assert checkpoint.load(run.best)[1]["validations"][0]["jaccard"] is None


# --- patience ---


@pytest.fixture
def scored(monkeypatch):
    """scored(0.5, ...): what the validations of a run will say."""

    def choose(*values):
        following = iter(values)
        monkeypatch.setattr(Segmentation, "score", lambda self: {"jaccard": next(following),
            "pixel_accuracy": 0.5, "loss": 1.0})  # fmt: skip

    return choose


@pytest.mark.parametrize("scores, patience, val_every, steps", [
    ((0.5, 0.6, 0.4, 0.5), 2, 1, 12),  # an epoch has three steps
    ((0.5, 0.6, 0.6, 0.6), 2, 1, 12),  # as good is not better
    ((0.1, 0.2, 0.3, 0.2, 0.4, 0.1, 0.2), 2, 1, 21),
    ((None, None, None), 2, 1, 9),
    ((0.5, 0.4), 1, 1, 6),
    ((0.5, 0.4, 0.4), 1.5, 1, 9),
    ((0.5, 0.4, 0.4), 3, 2, 18),
    ((0.5, *[0.4] * 7), 0, 1, 24),
    ((*np.linspace(0.1, 0.5, 8),), 1, 1, 24),
])  # fmt: skip
def test_a_run_ends_so_many_epochs_after_the_best(scores, patience, val_every, steps, scored, data, tmp_path):
    scored(*scores)
    run = train_run(tmp_path / "run", data, steps=24, patience=patience, val_every=val_every)
    assert (run.step, len(run.log), len(run.validations)) == (steps, steps, len(scores))
    best = int(np.argmax([score or 0 for score in scores]))
    assert checkpoint.load(run.best)[1]["step"] == run.validations[best]["step"]
    assert checkpoint.load(run.last)[1]["step"] == steps


@pytest.mark.parametrize("losses, steps", [((3, 2, 1, 1, 1), 15), ((3, 3, 3), 9), ((1, 2, 3), 9)])
def test_of_equal_scores_the_one_of_less_loss_is_the_best(losses, steps, data, tmp_path, monkeypatch):
    """As long as a network sees one class alone its score stands still, and its loss falls."""
    following = iter(losses)
    monkeypatch.setattr(Segmentation, "score", lambda self: {"jaccard": 0.5, "pixel_accuracy": 0.5,
        "loss": float(next(following))})  # fmt: skip
    assert train_run(tmp_path / "run", data, steps=24, patience=2, val_every=1).step == steps


def arguments(data, out, *more):
    given = f"--data {data} --out {out} --name run --trunk tiny --model fcn32s --batch 4 --steps 24 --processes 1"
    return [*given.split(), *more]


def test_it_is_then_finished(scored, data, tmp_path, monkeypatch, capsys):
    scored(0.5, 0.6, 0.4, 0.5)
    assert train.main(arguments(data, tmp_path, "--patience", "2")) == 0
    run = tmp_path / "run"
    metrics = json.loads((run / "metrics.json").read_text())
    assert metrics["stopped_early"] is True and metrics["steps"] == 12 and "12 steps" in metrics["summary"]
    assert "stopped early" in metrics["summary"] and "val" in metrics
    assert "no better validation for 2 epochs" in "".join(capsys.readouterr())
    before = (run / "last.safetensors").read_bytes()
    monkeypatch.setattr(Run, "train_step", None)
    assert train.main(["--resume", str(run)]) == 0
    assert "finished already" in capsys.readouterr().out
    (run / "metrics.json").unlink()  # as if it had been killed while it was scored
    assert train.main(["--resume", str(run)]) == 0
    assert json.loads((run / "metrics.json").read_text())["steps"] == 12
    assert (run / "last.safetensors").read_bytes() == before


def test_a_whole_run_does_not_say_so(data, tmp_path):
    assert train.main(arguments(data, tmp_path, "--steps", "4", "--patience", "100")) == 0
    metrics = json.loads((tmp_path / "run" / "metrics.json").read_text())
    assert metrics["stopped_early"] is False and "early" not in metrics["summary"]


def test_a_resumed_run_waits_as_long(scored, data, tmp_path, monkeypatch):
    scores = (0.5, 0.6, 0.4, 0.5)
    scored(*scores)
    whole = train_run(tmp_path / "whole", data, steps=24, patience=2, val_every=1)
    for step in (2, 6, 7, 10):
        scored(*scores)
        stop, folder = SimpleNamespace(requested=False), tmp_path / str(step)

        def until(run, group, real=Run.train_step, step=step, stop=stop):
            row = real(run, group)
            stop.requested = run.step == step
            return row

        folder.mkdir()
        with monkeypatch.context() as patch, pytest.raises(Stopped, match=f"stopped after step {step}"):
            patch.setattr(Run, "train_step", until)
            open_run(Segmentation, folder, whole.settings).train(stop)
        open_run(Segmentation, folder, whole.settings).train(NoStop)
        assert_same_run(folder, whole.folder)


@pytest.mark.parametrize("splits, more, why", [
    ([("train", 4)], (), "no val split in "), ([("train", 4), ("val", 2)], ("--val-every", "0"), "--val-every 0, so "),
])  # fmt: skip
def test_patience_without_validations_is_refused(splits, more, why, tmp_path, capsys):
    data = make_set(tmp_path / "set", splits)
    line = fails(capsys, train.main, *arguments(data, tmp_path / "runs", "--patience", "2", *more))
    assert line.startswith("error: --patience 2: ") and why in line and line.endswith("leave it out")
    assert not (tmp_path / "runs").exists()
