"""Training the VGG trunk as a classifier of whole pictures, scored by top-1 and top-5 accuracy."""

from pathlib import Path

import numpy as np
from tqdm import tqdm

from .. import device
from ..autograd import no_grad
from ..datasets.classification import Centred, Pictures, Resized, collate, open_pictures
from ..datasets.loader import Loader
from ..errors import InputError
from ..models.classifier import VGGClassifier, fold_all
from ..ops import softmax_cross_entropy
from ..weights import WeightFile, checkpoint
from .loop import Run
from .settings import ClassificationSettings
from .task import Task

NO_LABEL = -1  # every picture has a class
TRUNK_FILE = "trunk.safetensors"
BATCH = 20  # pictures at a time in validation

Splits = tuple[Pictures, Pictures | None]  # train, val


class Classification(Task):
    """A classifier, and pictures with their classes: those that are open already, or the settings' own."""

    scores = ("top1", "top5")
    score_label = "top-1 accuracy"
    item = "picture"
    head = "fc8"

    def __init__(self, settings: ClassificationSettings, where: str = "cpu", splits: Splits | None = None):
        s = settings
        train_set, val_set = splits or open_pictures(s.data)
        model = VGGClassifier(len(train_set.classes), s.trunk, seed=s.seed, dropout=s.dropout)
        super().__init__(s, train_set, val_set, model, where)
        self.title = s.trunk

    def batches(self) -> Loader:
        s = self.settings
        augmentation = Resized(s.size, s.crop, s.flip)
        options = {"seed": s.seed, "drop_last": True, "place": self.model.loops.asarray, "collate": collate}
        return Loader(self.train_set, s.batch, self.preprocessing, augmentation, **options)

    def loss(self, x, labels):
        return softmax_cross_entropy(self.model(x), labels, ignore_label=NO_LABEL, reduction="sum")

    def weight(self, labels: np.ndarray) -> float:
        return float(labels.size)

    def score(self) -> dict:
        return accuracy(self.model, self.val_set, self.preprocessing, self.settings.size, "validate")

    def meta(self) -> dict:
        s, classes = self.settings, self.train_set.classes
        spec = {"name": "vgg_classifier", "num_classes": len(classes), "trunk": s.trunk, "seed": s.seed}
        return {"model": spec | {"dropout": s.dropout}, "classes": classes}

    def describe_data(self) -> str:
        data, s = self.train_set, self.settings
        sides = f"shorter side {s.size}, crops of {s.crop} x {s.crop}"
        held_out = "no val/, so none" if self.val_set is None else len(self.val_set)
        pictures = f"{len(data)} training pictures, {held_out} held out"
        return f"{data.name}: {pictures}, {len(data.classes)} classes, {sides}"

    def finish(self, run: Run) -> dict:
        """Write the trunk as an FCN takes it over: a plain VGG, in float16. Held-out pictures were scored before."""
        tensors = {name: device.asnumpy(p.data) for name, p in self.model.parameters().items()}
        halves = {f"model/{name}": x.astype(np.float16) for name, x in fold_all(tensors).items()}
        meta = self.meta() | {"preprocessing": self.preprocessing.to_dict(), "validations": run.validations}
        checkpoint.save(run.folder / TRUNK_FILE, halves, meta)
        return {}


def check_start(path: Path, file: WeightFile) -> None:
    """Raise InputError unless training can go on from a weight file: a plain VGG has no averages of mean and var."""
    names = {array.name for array in file.arrays}
    if not {"conv1_1.mean", "fc8.weight"} <= names:
        raise InputError(
            f"{path}: not a classifier in training; give the last.safetensors of a run of minifcn.pretrain"
        )


def accuracy(model: VGGClassifier, dataset: Pictures, preprocessing, size: int, progress: str | None = None) -> dict:
    """Return top-1 and top-5 accuracy, each a fraction, over the middle squares of pictures scaled to `size`.

    A picture counts for top-k if fewer than k other classes score as high as its own or higher: a tie is a mistake.
    """
    batches = Loader(dataset, BATCH, preprocessing, Centred(size), False, place=model.loops.asarray, collate=collate)
    bar = tqdm(total=len(dataset), desc=progress, unit="picture", leave=False, disable=None if progress else True)
    ranks = []
    with bar, no_grad():
        model.eval()
        for x, labels in batches.epoch(0):
            ranks.append(ranks_of(device.asnumpy(model(x).data)[:, 0, 0], labels[:, 0, 0]))
            bar.update(len(labels))
    rank = np.concatenate(ranks)
    return {f"top{k}": float((rank < k).mean()) for k in (1, 5)}


def ranks_of(scores: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Return how many other classes score as high as the true one or higher, (N,), for scores (N,L), classes (N,)."""
    own = np.take_along_axis(scores, labels[:, None], 1)  # (N, 1)
    return (~(scores < own)).sum(1) - 1  # not "<": NaN, too, is a mistake
