"""The lab report's table, filled in, and its claims put to the test: python -m minifcn.table1

On toytown without arguments, or on any data set: trains FCN-32s, 16s and 8s from VGG weights, from scratch and from
each other, with three seeds, then measures and writes report.html. Stopped or killed, the same command goes on.
"""

import argparse
import json
import shlex
import shutil
import sys
from dataclasses import asdict
from pathlib import Path

from . import cpu, runs
from .datasets import TOYTOWN, has_split, lasting_name, open_dataset
from .errors import InputError, command_line
from .models import TRUNKS
from .report import build, jobs, measurements, pretraining, sizes, table
from .report.plan import Options
from .report.worker import RECORD
from .trainer import Stopped, write_json
from .weights import check_trunk, open_weights
from .weights.shipped import SHIPPED, find_weights

# --- defaults -----------------------------------------------------------------------------------------------------
TOYTOWN_STEPS = 500  # of a run
EPOCHS = 10  # on other data
BATCH = 2
LRS = [0.003, 0.01, 0.03]
SEEDS = 3
PARTS = {
    "table": "the five networks, FCN-8s, and a control",
    "pretraining": "VGG weights against none, on a part of the pictures and with each learning rate",
    "stride": "recall by the size of objects, and what coarseness alone costs",
    "footprint": "memory and seconds of training at full width",
    "realtime": "latency of one picture",
}


def parser() -> argparse.ArgumentParser:
    p = runs.command_parser("table1", "[--data DATA] [options]", "Fill in the lab report's table, and test its claims.")
    add = p.add_argument
    add("--data", default=TOYTOWN, help="toytown, or a data set's folder (default: %(default)s)")
    add("--steps", type=int, help=f"updates of each run (default: {TOYTOWN_STEPS} on toytown, or {EPOCHS} epochs)")
    add("--trial-steps", type=int, help="of the short runs that choose a learning rate (default: a quarter)")
    add("--batch", type=int, default=BATCH, help="pictures at a time (default: %(default)s)")
    add("--lr", type=float, nargs="+", default=LRS, help=f"to choose from (default: {' '.join(map(str, LRS))})")
    add("--seeds", type=int, default=SEEDS, help="runs of each network (default: %(default)s)")
    add("--scale", type=float, default=1.0, help="scale all pictures and labels by this (default: 1)")
    add("--trunk", choices=[*TRUNKS], default="vgg_quarter", help="width of the networks (default: %(default)s)")
    add("--init", default=SHIPPED, metavar="FILE", help="the VGG weights (default: the shipped ones)")
    add("--only", nargs="+", choices=PARTS, default=list(PARTS), metavar="PART", help=f"of {', '.join(PARTS)}")
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
    begin(folder, options, args, command_of(argv))
    todo = table.jobs(options, folder)  # the other parts build on its runs
    todo += pretraining.jobs(options) if "pretraining" in args.only else []
    todo += sizes.jobs(options) if "stride" in args.only else []
    try:
        with runs.stopping() as stop:
            records = jobs.run_jobs(todo, folder, args.jobs, stop)
            for name in records:
                shutil.copy(folder / name / RECORD, folder / "results" / build.file_name(name))
            measurements.measure(folder, options, args.only, stop)
    except Stopped as stopped:
        print(f"\n{stopped}\ngo on with the same command: {command_of(argv)}")
        return 130
    return told(build.write(folder / "results", folder))


def plan(args: argparse.Namespace) -> Options:
    """The options of the report, checked before anything is written."""
    for name in ("seeds", "jobs", "trial_steps", "scale"):
        value = getattr(args, name)
        if value is not None and not value > 0:
            raise InputError(f"--{name.replace('_', '-')}: expected more than 0, received {value}")
    for lr in args.lr:
        runs.check_ranges(argparse.Namespace(batch=args.batch, steps=args.steps, lr=lr))
    train = open_dataset(args.data, "train")
    if not any(has_split(args.data, split) for split in ("test", "val")):
        raise InputError(f"{args.data}: has neither a test nor a val split to report on; a table needs one")
    path = find_weights(args.init, args.trunk)
    check_trunk(path, open_weights(path), args.trunk)
    data = lasting_name(args.data)
    options = Options(
        **{"data": data, "steps": 0, "trial_steps": 0, "batch": args.batch, "lrs": sorted(set(args.lr))},
        **{"seeds": list(range(args.seeds)), "scale": args.scale, "trunk": args.trunk, "vgg": str(path)},
    )
    if args.batch > options.pictures() * min(pretraining.FRACTIONS):
        raise InputError(
            f"--batch {args.batch}: too many for an eighth of the {options.pictures()} training pictures of "
            f"{args.data} that are not held out; choose a smaller one"
        )
    args.accumulate, args.epochs = 1, None
    options.steps = TOYTOWN_STEPS if data == TOYTOWN else runs.steps_for(args, len(train), EPOCHS)
    options.steps = args.steps or options.steps
    options.trial_steps = args.trial_steps or max(1, options.steps // 4)
    return options


def begin(folder: Path, options: Options, args: argparse.Namespace, command: str) -> None:
    """Make the report's folder, or see that the one which is there is of the same options."""
    path = folder / "results" / f"{build.OPTIONS}.json"
    told = asdict(options) | {"data": Path(options.data).name, "vgg": Path(options.vgg).name}
    if path.exists():
        before = {name: value for name, value in json.loads(path.read_text()).items() if name in told}
        if before != told:
            other = next(name for name in told if before.get(name) != told[name])
            raise InputError(
                f"{folder}: a report with other options ({other} {before.get(other)}, now {told[other]}); "
                "give the same ones to go on with it, or another --name"
            )
    path.parent.mkdir(parents=True, exist_ok=True)
    shipped = args.init == SHIPPED
    write_json(path, told | {"shipped": shipped, "jobs": args.jobs, "command": command})


def command_of(argv) -> str:
    """The command, with a data set's name instead of its place on this machine."""
    words = sys.argv[1:] if argv is None else list(argv)
    shown = [Path(word).name if before == "--data" else word for before, word in zip(["", *words], words, strict=False)]
    return shlex.join(["python", "-m", "minifcn.table1", *shown])


def told(files: list[Path]) -> int:
    print(f"wrote {', '.join(map(str, files))}\nlook at {next(path for path in files if path.suffix == '.html')}")
    return 0


if __name__ == "__main__":
    command_line(main)
