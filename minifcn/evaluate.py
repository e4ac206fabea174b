"""Scores of a checkpoint on a data set: python -m minifcn.evaluate CHECKPOINT --data D --split test

Instead of a checkpoint, --model names a network that comes with minifcn.

Preprocessing, class names and the side at which the network sees pictures come from the checkpoint, as in
minifcn.predict: its PNGs, compared with the labels, give the same scores. Prints the Jaccard of each class ("absent"
where it does not occur), their mean, pixel and mean accuracy, and frequency-weighted IU. Written are, where asked for,

    FILE.json            scores, counts of true against predicted classes, the Jaccard of each picture
    FILE_worst.png       the worst pictures, with truth, prediction and errors     (scores_... in the working folder
    FILE_confusion.png   the counts, in per cent of the true class                  where no FILE is named)
"""

import math
from itertools import chain
from pathlib import Path

import numpy as np

from . import figures, ranks
from .command import add_network_options, add_overwrite_option, command_line, command_parser
from .datasets import open_dataset
from .errors import InputError, say
from .files import MARK, check_replaceable, check_target, is_ours, write_json
from .training.evaluation import check_classes, evaluate, load, predict
from .weights.shipped import find_model


def options(argv):
    """The command line's options; args.path is the checkpoint's."""
    parser = command_parser("evaluate", "[CHECKPOINT | --model NAME] [options]", "Score a checkpoint on a data set.")
    add = parser.add_argument
    add("checkpoint", nargs="?", help="last.safetensors or best.safetensors of a run")
    add_network_options(parser)
    add("--data", default="toytown", help="toytown, or a data set's folder (default: %(default)s)")
    add("--split", default="test", help="train, val or test (default: %(default)s)")
    add("--out", type=Path, metavar="FILE.json", help="also write scores, counts and each picture's score to FILE.json")
    add("--worst", type=int, default=0, metavar="N", help="also draw the N worst pictures, and the confusion matrix")
    add_overwrite_option(parser)
    args = parser.parse_args(argv)
    if args.worst < 0:
        raise InputError(f"--worst: expected 0 or more, received {args.worst}")
    if (args.checkpoint is None) == (args.model is None):
        raise InputError("expected a checkpoint, or --model and a name, but not both")
    args.path = args.checkpoint or find_model(args.model)
    return args


def main(argv=None) -> None:
    args = options(argv)
    args.device = ranks.begin(args.device)
    path, out = args.path, args.out or Path("scores.json")
    worst, matrix = (out.with_name(f"{out.stem}_{what}.png") for what in ("worst", "confusion"))
    check_target(out)  # before the work
    read = (x for top in Path(args.data).glob("*") for x in (top, *top.resolve().rglob("*")))  # also behind links
    read = (x for x in read if x.is_file() and not is_ours(x))  # but for an earlier call's
    targets = [out] * bool(args.out) + [worst, matrix] * bool(args.worst)
    check_replaceable(targets, chain([path], read), args.overwrite)
    model, data = load(path, args.device), open_dataset(args.data, args.split)
    check_classes(path, model.meta, f"--data {args.data}", data.classes)
    scores: list[float] = []
    counts = evaluate(model, data, "evaluate", scores, args.side)
    of_step = f"{model.name} of step {model.meta.get('step', 'unknown')}"
    say(f"{of_step} on {data.name} {args.split}, {len(data)} pictures", *counts.table(data.classes).splitlines())
    if args.out:
        each = {name: None if math.isnan(score) else score for name, score in zip(data.names, scores, strict=True)}
        write_json(out, {"software": MARK} | counts.details(data.classes) | {"pictures": each})
        say(f"wrote {out}")
    if args.worst:
        examples = []
        for i in np.argsort(scores, kind="stable")[: args.worst].tolist():  # pictures without a score, NaN, are last
            picture, truth = data[i]
            examples.append((picture, truth, predict(model, picture, args.side)))
            say(f"{100 * scores[i]:5.1f} %  {data.names[i]}")
        figures.compare(worst, examples, data.classes, data.palette)
        figures.confusion(matrix, counts.counts, data.classes)
        say(f"wrote {worst}, {matrix}")


if __name__ == "__main__":
    command_line(main)
