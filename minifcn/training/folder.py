"""A run's folder: one network, one data set, a fixed number of steps, and all there is to know about them.

    config.json           the settings           log.csv       step, epoch, lr, loss, validation scores
    last.safetensors      newest checkpoint      curves.png    the log, drawn
    best.safetensors      best on validation     metrics.json  written at the end: its presence means: complete

The log is on the disk before the checkpoint that counts its rows. Resuming drops the rows after the checkpoint.
"""

import csv
import io
import json
import os
import signal
import sys
from contextlib import contextmanager
from dataclasses import MISSING, asdict, fields
from pathlib import Path

from ..datasets import lasting_name
from ..datasets.transforms import Preprocessing
from ..errors import InputError
from ..files import atomic_file, write_json
from ..version import __version__
from ..weights import open_weights, restore
from .machine import machine
from .options import revived
from .settings import Settings

LAST = "last.safetensors"
POSITION = ("step", "seconds", "best_score", "validations")  # how far a run is, as its checkpoint has it
LOGGED = ["step", "epoch", "lr", "loss"]


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
    content = {"minifcn": __version__, "machine": machine(where), "stages": [asdict(s) for s in stages]}
    write_json(folder / "config.json", content)


def read_config(folder: Path, kind: type[Settings], data: str | None = None) -> list[Settings]:
    """Read back the settings of a run to resume; kind: their class.  data: where its data set is now, if it moved."""
    path = folder / "config.json"
    moved = {} if data is None else {"data": lasting_name(data)}
    segments = hasattr(kind, "pad")  # only an FCN has a choice of model
    try:
        stages = json.loads(path.read_text())["stages"]
        if any(("model" in stage) != segments for stage in stages):
            other = "pretrain" if segments else "train"
            raise InputError(f"{folder}: a run of minifcn.{other}; resume it with that command")
    except (FileNotFoundError, NotADirectoryError):
        raise InputError(f"{folder}: no run here (no config.json); give the folder of a run") from None
    except (ValueError, KeyError, TypeError) as error:
        raise InputError(f"{path}: not the configuration of a run ({error})") from error
    try:
        if not stages or (not segments and len(stages) > 1):
            raise InputError(f"{len(stages)} stages")
        return [revived(kind, stage | moved) for stage in stages]
    except InputError as error:
        raise InputError(f"{path}: not the configuration of a run ({error}); restore it") from error


def resume(run) -> None:
    """Let a run go on from its last.safetensors: weights, momentum, position, and the log up to there."""
    s, train_set = run.settings, run.task.train_set
    file = open_weights(run.last)
    meta = file.meta
    known = {f.name: f.default for f in fields(s) if f.default is not MISSING}  # of what an older version did not write
    if decisive(known | meta.get("settings", {})) != decisive(asdict(s)):
        raise InputError(f"{run.last}: checkpoint of a run with other settings than {run.folder / 'config.json'}")
    if meta["classes"] != train_set.classes:
        raise InputError(f"{s.data}: its classes are not those of {run.last}; restore the data set")
    now = len(train_set)
    then = meta.get("pictures", now)
    if then != now:
        raise InputError(f"{s.data}: {now} training pictures, {run.last} saw {then}; restore the data set")
    restore(run.model, run.last, file)
    for x in (array.stored for array in file.arrays):
        if x.name.startswith("momentum/"):
            run.optimiser.momentum_buffers[x.name.removeprefix("momentum/")] = run.model.loops.asarray(x.read())
    for name in POSITION:
        setattr(run, name, meta[name])
    run.task.preprocessing = Preprocessing.from_dict(meta["preprocessing"])
    run.log = read_log(run.folder / "log.csv", run.step)


def decisive(settings: dict) -> dict:
    """The settings that must agree for a run to go on; folders may have moved."""
    settings = {name: value for name, value in settings.items() if name not in ("data", "init")}
    return json.loads(json.dumps(settings))  # with lists for tuples, as the settings of a checkpoint have them


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


# --- log.csv ---


class Log(csv.DictWriter):
    """log.csv, a row a step. Numbers are written so that they read back exactly.

    It begins with the rows so far: those after the checkpoint go, as their steps are run again. scores: the names of
    what validation measures.
    """

    def __init__(self, path: Path, rows: list[dict], scores: tuple[str, ...]):
        names = [*LOGGED, *(f"val_{name}" for name in scores)]
        with atomic_file(path) as file:
            text = io.TextIOWrapper(file, encoding="utf-8", newline="")
            super().__init__(text, names, lineterminator="\n")
            self.writeheader()
            self.writerows(rows)
            text.flush()
            text.detach()
        self.file = io.TextIOWrapper(io.BufferedWriter(_Named(path, "a")), encoding="utf-8", newline="")
        super().__init__(self.file, names, lineterminator="\n")

    def flush(self) -> None:
        """Have the rows on the disk, before a checkpoint says that they are."""
        self.file.flush()
        os.fsync(self.file.fileno())


class _Named(io.FileIO):
    """A file whose errors of writing name it."""

    def write(self, content) -> int:
        try:
            return super().write(content)
        except OSError as error:
            raise OSError(error.errno, error.strerror, str(self.name)) from error


def read_log(path: Path, step: int) -> list[dict]:
    """Read the rows up to a step. Raises InputError where some are missing or damaged."""
    kinds = {"step": int, "epoch": int}
    try:
        with open(path, newline="", encoding="utf-8") as file:
            rows = [row for row in csv.DictReader(file) if None not in row.values()]
        rows = [{k: kinds.get(k, float)(v) for k, v in row.items() if v != ""} for row in rows[:step]]
        steps = [row["step"] for row in rows if row.keys() >= {*LOGGED}]
    except (ValueError, TypeError, csv.Error):
        steps = None
    if steps != list(range(1, step + 1)):
        raise InputError(f"{path}: expected the rows of steps 1 to {step}, as in the checkpoint beside it; restore it")
    return rows


def curves_of(log: list[dict], score: str) -> dict[str, list[float]]:
    """The rows as figures.curves takes them, with that score of the validations."""
    validated = [row for row in log if f"val_{score}" in row]
    return {
        **{name: [row[name] for row in log] for name in ("step", "loss", "lr")},
        "val_step": [row["step"] for row in validated],
        "score": [row[f"val_{score}"] for row in validated],
    }


# --- stopping ---


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


def go_on_with(command: str, folder: Path, where: str) -> str:
    """How to resume a run that was stopped."""
    return f"go on with: python -m minifcn.{command} --resume {folder}" + (
        "" if where == "cpu" else f" --device {where}"
    )
