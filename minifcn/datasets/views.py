"""Parts of a data set, and a data set at another scale: themselves data sets (see Dataset)."""

import math

from . import Dataset
from .pictures import Example
from .transforms import rescale

HELD_OUT = 10  # one picture in so many is held out


class View:
    """Some pictures of a split, those of `indices`, in that order, both sides multiplied by `scale` > 0.

    Pictures are scaled bilinearly, labels by nearest neighbour.
    """

    def __init__(self, dataset: Dataset, indices: list[int], scale: float = 1.0):
        self.name, self.split, self.ignore_label = dataset.name, dataset.split, dataset.ignore_label
        self.classes, self.palette = dataset.classes, dataset.palette
        self.names = [dataset.names[i] for i in indices]
        self._dataset, self._indices, self._scale = dataset, indices, scale

    def __len__(self) -> int:
        return len(self._indices)

    def __getitem__(self, index: int) -> Example:
        picture, labels = self._dataset[self._indices[index]]
        return (picture, labels) if self._scale == 1 else rescale(picture, labels, self._scale)


def scaled(dataset: Dataset, scale: float) -> Dataset:
    """A split with all pictures at another scale."""
    return dataset if scale == 1 else View(dataset, list(range(len(dataset))), scale)


def hold_out(dataset: Dataset) -> tuple[Dataset, Dataset]:
    """Divide a split into nine tenths and the last tenth, rounded up.

    The last ones by name, not every tenth: neighbours in a film are so alike that they would say nothing new.
    """
    kept = len(dataset) - math.ceil(len(dataset) / HELD_OUT)
    return View(dataset, list(range(kept))), View(dataset, list(range(kept, len(dataset))))


def thinned(dataset: Dataset, fraction: float) -> Dataset:
    """A share of a split, 0 < fraction <= 1, spread evenly; at least one picture. Of two halvings, the smaller is part
    of the larger."""
    if fraction == 1:
        return dataset
    count = max(1, math.floor(len(dataset) * fraction))
    return View(dataset, [math.floor(i / fraction) for i in range(count)])
