"""Checks softmax_cross_entropy by hand, against mf.softmax_cross_entropy, and by mf.gradcheck."""

import numpy as np

import minifcn as mf
from exercises.checking import Case, Part, answer, gradients, load, values


def truth(scores, labels, ignore):
    x = mf.Tensor(scores, requires_grad=True)
    loss = mf.softmax_cross_entropy(x, labels, ignore)
    loss.backward()
    return loss.data, x.grad


# --- slips ---


def pieces(scores, labels, ignore, axis=3, shift=True):
    """log p, the one-hot labels (0 at void pixels), the mask of labelled pixels, by plain formulas."""
    s = scores - scores.max(axis=3, keepdims=True) * shift
    log_p = s - np.log(np.exp(s).sum(axis=axis, keepdims=True))
    labelled = labels != ignore
    return log_p, np.eye(scores.shape[3])[np.where(labelled, labels, 0)] * labelled[..., None], labelled[..., None]


def scaled(loss_by, gradient_by):
    """The right sums, divided by something else. loss_by, gradient_by: (labels, ignore, L) -> number."""

    def wrong(scores, labels, ignore):
        loss, dscores = truth(scores, labels, ignore)
        n, rest = (labels != ignore).sum(), (labels, ignore, scores.shape[3])
        return loss * n / loss_by(*rest), dscores * n / gradient_by(*rest)

    return wrong


def labelled_pixels(labels, ignore, L):
    return (labels != ignore).sum()


def one(labels, ignore, L):
    return 1


def all_pixels(labels, ignore, L):
    return labels.size


def pictures(labels, ignore, L):
    return len(labels)


def entries(labels, ignore, L):
    return labels.size * L


def over(axis):
    """Softmax over another axis."""

    def wrong(scores, labels, ignore):
        log_p, right, labelled = pieces(scores, labels, ignore, axis, shift=False)
        n = labelled.sum()
        return -(log_p * right).sum() / n, (np.exp(log_p) - right) * labelled / n

    return wrong


def shifted(by, log_of_p=False, times_right=False):
    """by: scores -> what is subtracted from them. log_of_p: the loss is the log of p, as it stands. times_right: log p
    is multiplied by the one-hot labels."""

    def wrong(scores, labels, ignore):
        s = scores - by(scores)
        total = np.exp(s).sum(axis=3, keepdims=True)
        p = np.exp(s) / total if log_of_p else np.exp(s - np.log(total))
        log_p = np.log(p) if log_of_p else s - np.log(total)
        _, right, labelled = pieces(scores, labels, ignore)
        n = labelled.sum()
        loss = -(log_p * right if times_right else log_p[right == 1]).sum() / n
        return loss, np.where(labelled, p - right, 0) / n

    return wrong


def largest(scores):
    return scores.max(axis=3, keepdims=True)


def crossed(loss_by, gradient=False):
    """Each pixel is paired with the labels of all. loss_by: n -> what the sum of n x n numbers is divided by."""

    def wrong(scores, labels, ignore):
        log_p, right, labelled = pieces(scores, labels, ignore)
        label, n = labels[labels != ignore], labelled.sum()
        dscores = np.exp(log_p) - right
        if gradient:
            dscores = np.exp(log_p) - np.isin(np.arange(scores.shape[3]), label)
        return -log_p[labels != ignore][:, label].sum() / loss_by(n), dscores * labelled / n

    return wrong


def upside_down(scores, labels, ignore):
    loss, dscores = truth(scores, labels, ignore)
    return loss, -dscores


def probabilities(scores, labels, ignore):
    log_p, _, labelled = pieces(scores, labels, ignore)
    return truth(scores, labels, ignore)[0], np.exp(log_p) * labelled / labelled.sum()


def void_pulled(scores, labels, ignore):
    """At void pixels the gradient is p."""
    log_p, right, labelled = pieces(scores, labels, ignore)
    return truth(scores, labels, ignore)[0], (np.exp(log_p) - right) / labelled.sum()


def void_as_zero(loss=False, gradient=False):
    """In the loss, or in the gradient, void pixels count as class 0. The divisor is right."""

    def wrong(scores, labels, ignore):
        n = (labels != ignore).sum()
        right, counted = truth(scores, labels, ignore), void_as(0)(scores, labels, ignore)
        counted = [mean * labels.size / n for mean in counted]
        return counted[0] if loss else right[0], counted[1] if gradient else right[1]

    return wrong


