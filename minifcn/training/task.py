"""What a command trains: a task is data and a network, a run of it ends with metrics.json, a chain is several.

command line --plan--> settings --> Task --> Run in a folder --finish--> metrics.json --report--> the last lines

Everything that can be refused, data, weights and network, is built before the folder exists. segmentation.py and
classification.py have the two kinds of tasks.
"""

from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import fields, replace
from pathlib import Path

import numpy as np

from .. import figures, ops, ranks
from ..datasets import classification, loader, transforms
from ..errors import InputError, say
from ..files import alone_in, write_json
from ..weights import WeightFile, load_weights
from .folder import LAST, new_folder, read_config, read_metrics, stopping, write_config
from .loop import Run, Stopped
from .machine import peak
from .recipes import presets
from .settings import Options, Settings, flag


class Task:
    """A data set and a network with its first weights.

    settings, train_set, val_set (None where there is none), model, preprocessing
    takes                              the kind of its settings
    scores, score_label                what validation measures: the first, of this name, chooses best.safetensors; the
                                       last is the loss
    augmentation, collate              of the training set, as a Loader takes them
    ignore_label, class_weight         as the loss takes them

    score() -> dict                    the network's scores on the validation set, fractions or None
    finish(run) -> dict                measures and draws what the trained network can do, for metrics.json, and sums it
                                       up in a line, "summary"
    """

    collate = staticmethod(transforms.collate)
    ignore_label, class_weight = 255, None

    def __init__(self, s: Settings, train_set, val_set, network: Callable, built_by: tuple[str, ...], where: str):
        """network(num_classes, **settings): built by trunk, fc, seed, dropout, and the settings with these names."""
        self.settings, self.train_set, self.val_set = s, train_set, val_set
        if s.batch * s.accumulate > len(train_set):
            pictures = f"{len(train_set)} training pictures of {s.data}; choose smaller ones"
            raise InputError(f"--batch {s.batch} x --accumulate {s.accumulate} is more than the {pictures}")
        if s.patience and (val_set is None or not s.val_every):
            why = "--val-every 0" if val_set else f"no val split in {s.data}"
            raise InputError(f"--patience {s.patience:g}: {why}, so there are no validations to wait for; leave it out")
        spec = {name: getattr(s, name) for name in ("trunk", "fc", *built_by, "seed", "dropout")}
        self.spec = {"num_classes": len(train_set.classes)} | spec
        self.model, self.preprocessing = network(**self.spec).to(where), transforms.Preprocessing()
        self.pretrained: list[str] = []  # the parameters that initialise() has taken over
        ranks.share_batches(self.model, s.batch, s.low_memory)

    def initialise(self, file: WeightFile | None = None) -> None:
        """Take over the weights of --init, and the preprocessing that belongs to them.  file: that one, if open."""
        path = self.settings.init
        if path is None:
            return
        report, ours = load_weights(self.model, path, file), self.train_set.classes
        if report.preprocessing is None:
            raise InputError(f"{path}: says nothing of its preprocessing; give a checkpoint of a run")
        self.preprocessing, self.pretrained = report.preprocessing, report.loaded
        say(f"initialised from {path}:", *report.table().splitlines())
        say(f"  preprocessing: {self.preprocessing.describe()}")
        last_layers = [name for name in report.loaded + report.reinitialised if name.startswith(("score", "fc8"))]
        if last_layers and report.classes != ours:
            count = "unknown" if report.classes is None else len(report.classes)
            kept = "kept its last layers all the same" if {*last_layers} & {*report.loaded} else "new last layers"
            say(f"  NOTE: the file's classes ({count}) are not those of {self.train_set.name} ({len(ours)}): {kept}")

    def batches(self) -> loader.Loader:
        """The batches of the training set."""
        s = self.settings
        how = {"seed": s.seed, "drop_last": True, "place": self.model.loops.asarray, "collate": self.collate}
        return loader.Loader(self.train_set, s.batch, self.preprocessing, self.augmentation, share=ranks.share, **how)

    def loss(self, scores, labels):
        """The loss of a batch's scores, summed over what is labelled."""
        return ops.softmax_cross_entropy(scores, labels, self.ignore_label, self.class_weight, "sum")

    def weight(self, labels: np.ndarray) -> float:
        """How much is labelled in a batch: what a mean divides by."""
        counts = np.bincount(labels.ravel(), minlength=256)[: len(self.train_set.classes)]
        return float(counts.sum() if self.class_weight is None else counts @ self.class_weight.astype(np.float64))

    def meta(self) -> dict:
        """What a checkpoint says of the network and its classes."""
        meta = {"model": {"name": self.model.name} | self.spec, "classes": self.train_set.classes}
        return meta | {"preprocessing": self.preprocessing.to_dict(), "pretrained": self.pretrained}

    def describe(self) -> list[str]:
        """Lines on what is about to happen, with the figures that users stumble over: learning rate and reduction."""
        s, data, pictures = self.settings, self.train_set, len(self.train_set)
        weights = sum(p.data.size for p in self.model.parameters().values())
        length = f"{s.steps} steps of {s.batch * s.accumulate} = {s.steps / (pictures // s.batch // s.accumulate):.1f}"
        rare = [f for f in fields(s) if f.metadata.get("help") and not f.metadata["often"] and f.name != "processes"]
        changed = [f"{flag(f.name)} {getattr(s, f.name)}" for f in rare if getattr(s, f.name) != f.default]
        return [
            f"{s.title} ({s.trunk}, fc {self.model.widths.fc}): {weights:,} weights; "
            f"{self.model.loops.describe()}{ranks.describe()}",
            f"{data.name}: {pictures} training pictures, {len(data.classes)} classes; {length} epochs",
            f"lr {s.lr:g} ({s.schedule}) on the {s.reduction} of the losses; momentum {s.momentum}, "
            f"weight decay {s.weight_decay:g}, clip {s.clip:g}, warm-up {s.warmup} steps; biases lr x 2, no decay",
            *[f"not the default: {' '.join(changed)}"] * bool(changed),
        ]


