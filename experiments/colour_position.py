"""How much of toytown can be told from colour and position alone, by classifiers that see no neighbouring pixel.

A data set that such a classifier solves needs no network. Each classifier here maps (R, G, B, x, y) of one pixel to a
class:

    table   class counts in bins of colour and position, smoothed by the counts in coarser bins
    forest  the same with many random binnings, whose log odds are added up
    mlp     two hidden layers of 64 units on colour, position and their sines, trained with Adam

Each is fitted twice, with all pixels alike (^0.0) and with classes weighted by 1 / sqrt(frequency) (^0.5), which suits
the Jaccard, and measured on the test split: one confusion matrix of 5000 pixels, void apart, of each picture. Run:

    python -m experiments.colour_position [--json FILE]
"""

import argparse
import json
from itertools import pairwise

import numpy as np
from tqdm import tqdm

from minifcn.datasets.toytown import Toytown
from minifcn.randomness import counted_rng

TRAIN_PIXELS, TEST_PIXELS = 1500, 5000  # drawn at random from each picture


def sample_pixels(data: Toytown, count: int) -> tuple[np.ndarray, np.ndarray]:
    """Sample labelled pixels: features (n, 5) float32 in 0..1 and labels (n,) int64."""
    features, labels = [], []
    for index in tqdm(range(len(data)), desc="sampling", unit="picture"):
        x, y = pixel_features(*data[index])
        keep = counted_rng(0, index).permutation(len(y))[:count]
        features.append(x[keep])
        labels.append(y[keep])
    return np.concatenate(features), np.concatenate(labels)


