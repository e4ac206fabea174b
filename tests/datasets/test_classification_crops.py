"""What becomes of a classified picture: scaled, cut out, mirrored, put into batches; its draws are counted."""

from functools import partial

import numpy as np
import pytest
from helpers import assert_close
from PIL import Image

from minifcn.datasets.classification import centred, collate, cropped, scale_shorter_side
from minifcn.datasets.loader import Loader
from minifcn.datasets.transforms import Preprocessing

PLAIN = Preprocessing("RGB", (0.0, 0.0, 0.0), (1.0, 1.0, 1.0))


def resized(size, crop, flip):
    """An augmentation, as pretrain has it."""
    return partial(cropped, size=size, crop=crop, flip=flip)


def numbered(H, W):
    """A picture whose pixel (y, x) is (y, x, 9)."""
    y, x = np.mgrid[:H, :W]
    return np.stack([y, x, np.full_like(y, 9)], -1).astype(np.uint8)


class Numbered:
    """N such pictures, each with its index as class."""

    def __init__(self, count, H=12, W=15):
        self.count, self.picture, self.reads = count, numbered(H, W), []

    def __len__(self):
        return self.count

    def __getitem__(self, index):
        self.reads.append(index)
        return self.picture, index


def place(picture):
    """Where a crop of a numbered picture was cut out: its first row and column, and whether it is mirrored."""
    rows, columns = picture[:, 0, 0].astype(int), picture[0, :, 1].astype(int)
    mirrored = bool(columns[0] > columns[-1])
    columns = columns[::-1] if mirrored else columns
    expected = numbered(256, 256)[rows[0] : rows[0] + len(rows), columns[0] : columns[0] + len(columns)]
    np.testing.assert_array_equal(picture, expected[:, ::-1] if mirrored else expected)
    return int(rows[0]), int(columns[0]), mirrored


# --- the shorter side ---


@pytest.mark.parametrize(("before", "size", "after"), [
    ((64, 64), 128, (128, 128)),
    ((50, 100), 25, (25, 50)),
    ((100, 50), 25, (50, 25)),
    ((3, 7), 6, (6, 14)),
    ((100, 333), 64, (64, 213)),  # 213.12
    ((333, 100), 64, (213, 64)),
    ((375, 500), 256, (256, 341)),  # 341.33
    ((1, 5), 3, (3, 15)),
    ((200, 201), 10, (10, 10)),  # 10.05
])  # fmt: skip
def test_the_shorter_side_gets_the_size_and_the_aspect_ratio_stays(before, size, after):
    picture = np.random.default_rng(0).integers(0, 256, (*before, 3), dtype=np.uint8)
    scaled = scale_shorter_side(picture, size)
    assert scaled.shape == (*after, 3) and scaled.dtype == np.uint8
    turned = scale_shorter_side(picture.transpose(1, 0, 2).copy(), size)
    assert abs(turned.transpose(1, 0, 2).astype(int) - scaled).max() <= 1  # rows and columns alike


def test_scaling_is_bilinear():
    """A row 0, 100 twice as wide: the new centres lie at -1/4, 1/4, 3/4, 5/4 of the old ones."""
    picture = np.zeros((2, 2, 3), np.uint8)
    picture[:, 1] = 100
    np.testing.assert_array_equal(scale_shorter_side(picture, 4)[..., 0], [[0, 25, 75, 100]] * 4)
    shrunk = scale_shorter_side(np.tile(np.array([[0, 200]], np.uint8), (8, 4))[..., None].repeat(3, -1), 2)
    assert shrunk.min() > 60 and shrunk.max() < 140  # averages, does not skip every other pixel


def test_no_resampling_when_the_size_is_right(monkeypatch):
    monkeypatch.setattr(Image.Image, "resize", None)
    for shape in ((7, 7), (7, 30), (9, 7)):
        picture = np.random.default_rng(0).integers(0, 256, (*shape, 3), dtype=np.uint8)
        np.testing.assert_array_equal(scale_shorter_side(picture, 7), picture)


# --- training ---


def test_crops_reach_both_ends_and_half_are_mirrored():
    """12 x 15, cut to 10 x 10: rows 0 to 2, columns 0 to 5, each as often as the others."""
    augment, rng, picture = resized(12, 10, True), np.random.default_rng(0), numbered(12, 15)
    places = []
    for _ in range(1800):
        cut, label = augment(picture, 5, rng, None)
        assert cut.shape == (10, 10, 3) and label == 5
        places.append(place(cut))
    for axis, count in ((0, 3), (1, 6)):
        found = np.bincount([p[axis] for p in places])
        assert len(found) == count and abs(found - 1800 / count).max() < 0.2 * 1800 / count
    assert 0.46 < np.mean([mirrored for _, _, mirrored in places]) < 0.54  # 3.4 standard deviations
    assert len(set(places)) == 3 * 6 * 2  # independent of each other


