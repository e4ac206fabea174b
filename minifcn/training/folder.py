"""The folder of a run, its config.json, and stopping in good order: what the commands that train have in common."""

import argparse
import json
import math
import signal
import sys
from contextlib import contextmanager
from dataclasses import asdict, fields
from pathlib import Path

from .. import __version__
from ..command import add_device_option
from ..datasets import lasting_name
from ..errors import InputError
from ..files import write_json
from ..models import TRUNKS
from .machine import machine
from .settings import Settings

NOT_NEGATIVE = ("warmup", "val_every", "seed", "weight_decay", "lr", "clip")
POSITIVE = ("batch", "accumulate", "steps", "epochs")
BELOW_ONE = ("momentum", "dropout", "scale_jitter")
WITH_RESUME = ("resume", "data", "device")  # what may be another in a run that goes on


def add_training_options(parser: argparse.ArgumentParser) -> None:
    """Give a command that trains the options that every network has; set_defaults() is to say batch and warmup."""
    add = parser.add_argument
    add("--resume", metavar="RUN", type=Path, help="go on with an interrupted run and its settings, bit for bit")
    add("--name", help="the run's folder under --out (default: after the data)")
    add("--out", type=Path, default=Path("runs"), help="where runs are kept (default: runs)")
    add("--trunk", choices=[*TRUNKS], default="vgg_quarter", help="width of the network (default: vgg_quarter)")
    add("--batch", type=int, help="pictures at a time (default: %(default)s)")
    add("--accumulate", type=int, default=1, help="batches for each update (default: 1)")
    add("--schedule", choices=["poly", "constant"], default="poly", help="of the learning rate (default: poly)")
    add("--warmup", type=int, help="steps with a rising learning rate (default: %(default)s)")
    add("--momentum", type=float, default=0.9, help="(default: 0.9)")
    add("--weight-decay", type=float, default=5e-4, metavar="W", help="not on biases (default: 0.0005)")
    add("--dropout", type=float, default=0.0, help="probability at fc6 and fc7; the papers: 0.5 (default: 0)")
    add("--flip", action=argparse.BooleanOptionalAction, default=True, help="mirror half of the pictures (default)")
    add(
        "--val-every",
        type=float,
        default=1,
        metavar="E",
        help="epochs between validations, such as 0.5; 0: one at the end (default: 1)",
    )
    add("--seed", type=int, default=0, help="of weights, order and augmentation (default: 0)")
    add_device_option(parser)


def check_ranges(args: argparse.Namespace) -> None:
    """Raise InputError for an option out of its range."""
    for names, low, high, what in (
        (POSITIVE, math.nextafter(0, 1), math.inf, "more than 0"),
        (NOT_NEGATIVE, 0, math.inf, "0 or more"),
        (BELOW_ONE, 0, 1, "0 <= value < 1"),
    ):
        for name in names:
            value = getattr(args, name, None)
            if value is not None and not low <= value < high:
                raise InputError(f"--{name.replace('_', '-')}: expected {what}, received {value}")


def check_resumed(parser: argparse.ArgumentParser, argv: list[str] | None) -> None:
    """Raise InputError for options beside --resume that would not count, as the run keeps its settings."""
    unset = object()
    nothing = argparse.Namespace(**dict.fromkeys(vars(parser.parse_args([])), unset))
    given = [name for name, value in vars(parser.parse_args(argv, nothing)).items() if value is not unset]
    extra = [f"--{name.replace('_', '-')}" for name in given if name not in WITH_RESUME]
    if extra:
        raise InputError(
            f"--resume: a run keeps its settings; leave out {', '.join(extra)}, or start a new run without --resume"
        )


def check_batch(args: argparse.Namespace, pictures: int) -> None:
    """Raise InputError where an update would need more pictures than there are."""
    if args.batch * args.accumulate > pictures:
        raise InputError(
            f"--batch {args.batch} x --accumulate {args.accumulate} is more than the {pictures} training "
            f"pictures of {args.data}; choose smaller ones"
        )


def steps_for(args: argparse.Namespace, pictures: int, epochs: float) -> int:
    """The updates that --steps or --epochs ask for, or `epochs` where neither is given. InputError where both are."""
    if args.steps and args.epochs:
        raise InputError(f"--steps {args.steps} and --epochs {args.epochs:g}: leave one of them out")
    return args.steps or max(1, round((args.epochs or epochs) * (pictures // args.batch // args.accumulate)))


def go_on_with(command: str, folder: Path, where: str) -> str:
    """How to resume a run that was stopped."""
    return f"go on with: python -m minifcn.{command} --resume {folder}" + (
        "" if where == "cpu" else f" --device {where}"
    )


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


def write_config(folder: Path, stages: list, where: str) -> None:
    content = {"minifcn": __version__, "machine": machine(where), "stages": [asdict(s) for s in stages]}
    write_json(folder / "config.json", content)


def read_config(folder: Path, kind: type[Settings], data: str | None = None) -> list[Settings]:
    """Read back the settings of a run to resume; kind: their class.  data: where its data set is now, if it moved."""
    path = folder / "config.json"
    moved = {} if data is None else {"data": lasting_name(data)}
    try:
        stages = json.loads(path.read_text())["stages"]
        segments = "model" in (f.name for f in fields(kind))  # only an FCN has a choice of model
        if any(("model" in stage) != segments for stage in stages):
            other = "pretrain" if segments else "train"
            raise InputError(f"{folder}: a run of minifcn.{other}; resume it with that command")
        if not stages:
            raise ValueError("no stages")
        return [kind(**stage | moved) for stage in stages]
    except (FileNotFoundError, NotADirectoryError):
        raise InputError(f"{folder}: no run here (no config.json); give the folder of a run") from None
    except (ValueError, KeyError, TypeError) as error:
        raise InputError(f"{path}: not the configuration of a run ({error})") from error


def read_metrics(folder: Path) -> dict | None:
    """Read back the metrics of a run that is complete; None where it is not."""
    path = folder / "metrics.json"
    try:
        metrics = json.loads(path.read_text())
        if not {"model", "steps", "train_seconds", "validations"} <= {*metrics}:
            raise ValueError("incomplete")
        return metrics
    except FileNotFoundError:
        return None
    except (ValueError, TypeError) as error:
        raise InputError(
            f"{path}: not the metrics of a run ({error}); delete it and resume once more, which writes it anew"
        ) from error


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
