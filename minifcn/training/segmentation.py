"""Training an FCN on a segmentation data set, scored by Jaccard. It also draws samples: picture, truth, prediction."""

import math
from pathlib import Path

import numpy as np

from .. import figures
from ..datasets import Dataset, has_split, open_dataset
from ..datasets.balance import median_frequency_weights
from ..datasets.loader import Loader
from ..datasets.transforms import Augmentation
from ..datasets.views import hold_out, scaled, thinned
from ..errors import InputError
from ..models import MODELS
from ..ops import softmax_cross_entropy
from ..weights import restore
from . import machine
from .evaluation import evaluate, predict
from .loop import Run
from .settings import SegmentationSettings
from .stage import complete
from .task import Task

SAMPLE_ROWS = 4

Splits = tuple[Dataset, Dataset | None, Dataset | None]  # train, val, test


def open_splits(data: str, scale: float = 1.0, fraction: float = 1.0, held_out: bool = False) -> Splits:
    """Open a data set's splits; what scale, fraction and held_out do is said in settings.py."""
    train, val, test = (
        scaled(open_dataset(data, split), scale) if has_split(data, split) else None
        for split in ("train", "val", "test")
    )
    if train is None:
        train = open_dataset(data, "train")  # raises: the message lists the splits that there are
    if held_out:
        test = test or val
        train, val = hold_out(train)
    return thinned(train, fraction), val, test


class Segmentation(Task):
    """An FCN, and the splits of a data set: those that are open already, or the settings' own."""

    scores = ("jaccard", "pixel_accuracy")
    score_label = "Jaccard"
    item = "pixel"
    head = "score layers"

    def __init__(self, settings: SegmentationSettings, where: str = "cpu", splits: Splits | None = None):
        s = settings
        train_set, val_set, self.test_set = splits or open_splits(s.data, s.scale, s.fraction, s.held_out)
        L = len(train_set.classes)
        model = MODELS[s.model](L, s.trunk, s.pad, s.skip_scale, s.upsampling, seed=s.seed, dropout=s.dropout)
        super().__init__(s, train_set, val_set, model, where)
        self.title = s.model
        self.class_weight = median_frequency_weights(train_set) if s.balance else None

    def batches(self) -> Loader:
        s = self.settings
        augmentation = Augmentation(s.crop, s.flip, s.scale_jitter)
        options = {"seed": s.seed, "drop_last": True, "place": self.model.loops.asarray}
        return Loader(self.train_set, s.batch, self.preprocessing, augmentation, **options)

    def loss(self, x, labels):
        return softmax_cross_entropy(self.model(x), labels, class_weight=self.class_weight, reduction="sum")

    def weight(self, labels: np.ndarray) -> float:
        counts = np.bincount(labels.ravel(), minlength=256)[: len(self.train_set.classes)]
        return float(counts.sum() if self.class_weight is None else counts @ self.class_weight.astype(np.float64))

    def score(self) -> dict:
        return evaluate(self.model, self.val_set, self.preprocessing, "validate").summary()

    def meta(self) -> dict:
        s = self.settings
        spec = {"name": s.model, "num_classes": len(self.train_set.classes), "trunk": s.trunk, "pad": s.pad}
        spec |= {"skip_scale": list(s.skip_scale), "upsampling": s.upsampling, "seed": s.seed, "dropout": s.dropout}
        return {"model": spec, "classes": self.train_set.classes, "palette": self.train_set.palette.tolist()}

    def describe(self) -> str:
        """The same, and an estimate of the memory it takes."""
        s = self.settings
        height, width = s.crop or self.train_set[0][1].shape
        need = machine.estimate(self.model, s.batch, height, width, s.low_memory)
        estimated = f"memory, estimated: {machine.text(need)} for batches of {s.batch} x {height} x {width}"
        scales = " and ".join(f"{scale:g}" for scale in s.skip_scale)
        return f"{super().describe()}\npad {s.pad}, upsampling {s.upsampling}, skips times {scales}; {estimated}"

    def describe_data(self) -> str:
        data = self.train_set
        return f"{data.name}: {len(data)} training pictures, {len(data.classes)} classes"

    def finish(self, run: Run) -> dict:
        """Score the final network, or the one chosen on held-out pictures, on the test set, and draw samples.png."""
        if self.settings.held_out:
            restore(self.model, run.best)
        shown = self.test_set or self.val_set or self.train_set
        draw_samples(run.folder / "samples.png", shown, {self.title: (self.model, self.preprocessing)}, blend=True)
        if self.test_set is None:
            print(f"{self.settings.data} has no test split: the last validation scores stand in metrics.json")
            return {}
        counts = evaluate(self.model, self.test_set, self.preprocessing, "test")
        split, pictures = self.test_set.split, len(self.test_set)
        print(f"\n{self.title} on the {split} split of {self.test_set.name}, {pictures} pictures")
        print(counts.table(self.test_set.classes))
        class_jaccard = [None if math.isnan(j) else float(j) for j in counts.class_jaccard()]
        by_class = dict(zip(self.test_set.classes, class_jaccard, strict=True))
        return {"test": counts.summary() | {"class_jaccard": by_class}}


def run_stage(folder: Path, settings: SegmentationSettings, where: str, stop, task: Segmentation | None = None) -> dict:
    """Train one network, or finish it, or do nothing where it is finished; return its metrics.

    task: with its first weights, if it is built already.
    """
    return complete(Segmentation, folder, settings, where, stop, task)


def check_labelled(data: str, dataset: Dataset) -> None:
    """Raise InputError where all is void: nothing could be learnt or scored. Reads up to the first labelled pixel."""
    if not any((dataset[i][1] != dataset.ignore_label).any() for i in range(len(dataset))):
        raise InputError(
            f"{data}: every pixel of the {dataset.split} labels is void ({dataset.ignore_label}); write the classes' "
            "values into the label files"
        )


def draw_samples(path: Path, dataset: Dataset, networks: dict, blend: bool = False) -> None:
    """Draw pictures, their labels, and what each network says of them, {title: (model, preprocessing)}.

    blend: with one more column, the last prediction over the picture.
    """
    rows = []
    for picture, labels in sample_pictures(dataset):
        found = [predict(model, prepared.apply(picture)[None])[0] for model, prepared in networks.values()]
        rows.append([picture, labels, *found] + [figures.overlay(picture, found[-1], dataset.palette)] * blend)
    titles = ["picture", "truth", *networks] + ["overlay"] * blend
    figures.samples(path, rows, titles, dataset.classes, dataset.palette)


def sample_pictures(dataset: Dataset) -> list[tuple[np.ndarray, np.ndarray]]:
    """The pictures that samples.png shows: a few, spread evenly over the set."""
    rows = min(SAMPLE_ROWS, len(dataset))
    return [dataset[i * len(dataset) // rows] for i in range(rows)]
