"""Parts of a data set, and a data set at another scale."""

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
from small_data import make_set

from minifcn.datasets import open_dataset
from minifcn.datasets.dataset import hold_out, scaled, thinned


@pytest.fixture(scope="module")
def train_set(tmp_path_factory):
    return open_dataset(make_set(tmp_path_factory.mktemp("set") / "shapes", [("train", 23)]), "train")


def same(a, b):
    return all(np.array_equal(x, y) for x, y in zip(a, b, strict=True))


def test_the_last_tenth_is_held_out(train_set):
    kept, held_out = hold_out(train_set)
    assert kept.names == train_set.names[:20] and held_out.names == train_set.names[20:]
    assert len(kept) == 20 and len(held_out) == 3  # 2.3, rounded up
    assert same(held_out[1], train_set[21]) and not same(held_out[1], train_set[1])
    assert (kept.name, kept.split, kept.classes) == (train_set.name, "train", train_set.classes)
    np.testing.assert_array_equal(kept.palette, train_set.palette)


def test_of_more_than_a_thousand_the_last_hundred_are_held_out(train_set):
    kept, held_out = hold_out(replace(train_set, names=[f"{i:04}" for i in range(1001)]))
    assert (len(kept), len(held_out), held_out.names[0]) == (901, 100, "0901")


@pytest.mark.parametrize(
    "fraction, expected", [(0.5, [0, 2, 4, 6, 8, 10, 12, 14, 16, 18, 20]), (0.25, [0, 4, 8, 12, 16])]
)
def test_a_share_is_spread_evenly(train_set, fraction, expected):
    part = thinned(train_set, fraction)
    assert part.names == [train_set.names[i] for i in expected]
    assert same(part[3], train_set[expected[3]])


def test_shares_that_are_halved_lie_in_each_other(train_set):
    parts = [set(thinned(train_set, fraction).names) for fraction in (1.0, 0.5, 0.25, 0.125)]
    assert all(small < large for large, small in pairwise(parts))
    assert len(thinned(train_set, 0.001)) == 1


def test_scaled_pictures_are_smoothed_and_labels_are_not(train_set):
    picture, labels = train_set[0]  # (32, 40)
    half = scaled(train_set, 0.5)
    small, small_labels = half[0]
    assert small.shape == (16, 20, 3) and small_labels.shape == (16, 20) and len(half) == 23
    assert set(np.unique(small_labels)) <= set(np.unique(labels))
    means = picture.reshape(16, 2, 20, 2, 3).astype(float).mean((1, 3))
    assert abs(small - means).mean() < abs(picture[::2, ::2] - means).mean() / 2
    assert scaled(train_set, 1.0) is train_set


def test_views_of_views(train_set):
    kept, _ = hold_out(scaled(train_set, 0.5))
    assert thinned(kept, 0.5)[1][0].shape == (16, 20, 3) and thinned(kept, 0.5).names[1] == train_set.names[2]
