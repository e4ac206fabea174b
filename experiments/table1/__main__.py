"""The lab report's table, filled in, and its claims put to the test: python -m minifcn.table1

On toytown without arguments, or on any data set: trains FCN-32s, 16s and 8s from VGG weights, from scratch and from
each other, with three seeds, then measures and writes report.html. Stopped or killed, the same command goes on.
"""

import argparse
import hashlib
import math
import shlex
import sys
from dataclasses import asdict
from functools import partial
from pathlib import Path

from minifcn import cpu, load_weights
from minifcn.command import command_line, command_parser
from minifcn.datasets import TOYTOWN, has_split, lasting_name, open_dataset
from minifcn.errors import InputError
from minifcn.files import write_json
from minifcn.models import TRUNKS, fcn32s
from minifcn.training import folder as runs
from minifcn.training.loop import Stopped
from minifcn.training.segmentation import check_labelled
from minifcn.weights.shipped import SHIPPED, find_weights

from . import build, jobs, measurements, pretraining, table
from .jobs import reported_split
from .plan import Options

# --- defaults -----------------------------------------------------------------------------------------------------
TOYTOWN_STEPS = 300  # of a run
EPOCHS = 10  # on other data
BATCH = 2
LRS = [0.003, 0.01, 0.03]
SEEDS = 3
PARTS = ("pretraining", "stride", "footprint", "realtime")  # beside the table


def parser() -> argparse.ArgumentParser:
    p = command_parser("table1", "[--data DATA] [options]", "Fill in the lab report's table, and test its claims.")
    add = p.add_argument
    add("--data", default=TOYTOWN, help="toytown, or a data set's folder (default: %(default)s)")
    add("--steps", type=int, help=f"updates of each run (default: {TOYTOWN_STEPS} on toytown, or {EPOCHS} epochs)")
    add("--batch", type=int, default=BATCH, help="pictures at a time (default: %(default)s)")
    add("--lr", type=float, nargs="+", default=LRS, help=f"to choose from (default: {' '.join(map(str, LRS))})")
    add("--seeds", type=int, default=SEEDS, help="runs of each network (default: %(default)s)")
    add("--scale", type=float, default=1.0, help="scale all pictures and labels by this (default: 1)")
    add("--trunk", choices=[*TRUNKS], default="vgg_quarter", help="width of the networks (default: %(default)s)")
    add("--init", default=SHIPPED, metavar="FILE", help="the VGG weights (default: the shipped ones)")
    add("--without", nargs="+", choices=PARTS, default=[], metavar="PART",
        help=f"leave out, beside the table: {', '.join(PARTS)}")  # fmt: skip
    add("--jobs", type=int, default=cpu.num_threads(), help="runs at a time (default: the cores, here %(default)s)")
    add("--out", type=Path, default=Path("runs"), help="where runs are kept (default: runs)")
    add("--name", help="the report's folder under --out (default: table1_ and the data's name)")
    add("--report", type=Path, metavar="FOLDER", help="only write a report anew, from FOLDER/results")
    return p


def main(argv=None) -> int:
    args = parser().parse_args(argv)
    if args.report is not None:
        return told(build.write(args.report / "results", args.report))
    options = plan(args)
    folder = args.out / (args.name or f"table1_{Path(options.data).name}")
    parts = [part for part in PARTS if part not in args.without]
    todo = table.jobs(options, folder)
    if "pretraining" in parts:
        todo += pretraining.jobs(options)
    if "stride" in parts:
        for split in ("train", reported_split(options.data)):  # a drawn set: before several runs need it at once
            open_dataset(measurements.data_of(options), split)
        todo += measurements.jobs(options)
    (folder / "results").mkdir(parents=True, exist_ok=True)
    with jobs.alone_in(folder, wait=False), runs.stopping() as stop:
        begin(folder, options, args)
        try:
            jobs.run_jobs(todo, folder, args.jobs, stop, partial(build.keep, folder / "results"))
            measurements.measure(folder, options, parts, stop)
        except Stopped as stopped:
            words = shlex.join(["python", "-m", "minifcn.table1", *map(str, sys.argv[1:] if argv is None else argv)])
            print(f"\n{stopped}\ngo on with the same command: {words}")
            return 130
        finally:  # also of what there is so far
            files = build.write(folder / "results", folder)
    return told(files)


