"""Median-frequency balancing, by hand on labels small enough to count."""

import numpy as np
import pytest

from minifcn.datasets.dataset import Dataset, median_frequency_weights
from minifcn.errors import InputError

VOID = 255


def labels_only(classes, *labels):
    """A data set of labels only."""
    arrays = [np.array(rows, np.uint8) for rows in labels]
    names, palette = [f"{i}" for i in range(len(arrays))], np.zeros((classes, 3), np.uint8)
    read = [(np.zeros((*array.shape, 3), np.uint8), array) for array in arrays].__getitem__
    return Dataset("by hand", "train", [f"class {label}" for label in range(classes)], palette, names, read)


def test_by_hand():
    """Class 0: 6 of 8 and 2 of 4 pixels; class 1: 2 of 8; class 2: 2 of 4, in the second picture alone."""
    data = labels_only(3, [[0, 0, 0, 0], [0, 0, 1, 1]], [[0, 0], [2, 2]])
    # frequencies 8/12 = 2/3, 2/8 = 1/4, 2/4 = 1/2: the median is 1/2
    weights = median_frequency_weights(data)
    np.testing.assert_allclose(weights, [3 / 4, 2, 1], rtol=1e-6)
    assert weights.dtype == np.float32


def test_void_counts_nowhere_and_an_absent_class_weighs_nothing():
    """Of the first picture 3 pixels are labelled, of the second none, of the third 4."""
    data = labels_only(4, [[0, 0, VOID], [3, VOID, VOID]], [[VOID, VOID]], [[1, 1], [1, 0]])
    # frequencies: class 0 (2 + 1) / (3 + 4) = 3/7, class 1 3/4, class 3 1/3; class 2 never occurs; the median is 3/7
    np.testing.assert_allclose(median_frequency_weights(data), [1, 4 / 7, 0, 9 / 7], rtol=1e-6)


def test_equal_shares_need_no_balance():
    np.testing.assert_array_equal(median_frequency_weights(labels_only(2, [[0, 1]], [[1, 0]])), [1, 1])


def test_the_median_of_an_even_number_of_classes_is_between_two():
    """Frequencies 3/4 and 1/4, median 1/2."""
    np.testing.assert_allclose(median_frequency_weights(labels_only(2, [[0, 0], [0, 1]])), [2 / 3, 2], rtol=1e-6)


@pytest.mark.parametrize("labels", [[], [[[VOID]]]])
def test_nothing_labelled(labels):
    with pytest.raises(InputError, match="by hand train: no labelled pixel in any picture"):
        median_frequency_weights(labels_only(2, *labels))
