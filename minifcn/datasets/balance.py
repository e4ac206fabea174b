"""Class weights against imbalance: median-frequency balancing."""

import numpy as np
from tqdm import tqdm

from ..errors import InputError
from . import Dataset


def median_frequency_weights(dataset: Dataset) -> np.ndarray:
    """Return float32 (L,): median frequency / frequency of each class, 0 for a class that never occurs.

    The frequency of a class is its pixels divided by all labelled pixels of the pictures it occurs in (Eigen, Fergus
    2015, section 6.3.2; SegNet uses it for CamVid). Reads every label file once. Raises InputError where
    nothing is labelled.
    """
    L = len(dataset.classes)
    pixels, in_pictures = np.zeros(L), np.zeros(L)
    for i in tqdm(range(len(dataset)), "class frequencies", unit="picture", leave=False):
        counts = np.bincount(dataset[i][1].ravel(), minlength=256)[:L]
        pixels += counts
        in_pictures += counts.sum() * (counts > 0)
    occurs = pixels > 0
    if not occurs.any():
        raise InputError(f"{dataset.name} {dataset.split}: no labelled pixel in any picture; train without --balance")
    frequency = pixels[occurs] / in_pictures[occurs]
    weights = np.zeros(L, np.float32)
    weights[occurs] = np.median(frequency) / frequency
    return weights
