"""The loader: order, resuming in mid-epoch, errors in the background, and no thread left behind."""

import gc
import threading
import time

import numpy as np
import pytest

from minifcn.datasets.loader import Loader, run_ahead
from minifcn.datasets.transforms import Augmentation, Preprocessing

PLAIN = Preprocessing("RGB", (0.0, 0.0, 0.0), (1.0, 1.0, 1.0))
AUGMENT = Augmentation(crop=(5, 6), flip=True, scale_jitter=0.2)


class Pictures:
    """N random pictures; the first pixel of picture i is (i, i, i) with label i."""

    name, split, ignore_label = "pictures", "train", 255

    def __init__(self, count, same_size=False, bad=None):
        self.count, self.same_size, self.bad = count, same_size, bad
        self.reads = []

    def __len__(self):
        return self.count

    def __getitem__(self, index):
        self.reads.append(index)
        if index == self.bad:
            raise KeyError(f"picture {index} is bad")
        rng = np.random.default_rng(index)
        H, W = (8, 9) if self.same_size else (6 + index % 3, 7 + index % 4)
        picture = rng.integers(0, 256, (H, W, 3), dtype=np.uint8)
        labels = rng.integers(0, 5, (H, W), dtype=np.uint8)
        picture[0, 0], labels[0, 0] = index, index
        return picture, labels


def loader_threads():
    return [thread for thread in threading.enumerate() if thread.name.startswith("minifcn-loader")]


@pytest.fixture(autouse=True)
def no_thread_left_behind():
    assert not loader_threads()
    yield
    gc.collect()
    assert not loader_threads()


def indices(loader, epoch, start=0):
    return [labels[:, 0, 0].tolist() for _, labels in loader.epoch(epoch, start)]


def test_without_shuffling_the_order_is_the_data_sets():
    loader = Loader(Pictures(7), 3, PLAIN, shuffle=False)
    assert len(loader) == 3
    assert indices(loader, 0) == indices(loader, 5) == [[0, 1, 2], [3, 4, 5], [6]]
    assert indices(Loader(Pictures(3), 5, PLAIN, shuffle=False), 0) == [[0, 1, 2]]


def test_batches_hold_the_pictures():
    data = Pictures(4)
    for n, (x, labels) in enumerate(Loader(data, 1, PLAIN, shuffle=False).epoch(0)):
        np.testing.assert_array_equal(x[0], data[n][0])
        np.testing.assert_array_equal(labels[0], data[n][1])
        assert x.dtype == np.float32 and labels.dtype == np.uint8


@pytest.mark.parametrize(("drop_last", "batches", "seen"), [(False, 4, 11), (True, 3, 9)])
def test_every_picture_once_an_epoch(drop_last, batches, seen):
    loader = Loader(Pictures(11), 3, PLAIN, drop_last=drop_last)
    for epoch in range(3):
        order = indices(loader, epoch)
        assert len(order) == len(loader) == batches
        flat = [index for batch in order for index in batch]
        assert len(flat) == len(set(flat)) == seen


def test_order_depends_on_seed_and_epoch_alone():
    one, other = Loader(Pictures(40), 40, PLAIN, seed=1), Loader(Pictures(40), 40, PLAIN, seed=2)
    first = indices(one, 0)
    assert first != indices(one, 1) and first != indices(other, 0)
    assert indices(Loader(Pictures(40), 40, PLAIN, seed=1), 0) == first
    assert first[0] != list(range(40))


@pytest.mark.parametrize("start", [0, 1, 3, 5, 6])
def test_resumed_loader_yields_the_same_bits(start):
    undisturbed = Loader(Pictures(17), 3, Preprocessing(), AUGMENT, seed=4)
    expected = list(undisturbed.epoch(2))
    data = Pictures(17)
    resumed = list(Loader(data, 3, Preprocessing(), AUGMENT, seed=4).epoch(2, start))
    assert len(resumed) == 6 - start
    for (x, labels), (x_expected, labels_expected) in zip(resumed, expected[start:], strict=True):
        assert x.tobytes() == x_expected.tobytes() and labels.tobytes() == labels_expected.tobytes()
    assert len(data.reads) == max(17 - 3 * start, 0)  # what comes before `start` is not even read


