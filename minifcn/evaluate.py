"""Scores of a checkpoint on a data set: python -m minifcn.evaluate CHECKPOINT --data D --split test

Instead of a checkpoint, --model names a network that comes with minifcn.

Preprocessing, class names and the side at which the network sees pictures come from the checkpoint, as in
minifcn.predict: its PNGs, compared with the labels, give the same scores. Prints the Jaccard of each class ("absent"
where it does not occur), their mean, pixel and mean accuracy, and frequency-weighted IU.
"""

import math
from pathlib import Path

import numpy as np

from . import figures
from .command import add_device_option, command_line, command_parser
from .datasets import open_dataset
from .errors import InputError
from .files import check_target, write_json
from .training.evaluation import check_classes, evaluate, load, predict
from .weights.shipped import find_model, shipped_files


def main(argv=None) -> None:
    parser = command_parser("evaluate", "[CHECKPOINT | --model NAME] [options]", "Score a checkpoint on a data set.")
    add = parser.add_argument
    add("checkpoint", nargs="?", help="last.safetensors or best.safetensors of a run")
    add("--model", metavar="NAME", help=f"instead: a shipped network ({', '.join(shipped_files('models'))})")
    add("--data", default="toytown", help="toytown, or a data set's folder (default: %(default)s)")
    add("--split", default="test", help="train, val or test (default: %(default)s)")
    add("--side", type=int, help="longer side of the pictures that the network sees, 0: theirs (default: checkpoint's)")
    add("--out", type=Path, metavar="FILE.json", help="also write scores, counts and each picture's score to FILE.json")
    add("--worst", type=int, default=0, metavar="N", help="also draw the N worst pictures, and the confusion matrix")
    add_device_option(parser)
    args = parser.parse_args(argv)
    if (args.checkpoint is None) == (args.model is None):
        raise InputError("expected a checkpoint, or --model and a name, but not both")
    if min(args.side or 0, args.worst) < 0:
        raise InputError(f"--side {args.side}, --worst {args.worst}: expected 0 or more")
    path = Path(args.checkpoint or find_model(args.model))
    drawn = (args.out or path).with_suffix("")
    pictures = [drawn.with_name(f"{drawn.name}_{what}.png") for what in ("worst", "confusion")] * (args.worst > 0)
    for target in filter(None, [args.out, *pictures]):
        check_target(target)  # before the work
    model = load(path, args.device)
    dataset = open_dataset(args.data, args.split)
    check_classes(path, model.meta, dataset)
    scores = []
    counts = evaluate(model, dataset, "evaluate", scores, args.side)
    name, step = model.meta["model"]["name"], model.meta["step"]
    print(f"{name} of step {step} on {dataset.name} {args.split}, {len(dataset)} pictures")
    print(counts.table(dataset.classes))
    if args.out:
        each = {name: None if math.isnan(score) else score for name, score in zip(dataset.names, scores, strict=True)}
        write_json(args.out, counts.details(dataset.classes) | {"pictures": each})
        print(f"wrote {args.out}")
    if args.worst:
        worst, drawn = np.argsort(scores, kind="stable")[: args.worst].tolist(), []  # NaN comes last
        for i in worst:
            picture, labels = dataset[i]
            drawn.append(
                (f"{dataset.names[i]}: {100 * scores[i]:.1f} %", picture, labels, predict(model, picture, args.side))
            )
        figures.compare(pictures[0], drawn, dataset.classes, dataset.palette)
        figures.confusion(pictures[1], counts.counts, dataset.classes)
        print(*(f"wrote {path}" for path in pictures), sep="\n")


if __name__ == "__main__":
    command_line(main)
