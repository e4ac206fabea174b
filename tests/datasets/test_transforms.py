"""Preprocessing, augmentation and collation against loops and hand-made pictures."""

import json

import numpy as np
import pytest

from minifcn.datasets.transforms import Augmentation, Preprocessing, collate
from minifcn.errors import InputError
from minifcn.randomness import counted_rng
from minifcn.weights import metadata

H, W = 11, 7


def example(height=H, width=W, seed=0):
    """A random picture whose red channel is its labels too, so that both can be seen to move together."""
    picture = np.random.default_rng(seed).integers(0, 250, (height, width, 3), dtype=np.uint8)
    return picture, picture[..., 0].copy()


# --- Preprocessing ---


@pytest.mark.parametrize("order", ["RGB", "BGR"])
def test_apply(order):
    picture, _ = example()
    mean, std = (10.5, 20.25, 200.0), (2.0, 57.12, 0.5)
    x = Preprocessing(order, mean, std).apply(picture)
    assert x.dtype == np.float32 and x.shape == (H, W, 3) and x.flags.c_contiguous
    for c in range(3):
        channel = picture[..., c if order == "RGB" else 2 - c].astype(np.float64)
        np.testing.assert_allclose(x[..., c], (channel - mean[c]) / std[c], rtol=1e-6, atol=1e-6)


def test_apply_takes_views_and_leaves_them_alone():
    picture, _ = example()
    before = picture.copy()
    mirrored = Preprocessing().apply(picture[:, ::-1])
    np.testing.assert_array_equal(mirrored[:, ::-1], Preprocessing().apply(picture))
    np.testing.assert_array_equal(picture, before)


def test_default_is_imagenet():
    grey = np.full((1, 1, 3), 128, np.uint8)
    expected = (128 / 255 - np.array([0.485, 0.456, 0.406])) / [0.229, 0.224, 0.225]
    np.testing.assert_allclose(Preprocessing().apply(grey)[0, 0], expected, rtol=1e-5)


def test_fill_is_the_mean_in_rgb():
    assert Preprocessing().fill == (124, 116, 104)
    assert Preprocessing("BGR", (104.0, 116.7, 122.7), (1, 1, 1)).fill == (123, 117, 104)
    assert Preprocessing("RGB", (-0.7, 0, 300), (1, 1, 1)).fill == (0, 0, 255)


def test_dict_round_trip_through_json():
    one = Preprocessing("BGR", (104.00699, 116.66877, 122.67892), (1.0, 1.0, 1.0))
    values = json.loads(json.dumps(one.to_dict()))
    assert values == {"order": "BGR", "mean": [104.00699, 116.66877, 122.67892], "std": [1.0, 1.0, 1.0]}
    assert Preprocessing.from_dict(values) == one
    assert hash(Preprocessing.from_dict(values)) == hash(one)


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"order": "GBR"}, "expected RGB or BGR, .* received .*'GBR'"),
        ({"mean": [1, 2]}, r"mean and std of three numbers, received .*\(1.0, 2.0\)"),
        ({"mean": [1, 2], "std": [1, 1, 1, 1]}, "of three numbers"),
        ({"mean": [1, 2], "std": [1, 1]}, "of three numbers"),
        ({"mean": [1] * 6, "std": []}, "of three numbers"),
        ({"std": ["a", 1, 1]}, "could not convert"),
    ],
)
def test_bad_preprocessing(change, expected):
    with pytest.raises(ValueError, match=expected):
        Preprocessing.from_dict(Preprocessing().to_dict() | change)


