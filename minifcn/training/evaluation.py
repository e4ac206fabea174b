"""What a network says of pictures: predictions, and their scores on a data set."""

import numpy as np
from PIL import Image
from tqdm import tqdm

from .. import device
from ..autograd import no_grad
from ..datasets import Dataset
from ..datasets.loader import Loader
from ..datasets.transforms import Preprocessing
from ..errors import InputError
from ..metrics import ConfusionMatrix
from ..nn import Module


def predict(model: Module, x: np.ndarray) -> np.ndarray:
    """Return the highest-scoring class of each pixel of x (N,H,W,3), preprocessed, as uint8 (N,H,W)."""
    return device.asnumpy(classify(model, x))


def classify(model: Module, x):
    """The same, still on the model's device."""
    model.eval()
    with no_grad():
        scores = model(x.astype(model.dtype, copy=False)).data
    return device.of(scores).argmax(scores)


def evaluate(model: Module, dataset: Dataset, preprocessing: Preprocessing, progress: str = "") -> ConfusionMatrix:
    """Count a network's predictions on a data set, picture by picture, each at its own size."""
    counts = ConfusionMatrix(len(dataset.classes), dataset.ignore_label)
    batches = Loader(dataset, 1, preprocessing, shuffle=False, place=model.loops.asarray).epoch(0)
    for x, labels in tqdm(batches, progress, len(dataset), leave=False, disable=not progress or None):
        counts.update(labels, classify(model, x))
    return counts


def check_classes(path, meta: dict, dataset: Dataset) -> None:
    """Raise InputError unless a checkpoint predicts the data set's classes."""
    theirs, ours = (f"{len(classes)} classes ({', '.join(classes)})" for classes in (meta["classes"], dataset.classes))
    if meta["classes"] != dataset.classes:
        what = f"trained on {theirs}, but {dataset.name} has {ours}"
        raise InputError(f"{path}: {what}; evaluate on data with the same classes")


def segment(model: Module, preprocessing: Preprocessing, picture: np.ndarray, side: int = 0) -> np.ndarray:
    """Return the classes of a picture's pixels, uint8 (H, W).  side: the network sees it so long; 0: as it is."""
    H, W, _ = picture.shape
    scale = side / max(H, W) if side else 1
    size = (max(1, round(W * scale)), max(1, round(H * scale)))  # Pillow's order
    seen = np.asarray(Image.fromarray(picture).resize(size, Image.Resampling.BILINEAR))
    labels = predict(model, preprocessing.apply(seen)[None])[0]
    return np.asarray(Image.fromarray(labels).resize((W, H), Image.Resampling.NEAREST))