def plan(args: argparse.Namespace) -> Options:
    """The options of the report, checked before anything is written."""
    given = [(name, getattr(args, name)) for name in ("steps", "batch", "seeds", "scale", "jobs")]
    for name, value in given + [("lr", lr) for lr in args.lr]:
        if value is not None and not 0 < value < math.inf:
            raise InputError(f"--{name}: expected more than 0, received {value}")
    train = open_dataset(args.data, "train")
    if not any(has_split(args.data, split) for split in ("test", "val")):
        raise InputError(f"{args.data}: has neither a test nor a val split to report on; a table needs one")
    for dataset in (train, open_dataset(args.data, reported_split(args.data))):
        check_labelled(args.data, dataset)
    path = find_weights(args.init, args.trunk)
    load_weights(fcn32s(2, args.trunk), path)  # raises where they do not fit
    data = lasting_name(args.data)
    steps = args.steps or (TOYTOWN_STEPS if data == TOYTOWN else max(1, EPOCHS * (len(train) // args.batch)))
    chosen = {"batch": args.batch, "scale": args.scale, "trunk": args.trunk, "lrs": sorted(set(args.lr))}
    options = Options(data=data, steps=steps, seeds=list(range(args.seeds)), vgg=str(path), **chosen)
    least = 1.0 if "pretraining" in args.without else min(pretraining.FRACTIONS)
    if args.batch > int(options.pictures() * least):
        raise InputError(
            f"--batch {args.batch}: too many for {least:g} of the {options.pictures()} training pictures of "
            f"{args.data} that are not held out; choose a smaller one"
        )
    return options


def begin(folder: Path, options: Options, args: argparse.Namespace) -> None:
    """Write options.json, or see that the one which is there is of the same options and data."""
    path = folder / "results" / f"{build.OPTIONS}.json"
    now = asdict(options) | {"data": Path(options.data).name, "vgg": Path(options.vgg).name}
    train = open_dataset(options.data, "train")
    now |= {"pictures": len(train), "classes": list(train.classes), "contents": contents(options)}
    before = build.read(path.parent)[build.OPTIONS] if path.exists() else {}
    for name in now:
        if before.get(name, now[name]) != now[name]:
            raise InputError(
                f"{folder}: a report with other options ({name} {before[name]}, now {now[name]}); "
                "give the same ones to go on with it, or another --name"
            )
    without = [part for part in args.without if part in before.get("without", PARTS)]  # what is there stays
    now |= {"without": without, "shipped": args.init == SHIPPED, "jobs": before.get("jobs", args.jobs)}
    write_json(path, now | {"command": command_of(options, args, without)})


def contents(options: Options) -> str:
    """A digest that tells data and weights from others of the same names: first and last picture, and the weights."""
    digest = hashlib.sha256(Path(options.vgg).read_bytes())
    for split in ("train", reported_split(options.data)):
        dataset = open_dataset(options.data, split)
        for array in (*dataset[0], *dataset[len(dataset) - 1]):
            digest.update(array.tobytes())
    return digest.hexdigest()


def command_of(options: Options, args: argparse.Namespace, without: list[str]) -> str:
    """The command that makes this report, with the names of files, not their places."""
    words = {"data": Path(options.data).name, "steps": options.steps, "batch": options.batch}
    words |= {"lr": " ".join(f"{lr:g}" for lr in options.lrs), "seeds": len(options.seeds)}
    words["scale"] = f"{options.scale:g}" if options.scale != 1 else ""  # "": the default, not said
    words["trunk"] = options.trunk if options.trunk != "vgg_quarter" else ""
    words["init"] = Path(options.vgg).name if args.init != SHIPPED else ""
    words["without"] = " ".join(without)
    return f"python -m minifcn.table1 {' '.join(f'--{name} {value}' for name, value in words.items() if value)}"


def told(files: list[Path]) -> int:
    print(f"wrote {', '.join(map(str, files))}\nlook at {files[0]}")
    return 0


if __name__ == "__main__":
    command_line(main)
