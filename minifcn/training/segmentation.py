"""Training an FCN on a segmentation data set, scored by Jaccard. It also draws samples: picture, truth, prediction."""

import math
from functools import partial
from pathlib import Path

import numpy as np

from .. import figures, models, ranks, weights
from ..datasets import Dataset, has_split, open_dataset
from ..datasets.dataset import hold_out, median_frequency_weights, scaled, sided, thinned
from ..datasets.transforms import Augmentation
from ..errors import InputError, say
from . import machine
from .evaluation import evaluate, predict
from .loop import Run
from .settings import SegmentationSettings
from .task import Task, complete

SAMPLE_ROWS = 4


def open_splits(data: str, scale: float = 1.0, fraction: float = 1.0, held_out: bool = False, side: int = 0) -> tuple:
    """Open a data set's train, val and test, None where there is none; settings.py explains the other arguments.

    side is for training alone: scores are counted at the pictures' own size (evaluation.py).
    """
    names = [split for split in ("train", "val", "test") if split == "train" or has_split(data, split)]
    splits = {split: scaled(open_dataset(data, split), scale) for split in names}
    train, val, test = map(splits.get, ("train", "val", "test"))
    if held_out:
        test = test or val
        train, val = hold_out(train)
    return sided(thinned(train, fraction), side), val, test


class Segmentation(Task):
    """An FCN, and the splits of a data set: those that are open already, or the settings' own."""

    takes = SegmentationSettings
    scores = ("jaccard", "pixel_accuracy", "loss")
    score_label = "Jaccard"

    def __init__(self, settings: SegmentationSettings, where: str = "cpu", splits: tuple | None = None):
        s = settings
        train_set, val_set, self.test_set = splits or open_splits(s.data, s.scale, s.fraction, s.held_out, s.side)
        super().__init__(s, train_set, val_set, models.MODELS[s.model], ("pad", "skip_scale", "upsampling"), where)
        self.augmentation = Augmentation(s.crop, s.flip, s.scale_jitter, s.colour_jitter)
        frozen = tuple(f"conv{block}_" for block in range(1, s.freeze + 1))
        for name, parameter in self.model.parameters().items():
            parameter.requires_grad &= not name.startswith(frozen)
        self.class_weight = median_frequency_weights(train_set) if s.balance else None
        self.counts = None  # of the last validation

    def score(self) -> dict:
        sums = np.zeros(2)  # the loss, and what is labelled

        def look(labels: np.ndarray, scores, part=...) -> None:
            seen = labels[part][None]
            sums[:] += float(self.loss(scores, seen)), self.weight(seen)

        self.counts = evaluate(self.model, self.val_set, "validate", look=look)
        loss, weight = ranks.total(sums)
        return self.counts.summary() | {"loss": loss / (weight or 1.0)}

    def meta(self) -> dict:
        data, survey = self.train_set, self.train_set.survey
        if not survey.shapes:  # of a run that goes on, as a new one is refused before
            raise InputError(survey.errors[0])
        seen = {"side": self.settings.side, "longest": max(map(max, survey.shapes))}
        if data.coding:  # what the label files' values mean
            colours = data.coding.colours
            seen |= {"entries": data.coding.entries, "colours": None if colours is None else colours.tolist()}
        return super().meta() | seen | {"palette": data.palette.tolist(), "values": data.values}

    def describe(self) -> list[str]:
        """What Task.describe says, and an estimate of the memory it takes."""
        s = self.settings
        height, width = s.crop or (math.ceil(x * (1 + s.scale_jitter)) for x in self.train_set.survey.largest(s.batch))
        need = machine.text(machine.estimate(self.model, s.batch, height, width, s.low_memory))
        estimated = f"memory, estimated: {need} for batches of {s.batch} x {height} x {width}"
        return [*super().describe(), f"pad {s.pad}, upsampling {s.upsampling}, skips times {s.skip_scale}; {estimated}"]

    def finish(self, run: Run) -> dict:
        """Score the final network, or the one chosen on held-out pictures, on val and test, and draw samples.png."""
        s, found, splits = self.settings, {}, {"val": self.val_set, "test": self.test_set}
        if s.held_out:
            weights.load_weights(self.model, run.best, whole=True)
            del splits["val"]  # the network was chosen on it
        shown = self.test_set or self.val_set or self.train_set
        draw_samples(run.folder / "samples.png", shown, {s.title: self.model}, blend=True)
        for name, data in splits.items():
            if data is not None:
                counts = (self.counts if name == "val" else None) or evaluate(self.model, data, name)
                title = f"{s.title} on the {data.split} split of {data.name}, {len(data)} pictures"
                say("", title, *counts.table(data.classes).splitlines())
                found[name] = counts.details(data.classes)
            elif name == "test":
                say(f"{s.data} has no test split")
        last = found.get("test") or found.get("val") or [{"jaccard": None}, *run.validations][-1]
        score = "not measured" if last["jaccard"] is None else f"{100 * last['jaccard']:.1f} %"
        if remark := last.get("remark"):  # of one class in the labels any score would be praise
            score = remark if sum(map(any, last["confusion"])) == 1 else f"{score} - {remark}"
        split, early = "test" if "test" in found else "val", ", stopped early" * (run.step < s.steps)
        summary = f"{s.title}: {split} Jaccard {score}, trained {run.step} steps in {run.seconds:.0f} s{early}"
        return found | {"summary": summary}


run_stage = partial(complete, Segmentation)  # (folder, settings, device, stop) -> metrics of one network


def draw_samples(path: Path, dataset: Dataset, networks: dict, blend: bool = False) -> None:
    """Draw a few pictures, spread evenly, their labels, and what each network says, {title: model}.

    blend: with one more column, the last prediction over the picture.
    """
    rows, count = [], min(SAMPLE_ROWS, len(dataset))
    for picture, labels in (dataset[i * len(dataset) // count] for i in range(count)):
        found = [predict(model, picture) for model in networks.values()]
        drawn = [figures.overlay(picture, found[-1], dataset.classes, dataset.palette)] * blend
        rows.append([picture, labels, *found, *drawn])
    titles = ["picture", "truth", *networks] + ["overlay"] * blend
    figures.samples(path, rows, titles, dataset.classes, dataset.palette)