def test_augmentation_does_not_depend_on_the_batch_size():
    big = np.concatenate([x for x, _ in Loader(Pictures(12), 6, PLAIN, AUGMENT, seed=1).epoch(3)])
    small = np.concatenate([x for x, _ in Loader(Pictures(12), 2, PLAIN, AUGMENT, seed=1).epoch(3)])
    np.testing.assert_array_equal(big, small)


def test_augmentation_differs_between_epochs_and_pictures():
    loader = Loader(Pictures(8, same_size=True), 8, PLAIN, Augmentation(crop=(3, 3)), shuffle=False)
    crops = []
    for epoch in range(2):
        (x, _), *_ = loader.epoch(epoch)
        for n in range(8):
            picture = loader.dataset[n][0]
            crops.append(
                next((t, s) for t in range(6) for s in range(7) if np.array_equal(picture[t : t + 3, s : s + 3], x[n]))
            )
    assert crops[:8] != crops[8:] and len(set(crops[:8])) > 3


def test_padding_of_a_crop_is_the_preprocessings_mean():
    preprocessing = Preprocessing("BGR", (10.0, 20.0, 30.0), (1.0, 2.0, 3.0))
    for x, labels in Loader(Pictures(3), 1, preprocessing, Augmentation(crop=(20, 20))).epoch(0):
        assert (x[0, 10:] == 0).all() and (labels[0, 10:] == 255).all()


def test_error_in_the_background_reaches_the_caller():
    loader = Loader(Pictures(9, bad=4), 2, PLAIN, shuffle=False)
    seen = []
    with pytest.raises(KeyError, match="picture 4 is bad"):
        for _, labels in loader.epoch(0):
            seen.append(labels[:, 0, 0].tolist())
    assert seen == [[0, 1], [2, 3]]  # all that came before it


def test_leaving_early_ends_the_thread_and_the_reading():
    data = Pictures(1000)
    for _ in Loader(data, 1, PLAIN, shuffle=False).epoch(0):
        break
    assert not loader_threads()
    assert len(data.reads) <= 5


def test_an_error_or_ctrl_c_in_the_callers_loop_ends_the_thread():
    for kind in (RuntimeError, KeyboardInterrupt):
        batches = Loader(Pictures(100), 1, PLAIN).epoch(0)
        with pytest.raises(kind):
            for _ in batches:
                raise kind
        batches.close()
        assert not loader_threads()


def test_an_epoch_never_begun_starts_no_thread():
    batches = Loader(Pictures(5), 1, PLAIN).epoch(0)
    assert not loader_threads()
    del batches


def test_loads_ahead_but_only_so_far():
    made, reached = [], threading.Event()

    def make(number):
        made.append(number)
        if len(made) == 3:
            reached.set()
        return number

    results = run_ahead(make, range(100), ahead=2)
    assert next(results) == 0
    assert reached.wait(5)  # 1 and 2 are made without being asked for
    time.sleep(0.05)  # a thread that went further would have by now
    assert made == [0, 1, 2]
    assert [next(results) for _ in range(97)] == list(range(1, 98))
    results.close()


def test_closing_wakes_a_thread_that_waits():
    results = run_ahead(int, range(100), ahead=2)
    next(results)
    time.sleep(0.1)  # two results are ready by now, and the thread waits for one of them to be taken
    closing = threading.Thread(target=results.close, daemon=True)
    closing.start()
    closing.join(5)
    assert not closing.is_alive() and not loader_threads()


def test_closing_drops_what_is_not_begun():
    made, begun, go_on = [], threading.Event(), threading.Event()

    def make(number):
        made.append(number)
        if number == 1:
            begun.set()
            go_on.wait(5)

    results = run_ahead(make, range(100), ahead=2)
    next(results)
    assert begun.wait(5)  # 1 is being made and 2 is next
    threading.Timer(0.3, go_on.set).start()
    results.close()
    assert made == [0, 1]


def test_two_epochs_at_once():
    loader = Loader(Pictures(9), 2, PLAIN)
    pairs = list(zip(loader.epoch(0), loader.epoch(0), strict=True))
    assert len(pairs) == 5
    for (x, _), (y, _) in pairs:
        np.testing.assert_array_equal(x, y)
