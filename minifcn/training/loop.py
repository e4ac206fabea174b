"""One training run: a network, a data set, a fixed number of steps, and a folder that holds all there is to know of it.

    config.json           the settings           log.csv       step, epoch, lr, loss, validation scores
    last.safetensors      newest checkpoint      curves.png    the log, drawn
    best.safetensors      best on validation     metrics.json  written at the end: its presence means: complete

Everything that decides the result is in the settings and the checkpoint, and all randomness is keyed by (seed, step) or
(seed, epoch, picture), so a run that was killed and resumed ends bit for bit like one that was not.

This file is the loop, for any network; segmentation.py and classification.py say what is trained, on what, and how it
is scored.
"""

import json
import math
import sys
import time
from collections.abc import Iterator
from dataclasses import MISSING, asdict, fields
from pathlib import Path

import numpy as np
from tqdm import tqdm

from .. import device, figures
from ..datasets.transforms import Preprocessing
from ..errors import InputError
from ..files import write_json
from ..optim import SGD, clip_gradients, learning_rate
from ..weights import checkpoint, load_weights, restore
from . import machine
from .runlog import curves_of, open_log, read_log
from .settings import Settings

SAVE_SECONDS = 120  # at least so often a checkpoint is written


class Stopped(Exception):
    """The user asked to stop; a checkpoint was saved."""


class Diverged(InputError):
    """The loss, its gradient or a weight is no longer finite; the last good checkpoint was kept."""


