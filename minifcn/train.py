"""Train an FCN: python -m minifcn.train

Without arguments it trains FCN-32s and, from it, FCN-16s on the embedded data set, toytown, and ends with a picture
that shows both. With --data it trains on your own pictures: a folder with images/, labels/ and classes.txt, or CamVid's
layout.
"""

import argparse
import json
import math
import platform
import signal
import sys
from contextlib import contextmanager
from dataclasses import asdict, fields, replace
from pathlib import Path

import numpy as np

from . import __version__, checkpoint, cpu, device, figures
from .datasets import TOYTOWN, has_split, open_dataset
from .datasets.transforms import Preprocessing
from .errors import InputError, command_line
from .evaluate import predict
from .models import AT_ONCE, MODELS, TRUNKS
from .trainer import Run, Settings, Stopped, sample_pictures, write_json
from .weights import load_model

# --- defaults -----------------------------------------------------------------------------------------------------
# A mean loss does not depend on the size of pictures, a sum does: its learning rate is the mean's, divided by the
# pixels of a step.
MEAN_LR = 0.01
TOYTOWN_STEPS = 240  # for each network of the chain
EPOCHS = 40  # on other data
WARMUP = 20  # steps
CLIP = 5.0  # norm of the gradient of a mean loss; of a sum, times the pixels


def parser() -> argparse.ArgumentParser:
    p = argparse.ArgumentParser(
        prog="python -m minifcn.train",
        usage="python -m minifcn.train [--data DATA] [--model M ...] [options]",
        formatter_class=lambda prog: argparse.HelpFormatter(prog, max_help_position=28, width=100),
        description="Train fully convolutional networks.",
    )
    add = p.add_argument
    add("--model", nargs="+", choices=[*MODELS], default=["fcn32s", "fcn16s"], metavar="M",
        help="fcn32s, fcn16s, fcn8s; several: a chain (default: fcn32s fcn16s)")  # fmt: skip
    add("--data", default=TOYTOWN, help="toytown, or a data set's folder (default: toytown)")
    add("--init", metavar="CHECKPOINT", help="start from these weights")
    add("--resume", metavar="RUN", type=Path, help="go on with an interrupted run and its settings, bit for bit")
    add("--name", help="the run's folder under --out (default: after the data)")
    add("--out", type=Path, default=Path("runs"), help="where runs are kept (default: runs)")
    add(
        "--steps",
        type=int,
        help=f"updates of each network (default: {TOYTOWN_STEPS} on toytown, or {EPOCHS} epochs)",
    )
    add("--epochs", type=float, help="the same, in passes over the training set")
    add("--batch", type=int, default=2, help="pictures at a time (default: 2)")
    add("--accumulate", type=int, default=1, help="batches for each update (default: 1)")
    add("--lr", type=float, help=f"learning rate (default: {MEAN_LR}; for a sum, divided by the pixels)")
    add("--reduction", choices=["mean", "sum"], default="mean", help="of the pixels' losses (default: mean)")
    add("--schedule", choices=["poly", "constant"], default="poly", help="of the learning rate (default: poly)")
    add("--warmup", type=int, default=WARMUP, help=f"steps with a rising learning rate (default: {WARMUP})")
    add(
        "--clip",
        type=float,
        help=f"largest gradient norm, 0: any (default: {CLIP:g}; for a sum, times the pixels)",
    )
    add("--momentum", type=float, default=0.9, help="(default: 0.9)")
    add("--weight-decay", type=float, default=5e-4, metavar="W", help="not on biases (default: 0.0005)")
    add("--dropout", type=float, default=0.0, help="probability at fc6 and fc7; the paper: 0.5 (default: 0)")
    add(
        "--low-memory", action="store_true", help="update while the gradient is computed; the same weights, no clipping"
    )
    add("--balance", action="store_true", help="weight classes by median frequency")
    add("--crop", type=int, nargs=2, metavar=("H", "W"), help="train on random crops of that size")
    add("--no-flip", dest="flip", action="store_false", help="do not mirror pictures")
    add("--scale-jitter", type=float, default=0.0, metavar="J", help="scale pictures by 1-J..1+J (default: 0)")
    add("--trunk", choices=[*TRUNKS], default="vgg_quarter", help="width of the network (default: vgg_quarter)")
    add("--pad", choices=["same", "100"], default="same", help="as the reference: 100 (default: same)")
    add("--upsampling", choices=["learnt", "fixed"], default="learnt",
        help="learnt: all but the last, as the paper; fixed: none, as the reference")  # fmt: skip
    add("--skip-scale", type=float, nargs=2, metavar=("POOL4", "POOL3"), default=(1.0, 1.0),
        help=f"scale the skips before their scores; 8s at once: {AT_ONCE[0]} {AT_ONCE[1]}")  # fmt: skip
    add(
        "--val-every",
        type=int,
        default=1,
        metavar="E",
        help="epochs between validations, 0: one at the end (default: 1)",
    )
    add("--seed", type=int, default=0, help="of weights, order and augmentation (default: 0)")
    device.add_option(p)
    return p


