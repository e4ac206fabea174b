"""Predicted classes and their counts in NumPy."""

import numpy as np


def argmax(scores):
    """The highest-scoring class of each pixel, of equal ones the first: scores (N,H,W,L), L <= 256 -> uint8 (N,H,W)."""
    return scores.argmax(axis=3).astype(np.uint8)


def confusion_counts(labels, predictions, num_classes, ignore_label):
    """counts (L,L) int64: counts[i, j] pixels labelled i were predicted as j, without the pixels of ignore_label.

    labels, predictions: integers of one shape; labels in 0 .. L-1 or ignore_label. Raises ValueError where a labelled
    pixel has a prediction outside 0 .. L-1.
    """
    L, labelled = num_classes, labels != ignore_label
    true, predicted = labels[labelled], predictions[labelled]
    for value in (int(predicted.min()), int(predicted.max())) if predicted.size else ():
        if not 0 <= value < L:
            raise ValueError(f"prediction value {value}: expected 0 to {L - 1}")
    # both checked before the cast, which could wrap
    return np.bincount(true.astype(np.int64) * L + predicted.astype(np.int64), minlength=L * L).reshape(L, L)