class Run:
    """A run in `folder`, which exists; it goes on from last.safetensors if that is there.

    where: the device, "cpu", "gpu" or "gpu:1". It does not belong to the settings: a run may go on on another one.

    A subclass says what is particular, in

    title, item, head                  names: of the run, of what has a loss, of the layers that depend on the classes
    scores, score_label                what validation measures, the first of it chooses best.safetensors; that one's
                                       name in curves.png
    open_data()                        sets train_set and val_set (None where there is none), each with `classes`
    network() -> Module                the network, initialised
    load_batches() -> Loader           of the training set
    sum_of_losses(x, labels) -> Tensor of a batch, summed over what is labelled
    labelled_weight(labels) -> float   how much is labelled in a batch: what a mean divides by
    score() -> dict                    the network's scores on the validation set, fractions or None
    model_meta() -> dict               what a checkpoint says of the network and its classes
    describe_data() -> str             what it trains on
    test() -> dict                     measures and draws what the finished network can do, for metrics.json
    """

    def __init__(self, folder: Path, settings: Settings, where: str = "cpu"):
        self.folder, self.settings, self.where = folder, settings, where
        self.last, self.best = folder / "last.safetensors", folder / "best.safetensors"
        self.open_data()
        self.build()
        self.step, self.seconds, self.best_score, self.validations = 0, 0.0, None, []
        self.preprocessing, self.log = Preprocessing(), []
        if self.last.exists():
            self.load()
        elif settings.init is not None:
            self.initialise(Path(settings.init))
        self.loader = self.load_batches()
        self.steps_per_epoch = len(self.loader) // settings.accumulate

    # --- starting ---

    def build(self) -> None:
        s = self.settings
        try:
            self.model = self.network().to(self.where)
            self.loops = self.model.loops
            self.optimiser = SGD(
                self.model.parameters(), s.lr, s.momentum, s.weight_decay, bias_lr=2.0, bias_decay=False
            )
            if s.low_memory:
                self.optimiser.step_during_backward()
                self.model.recomputed = machine.RECOMPUTED
        except (KeyError, TypeError, ValueError) as error:
            raise InputError(f"{self.folder / 'config.json'}: not a network that can be trained ({error!r})") from error

    def initialise(self, path: Path) -> None:
        """Take over the weights, and the preprocessing that belongs to them, from another file."""
        report = load_weights(self.model, path)
        if report.preprocessing is None:
            raise InputError(f"{path}: says nothing of its preprocessing; give a checkpoint of a run")
        self.preprocessing = report.preprocessing
        print(f"initialised from {path}:\n{report.table()}\n  preprocessing: {self.preprocessing.describe()}")
        theirs, ours = report.classes, self.train_set.classes
        if report.reinitialised:
            count = "other" if theirs is None else len(theirs)
            print(f"  the file has {count} classes, {self.train_set.name} has {len(ours)}: new {self.head}")
        elif theirs != ours and any(name.startswith(("score", "fc8")) for name in report.loaded):
            names = "not named" if theirs is None else f"others ({', '.join(theirs)})"
            print(f"  NOTE: the file's classes are {names}; kept its {self.head} all the same")

    def load(self) -> None:
        """Go on from last.safetensors: weights, momentum, position, and the log up to there."""
        tensors, meta = checkpoint.load(self.last)
        known = [f for f in fields(self.settings) if f.default is not MISSING]
        defaults = {f.name: f.default for f in known}  # of what an older version did not write
        if decisive(defaults | meta.get("settings", {})) != decisive(asdict(self.settings)):
            raise InputError(f"{self.last}: checkpoint of a run with other settings than {self.folder / 'config.json'}")
        if meta["classes"] != self.train_set.classes:
            raise InputError(f"{self.settings.data}: its classes are not those of {self.last}; restore the data set")
        now = len(self.train_set)
        then = meta.get("pictures", now)
        if then != now:
            raise InputError(
                f"{self.settings.data}: {now} training pictures, {self.last} saw {then}; restore the data set"
            )
        parameters = {f"model/{name}": p.data for name, p in self.model.parameters().items()}
        restore(self.last, tensors, parameters)
        for name, x in tensors.items():
            if name.startswith("momentum/"):
                self.optimiser.momentum_buffers[name.removeprefix("momentum/")] = self.loops.asarray(x)
        self.step, self.seconds = meta["step"], meta["seconds"]
        self.best_score, self.validations = meta["best_score"], meta["validations"]
        self.preprocessing = Preprocessing.from_dict(meta["preprocessing"])
        self.log = read_log(self.folder / "log.csv", self.step)

    def describe(self) -> str:
        """What is about to happen, with the figures that users stumble over: learning rate and reduction."""
        s = self.settings
        weights = sum(p.data.size for p in self.model.parameters().values())
        return "\n".join(
            [
                f"{self.title} ({s.trunk}): {weights:,} weights; {self.loops.describe()}",
                f"{self.describe_data()}; {s.steps} steps of {s.batch * s.accumulate} = "
                f"{s.steps / self.steps_per_epoch:.1f} epochs",
                f"lr {s.lr:g} ({s.schedule}) on the {s.reduction} of the {self.item}s' losses; momentum {s.momentum}, "
                f"weight decay {s.weight_decay:g}, clip {s.clip:g}; biases lr x 2, no decay",
            ]
        )

    # --- training ---

    def train(self, stop) -> None:
        """Train up to the last step. `stop.requested` is looked at after each step; raises Stopped."""
        saved, started = time.monotonic(), time.monotonic()
        per_step = self.settings.batch * self.settings.accumulate
        every = 0.2 if sys.stderr.isatty() else 30  # seconds; a log file needs fewer lines than a terminal
        bar = tqdm(
            desc=self.title,
            total=self.settings.steps * per_step,
            initial=self.step * per_step,
            unit="pic",
            mininterval=every,
        )
        with bar, open_log(self.folder / "log.csv", self.log, self.scores) as log:
            for group in self.groups():
                with np.errstate(all="ignore"):  # a diverging run is told of in one line, below
                    row = self.train_step(group)
                epoch_ends = self.step % self.steps_per_epoch == 0
                if self.step == self.settings.steps or self.validation_due():
                    row |= self.validate(self.seconds + time.monotonic() - started)
                log.writerow(row)
                self.log.append(row)
                bar.update(per_step)
                held = machine.text(machine.resident(self.loops))
                bar.set_postfix_str(f"loss {row['loss']:.3f}, {held}", refresh=False)
                self.watch(bar)
                due = time.monotonic() - saved > SAVE_SECONDS
                if epoch_ends or due or stop.requested or self.step == self.settings.steps:
                    now = time.monotonic()
                    self.seconds, started, saved = self.seconds + now - started, now, now
                    log.flush()
                    self.save(self.last)
                if stop.requested and self.step < self.settings.steps:
                    raise Stopped(f"stopped after step {self.step} of {self.settings.steps}, saved {self.last}")

    def groups(self) -> Iterator[list[tuple[np.ndarray, np.ndarray]]]:
        """Yield the batches of each remaining step, `accumulate` at a time."""
        while self.step < self.settings.steps:
            epoch, done = divmod(self.step, self.steps_per_epoch)
            batches = self.loader.epoch(epoch, done * self.settings.accumulate)
            for _ in range(min(self.steps_per_epoch - done, self.settings.steps - self.step)):
                yield [next(batches) for _ in range(self.settings.accumulate)]
            batches.close()

    def train_step(self, group: list[tuple[np.ndarray, np.ndarray]]) -> dict:
        """One update from one or more batches; a mean loss divides by the labelled weight of all of them together."""
        s = self.settings
        self.model.train().start_step(self.step)
        self.optimiser.lr = learning_rate(self.step, s.lr, s.schedule, s.steps, s.warmup)
        self.optimiser.zero_grad()
        weight = sum(self.labelled_weight(labels) for _, labels in group) if s.reduction == "mean" else 1.0
        total = 0.0
        for x, labels in group:
            loss = self.sum_of_losses(x, labels) * (1 / weight if weight else 0.0)
            total += float(loss.data)
            if not math.isfinite(total):  # before the weights are touched
                raise self.diverged(f"the loss is {total:g}")
            loss.backward()
        norm = clip_gradients(self.model.parameters(), s.clip or math.inf)
        if not math.isfinite(norm):
            raise self.diverged(f"the gradient's norm is {norm:g}")
        self.optimiser.step()
        row = {
            "step": self.step + 1,
            "epoch": self.step // self.steps_per_epoch,
            "lr": self.optimiser.lr,
            "loss": total,
        }
        self.step += 1
        return row

    def diverged(self, what: str) -> Diverged:
        s = self.settings
        return Diverged(
            f"{what} at step {self.step}, with lr {s.lr:g} on a {s.reduction} loss and --clip {s.clip:g}. Start again "
            f"with a lower --lr (a tenth), --warmup 100 or --clip 5; {self.folder} keeps the last good checkpoint"
        )

    def watch(self, bar) -> None:
        """Say once if the loss does not move."""
        when = 200 if self.settings.steps > 200 else self.settings.steps // 2
        if self.step == when >= 40:
            losses = [row["loss"] for row in self.log]
            first, now = np.mean(losses[:20]), np.mean(losses[-20:])
            if now > 0.99 * first:
                bar.write(
                    f"WARNING: the loss has not moved in {self.step} steps ({first:.4g} -> {now:.4g}). lr "
                    f"{self.settings.lr:g} on a {self.settings.reduction} loss may be too low (or far too high)"
                )

    # --- measuring and keeping ---

    def validation_due(self) -> bool:
        every = self.settings.val_every
        return every > 0 and self.step % max(1, round(every * self.steps_per_epoch)) == 0

    def validate(self, seconds: float) -> dict:
        """Score the validation set; keep the best network."""
        if self.val_set is None:
            return {}
        scores = self.score()
        score = scores[self.scores[0]] or 0.0
        self.validations.append({"step": self.step, "seconds": seconds, **scores})
        if self.best_score is None or score > self.best_score:
            self.best_score = score
            self.save(self.best)
        return {f"val_{name}": scores[name] or 0.0 for name in self.scores}

    def save(self, path: Path) -> None:
        tensors = {f"model/{name}": device.asnumpy(p.data) for name, p in self.model.parameters().items()}
        if not all(np.isfinite(weights).all() for weights in tensors.values()):
            raise self.diverged("a weight is not finite")
        tensors |= {f"momentum/{name}": device.asnumpy(v) for name, v in self.optimiser.momentum_buffers.items()}
        meta = self.model_meta() | {
            "preprocessing": self.preprocessing.to_dict(),
            "settings": asdict(self.settings),
            "pictures": len(self.train_set),
            "step": self.step,
            "epoch": self.step // self.steps_per_epoch,
            "seed": self.settings.seed,
            "best_score": self.best_score,
            "validations": self.validations,
            "seconds": self.seconds,
        }
        checkpoint.save(path, tensors, meta)

    def finish(self) -> dict:
        """Draw the curves, write metrics.json; return its content."""
        metrics = {"model": self.title, "steps": self.step, "train_seconds": round(self.seconds, 1)}
        metrics |= {"peak_memory_bytes": machine.peak(self.loops), "validations": self.validations}
        metrics |= self.test()
        figures.curves(self.folder / "curves.png", curves_of(self.log, self.scores[0]), self.score_label)
        write_json(self.folder / "metrics.json", metrics)
        return metrics


def decisive(settings: dict) -> dict:
    """The settings that must agree for a run to go on; folders may have moved."""
    settings = {name: value for name, value in settings.items() if name not in ("data", "init")}
    return json.loads(json.dumps(settings))  # with lists for tuples, as the settings of a checkpoint have them