def main(argv=None) -> int:
    args = parser().parse_args(argv)
    device.start(args.device)  # where there is none, before anything is written
    if args.resume is not None:
        folder, stages = args.resume, read_config(args.resume)
    else:
        stages = plan(args)
        folder = new_folder(args.out, args.name or Path(args.data).resolve().name)
        write_config(folder, stages, args.device)
    folders = [folder] if len(stages) == 1 else [folder / s.model for s in stages]
    scores = {}
    try:
        with stopping() as stop:
            for i, (stage, place) in enumerate(zip(stages, folders, strict=True)):
                if i > 0:
                    stage = replace(stage, init=str(folders[i - 1] / "last.safetensors"))
                scores[stage.model] = run_stage(place, stage, args.device, stop)
    except Stopped as stopped:
        where = "" if args.device == "cpu" else f" --device {args.device}"
        print(f"\n{stopped}\ngo on with: python -m minifcn.train --resume {folder}{where}")
        return 130
    if len(stages) > 1:
        compare(folder, folders, args.device)
        write_json(folder / "metrics.json", scores)
    report(folder, folders, scores)
    return 0


def plan(args: argparse.Namespace) -> list[Settings]:
    """Turn the command line into the settings of each network to train, checked before anything is written."""
    for name in ("batch", "accumulate", "steps", "epochs"):
        if getattr(args, name) is not None and not getattr(args, name) > 0:
            raise InputError(f"--{name.replace('_', '-')}: expected more than 0, received {getattr(args, name)}")
    for name in ("warmup", "val_every", "seed", "weight_decay"):
        if not 0 <= getattr(args, name) < math.inf:
            raise InputError(f"--{name.replace('_', '-')}: expected 0 or more, received {getattr(args, name)}")
    for name in ("momentum", "scale_jitter", "dropout"):
        if not 0 <= getattr(args, name) < 1:
            raise InputError(f"--{name.replace('_', '-')}: expected 0 <= value < 1, received {getattr(args, name)}")
    if len(set(args.model)) < len(args.model):
        raise InputError(f"--model: expected each network once, received {' '.join(args.model)}")
    if not all(map(math.isfinite, args.skip_scale)):
        raise InputError(f"--skip-scale: expected two finite numbers, received {args.skip_scale}")
    for name in ("lr", "clip"):
        if getattr(args, name) is not None and not 0 <= getattr(args, name) < math.inf:
            raise InputError(f"--{name}: expected 0 or more, received {getattr(args, name)}")
    if args.crop is not None and min(args.crop) < 1:
        raise InputError(f"--crop: expected two sides, each more than 0, received {args.crop[0]} {args.crop[1]}")
    if args.low_memory and (args.accumulate > 1 or args.clip):
        given = f"--accumulate {args.accumulate}" if args.accumulate > 1 else f"--clip {args.clip:g}"
        raise InputError(f"--low-memory and {given}: no gradient is kept to add up or to clip; leave one of them out")
    if args.low_memory:
        args.clip = 0.0
    if args.init is not None:
        checkpoint.load(args.init)  # a bad file is told before anything is written
    train_set = open_dataset(args.data, "train")
    if args.batch * args.accumulate > len(train_set):
        raise InputError(
            f"--batch {args.batch} x --accumulate {args.accumulate} is more than the {len(train_set)} training "
            f"pictures of {args.data}; choose smaller ones"
        )
    if args.steps is None and args.epochs is None and args.data == TOYTOWN:
        args.steps = TOYTOWN_STEPS
    per_epoch = max(1, len(train_set) // args.batch // args.accumulate)
    steps = args.steps or max(1, round((args.epochs or EPOCHS) * per_epoch))
    height, width = args.crop or train_set[0][1].shape
    pixels = 1 if args.reduction == "mean" else args.batch * args.accumulate * height * width
    args.lr = MEAN_LR / pixels if args.lr is None else args.lr
    args.clip = CLIP * pixels if args.clip is None else args.clip
    chosen = {f.name: getattr(args, f.name) for f in fields(Settings) if f.name not in ("model", "steps")}
    chosen["data"] = args.data if args.data == TOYTOWN else str(Path(args.data).resolve())
    chosen["init"] = args.init and str(Path(args.init).resolve())
    chosen["pad"] = 100 if args.pad == "100" else "same"
    return [Settings(model=model, steps=steps, **chosen) for model in args.model]


def new_folder(out: Path, name: str) -> Path:
    """Make the run's folder: out/name, or out/name-2, ... where that exists; an existing one is left alone."""
    for number in range(1, 10_000):
        folder = out / (name if number == 1 else f"{name}-{number}")
        try:
            folder.mkdir(parents=True)
            return folder
        except FileExistsError:
            continue
        except OSError as error:
            raise InputError(
                f"{folder}: cannot make this folder ({error.strerror}); choose another with --out"
            ) from error
    raise InputError(f"{out}: holds too many runs called {name}; choose another --name")


def write_config(folder: Path, stages: list[Settings], where: str) -> None:
    machine = {"python": platform.python_version(), "numpy": np.__version__, "blas": cpu.blas_kernel()}
    machine |= {"device": device.start(where).describe()}
    machine |= {"threads": cpu.num_threads(), "system": f"{platform.system()} {platform.machine()}"}
    write_json(
        folder / "config.json", {"minifcn": __version__, "machine": machine, "stages": [asdict(s) for s in stages]}
    )


def read_config(folder: Path) -> list[Settings]:
    """Read back the settings of a run to resume."""
    path = folder / "config.json"
    try:
        return [Settings(**stage) for stage in json.loads(path.read_text())["stages"]]
    except FileNotFoundError:
        raise InputError(f"{folder}: no run here (no config.json); give the folder of a run") from None
    except (ValueError, KeyError, TypeError) as error:
        raise InputError(f"{path}: not the configuration of a run ({error})") from error


def run_stage(folder: Path, settings: Settings, where: str, stop) -> dict:
    """Train one network, or finish it, or do nothing where it is finished; return its metrics."""
    done = folder / "metrics.json"
    if done.exists():
        return json.loads(done.read_text())
    folder.mkdir(exist_ok=True)
    if not (folder / "config.json").exists():
        write_config(folder, [settings], where)
    run = Run(folder, settings, where)
    print(run.describe())
    run.train(stop)
    return run.finish()


def compare(folder: Path, folders: list[Path], where: str) -> None:
    """samples.png of a chain: picture, truth, and each network's prediction."""
    networks = [load_model(place / "last.safetensors", where) for place in folders]
    data = json.loads((folder / "config.json").read_text())["stages"][0]["data"]
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


@contextmanager
def stopping():
    """Within this block Ctrl-C (or SIGTERM) asks for an orderly stop after the step; a second one interrupts."""

    class Stop:
        requested = False

    def ask(number, _):
        if Stop.requested:
            raise KeyboardInterrupt
        Stop.requested = True
        print("\nstopping after this step (again: at once)", file=sys.stderr)

    before = {number: signal.signal(number, ask) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield Stop
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


if __name__ == "__main__":
    command_line(main)
