"""Scores of a checkpoint on a data set: python -m minifcn.evaluate CHECKPOINT --data D --split test

Instead of a checkpoint, --model names a network that comes with minifcn.

Preprocessing and class names come from the checkpoint. Prints the Jaccard of each class ("absent" where it does not
occur), their mean, pixel and mean accuracy, and frequency-weighted IU.
"""

import argparse
import json

import numpy as np
from tqdm import tqdm

from . import device
from .autograd import no_grad
from .checkpoint import atomic_file, check_target
from .datasets import Dataset, open_dataset
from .datasets.loader import Loader
from .datasets.transforms import Preprocessing
from .errors import InputError, command_line
from .metrics import ConfusionMatrix
from .nn import Module
from .weights import load_model
from .weights.shipped import find_model, shipped_models


def predict(model: Module, x: np.ndarray) -> np.ndarray:
    """Return the highest-scoring class of each pixel of x (N,H,W,3), preprocessed, as uint8 (N,H,W)."""
    return device.asnumpy(classify(model, x))


def classify(model: Module, x):
    """The same, still on the model's device."""
    model.eval()
    with no_grad():
        scores = model(x.astype(model.dtype, copy=False)).data
    return device.of(scores).argmax(scores)


def evaluate(
    model: Module, dataset: Dataset, preprocessing: Preprocessing, progress: str | None = None
) -> ConfusionMatrix:
    """Count a network's predictions on a data set, picture by picture, each at its own size."""
    counts = ConfusionMatrix(len(dataset.classes), dataset.ignore_label)
    batches = Loader(dataset, 1, preprocessing, shuffle=False, place=model.loops.asarray).epoch(0)
    for x, labels in tqdm(
        batches, progress, len(dataset), unit="picture", leave=False, disable=None if progress else True
    ):
        counts.update(labels, classify(model, x))
    return counts


def check_classes(path, meta: dict, dataset: Dataset) -> None:
    """Raise InputError unless a checkpoint predicts the data set's classes."""
    if meta["classes"] != dataset.classes:
        raise InputError(
            f"{path}: trained on {len(meta['classes'])} classes ({', '.join(meta['classes'])}), but {dataset.name} has "
            f"{len(dataset.classes)} ({', '.join(dataset.classes)}); evaluate on data with the same classes"
        )


def main(argv=None) -> None:
    parser = argparse.ArgumentParser(prog="python -m minifcn.evaluate", description="Score a checkpoint on a data set.")
    parser.add_argument("checkpoint", nargs="?", help="last.safetensors or best.safetensors of a run")
    parser.add_argument("--model", metavar="NAME", help=f"instead: a shipped network ({', '.join(shipped_models())})")
    parser.add_argument("--data", default="toytown", help="toytown, or a data set's folder (default: %(default)s)")
    parser.add_argument("--split", default="test", help="train, val or test (default: %(default)s)")
    parser.add_argument("--out", help="also write the scores to this JSON file")
    device.add_option(parser)
    args = parser.parse_args(argv)
    if (args.checkpoint is None) == (args.model is None):
        raise InputError("expected a checkpoint, or --model and a name, but not both")
    if args.out:
        check_target(args.out)  # before the work
    args.checkpoint = args.checkpoint or find_model(args.model)
    model, meta = load_model(args.checkpoint, args.device)
    dataset = open_dataset(args.data, args.split)
    check_classes(args.checkpoint, meta, dataset)
    counts = evaluate(model, dataset, Preprocessing.from_dict(meta["preprocessing"]), "evaluate")
    print(f"{meta['model']['name']} of step {meta['step']} on {dataset.name} {args.split}, {len(dataset)} pictures")
    print(counts.table(dataset.classes))
    if args.out:
        with atomic_file(args.out) as file:
            file.write(json.dumps(counts.summary(), indent=2).encode() + b"\n")
        print(f"wrote {args.out}")


if __name__ == "__main__":
    command_line(main)
