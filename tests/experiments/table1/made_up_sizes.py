"""Label maps as a data set, and records of networks whose recall is known to follow a law."""

import numpy as np

from experiments.table1.objects import STRIDES, Object, sums


class Pictures:
    """A data set of label maps."""

    name, split, ignore_label = "maps", "val", 255

    def __init__(self, *maps, classes=("a", "b", "c")):
        self.maps, self.classes = [np.asarray(x, np.uint8) for x in maps], list(classes)

    def __len__(self):
        return len(self.maps)

    def __getitem__(self, i):
        return np.zeros((*self.maps[i].shape, 3), np.uint8), self.maps[i]


def logistic(octaves):
    return 1 / (1 + np.exp(-1.5 * octaves))


def record(network, seed, law, objects=400, classes=("car", "sign"), noise=0.25):
    """A run of a network whose recall is law(diameter, stride), for each object with a noise."""
    rng = np.random.default_rng((seed, STRIDES[network], 7))
    sampled = np.random.default_rng(seed)  # the objects are the same for all networks
    found = []
    for label in range(len(classes)):
        for diameter in 2 ** sampled.uniform(2.05, 7.5, objects):
            area = max(13, round(np.pi / 4 * diameter**2))
            recall = law(diameter, STRIDES[network]) + rng.normal(0, noise)
            found.append(Object(label, 2 * np.sqrt(area / np.pi), float(np.clip(recall, 0, 1))))
    base = {"network": network, "stride": STRIDES[network], "seed": seed, "data": "toytown_sizes"}
    return base | {"pixels": sums(found, list(classes))}


def runs(law, seeds=(0, 1, 2), networks=("fcn8s", "fcn32s", "fcn16s"), **more):
    return [record(network, seed, law, **more) for seed in seeds for network in networks]


def in_strides(diameter, stride):
    return logistic(np.log2(diameter / stride))


def in_pixels(diameter, stride):
    return logistic(np.log2(diameter / 16))


def of(network, *rows, seed=0):
    return {"network": network, "stride": STRIDES[network], "seed": seed, "data": "x", "pixels": list(rows)}
