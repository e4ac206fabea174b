"""The reference's setting: SBD's train, and VOC's val less SBD's train."""

import numpy as np
import pytest
from small_data import TINY, VOID, make_sbd, make_voc, voc_example

import minifcn as mf
from minifcn.check_data import main
from minifcn.datasets import has_split, list_splits, open_dataset
from minifcn.datasets.loader import Loader
from minifcn.datasets.transforms import Augmentation, Preprocessing
from minifcn.errors import InputError

# SBD takes its pictures from both of VOC's sets: b and e are in VOC's val and SBD's train, c and d in both vals.
VOC = {"train": ["f", "g"], "val": ["e", "d", "a", "c", "b"]}
SBD = {"train": ["b", "e", "f", "x", "y"], "val": ["c", "d", "g", "z"]}


@pytest.fixture
def root(tmp_path):
    make_voc(tmp_path / "VOCdevkit" / "VOC2011", VOC)
    make_sbd(tmp_path / "benchmark_RELEASE" / "dataset", SBD)
    return tmp_path


def test_the_splits(root):
    assert list_splits(root) == ["train", "val"] and not has_split(root, "test")
    train, val = open_dataset(root, "train"), open_dataset(str(root), "val")
    assert train.names == SBD["train"]
    assert val.names == ["d", "a", "c"]  # VOC's val less SBD's train, in VOC's order; SBD's val stays
    assert not {*train.names} & {*val.names}
    for data, split in ((train, "train"), (val, "val")):
        assert (data.name, data.split, len(data)) == ("voc_sbd", split, len(data.names))
    with pytest.raises(InputError, match=r"no split 'test'; there are: train, val\. Expected .the reference's setting"):
        open_dataset(root, "test")


def test_train_has_the_labels_of_sbd_and_val_those_of_voc(root):
    for split, void in (("train", False), ("val", True)):
        data = open_dataset(root, split)
        for i, name in enumerate(data.names):
            labels = voc_example(name)[1]
            np.testing.assert_array_equal(data[i][1], labels if void else np.where(labels == VOID, 0, labels))


def test_either_one_alone_is_itself(root):
    voc, sbd = open_dataset(root / "VOCdevkit", "val"), open_dataset(root / "benchmark_RELEASE", "val")
    assert (voc.name, voc.names) == ("voc", VOC["val"])
    assert (sbd.name, sbd.names) == ("sbd", SBD["val"])


def test_voc_2011_where_its_archive_puts_it(root):
    (root / "VOCdevkit").rename(root / "moved")
    (root / "TrainVal").mkdir()
    (root / "moved").rename(root / "TrainVal" / "VOCdevkit")
    data = open_dataset(root, "val")
    assert (data.name, data.names) == ("voc_sbd", ["d", "a", "c"])


def test_two_years_side_by_side_are_refused(root):
    make_voc(root / "VOCdevkit" / "VOC2012", VOC)
    with pytest.raises(InputError, match=r"holds VOCdevkit.VOC2011 and VOCdevkit.VOC2012"):
        open_dataset(root, "val")


def test_nothing_is_left_of_val(root):
    (root / "benchmark_RELEASE" / "dataset" / "train.txt").write_text("\n".join(VOC["val"]))
    with pytest.raises(InputError, match=r"all of VOC's val is in SBD's train.txt"):
        open_dataset(root, "val")


def test_check_data(root, capsys):
    assert main([str(root), "--allow-absent"]) == 0
    out = capsys.readouterr().out
    lines = {line.split()[0]: line.split()[1:] for line in reversed(out.splitlines()) if line}
    assert lines["train"][:2] == ["5", "0"] and lines["val"][:2] == ["3", "0"]
    assert lines["void"][1] == "0" and lines["void"][-1] == "3"  # pictures with void: none of train, all of val
    assert "names are in both" not in out


def test_a_network_learns_from_it(root):
    """Forty steps on pictures of different sizes, with void, at the reference's preprocessing; then a score on val."""
    preprocessing = Preprocessing("BGR", (104.00699, 116.66877, 122.67892), (60.0, 60.0, 60.0))
    train, val = open_dataset(root, "train"), open_dataset(root, "val")
    model = mf.models.fcn32s(len(train.classes), trunk=TINY, pad="same", seed=1)
    optimiser = mf.optim.SGD(model.parameters(), lr=0.05)
    loader = Loader(train, 2, preprocessing, Augmentation(flip=True), seed=2)
    losses = []
    for epoch in range(14):
        for x, labels in loader.epoch(epoch):
            loss = mf.softmax_cross_entropy(model(x), labels)
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
            losses.append(float(loss.data))
    assert len(losses) == 42 and losses[0] == pytest.approx(np.log(21), rel=1e-4)  # score layers start at zero
    assert np.mean(losses[-6:]) < 0.5 * losses[0]
    scores = mf.metrics.ConfusionMatrix(len(val.classes))
    for x, labels in Loader(val, 1, preprocessing, shuffle=False).epoch(0):
        with mf.no_grad():
            scores.update(labels, model(x).data.argmax(axis=3))
    assert scores.pixel_accuracy() > 0.4
    assert scores.counts.sum() == sum((val[i][1] != VOID).sum() for i in range(3))
