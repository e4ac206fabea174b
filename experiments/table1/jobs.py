"""The runs of a report: what each waits for, and their processes, as many at a time as there are cores.

A run's folder is named after it and holds record.json once it is finished; what is finished is not done again. If the
command is stopped or killed, each run keeps its checkpoint (see worker.py) and the same command goes on from there.
"""

import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path

from tqdm import tqdm

from minifcn import cpu
from minifcn.errors import InputError
from minifcn.files import write_json
from minifcn.training.loop import Stopped
from minifcn.training.settings import SegmentationSettings

from .worker import RECORD

POLL = 0.5  # seconds
OUTPUT = "output.txt"


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


def read_records(root: Path, jobs: list[Job]) -> dict[str, dict]:
    """The records of those jobs that are finished, by name."""
    paths = {job.name: root / job.name / RECORD for job in jobs}
    return {name: json.loads(path.read_text()) for name, path in paths.items() if path.exists()}


def run_jobs(jobs: list[Job], root: Path, workers: int, stop, keep=lambda name, record: None) -> dict[str, dict]:
    """Do all jobs, each once those it waits for are finished; return their records by name.

    keep(name, record) is called for each, also for those that were finished before.
    Raises Stopped when `stop.requested`, InputError when a run ends with an error, which it names.
    """
    records, running = read_records(root, jobs), {}
    for name, record in records.items():
        keep(name, record)
    waiting = [job for job in jobs if job.name not in records]
    steps = {job.name: job.steps for job in jobs}
    done = sum(steps[name] for name in records)
    bar = tqdm(desc="runs", total=sum(steps.values()), initial=done, unit="step", disable=None if waiting else True)
    with bar:
        try:
            while waiting or running:
                for job in [job for job in waiting if all(name in records for name in job.after)]:
                    if job.pick is not None:
                        records[job.name] = choose(job, root, records)
                        keep(job.name, records[job.name])
                        waiting.remove(job)
                    elif len(running) < workers:
                        running[job.name] = start(job, root / job.name, records, workers)
                        waiting.remove(job)
                time.sleep(POLL)
                for name in [name for name, process in running.items() if process.poll() is not None]:
                    records[name] = ended(running.pop(name), root / name)
                    keep(name, records[name])
                if stop.requested:
                    raise Stopped("stopping: each run saves its checkpoint")
                finished = sum(steps[name] for name in records)
                bar.n = finished + sum(steps_done(root / name) for name in running)
                bar.set_postfix_str(" ".join(running))
        finally:
            for process in running.values():
                process.stdin.close()  # it saves and stops
            for process in running.values():
                process.wait()
    return records


def start(job: Job, folder: Path, records: dict[str, dict], workers: int) -> subprocess.Popen:
    """Start a run, or go on with it, in a session of its own: Ctrl-C is for its parent, which ends it in good order."""
    folder.mkdir(parents=True, exist_ok=True)
    threads = max(1, cpu.num_threads() // workers)
    with open(folder / OUTPUT, "ab") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", "experiments.table1.worker", str(folder)],
            stdin=subprocess.PIPE,
            stdout=output,
            stderr=output,
            env=os.environ | {"MINIFCN_THREADS": str(threads)},
            start_new_session=True,
        )
    told = {"settings": asdict(job.settings(records)), "keep": job.keep, "may_diverge": job.may_diverge}
    with suppress(BrokenPipeError):  # it has died already: `ended` will say of what
        process.stdin.write(json.dumps(told).encode() + b"\n")
        process.stdin.flush()
    return process


def choose(job: Job, root: Path, records: dict[str, dict]) -> dict:
    """Let a job be the run that it picks: with its record and checkpoint. The others' checkpoints go."""
    picked = job.pick(records)
    (root / job.name).mkdir(parents=True, exist_ok=True)
    shutil.copy(root / picked / "best.safetensors", root / job.name)
    write_json(root / job.name / RECORD, records[picked])  # last: it says that the job is finished
    for name in job.after:
        (root / name / "best.safetensors").unlink(missing_ok=True)
    return records[picked]


def ended(process: subprocess.Popen, folder: Path) -> dict:
    """The record of a run that has ended. Raises InputError with the last line of its output where it has none."""
    with suppress(BrokenPipeError):
        process.stdin.close()
    if process.returncode == 0:
        return json.loads((folder / RECORD).read_text())
    if process.returncode == 130:
        raise Stopped(f"{folder}: was told to stop, and saved its checkpoint")
    lines = (folder / OUTPUT).read_text(errors="replace").split("\n")
    last = next((line.strip() for line in reversed(lines) if line.strip()), "no output")
    raise InputError(f"{folder}: this run ended with status {process.returncode}: {last} (all of it: {OUTPUT} there)")


def steps_done(folder: Path) -> int:
    """How far a run is, by its log."""
    try:
        return max(0, (folder / "log.csv").read_bytes().count(b"\n") - 1)
    except OSError:
        return 0
