"""What a network says of pictures: predictions, and their scores on a data set. Both go one way:

picture --scale to the side that the network knows--> --preprocess--> scores --argmax--> --scale back--> classes

|<- MARGIN ->|<------ TILE ------>|<- MARGIN ->|     A larger picture goes through in windows. Their inner parts
|            |    what is kept    |            |     are those of the whole picture, as no score looks farther.
"""

import os
from collections.abc import Callable
from functools import partial
from itertools import product

import numpy as np
from PIL import Image

from .. import device, ranks
from ..autograd import no_grad
from ..datasets import Dataset
from ..datasets.loader import run_ahead
from ..datasets.pictures import read_picture
from ..datasets.transforms import Preprocessing, checked
from ..errors import InputError
from ..metrics import ConfusionMatrix
from ..nn import Module
from ..weights import load_model
from ..weights.shipped import find_model, shipped_files

TILE, MARGIN = 1024, 320  # pixels, multiples of 32, the coarsest stride; FCN-8s looks farthest, 245 around a pixel


def load(name, where: str = "cpu") -> Module:
    """Return a network that is ready to predict: a shipped one, such as "voc", or that of a checkpoint's path.

    Its `meta` is what the checkpoint says: "classes", "palette", "preprocessing" and more. where: "cpu", "gpu" or
    "gpu:1". Raises InputError where there is none, or it is damaged.
    """
    return load_model(find_model(name) if str(name) in shipped_files("models") else name, where)[0].eval()


def predict(model: Module, picture: np.ndarray | str | os.PathLike, side: int | None = None) -> np.ndarray:
    """Return the class of each pixel, uint8 (H, W), of a picture uint8 (H, W, 3) in RGB, or of a picture's file.

    side: the network sees the longer side so long, 0: as it is. The default is that of its training; pictures longer
    than all that it was trained on are scaled down to those.
    """
    read = read_picture if isinstance(picture, str | os.PathLike) else np.asarray
    return device.asnumpy(segment(model, read(picture), side))


def segment(model: Module, picture: np.ndarray, side: int | None = None, look: Callable | None = None):
    """The same, where the model is or on the host.  look: as classify_in_tiles'."""
    H, W = checked(picture)
    h, w = seen_size(model.meta, H, W, side)
    same = (h, w) == (H, W)
    seen = picture if same else np.asarray(Image.fromarray(picture).resize((w, h), Image.Resampling.BILINEAR))
    preprocessing = Preprocessing.from_dict(model.meta.get("preprocessing", Preprocessing().to_dict()))
    labels = classify_in_tiles(model, seen, preprocessing.apply, look)  # (h, w)
    return labels if same else np.asarray(Image.fromarray(device.asnumpy(labels)).resize((W, H), Image.NEAREST))


def seen_size(meta: dict, H: int, W: int, side: int | None = None) -> tuple[int, int]:
    """Height and width at which a network sees a picture (H, W); the arguments are predict's."""
    if side is not None and side < 0:
        raise InputError(f"--side: expected 0 or more, received {side}")
    longest = max(H, W)
    if side is None:
        side = meta.get("side") or min(longest, meta.get("longest", longest))
    scale = side / longest if side else 1
    return max(1, round(H * scale)), max(1, round(W * scale))


def classify_in_tiles(model: Module, picture: np.ndarray, prepare: Callable, look: Callable | None = None):
    """Return the highest-scoring class of each pixel of a picture (H,W,3) as uint8 (H,W), in bounded memory.

    prepare: what makes the network's input (h,w,3) of a window (h,w,3). Windows are cut by the size alone, and begin at
    multiples of the stride. Large pictures' classes are on the host. look: is called with the scores (1,h,w,L) of each
    part, and of a larger picture with its rows and columns.
    """
    from tqdm import tqdm  # only here: import minifcn does without its modules

    H, W, _ = picture.shape
    if max(H, W) <= TILE + 2 * MARGIN:
        return classify(model, prepare(picture)[None], look)[0]
    labels = np.empty((H, W), np.uint8)
    corners = list(product(range(0, H, TILE), range(0, W, TILE)))
    for y, z in tqdm(corners, "windows", leave=False, disable=None):
        top, left = max(0, y - MARGIN), max(0, z - MARGIN)
        window = prepare(picture[top : y + TILE + MARGIN, left : z + TILE + MARGIN])
        part, inner = np.s_[y : y + TILE, z : z + TILE], np.s_[:, y - top : y - top + TILE, z - left : z - left + TILE]
        look_there = look and (lambda scores, part=part, inner=inner: look(scores[inner], part))
        labels[part] = device.asnumpy(classify(model, window[None], look_there)[inner])[0]
    return labels


def classify(model: Module, x, look: Callable | None = None):
    """Return the highest-scoring class of each pixel of x (N,H,W,3), preprocessed, as uint8 (N,H,W), on its device.

    look: is called with the scores (N,H,W,L).
    """
    model.eval()
    with no_grad(), np.errstate(over="ignore", invalid="ignore"):  # of a network that has diverged
        scores = model(x.astype(model.dtype, copy=False)).data
        if look:
            look(scores)
    return device.of(scores).argmax(scores)


def evaluate(
    model: Module, dataset: Dataset, progress="", each=None, side: int | None = None, look: Callable | None = None
) -> ConfusionMatrix:
    """Count a network's predictions on a data set, picture by picture, each at its own size.

    progress: a bar's name. each: an empty list, which gets every picture's own Jaccard, or NaN. side: as predict's.
    look: as classify_in_tiles', but called with the labels (h,w) first, at the size at which the network sees them.
    """
    from tqdm import tqdm  # only here: import minifcn does without its modules

    counts = ConfusionMatrix(len(dataset.classes), dataset.ignore_label)
    mine, scores = ranks.share(range(len(dataset))), []
    pictures = run_ahead(dataset.__getitem__, mine, 2)
    try:
        for picture, labels in tqdm(pictures, progress, len(mine), leave=False, disable=not progress or None):
            own = ConfusionMatrix(counts.num_classes, dataset.ignore_label)
            if look:
                size = seen_size(model.meta, *labels.shape, side)
                seen = np.asarray(Image.fromarray(labels).resize(size[::-1], Image.Resampling.NEAREST))  # (h, w)
            own.update(labels, segment(model, picture, side, look and partial(look, seen)))
            counts.counts += own.counts
            scores.append(own.jaccard())
    except MemoryError as error:
        raise MemoryError(f"{dataset.names[mine[len(scores)]]}: {error}") from error
    counts.counts = ranks.total(counts.counts)
    if each is not None:
        each += ranks.total(scores)
    return counts


def check_classes(path, meta: dict, other, classes: list[str]) -> None:
    """Raise InputError unless a checkpoint predicts these classes, which are those of `other`."""
    if meta["classes"] != classes:
        theirs, ours = (f"{len(names)} classes ({', '.join(names)})" for names in (meta["classes"], classes))
        raise InputError(f"{path}: trained on {theirs}, but {other} has {ours}; choose one with the same classes")
