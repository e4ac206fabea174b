"""Train an FCN: python -m minifcn.train

Without arguments it trains FCN-32s and, from it, FCN-16s on the embedded data set, toytown, and ends with a picture
that shows both. With --data it trains on your own pictures: a folder with images/, labels/ and classes.txt, or CamVid's
layout.
"""

import argparse
import math
from dataclasses import fields, replace
from pathlib import Path

from . import device, figures
from .command import command_line, command_parser
from .datasets import DRAWN, TOYTOWN, Dataset, has_split, lasting_name, open_dataset
from .datasets.transforms import Preprocessing
from .errors import InputError
from .files import write_json
from .models import AT_ONCE, MODELS
from .training import folder as runs
from .training.evaluation import predict
from .training.loop import Stopped
from .training.recipes import PAPER_PICTURES, RECIPES, of_stage
from .training.segmentation import run_stage, sample_pictures
from .training.settings import SegmentationSettings
from .weights import check_trunk, load_model, open_weights
from .weights.shipped import SCRATCH, SHIPPED, find_weights, shipped_trunks

# --- defaults -----------------------------------------------------------------------------------------------------
# A mean loss does not depend on the size of pictures, a sum does: its learning rate is the mean's, divided by the
# pixels of a step.
MEAN_LR = 0.01
TOYTOWN_STEPS = 240  # for each network of the chain
EPOCHS = 40  # on other data
WARMUP = 20  # steps
CLIP = 5.0  # norm of the gradient of a mean loss; of a sum, times the pixels


def parser() -> argparse.ArgumentParser:
    p = command_parser("train", "[--data DATA] [--model M ...] [options]", "Train fully convolutional networks.")
    add = p.add_argument
    add("--model", nargs="+", choices=[*MODELS], default=["fcn32s", "fcn16s"], metavar="M",
        help="fcn32s, fcn16s, fcn8s; several: a chain (default: fcn32s fcn16s)")  # fmt: skip
    add("--data", help="toytown, or a data set's folder (default: toytown); with --resume: where it is now")
    add("--init", metavar="FILE", help="weights to start from: a file, vgg, or scratch "
        "(default: vgg, the shipped ones, for vgg_quarter)")  # fmt: skip
    add("--recipe", choices=RECIPES, default="default", metavar="R",
        help="what else is not given: default, paper (CVPR 2015) or reference (its Caffe solvers)")  # fmt: skip
    add("--steps", type=int,
        help=f"updates of each network (default: {TOYTOWN_STEPS} on toytown, or {EPOCHS} epochs)")  # fmt: skip
    add("--epochs", type=float, help="the same, in passes over the training set")
    add("--lr", type=float, help=f"learning rate (default: {MEAN_LR}; for a sum, divided by the pixels)")
    add("--reduction", choices=["mean", "sum"], default="mean", help="of the pixels' losses (default: mean)")
    add("--clip", type=float,
        help=f"largest gradient norm, 0: any (default: {CLIP:g}; for a sum, times the pixels)")  # fmt: skip
    runs.add_training_options(p)
    add("--low-memory", action="store_true",
        help="update while the gradient is computed; the same weights, no clipping")  # fmt: skip
    add("--balance", action="store_true", help="weight classes by median frequency")
    add("--crop", type=int, nargs=2, metavar=("H", "W"), help="train on random crops of that size")
    add("--scale-jitter", type=float, default=0.0, metavar="J", help="scale pictures by 1-J..1+J (default: 0)")
    add("--pad", choices=["same", "100"], default="same", help="as the reference: 100 (default: same)")
    add("--upsampling", choices=["learnt", "fixed"], default="learnt",
        help="learnt: all but the last, as the paper; fixed: none, as the reference")  # fmt: skip
    add("--skip-scale", type=float, nargs=2, metavar=("POOL4", "POOL3"),
        help=f"scale the skips before their scores; 8s at once: {AT_ONCE[0]} {AT_ONCE[1]}")  # fmt: skip
    p.set_defaults(batch=2, warmup=WARMUP)
    return p


def main(argv=None) -> int:
    args = options(argv)
    device.start(args.device)  # where there is none, before anything is written
    if args.resume is not None:
        runs.check_resumed(parser(), argv)
        folder, stages = args.resume, runs.read_config(args.resume, SegmentationSettings, args.data)
    else:
        stages = plan(args)
        folder = runs.new_folder(args.out, args.name or Path(args.data).resolve().name)
        runs.write_config(folder, stages, args.device)
    folders = [folder] if len(stages) == 1 else [folder / s.model for s in stages]
    scores = {}
    try:
        with runs.stopping() as stop:
            for i, (stage, place) in enumerate(zip(stages, folders, strict=True)):
                if i > 0:
                    stage = replace(stage, init=str(folders[i - 1] / "last.safetensors"))
                scores[stage.model] = run_stage(place, stage, args.device, stop)
    except Stopped as stopped:
        print(f"\n{stopped}\n{runs.go_on_with('train', folder, args.device)}")
        return 130
    if len(stages) > 1:
        compare(folder, folders, stages[0].data, args.device)
        write_json(folder / "metrics.json", scores)
    report(folder, folders, scores)
    return 0


def options(argv=None) -> argparse.Namespace:
    """Parse the command line; a recipe's presets take the place of the defaults."""
    p = parser()
    p.set_defaults(**RECIPES[p.parse_args(argv).recipe])
    return p.parse_args(argv)


