"""The confusion matrix against examples worked by hand and against loops over pixels and classes."""

import json
import math

import numpy as np
import pytest

from minifcn import device
from minifcn.metrics import ConfusionMatrix


def naive_scores(labels, predictions, L, ignore_label):
    """The four scores and the class Jaccards from sets of pixels, with no confusion matrix."""
    pixels = zip(labels.ravel().tolist(), predictions.ravel().tolist(), strict=True)
    kept = [(t, p) for t, p in pixels if t != ignore_label]
    ious, accuracies, weighted = [], [], 0.0
    for c in range(L):
        truth = {k for k, (t, _) in enumerate(kept) if t == c}
        guess = {k for k, (_, p) in enumerate(kept) if p == c}
        if truth | guess:
            ious.append(len(truth & guess) / len(truth | guess))
            weighted += len(truth) * ious[-1]
        else:
            ious.append(math.nan)
        if truth:
            accuracies.append(len(truth & guess) / len(truth))
    defined = [iou for iou in ious if not math.isnan(iou)]
    right = sum(t == p for t, p in kept)
    return {
        "class_jaccard": ious,
        "jaccard": sum(defined) / len(defined),
        "pixel_accuracy": right / len(kept),
        "mean_accuracy": sum(accuracies) / len(accuracies),
        "frequency_weighted_jaccard": weighted / len(kept),
    }


def by_hand():
    """Five classes: 0 and 1 occur, 2 is only predicted, 3 is nowhere, 4 occurs and is never found."""
    matrix = ConfusionMatrix(5)
    labels = np.array([[0, 0, 0, 0, 1], [1, 1, 4, 255, 255]], np.uint8)
    predictions = np.array([[0, 0, 0, 1, 1], [1, 2, 0, 0, 3]], np.int64)
    matrix.update(labels, predictions)
    return matrix


def test_counts_by_hand():
    expected = np.zeros((5, 5), np.int64)
    expected[0, 0], expected[0, 1], expected[1, 1], expected[1, 2], expected[4, 0] = 3, 1, 2, 1, 1
    matrix = by_hand()
    np.testing.assert_array_equal(matrix.counts, expected)
    assert matrix.counts.dtype == np.int64


def test_scores_by_hand():
    matrix = by_hand()
    # class 0: 3 hits, 4 true, 4 predicted -> 3/5; class 1: 2 hits, 3 and 3 -> 2/4; classes 2 and 4: no hit
    np.testing.assert_allclose(matrix.class_jaccard(), [3 / 5, 2 / 4, 0, np.nan, 0], rtol=1e-15)
    assert matrix.jaccard() == pytest.approx((3 / 5 + 2 / 4 + 0 + 0) / 4, rel=1e-15)
    assert matrix.pixel_accuracy() == pytest.approx(5 / 8, rel=1e-15)
    assert matrix.mean_accuracy() == pytest.approx((3 / 4 + 2 / 3 + 0) / 3, rel=1e-15)
    assert matrix.frequency_weighted_jaccard() == pytest.approx((4 * 3 / 5 + 3 * 2 / 4 + 1 * 0) / 8, rel=1e-15)


@pytest.mark.parametrize("L, ignore_label", [(2, 255), (7, 255), (7, 0), (12, 11), (21, -1)])
def test_scores_equal_loops_over_pixels(L, ignore_label):
    rng = np.random.default_rng(L)
    labels = rng.integers(0, L, (3, 17, 13))
    labels[rng.random(labels.shape) < 0.2] = ignore_label
    predictions = np.where(rng.random(labels.shape) < 0.6, np.maximum(labels, 0) % L, rng.integers(0, L, labels.shape))
    labels[labels == 3] = 1  # class 3 is only predicted
    matrix = ConfusionMatrix(L, ignore_label)
    for one_labels, one_predictions in zip(labels, predictions, strict=True):
        matrix.update(one_labels, one_predictions)
    expected = naive_scores(labels, predictions, L, ignore_label)
    for name, value in expected.items():
        np.testing.assert_allclose(getattr(matrix, name)(), value, rtol=1e-12, err_msg=name)


