"""A run's folder: one network, one data set, a fixed number of steps, and all there is to know about them.

    config.json           the settings           log.csv       step, epoch, lr, loss, validation scores
    last.safetensors      newest checkpoint      curves.png    the log, drawn
    best.safetensors      best on validation     metrics.json  written at the end: its presence means: complete

The log is on the disk before the checkpoint that counts its rows. Resuming drops the rows after the checkpoint.
"""

import csv
import io
import json
import signal
import sys
from contextlib import contextmanager, suppress
from dataclasses import MISSING, asdict, fields
from itertools import islice
from pathlib import Path
from types import SimpleNamespace

from ..datasets import lasting_name
from ..datasets.transforms import Preprocessing
from ..errors import InputError, say
from ..files import LOCK, atomic_file, check_target, write_json
from ..version import __version__
from ..weights import load_weights, open_weights
from ..weights.weight_file import plain
from .machine import machine
from .settings import Settings, revived

LAST = "last.safetensors"
POSITION = ("step", "seconds", "best_score", "validations")  # how far a run is, as its checkpoint has it
MOVABLE = {"data", "init", "processes"}  # settings that may differ when a run goes on
LOGGED = {"step": int, "epoch": int, "lr": float, "loss": float}  # columns, and what their cells are


def new_folder(out: Path, name: str) -> Path:
    """Make the run's folder: out/name, or out/name-2, ... where that exists; an existing one is left alone."""
    for number in range(1, 10_000):
        folder = out / (name if number == 1 else f"{name}-{number}")
        with suppress(FileExistsError):
            folder.mkdir(parents=True)
            return folder
    raise InputError(f"{out}: holds too many runs called {name}; choose another --name")


def say_written(folder: Path) -> None:
    """Name the files of a folder, of whoever they are, but for the lock."""
    files = sorted(path for path in folder.iterdir() if path.is_file() and path.name != LOCK)
    say(f"wrote {', '.join(map(str, files))}")


def write_config(folder: Path, stages: list[Settings], where: str) -> None:
    content = {"minifcn": __version__, "machine": machine(where), "stages": [asdict(s) for s in stages]}
    write_json(folder / "config.json", content)


def read_config(folder: Path, kind: type[Settings], data: str | None = None) -> list[Settings]:
    """Read back the settings of a run to resume; kind: their class.  data: where its data set is now, if it moved."""
    path = folder / "config.json"
    moved = {} if data is None else {"data": lasting_name(data)}
    try:
        check_target(path)  # a pipe would never end
        stages = json.loads(path.read_text(), parse_int=lambda x: int(x) if len(x) < 300 else float(x))["stages"]
        other = "train" if "model" in stages[0] else "pretrain"  # only an FCN has a choice of model
        if other != kind.command:
            raise InputError(f"begun by minifcn.{other}")
        stages = [revived(kind, stage | moved) for stage in stages]
        if len({stage.title for stage in stages}) < len(stages):
            raise InputError(f"stages: expected each network once, received {[stage.title for stage in stages]}")
        return stages
    except (FileNotFoundError, NotADirectoryError):
        raise InputError(f"{folder}: no run here (no config.json); give the folder of a run, which has one") from None
    except (InputError, ValueError, LookupError, TypeError, RecursionError) as error:  # the last: of deep JSON
        why = f"not the configuration of a run of minifcn.{kind.command} ({error})"
        raise InputError(f"{path}: {why}; restore it, or resume with the command that began the run") from error


