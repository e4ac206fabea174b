"""Runs that choose their checkpoint on a held-out tenth of train, on a part of it, at another scale."""

import json
from types import SimpleNamespace

import numpy as np
import pytest
from small_data import make_set

from minifcn.datasets import open_dataset
from minifcn.training import segmentation
from minifcn.training.evaluation import evaluate
from minifcn.training.segmentation import Segmentation
from minifcn.training.settings import SegmentationSettings
from minifcn.training.task import complete, open_run
from minifcn.weights import checkpoint

pytestmark = pytest.mark.usefixtures("tiny_trunk", "no_drawing")
SETTINGS = {"model": "fcn32s", "trunk": "tiny", "steps": 12, "lr": 0.05, "held_out": True, "val_every": 0.25}


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    return make_set(tmp_path_factory.mktemp("sets") / "shapes", [("train", 23), ("val", 4), ("test", 6)])


def start(data, folder, **others):
    folder.mkdir()
    return open_run(Segmentation, folder, SegmentationSettings(data=data, **SETTINGS | others))


def finish(run):
    return complete(Segmentation, run.folder, run.settings, "cpu", SimpleNamespace(requested=False), run.task)


def test_the_held_out_tenth_is_not_trained_on(data, tmp_path):
    run, names = start(data, tmp_path / "run"), open_dataset(data, "train").names
    assert run.task.train_set.names == names[:20] and run.task.val_set.names == names[20:]
    assert run.task.batches().dataset is run.task.train_set and run.task.test_set.split == "test"


@pytest.mark.parametrize("splits, reported", [(["train", "val", "test"], "test"), (["train", "val"], "val")])
def test_the_reported_split(splits, reported, tmp_path):
    data = make_set(tmp_path / "set", [(split, 12) for split in splits])
    assert start(data, tmp_path / "run").task.test_set.split == reported


def test_a_part_of_what_is_not_held_out_at_another_scale(data, tmp_path):
    run, names = start(data, tmp_path / "run", fraction=0.5, scale=0.5), open_dataset(data, "train").names
    assert run.task.train_set.names == names[0:20:2] and run.task.val_set.names == names[20:]
    sizes = {split[0][1].shape for split in (run.task.train_set, run.task.val_set, run.task.test_set)}
    assert sizes == {(16, 20)}


def test_the_network_that_did_best_on_the_held_out_tenth_is_scored(data, tmp_path, monkeypatch):
    """Scores fall, whatever the network does."""
    falling, scored = iter((0.9, 0.5, 0.2)), []

    def evaluated(model, dataset, *_, **__):
        assert dataset.split == "test"
        scored.append({f"model/{name}": p.data.copy() for name, p in model.parameters().items()})
        return evaluate(model, dataset)

    monkeypatch.setattr(Segmentation, "score", lambda _: {"jaccard": next(falling), "pixel_accuracy": 0.5, "loss": 1})
    monkeypatch.setattr(segmentation, "evaluate", evaluated)
    finish(start(data, tmp_path / "run", steps=3, val_every=0.1))
    best, last = (checkpoint.load(tmp_path / "run" / f"{name}.safetensors")[0] for name in ("best", "last"))
    assert len(scored) == 1
    assert all(np.array_equal(scored[0][name], best[name]) for name in scored[0])
    assert not np.array_equal(scored[0]["model/fc7.weight"], last["model/fc7.weight"])


@pytest.mark.parametrize(
    "every, steps", [(0.25, [2, 4, 6, 8, 10, 12]), (0.01, list(range(1, 13))), (0.5, [5, 10, 12]), (0, [12])]
)
def test_validations_within_an_epoch(every, steps, data, tmp_path):
    """20 pictures are 10 steps an epoch; a quarter of one is 2.5 steps, rounded to the even 2."""
    metrics = finish(start(data, tmp_path / "run", val_every=every))
    assert [v["step"] for v in metrics["validations"]] == steps


def test_checkpoints_of_older_versions_go_on(data, tmp_path):
    """Their settings lack what was added since: it has its default then."""
    run = start(data, tmp_path / "run", held_out=False, steps=4, val_every=0)
    finish(run)
    tensors, meta = checkpoint.load(run.last)
    for name in ("scale", "fraction", "held_out"):
        del meta["settings"][name]
    checkpoint.save(run.last, tensors, json.loads(json.dumps(meta)))
    assert open_run(Segmentation, run.folder, run.settings).step == 4
