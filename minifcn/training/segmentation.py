"""Training an FCN on a segmentation data set, scored by Jaccard. It also draws samples: picture, truth, prediction."""

import math
from functools import partial
from pathlib import Path

from .. import figures
from ..datasets import Dataset, has_split, open_dataset
from ..datasets.dataset import hold_out, median_frequency_weights, scaled, thinned
from ..datasets.transforms import Augmentation
from ..errors import InputError
from ..models import MODELS
from ..weights import restore
from . import machine
from .evaluation import evaluate, predict
from .loop import Run
from .settings import SegmentationSettings
from .task import Task, complete

SAMPLE_ROWS = 4


def open_splits(data: str, scale: float = 1.0, fraction: float = 1.0, held_out: bool = False) -> tuple:
    """Open a data set's train, val and test, None where there is none; settings.py explains the other arguments."""
    names = [split for split in ("train", "val", "test") if split == "train" or has_split(data, split)]
    splits = {split: scaled(open_dataset(data, split), scale) for split in names}
    train, val, test = map(splits.get, ("train", "val", "test"))
    if held_out:
        test = test or val
        train, val = hold_out(train)
    return thinned(train, fraction), val, test


class Segmentation(Task):
    """An FCN, and the splits of a data set: those that are open already, or the settings' own."""

    takes = SegmentationSettings
    scores = ("jaccard", "pixel_accuracy")
    score_label = "Jaccard"

    def __init__(self, settings: SegmentationSettings, where: str = "cpu", splits: tuple | None = None):
        s = settings
        train_set, val_set, self.test_set = splits or open_splits(s.data, s.scale, s.fraction, s.held_out)
        super().__init__(s, train_set, val_set, MODELS[s.model], ("pad", "skip_scale", "upsampling"), where)
        self.augmentation = Augmentation(s.crop, s.flip, s.scale_jitter)
        self.class_weight = median_frequency_weights(train_set) if s.balance else None

    def score(self) -> dict:
        return evaluate(self.model, self.val_set, self.preprocessing, "validate").summary()

    def meta(self) -> dict:
        return super().meta() | {"palette": self.train_set.palette.tolist()}

    def describe(self) -> str:
        """What Task.describe says, and an estimate of the memory it takes."""
        s, (height, width) = self.settings, self.settings.crop or self.train_set[0][1].shape
        need = machine.text(machine.estimate(self.model, s.batch, height, width, s.low_memory))
        estimated = f"memory, estimated: {need} for batches of {s.batch} x {height} x {width}"
        return f"{super().describe()}\npad {s.pad}, upsampling {s.upsampling}, skips times {s.skip_scale}; {estimated}"

    def finish(self, run: Run) -> dict:
        """Score the final network, or the one chosen on held-out pictures, on the test set, and draw samples.png."""
        s, test_set = self.settings, self.test_set
        if s.held_out:
            restore(self.model, run.best)
        shown = test_set or self.val_set or self.train_set
        draw_samples(run.folder / "samples.png", shown, {s.title: (self.model, self.preprocessing)}, blend=True)
        if test_set is None:
            print(f"{s.data} has no test split: the last validation scores stand in metrics.json")
            return {}
        counts = evaluate(self.model, test_set, self.preprocessing, "test")
        print(f"\n{s.title} on the {test_set.split} split of {test_set.name}, {len(test_set)} pictures")
        print(counts.table(test_set.classes))
        by_class = zip(test_set.classes, map(float, counts.class_jaccard()), strict=True)
        return {"test": counts.summary() | {"class_jaccard": {c: None if math.isnan(j) else j for c, j in by_class}}}


run_stage = partial(complete, Segmentation)  # (folder, settings, device, stop) -> metrics of one network


def check_labelled(data: str, dataset: Dataset) -> None:
    """Raise InputError where all is void: nothing could be learnt or scored. Reads up to the first labelled pixel."""
    if not any((dataset[i][1] != dataset.ignore_label).any() for i in range(len(dataset))):
        what = f"every pixel of the {dataset.split} labels is void ({dataset.ignore_label})"
        raise InputError(f"{data}: {what}; write the classes' values into the label files")


def draw_samples(path: Path, dataset: Dataset, networks: dict, blend: bool = False) -> None:
    """Draw a few pictures, spread evenly, their labels, and what each network says, {title: (model, preprocessing)}.

    blend: with one more column, the last prediction over the picture.
    """
    rows, count = [], min(SAMPLE_ROWS, len(dataset))
    for picture, labels in (dataset[i * len(dataset) // count] for i in range(count)):
        found = [predict(model, prepared.apply(picture)[None])[0] for model, prepared in networks.values()]
        rows.append([picture, labels, *found] + [figures.overlay(picture, found[-1], dataset.palette)] * blend)
    titles = ["picture", "truth", *networks] + ["overlay"] * blend
    figures.samples(path, rows, titles, dataset.classes, dataset.palette)
