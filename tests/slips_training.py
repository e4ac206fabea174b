"""What slips in the loss and in SGD look like, as slips.py has them for layers; test_mutants plants them."""

import numpy as np


def loss_counts_ignored(original):
    def wrong(scores, labels, class_weight, ignore_label):
        loss, weight, dscores = original(scores, labels, class_weight, ignore_label)
        return loss, weight + (labels == ignore_label).sum(), dscores

    return wrong


def loss_teaches_ignored(original):
    """Ignored pixels count nothing in the loss, but their softmax stays in the gradient."""

    def wrong(scores, labels, class_weight, ignore_label):
        loss, weight, dscores = original(scores, labels, class_weight, ignore_label)
        dscores[labels == ignore_label] = 1 / scores.shape[1]
        return loss, weight, dscores

    return wrong


def loss_divides_by_pixels(original):
    """The class weights are forgotten in the divisor."""

    def wrong(scores, labels, class_weight, ignore_label):
        loss, _, dscores = original(scores, labels, class_weight, ignore_label)
        return loss, float((labels != ignore_label).sum()), dscores

    return wrong


def loss_gradient_unweighted(original):
    def wrong(scores, labels, class_weight, ignore_label):
        loss, weight, _ = original(scores, labels, class_weight, ignore_label)
        return loss, weight, original(scores, labels, None, ignore_label)[2]

    return wrong


def loss_without_max_shift(original):
    def wrong(scores, labels, class_weight, ignore_label):
        _, weight, dscores = original(scores, labels, class_weight, ignore_label)
        labelled = labels != ignore_label
        cw = np.ones(scores.shape[1]) if class_weight is None else class_weight
        s, label = scores[labelled].astype(np.float64), labels[labelled]
        nll = np.log(np.exp(s).sum(axis=1)) - s[np.arange(len(s)), label]
        return (cw[label] * nll).sum(), weight, dscores

    return wrong


def loss_alters_scores(original):
    def wrong(scores, labels, class_weight, ignore_label):
        found = original(scores, labels, class_weight, ignore_label)
        scores -= scores.max(axis=1, keepdims=True)
        return found

    return wrong


def sgd_with(change):
    def spoil(original):
        def wrong(w, dw, v, lr, momentum, weight_decay):
            change(original, w, dw, v, lr, momentum, weight_decay)

        return wrong

    return spoil


def decay_outside_momentum(original, w, dw, v, lr, momentum, weight_decay):
    w *= w.dtype.type(1 - lr * weight_decay)
    original(w, dw, v, lr, momentum, 0.0)


def damped(original, w, dw, v, lr, momentum, weight_decay):
    """As an average of gradients would be kept: v (1 - momentum)."""
    original(w, dw, v, lr, momentum, weight_decay)
    v *= w.dtype.type(1 - momentum)


def nesterov(original, w, dw, v, lr, momentum, weight_decay):
    decayed = dw + w.dtype.type(weight_decay) * w
    original(w, dw, v, lr, momentum, weight_decay)
    w -= w.dtype.type(lr) * (decayed + w.dtype.type(momentum) * v - v)


def bias_decays(original):
    def wrong(self, *args, **options):
        original(self, *args, **options)
        self.bias_decay = True

    return wrong


def bias_lr_forgotten(original):
    def wrong(self, *args, **options):
        original(self, *args, **options)
        self.bias_lr = 1.0

    return wrong