def plan(args: argparse.Namespace) -> list[SegmentationSettings]:
    """Turn the command line into the settings of each network to train, checked before anything is written."""
    args.data = args.data or TOYTOWN
    check(args)
    train_set = open_dataset(args.data, "train")
    runs.check_batch(args, len(train_set))
    check_labelled(args.data, train_set)
    init, start = find_start(args, len(train_set.classes))
    height, width = args.crop or train_set[0][1].shape
    pictures = args.batch * args.accumulate
    pixels = 1 if args.reduction == "mean" else pictures * height * width
    names = {f.name for f in fields(SegmentationSettings)} - {"model", "init"}
    chosen = {name: value for name, value in vars(args).items() if name in names}
    chosen["data"] = lasting_name(args.data)
    chosen["pad"] = 100 if args.pad == "100" else "same"
    chosen["clip"] = CLIP * pixels if args.clip is None else args.clip
    given = {x: getattr(args, x) for x in ("lr", "skip_scale", "weight_decay") if getattr(args, x) is not None}
    stages, scale = [], tuple(start.get("skip_scale", (1.0, 1.0)))
    for i, model in enumerate(args.model):
        at_once = i == 0 and model != "fcn32s" and not start
        preset = {"lr": MEAN_LR / pixels, "skip_scale": scale} | of_stage(args.recipe, model, at_once, pictures)
        preset["steps"] = steps_of(args, len(train_set), preset.get("steps"))
        stages.append(SegmentationSettings(model=model, init=init, **chosen | preset | given))
        scale = stages[-1].skip_scale  # score layers that the next one takes over were trained with it
    return stages


def check_labelled(data: str, dataset: Dataset) -> None:
    """Raise InputError where all is void: nothing could be learnt or scored. Reads up to the first labelled pixel."""
    if not any((dataset[i][1] != dataset.ignore_label).any() for i in range(len(dataset))):
        raise InputError(
            f"{data}: every pixel of the {dataset.split} labels is void ({dataset.ignore_label}); write the classes' "
            "values into the label files"
        )


def find_start(args: argparse.Namespace, num_classes: int) -> tuple[str | None, dict]:
    """The file to start from, and how the FCN in it was built; {} where its score layers would not be taken over."""
    if args.init is None:
        args.init = SHIPPED if args.trunk in shipped_trunks() else SCRATCH
    if args.init == SCRATCH:
        return None, {}
    path = find_weights(args.init, args.trunk)
    file = open_weights(path)  # a bad file is told before anything is written
    check_trunk(path, file, args.trunk)
    scores = [array for array in file.arrays if array.name == "score_fr.bias" and array.shape == (num_classes,)]
    return str(path), {"skip_scale": (1.0, 1.0)} | file.meta.get("model", {}) if scores else {}


def check(args: argparse.Namespace) -> None:
    """Raise InputError for options that are out of range or do not go together."""
    if args.accumulate is None:
        args.accumulate = max(1, PAPER_PICTURES // args.batch) if args.batch > 0 else 1
    runs.check_ranges(args)
    wanted = RECIPES[args.recipe].get("reduction", args.reduction)
    if args.reduction != wanted and args.lr is None:
        raise InputError(
            f"--recipe {args.recipe} with --reduction {args.reduction}: its rate is for a {wanted}; give --lr too"
        )
    if len(set(args.model)) < len(args.model):
        raise InputError(f"--model: expected each network once, received {' '.join(args.model)}")
    if args.skip_scale is not None and not all(map(math.isfinite, args.skip_scale)):
        raise InputError(f"--skip-scale: expected two finite numbers, received {args.skip_scale}")
    if args.crop is not None and min(args.crop) < 1:
        raise InputError(f"--crop: expected two sides, each more than 0, received {args.crop[0]} {args.crop[1]}")
    if args.low_memory and (args.accumulate > 1 or args.clip):
        given = f"--accumulate {args.accumulate}" if args.accumulate > 1 else f"--clip {args.clip:g}"
        raise InputError(f"--low-memory and {given}: no gradient is kept to add up or to clip; leave one of them out")
    if args.low_memory:
        args.clip = 0.0


def steps_of(args: argparse.Namespace, pictures: int, preset: int | None) -> int:
    """The updates of a network: as told, else the recipe's, else the default of the data."""
    if args.steps is None and args.epochs is None and (preset is not None or args.data in DRAWN):
        return preset or TOYTOWN_STEPS
    return runs.steps_for(args, pictures, EPOCHS)


def compare(folder: Path, folders: list[Path], data: str, where: str) -> None:
    """samples.png of a chain: picture, truth, and each network's prediction."""
    networks = [load_model(place / "last.safetensors", where) for place in folders]
    dataset = open_dataset(data, next(split for split in ("test", "val", "train") if has_split(data, split)))
    rows = []
    for picture, labels in sample_pictures(dataset):
        predictions = [
            predict(model, Preprocessing.from_dict(meta["preprocessing"]).apply(picture)[None])[0]
            for model, meta in networks
        ]
        rows.append([picture] + [figures.colourise(shown, dataset.palette) for shown in (labels, *predictions)])
    titles = ["picture", "truth", *(place.name for place in folders)]
    figures.samples(folder / "samples.png", rows, titles, dataset.classes, dataset.palette)


def report(folder: Path, folders: list[Path], scores: dict) -> None:
    """The last lines: each network's Jaccard, and every file written."""
    print()
    for model, metrics in scores.items():
        split = "test" if "test" in metrics else "val"
        found = metrics["test"] if "test" in metrics else (metrics["validations"] or [{"jaccard": None}])[-1]
        score = "not measured" if found["jaccard"] is None else f"{100 * found['jaccard']:.1f} %"
        print(f"{model}: {split} Jaccard {score}, trained {metrics['steps']} steps in {metrics['train_seconds']:.0f} s")
    for place in dict.fromkeys([*folders, folder]):
        print(f"wrote {', '.join(str(path) for path in sorted(place.iterdir()) if path.is_file())}")
    print(f"look at {folder / 'samples.png'}")


if __name__ == "__main__":
    command_line(main)
