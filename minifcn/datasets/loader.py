"""Batches of a data set, in an order that depends on (seed, epoch) alone, loaded ahead in one background thread.

    data set --shuffle--> batch of indices --background thread: read, augment, preprocess, collate--> (x, labels)

Order and augmentation are counted, not streamed: `epoch(e, start=b)` yields exactly the batches b, b+1, ... that an
undisturbed run sees in epoch e.
"""

from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np

from ..randomness import counted_rng
from . import Dataset
from .transforms import Preprocessing, collate

_AHEAD = 2  # batches made before they are asked for
_ORDER, _AUGMENTATION = 1, 2  # tags that keep the draws for the one apart from those for the other


@dataclass
class Loader:
    """Batches of `batch_size` examples of a data set, in a new order every epoch, or with shuffle=False in its own.

    Each example is read, changed at random by `augmentation` unless that is None, and made part of a batch by
    `collate`, which also turns pixels into numbers by `preprocessing`; the default pads examples of different sizes
    with void. drop_last leaves out a last batch that is not full. Order and augmentation depend on `seed`. `place`
    brings x to where it is needed, in the background thread too: a device's asarray, or None for the host. share:
    gives the part of a batch's indices that is made here, where other processes make the rest.
    """

    dataset: Dataset
    batch_size: int
    preprocessing: Preprocessing
    augmentation: Callable | None = None
    shuffle: bool = True
    seed: int = 0
    drop_last: bool = False
    place: Callable | None = None
    collate: Callable = collate
    share: Callable | None = None

    def __len__(self) -> int:
        """Batches an epoch."""
        full, rest = divmod(len(self.dataset), self.batch_size)
        return full + (rest > 0 and not self.drop_last)

    def epoch(self, epoch: int, start: int = 0) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """Yield the batches of an epoch from number `start` on: x float32 (N, H, W, 3), labels as collate makes them.

        An error while loading is raised here, in the caller. Leaving the loop early ends the loading.
        """
        pictures = len(self.dataset)
        order = counted_rng(self.seed, epoch, 0, _ORDER).permutation(pictures) if self.shuffle else np.arange(pictures)
        cuts = range(start * self.batch_size, len(self) * self.batch_size, self.batch_size)
        return run_ahead(lambda cut: self._load(epoch, order[cut : cut + self.batch_size]), cuts, _AHEAD)

    def _load(self, epoch: int, indices: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        samples = []
        for index in (self.share(indices) if self.share else indices).tolist():
            picture, labels = self.dataset[index]
            if self.augmentation is not None:
                rng = counted_rng(self.seed, epoch, index, _AUGMENTATION)
                picture, labels = self.augmentation(picture, labels, rng, self.preprocessing.fill)
            samples.append((picture, labels))
        x, labels = self.collate(samples, self.preprocessing)
        return (self.place(x) if self.place else x), labels


def run_ahead(make: Callable, numbers: range, ahead: int) -> Iterator:
    """Yield make(number) for each number, made by a background thread up to `ahead` results before they are asked for.

    An error of `make` is raised in the caller. Closing the generator (as leaving a `for` does) ends the thread.
    """
    pool, waiting = ThreadPoolExecutor(1, "minifcn-loader"), deque()
    try:
        for number in numbers:
            waiting.append(pool.submit(make, number))
            if len(waiting) > ahead:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
    finally:
        pool.shutdown(cancel_futures=True)  # waits for what is being made
