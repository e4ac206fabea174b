"""What a data set is, and what is made from one: parts, another scale, class weights."""

import math
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import cached_property

import numpy as np

from ..errors import InputError
from .labels import LabelCoding, read_example
from .pictures import IGNORE_LABEL, Example
from .survey import Survey
from .transforms import rescale

HELD_OUT, MOST = 10, 100  # one picture in so many is held out, so many at most


@dataclass(eq=False)
class Dataset:
    """One split of a data set.

    `data[i]`, 0 <= i < len(data), is a picture uint8 (H, W, 3) in RGB and its labels uint8 (H, W): class ids from 0 to
    len(classes) - 1, or `ignore_label` where the class is unknown (void). Sizes may differ from picture to picture.
    Construction only lists files; what is in them is checked on reading, and InputError names the file.
    """

    name: str
    split: str
    classes: list[str]  # L names
    palette: np.ndarray  # uint8 (L, 3), RGB
    names: list[str]  # the pictures' names, one each, without extension
    read: Callable[[int], Example]  # data[i]
    values: list[int] | None = None  # of the classes in the label files; None: 0 to L - 1
    notes: list[str] = field(default_factory=list)  # what was assumed or left out, a sentence each
    drawn: bool = False  # by minifcn: nothing needs a check
    coding: LabelCoding | None = None  # of the label files, where there are some
    side: int = 0  # to which the pictures' longer side was scaled; 0: as they are

    ignore_label = IGNORE_LABEL

    def __post_init__(self):
        self.values = self.values or list(range(len(self.classes)))

    @cached_property
    def survey(self) -> Survey:
        """What is in it. Reads every file, once."""
        return Survey(self)

    def __len__(self) -> int:
        return len(self.names)

    def __getitem__(self, index: int) -> Example:
        return self.read(index)


def from_files(name: str, split: str, coding: LabelCoding, files: dict) -> Dataset:
    """A split whose pictures are files: {name: (picture's path, labels' path)}."""
    names, pairs = list(files), list(files.values())
    known = coding.classes, coding.palette, names, lambda i: read_example(*pairs[i], coding), coding.values
    return Dataset(name, split, *known, coding.notes, coding=coding)


def part(dataset: Dataset, indices: range | list[int]) -> Dataset:
    """The pictures with these indices, in that order."""
    return replace(dataset, names=[dataset.names[i] for i in indices], read=lambda i: dataset[indices[i]])


def scaled(dataset: Dataset, scale: float) -> Dataset:
    """A split with all pictures at another scale > 0: bilinearly, labels by nearest neighbour."""
    return dataset if scale == 1 else replace(dataset, read=lambda i: rescale(*dataset[i], scale))


def sided(dataset: Dataset, side: int) -> Dataset:
    """A split with all pictures scaled so that their longer side is `side`; 0: as they are."""
    if side == 0:
        return dataset
    return replace(dataset, read=lambda i: rescale(*(example := dataset[i]), side / max(example[1].shape)), side=side)


def hold_out(dataset: Dataset) -> tuple[Dataset, Dataset]:
    """Divide a split into nine tenths and the last tenth, rounded up; of more than a thousand, the last hundred.

    The last ones by name, not every tenth: neighbours in a film are so alike that they would say nothing new.
    """
    kept = len(dataset) - min(math.ceil(len(dataset) / HELD_OUT), MOST)
    return part(dataset, range(kept)), part(dataset, range(kept, len(dataset)))


def thinned(dataset: Dataset, fraction: float) -> Dataset:
    """A share of a split, 0 < fraction <= 1, spread evenly; at least one picture. Of two halvings, the smaller is part
    of the larger."""
    count = max(1, math.floor(len(dataset) * fraction))
    return part(dataset, [math.floor(i / fraction) for i in range(count)])


def median_frequency_weights(dataset: Dataset) -> np.ndarray:
    """Return float32 (L,): median frequency / frequency of each class, 0 for a class that never occurs.

    The frequency of a class is its pixels divided by all labelled pixels of the pictures it occurs in (Eigen, Fergus
    2015, section 6.3.2; SegNet uses it for CamVid). Takes the survey. Raises InputError where nothing is labelled.
    """
    if dataset.survey.errors:
        raise InputError(dataset.survey.errors[0])
    counts = dataset.survey.counts[:, :-1].astype(float)  # (pictures, L)
    pixels, in_pictures = counts.sum(axis=0), ((counts > 0) * counts.sum(axis=1, keepdims=True)).sum(axis=0)
    occurs = pixels > 0
    if not occurs.any():
        raise InputError(f"{dataset.name} {dataset.split}: no labelled pixel in any picture; train without --balance")
    frequency = pixels[occurs] / in_pictures[occurs]
    weights = np.zeros(len(occurs), np.float32)
    weights[occurs] = np.median(frequency) / frequency
    return weights
