"""The lab report's table, filled in, and its claims put to the test: python -m minifcn.table1

On toytown without arguments, or on any data set: trains FCN-32s, 16s and 8s from VGG weights, from scratch and from
each other, with three seeds, then measures and writes report.html. Stopped or killed, the same command goes on.
"""

import argparse
import hashlib
import shlex
import sys
from pathlib import Path

from minifcn import cpu, load_weights
from minifcn.command import command_line, command_parser
from minifcn.datasets import TOYTOWN, lasting_name, open_dataset, survey
from minifcn.datasets.dataset import hold_out
from minifcn.errors import InputError, say
from minifcn.files import LOCK, alone_in, write_json
from minifcn.models import TRUNKS, fcn32s
from minifcn.training.folder import stopping
from minifcn.training.loop import Stopped
from minifcn.training.settings import FC, NAME, POSITIVE, SCALES, flag
from minifcn.weights.shipped import SHIPPED, find_weights

from . import build, jobs, measurements, pretraining, table
from .jobs import Options

STEPS, EPOCHS = 300, 10  # of a run: on toytown, and on other data
PARTS = ("pretraining", "stride", "footprint", "realtime")  # beside the table
DECIDING = "data steps batch lrs seeds scale trunk vgg pictures classes contents".split()  # all runs have them alike
LATER = {"rate_steps": None, "fc": None, "skip_scale": [1.0, 1.0], "mean_of": None}  # these, too; what older ones had


def parser() -> argparse.ArgumentParser:
    p = command_parser("table1", "[--data DATA] [options]", "Fill in the lab report's table, and test its claims.")
    add = p.add_argument
    add("--data", default=TOYTOWN, help="toytown, or a data set's folder (default: %(default)s)")
    add("--steps", type=int, help=f"updates of each run (default: {STEPS} on toytown, or {EPOCHS} epochs)")
    add("--batch", type=int, default=2, help="pictures at a time (default: %(default)s)")
    add("--lr", type=float, nargs="+", default=[0.003, 0.01, 0.03], help="to choose from (default: 0.003 0.01 0.03)")
    add("--rate-steps", type=int, metavar="N", help="choose them in runs of N steps, for each kind of start")
    add("--seeds", type=int, default=3, help="runs of each network (default: %(default)s)")
    add("--scale", type=float, default=1.0, help="scale all pictures and labels by this (default: 1)")
    add("--trunk", choices=[*TRUNKS], default="vgg_quarter", help="width of the networks (default: %(default)s)")
    add("--fc", type=int, help="channels of fc6 and fc7 (default: by trunk)")
    pools = {"nargs": 2, "metavar": ("POOL4", "POOL3"), "default": [1.0, 1.0]}
    add("--skip-scale", type=float, help="of skips, but from scratch (default: 1 1)", **pools)
    add("--mean-of", nargs="+", metavar="CLASS", help="whose mean is the Jaccard reported (default: all classes)")
    add("--init", default=SHIPPED, metavar="FILE", help="the VGG weights (default: the shipped ones)")
    without = f"leave out, beside the table: {', '.join(PARTS)}"
    add("--without", nargs="+", choices=PARTS, default=[], metavar="PART", help=without)
    add("--jobs", type=int, default=cpu.num_threads(), help="runs at a time (default: the cores, here %(default)s)")
    add("--out", type=Path, default=Path("runs"), help="where runs are kept (default: runs)")
    add("--name", help="the report's folder under --out (default: table1_ and the data's name)")
    add("--report", type=Path, metavar="FOLDER", help="only write a report anew, from FOLDER/results")
    return p


def main(argv=None) -> int | None:
    args = parser().parse_args(argv)
    if args.report is not None:
        return build.write(args.report)
    options = plan(args)
    folder = args.out / (args.name or f"table1_{Path(options.data).name}")
    todo = table.jobs(options, folder)
    for name, part in (("stride", measurements), ("pretraining", pretraining)):
        todo += part.jobs(options) if name in options.parts else []
    (folder / "results").mkdir(parents=True, exist_ok=True)
    with alone_in(folder), stopping() as stop:
        begin(folder, options)
        try:
            jobs.run_jobs(todo, folder, args.jobs, stop)
            measurements.measure(folder, options, stop)
        except Stopped as stopped:
            words = shlex.join(["python", "-m", "minifcn.table1", *map(str, sys.argv[1:] if argv is None else argv)])
            say("", stopped, f"go on with the same command: {words}")
            return 130
        finally:  # also of what there is so far
            build.write(folder)


