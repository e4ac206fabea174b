"""Softmax cross-entropy in NumPy, loss and gradient in one pass over blocks of pixels."""

import numpy as np

from ..sizes import strips
from .threads import parallel

PIXELS = 1 << 14  # a block


def cross_entropy(scores, labels, class_weight, ignore_label):
    """Return (loss, weight, dscores) over pixels: scores (P,L), labels (P,) integers, class_weight (L,) or None.

    loss = sum over labelled pixels of weight[label] * -log softmax(scores)[label], and weight the sum of the weights,
    both float64; dscores (P,L) = d loss / d scores. Pixels with ignore_label count nothing.
    """
    P, L = scores.shape
    dscores = np.empty_like(scores)

    def work(block):
        s = np.array(scores[block].T, order="C")  # (L, pixels), a copy: reductions over classes become long loops
        label = labels[block]
        labelled = label != ignore_label
        s[:, ~labelled] = 0  # whatever the scores are there, even NaN
        label = np.where(labelled, label, 0)
        weight = labelled.astype(s.dtype) if class_weight is None else class_weight[label] * labelled
        pixel = np.arange(s.shape[1])
        s -= s.max(axis=0)
        own = s[label, pixel]
        np.exp(s, out=s)
        total = s.sum(axis=0)
        nll = np.log(total) - own  # -log softmax of the label's own class
        s *= weight / total  # softmax, weighted
        s[label, pixel] -= weight
        dscores[block] = s.T
        return (nll[labelled] * weight[labelled]).sum(dtype=np.float64), weight.sum(dtype=np.float64)

    loss, weight = np.sum([(0.0, 0.0), *parallel(work, strips(P, PIXELS))], axis=0)  # also of no pixels
    return loss, weight, dscores
