"""The four scores of the paper (section 5), from one confusion matrix over the whole set.

With n_ij the number of pixels of true class i predicted as class j, and t_i = sum_j n_ij:

    pixel accuracy               sum_i n_ii / sum_i t_i
    mean accuracy                mean_i n_ii / t_i                               over classes that occur
    Jaccard (mean IU)            mean_i n_ii / (t_i + sum_j n_ji - n_ii)         over classes whose union is not empty
    frequency-weighted Jaccard   sum_i t_i IU_i / sum_i t_i

                      predicted j
                   sky road car
             sky  [ 50   2   0 ]     IU_sky = 50 / (52 + 51 - 50): the cross through n_ii, counted once
     true i  road [  1  40   3 ]
             car  [  0   4   9 ]     void pixels are in no cell
"""

import math

import numpy as np

from . import device
from .errors import printable
from .ops.checks import check_labels, whole

SCORES = {  # method -> title in a table
    "jaccard": "Jaccard (mean IU)",
    "pixel_accuracy": "pixel accuracy",
    "mean_accuracy": "mean accuracy",
    "frequency_weighted_jaccard": "f.w. IU",
}


class ConfusionMatrix:
    """Counts of true against predicted classes, summed over any number of pictures.

    Every score is a fraction between 0 and 1, and NaN (without a warning) as long as no labelled pixel was counted.
    counts (L,L) int64: counts[i, j] pixels of true class i were predicted as class j.
    """

    def __init__(self, num_classes: int, ignore_label: int = 255):
        self.num_classes = L = whole("num_classes", num_classes, 1)
        self.ignore_label = ignore_label
        self.counts = np.zeros((L, L), np.int64)  # (L, L)

    def update(self, labels: np.ndarray, predictions: np.ndarray) -> None:
        """Count the pixels of one picture or batch; pixels labelled `ignore_label` (void) are dropped.

        labels: true classes, of any shape and integer dtype; predictions: predicted classes, of the same shape, any
        integer dtype, or uint8 on a GPU. Raises TypeError for arrays that are not of integers, ValueError for shapes
        that differ or a labelled pixel outside 0 .. L-1; nothing is counted then.
        """
        loops = device.of(predictions)
        labels, predictions = np.asarray(labels), loops.asarray(predictions)
        check_labels("labels", labels, self.num_classes, self.ignore_label)
        if predictions.dtype.kind not in "iu":
            raise TypeError(f"predictions: expected integers, received {predictions.dtype}")
        if labels.shape != predictions.shape:
            raise ValueError(f"predictions: expected shape {labels.shape}, as labels, received {predictions.shape}")
        self.counts += loops.confusion_counts(labels, predictions, self.num_classes, self.ignore_label)

    def class_jaccard(self) -> np.ndarray:
        """Return the Jaccard (intersection over union) of each class, (L,) float64; NaN where the union is empty."""
        hits = np.diagonal(self.counts)
        return _ratio(hits, self.counts.sum(1) + self.counts.sum(0) - hits)

    def jaccard(self) -> float:
        """Return the mean IU over the classes whose union is not empty; a class that is only predicted counts as 0."""
        return _mean_of_defined(self.class_jaccard())

    def pixel_accuracy(self) -> float:
        """Return the fraction of labelled pixels that are predicted right."""
        return float(_ratio(np.trace(self.counts), self.counts.sum()))

    def mean_accuracy(self) -> float:
        """Return the mean, over the classes in the labels, of the fraction of their pixels predicted right."""
        return _mean_of_defined(_ratio(np.diagonal(self.counts), self.counts.sum(1)))

    def frequency_weighted_jaccard(self) -> float:
        """Return the mean of the class Jaccards, weighted by the pixels of each class in the labels."""
        true_pixels = self.counts.sum(1)  # (L,)
        # A class with an empty union has NaN for a Jaccard, and no pixel: it adds 0.
        return float(_ratio(np.nansum(true_pixels * self.class_jaccard()), true_pixels.sum()))

    def summary(self) -> dict[str, float | None]:
        """Return the four scores for a JSON file: plain floats, None (JSON has no NaN) where undefined."""
        scores = {name: getattr(self, name)() for name in SCORES}
        return {name: None if math.isnan(score) else score for name, score in scores.items()}

    def remark(self, class_names: list[str]) -> str:
        """Return a sentence where the scores mislead, else nothing."""
        true, predicted = (np.flatnonzero(self.counts.sum(axis)) for axis in (1, 0))
        if len(true) == 1:
            return f"every labelled pixel is {class_names[true[0]]}: the scores say nothing"
        return f"every pixel is predicted as {class_names[predicted[0]]}" if len(predicted) == 1 else ""

    def details(self, class_names: list[str]) -> dict:
        """Return summary()'s scores, the classes with their Jaccards and the counts, for a JSON file."""
        jaccards = [None if math.isnan(score) else float(score) for score in self.class_jaccard()]
        found = self.summary() | {"class_jaccard": dict(zip(class_names, jaccards, strict=True))}
        return found | {"confusion": self.counts.tolist(), "remark": self.remark(class_names)}

    def table(self, class_names: list[str] | tuple[str, ...]) -> str:
        """Return a table for the terminal, in per cent: the Jaccard of each class, then the four scores.

        A class that occurs neither in the labels nor in the predictions is shown as "absent". Raises ValueError unless
        each class has a name.
        """
        found = zip(class_names, self.class_jaccard(), strict=True)
        classes = [(printable(name), _per_cent(score, "absent")) for name, score in found]
        scores = [(title, _per_cent(getattr(self, name)(), "-")) for name, title in SCORES.items()]
        left = max(len(name) for name, _ in classes + scores)
        header, *lines = (f"{name:<{left}}  {text:>9}" for name, text in [("class", "Jaccard %"), *classes, *scores])
        rule = "-" * len(header)
        remark = filter(None, [printable(self.remark(class_names))])
        return "\n".join([header, rule, *lines[: len(classes)], rule, *lines[len(classes) :], *remark])


def _ratio(numerator: np.ndarray, denominator: np.ndarray) -> np.ndarray:
    """Divide elementwise in float64; NaN, without a warning, where the denominator is 0."""
    numerator, denominator = np.asarray(numerator, np.float64), np.asarray(denominator, np.float64)
    return np.divide(numerator, denominator, out=np.full(denominator.shape, np.nan), where=denominator > 0)


def _mean_of_defined(scores: np.ndarray) -> float:
    """Return the mean of the scores that are not NaN, or NaN if all are (where np.nanmean would warn)."""
    defined = scores[~np.isnan(scores)]
    return float(defined.mean()) if defined.size else math.nan


def _per_cent(score: float, undefined: str) -> str:
    return undefined if math.isnan(score) else f"{100 * score:.1f}"
