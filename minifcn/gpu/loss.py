"""Softmax cross-entropy on the GPU, loss and gradient in one pass over the pixels."""

import numpy as np

from . import cuda


def cross_entropy(scores, labels, class_weight, ignore_label):
    """Return (loss, weight, dscores) over pixels: scores (P,L), labels (P,) integers, class_weight (L,) or None.

    loss = sum over labelled pixels of weight[label] * -log softmax(scores)[label], and weight the sum of the weights,
    both float64; dscores (P,L) = d loss / d scores. Pixels with ignore_label count nothing. labels and class_weight are
    host arrays.
    """
    scores = cuda.xp.ascontiguousarray(scores)
    labels = cuda.asarray(labels.astype(np.int32))
    weights = cuda.xp.ones(scores.shape[1], scores.dtype) if class_weight is None else cuda.asarray(class_weight)
    sums, dscores = partial_sums(scores, labels, weights, int(ignore_label))
    loss, weight = cuda.xp.asnumpy(sums).sum(axis=0)
    return loss, weight, dscores


def partial_sums(scores, labels, class_weight, ignore_label):
    """Return (loss, weight) of each block of pixels, float64 (blocks,2), and dscores; all arrays on the device."""
    P, L = scores.shape
    dscores = cuda.xp.empty((P, L), scores.dtype)
    blocks = min(cuda.BLOCKS, -(-P // (cuda.THREADS // 32)))  # by the shape alone, so that sums are always cut alike
    sums = cuda.xp.empty((blocks, 2), np.float64)
    args = (scores, labels, class_weight, dscores, sums, P, L, ignore_label)
    cuda.launch("cross_entropy", (blocks,), (cuda.THREADS,), args)
    return sums, dscores
