"""The runs of a report: what each waits for, and their processes, as many at a time as there are cores.

A run's record in results/ says that it is finished; what is finished is not done again. If the command is stopped or
killed, each run keeps its checkpoint and the same command goes on from there, bit for bit.
"""

import json
import shutil
from collections.abc import Callable
from concurrent.futures import FIRST_COMPLETED, wait
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from dataclasses import dataclass, field
from pathlib import Path

from tqdm import tqdm

from minifcn import cpu
from minifcn.datasets import has_split
from minifcn.errors import InputError
from minifcn.files import write_json
from minifcn.training.folder import stopping
from minifcn.training.loop import Diverged, Stopped
from minifcn.training.segmentation import run_stage
from minifcn.training.settings import SegmentationSettings

from . import machine
from .own_process import end_all, result, start

POLL = 0.5  # seconds
OUTPUT, BEST = "output.txt", "best.safetensors"


@dataclass
class Job:
    """A run to do, once those named in `after` are finished; or one of those, chosen.

    settings: makes a run's from the records so far.
    keep: whether its checkpoint is of use to anybody once it is scored.
    may_diverge: that a learning rate is too high is a result then, not an error.
    pick: instead of a run: which of `after` it is, from the records so far.
    """

    name: str
    steps: int = 0
    settings: Callable[[dict[str, dict]], SegmentationSettings] | None = None
    after: list[str] = field(default_factory=list)
    keep: bool = True
    may_diverge: bool = False
    pick: Callable[[dict[str, dict]], str] | None = None


def record_file(root: Path, name: str) -> Path:
    """Of table/fcn16s_vgg/lr0.01: results/table__fcn16s_vgg__lr0.01.json."""
    return root / "results" / f"{name.replace('/', '__')}.json"


def run_jobs(jobs: list[Job], root: Path, workers: int, stop) -> dict[str, dict]:
    """Do all jobs, each once those it waits for are finished; return their records by name.

    Raises Stopped when `stop.requested`, InputError when a run ends with an error, which it names.
    """
    (root / "results").mkdir(parents=True, exist_ok=True)
    files = {job.name: record_file(root, job.name) for job in jobs}
    records = {name: json.loads(path.read_text()) for name, path in files.items() if path.exists()}
    waiting, running = [job for job in jobs if job.name not in records], {}  # running: names, by their futures
    steps, threads = {job.name: job.steps for job in jobs}, max(1, cpu.num_threads() // workers)
    done = sum(steps[name] for name in records)
    bar = tqdm(desc="runs", total=sum(steps.values()), initial=done, unit="step", disable=None if waiting else True)
    try:
        with bar:
            while waiting or running:
                for job in [job for job in waiting if all(name in records for name in job.after)]:
                    if job.pick is not None:
                        records[job.name] = choose(job, root, records)
                    elif len(running) < workers:
                        task = {"root": root, "job": job.name, "settings": job.settings(records)}
                        task |= {"keep": job.keep, "may_diverge": job.may_diverge}
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
                bar.n = sum(steps[name] for name in records) + sum(steps_done(root / name) for name in running.values())
                bar.set_postfix_str(" ".join(running.values()))
    finally:
        end_all()
        wait(running)  # which save their checkpoints
    return records


def choose(job: Job, root: Path, records: dict[str, dict]) -> dict:
    """Let a job be the run that it picks: with its record and checkpoint. The others' checkpoints go."""
    picked = job.pick(records)
    (root / job.name).mkdir(parents=True, exist_ok=True)
    shutil.copy(root / picked / BEST, root / job.name)
    write_json(record_file(root, job.name), records[picked])  # last: it says that the job is finished
    for name in job.after:
        (root / name / BEST).unlink(missing_ok=True)
    return records[picked]


def steps_done(folder: Path) -> int:
    """How far a run is, by its log."""
    log = folder / "log.csv"
    return max(0, log.read_bytes().count(b"\n") - 1) if log.exists() else 0


# --- in a run's own process ---


def run(root: Path, job: str, settings: SegmentationSettings, keep: bool, may_diverge: bool) -> dict:
    """Do a run, or go on with it, and return its record. What it prints goes to output.txt."""
    folder = root / job
    folder.mkdir(parents=True, exist_ok=True)
    with open(folder / OUTPUT, "a", buffering=1) as output, redirect_stdout(output), redirect_stderr(output):
        with alone_in(folder), stopping() as stop:
            commits = note_commit(folder)
            try:
                record = found(settings, run_stage(folder, settings, "cpu", stop))
            except InputError as error:
                if not (may_diverge and isinstance(error, Diverged)):
                    raise InputError(f"{folder}: {error} (all of its output: {OUTPUT} there)") from error
                record = {"diverged": str(error)}
            config = json.loads((folder / "config.json").read_text())
            record |= {"settings": named(config["stages"][0]), "machine": config["machine"], "commit": commits}
            for name in ("last.safetensors", BEST)[: 1 if keep else 2]:
                (folder / name).unlink(missing_ok=True)
            write_json(record_file(root, job), record)
            return record


@contextmanager
def alone_in(folder: Path, wait: bool = True):
    """Hold the folder for this process: another waits, or InputError. Whatever ends the process, the lock goes with it.

    A run waits: one whose parent was killed may still be saving.
    """
    with open(folder / "lock", "w") as file:
        try:
            import fcntl

            fcntl.flock(file, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
        except ImportError:  # Windows
            pass
        except BlockingIOError:
            raise InputError(f"{folder}: another process is at work here; wait, or give another --name") from None
        yield


def note_commit(folder: Path) -> str:
    """The commits that this run was started and gone on with, the present one among them."""
    with open(folder / "commits.txt", "a+") as file:
        file.write(f"\n{machine.commit()}")
        file.seek(0)
        return ", resumed at ".join(dict.fromkeys(filter(None, file.read().splitlines())))


def named(settings: dict) -> dict:
    """Settings with the names of data and first weights, not where they lie on this machine."""
    init = Path(settings["init"] or "")
    name = "/".join(init.parts[-3:-1]) if init.name == BEST else init.name or None
    return settings | {"data": Path(settings["data"]).name, "init": name}


def found(settings: SegmentationSettings, metrics: dict) -> dict:
    """What a finished run found: its scores on the reported split, the course to them, and what they cost."""
    course = [[v["step"], v["seconds"], v["jaccard"]] for v in metrics["validations"]]
    step, _, jaccard = max(course, key=lambda point: point[2] or 0.0)
    record = {"steps": metrics["steps"], "seconds": metrics["train_seconds"]}
    record |= {"peak_memory_bytes": metrics["peak_memory_bytes"], "chosen": {"step": step, "jaccard": jaccard}}
    return record | {"course": course, "split": reported_split(settings.data), "scores": metrics["test"]}


def reported_split(data: str) -> str:
    return "test" if has_split(data, "test") else "val"
