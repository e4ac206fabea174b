"""The runs of a report: what each waits for, and their processes, as many at a time as there are cores.

A run's record in results/ says that it is finished; what is finished is not done again. If the command is stopped or
killed, each run keeps its checkpoint and the same command goes on from there, bit for bit.
"""

import json
import math
import shutil
import subprocess
from argparse import Namespace
from concurrent.futures import FIRST_COMPLETED, wait
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

from tqdm import tqdm

from minifcn import __version__, cpu
from minifcn.datasets import has_split
from minifcn.errors import InputError
from minifcn.files import alone_in, write_json
from minifcn.training.folder import stopping
from minifcn.training.loop import Diverged, Stopped
from minifcn.training.segmentation import run_stage
from minifcn.training.settings import SegmentationSettings
from minifcn.weights.shipped import SCRATCH
from minifcn.weights.shipped import SHIPPED as VGG

from .own_process import end_all, result, start

ROOT = Path(__file__).resolve().parents[2]
POLL = 0.5  # seconds
VALIDATIONS = 8  # of the held-out tenth, in a run
OUTPUT, BEST = "output.txt", "best.safetensors"


class Options(Namespace):
    """What the command line decides (see __main__.py), with lrs and seeds as lists, vgg, the file of VGG weights, and
    trained_on, the number of pictures without the held-out tenth.
    """

    def settings(self, model: str, start: str, **others) -> SegmentationSettings:
        """The settings of a run; whatever is not named is as `python -m minifcn.train` has it by default.

        start: VGG, SCRATCH or a checkpoint.
        """
        chosen = {name: getattr(self, name) for name in ("data", "steps", "trunk", "fc", "batch", "scale")}
        chosen |= {} if start == SCRATCH else {"skip_scale": self.skip_scale}  # it fits the VGG weights' pools
        chosen |= {"model": model, "held_out": True, "init": {VGG: self.vgg, SCRATCH: None}.get(start, start)}
        settings = SegmentationSettings(**chosen | others)
        epoch = int(self.trained_on * settings.fraction) // settings.batch
        return replace(settings, val_every=math.ceil(settings.steps / VALIDATIONS) / epoch)


class Job(NamedTuple):
    """A run to do, once those named in `after` are finished; without settings it is the best of those, over again.

    rate_of: the run whose learning rate it takes.
    keep: whether its checkpoint is of use to anybody once it is scored.
    may_diverge: that a learning rate is too high is a result then, not an error.
    """

    name: str
    settings: SegmentationSettings | None = None
    after: tuple[str, ...] = ()
    rate_of: str | None = None
    keep: bool = True
    may_diverge: bool = False

    def with_rate(self, records: dict[str, dict]) -> "Job":
        """The job with the learning rate that another run was chosen for."""
        lr = records[self.rate_of]["settings"]["lr"] if self.rate_of else self.settings.lr
        return self._replace(settings=replace(self.settings, lr=lr))


def record_file(root: Path, name: str) -> Path:
    """Of table/fcn16s_vgg/lr0.01: results/table__fcn16s_vgg__lr0.01.json."""
    return root / "results" / f"{name.replace('/', '__')}.json"


def checkpoint_of(root: Path, name: str) -> str:
    """The chosen checkpoint of a run."""
    return str((root / name / BEST).resolve())


def held_out_score(record: dict) -> float:
    """A run's best score on the held-out tenth; -1 where it diverged."""
    return -1.0 if "diverged" in record else record["chosen"]["jaccard"] or 0.0