def resume(run) -> None:
    """Let a run go on from its last.safetensors: weights, momentum, position, and the log up to there."""
    file, s = open_weights(run.last), run.settings
    meta, scores = file.meta, {*run.task.scores} - {"loss"}  # which older versions did not measure
    if not meta.keys() >= {*POSITION, "preprocessing"} or not all(scores <= x.keys() for x in meta["validations"]):
        raise InputError(f"{run.last}: no checkpoint of a run in training; restore it")
    ours = {name: x for name, x in run.task.meta().items() if name in ("classes", "values", "colours")}
    ours["pictures"] = len(run.task.train_set)
    known = {f.name: f.default for f in fields(s) if f.default is not MISSING} | ours  # what older versions do not say:
    if "values" in known:
        known["values"] = [value for value in known["values"] if value < 255]  # they took 255 for void, always
    now = asdict(s) | ours
    known, now = json.loads(json.dumps([known, now]))  # with lists for tuples, as the checkpoint has them
    then = known | meta.get("settings", {}) | {name: meta[name] for name in ours if name in meta}
    other = sorted(name for name in (then | now).keys() - MOVABLE if then.get(name) != now.get(name))
    if other:
        told = ", ".join(plain(f"{name} {then.get(name)}, now {now.get(name)}") for name in other)
        way_out = f"restore config.json and {s.data}, or start a new run from its weights: --init {run.last}"
        raise InputError(f"{run.last}: of a run with other settings or data: {told}; {way_out}")
    if then["processes"] != s.processes:
        say(f"NOTE: {then['processes']} processes so far, now {s.processes}: the same but for rounding")
    load_weights(run.model, run.last, file, whole=True)
    parameters = run.model.parameters()
    for x in (array.stored for array in file.arrays if not array.name):
        parameter = parameters.get(name := x.name.removeprefix("momentum/"))
        if parameter is None or (parameter.shape, parameter.data.dtype) != (x.shape, x.dtype):
            raise InputError(f"{run.last}: {plain(x.name)} is not of its network; restore it")
        run.optimiser.momentum_buffers[name] = run.model.loops.asarray(x.read())
    for name in POSITION:
        setattr(run, name, meta[name])
    run.task.preprocessing = Preprocessing.from_dict(meta["preprocessing"])
    run.task.pretrained = meta.get("pretrained", [])
    run.log = read_log(run.folder / "log.csv", run.step, run.task.scores)


def read_metrics(folder: Path) -> dict | None:
    """Read back the metrics of a run that is complete; None where it is not, or they are damaged."""
    with suppress(FileNotFoundError, ValueError, TypeError, KeyError, RecursionError):
        check_target(folder / "metrics.json")
        metrics = json.loads((folder / "metrics.json").read_text())
        return metrics if type(metrics["model"]) is type(metrics["summary"]) is str else None


# --- log.csv ---


class Log(csv.DictWriter):
    """log.csv, a row a step. Numbers are written so that they read back exactly.

    rows: those so far. scores: the names of what validation measures.
    """

    def __init__(self, path: Path, rows: list[dict], scores: tuple[str, ...]):
        self.path, self.text = path, io.StringIO()
        super().__init__(self.text, [*LOGGED, *(f"val_{name}" for name in scores)], lineterminator="\n")
        self.writeheader()
        self.writerows(rows)
        self.flush()

    def flush(self) -> None:
        """Have the rows on the disk, before a checkpoint says that they are."""
        with atomic_file(self.path) as file:
            file.write(self.text.getvalue().encode())

    close = flush


def read_log(path: Path, step: int, scores: tuple[str, ...]) -> list[dict]:
    """Read the rows up to a step; scores as Log's. Raises InputError where some are missing or damaged."""
    check_target(path)
    kinds, rows = LOGGED | {f"val_{name}": float for name in scores}, []
    with suppress(ValueError, TypeError, KeyError, csv.Error), open(path, newline="", encoding="utf-8") as file:
        rows = [{name: kinds[name](x) for name, x in row.items() if x} for row in islice(csv.DictReader(file), step)]
    whole = len(rows) == step and all(row.keys() >= LOGGED.keys() for row in rows)
    if not whole or [row["step"] for row in rows] != list(range(1, step + 1)):
        raise InputError(f"{path}: expected the rows of steps 1 to {step}, as in the checkpoint beside it; restore it")
    return rows


# --- stopping ---


@contextmanager
def stopping():
    """Within this block Ctrl-C (or SIGTERM) asks for an orderly stop after the step; a second one interrupts."""

    stop = SimpleNamespace(requested=False)

    def ask(number, _):
        if stop.requested:
            raise KeyboardInterrupt
        stop.requested = True
        say("", "stopping after this step (again: at once)", file=sys.stderr)

    before = {number: signal.signal(number, ask) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield stop
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