def void_as(index):
    """Void pixels count as if they had the label `index`."""

    def wrong(scores, labels, ignore):
        return truth(scores, np.where(labels == ignore, index % scores.shape[3], labels), -1)

    return wrong


def positive(scores, labels, ignore):
    loss, dscores = truth(scores, labels, ignore)
    return -loss, dscores


def decimal(scores, labels, ignore):
    loss, dscores = truth(scores, labels, ignore)
    return loss / np.log(10), dscores


def without_label(scores, labels, ignore):
    """0 / 0 where nothing has a label."""
    loss, dscores = truth(scores, labels, ignore)
    return loss if (labels != ignore).any() else np.float64(np.nan), dscores


def without_label_at_all(scores, labels, ignore):
    loss, dscores = without_label(scores, labels, ignore)
    return loss, dscores if (labels != ignore).any() else np.full(scores.shape, np.nan)


# --- cases ---


def random(N, H, W, L, void, ignore=255):
    rng = np.random.default_rng(N * H + W)
    labels = rng.integers(0, L, (N, H, W))
    labels.ravel()[rng.permutation(labels.size)[:void]] = ignore
    return dict(scores=rng.standard_normal((N, H, W, L)), labels=labels, ignore=ignore)


LOG = np.log([1.0, 2, 5])
ONE = dict(scores=LOG.reshape(1, 1, 1, 3), labels=np.array([[[1]]]), ignore=255)
# exp gives 1, 2 and 5 of 8: p = 1/8, 1/4, 5/8; the label is 1
ONE_BACK = (np.log(4), np.array([1 / 8, 1 / 4 - 1, 5 / 8]).reshape(1, 1, 1, 3))
TWO = dict(scores=np.array([LOG, 0 * LOG]).reshape(1, 1, 2, 3), labels=np.array([[[1, 0]]]), ignore=255)
# the second pixel guesses among three
TWO_BACK = (
    (np.log(4) + np.log(3)) / 2,
    np.array([[1 / 8, 1 / 4 - 1, 5 / 8], [1 / 3 - 1, 1 / 3, 1 / 3]]).reshape(1, 1, 2, 3) / 2,
)
VOID = TWO | {"labels": np.array([[[1, 255]]])}
VOID_BACK = (np.log(4), np.array([[1 / 8, 1 / 4 - 1, 5 / 8], [0, 0, 0]]).reshape(1, 1, 2, 3))
EMPTY = TWO | {"labels": np.array([[[255, 255]]])}
EMPTY_BACK = (0.0, np.zeros((1, 1, 2, 3)))
LARGE = TWO | {"scores": np.array([[1000.0, 0, 1000], [0, 0, 0]]).reshape(1, 1, 2, 3), "labels": np.array([[[0, 1]]])}
LARGE_BACK = (
    (np.log(2) + np.log(3)) / 2,
    np.array([[1 / 2 - 1, 0, 1 / 2], [1 / 3, 1 / 3 - 1, 1 / 3]]).reshape(1, 1, 2, 3) / 2,
)

PAIRED = (
    "Each pixel is paired with the labels of all: p[:, label] is n x n. Pixel i has its own: p[np.arange(n), label]"
)