def test_matrix_is_over_the_set_not_a_mean_over_pictures():
    matrix = ConfusionMatrix(2)
    matrix.update(np.array([0]), np.array([0]))
    matrix.update(np.array([0, 0, 0]), np.array([1, 1, 1]))
    assert matrix.pixel_accuracy() == 0.25


@pytest.mark.parametrize("dtype", [np.int8, np.uint8, np.int16, np.uint16, np.int32, np.uint32, np.int64, np.uint64])
def test_any_integer_dtype(dtype):
    # 100 * 101 + 99 does not fit in 8 bits: an index computed in the input's dtype would wrap
    labels, predictions = np.array([100, 2, 100], dtype), np.array([99, 2, 100], dtype)
    matrix = ConfusionMatrix(101)
    matrix.update(labels, predictions)
    assert matrix.counts[100, 99] == matrix.counts[2, 2] == matrix.counts[100, 100] == 1
    assert matrix.counts.sum() == 3


def test_no_labelled_pixel_is_nan_without_warnings():
    matrix = ConfusionMatrix(3)
    matrix.update(np.full((4, 5), 255), np.zeros((4, 5), int))
    matrix.update(np.zeros((0, 5), int), np.zeros((0, 5), int))
    assert matrix.counts.sum() == 0
    assert np.isnan(matrix.class_jaccard()).all()
    assert all(value is None for value in matrix.summary().values())
    assert math.isnan(matrix.jaccard()) and math.isnan(matrix.pixel_accuracy())
    assert math.isnan(matrix.mean_accuracy()) and math.isnan(matrix.frequency_weighted_jaccard())


def test_perfect_prediction_scores_one():
    labels = np.arange(12).reshape(3, 4) % 5
    matrix = ConfusionMatrix(5)
    matrix.update(labels, labels)
    assert set(matrix.summary().values()) == {1.0}


@pytest.mark.parametrize(
    "labels, predictions, message",
    [
        ([0, 7], [0, 0], r"labels: expected 0..2 or 255 \(void\), received 7 at \(1,\)"),
        ([0, -1], [0, 0], "labels: .*received -1"),
        ([0, 1], [0, 3], "prediction value 3: expected 0 to 2$"),
        ([0, 1], [0, 255], "prediction value 255"),
        ([0, 1], [[0, 1]], r"expected shape \(2,\), as labels, received \(1, 2\)"),
    ],
)
def test_bad_values_are_named_and_nothing_is_counted(labels, predictions, message):
    matrix = ConfusionMatrix(3)
    with pytest.raises(ValueError, match=message):
        matrix.update(np.array(labels), np.array(predictions))
    assert matrix.counts.sum() == 0


def test_huge_unsigned_label_is_not_wrapped():
    with pytest.raises(ValueError, match=str(2**64 - 1)):
        ConfusionMatrix(3).update(np.array([2**64 - 1], np.uint64), np.array([0]))


@pytest.mark.parametrize("dtype", [np.float32, np.bool_])
def test_other_dtypes_raise(dtype):
    with pytest.raises(TypeError, match=f"labels: expected integers, received {np.dtype(dtype)}"):
        ConfusionMatrix(3).update(np.zeros(2, dtype), np.zeros(2, int))
    with pytest.raises(TypeError, match=f"predictions: expected integers, received {np.dtype(dtype)}"):
        ConfusionMatrix(3).update(np.zeros(2, int), np.zeros(2, dtype))


# ---- predictions where the scores are, on a GPU: uint8, labels on the host ----