def open_run(kind: type[Task], folder: Path, settings: Settings, where: str = "cpu", task=None, splits=None) -> Run:
    """Return the run in a folder, with its first weights or its own; nothing is written.

    task, splits: if the one is built, or the others are open.
    """
    if task is None:
        task = kind(settings, where, splits)
        if not (folder / LAST).exists():
            task.initialise()
    return Run(folder, task)


def complete(kind: type[Task], folder: Path, settings: Settings, where: str, stop, task=None, splits=None) -> dict:
    """Train one network in a folder, or finish it, or do nothing where it is finished; return its metrics.

    task: of that kind, with its first weights, if it is built already; splits: if they are open.
    """
    metrics = read_metrics(folder)
    if metrics:
        say(f"{folder}: finished already; to train longer, start a new run with --init {folder / LAST}")
    else:
        run = open_run(kind, folder, settings, where, task, splits)
        if not (folder / "config.json").exists():
            write_config(folder, [settings], where)
        say(*run.task.describe())
        run.train(stop)
        metrics = {"model": settings.title, "steps": run.step, "train_seconds": round(run.seconds, 1)}
        metrics["stopped_early"] = run.step < settings.steps  # by --patience
        metrics |= {"peak_memory_bytes": peak(run.model.loops), "validations": run.validations}
        metrics |= run.task.finish(run)
        figures.curves(folder / "curves.png", run.log, f"val_{run.task.scores[0]}", run.task.score_label)
        write_json(folder / "metrics.json", metrics)
        ranks.total(0)  # all wait until it is there
    return metrics


def run_command(kind: type[Task], opts: Options, given: dict, plan: Callable, report: Callable, own=False) -> int:
    """Begin what a command line asks for, or go on with it; return the exit status.

    plan(opts, given) -> the settings of each network, and what is open already: splits, weights.
    report(folder, folders, settings, metrics, device): what is drawn and said at the end; the lists have an
    entry a network.  own: whether it is this process's own command line, which several processes may do instead.
    """
    task = splits = stages = None
    if opts.resume is not None:
        folder, stages = Path(opts.resume), read_config(Path(opts.resume), kind.takes, given.get("data"))
    chosen = presets(getattr(opts, "recipe", "default"), given)
    if own and not ranks.world() and (processes := ranks.choose(kind.takes, chosen, opts.device, stages)) > 1:
        return ranks.launch(processes)
    where = ranks.begin(opts.device)  # where that is not there, before anything is written
    if stages is None:
        stages, splits, file = plan(opts, given | {"processes": ranks.size()})
        task = kind(stages[0], where, splits)
        task.initialise(file)
        name = opts.name or classification.title(stages[0].data)
        folder = ranks.first_said(ranks.rank() or new_folder(Path(opts.out), name))
        write_config(folder, stages, where)
        say(f"run: {folder}")
    folders = [folder] if len(stages) == 1 else [folder / s.title for s in stages]
    metrics, lock = [], nullcontext if ranks.rank() else alone_in
    try:
        with lock(folder), stopping() as stop:
            for i, (stage, place) in enumerate(zip(stages, folders, strict=True)):
                stage.processes = ranks.size()
                if i > 0:
                    stage, task = replace(stage, init=str(folders[i - 1] / LAST)), None
                place.mkdir(exist_ok=True)
                with lock(place) if place != folder else nullcontext():  # which may be resumed by itself
                    metrics.append(complete(kind, place, stage, where, stop, task, splits))
            report(folder, folders, stages, metrics, where)
    except Stopped as stopped:
        command = f"python -m minifcn.{kind.takes.command} --resume {folder}"
        command += f" --device {opts.device}" * (opts.device != "cpu")
        say("", stopped, f"go on with: {command}")
        return 130
    return 0
