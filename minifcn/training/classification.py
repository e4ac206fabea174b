"""Training the VGG trunk as a classifier of whole pictures, scored by top-1 and top-5 accuracy."""

from functools import partial
from itertools import islice

import numpy as np
from tqdm import tqdm

from .. import autograd, device, ranks
from ..datasets import classification as pictures
from ..datasets.loader import Loader
from ..models.classifier import VGGClassifier, fold_all
from ..ops import softmax_cross_entropy
from ..weights import checkpoint
from .loop import Run
from .settings import ClassificationSettings
from .task import Task

TRUNK_FILE = "trunk.safetensors"
BATCH = 20  # pictures at a time in validation


class Classification(Task):
    """A classifier, and pictures with their classes: those that are open already, or the settings' own."""

    takes = ClassificationSettings
    scores = ("top1", "top5", "loss")
    score_label = "top-1 accuracy"
    collate = staticmethod(pictures.collate)
    ignore_label = -1  # every picture has a class

    def __init__(self, settings: ClassificationSettings, where: str = "cpu", splits: tuple | None = None):
        s = settings
        super().__init__(s, *(splits or pictures.open_pictures(s.data)), VGGClassifier, (), where)
        self.augmentation = partial(pictures.cropped, size=s.size, crop=s.crop, flip=s.flip)

    def score(self) -> dict:
        return accuracy(self.model, self.val_set, self.preprocessing, self.settings.size, "validate")

    def describe(self) -> list[str]:
        """The same, and how large pictures are, and how many of them are held out."""
        s = self.settings
        held_out = "no val/, so none" if self.val_set is None else len(self.val_set)
        return [*super().describe(), f"shorter side {s.size}, crops of {s.crop} x {s.crop}; {held_out} held out"]

    def finish(self, run: Run) -> dict:
        """Write the trunk as an FCN takes it over: a plain VGG, in float16. Held-out pictures were scored before."""
        tensors = {name: device.asnumpy(p.data) for name, p in self.model.parameters().items()}
        halves = {f"model/{name}": x.astype(np.float16) for name, x in fold_all(tensors).items()}
        checkpoint.save(run.folder / TRUNK_FILE, halves, self.meta() | {"validations": run.validations})
        if not run.validations:
            return {"summary": f"{self.settings.data} has no val/: nothing was held out, so there is no score"}
        top1, top5 = (f"top-{k} {100 * run.validations[-1][f'top{k}']:.1f} %" for k in (1, 5))
        return {"summary": f"held-out pictures: {top1}, {top5}"}


def accuracy(model: VGGClassifier, dataset, preprocessing, size: int, progress: str | None = None) -> dict:
    """Return top-1 and top-5 accuracy, each a fraction, and the loss, over middle squares of pictures scaled to `size`.

    A picture counts for top-k if fewer than k other classes score as high as its own or higher: a tie is a mistake.
    """
    how = {"shuffle": False, "place": model.loops.asarray, "collate": pictures.collate}
    batches = Loader(dataset, BATCH, preprocessing, partial(pictures.centred, size=size), **how)
    mine, sums = ranks.share(range(len(batches))), np.zeros(3)
    own = islice(batches.epoch(0, mine.start), len(mine))
    with autograd.no_grad():
        model.eval()
        for x, labels in tqdm(own, progress, len(mine), leave=False, disable=not progress or None):
            scores = model(x)
            found = ranks_of(device.asnumpy(scores.data)[:, 0, 0], labels[:, 0, 0])
            loss = float(softmax_cross_entropy(scores, labels, Classification.ignore_label, reduction="sum"))
            sums += [*(found[:, None] < (1, 5)).sum(axis=0), loss]
    return dict(zip(Classification.scores, (ranks.total(sums) / len(dataset)).tolist(), strict=True))


def ranks_of(scores: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Return how many other classes score as high as the true one or higher, (N,), for scores (N,L), classes (N,)."""
    own = np.take_along_axis(scores, labels[:, None], 1)  # (N, 1)
    return (~(scores < own)).sum(1) - 1  # not "<": NaN, too, is a mistake
