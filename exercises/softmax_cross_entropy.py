"""Exercise 4: the loss, and its gradient.          Check it: python -m exercises softmax_cross_entropy

Each pixel has L scores s and a label. Softmax makes probabilities of the scores:

    p[l] = exp(s[l]) / sum over j of exp(s[j])

The loss of a pixel is -log p[label]. The loss of all is the mean over the pixels that have a label. Those labelled
`ignore` (void) count neither in the sum nor in the number that it is divided by. With n labelled pixels the gradient is

    dscores[l] = (p[l] - [l = label]) / n       at a labelled pixel, [l = label] is 1 for the label and 0 otherwise
    dscores[l] = 0                              at a void pixel

If no pixel has a label, the loss is 0, and so is the gradient.

How: exp(1000) is infinite. Subtract each pixel's largest score first: p stays the same. (Why?) Void labels are no
indices: replace them before you look anything up, or choose the labelled pixels first (labels != ignore is a mask).
"""

import numpy as np


def softmax_cross_entropy(scores, labels, ignore):
    """scores (N,H,W,L), labels (N,H,W) ints 0 .. L-1 or ignore -> loss (a number), dscores (N,H,W,L)."""
    raise NotImplementedError
