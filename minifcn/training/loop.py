"""The training loop: steps, validation, checkpoints, for whatever task it is given.

    groups of batches --step--> a row of log.csv --validate--> best.safetensors
                                      '--save--> last.safetensors

All randomness is keyed by (seed, step) or (seed, epoch, picture), and all else that decides the result is in the
settings and the checkpoint. So a run that was killed and resumed ends bit for bit like one that was not.
"""

import json
import math
import os
import sys
import time
from collections.abc import Iterator
from contextlib import closing
from dataclasses import asdict
from pathlib import Path

import numpy as np
from tqdm import tqdm

from .. import device, optim, ranks
from ..errors import InputError
from ..weights import checkpoint
from ..weights.metadata import checked
from .folder import LAST, POSITION, Log, resume
from .machine import RECOMPUTED, resident, text

SAVE_SECONDS = 120  # at least so often a checkpoint is written
MEASURED, LARGE = 5, 600  # steps after which the rest is foretold; pixels of a longer side that could well be shorter


class Stopped(Exception):
    """The user asked to stop; a checkpoint was saved."""


class Diverged(InputError):
    """The loss, its gradient or a weight is no longer finite; the last good checkpoint was kept."""


class Run:
    """A task in training in `folder`, which exists; it goes on from last.safetensors if that is there."""

    def __init__(self, folder: Path, task):
        self.folder, self.task, self.settings, self.model = folder, task, task.settings, task.model
        self.last, self.best = folder / LAST, folder / "best.safetensors"
        s, parameters = self.settings, self.model.parameters()
        self.optimiser = optim.SGD(parameters, s.lr, s.momentum, s.weight_decay, bias_lr=2.0, bias_decay=False)
        if s.low_memory:
            self.optimiser.step_during_backward()
            self.model.recomputed = RECOMPUTED
        self.steps_per_epoch = len(task.train_set) // s.batch // s.accumulate
        self.step, self.seconds, self.best_score, self.validations, self.log = 0, 0.0, None, [], []
        if self.last.exists():
            resume(self)
        self.optimiser.factors = dict.fromkeys(task.pretrained, s.pretrained_lr)
        self.model.meta, self.begun = task.meta(), self.step
        checked(json.loads(json.dumps(self.model.meta)))  # now: what no command would read is not trained

    def train(self, stop) -> None:
        """Train up to the last step. `stop.requested` is looked at after each step; raises Stopped."""
        s, per_step, saved = self.settings, self.settings.batch * self.settings.accumulate, time.monotonic()
        every = 0.2 if sys.stderr.isatty() or ranks.TERMINAL in os.environ else 30  # seconds; files need fewer lines
        validate_every = s.val_every and max(1, round(s.val_every * self.steps_per_epoch))  # steps; 0: at the end alone
        done = {"initial": self.step * per_step, "total": s.steps * per_step, "unit": "pic", "mininterval": every}
        log = Log(self.folder / "log.csv", self.log, self.task.scores)
        with tqdm(desc=s.title, **done) as bar, closing(log), np.errstate(all="ignore"):  # check_finite says it
            for group in self.groups():
                row = self.train_step(group)
                if self.step == s.steps or (validate_every and self.step % validate_every == 0):
                    row |= self.validate(self.seconds + time.monotonic() - saved)
                ended = self.ended()
                log.writerow(row)
                self.log.append(row)
                bar.update(per_step)
                bar.set_postfix_str(f"loss {row['loss']:.3f}, {text(resident(self.model.loops))}", refresh=False)
                self.watch(bar)
                now, stopped = time.monotonic(), ranks.total(int(stop.requested))
                if self.step % self.steps_per_epoch == 0 or ended or stopped or now - saved > SAVE_SECONDS:
                    self.seconds, saved = self.seconds + now - saved, now
                    log.flush()
                    self.save(self.last)
                if stopped and not ended:
                    raise Stopped(f"stopped after step {self.step} of {s.steps}, saved {self.last}")
                if ended and self.step < s.steps:
                    bar.write(f"no better validation for {s.patience:g} epochs: ends here, the best is {self.best}")
                    break

    def ended(self) -> bool:
        """Whether all steps are done, or the last validation is --patience epochs after the best, of equals the one of
        least loss."""
        s, name = self.settings, self.task.scores[0]
        if s.patience and self.validations:
            best = max(self.validations, key=lambda found: (found[name] or 0.0, -(found.get("loss") or 0.0)))["step"]
            if self.validations[-1]["step"] - best >= s.patience * self.steps_per_epoch:
                return True
        return self.step == s.steps

    def groups(self) -> Iterator[list[tuple]]:
        """Yield the batches (x, labels) of each remaining step, `accumulate` at a time."""
        loader, s = self.task.batches(), self.settings
        while not self.ended():
            epoch, done = divmod(self.step, self.steps_per_epoch)
            batches = loader.epoch(epoch, done * s.accumulate)
            for _ in range(min(self.steps_per_epoch - done, s.steps - self.step)):
                yield [ranks.same_size(*next(batches)) for _ in range(s.accumulate)]
            batches.close()

    def train_step(self, group: list[tuple]) -> dict:
        """One update from one or more batches; a mean loss divides by the labelled weight of all of them together."""
        s, task = self.settings, self.task
        self.model.train().start_step(self.step)
        self.optimiser.lr = optim.learning_rate(self.step, s.lr, s.schedule, s.steps, s.warmup)
        self.optimiser.zero_grad()
        weight = ranks.total(sum(task.weight(labels) for _, labels in group)) if s.reduction == "mean" else 1.0
        total = 0.0
        for x, labels in group:
            loss = task.loss(self.model(x), labels) * (1 / weight if weight else 0.0)
            total += ranks.total(float(loss.data))
            self.check_finite(math.isfinite(total), f"the loss is {total:g}")  # before the weights are touched
            loss.backward()
        ranks.total_gradients(self.model.parameters())
        norm = optim.clip_gradients(self.model.parameters(), s.clip or math.inf)
        self.check_finite(math.isfinite(norm), f"the gradient's norm is {norm:g}")
        self.optimiser.step()
        epoch = self.step // self.steps_per_epoch
        self.step += 1
        return {"step": self.step, "epoch": epoch, "lr": self.optimiser.lr, "loss": total}

    def check_finite(self, finite: bool, what: str) -> None:
        if not finite:
            s = self.settings
            how = f"with lr {s.lr:g} on a {s.reduction} loss and --clip {s.clip:g}"
            way_out = "Start again with a lower --lr (a tenth), --warmup 100 or --clip 5"
            raise Diverged(f"{what} at step {self.step}, {how}. {way_out}; {self.folder} has the last good checkpoint")

    def watch(self, bar) -> None:
        """Say once if it will take long, and once if the loss does not move."""
        s, longest = self.settings, self.model.meta.get("longest", 0)
        hours = (s.steps - self.step) * bar.format_dict["elapsed"] / MEASURED / 3600
        if self.step == self.begun + MEASURED and hours > 1:
            way_out = f"--side {longest // 2} takes a quarter" if longest > LARGE else "fewer --steps take less"
            bar.write(f"NOTE: about {hours:.1f} hours to go, at {s.steps} steps; {way_out}")
        when = 200 if s.steps > 200 else s.steps // 2
        if self.step == when >= 40:
            first, now = (np.mean([row["loss"] for row in rows]) for rows in (self.log[:20], self.log[-20:]))
            if now > 0.99 * first:
                why = f"lr {s.lr:g} on a {s.reduction} loss may be too low (or far too high)"
                bar.write(f"WARNING: the loss has not moved in {self.step} steps ({first:.4g} -> {now:.4g}). {why}")

    def validate(self, seconds: float) -> dict:
        """Score the validation set; keep the best network."""
        if self.task.val_set is None:
            return {}
        scores = self.task.score()
        self.check_finite(abs(scores["loss"]) < 2**53, f"the validation loss is {scores['loss']:g}")  # NaN fails, too
        score = scores[self.task.scores[0]] or 0.0
        self.validations.append({"step": self.step, "seconds": seconds, **scores})
        if self.best_score is None or score > self.best_score:
            self.best_score = score
            self.save(self.best)
        return {f"val_{name}": scores[name] for name in self.task.scores if scores[name] is not None}

    def save(self, path: Path) -> None:
        """Write a checkpoint: all that a run goes on with, and all that evaluate and predict need."""
        tensors = {f"model/{name}": device.asnumpy(p.data) for name, p in self.model.parameters().items()}
        self.check_finite(all(np.isfinite(w).all() for w in tensors.values()), "a weight is not finite")
        tensors |= {f"momentum/{name}": device.asnumpy(v) for name, v in self.optimiser.momentum_buffers.items()}
        meta = self.model.meta | {name: getattr(self, name) for name in POSITION}
        meta |= {"epoch": self.step // self.steps_per_epoch, "seed": self.settings.seed}
        meta |= {"pictures": len(self.task.train_set), "settings": asdict(self.settings)}
        checkpoint.save(path, tensors, meta)
