"""How well a network finds objects of each size: recall by diameter, of each connected component of the truth.

    truth            predicted        objects
    . A A . .        . A . . .        A   area 4   diameter 2 sqrt(4 / pi)   recall 3/4
    . A A . B        . A A . .        B   area 2   diameter 2 sqrt(2 / pi)   recall 0
    . . . B .        . . . . .        (8-connected: the two B touch)

A run of a network is kept as a record, a JSON object with sums for each class and bin instead of thousands of objects:

    {"network": "fcn16s", "stride": 16, "seed": 0, "data": "toytown_sizes",
     "pixels": [["car", 5, 61, 40.2], ...]}       class, bin of the diameter in pixels, objects, sum of their recalls

Bins are half octaves and strides powers of two, so the bin of diameter / stride is that of the diameter, moved by 2 for
each factor of 2 in the stride. A record needs no second table.
"""

from collections import defaultdict
from typing import NamedTuple

import numpy as np
from tqdm import tqdm

from minifcn.datasets import Dataset
from minifcn.training.evaluation import predict

STRIDES = {"fcn32s": 32, "fcn16s": 16, "fcn8s": 8}  # of the last prediction layer: what is upsampled to the picture
# The classes that are objects; of other sets, all but the background. A pole is no disc: its diameter says little.
TOWN, STREETS = ("car", "person", "sign"), ("car", "pedestrian", "bicyclist", "sign_symbol")
COMPACT = {"toytown": TOWN, "toytown_sizes": TOWN, "camvid": STREETS}
BINS = 16
EDGES = 4 * 2 ** (np.arange(BINS + 1) / 2)  # pixels: 4, 5.7, 8, ... 1024. Smaller objects are left out
FEWEST = 20  # objects of a bin, for its mean to be used


class Object(NamedTuple):
    """A connected component of the truth.

    label: its class.  diameter: of the disc with the same area, in pixels.  recall: the share of its pixels found.
    """

    label: int
    diameter: float
    recall: float


def objects(labels: np.ndarray, prediction: np.ndarray, classes: list[int]) -> list[Object]:
    """The connected components of each of these classes in labels (H, W), and how much of each was predicted.

    Pixels that touch at a corner are connected: the arm of a small person, a pixel wide and aslant, belongs to it.
    Void belongs to no object and is no part of any area, so that a border of void, as VOC and toytown have it, takes
    away from an object's diameter and not from its recall. Where void or another object cuts one in two, they are two;
    two of a class that touch are one. Objects narrower than EDGES[0] pixels are left out: parts of objects that others
    hide, mostly, and a pixel more or less would decide. Those at the edge of the picture count, with what is in it.
    """
    from scipy import ndimage

    found = []
    for label in classes:
        parts, count = ndimage.label(labels == label, np.ones((3, 3)))
        areas = np.bincount(parts.ravel(), minlength=count + 1)[1:]
        hits = np.bincount(parts[prediction == label], minlength=count + 1)[1:]
        each = zip((2 * np.sqrt(areas / np.pi)).tolist(), (hits / areas).tolist(), strict=True)
        found += [Object(label, diameter, recall) for diameter, recall in each]
    return [thing for thing in found if thing.diameter >= EDGES[0]]


def bin_of(diameter: float) -> int:
    """The bin of a diameter in pixels, EDGES[bin] <= diameter < EDGES[bin + 1]; the last one has no upper edge."""
    return min(int(np.searchsorted(EDGES, diameter, side="right")) - 1, BINS - 1)


def sums(found: list[Object], names: list[str]) -> list[list]:
    """The rows of a record: [class name, bin, objects, sum of their recalls]. names: of all classes."""
    rows = defaultdict(list)
    for thing in found:
        rows[thing.label, bin_of(thing.diameter)].append(thing.recall)
    return [[names[label], k, len(recalls), sum(recalls)] for (label, k), recalls in sorted(rows.items())]


def wanted(dataset: Dataset) -> list[int]:
    """The labels of the classes whose components are objects."""
    names = COMPACT.get(dataset.name, ())
    if not names or not set(names) <= set(dataset.classes):  # one's own data may be called camvid too
        names = [name for name in dataset.classes if name != "background"]
    return [dataset.classes.index(name) for name in names]


def measure(model, dataset: Dataset, seed: int, progress: str | None = None) -> dict:
    """Run a trained network, one of STRIDES, on a data set and return the record: see above.

    Pictures are taken as they come, at whatever scale. seed: of the run, for the record. progress: a bar's name.
    """
    chosen, found = wanted(dataset), []
    for i in tqdm(range(len(dataset)), progress, unit="picture", leave=False, disable=None):
        picture, labels = dataset[i]
        found += objects(labels, predict(model, picture), chosen)
    record = {"network": model.name, "stride": STRIDES[model.name], "seed": seed, "data": dataset.name}
    return record | {"pixels": sums(found, dataset.classes)}


def means(record: dict, pooled: bool = False) -> dict:
    """The mean recall for each (class, bin of pixels), or each bin over all classes, that has enough objects."""
    sums = defaultdict(lambda: np.zeros(2))
    for name, k, *of_bin in record["pixels"]:
        sums[k if pooled else (name, k)] += of_bin
    return {key: float(total / count) for key, (count, total) in sorted(sums.items()) if count >= FEWEST}


def recall_curves(records: list[dict], relative: bool) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """For each network, coarsest first: the middle of each bin, (bins), and the mean recall there, (seeds, bins).

    Over all classes, in bins that have enough objects in every seed. relative: bins of diameter / stride instead of the
    diameter in pixels. All networks of a data set have the same objects, and so the same bins in pixels.
    """
    curves = {}
    for network in sorted({r["network"] for r in records}, key=STRIDES.get, reverse=True):
        seeds = [means(r, pooled=True) for r in sorted(records, key=lambda r: r["seed"]) if r["network"] == network]
        bins = sorted(set.intersection(*map(set, seeds)))
        middles = EDGES[bins] * 2**0.25 / (STRIDES[network] if relative else 1)
        curves[network] = middles, np.array([[seed[k] for k in bins] for seed in seeds])
    return curves
