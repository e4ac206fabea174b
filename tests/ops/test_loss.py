"""softmax_cross_entropy: loops, gradients, void pixels, weights, stability, and what it refuses."""

import math

import numpy as np
import pytest
from battery import CHECKS, cases
from helpers import tensor

import minifcn as mf
from minifcn import device


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
@pytest.mark.parametrize("case", cases("softmax_cross_entropy"), ids=str)
def test_softmax_cross_entropy(case, check, loops):
    check(case, loops)


def loss_and_gradient(loops, scores, labels, **options):
    s = tensor(loops, np.asarray(scores, np.float64).reshape(1, 1, -1, np.shape(scores)[-1]))
    loss = mf.softmax_cross_entropy(s, np.asarray(labels).reshape(s.shape[:3]), **options)
    loss.backward()
    return float(loss.data), device.asnumpy(s.grad)[0, 0]


def test_by_hand(loops):
    """exp gives 1, 2, 5: probabilities 1/8, 2/8, 5/8."""
    loss, gradient = loss_and_gradient(loops, np.log([[1, 2, 5]]), [1])
    assert loss == pytest.approx(math.log(4), rel=1e-14)
    np.testing.assert_allclose(gradient, [[1 / 8, 2 / 8 - 1, 5 / 8]], rtol=1e-14)


def test_weighted_mean_divides_by_the_weights(loops):
    """Equal scores: every pixel loses log 2, whatever the weights; a sum adds them up."""
    weights = np.array([3.0, 0.5])
    loss, gradient = loss_and_gradient(loops, np.zeros((3, 2)), [0, 1, 1], class_weight=weights)
    assert loss == pytest.approx(math.log(2), rel=1e-14)
    np.testing.assert_allclose(gradient, np.array([[-1.5, 1.5], [0.25, -0.25], [0.25, -0.25]]) / 4, rtol=1e-14)
    loss, _ = loss_and_gradient(loops, np.zeros((3, 2)), [0, 1, 1], class_weight=weights, reduction="sum")
    assert loss == pytest.approx(4 * math.log(2), rel=1e-14)


@pytest.mark.parametrize("odd", [np.nan, np.inf, -np.inf])
def test_an_ignored_pixel_counts_nothing_whatever_its_scores(odd, loops):
    scores = np.array([[0.3, -1.2], [odd, odd], [2.0, 0.1]])
    loss, gradient = loss_and_gradient(loops, scores, [0, 255, 1])
    expected, expected_gradient = loss_and_gradient(loops, scores[[0, 2]], [0, 1])
    assert loss == pytest.approx(expected, rel=1e-14)
    np.testing.assert_allclose(gradient[[0, 2]], expected_gradient, rtol=1e-14)
    assert gradient[1].tolist() == [0, 0]


@pytest.mark.parametrize("reduction", ["mean", "sum"])
@pytest.mark.parametrize("scores", [1.0, np.nan])
def test_no_labelled_pixel(reduction, scores, loops):
    loss, gradient = loss_and_gradient(loops, np.full((4, 3), scores), [255] * 4, reduction=reduction)
    assert loss == 0 and not gradient.any()


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_huge_scores(dtype, loops):
    s = tensor(loops, np.array([[1e4, -1e4], [1e4, -1e4], [1e4, 1e4]], dtype).reshape(1, 1, 3, 2))
    loss = mf.softmax_cross_entropy(s, np.array([[[0, 1, 0]]]), reduction="sum")
    loss.backward()
    assert loss.dtype == dtype and float(loss.data) == pytest.approx(2e4 + math.log(2), rel=1e-6)
    assert device.asnumpy(s.grad)[0, 0].tolist() == [[0, 0], [1, -1], [-0.5, 0.5]]


@pytest.mark.parametrize("dtype", ["i1", "u1", "i2", "u2", "i4", "u4", "i8", "u8", ">i4"])
def test_labels_of_any_integer_dtype(dtype, loops):
    scores = np.random.default_rng(0).standard_normal((5, 3))
    ignore = 100
    labels = np.array([0, 1, ignore, 2, 1])
    expected, expected_gradient = loss_and_gradient(loops, scores, labels, ignore_label=ignore)
    loss, gradient = loss_and_gradient(loops, scores, labels.astype(dtype), ignore_label=ignore)
    assert loss == expected and np.array_equal(gradient, expected_gradient)


