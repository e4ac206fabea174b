"""The loss and its gradient. Taking m from all scores of a pixel divides exp(s) and their sum by exp(m): p stays."""

import numpy as np


def softmax_cross_entropy(scores, labels, ignore):
    """scores (N,H,W,L), labels (N,H,W) ints 0 .. L-1 or ignore -> loss (a number), dscores (N,H,W,L)."""
    labelled = labels != ignore  # (N, H, W)
    dscores = np.zeros(scores.shape)
    n = labelled.sum()
    if n == 0:
        return 0.0, dscores
    s, label = scores[labelled], labels[labelled]  # (n, L), (n,)
    s = s - s.max(axis=1, keepdims=True)
    log_p = s - np.log(np.exp(s).sum(axis=1, keepdims=True))  # (n, L)
    loss = -log_p[np.arange(n), label].sum() / n
    ds = np.exp(log_p)
    ds[np.arange(n), label] -= 1
    dscores[labelled] = ds / n
    return loss, dscores