def pixel_features(picture: np.ndarray, labels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """R, G, B, x, y in 0..1 of the labelled pixels of one picture, (n, 5) float32, and their labels (n,)."""
    v, u = np.nonzero(labels != Toytown.ignore_label)
    position = np.stack([u / labels.shape[1], v / labels.shape[0]], axis=1)
    return np.concatenate([picture[v, u] / 255, position], axis=1).astype(np.float32), labels[v, u].astype(np.int64)


class Table:
    """Class counts in bins. The estimate in a bin starts from that of the coarser binning, worth `strength` pixels."""

    LEVELS = ((1, 1), (1, 4), (3, 4), (5, 6), (8, 8), (12, 10))  # bins a colour axis, bins a position axis

    def __init__(self, x: np.ndarray, y: np.ndarray, weight: np.ndarray, levels=LEVELS, strength: float = 30.0):
        self.levels, self.classes = levels, len(weight)
        self.probabilities = []
        prior, previous = np.full((1, self.classes), 1 / self.classes), None
        for level in levels:
            bins = self.bins(x, level)
            size = level[0] ** 3 * level[1] ** 2
            counts = np.bincount(bins * self.classes + y, weight[y], size * self.classes).reshape(size, self.classes)
            if previous is not None:
                parent = np.zeros(size, int)
                parent[bins] = self.bins(x, previous)  # bins need not nest: the last pixel's parent will do
                prior = self.probabilities[-1][parent]
            estimate = counts + strength * prior
            self.probabilities.append(estimate / estimate.sum(axis=1, keepdims=True))
            previous = level

    @staticmethod
    def bins(x: np.ndarray, level: tuple[int, int]) -> np.ndarray:
        colour, position = level
        index = np.zeros(len(x), int)
        for axis, count in enumerate((colour, colour, colour, position, position)):
            index = index * count + np.clip((x[:, axis] * count).astype(int), 0, count - 1)
        return index

    def scores(self, x: np.ndarray) -> np.ndarray:
        return np.log(self.probabilities[-1][self.bins(x, self.levels[-1])] + 1e-9)


class Forest:
    """Tables over randomly turned and shifted colours, averaged: soft bins."""

    def __init__(self, x: np.ndarray, y: np.ndarray, weight: np.ndarray, members: int = 6):
        rng = counted_rng(1)
        self.members = []
        for _ in range(members):
            turn = np.linalg.qr(rng.standard_normal((3, 3)))[0].astype(np.float32)
            shift = rng.uniform(-0.06, 0.06, 5).astype(np.float32)
            self.members.append((turn, shift, Table(self.turned(x, turn, shift), y, weight, strength=60.0)))

    @staticmethod
    def turned(x: np.ndarray, turn: np.ndarray, shift: np.ndarray) -> np.ndarray:
        colour = (x[:, :3] - 0.5) @ turn.T / 1.3 + 0.5
        return np.concatenate([colour, x[:, 3:]], axis=1) + shift

    def scores(self, x: np.ndarray) -> np.ndarray:
        return sum(table.scores(self.turned(x, turn, shift)) for turn, shift, table in self.members)


class Mlp:
    """Two hidden layers of 64 ReLU units, trained by Adam on the weighted cross-entropy."""

    def __init__(self, x: np.ndarray, y: np.ndarray, weight: np.ndarray, steps: int = 2500, batch: int = 2048):
        rng = counted_rng(2)
        sizes = [self.lift(x[:1]).shape[1], 64, 64, len(weight)]
        self.layers = [
            rng.standard_normal((a, b), np.float32) * np.sqrt(2 / a).astype(np.float32) for a, b in pairwise(sizes)
        ]
        self.layers += [np.zeros(b, np.float32) for b in sizes[1:]]
        first, second = ([np.zeros_like(p) for p in self.layers] for _ in range(2))
        for step in tqdm(range(1, steps + 1), desc="mlp", unit="step"):
            pick = rng.integers(0, len(y), batch)
            rate = 4e-3 * (1 - step / (steps + 1))
            for p, m, v, g in zip(self.layers, first, second, self.gradients(x[pick], y[pick], weight), strict=True):
                m += 0.1 * (g - m)
                v += 0.01 * (g * g - v)
                p -= rate * (m / (1 - 0.9**step)) / (np.sqrt(v / (1 - 0.99**step)) + 1e-7)

    @staticmethod
    def lift(x: np.ndarray) -> np.ndarray:
        waves = [wave(np.pi * k * x) for k in (1, 2, 4) for wave in (np.sin, np.cos)]
        spread = x[:, :3] - x[:, :3].mean(axis=1, keepdims=True)
        return np.concatenate([2 * x - 1, 4 * spread, *waves], axis=1)

    def forward(self, x: np.ndarray) -> tuple[np.ndarray, ...]:
        w1, w2, w3, b1, b2, b3 = self.layers
        h0 = self.lift(x)
        h1 = np.maximum(h0 @ w1 + b1, 0)
        h2 = np.maximum(h1 @ w2 + b2, 0)
        return h0, h1, h2, h2 @ w3 + b3

    def gradients(self, x: np.ndarray, y: np.ndarray, weight: np.ndarray) -> list[np.ndarray]:
        h0, h1, h2, scores = self.forward(x)
        e = np.exp(scores - scores.max(axis=1, keepdims=True))
        d3 = e / e.sum(axis=1, keepdims=True)
        d3[np.arange(len(y)), y] -= 1
        d3 *= (weight[y] / weight[y].sum())[:, None].astype(np.float32)
        d2 = (d3 @ self.layers[2].T) * (h2 > 0)
        d1 = (d2 @ self.layers[1].T) * (h1 > 0)
        return [h0.T @ d1, h1.T @ d2, h2.T @ d3, d1.sum(axis=0), d2.sum(axis=0), d3.sum(axis=0)]

    def scores(self, x: np.ndarray) -> np.ndarray:
        return self.forward(x)[-1]


def class_jaccard(classifier, x: np.ndarray, y: np.ndarray, classes: int) -> np.ndarray:
    """Jaccard of each class from one confusion matrix; NaN where a class is neither there nor predicted."""
    confusion = np.zeros((classes, classes))
    for start in range(0, len(y), 100_000):
        predicted = classifier.scores(x[start : start + 100_000]).argmax(axis=1)
        pairs = y[start : start + 100_000] * classes + predicted
        confusion += np.bincount(pairs, minlength=classes**2).reshape(classes, classes)
    both, union = np.diag(confusion), confusion.sum(axis=0) + confusion.sum(axis=1) - np.diag(confusion)
    return np.divide(both, union, out=np.full(classes, np.nan), where=union > 0)


def main() -> None:
    parser = argparse.ArgumentParser(description="Jaccard of classifiers that see one pixel's colour and position.")
    parser.add_argument("--json", metavar="FILE", help="also write each classifier's mean Jaccard to this file")
    out = parser.parse_args().json
    names = Toytown("train").classes
    x, y = sample_pixels(Toytown("train"), TRAIN_PIXELS)
    test_x, test_y = sample_pixels(Toytown("test"), TEST_PIXELS)
    frequency = np.bincount(y, minlength=len(names)) / len(y)
    print(f"{'':12s}" + " ".join(f"{name:>8s}" for name in names) + f"{'mean':>9s}")
    print(f"{'share':12s}" + " ".join(f"{share:8.3f}" for share in frequency))
    means = {}
    for power in (0.0, 0.5):
        for make in (Table, Forest, Mlp):
            jaccard = class_jaccard(make(x, y, (1 / frequency) ** power), test_x, test_y, len(names))
            name = f"{make.__name__.lower()}^{power}"
            means[name] = float(np.nanmean(jaccard))
            print(f"{name:12s}" + " ".join(f"{value:8.3f}" for value in jaccard) + f"{means[name]:9.3f}")
    print(f"best mean Jaccard from colour and position alone: {max(means.values()):.3f}")
    if out:
        with open(out, "w", encoding="utf-8") as file:
            file.write(json.dumps({"jaccard": means}, indent=1) + "\n")


if __name__ == "__main__":
    main()
