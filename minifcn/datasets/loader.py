"""Batches of a data set, in an order that depends on (seed, epoch) alone, loaded ahead in one background thread.

    data set --shuffle--> batch of indices --background thread: read, augment, preprocess, collate--> (x, labels)

Order and augmentation are counted, not streamed: `epoch(e, start=b)` yields exactly the batches b, b+1, ... that an
undisturbed run sees in epoch e.
"""

import queue
import threading
from collections.abc import Callable, Iterator
from typing import TypeVar

import numpy as np

from ..randomness import counted_rng
from . import Dataset
from .transforms import Augmentation, Preprocessing, collate

T = TypeVar("T")
_AHEAD = 2  # batches made before they are asked for
_ORDER, _AUGMENTATION = 1, 2  # tags that keep the draws for the one apart from those for the other


class Loader:
    """Batches of a data set.

    Args:
        dataset: see minifcn.datasets.Dataset.
        batch_size: pictures a batch; those of different sizes are padded with void (see collate).
        preprocessing: turns pixels into numbers.
        augmentation: random changes, or None.
        shuffle: a new order every epoch; False keeps the data set's (for evaluation).
        seed: of order and augmentation.
        drop_last: leave out a last batch that is not full.
        collate: makes a batch of samples that are read and augmented; for other data sets than Dataset describes.
        place: brings x to where it is needed, in the background thread too: a device's asarray, or None for the host.
    """

    def __init__(
        self,
        dataset: Dataset,
        batch_size: int,
        preprocessing: Preprocessing,
        augmentation: Augmentation | None = None,
        shuffle: bool = True,
        seed: int = 0,
        drop_last: bool = False,
        place: Callable | None = None,
        collate: Callable = collate,
    ):
        if batch_size < 1:
            raise ValueError(f"batch_size: expected at least 1, received {batch_size}")
        if drop_last and batch_size > len(dataset):
            raise ValueError(f"drop_last: no batch of {batch_size} is left of {len(dataset)} pictures")
        self.dataset, self.batch_size, self.preprocessing = dataset, batch_size, preprocessing
        self.augmentation, self.shuffle, self.seed, self.drop_last = augmentation, shuffle, seed, drop_last
        self.place, self.collate = place, collate

    def __len__(self) -> int:
        """Batches an epoch."""
        full, rest = divmod(len(self.dataset), self.batch_size)
        return full + (rest > 0 and not self.drop_last)

    def order(self, epoch: int) -> np.ndarray:
        """Return the indices of the pictures in the order of an epoch, int64 (len(dataset),)."""
        if not self.shuffle:
            return np.arange(len(self.dataset))
        return counted_rng(self.seed, epoch, 0, _ORDER).permutation(len(self.dataset))

    def epoch(self, epoch: int, start: int = 0) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """Yield the batches of an epoch from number `start` on: x float32 (N, H, W, 3), labels as collate makes them.

        An error while loading is raised here, in the caller. Leaving the loop early ends the loading.
        """
        if not 0 <= start <= len(self):
            raise ValueError(f"start: expected 0 to {len(self)} (the batches an epoch), received {start}")
        order = self.order(epoch)
        cuts = range(start * self.batch_size, len(self) * self.batch_size, self.batch_size)
        return run_ahead(lambda cut: self._load(epoch, order[cut : cut + self.batch_size]), cuts, _AHEAD)

    def _load(self, epoch: int, indices: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        samples = []
        for index in indices.tolist():
            picture, labels = self.dataset[index]
            if self.augmentation is not None:
                rng = counted_rng(self.seed, epoch, index, _AUGMENTATION)
                picture, labels = self.augmentation(picture, labels, rng, self.preprocessing.fill)
            samples.append((picture, labels))
        x, labels = self.collate(samples, self.preprocessing)
        return (self.place(x) if self.place else x), labels


def run_ahead(make: Callable[[int], T], numbers: range, ahead: int) -> Iterator[T]:
    """Yield make(number) for each number, made by a background thread up to `ahead` results before they are asked for.

    An error of `make` is raised in the caller. Closing the generator (as leaving a `for` does) ends the thread.
    """
    ready: queue.SimpleQueue[tuple[T | None, BaseException | None]] = queue.SimpleQueue()
    slots = threading.Semaphore(ahead)  # one for each result that may wait
    abandoned = threading.Event()

    def work() -> None:
        for number in numbers:
            slots.acquire()
            if abandoned.is_set():
                return
            try:
                ready.put((make(number), None))
            except BaseException as error:  # whatever it is, the caller must not wait for ever
                ready.put((None, error))
                return

    thread = threading.Thread(target=work, name="minifcn-loader", daemon=True)
    thread.start()
    try:
        for _ in numbers:
            result, error = ready.get()
            slots.release()
            if error is not None:
                raise error
            yield result
    finally:
        abandoned.set()
        slots.release()  # wakes a thread that waits for one
        thread.join()
