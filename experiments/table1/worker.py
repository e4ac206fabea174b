"""One run of a report, in a process of its own: python -m experiments.table1.worker FOLDER

Its settings come as a line of JSON on stdin, which its parent then holds open: when that closes, as it does also when
the parent was killed, the run saves a checkpoint and stops. Started again it goes on, bit for bit. At its end it writes
record.json, by which the report knows it, and keeps of its checkpoints at most the one that was chosen.
"""

import json
import os
import signal
import sys
import threading
from contextlib import contextmanager, suppress
from pathlib import Path

from minifcn.command import command_line
from minifcn.datasets import has_split
from minifcn.errors import InputError
from minifcn.files import write_json
from minifcn.training import folder as runs
from minifcn.training.loop import Diverged, Stopped
from minifcn.training.segmentation import run_stage
from minifcn.training.settings import SegmentationSettings

from . import machine

RECORD = "record.json"


def main() -> int:
    folder, told = Path(sys.argv[1]), json.loads(sys.stdin.readline())
    settings = SegmentationSettings(**told["settings"])
    threading.Thread(target=stop_with_parent, daemon=True).start()
    with alone_in(folder), runs.stopping() as stop:
        if (folder / RECORD).exists():
            return 0
        commits = note_commit(folder)
        try:
            record = describe(settings, run_stage(folder, settings, "cpu", stop))
        except Stopped:
            return 130
        except Diverged as diverged:
            if not told["may_diverge"]:
                raise
            record = {"diverged": str(diverged)}
        config = json.loads((folder / "config.json").read_text())
        record |= {"settings": named(config["stages"][0]), "machine": config["machine"]}
        record["commit"] = ", resumed at ".join(commits)
        for name in ("last", "best")[: 1 if told["keep"] else 2]:
            with suppress(FileNotFoundError):
                (folder / f"{name}.safetensors").unlink()
        write_json(folder / RECORD, record)
    return 0


def note_commit(folder: Path) -> list[str]:
    """The commits that this run was started and gone on with, the present one among them."""
    path = folder / "commits.txt"
    commits = path.read_text().splitlines() if path.exists() else []
    if machine.commit() not in commits[-1:]:
        commits.append(machine.commit())
        path.write_text("\n".join(commits))
    return commits


def stop_with_parent() -> None:
    sys.stdin.read()
    os.kill(os.getpid(), signal.SIGTERM)


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


def named(settings: dict) -> dict:
    """Settings with the names of data and first weights, not where they lie on this machine."""
    init = settings["init"] and "/".join(Path(settings["init"]).parts[-3:-1])
    if init and Path(settings["init"]).name != "best.safetensors":
        init = Path(settings["init"]).name
    return settings | {"data": Path(settings["data"]).name, "init": init}


def describe(settings: SegmentationSettings, metrics: dict) -> dict:
    """What a finished run found: its scores on the reported split, the course to them, and what they cost."""
    validations = metrics["validations"]
    chosen = max(validations, key=lambda v: v["jaccard"] or 0.0)
    return {
        "steps": metrics["steps"],
        "seconds": metrics["train_seconds"],
        "peak_memory_bytes": metrics["peak_memory_bytes"],
        "chosen": {"step": chosen["step"], "jaccard": chosen["jaccard"]},
        "course": [[v["step"], v["seconds"], v["jaccard"]] for v in validations],
        "split": reported_split(settings.data),
        "scores": metrics["test"],
    }


def reported_split(data: str) -> str:
    return "test" if has_split(data, "test") else "val"


if __name__ == "__main__":
    command_line(main)
