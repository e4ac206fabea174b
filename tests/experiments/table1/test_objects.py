"""Objects of a map, how much of each was found, and recall by their sizes."""

import json
from itertools import pairwise

import numpy as np
import pytest
from made_up_sizes import Pictures, in_strides, of, runs

from experiments.table1 import objects as things
from experiments.table1.objects import BINS, EDGES, bin_of, measure, objects, recall_curves, sums
from minifcn import models

_ = 255

TRUTH = np.array(
    [
        [1, 1, 0, 0, 2, 2],
        [1, 1, 0, 0, 2, 2],
        [0, 0, 1, 0, _, _],
        [0, 0, 0, 0, 2, 2],
        [1, 0, 2, _, 2, 2],
        [1, 2, 0, 0, 0, 0],
    ],
    np.uint8,
)


@pytest.fixture
def all_sizes(monkeypatch):
    monkeypatch.setattr(things, "EDGES", 2.0 ** (np.arange(BINS + 1) / 2))


def area(thing):
    return round(np.pi / 4 * thing.diameter**2, 9)


def test_objects_of_a_map(all_sizes):
    predicted = TRUTH.copy()
    predicted[0, 0] = 0
    predicted[3:5, 4] = 1
    predicted[5] = 1
    found = {(x.label, area(x), x.recall) for x in objects(TRUTH, predicted, (1, 2))}
    # class 1: a square with a pixel at its corner, one of 5 lost, and a column of 2, found. Class 2: a square, found;
    # a square below the void with half of it lost; two pixels that touch at a corner, one lost
    assert found == {(1, 5, 0.8), (1, 2, 1.0), (2, 4, 1.0), (2, 4, 0.5), (2, 2, 0.5)}
    assert objects(TRUTH, predicted, (1,)) == [x for x in objects(TRUTH, predicted, (1, 2)) if x.label == 1]


def test_small_objects_are_left_out_and_a_diameter_is_that_of_a_disc():
    labels = np.zeros((9, 9), np.uint8)
    labels[:4, :3] = 1  # 12 pixels: 3.9 across
    labels[5:, 5:8] = 1
    labels[8, 8] = 1  # 13: 4.07
    (found,) = objects(labels, labels, (1,))
    assert (area(found), found.recall) == (13, 1) and found.diameter == pytest.approx(4.068, abs=1e-3)


def test_bins_are_half_octaves_from_4_to_1024():
    np.testing.assert_allclose(EDGES[[0, 1, 2, 16]], [4, 5.657, 8, 1024], atol=1e-3)
    assert [bin_of(d) for d in (4, 5.6, 5.7, 7.99, 8, 1023, 5000)] == [0, 0, 1, 1, 2, 15, 15]


def test_sums_of_objects():
    found = [
        things.Object(2, 2 * np.sqrt(20 / np.pi), 0.5),
        things.Object(2, 2 * np.sqrt(21 / np.pi), 1.0),
        things.Object(1, 2 * np.sqrt(20 / np.pi), 0.25),
        things.Object(2, 2 * np.sqrt(60 / np.pi), 1.0),
    ]
    assert sums(found, ["x", "car", "sign"]) == [["car", 0, 1, 0.25], ["sign", 0, 2, 1.5], ["sign", 2, 1, 1.0]]


def test_a_network_is_measured_picture_by_picture(monkeypatch):
    maps = np.zeros((2, 40, 48), np.uint8)
    maps[0, 4:20, 4:20] = 1
    maps[1, 4:20, 4:20] = 2
    maps[1, 30:34, 30:34] = 2
    seen = []

    def predict(model, picture):
        seen.append((model, picture.shape, picture.dtype))
        out = np.where(np.arange(48) < 12, 1, 2)[None] * np.ones((40, 1), int)
        return out.astype(np.uint8)

    monkeypatch.setattr(things, "predict", predict)
    model = models.fcn16s(3, trunk="vgg_quarter")
    record = measure(model, Pictures(*maps), seed=4)
    assert seen == [(model, (40, 48, 3), np.uint8)] * 2
    expected = [["b", 4, 1, 0.5], ["c", 0, 1, 1.0], ["c", 4, 1, 0.5]]
    background = [row for row in record["pixels"] if row[0] == "a"]
    assert sum(row[2] for row in background) == 2 and record["pixels"][len(background) :] == expected
    assert record == {"network": "fcn16s", "stride": 16, "seed": 4, "data": "maps", "pixels": record["pixels"]}
    assert json.loads(json.dumps(record)) == record
    assert measure(model, sizes(maps), 4)["pixels"] == [
        ["car", 4, 1, 0.5],
        ["sign", 0, 1, 1.0],
        ["sign", 4, 1, 0.5],
    ]


def test_which_classes_are_objects():
    assert things.wanted(Pictures()) == [0, 1, 2]
    assert things.wanted(sizes([])) == [1, 3, 2]
    one_s_own = Pictures(classes=("background", "red", "car"))
    one_s_own.name = "camvid"  # the folder's
    assert things.wanted(one_s_own) == [1, 2]


def sizes(maps):
    data = Pictures(*maps, classes=("road", "car", "sign", "person"))
    data.name = "toytown_sizes"
    return data


def test_curves_pool_the_classes_and_keep_the_bins_that_all_seeds_have():
    first = of("fcn16s", ["car", 2, 10, 0.0], ["sign", 2, 10, 10.0], ["car", 3, 20, 20.0], ["car", 4, 19, 19.0])
    second = of("fcn16s", ["car", 2, 40, 10.0], ["car", 4, 60, 60.0], seed=1)
    curves = recall_curves([second, first, of("fcn32s", ["car", 2, 20, 4.0])], relative=False)
    assert list(curves) == ["fcn32s", "fcn16s"]
    middles, recall = curves["fcn16s"]
    assert recall.tolist() == [[0.5], [0.25]] and middles == pytest.approx([8 * 2**0.25])
    middles, recall = recall_curves([first, second], relative=True)["fcn16s"]
    assert recall.tolist() == [[0.5], [0.25]] and middles == pytest.approx([8 * 2**0.25 / 16])


def test_the_same_middles_in_strides_for_all_networks():
    curves = recall_curves(runs(in_strides, seeds=(0,)), relative=True)
    middles = [set(np.log2(x).round(3).tolist()) for x, _ in curves.values()]
    for one, other in pairwise(middles):
        assert len(one & other) >= 6
