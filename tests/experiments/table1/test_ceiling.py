"""The truth made coarser and upsampled again: small maps by hand."""

import json

import numpy as np
import pytest
from made_up_sizes import Pictures

from experiments.table1.stride import between, by_nearest, by_shares, ceiling, without_void

_ = 255


def test_nearest_takes_the_class_of_the_middle():
    labels = np.array([[0, 0, 1, 1, 2], [0, 1, 1, 2, 2], [2, 2, 0, 0, 1]], np.uint8)
    np.testing.assert_array_equal(by_nearest(labels, 2), [[1, 1, 2, 2, 2], [1, 1, 2, 2, 2], [2, 2, 0, 0, 1]])
    np.testing.assert_array_equal(by_nearest(labels, 3), [[1, 1, 1, 2, 2]] * 3)  # column 4, where column 4 is the last
    np.testing.assert_array_equal(by_nearest(labels, 1), labels)


def test_void_takes_the_nearest_class():
    labels = np.array([[0, 0, 1, _], [0, _, _, 1]], np.uint8)
    np.testing.assert_array_equal(without_void(labels), [[0, 0, 1, 1], [0, 0, 1, 1]])
    assert (without_void(np.array([[_, _, _, 2]], np.uint8)) == 2).all()
    np.testing.assert_array_equal(without_void(np.array([[0, 7]]), ignore_label=7), [[0, 0]])


def test_shares_take_the_majority_where_all_cells_agree():
    labels = np.tile(np.array([[0, 1], [1, 1]], np.uint8), (3, 4))
    assert (by_shares(labels, 2, 2) == 1).all()
    labels[labels == 1] = _  # three quarters void: what is left decides
    assert (by_shares(labels, 2, 2) == 0).all()


def test_shares_are_interpolated_bilinearly():
    """One row of cells of 4: shares of class 1 are 1, 1/4, 0, at the middles 1.5, 5.5, 9.5: 1/2 at x = 4.17.

    x        0  1  2     3     4     5     6      7       8
    share    1  1  0.906 0.719 0.531 0.344 0.219  0.156   ...
    """
    row = [1, 1, 1, 1, 1, 0, 0, 0, 0, 0, 0, 0]
    np.testing.assert_array_equal(by_shares(np.array([row] * 4, np.uint8), 4, 2), [[1] * 5 + [0] * 7] * 4)
    np.testing.assert_array_equal(by_shares(np.array([row] * 4, np.uint8).T.copy(), 4, 2).T, [[1] * 5 + [0] * 7] * 4)
    low, high, t = between(12, 4)
    assert (low[4], high[4], t[4]) == (0, 1, 0.625) and 1 - 0.625 * (1 - 0.25) == 0.53125
    assert t[0] == 0 and low[11] == high[11] == 2


def test_shares_leave_void_out_of_the_area():
    """Cells of 2: class 1 has 1 of 1 labelled pixels, then 0 of 4. At x = 1 its share is 3/4, at x = 2 1/4."""
    labels = np.array([[1, _, 0, 0], [_, _, 0, 0]], np.uint8)
    np.testing.assert_array_equal(by_shares(labels, 2, 2), [[1, 1, 0, 0]] * 2)


def test_shares_of_ragged_maps():
    labels = np.arange(15).reshape(3, 5).astype(np.uint8) % 3
    assert by_shares(labels, 4, 3).shape == (3, 5)
    np.testing.assert_array_equal(by_shares(labels, 1, 3), labels)
    assert (by_shares(labels, 64, 3) == 0).all()  # five of each: the first


def test_the_ceiling_of_a_checkerboard():
    """Squares of 4, whole at factors 2 and 4. At 8 all cells are alike, and one class of two is left."""
    board = np.kron(np.indices((4, 4)).sum(0) % 2, np.ones((4, 4), int))
    found = ceiling(Pictures(board, classes=("a", "b")), (2, 4, 8))
    assert (found["data"], found["split"], found["pictures"]) == ("maps", "val", 1)
    scores = {factor: (nearest, shares) for factor, nearest, shares in found["jaccard"]}
    assert scores[2][0] == scores[4][0] == 1
    assert scores[8] == (0.25, 0.25)  # half of the pixels of the class that is left, nothing of the other
    assert scores[4][1] == scores[2][1] == 1  # even in a corner its own share of the four cells is 0.53
    json.dumps(found)


def test_the_ceiling_is_of_one_matrix_over_the_set_and_drops_void():
    halves = np.repeat([[0, 1]], 4, 0).repeat(4, 1)  # 4 x 8
    mostly = np.array([[0, 0, 0, 1, 1, 1, 1, 1]] * 4)
    void = np.full((4, 8), _)
    found = ceiling(Pictures(halves, mostly, void, classes=("a", "b")), (4,))
    # nearest: column 2 of each cell of 4, so of `mostly` column 3 alone is wrong: 4 pixels of 64
    assert found["jaccard"][0][1] == pytest.approx((28 / 32 + 32 / 36) / 2)
    void_middle = halves.copy()
    void_middle[2, 2] = _  # its neighbours stand in; a void prediction would count nothing, or as a class of its own
    (row,) = ceiling(Pictures(void_middle, classes=("a", "b")), (4,))["jaccard"]
    assert row == [4, 1, 1] and by_nearest(without_void(void_middle), 4).max() == 1
    wrong = np.array([[0, 0, 0, 0], [0, 0, 0, 0], [1, 1, _, 1], [1, 1, 1, 1]])
    assert ceiling(Pictures(wrong, classes=("a", "b")), (4,))["jaccard"][0][1] == pytest.approx(7 / 15 / 2)
    halves[:, 3] = mostly[:, 3] = _
    assert ceiling(Pictures(halves, mostly, classes=("a", "b")), (4,))["jaccard"][0][1] == 1
