"""One network from what its folder holds to its metrics.json: begun, gone on with, or only read back.

Everything that can be refused, data, weights and network, is built before the folder exists.
"""

from pathlib import Path

from .. import figures
from ..files import write_json
from .folder import LAST, curves_of, read_metrics, write_config
from .loop import Run
from .machine import peak
from .settings import Settings
from .task import Task


def open_run(kind: type[Task], folder: Path, settings: Settings, where: str = "cpu", task: Task | None = None) -> Run:
    """Return the run in a folder, with its first weights or its own; nothing is written. task: if it is built."""
    if task is None:
        task = kind(settings, where)
        if not (folder / LAST).exists():
            task.initialise()
    return Run(folder, task)


def complete(kind: type[Task], folder: Path, settings: Settings, where: str, stop, task: Task | None = None) -> dict:
    """Train one network in a folder, or finish it, or do nothing where it is finished; return its metrics.

    task: of that kind, with its first weights, if it is built already.
    """
    metrics = read_metrics(folder)
    if metrics is not None:
        return metrics
    run = open_run(kind, folder, settings, where, task)
    folder.mkdir(exist_ok=True)
    if not (folder / "config.json").exists():
        write_config(folder, [settings], where)
    print(run.task.describe())
    run.train(stop)
    return finish(run)


def finish(run: Run) -> dict:
    """Draw the curves, write metrics.json; return its content."""
    task = run.task
    metrics = {"model": task.title, "steps": run.step, "train_seconds": round(run.seconds, 1)}
    metrics |= {"peak_memory_bytes": peak(run.model.loops), "validations": run.validations}
    metrics |= task.finish(run)
    figures.curves(run.folder / "curves.png", curves_of(run.log, task.scores[0]), task.score_label)
    write_json(run.folder / "metrics.json", metrics)
    return metrics