@pytest.mark.parametrize(
    "change",
    [
        {"order": "GBR"},
        {"mean": [1, 2]},
        {"mean": 5},
        {"mean": [1, 2, float("nan")]},
        {"std": [1, 1, 1, 1]},
        {"std": []},
        {"std": [1, 0, 1]},
        {"std": [1, float("inf"), 1]},
        {"mean": [[1, 2, 3]]},
        {"std": ["a", 1, 1]},
        {"size": 3},
    ],
)
def test_bad_preprocessing_of_a_file_does_not_get_here(change):
    good = json.loads(json.dumps(Preprocessing().to_dict()))
    assert metadata.checked({"preprocessing": good})
    with pytest.raises(InputError, match="its preprocessing cannot be"):
        metadata.checked({"preprocessing": good | change})


def test_bad_pictures():
    for picture in (np.zeros((2, 3), np.uint8), np.zeros((2, 3, 4), np.uint8), np.zeros((2, 3, 3), np.float32)):
        with pytest.raises(ValueError, match=r"expected uint8 \(H, W, 3\) in RGB, received"):
            Preprocessing().apply(picture)


# --- Augmentation ---


def test_nothing_asked_nothing_done():
    picture, labels = example()
    out, out_labels = Augmentation()(picture, labels, counted_rng(0))
    np.testing.assert_array_equal(out, picture)
    np.testing.assert_array_equal(out_labels, labels)


def test_crops_are_windows_of_the_picture_and_all_of_them_occur():
    picture, labels = example()
    places = set()
    for key in range(300):
        out, out_labels = Augmentation(crop=(8, 5))(picture, labels, counted_rng(key))
        assert out.shape == (8, 5, 3)
        np.testing.assert_array_equal(out[..., 0], out_labels)
        places |= {
            (top, left)
            for top in range(H - 8 + 1)
            for left in range(W - 5 + 1)
            if np.array_equal(out, picture[top : top + 8, left : left + 5])
        }
    assert places == {(top, left) for top in range(4) for left in range(3)}


@pytest.mark.parametrize("crop", [(13, 13), (13, 4), (8, 10)])
def test_small_pictures_are_padded(crop):
    picture, labels = example()
    height, width = crop
    out, out_labels = Augmentation(crop=crop)(picture, labels, counted_rng(1), (1, 2, 3))
    assert out.shape == (height, width, 3) and out_labels.shape == (height, width)
    h, w = min(H, height), min(W, width)
    np.testing.assert_array_equal(out[:h, :w, 0], out_labels[:h, :w])
    assert (out_labels[:h, :w] != 255).all()
    for strip in (np.s_[h:], np.s_[:, w:]):
        assert (out_labels[strip] == 255).all()
        assert (out[strip] == (1, 2, 3)).all()


def test_flip_mirrors_half():
    picture, labels = example()
    mirrored = 0
    for key in range(400):
        out, out_labels = Augmentation(flip=True)(picture, labels, counted_rng(key))
        np.testing.assert_array_equal(out[..., 0], out_labels)
        if np.array_equal(out, picture[:, ::-1]):
            mirrored += 1
        else:
            np.testing.assert_array_equal(out, picture)
    assert 150 < mirrored < 250  # 200 +- 5 standard deviations


def test_scale_range_and_nearest_labels():
    labels = np.zeros((40, 60), np.uint8)
    labels[:, 30:] = 200  # a mean of 0 and 200 would be a value of no class
    picture = np.stack([labels] * 3, axis=2)
    heights = []
    for key in range(200):
        out, out_labels = Augmentation(scale_jitter=0.5)(picture, labels, counted_rng(key))
        h, w = out_labels.shape
        assert out.shape == (h, w, 3)
        assert abs(w / h - 1.5) < 0.06  # both sides by the same factor
        assert set(np.unique(out_labels)) == {0, 200}
        edge = np.argmax(out_labels[0] == 200)
        assert abs(edge - w / 2) <= 1
        heights.append(h)
    assert 20 <= min(heights) < 23 and 57 < max(heights) <= 60