def test_without_flip_and_with_the_largest_crop():
    rng, picture = np.random.default_rng(0), numbered(12, 15)
    assert not any(place(resized(12, 10, False)(picture, 0, rng, None)[0])[2] for _ in range(50))
    rows = {place(resized(12, 12, False)(picture, 0, rng, None)[0])[:2] for _ in range(100)}
    assert rows == {(0, column) for column in range(4)}
    tall = {place(resized(12, 12, False)(numbered(14, 12), 0, rng, None)[0])[:2] for _ in range(100)}
    assert tall == {(row, 0) for row in range(3)}


def test_crops_are_of_the_scaled_picture():
    picture = np.random.default_rng(0).integers(0, 256, (6, 8, 3), dtype=np.uint8)
    scaled = scale_shorter_side(picture, 12)  # 12 x 16
    cut, _ = resized(12, 11, False)(picture, 0, np.random.default_rng(3), None)
    windows = [scaled[top : top + 11, left : left + 11] for top in range(2) for left in range(6)]
    assert sum(np.array_equal(cut, window) for window in windows) == 1


# --- validation ---


@pytest.mark.parametrize(("shape", "start"), [((5, 5), (0, 0)), ((5, 8), (0, 1)), ((5, 9), (0, 2)), ((11, 5), (3, 0))])
def test_the_middle_square(shape, start):
    cut, label = centred(numbered(*shape), 7, None, None, size=5)
    assert label == 7 and place(cut) == (*start, False) and cut.shape == (5, 5, 3)


def test_the_middle_square_of_the_scaled_picture():
    picture = np.random.default_rng(0).integers(0, 256, (6, 10, 3), dtype=np.uint8)
    np.testing.assert_array_equal(centred(picture, 0, size=12)[0], scale_shorter_side(picture, 12)[:, 4:16])  # 12 x 20


# --- batches ---


def test_collate():
    pictures = np.random.default_rng(0).integers(0, 256, (3, 4, 5, 3), dtype=np.uint8)
    preprocessing = Preprocessing("BGR", (1.0, 2.0, 3.0), (4.0, 5.0, 6.0))
    x, labels = collate([(pictures[0], 2), (pictures[1][:, ::-1], 0), (pictures[2], 199)], preprocessing)
    assert x.dtype == np.float32 and labels.dtype == np.int64
    np.testing.assert_array_equal(labels, [[[2]], [[0]], [[199]]])
    mirrored = np.stack([pictures[0], pictures[1][:, ::-1], pictures[2]])
    assert_close(x, (mirrored[..., ::-1] - np.array([1.0, 2.0, 3.0])) / np.array([4.0, 5.0, 6.0]))


def batches(batch, epoch, start=0, seed=3, data=None):
    loader = Loader(
        data or Numbered(14), batch, PLAIN, resized(12, 8, True), seed=seed, drop_last=True, collate=collate
    )
    return list(loader.epoch(epoch, start))


def places_by_index(found):
    """Where each picture was cut out, by its index."""
    xs, labels = (np.concatenate(arrays) for arrays in zip(*found, strict=True))
    return {label: place(x) for x, label in zip(xs.astype(np.uint8), labels[:, 0, 0].tolist(), strict=True)}


@pytest.mark.parametrize("start", [0, 1, 3, 4])
def test_the_rest_of_an_epoch_is_what_an_undisturbed_one_has(start):
    data = Numbered(14)
    rest, whole = batches(3, 2, start, data=data), batches(3, 2)
    assert len(whole) == 4 and len(rest) == 4 - start
    for (x, labels), (expected, same) in zip(rest, whole[start:], strict=True):
        assert x.tobytes() == expected.tobytes() and labels.tobytes() == same.tobytes()
    assert len(data.reads) == 12 - 3 * start


def test_draws_are_counted_by_seed_epoch_and_picture():
    one = places_by_index(batches(7, 1))
    assert len(one) == 14 and len(set(one.values())) > 10  # no two pictures alike, or by chance
    assert places_by_index(batches(2, 1)) == one  # whatever the batch
    for other in (places_by_index(batches(7, 2)), places_by_index(batches(7, 1, seed=4))):
        assert sum(other[index] == one[index] for index in one) < 4


def test_a_picture_like_a_thread_is_cut_to_its_middle():
    """Enlarged whole, 4 x 40,000 pixels would take gigabytes."""
    picture = np.zeros((4, 40_000, 3), np.uint8)
    picture[:, 19_980:20_020] = 200
    resized = scale_shorter_side(picture, 64)
    assert resized.shape == (64, 640, 3) and (resized == 200).all()
    assert scale_shorter_side(picture.transpose(1, 0, 2), 64).shape == (640, 64, 3)