def test_a_mean_does_not_depend_on_the_size(loops):
    rng = np.random.default_rng(0)
    scores, labels = rng.standard_normal((7, 3)), rng.integers(0, 3, 7)
    loss, _ = loss_and_gradient(loops, scores, labels)
    doubled, _ = loss_and_gradient(loops, np.tile(scores, (2, 1)), np.tile(labels, 2))
    assert doubled == pytest.approx(loss, rel=1e-14)


def test_several_blocks_of_pixels(loops):
    rng = np.random.default_rng(0)
    scores, labels = rng.standard_normal((10_001, 3)), rng.integers(0, 3, 10_001)
    loss, gradient = loss_and_gradient(loops, scores, labels)
    p = np.exp(scores) / np.exp(scores).sum(axis=1, keepdims=True)
    own = p[np.arange(len(p)), labels]
    assert loss == pytest.approx(-np.log(own).mean(), rel=1e-12)
    np.testing.assert_allclose(gradient, (p - np.eye(3)[labels]) / len(p), atol=1e-16)


def test_gradient_scales_with_what_comes_from_above(loops):
    scores, labels = np.random.default_rng(0).standard_normal((1, 2, 3, 4)), np.array([[[0, 1, 2], [3, 255, 1]]])
    a, b = tensor(loops, scores), tensor(loops, scores)
    mf.softmax_cross_entropy(a, labels).backward()
    (mf.softmax_cross_entropy(b, labels) * 3).backward()
    np.testing.assert_allclose(device.asnumpy(b.grad), 3 * device.asnumpy(a.grad), rtol=1e-14)


@pytest.mark.parametrize(
    "scores, labels, options, error, match",
    [
        ((2, 3, 4), np.zeros((2, 3), int), {}, ValueError, r"scores: expected shape \(N, H, W, L\)"),
        ((1, 2, 3, 4), np.zeros((2, 3), int), {}, ValueError, r"labels: expected shape \(N, H, W\).*received \(2, 3\)"),
        (
            (1, 2, 3, 4),
            np.zeros((1, 2, 4), int),
            {},
            ValueError,
            r"labels: expected W = 3, as in scores, received 4",
        ),
        ((1, 1, 2, 4), np.array([[[0, 4]]]), {}, ValueError, r"expected 0..3 or 255 .*received 4 at \(0, 0, 1\)"),
        ((1, 1, 2, 4), np.array([[[-1, 0]]]), {}, ValueError, r"labels: expected 0..3 or 255 .*received -1"),
        ((1, 1, 2, 4), np.array([[[0, 255]]]), {"ignore_label": 0}, ValueError, r"or 0 \(void\), received 255"),
        ((1, 1, 2, 4), np.zeros((1, 1, 2)), {}, TypeError, "labels: expected integers, received float64"),
        ((1, 1, 2, 4), np.zeros((1, 1, 2), bool), {}, TypeError, "labels: expected integers, received bool"),
        ((1, 1, 2, 4), np.zeros((1, 1, 2), int), {"reduction": "none"}, ValueError, "reduction: .*received 'none'"),
        (
            (1, 1, 2, 4),
            np.zeros((1, 1, 2), int),
            {"class_weight": [1, 2]},
            ValueError,
            r"class_weight: expected L = 4, as in scores, received 2",
        ),
        (
            (1, 1, 1, 2),
            np.zeros((1, 1, 1), int),
            {"class_weight": ["1", "2"]},
            ValueError,
            "class_weight: expected finite numbers >= 0, received .*'1'",
        ),
        ((1, 1, 1, 2), np.zeros((1, 1, 1), int), {"class_weight": [1, -1]}, ValueError, "class_weight: .*numbers >= 0"),
        ((1, 1, 1, 2), np.zeros((1, 1, 1), int), {"class_weight": [1, np.inf]}, ValueError, "class_weight: .*finite"),
    ],
)
def test_refuses(scores, labels, options, error, match):
    with pytest.raises(error, match=match):
        mf.softmax_cross_entropy(np.zeros(scores), labels, **options)