def test_pictures_are_scaled_bilinearly():
    ramp = np.tile(np.arange(0, 200, 10, dtype=np.uint8), (20, 1))
    rng = counted_rng(3)
    scale = counted_rng(3).uniform(0.5, 1.5)
    assert scale > 1.1  # enlarging: a point between two pixels is their weighted mean
    out, _ = Augmentation(scale_jitter=0.5)(np.stack([ramp] * 3, axis=2), ramp, rng)
    w = out.shape[1]
    centres = (np.arange(w) + 0.5) * 20 / w - 0.5
    expected = np.interp(centres, np.arange(20), ramp[0])
    assert np.abs(out[3, :, 1] - expected).max() <= 1


def test_scale_never_reaches_zero():
    picture, labels = example(1, 1)
    for key in range(50):
        assert Augmentation(scale_jitter=0.9)(picture, labels, counted_rng(key))[1].size >= 1


def test_augmentation_depends_on_the_key_alone_and_leaves_its_input_alone():
    picture, labels = example(30, 40)
    before = picture.copy(), labels.copy()
    augment = Augmentation(crop=(16, 16), flip=True, scale_jitter=0.3)
    results = [augment(picture, labels, counted_rng(3, 1, 4))[0] for _ in range(2)]
    np.testing.assert_array_equal(*results)
    assert not np.array_equal(results[0], augment(picture, labels, counted_rng(3, 2, 4))[0])
    np.testing.assert_array_equal(picture, before[0])
    np.testing.assert_array_equal(labels, before[1])


def by_hand(picture, brightness, contrast, saturation):
    """Brightness towards black, contrast towards the mean grey, saturation towards each pixel's grey; in floats."""
    x = np.clip(picture * brightness, 0, 255)
    x = np.clip((x - (mean := (x @ GREY).mean())) * contrast + mean, 0, 255)
    grey = (x @ GREY)[..., None]
    return np.clip(grey + saturation * (x - grey), 0, 255)


GREY = np.array([0.299, 0.587, 0.114])  # ITU-R 601


def test_colour_jitter_changes_the_picture_alone():
    picture, labels = example(40, 30)
    before, factors = picture.copy(), []
    for key in range(60):
        moved, moved_labels = Augmentation((20, 25), True, 0.2, 0.4)(picture, labels, rng := counted_rng(key))
        plain, plain_labels = Augmentation((20, 25), True, 0.2)(picture, labels, counted := counted_rng(key))
        factors.append(drawn := counted.uniform(0.6, 1.4, 3))
        assert rng.random() == counted.random()  # three draws more, after those of the geometry
        np.testing.assert_array_equal(moved_labels, plain_labels)
        assert moved.dtype == np.uint8 and abs(moved - by_hand(plain, *drawn)).max() < 4
    np.testing.assert_array_equal(picture, before)
    assert np.all(np.min(factors, 0) < 0.65) and np.all(np.max(factors, 0) > 1.35)


# --- collate ---


def test_collate_pads_with_zeros_and_void():
    sizes = [(3, 8), (5, 2), (4, 4)]
    samples = [example(*size, seed=i) for i, size in enumerate(sizes)]
    preprocessing = Preprocessing("BGR", (100.0, 110.0, 120.0), (2.0, 4.0, 5.0))
    x, labels = collate(samples, preprocessing)
    assert x.shape == (3, 5, 8, 3) and x.dtype == np.float32
    assert labels.shape == (3, 5, 8) and labels.dtype == np.uint8
    for n, (h, w) in enumerate(sizes):
        picture = samples[n][0].astype(np.float64)
        expected = (picture[..., ::-1] - [100.0, 110.0, 120.0]) / [2.0, 4.0, 5.0]
        np.testing.assert_allclose(x[n, :h, :w], expected, rtol=1e-6)
        np.testing.assert_array_equal(labels[n, :h, :w], samples[n][1])
        assert (x[n, h:] == 0).all() and (x[n, :, w:] == 0).all()
        assert (labels[n, h:] == 255).all() and (labels[n, :, w:] == 255).all()
