"""Predicted classes and their counts on the GPU."""

import numpy as np

from . import cuda


def argmax(scores):
    """The highest-scoring class of each pixel, of equal ones the first: scores (N,H,W,L), L <= 256 -> uint8 (N,H,W)."""
    scores = cuda.xp.ascontiguousarray(scores)
    *shape, L = scores.shape
    P = scores.size // L
    classes = cuda.xp.empty(shape, np.uint8)
    cuda.launch("argmax", (-(-P // (cuda.THREADS // 32)),), (cuda.THREADS,), (scores, classes, P, L))
    return classes


def confusion_counts(labels, predictions, num_classes, ignore_label):
    """counts (L,L) int64 on the host: counts[i, j] pixels labelled i were predicted as j, without ignore_label.

    labels: integers on the host; predictions: uint8 on the device, of the same shape. Raises ValueError where a
    labelled pixel has a label or prediction outside 0 .. L-1.
    """
    L = num_classes
    labels, predictions = cuda.asarray(labels.astype(np.int32)), cuda.xp.ascontiguousarray(predictions)
    counts = cuda.xp.asnumpy(count(labels, predictions, L, int(ignore_label))).astype(np.int64)
    if counts[-1] > 0:
        raise ValueError(f"labels, predictions: expected 0..{L - 1}, received {counts[-1]} pixels with another value")
    return counts[:-1].reshape(L, L)


def count(labels, predictions, L, ignore_label):
    """The counts, uint64 (L L,) and one more for pixels with another value; all arrays on the device."""
    counts = cuda.xp.zeros(L * L + 1, np.uint64)
    blocks = min(cuda.BLOCKS, -(-labels.size // cuda.THREADS))
    args = (labels, predictions, counts, labels.size, L, ignore_label)
    cuda.launch("confusion", (blocks,), (cuda.THREADS,), args)
    return counts