def run_jobs(jobs: list[Job], root: Path, workers: int, stop) -> dict[str, dict]:
    """Do all jobs, each once those it waits for are finished; return their records by name.

    Raises Stopped when `stop.requested`, InputError when a run ends with an error, which it names.
    """
    (root / "results").mkdir(parents=True, exist_ok=True)
    files = {job.name: record_file(root, job.name) for job in jobs}
    records = {name: json.loads(path.read_text()) for name, path in files.items() if path.exists()}
    waiting, running = [job for job in jobs if job.name not in records], {}  # running: names, by their futures
    threads, hidden = max(1, cpu.num_threads() // workers), None if waiting else True
    try:
        with tqdm(desc="runs", total=len(jobs), initial=len(records), unit="run", disable=hidden) as bar:
            while waiting or running:
                for job in [job for job in waiting if records.keys() >= {*job.after}]:
                    if job.settings is None:
                        records[job.name] = choose(job, root, records)
                    elif len(running) < workers:
                        task = {"root": root, "job": job.with_rate(records)}
                        running[start(run, task, threads=threads)] = job.name
                    else:
                        continue
                    waiting.remove(job)
                ended, _ = wait(running, POLL, FIRST_COMPLETED)
                if stop.requested:
                    raise Stopped("stopping: each run saves its checkpoint")
                for future in ended:
                    name = running.pop(future)
                    records[name] = result(future, str(root / name))
                bar.n = len(records)
                bar.set_postfix_str(" ".join(running.values()))
    finally:
        end_all()
        wait(running)  # which save their checkpoints
    return records


def choose(job: Job, root: Path, records: dict[str, dict]) -> dict:
    """Let a job be the run that scored best on the held-out tenth, of equals the one of least loss there in the end.

    It has that run's record and checkpoint; the others' checkpoints go. InputError where all diverged.
    """
    best = max(job.after, key=lambda name: (held_out_score(records[name]), -records[name].get("loss", math.inf)))
    if "diverged" in records[best]:
        raise InputError(f"{best} and its like: every learning rate diverged; give lower ones with --lr")
    (root / job.name).mkdir(parents=True, exist_ok=True)
    shutil.copy(root / best / BEST, root / job.name)
    write_json(record_file(root, job.name), records[best])  # last: it says that the job is finished
    for name in job.after:
        (root / name / BEST).unlink(missing_ok=True)
    return records[best]


# --- in a run's own process ---


def run(root: Path, job: Job) -> dict:
    """Do a run, or go on with it, and return its record. What it prints goes to output.txt."""
    folder = root / job.name
    folder.mkdir(parents=True, exist_ok=True)
    with open(folder / OUTPUT, "a", buffering=1) as output, redirect_stdout(output), redirect_stderr(output):
        with alone_in(folder, wait=True), stopping() as stop:  # one whose parent was killed may still be saving
            commits = note_commit(folder)
            try:
                record = found(job.settings, run_stage(folder, job.settings, "cpu", stop))
            except InputError as error:
                if not (job.may_diverge and isinstance(error, Diverged)):
                    raise InputError(f"{folder}: {error} (all of its output: {OUTPUT} there)") from error
                record = {"diverged": str(error)}
            config = json.loads((folder / "config.json").read_text())
            record |= {"settings": named(config["stages"][0]), "machine": config["machine"], "commit": commits}
            for name in ("last.safetensors", BEST)[: 1 if job.keep else 2]:
                (folder / name).unlink(missing_ok=True)
            write_json(record_file(root, job.name), record)
            return record


def note_commit(folder: Path) -> str:
    """The commits that this run was started and gone on with, the present one among them."""
    with open(folder / "commits.txt", "a+") as file:
        file.write(f"\n{commit()}")
        file.seek(0)
        return ", resumed at ".join(dict.fromkeys(filter(None, file.read().splitlines())))


def commit() -> str:
    """The present commit of a source checkout, and whether the package differs from it; elsewhere the version."""
    try:
        return git("rev-parse", "--short", "HEAD") + "+changes" * bool(git("status", "--porcelain", "minifcn"))
    except (OSError, subprocess.CalledProcessError):
        return f"version {__version__}"


def git(*args: str) -> str:
    command = ["git", f"--git-dir={ROOT / '.git'}", f"--work-tree={ROOT}", *args]  # of no folder above
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout.strip()


def named(settings: dict) -> dict:
    """Settings with the names of data and first weights, not where they lie on this machine."""
    init = Path(settings["init"] or "")
    name = "/".join(init.parts[-3:-1]) if init.name == BEST else init.name or None
    return settings | {"data": Path(settings["data"]).name, "init": name}


def found(settings: SegmentationSettings, metrics: dict) -> dict:
    """What a finished run found: its scores on the reported split, the course to them, and what they cost."""
    course = [[v["step"], v["seconds"], v["jaccard"]] for v in metrics["validations"]]
    step, _, jaccard = max(course, key=lambda point: point[2] or 0.0)
    record = {name: metrics[name] for name in ("steps", "peak_memory_bytes")} | {"seconds": metrics["train_seconds"]}
    record |= {"loss": metrics["validations"][-1]["loss"], "chosen": {"step": step, "jaccard": jaccard}}
    return record | {"course": course, "split": reported_split(settings.data), "scores": metrics["test"]}


def reported_split(data: str) -> str:
    return "test" if has_split(data, "test") else "val"