@pytest.mark.parametrize("L, ignore_label", [(1, 255), (2, 255), (7, 0), (12, 11), (21, -1), (32, 255), (33, 7)])
@pytest.mark.parametrize("pixels", [(1,), (3, 17, 13), (2, 50, 70)])
def test_counts_are_the_same_on_every_device(L, ignore_label, pixels, loops):
    """32 classes are the most that are counted in shared memory."""
    rng = np.random.default_rng(L)
    labels, predictions = rng.integers(0, L, pixels), rng.integers(0, L, pixels).astype(np.uint8)
    labels[rng.random(pixels) < 0.2] = ignore_label
    here, there = ConfusionMatrix(L, ignore_label), ConfusionMatrix(L, ignore_label)
    for _ in range(2):
        here.update(labels, predictions)
        there.update(labels, loops.asarray(predictions))
    assert there.counts.dtype == np.int64 and np.array_equal(there.counts, here.counts)
    assert here.counts.sum() == 2 * np.count_nonzero(labels != ignore_label)


def test_counts_of_more_pixels_than_a_gpu_has_threads(loops):
    labels = np.arange(300_001) % 5
    matrix = ConfusionMatrix(5)
    matrix.update(labels, loops.asarray((labels // 2).astype(np.uint8)))
    assert matrix.counts[np.arange(5), np.arange(5) // 2].tolist() == [60_001, 60_000, 60_000, 60_000, 60_000]
    assert matrix.counts.sum() == 300_001


@pytest.mark.parametrize("dtype", [np.int8, np.uint8, np.int16, np.int64, np.uint64])
def test_labels_of_any_integer_dtype_on_every_device(dtype, loops):
    matrix = ConfusionMatrix(101, ignore_label=101)
    matrix.update(np.array([100, 2, 101, 100], dtype), loops.asarray(np.array([99, 2, 250, 100], np.uint8)))
    assert matrix.counts[100, 99] == matrix.counts[2, 2] == matrix.counts[100, 100] == 1
    assert matrix.counts.sum() == 3


def test_predictions_in_any_layout_on_every_device(loops):
    rng = np.random.default_rng(0)
    labels, predictions = rng.integers(0, 3, (5, 4)), rng.integers(0, 3, (8, 5)).astype(np.uint8)
    here, there = ConfusionMatrix(3), ConfusionMatrix(3)
    here.update(labels, predictions[::2].T)
    there.update(labels, loops.asarray(predictions)[::2].T)
    assert np.array_equal(there.counts, here.counts)


@pytest.mark.parametrize(
    "labels, predictions",
    [([0, 3], [0, 0]), ([0, -1], [0, 0]), ([0, 2**32 + 1], [0, 0]), ([0, 1], [0, 3]), ([0, 1], [0, 255])],
)
def test_values_out_of_range_raise_on_every_device(labels, predictions, loops):
    matrix = ConfusionMatrix(3)
    with pytest.raises(ValueError, match="expected 0"):
        matrix.update(np.array(labels), loops.asarray(np.array(predictions, np.uint8)))
    with pytest.raises(ValueError, match=r"expected shape \(1,\), as labels, received \(2,\)"):
        matrix.update(np.array([0]), loops.asarray(np.array([0, 1], np.uint8)))
    assert matrix.counts.sum() == 0


def test_predictions_of_void_pixels_and_no_pixels_count_nothing(loops):
    matrix = ConfusionMatrix(3)
    matrix.update(np.full((4, 5), 255), loops.asarray(np.full((4, 5), 254, np.uint8)))
    matrix.update(np.zeros((0, 5), int), loops.asarray(np.zeros((0, 5), np.uint8)))
    assert matrix.counts.sum() == 0 and math.isnan(matrix.jaccard())


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("shape", [(2, 3, 5, 1), (1, 7, 9, 4), (1, 4, 3, 21), (1, 2, 3, 33), (1, 2, 2, 256)])
def test_argmax_takes_the_first_of_equal_scores_and_nan_above_all(shape, dtype, loops):
    rng = np.random.default_rng(0)
    scores = rng.integers(-2, 3, shape).astype(dtype)  # with ties
    spoilt = np.where(rng.random(shape) < 0.1, rng.choice([np.nan, np.inf, -np.inf], shape), scores)
    for values in (scores, -np.abs(scores) - 1, spoilt, np.full(shape, -np.inf)):
        classes = loops.argmax(loops.asarray(values.astype(dtype)))
        assert device.of(classes) is loops and classes.dtype == np.uint8
        assert np.array_equal(device.asnumpy(classes), values.argmax(axis=3))


def test_argmax_in_any_layout(loops):
    scores = np.random.default_rng(0).standard_normal((4, 9, 7, 2))
    classes = loops.argmax(loops.asarray(scores).transpose(3, 1, 2, 0)[:, ::2])
    assert np.array_equal(device.asnumpy(classes), scores.transpose(3, 1, 2, 0)[:, ::2].argmax(axis=3))


@pytest.mark.parametrize("num_classes", [0, 2.5, "a", True])
def test_num_classes_must_be_a_positive_int(num_classes):
    with pytest.raises(ValueError, match=f"num_classes: expected an int, at least 1, received {num_classes!r}"):
        ConfusionMatrix(num_classes)


def test_inputs_are_not_altered():
    labels, predictions = np.array([0, 255, 1], np.uint8), np.array([0, 9, 1], np.uint8)
    ConfusionMatrix(2).update(labels, predictions)
    assert labels.tolist() == [0, 255, 1] and predictions.tolist() == [0, 9, 1]


def test_summary_is_json():
    summary = by_hand().summary()
    assert list(summary) == ["jaccard", "pixel_accuracy", "mean_accuracy", "frequency_weighted_jaccard"]
    assert all(type(value) is float for value in summary.values())
    assert json.loads(json.dumps(summary, allow_nan=False)) == summary


def test_table():
    assert by_hand().table(["background", "sky", "car", "a bus", "bicycle"]).splitlines() == [
        "class              Jaccard %",
        "----------------------------",
        "background              60.0",
        "sky                     50.0",
        "car                      0.0",
        "a bus                 absent",
        "bicycle                  0.0",
        "----------------------------",
        "Jaccard (mean IU)       27.5",
        "pixel accuracy          62.5",
        "mean accuracy           47.2",
        "f.w. IU                 48.8",
    ]


def test_table_with_nothing_counted_and_with_wrong_names():
    assert ConfusionMatrix(2).table(["a", "b"]).count("absent") == 2
    with pytest.raises(ValueError):
        ConfusionMatrix(2).table(["a", "b", "c"])


@pytest.mark.parametrize(
    "counts, remark",
    [
        ([[5, 1], [2, 0]], ""),
        ([[0, 0], [0, 0]], ""),
        ([[9, 0], [3, 0]], "every pixel is predicted as sky"),
        ([[0, 9], [0, 3]], "every pixel is predicted as car"),
        ([[0, 0], [1, 3]], "every labelled pixel is car: the scores say nothing"),
        ([[4, 0], [0, 0]], "every labelled pixel is sky: the scores say nothing"),
    ],
)
def test_scores_that_mislead_are_remarked(counts, remark):
    """They may be 100 or 50 % all the same. The table, and what JSON files hold, have the sentence too."""
    matrix = ConfusionMatrix(2)
    matrix.counts[...] = counts
    assert matrix.remark(["sky", "car"]) == remark == matrix.details(["sky", "car"])["remark"]
    assert matrix.table(["sky", "car"]).splitlines()[-1].startswith(remark or "f.w. IU")


def test_details_are_what_json_can_hold():
    details = by_hand().details(["background", "sky", "car", "a bus", "bicycle"])
    assert json.loads(json.dumps(details)) == details and details["jaccard"] == by_hand().jaccard()
    assert details["confusion"] == by_hand().counts.tolist()
    for name, score in zip(["background", "sky", "car", "a bus", "bicycle"], by_hand().class_jaccard(), strict=True):
        assert details["class_jaccard"][name] == (None if np.isnan(score) else score)