def plan(args: argparse.Namespace) -> Options:
    """The options of the report, checked before anything is written."""
    given = [(name, getattr(args, name), POSITIVE) for name in "steps rate_steps batch seeds scale jobs".split()]
    given += [("lr", lr, POSITIVE) for lr in args.lr] + [("skip_scale", x, SCALES) for x in args.skip_scale]
    given += [("fc", args.fc, FC), ("name", args.name, NAME)]
    for name, value, within in given:
        if value not in within:
            raise InputError(f"{flag(name)}: expected {within.text}, received {value}")
    data, vgg = lasting_name(args.data), find_weights(args.init, args.trunk)
    train, reported = (open_dataset(args.data, split) for split in ("train", jobs.reported_split(args.data)))
    survey.check(args.data, [train, reported], allow_absent=True)
    load_weights(fcn32s(2, args.trunk, fc=args.fc), vgg)  # raises where they do not fit
    steps = args.steps or (STEPS if data == TOYTOWN else max(1, EPOCHS * (len(train) // args.batch)))
    chosen = {"data": data, "steps": steps, "lrs": sorted(set(args.lr)), "seeds": list(range(args.seeds))}
    chosen |= {"vgg": str(vgg), "parts": [part for part in PARTS if part not in args.without]}
    chosen |= {"pictures": len(train), "trained_on": len(hold_out(train)[0]), "classes": list(train.classes)}
    if unknown := {*(args.mean_of or ())} - {*train.classes}:
        raise InputError(f"--mean-of {' '.join(sorted(unknown))}: no class of {args.data}: {', '.join(train.classes)}")
    if args.rate_steps and "pretraining" in chosen["parts"]:
        raise InputError("--rate-steps: parts of the pictures need all rates in full; add --without pretraining")
    contents = hashlib.sha256(vgg.read_bytes())  # tells data and weights from others of the same names
    for array in (*train[0], *train[len(train) - 1], *reported[0], *reported[len(reported) - 1]):
        contents.update(array.tobytes())
    options = Options(**vars(args) | chosen, contents=contents.hexdigest())
    fewest = int(options.trained_on * (min(pretraining.FRACTIONS) if "pretraining" in options.parts else 1))
    if args.batch > fewest:
        raise InputError(f"--batch {args.batch}: some runs have {fewest} pictures of {args.data}; choose less")
    return options


def begin(folder: Path, options: Options) -> None:
    """Write options.json, or see that the one which is there is of the same options and data."""
    path = folder / "results" / f"{build.OPTIONS}.json"
    now = {name: getattr(options, name) for name in (*DECIDING, *LATER)}
    now |= {"data": Path(options.data).name, "vgg": Path(options.vgg).name}
    others = sorted({x.name for x in folder.iterdir()} - {LOCK, path.parent.name})
    if others and not path.exists():
        raise InputError(f"{folder}: no report's folder, but with other files ({others[0]}); use another --name")
    before = build.read(path.parent)[build.OPTIONS] if path.exists() else now
    for name, value in now.items():
        if (was := before.get(name, LATER.get(name, value))) != value:
            raise InputError(f"{folder}: a report with other options ({name} {was}, now {value}); use another --name")
    now["without"] = [part for part in options.without if part in before.get("without", PARTS)]  # what is there stays
    now |= {"shipped": options.init == SHIPPED, "jobs": before.get("jobs", options.jobs)}
    write_json(path, now | {"command": command_of(now)})


def command_of(options: dict) -> str:
    """The command that makes this report, with the names of files, not their places."""
    words = options | {"lr": " ".join(f"{lr:g}" for lr in options["lrs"]), "seeds": len(options["seeds"])}
    words |= {"scale": f"{options['scale']:g}", "init": SHIPPED if options["shipped"] else options["vgg"]}
    words["without"] = " ".join(options["without"])
    said = ["data", "steps", "batch", "lr", "seeds", "scale", "trunk", "init"] + ["without"] * bool(options["without"])
    for name in [name for name in LATER if options.get(name) not in (None, [1.0, 1.0])]:
        words[name] = shlex.join(map(str, options[name] if isinstance(options[name], list) else [options[name]]))
        said.append(name)
    return f"python -m minifcn.table1 {' '.join(f'{flag(name)} {words[name]}' for name in said)}"


if __name__ == "__main__":
    command_line(main)
