"""Training an FCN on a segmentation data set: what minifcn.trainer does not know of it."""

import math
from pathlib import Path

import numpy as np

from .. import figures
from ..datasets import has_split, open_dataset
from ..datasets.balance import median_frequency_weights
from ..datasets.loader import Loader
from ..datasets.transforms import Augmentation
from ..datasets.views import hold_out, scaled, thinned
from ..models import MODELS
from ..ops import softmax_cross_entropy
from ..weights import checkpoint, restore
from . import folder as folders
from . import machine
from .evaluation import evaluate, predict
from .loop import Run
from .settings import SegmentationSettings

SAMPLE_ROWS = 4


class SegmentationRun(Run):
    """A run of an FCN. It also draws samples.png: picture, truth, prediction, overlay."""

    scores = ("jaccard", "pixel_accuracy")
    score_label = "Jaccard"
    item = "pixel"
    head = "score layers"

    @property
    def title(self) -> str:
        return self.settings.model

    def open_data(self) -> None:
        s = self.settings
        self.train_set, self.val_set, self.test_set = (
            scaled(open_dataset(s.data, split), s.scale) if has_split(s.data, split) else None
            for split in ("train", "val", "test")
        )
        if s.held_out:
            self.test_set = self.test_set or self.val_set
            self.train_set, self.val_set = hold_out(self.train_set)
        self.train_set = thinned(self.train_set, s.fraction)

    def network(self):
        s, L = self.settings, len(self.train_set.classes)
        return MODELS[s.model](L, s.trunk, s.pad, s.skip_scale, s.upsampling, seed=s.seed, dropout=s.dropout)

    def load_batches(self) -> Loader:
        s = self.settings
        self.class_weight = median_frequency_weights(self.train_set) if s.balance else None
        augmentation = Augmentation(tuple(s.crop) if s.crop else None, s.flip, s.scale_jitter)
        options = {"seed": s.seed, "drop_last": True, "place": self.loops.asarray}
        return Loader(self.train_set, s.batch, self.preprocessing, augmentation, **options)

    def sum_of_losses(self, x, labels):
        return softmax_cross_entropy(self.model(x), labels, class_weight=self.class_weight, reduction="sum")

    def labelled_weight(self, labels: np.ndarray) -> float:
        counts = np.bincount(labels.ravel(), minlength=256)[: len(self.train_set.classes)]
        return float(counts.sum() if self.class_weight is None else counts @ self.class_weight.astype(np.float64))

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

    def score(self) -> dict:
        return evaluate(self.model, self.val_set, self.preprocessing, "validate").summary()

    def model_meta(self) -> dict:
        s = self.settings
        spec = {"name": s.model, "num_classes": len(self.train_set.classes), "trunk": s.trunk, "pad": s.pad}
        spec |= {"skip_scale": list(s.skip_scale), "upsampling": s.upsampling, "seed": s.seed, "dropout": s.dropout}
        return {"model": spec, "classes": self.train_set.classes, "palette": self.train_set.palette.tolist()}

    def test(self) -> dict:
        """Score the final network, or the one chosen on held-out pictures, on the test set, and draw samples.png."""
        if self.settings.held_out:
            tensors, _ = checkpoint.load(self.best)
            restore(self.best, tensors, {f"model/{name}": p.data for name, p in self.model.parameters().items()})
        self.draw_samples()
        if self.test_set is None:
            print(f"{self.settings.data} has no test split: the last validation scores stand in metrics.json")
            return {}
        counts = evaluate(self.model, self.test_set, self.preprocessing, "test")
        split, pictures = self.test_set.split, len(self.test_set)
        print(f"\n{self.settings.model} on the {split} split of {self.test_set.name}, {pictures} pictures")
        print(counts.table(self.test_set.classes))
        class_jaccard = [None if math.isnan(j) else float(j) for j in counts.class_jaccard()]
        by_class = dict(zip(self.test_set.classes, class_jaccard, strict=True))
        return {"test": counts.summary() | {"class_jaccard": by_class}}

    def draw_samples(self) -> None:
        dataset = self.test_set or self.val_set or self.train_set
        rows = []
        for picture, labels in sample_pictures(dataset):
            predicted = predict(self.model, self.preprocessing.apply(picture)[None])[0]
            shown = [figures.colourise(labels, dataset.palette), figures.colourise(predicted, dataset.palette)]
            rows.append([picture, *shown, figures.overlay(picture, predicted, dataset.palette)])
        titles = ["picture", "truth", self.settings.model, "overlay"]
        figures.samples(self.folder / "samples.png", rows, titles, dataset.classes, dataset.palette)


def run_stage(folder: Path, settings: SegmentationSettings, where: str, stop) -> dict:
    """Train one network, or finish it, or do nothing where it is finished; return its metrics."""
    metrics = folders.read_metrics(folder)
    if metrics is not None:
        return metrics
    folder.mkdir(exist_ok=True)
    if not (folder / "config.json").exists():
        folders.write_config(folder, [settings], where)
    run = SegmentationRun(folder, settings, where)
    print(run.describe())
    run.train(stop)
    return run.finish()


def sample_pictures(dataset) -> list[tuple[np.ndarray, np.ndarray]]:
    """The pictures that samples.png shows: a few, spread evenly over the set."""
    rows = min(SAMPLE_ROWS, len(dataset))
    return [dataset[i * len(dataset) // rows] for i in range(rows)]
