"""Softmax cross-entropy over the pixels of score maps.

    p = softmax(s),  p[l] = exp(s[l]) / sum over j of exp(s[j])         for each pixel's scores s (L,)
    loss = sum over labelled pixels of  cw[label] * -log p[label]       divided by sum of cw[label] for "mean"
    ds[l] = cw[label] (p[l] - [l = label])                              divided alike; 0 at pixels without a label

    scores (N,H,W,L)   0.1 2.0 0.3   label 1   ->  -log p[1]
                       1.0 0.2 0.1   label 255 ->  nothing: void

Long, Shelhamer, Darrell 2015, section 3: the loss is a sum over the spatial dimensions. Caffe's reference solvers use
that sum ("sum"); a mean over labelled pixels does not depend on the picture's size ("mean").
"""

import numpy as np

from .. import device
from ..autograd import Function, Tensor
from .checks import check_labels, fit, one_of


class SoftmaxCrossEntropy(Function):
    def forward(self, scores):
        flat = scores.reshape(-1, scores.shape[3])  # (N H W, L)
        cw = None if self.class_weight is None else self.class_weight.astype(scores.dtype)
        loss, weight, dscores = device.of(scores).cross_entropy(flat, self.labels.reshape(-1), cw, self.ignore_label)
        self.divisor = 1.0 if self.reduction == "sum" or weight == 0 else weight
        self.dscores = dscores.reshape(scores.shape)  # (N, H, W, L)
        return device.of(scores).asarray(loss / self.divisor, scores.dtype)  # ()

    def backward(self, dy):
        # --- dscores --- computed with the loss; dy is one number
        self.dscores *= dy / dy.dtype.type(self.divisor)
        return (self.dscores,)


def softmax_cross_entropy(scores, labels, ignore_label=255, class_weight=None, reduction="mean") -> Tensor:
    """Return the cross-entropy between softmax(scores) and labels, a single number of the scores' dtype.

    scores (N,H,W,L) float32 or float64; labels (N,H,W) of any integer dtype, in 0 .. L-1 or ignore_label; class_weight
    (L,) non-negative numbers or None. reduction "mean" divides by the number of labelled pixels (by the sum of their
    weights, if weighted), "sum" does not. Without a labelled pixel the loss is 0 and so is its gradient.
    Raises ValueError for shapes, labels or weights that do not fit, TypeError for labels that are not integers.
    """
    op, cw, labels = "softmax_cross_entropy", class_weight, np.asarray(labels)
    scores, labels, cw = fit(op, scores=(scores, "N H W L"), labels=(labels, "N H W"), class_weight=(cw, "L or None"))
    check_labels(f"{op}: labels", labels, scores.shape[3], ignore_label)
    one_of(f"{op}: reduction", reduction, ("mean", "sum"))
    if cw is not None and not (cw.dtype.kind in "biuf" and np.isfinite(cw).all() and (cw >= 0).all()):
        raise ValueError(f"{op}: class_weight: expected finite numbers >= 0, received {cw}")
    return SoftmaxCrossEntropy(labels=labels, ignore_label=ignore_label, class_weight=cw, reduction=reduction)(scores)