PART = Part(
    function="softmax_cross_entropy",
    results=("loss", "dscores"),
    truth=truth,
    cases=(
        Case("by hand: one pixel, exp of its scores 1, 2 and 5", ONE, ONE_BACK),
        Case("by hand: two pixels", TWO, TWO_BACK),
        Case("by hand: one of them void", VOID, VOID_BACK),
        Case("by hand: scores of 1000, and another pixel", LARGE, LARGE_BACK),
        Case("no pixel has a label", EMPTY, EMPTY_BACK),
        Case("two pictures, five classes, void pixels", random(2, 3, 4, 5, 6)),
        Case("as many classes as columns", random(2, 3, 3, 3, 2)),
        Case("void pixels labelled -1", random(1, 2, 3, 4, 2, ignore=-1)),
    ),
    slips={
        "The mean is missing, in loss and gradient: divide both by the number of labelled pixels.": scaled(one, one),
        "The mean is missing in the gradient: the loss is divided by n, so its gradient is, too.": (
            scaled(labelled_pixels, one)
        ),
        "The mean is missing in the loss: divide it by the number of labelled pixels.": scaled(one, labelled_pixels),
        "You divide by the number of all pixels. Void ones do not count: divide by the labelled ones.": (
            scaled(all_pixels, all_pixels)
        ),
        "You divide the gradient by all pixels, void ones as well. Divide by the labelled ones.": (
            scaled(labelled_pixels, all_pixels)
        ),
        "You divide by the number of pictures. Divide by the number of labelled pixels.": scaled(pictures, pictures),
        "The mean runs over classes as well (np.mean without an axis): divide by pixels, not by pixels times "
        "classes.": (scaled(entries, entries)),
        "The gradient is divided by pixels times classes. Divide by the labelled pixels.": (
            scaled(labelled_pixels, entries)
        ),
        "The sum of softmax is over the wrong axis, the columns: each pixel's probabilities add up to 1, so sum "
        "over the last axis, the classes.": over(2),
        "The sum of softmax is over the wrong axis, the rows: each pixel's probabilities add up to 1, so sum over the "
        "last axis, the classes.": over(1),
        "The sum of softmax is over the wrong axis, the pictures: sum over the last one, the classes.": over(0),
        "The sum of softmax is over all axes at once: each pixel has a sum of its own, over the last axis "
        "(keepdims=True keeps it ready to divide by).": over(None),
        "exp(1000) is infinite, and infinite by infinite is not a number. Subtract each pixel's largest score before "
        "you take exp: the probabilities stay the same.": shifted(lambda scores: 0, log_of_p=True),
        "exp(1000) is infinite, and so is the log of a sum that it is in. Subtract each pixel's largest score before "
        "you take exp: the probabilities stay the same.": shifted(lambda scores: 0),
        "You subtract the largest score of all pixels. Where all scores of a pixel are far below it, each exp is 0, "
        "and so is their sum. Subtract each pixel's own largest.": shifted(np.max),
        "You subtract the largest score of all pixels. Where all scores of a pixel are far below it, p is 0 / 0. "
        "Subtract each pixel's own largest.": shifted(np.max, log_of_p=True),
        "p of another class is 0, its log is minus infinity, and 0 times that is not a number. Take the log of p at "
        "the label alone, or log p as s - max - log(sum).": shifted(largest, log_of_p=True, times_right=True),
        f"{PAIRED}.": crossed(lambda n: n),
        f"{PAIRED}, before the mean.": crossed(lambda n: n * n),
        f"{PAIRED}, in loss and gradient.": crossed(lambda n: n, gradient=True),
        "The gradient has the wrong sign. It is p - [l = label]: negative for the label, whose score should grow.": (
            upside_down
        ),
        "The 1 at the label is missing: your gradient is p alone, it should be p - [l = label].": probabilities,
        "Void pixels get a gradient. Nothing is known about them: it is 0 there.": void_pulled,
        "Void pixels count as class 0. Leave them out of the sum, of its divisor and of the gradient.": void_as(0),
        "Void pixels are in the sum of the loss, with label 0. Leave them out.": void_as_zero(loss=True),
        "Void pixels have a gradient, that of label 0. Nothing is known about them: it is 0 there.": (
            void_as_zero(gradient=True)
        ),
        "Void pixels are left out of the divisor alone. Leave them out of the loss and the gradient as well.": (
            void_as_zero(loss=True, gradient=True)
        ),
        "Void pixels count as the last class (has the label become -1?). Leave them out of the sum, of its divisor and "
        "of the gradient.": void_as(-1),
        "255 is written into your code. Void is what the argument `ignore` says.": (
            lambda scores, labels, ignore: truth(scores, np.where(labels == 255, 255, labels % scores.shape[3]), 255)
        ),
        "The loss has the wrong sign: log of a probability is negative, and the loss is -log p[label].": positive,
        "The logarithm has base 10. It is the natural one, np.log.": decimal,
        "Without a labelled pixel you divide 0 by 0. Then the loss is 0, and so is the gradient.": without_label,
        "Without a labelled pixel you divide by 0. Then the loss is 0, and so is the whole gradient.": (
            without_label_at_all
        ),
    },
)


def steps(folder):
    student = load(folder / "softmax_cross_entropy.py")
    yield from values(student, PART)
    args = random(1, 3, 4, 3, 2)
    scores, rest = args.pop("scores"), args
    yield gradients(
        lambda x: answer(student, PART, scores=x, **rest)[0],
        lambda x, dy: answer(student, PART, scores=x, **rest)[1] * dy,
        [scores],
    )
