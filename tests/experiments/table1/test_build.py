"""The pictures of scenes, read back from their colours."""

import numpy as np

from experiments.table1.build import labels_of
from minifcn import figures


def test_colours_give_back_the_labels():
    palette = np.array([[0, 0, 0], [200, 30, 40], [10, 220, 50]], np.uint8)
    labels = np.array([[0, 1, 255], [2, 2, 1]], np.uint8)
    np.testing.assert_array_equal(labels_of(figures.colourise(labels, palette), palette), labels)
