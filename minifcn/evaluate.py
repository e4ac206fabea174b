"""Scores of a checkpoint on a data set: python -m minifcn.evaluate CHECKPOINT --data D --split test

Instead of a checkpoint, --model names a network that comes with minifcn.

Preprocessing and class names come from the checkpoint. Prints the Jaccard of each class ("absent" where it does not
occur), their mean, pixel and mean accuracy, and frequency-weighted IU.
"""

from .command import add_device_option, command_line, command_parser
from .datasets import open_dataset
from .datasets.transforms import Preprocessing
from .errors import InputError
from .files import check_target, write_json
from .training.evaluation import check_classes, evaluate
from .weights import load_model
from .weights.shipped import find_model, shipped_files


def main(argv=None) -> None:
    parser = command_parser("evaluate", "[CHECKPOINT | --model NAME] [options]", "Score a checkpoint on a data set.")
    add = parser.add_argument
    add("checkpoint", nargs="?", help="last.safetensors or best.safetensors of a run")
    add("--model", metavar="NAME", help=f"instead: a shipped network ({', '.join(shipped_files('models'))})")
    add("--data", default="toytown", help="toytown, or a data set's folder (default: %(default)s)")
    add("--split", default="test", help="train, val or test (default: %(default)s)")
    add("--out", help="also write the scores to this JSON file")
    add_device_option(parser)
    args = parser.parse_args(argv)
    if (args.checkpoint is None) == (args.model is None):
        raise InputError("expected a checkpoint, or --model and a name, but not both")
    if args.out:
        check_target(args.out)  # before the work
    path = args.checkpoint or find_model(args.model)
    model, meta = load_model(path, args.device)
    dataset = open_dataset(args.data, args.split)
    check_classes(path, meta, dataset)
    counts = evaluate(model, dataset, Preprocessing.from_dict(meta["preprocessing"]), "evaluate")
    print(f"{meta['model']['name']} of step {meta['step']} on {dataset.name} {args.split}, {len(dataset)} pictures")
    print(counts.table(dataset.classes))
    if args.out:
        write_json(args.out, counts.summary())
        print(f"wrote {args.out}")


if __name__ == "__main__":
    command_line(main)
